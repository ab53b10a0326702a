"""Chat commands about machines: nothing new is handed out to them, and again it is; one that sleeps is woken.

    pause web-1   pause web-1,web-2 for 2h   pause @role=web: new disks   resume web-1
    暂停 web-1     暂停 web-1 2小时                                        恢复 web-1   继续 web-1
    wake web-1     唤醒 web-1

They must be machines that exist, and a question does nothing to them. What else is to be woken than a machine, and a
waking that is given a time, is for other planners.
"""

from __future__ import annotations

import re
from typing import Final

from common.catalogue import Sentence
from hub.core.inventory import NoTarget, resolve
from hub.core.outcome import CannotPlan, ChatCommand, ChatVerb, PlanningContext, PlanningOutcome
from hub.planning.chat_words import COURTESY_BEFORE, END, is_question
from hub.planning.runbooks.matcher import is_name_of_machine
from hub.planning.runbooks.tokens import fold_width

MAX_MACHINES: Final = 500
MAX_PAUSE: Final = 30 * 86_400
MAX_REASON: Final = 200
MAX_LENGTH: Final = 1_000

_VERBS: Final[dict[str, ChatVerb]] = {
    **dict.fromkeys(("pause", "suspend", "暂停", "暫停"), "pause"),
    **dict.fromkeys(("wake", "wake up", "唤醒", "喚醒"), "wake"),
    **dict.fromkeys(("resume", "unpause", "恢复", "恢復", "取消暂停", "继续", "繼續"), "resume"),
}
_WORDS: Final = "|".join(sorted(_VERBS, key=len, reverse=True))  # of two that begin alike the longer first
_HEAD: Final = re.compile(
    rf"{COURTESY_BEFORE}(?P<verb>{_WORDS})(?<![A-Za-z](?=[A-Za-z]))\s{{0,3}}(?:the\s{{1,3}})?(?:(?:machine|server|host)\s{{1,3}}|机器\s{{0,3}}|服务器\s{{0,3}})?"
    r"(?P<rest>.+)",
    re.IGNORECASE | re.DOTALL,
)
_PART: Final = r"@?[A-Za-z0-9._*?=-]+"
_COUNTS: Final = {
    **{"half an": 0.5, "a": 1.0, "an": 1.0, "one": 1.0, "two": 2.0, "three": 3.0, "半": 0.5, "两": 2.0, "兩": 2.0},
    **{digit: float(value) for value, digit in enumerate("一二三四五六七八九十", 1)},
}
_UNITS: Final = {"s": 1, "秒": 1, "m": 60, "分": 60, "h": 3_600, "小": 3_600, "d": 86_400, "天": 86_400}
_REST: Final = re.compile(
    rf"(?P<where>{_PART}(?:\s{{0,3}}(?:,|\band\b|和|与|、)\s{{0,3}}{_PART})*)"
    rf"(?:(?:\s{{0,3}}(?:for|,)?\s{{1,3}}|(?=[半两兩一二三四五六七八九十]))(?P<count>[0-9]{{1,4}}|{'|'.join(_COUNTS)})\s{{0,3}}个?"
    r"(?P<unit>s(?:ec(?:onds?)?)?|m(?:in(?:utes?)?)?|h(?:ours?)?|d(?:ays?)?|秒|分钟|小时|天)(?![A-Za-z]))?"
    r"(?:\s{0,3}(?::|,|\bbecause\b|因为)\s{0,3}(?P<why>.+))?",
    re.IGNORECASE | re.DOTALL,
)


class MachineCommandPlanner:
    def plan(self, context: PlanningContext) -> PlanningOutcome | None:
        text = context.text.strip()
        if text.startswith("@"):
            return None
        found = _HEAD.fullmatch(fold_width(text)) if len(text) <= MAX_LENGTH else None
        if found is None:
            return None
        asked = is_question(found["rest"])
        rest = _REST.fullmatch(END.sub("", found["rest"].rstrip("?吗么呢 "), count=1))
        if rest is None or (rest["count"] and _VERBS[found["verb"].casefold()] == "wake"):
            return None
        where = re.sub(r"\s{0,3}(?:,|\band\b|和|与|、)\s{0,3}", ",", rest["where"]).replace("@", "")
        try:
            targets = resolve(where, context.inventory, MAX_MACHINES)
        except NoTarget as error:
            meant = is_name_of_machine(where) or any(sign in where for sign in ",=*?") or "@" in rest["where"]
            return CannotPlan(error.sentence, "target") if meant else None
        verb = _VERBS[found["verb"].casefold()]
        if asked:
            values = {"verb": Sentence(f"verb_{verb}"), "machines": where}
            return CannotPlan(Sentence("machine_question", values), "question")
        seconds = None if rest["count"] is None else _count(rest["count"]) * _UNITS[rest["unit"][0].casefold()]
        if seconds is not None and not 0 < seconds <= MAX_PAUSE:
            return CannotPlan(Sentence("pause_past"), "act")
        why = (rest["why"] or "").strip()[:MAX_REASON]
        return ChatCommand(verb, why=why, targets=targets, seconds=seconds if verb == "pause" else None)


def _count(written: str) -> float:
    """A number in figures or as a word: 2, 两, an."""
    return float(written) if written.isdecimal() else _COUNTS[written.casefold()]
