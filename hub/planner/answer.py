"""A model's answer, read strictly into the outcome that every planner gives. Pure.

Nothing is repaired: a field too many, a machine that is not there, a program that the person may not use, a word that
does not fit a runbook's place make the answer Unfit, with a reason that the model can be told. What a model says for
people to read is theirs as words and never as anything else: one line, bounded, and marked as the model's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from common.catalogue import Language, say
from common.grammar import is_showable
from common.plan import MAX_ARG_CHARS, BadPlan, Plan, Step
from hub.intake_json import BadBody, parse
from hub.machines import MAX_TARGETS, Inventory, NoTarget, resolve
from hub.plan.outcome import Outcome, Planned, Said
from hub.plan.runbook import Runbook
from hub.planner.redact import SECRET
from hub.planner.rights import Rights
from hub.planner.schema import KINDS, MAX_MACHINES, MAX_SAY, MAX_STEPS, MAX_WHY, RISKS
from hub.wording import prose

MAX_ANSWER: Final = 32 * 1024  # characters
MAX_ARGUMENTS: Final = 64
MAX_SOURCE: Final = 120


class Unfit(ValueError):
    """An answer that is not of the form; `str()` says why, in words for the model."""


@dataclass(frozen=True, slots=True)
class World:
    """What an answer may name."""

    inventory: Inventory
    runbooks: Mapping[str, Runbook]
    rights: Rights


@dataclass(frozen=True, slots=True)
class Read:
    """An answer that is of the form."""

    kind: str  # one of KINDS
    outcome: Outcome | None  # None: the model does not know
    risk: str = ""  # the highest of its steps
    words: str = ""  # what it says or asks, without what is said around it


def read_answer(text: str, world: World, language: Language, source: str, *, tainted: bool) -> Read:
    """The outcome of an answer; raises Unfit. `source` goes into the plan, as in "model:gpu-1/qwen3"."""
    if len(text) > MAX_ANSWER:
        raise Unfit(f"the answer is longer than {MAX_ANSWER} characters")
    try:
        whole = parse(text.encode("utf-8", "surrogatepass"))
    except BadBody as error:
        raise Unfit(str(error).replace("the body", "the answer")) from None
    answer = _fields(whole, ("answer",), "the answer")["answer"]
    if not isinstance(answer, dict) or answer.get("kind") not in KINDS:
        raise Unfit(f"kind must be one of {', '.join(KINDS)}")
    try:
        match answer["kind"]:
            case "runbook":
                return _runbook(answer, world, language, source, tainted)
            case "commands":
                return _commands(answer, world, language, source, tainted)
            case "unknown":
                _fields(answer, ("kind", "text"), "unknown")
                return Read("unknown", None)
            case kind:
                words = _text(_fields(answer, ("kind", "text"), kind), "text", MAX_SAY).strip()
                if not words:
                    raise Unfit("text is empty")
                said = say(language, "model_asks" if kind == "ask" else "model_says", text=prose(words, MAX_SAY))
                return Read(kind, Said(said, asks=kind == "ask"), words=words)
    except BadPlan as error:
        raise Unfit(f"not a plan: {error}") from None


def _runbook(answer: Mapping[str, Any], world: World, language: Language, source: str, tainted: bool) -> Read:
    fields = _fields(answer, ("kind", "runbook", "values", "machines", "why", "risk", "risk_why"), "runbook")
    name = _text(fields, "runbook", 128)
    runbook = world.runbooks.get(name)
    if runbook is None:
        raise Unfit(f"there is no runbook {_shown(name)}")
    given = fields["values"]
    if not isinstance(given, dict) or not given.keys() <= runbook.slots.keys():
        raise Unfit(f"values of {name} must be an object with no other keys than {sorted(runbook.slots)}")
    values: dict[str, str] = {}
    for key, slot in runbook.slots.items():
        word = _text(given, key, MAX_ARG_CHARS) if key in given else ""
        if not word and slot.default is not None:
            continue
        value = slot.value(word) if word and SECRET not in word else None
        if value is None:
            raise Unfit(f"the value of {key} in {name} must be a {slot.type}, taken from the message")
        values[key] = value
    plan = runbook.plan(values, _machines(fields, world.inventory), language)
    risk, why = _judgement(fields, language)
    if runbook.changes and risk == "low":
        risk = "medium"
    head = say(language, "model_runbook", name=runbook.name, title=runbook.titled(language))
    return _planned("runbook", replace(plan, source=source), [head, why], risk, tainted)


def _commands(answer: Mapping[str, Any], world: World, language: Language, source: str, tainted: bool) -> Read:
    given = _fields(answer, ("kind", "steps"), "commands")["steps"]
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_STEPS:
        raise Unfit(f"steps must be a list of 1 to {MAX_STEPS}")
    steps, lines, worst = [], [], 0
    for index, one in enumerate(given, 1):
        fields = _fields(one, ("program", "arguments", "machines", "why", "risk", "risk_why"), f"step {index}")
        argv = _argv(fields, world.rights)
        steps.append(Step(argv=argv, targets=_machines(fields, world.inventory)))
        risk, why = _judgement(fields, language)
        worst = max(worst, RISKS.index(risk))
        lines.append(f"{index}. {why}" if len(given) > 1 else why)
    # What a model wrote itself always waits for a yes; what it picked from the runbooks may not need to.
    plan = Plan(tuple(steps), source=source, proposed=True)
    return _planned("commands", plan, lines, RISKS[worst], tainted)


def _planned(kind: str, plan: Plan, lines: Sequence[str], risk: str, tainted: bool) -> Read:
    """What the model itself holds to be more than reading never runs without a person either."""
    plan = replace(plan, explanation="\n".join(lines), tainted=tainted or risk != "low")
    return Read(kind, Planned(plan), risk)


def _argv(fields: Mapping[str, Any], rights: Rights) -> tuple[str, ...]:
    program = _text(fields, "program", MAX_ARG_CHARS)
    if program not in rights.programs and not (rights.any_path and program.startswith("/")):
        raise Unfit(f"{_shown(program)} is not in the list of programs")
    arguments = fields["arguments"]
    if not isinstance(arguments, list) or len(arguments) > MAX_ARGUMENTS:
        raise Unfit(f"arguments must be a list of at most {MAX_ARGUMENTS} strings")
    for word in arguments:
        if not isinstance(word, str):
            raise Unfit("arguments must be strings")
        if SECRET in word:
            raise Unfit(f"{SECRET} cannot be used in a command")
        if not is_showable(word):
            raise Unfit("an argument has a character in it that cannot be seen")
    return (program, *arguments)


def _machines(fields: Mapping[str, Any], inventory: Inventory) -> tuple[str, ...]:
    """Every expression means at least one machine that is there today."""
    given = fields["machines"]
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_MACHINES:
        raise Unfit(f"machines must be a list of 1 to {MAX_MACHINES}")
    found: set[str] = set()
    for one in given:
        if not isinstance(one, str) or len(one) > 200 or "," in one:
            raise Unfit("machines must be names or label=value, each a string of its own")
        try:
            found.update(resolve(one, inventory))
        except NoTarget:
            raise Unfit(f"no machine is meant by {_shown(one)}") from None
    if len(found) > MAX_TARGETS:
        raise Unfit(f"{len(found)} machines are more than the {MAX_TARGETS} of one plan")
    return tuple(sorted(found))


def _judgement(fields: Mapping[str, Any], language: Language) -> tuple[str, str]:
    risk = _text(fields, "risk", 16)
    if risk not in RISKS:
        raise Unfit(f"risk must be one of {', '.join(RISKS)}")
    why, because = (prose(_text(fields, key, MAX_WHY), MAX_WHY).strip() for key in ("why", "risk_why"))
    return risk, say(language, f"model_risk_{risk}", why=why or "-", because=because or "-")


def _fields(value: object, names: tuple[str, ...], what: str) -> Mapping[str, Any]:
    """`value` as an object with exactly these fields."""
    if not isinstance(value, dict) or value.keys() != set(names):
        raise Unfit(f"{what} must be an object with exactly the fields {', '.join(names)}")
    return value


def _text(fields: Mapping[str, Any], name: str, limit: int) -> str:
    value = fields[name]
    if not isinstance(value, str) or len(value) > limit:
        raise Unfit(f"{name} must be a string of at most {limit} characters")
    return value


def _shown(text: str) -> str:
    """A model's word as an error for the model has it."""
    return prose(text, 60)


def source_of(node: str, model: str) -> str:
    """Who made a plan, for the plan itself."""
    return prose(f"model:{node}/{model}", MAX_SOURCE)
