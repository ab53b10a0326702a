"""make phrases: what people type, said to a real hub with two machines, and what they are answered.

    python tests/end_to_end/phrases.py [en|zh]

Each line is who says it, the words, and what the answer must have. `{asked}` is the request that waits for a yes.
`test_phrases` runs the same lines as a test.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests.end_to_end.system import SystemHarness, running_system

MACHINES: Final = ("web-1", "web-2")
QUESTION: Final = "r{asked}"
"""What is wanted where it must be asked about; the request is the one that waits from then on."""
APPROVED: Final = ("approved by bob", "已由 bob 批准")
"""Where these are wanted the outcome is waited for."""


@dataclass(frozen=True, slots=True)
class Line:
    who: str
    text: str
    wants: str  # in the text of the answer, or `program @machine` of a job that ran


ENGLISH: Final = (
    Line("carol", "hi", "uptime"),
    Line("vera", "hello", "machines"),
    Line("carol", "what can you do?", "For example"),
    Line("carol", "thanks!", "welcome"),
    Line("carol", "are you there?", "uptime"),
    Line("carol", "help", "help commands"),
    Line("carol", "help me", "help commands"),
    Line("carol", "how do I approve?", "wait for somebody's yes"),
    Line("carol", "what machines do you have?", "2 of 2"),
    Line("bob", "help approvals", "approve r12"),
    Line("carol", "help disk", "disk on web-"),
    Line("carol", "@web-1: uptime", "uptime @web-1"),
    Line("carol", "web-1 df -h", "df @web-1"),
    Line("carol", "df -h on web-1", "df @web-1"),
    Line("carol", "run df -h / on web-1", "df @web-1"),
    Line("carol", "`@web-1 df -h`", "df @web-1"),
    Line("carol", "```\n@web-2 uptime\n```", "uptime @web-2"),
    Line("carol", "hey bot, uptime on web-2", "uptime @web-2"),
    Line("carol", "uptime on all machines", "uptime @web-2"),
    Line("carol", "root@web-1:~# df -h", "df @web-1"),
    Line("carol", "$ df -h", "on which machine?"),
    Line("carol", "web-1", "df @web-1"),
    Line("carol", "run ps aux", "on which machine?"),
    Line("carol", "web-2", "ps @web-2"),
    Line("carol", "<@U1> uptime on web-2", "uptime @web-2"),
    Line("carol", "@answerback df -h on web-1", "df @web-1"),
    Line("carol", "how full is the disk?", "on which machine?"),
    Line("carol", "web-1", "df @web-1"),
    Line("carol", "web-2", "What would you like to know of web-2"),
    Line("carol", "restart nginx", "on which machine?"),
    Line("carol", "stop it", "one request at a time"),
    Line("carol", "@web-1 df -h | less", "@web-1 df -h"),
    Line("carol", "@web-1 tail -f /var/log/syslog", "@web-1 tail -n 100 /var/log/syslog"),
    Line("carol", "@web-1 sudo df -h", "@web-1 df -h"),
    Line("carol", '@web-1 "df -h"', "without them: @web-1 df -h"),
    Line("carol", "@web-1 DF -h", "its name is written: @web-1 df -h"),
    Line("carol", "@web-1 $ df -h", "Leave the prompt out: @web-1 df -h"),
    Line("carol", "@web-1 df \u2010h", "U+2010 HYPHEN"),
    Line("carol", "stop", "one request at a time"),
    Line("carol", "output", "of which request?"),
    Line("carol", "@web-1 df -h\n@web-1 uptime", "the first by itself would run: @web-1 df -h"),
    Line("carol", "@web-1 df\u200b -h", "U+200B ZERO WIDTH SPACE"),
    Line("carol", "disk on web\u20131", "U+2013 EN DASH"),
    Line("carol", "@web-1 slow one", QUESTION),
    Line("bob", "r{asked}", "waits for approval"),
    Line("bob", "show r{asked}", "Asked for: @web-1 slow one"),
    Line("bob", "reject r{asked}?", "nothing is decided by a question"),
    Line("bob", "approve r{asked}\u200b", "U+200B ZERO WIDTH SPACE"),
    Line("bob", "r{asked} approved", "Did you mean “approve r{asked}”?"),
    Line("bob", "don't approve r{asked}", "Did you mean “reject r{asked}”?"),
    Line("bob", "ok r{asked}", "Did you mean “approve r{asked}”?"),
    Line("carol", "yes", "may not approve"),
    Line("bob", "no r{asked}", "Did you mean “reject r{asked}”?"),
    Line("carol", "jobs", "No job is waiting"),
    Line("bob", "yes", "If you still mean it, send it: reject r{asked}"),
    Line("bob", "aprove r{asked}", "Did you mean “approve r{asked}”?"),
    Line("bob", "Yes!", "approved by bob"),
    Line("carol", "output r{asked}", "slow says one"),
    Line("carol", "show r{asked} output", "slow says one"),
    Line("carol", "retry r{asked}", QUESTION),
    Line("bob", "“reject request {asked}”", "is rejected"),
    Line("carol", "jobs", "No job is waiting"),
    Line("carol", "history", "slow one"),
    Line("carol", "@web-1 slow two", QUESTION),
    Line("bob", "Approve request no. {asked}", "approved by bob"),
    Line("bob", "pause web-2 for 10 min", "paused: web-2"),
    Line("carol", "machines", "paused by bob"),
    Line("bob", "resume web-2", "resumed: web-2"),
    Line("alice", "sing a song", "no language model is set up"),
    Line("alice", "sing another song", "I did not understand"),
)
CHINESE: Final = (
    Line("carol", "你好", "例如"),
    Line("carol", "谢谢", "不客气"),
    Line("carol", "帮助", "帮助 命令"),
    Line("carol", "求助", "帮助 命令"),
    Line("carol", "怎么批准？", "可以批准的人"),
    Line("bob", "帮助：审批", "批准 r12"),
    Line("carol", "帮助 磁盘", "磁盘"),
    Line("carol", "＠web-1：uptime", "uptime @web-1"),
    Line("carol", "web-1：df -h", "df @web-1"),
    Line("carol", "在 web-1 上执行 df -h", "df @web-1"),
    Line("carol", "执行 uptime 在 web-2 上", "uptime @web-2"),
    Line("carol", "在所有机器上执行 uptime", "uptime @web-2"),
    Line("carol", "运行 ps aux", "在哪台机器上"),
    Line("carol", "web-2", "ps @web-2"),
    Line("carol", "@web-1 df -h。", "Without the “。” at its end: @web-1 df -h"),
    Line("carol", "停", "一次只能处理一个请求"),
    Line("carol", "看看磁盘", "在哪台机器上"),
    Line("carol", "web-1 上", "df @web-1"),
    Line("carol", "@web-1 slow 1", QUESTION),
    Line("bob", "查看 r{asked}", "原始请求"),
    Line("bob", "查看 r{asked} 的输出", "还没有输出"),
    Line("bob", "别批准 r{asked}", "您是想说 “拒绝 r{asked}” 吗"),
    Line("bob", "拒绝 r{asked} 吗？", "问句不会作出任何决定"),
    Line("bob", "批准 第{asked}号\u200b", "U+200B"),
    Line("bob", "好", "已由 bob 批准"),
    Line("carol", "输出 r{asked}", "slow says 1"),
    Line("bob", "不 r{asked}", "您是想说"),
    Line("bob", "好", "不在等待审批"),
    Line("carol", "重试 r{asked}", QUESTION),
    Line("bob", "好的，请批准 第{asked}号 吧", "已由 bob 批准"),
    Line("carol", "任务", "没有等待或执行中的任务"),
    Line("carol", "历史", "slow"),
    Line("bob", "暂停 web-2 半小时", "已暂停：web-2"),
    Line("bob", "恢复 web-2", "已恢复：web-2"),
    Line("bob", "暂停 web-2 10分钟", "已暂停：web-2"),
    Line("bob", "恢复 web-2", "已恢复：web-2"),
    Line("carol", "机器", "在线"),
)


@dataclass(frozen=True, slots=True)
class Told:
    line: Line
    said: str  # the words as they were sent
    wants: str
    reply: dict[str, Any]

    @property
    def is_right(self) -> bool:
        ran = [f"{job['argv'][0].rpartition('/')[2]} @{job['agent']}" for job in self.reply["jobs"]]
        return self.wants in ran or self.wants in str(self.reply["text"])


async def talk(house: SystemHarness, lines: Sequence[Line]) -> list[Told]:
    """Says every line, one after the other."""
    told, asked = [], 0
    for line in lines:
        said = line.text.replace("{asked}", str(asked))
        event, _, taken = await house.post(line.who, said)
        if line.wants == QUESTION:
            reply, asked = await house.receiver.wait_question(event), int(taken["number"])
        else:
            reply = await house.receiver.wait_final(event)
        if line.wants in APPROVED:
            await house.receiver.wait_for(lambda number=asked: ended(house, number))  # type: ignore[misc]
        told.append(Told(line, said, line.wants.replace("{asked}", str(asked)), reply))
    return told


def add_slow(house: SystemHarness) -> None:
    """What the lines ask about: a program that needs one approval."""
    house.add_program("slow", 'echo "slow says $1"\n', verdict="ask", more="approvers = 1")


def ended(house: SystemHarness, number: int) -> bool:
    """Whether the outcome of this request was told."""
    return any(
        one["kind"] == "final" and one["request"]["number"] == number and one["jobs"] for one in house.receiver.replies
    )


async def main(languages: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with running_system(Path(folder), *MACHINES, prepare=add_slow) as house:
            for language, lines in (("en", ENGLISH), ("zh", CHINESE)):
                for one in await talk(house, lines if language in languages else ()):
                    print(f"\n{one.line.who}> {one.said}" + ("" if one.is_right else f"   (wanted: {one.wants})"))
                    print("    " + str(one.reply["text"]).replace("\n", "\n    "))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:] or ("en", "zh")))
