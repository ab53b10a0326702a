"""Parses a model's answer strictly into the outcome that every planner returns. Pure.

Nothing is repaired: an extra field, an unknown machine, a program that the person may not use or a value that does not
fit a runbook's slot raise InvalidAnswer, with a reason that can be sent to the model. Text of a model for people is
only ever shown as text: on one line, bounded, and marked as the model's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from common.catalogue import Language, translate
from common.command.grammar import is_printable_text
from common.plan import MAX_ARG_CHARS, BadPlan, Plan, Step
from hub.core.chat_text import inline_text
from hub.core.inventory import MAX_TARGETS, Inventory, NoTarget, resolve
from hub.core.outcome import PlainAnswer, Planned, PlanningOutcome
from hub.core.strict_json import BadBody, parse
from hub.planning.llm.permissions import Permissions
from hub.planning.llm.redact import SECRET
from hub.planning.llm.schema import KINDS, MAX_MACHINES, MAX_REASON, MAX_SAY, MAX_STEPS, RISKS
from hub.planning.runbooks.runbook import Runbook

MAX_ANSWER: Final = 32 * 1024  # characters
MAX_ARGUMENTS: Final = 64
MAX_SOURCE: Final = 120


class InvalidAnswer(ValueError):
    """A malformed answer; `str()` says why, worded for the model."""


@dataclass(frozen=True, slots=True)
class AnswerScope:
    """The machines, runbooks and programs that an answer may name."""

    inventory: Inventory
    runbooks: Mapping[str, Runbook]
    permissions: Permissions


@dataclass(frozen=True, slots=True)
class ParsedAnswer:
    """A well-formed answer."""

    kind: str  # one of KINDS
    outcome: PlanningOutcome | None  # None: the model does not know
    risk: str = ""  # the highest of its steps
    text: str = ""  # what it says or asks, without our words around it


def parse_answer(text: str, scope: AnswerScope, language: Language, source: str, *, tainted: bool) -> ParsedAnswer:
    """The outcome of an answer; raises InvalidAnswer. `source` goes into the plan, as in "model:gpu-1/qwen3"."""
    if len(text) > MAX_ANSWER:
        raise InvalidAnswer(f"the answer is longer than {MAX_ANSWER} characters")
    try:
        body = parse(text.encode("utf-8", "surrogatepass"))
    except BadBody as error:
        raise InvalidAnswer(str(error).replace("the body", "the answer")) from None
    answer = _exact_fields(body, ("answer",), "the answer")["answer"]
    if not isinstance(answer, dict) or answer.get("kind") not in KINDS:
        raise InvalidAnswer(f"kind must be one of {', '.join(KINDS)}")
    try:
        match answer["kind"]:
            case "runbook":
                return _parse_runbook(answer, scope, language, source, tainted)
            case "commands":
                return _parse_commands(answer, scope, language, source, tainted)
            case "unknown":
                _exact_fields(answer, ("kind", "text"), "unknown")
                return ParsedAnswer("unknown", None)
            case kind:
                words = _text_field(_exact_fields(answer, ("kind", "text"), kind), "text", MAX_SAY).strip()
                if not words:
                    raise InvalidAnswer("text is empty")
                shown = translate(
                    language, "model_asks" if kind == "ask" else "model_says", text=inline_text(words, MAX_SAY)
                )
                return ParsedAnswer(kind, PlainAnswer(shown, asks=kind == "ask"), text=words)
    except BadPlan as error:
        raise InvalidAnswer(f"not a plan: {error}") from None


def _parse_runbook(
    answer: Mapping[str, Any], scope: AnswerScope, language: Language, source: str, tainted: bool
) -> ParsedAnswer:
    fields = _exact_fields(answer, ("kind", "runbook", "values", "machines", "why", "risk", "risk_why"), "runbook")
    name = _text_field(fields, "runbook", 128)
    runbook = scope.runbooks.get(name)
    if runbook is None:
        raise InvalidAnswer(f"there is no runbook {_excerpt(name)}")
    given = fields["values"]
    if not isinstance(given, dict) or not given.keys() <= runbook.slots.keys():
        raise InvalidAnswer(f"values of {name} must be an object with no other keys than {sorted(runbook.slots)}")
    values: dict[str, str] = {}
    for key, slot in runbook.slots.items():
        word = _text_field(given, key, MAX_ARG_CHARS) if key in given else ""
        if not word and slot.default is not None:
            continue
        value = slot.convert(word) if word and SECRET not in word else None
        if value is None:
            raise InvalidAnswer(f"the value of {key} in {name} must be a {slot.type}, taken from the message")
        values[key] = value
    plan = runbook.plan(values, _parse_machines(fields, scope.inventory), language)
    risk, why = _parse_risk(fields, language)
    if runbook.changes and risk == "low":
        risk = "medium"
    head = translate(language, "model_runbook", name=runbook.name, title=runbook.title_in(language))
    return _plan_answer("runbook", replace(plan, source=source), [head, why], risk, tainted)


def _parse_commands(
    answer: Mapping[str, Any], scope: AnswerScope, language: Language, source: str, tainted: bool
) -> ParsedAnswer:
    given = _exact_fields(answer, ("kind", "steps"), "commands")["steps"]
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_STEPS:
        raise InvalidAnswer(f"steps must be a list of 1 to {MAX_STEPS}")
    steps, lines, worst = [], [], 0
    for index, one in enumerate(given, 1):
        fields = _exact_fields(one, ("program", "arguments", "machines", "why", "risk", "risk_why"), f"step {index}")
        argv = _parse_argv(fields, scope.permissions)
        steps.append(Step(argv=argv, targets=_parse_machines(fields, scope.inventory)))
        risk, why = _parse_risk(fields, language)
        worst = max(worst, RISKS.index(risk))
        lines.append(f"{index}. {why}" if len(given) > 1 else why)
    # Commands that a model wrote always need approval; a runbook that it picked may not.
    plan = Plan(tuple(steps), source=source, proposed=True)
    return _plan_answer("commands", plan, lines, RISKS[worst], tainted)


def _plan_answer(kind: str, plan: Plan, lines: Sequence[str], risk: str, tainted: bool) -> ParsedAnswer:
    """The parsed plan; one that the model itself rates above low risk needs a person, as a tainted one does."""
    plan = replace(plan, explanation="\n".join(lines), tainted=tainted or risk != "low")
    return ParsedAnswer(kind, Planned(plan), risk)


def _parse_argv(fields: Mapping[str, Any], permissions: Permissions) -> tuple[str, ...]:
    program = _text_field(fields, "program", MAX_ARG_CHARS)
    if program not in permissions.programs and not (permissions.any_path and program.startswith("/")):
        raise InvalidAnswer(f"{_excerpt(program)} is not in the list of programs")
    arguments = fields["arguments"]
    if not isinstance(arguments, list) or len(arguments) > MAX_ARGUMENTS:
        raise InvalidAnswer(f"arguments must be a list of at most {MAX_ARGUMENTS} strings")
    for word in arguments:
        if not isinstance(word, str):
            raise InvalidAnswer("arguments must be strings")
        if SECRET in word:
            raise InvalidAnswer(f"{SECRET} cannot be used in a command")
        if not is_printable_text(word):
            raise InvalidAnswer("an argument has a character in it that cannot be seen")
    return (program, *arguments)


def _parse_machines(fields: Mapping[str, Any], inventory: Inventory) -> tuple[str, ...]:
    """The machines of the expressions, each of which must match at least one."""
    given = fields["machines"]
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_MACHINES:
        raise InvalidAnswer(f"machines must be a list of 1 to {MAX_MACHINES}")
    found: set[str] = set()
    for one in given:
        if not isinstance(one, str) or len(one) > 200 or "," in one:
            raise InvalidAnswer("machines must be names or label=value, each a string of its own")
        try:
            found.update(resolve(one, inventory))
        except NoTarget:
            raise InvalidAnswer(f"no machine is meant by {_excerpt(one)}") from None
    if len(found) > MAX_TARGETS:
        raise InvalidAnswer(f"{len(found)} machines are more than the {MAX_TARGETS} of one plan")
    return tuple(sorted(found))


def _parse_risk(fields: Mapping[str, Any], language: Language) -> tuple[str, str]:
    risk = _text_field(fields, "risk", 16)
    if risk not in RISKS:
        raise InvalidAnswer(f"risk must be one of {', '.join(RISKS)}")
    why, because = (
        inline_text(_text_field(fields, key, MAX_REASON), MAX_REASON).strip() for key in ("why", "risk_why")
    )
    return risk, translate(language, f"model_risk_{risk}", why=why or "-", because=because or "-")


def _exact_fields(value: object, names: tuple[str, ...], what: str) -> Mapping[str, Any]:
    """`value` as an object with exactly these fields; raises InvalidAnswer."""
    if not isinstance(value, dict) or value.keys() != set(names):
        raise InvalidAnswer(f"{what} must be an object with exactly the fields {', '.join(names)}")
    return value


def _text_field(fields: Mapping[str, Any], name: str, limit: int) -> str:
    value = fields[name]
    if not isinstance(value, str) or len(value) > limit:
        raise InvalidAnswer(f"{name} must be a string of at most {limit} characters")
    return value


def _excerpt(text: str) -> str:
    """A model's text as quoted in an error for it: one line, at most 60 characters."""
    return inline_text(text, 60)


def plan_source(node: str, model: str) -> str:
    """`Plan.source` of a model's plan, such as "model:gpu-1/qwen3"."""
    return inline_text(f"model:{node}/{model}", MAX_SOURCE)
