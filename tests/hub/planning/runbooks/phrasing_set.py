"""The phrasings of `phrasings/*.txt`, the fleet they speak of, and how well runbooks answer them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from common.catalogue import detect_language
from common.plan import Plan
from hub.core.inventory import Inventory, Machine
from hub.core.outcome import CannotPlan, Planned, PlanningContext, PlanningOutcome
from hub.planning.runbooks.matcher import RunbookMatcher

FOLDER: Final = Path(__file__).parent / "phrasings"
LANGUAGES: Final = ("en", "zh", "mixed")
Want = Literal["plan", "question", "nothing"]

ROLES: Final = {
    "web-1": "web",
    "web-2": "web",
    "web-3": "web",
    "db-1": "db",
    "db-2": "db",
    "cache-1": "cache",
    "mars": "misc",
}
MACHINES: Final = Inventory(
    {
        name: Machine(name, {"role": role, "env": "prod" if name in ("web-1", "db-1") else "test"}, online=True)
        for name, role in ROLES.items()
    }
)


@dataclass(frozen=True, slots=True)
class Phrasing:
    text: str
    language: str
    want: Want
    about: str  # the runbook, or why nothing is planned
    targets: tuple[str, ...] = ()
    slots: tuple[tuple[str, str], ...] = ()

    held_out: bool = False  # written afterwards, and the matcher was not tuned with it

    def plan(self, runbooks: RunbookMatcher) -> Plan | None:
        """What must be planned."""
        named = {runbook.name: runbook for runbook in runbooks.runbooks}.get(self.about)
        return None if named is None or self.want != "plan" else named.plan(dict(self.slots), self.targets, "en")


@dataclass
class Score:
    """Counts of one set of phrasings; what went wrong, by text."""

    right: int = 0  # planned as it must be
    wrong: list[str] = field(default_factory=list)  # planned, and something else or nothing was meant
    missed: list[str] = field(default_factory=list)  # must be planned and is not
    asked: int = 0  # the question that it must be
    unasked: list[str] = field(default_factory=list)
    silent: int = 0  # nothing was planned, and nothing should be
    count: int = 0

    @property
    def precision(self) -> float:
        return self.right / max(1, self.right + len(self.wrong))

    @property
    def recall(self) -> float:
        """Of what must be planned, the share that is, and rightly."""
        return self.right / max(1, self.right + len(self.missed))

    @property
    def asking(self) -> float:
        return self.asked / max(1, self.asked + len(self.unasked))


def read() -> list[Phrasing]:
    return [
        parse(line, language, held_out)
        for held_out, folder in ((False, FOLDER), (True, FOLDER / "held_out"))
        for language in LANGUAGES
        for line in (folder / f"{language}.txt").read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.startswith("#")
    ]


def parse(line: str, language: str, held_out: bool = False) -> Phrasing:
    """Raises ValueError for a line that is none."""
    text, arrow, want = line.rpartition(" => ")
    words = want.split()
    if not arrow or len(words) < 2:
        raise ValueError(line)
    if words[0] in ("?", "-"):
        kind: Want = "question" if words[0] == "?" else "nothing"
        return Phrasing(text, language, kind, " ".join(words[1:]), held_out=held_out)
    slots = tuple((name, value) for name, _, value in (word.partition("=") for word in words[2:]))
    return Phrasing(text, language, "plan", words[0], tuple(words[1].split(",")), slots, held_out)


def context(text: str, inventory: Inventory = MACHINES) -> PlanningContext:
    return PlanningContext(text, detect_language(text), "alice", ("operator",), inventory, 1_000.0)


def score(runbooks: RunbookMatcher, phrasings: Iterable[Phrasing], word_for_word: bool = False) -> Score:
    """`word_for_word` is the comparison without meanings, for measure."""
    found = Score()
    plan = runbooks.plan_exactly if word_for_word else runbooks.plan
    for one in phrasings:
        found.count += 1
        outcome = plan(context(one.text))
        shown = f"{one.text}  =>  {_shown(outcome)}"
        if isinstance(outcome, Planned):
            wanted = one.plan(runbooks)
            if wanted is not None and (outcome.plan.steps, outcome.plan.source) == (wanted.steps, wanted.source):
                found.right += 1
            else:
                found.wrong.append(shown)
                if one.want == "plan":
                    found.missed.append(shown)
        elif one.want == "plan":
            found.missed.append(shown)
        elif one.want == "nothing":
            found.silent += 1
        elif _offers(runbooks, outcome, one.about):
            found.asked += 1
        else:
            found.unasked.append(shown)
    return found


def _offers(runbooks: RunbookMatcher, outcome: PlanningOutcome | None, name: str) -> bool:
    """Whether a question holds a phrase that is planned by the runbook, once it is sent."""
    if not isinstance(outcome, CannotPlan) or not isinstance(phrase := outcome.sentence.values.get("phrase"), str):
        return False
    answer = runbooks.plan(context(phrase))
    return isinstance(answer, Planned) and answer.plan.source == f"runbook:{name}"


def _shown(outcome: PlanningOutcome | None) -> str:
    match outcome:
        case Planned(plan):
            return f"{plan.source} {','.join(plan.steps[0].targets)} {' '.join(plan.steps[0].argv)}"
        case CannotPlan(sentence, code):
            return f"[{code}] {sentence.key} {sentence.values.get('phrase', sentence.values.get('choices', ''))}"
        case _:
            return "-"


def table(runbooks: RunbookMatcher, phrasings: Sequence[Phrasing]) -> str:
    """Precision and recall by half and language; last, on what was held out, without meanings."""
    heads = ("messages", "to plan", "planned", "wrong", "precision", "recall", "asked back")
    lines = [f"{'':<20}" + "".join(f"{head:>11}" for head in heads)]
    for half, held_out in (("tuned with", False), ("held out", True), ("word for word", True)):
        for language in (*LANGUAGES, "all"):
            chosen = [one for one in phrasings if one.held_out is held_out and language in (one.language, "all")]
            found, counts = score(runbooks, chosen, half == "word for word"), Counter(one.want for one in chosen)
            figures = [
                str(len(chosen)),
                str(counts["plan"]),
                str(found.right + len(found.wrong)),
                str(len(found.wrong)),
            ]
            figures += [f"{found.precision:.3f}", f"{found.recall:.3f}", f"{found.asked} of {counts['question']}"]
            lines.append(f"{half + ', ' + language:<20}" + "".join(f"{figure:>11}" for figure in figures))
    return "\n".join(lines)
