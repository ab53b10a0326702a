"""The lines of a picture that tell most: what went wrong, with what code, of which unit, after which command. Pure.

Each line earns points by what it says, in English and Chinese; the best five are kept, best first, and of equals the
earlier one, since the first of many errors is mostly the cause. Never a decision: only what people are shown first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

MAX_HIGHLIGHTS: Final = 5
MAX_LENGTH: Final = 200
MIN_SCORE: Final = 30  # points below which a line tells nothing

_Clue = tuple[int, re.Pattern[str]]  # points, what a line has to have


def _clue(points: int, *patterns: str) -> _Clue:
    return points, re.compile("|".join(patterns), re.IGNORECASE)


# Of each group only the first that is found counts; groups add up.
_TROUBLES: Final = (
    _clue(
        140,  # a cause: more than that something failed, with its code and unit
        r"no space left|disk (?:is )?full|disk quota exceeded|read-only file system",
        r"permission denied|access (?:is |was )?denied|operation not permitted|authentication fail|unauthori[sz]ed",
        r"out of memory|oom[- _]?kill|cannot allocate memory|killed process",
        r"connection (?:refused|reset|timed out|closed)|timed out|time-?out|unreachable|no route to host",
        r"address already in use|too many (?:open files|clients|connections)|name or service not known",
        r"command not found|no such file|not found|does not exist",
        r"segmentation fault|core dumped|kernel panic|panic:|i/o error|fatal|bad gateway|service unavailable",
        r"crashloopbackoff|imagepullbackoff|errimagepull|oomkilled|certificate (?:has )?expired",
        r"没有空间|空间不足|磁盘(?:空间)?已满|只读文件系统|内存不足|无法分配内存",
        r"权限不够|权限不足|拒绝访问|访问被拒绝|拒绝|不允许的操作|认证失败|未授权",
        r"连接超时|超时|连接被拒绝|无法连接|不可达|连接失败|地址已在使用|地址已被占用|打开的文件过多",
        r"没有那个文件或目录|找不到|未找到|不存在|未知的名称或服务|命令未找到|不能解析|无法解析",
        r"段错误|核心已转储|崩溃|证书已过期|服务不可用",
    ),
    _clue(
        70,
        r"\b(?:error|errors|failed|failure|exception|traceback|critical|emerg|alert)\b",
        r"\b(?:cannot|can't|could not|unable to|denied|refused|invalid|aborted|stopped unexpectedly)\b",
        r"\w+(?:Error|Exception)\b|prematurely|not responding|unhealthy",
        r"错误|失败|异常|无法|不能|出错|告警|报警|严重|致命|中断|无效",
    ),
    _clue(40, r"\bwarn(?:ing)?\b|deprecated|degraded|retry(?:ing)?\b|警告|注意|重试第|第 ?\d+ ?次重试"),
)
_CODES: Final = (
    _clue(
        35,
        r"exit(?:ed)?(?: with)?(?: code| status)?[ :=]*[1-9]\d{0,2}\b|status=[1-9]\d*|code[ :=]+[1-9]\d*",
        r"\b0x[0-9a-f]{8}\b|\berrno\b|\bHTTP[ /][\d. ]*[45]\d\d\b|\b50[0234]\b",
        r"退出码[ :：为是]*[1-9]\d*|(?:错误|状态|返回)(?:代)?码[ :：为是]*-?\w+|signal \d+|信号 ?\d+",
    ),
)
_THINGS: Final = (
    _clue(20, r"[\w@.-]+\.(?:service|socket|timer|mount|target|slice)\b"),
    _clue(15, r"(?<![\d.])(?:9[5-9]|100)(?:\.\d+)?%|\b(?:FATAL|ERROR|CRIT|PANIC)\b|【P[0-2]】"),
)
_PROMPT: Final = re.compile(
    r"^\s*(?:\[?[\w.-]{1,64}@[\w.-]{1,64}[^$#>]{0,80}[$#]|[$#]|(?:PS )?[A-Z]:\\[^>]{0,200}>|>>>) ?\S"
)
_PROMPTED: Final = 45
_HARMLESS: Final = re.compile(
    r"\b(?:0|no) (?:errors?|fail(?:ed|ures)?|warnings?)\b|status=0/SUCCESS|\bsucceeded\b|error[_-]?log|errors=|"
    r"\b(?:INFO|DEBUG|TRACE)\b|(?:没有|无|0 ?个)(?:错误|异常|告警)|成功",
)
_FIGURES: Final = re.compile(r"[0-9]+")


def find_highlights(lines: Iterable[str]) -> tuple[str, ...]:
    """At most MAX_HIGHLIGHTS of the lines, the most telling first; lines that differ in figures alone count once."""
    found: dict[str, tuple[int, int, str]] = {}
    for place, line in enumerate(lines):
        text = line.strip()[:MAX_LENGTH]
        if (points := score(text)) >= MIN_SCORE:
            found.setdefault(_FIGURES.sub("0", text), (-points, place, text))
    return tuple(text for _, _, text in sorted(found.values())[:MAX_HIGHLIGHTS])


def score(line: str) -> int:
    """How much a line tells."""
    groups = (_TROUBLES, _CODES, _THINGS)
    total = sum(next((points for points, clue in group if clue.search(line)), 0) for group in groups)
    if _PROMPT.match(line):
        total = _PROMPTED  # what was typed is no error, whatever it names
    return total - 60 if _HARMLESS.search(line) else total
