"""Explicit commands, `@target command…`: the words are sent to the machine unchanged.

    @web-1 df -h   @web-1: df -h        one machine
    @web-1,web-2 uptime                 several; `@web-1 @web-2 uptime` is the same
    @web-* uptime   @role=web uptime    a pattern, a label (see hub.core.inventory)
    @web-1 timeout=5m in=/srv/app ls    options of ours come first: time limit and working directory
    @web-1 -- in=odd                    `--` ends them
    @web-1 ps aux | grep nginx          filters of our own behind it (common.command.output_filters)

`＠` and full-width targets are accepted. There is no shell behind it (`common.command.grammar`), and the program's name
stays as typed: policy resolves it.
"""

from __future__ import annotations

import re
from typing import Final

from common.catalogue import Sentence
from common.command.grammar import BadLine, is_printable_text, tokenize_pipeline
from common.command.output_filters import BadFilter, FilterWords, parse_filters
from common.plan import DEFAULT_TIME_LIMIT, MAX_TIME_LIMIT, BadPlan, Plan, Step
from common.text import clean
from common.values import parse_whole_seconds
from hub.core.cures import cure_line
from hub.core.inventory import Inventory, NoTarget, resolve
from hub.core.outcome import CannotPlan, Planned, PlanningContext, PlanningOutcome
from hub.planning.runbooks.matcher import is_name_of_machine
from hub.planning.runbooks.tokens import fold_width

_BLANKS: Final = " \t\u3000"
_TARGET: Final = re.compile(rf"[{_BLANKS}]*[@＠]([^\s:：]*)[:：]?")
_OPTION: Final = re.compile(rf"[{_BLANKS}]*([a-z][a-z_]*)=(\S*)")
_ENDED: Final = re.compile(rf"[{_BLANKS}]*--(?=[{_BLANKS}]|$)")
_ASSIGNMENT: Final = re.compile(rf"[{_BLANKS}]*([A-Z_][A-Z0-9_]*)=")
OPTIONS: Final = ("timeout", "in")
MAX_FOLDER: Final = 1_024


class _Refused(Exception):
    def __init__(self, key: str, **values: object) -> None:
        super().__init__(key)
        self.sentence = Sentence(key, dict(values))


class _BadCommand(Exception):
    """A command that the grammar refuses; `sentence` counts positions from the beginning of the message."""

    def __init__(self, line: str, error: BadLine | BadFilter, sentence: Sentence) -> None:
        super().__init__(str(error))
        self.line = line
        self.error = error
        self.sentence = sentence


class ExplicitPlanner:
    """The planner of explicit commands: answers every message that begins with `@`, and no other."""

    def plan(self, context: PlanningContext) -> PlanningOutcome | None:
        text = context.text.strip()
        if not text.startswith(("@", "＠")):
            return None
        expression, rest = _split_targets(text, context.inventory)
        try:
            targets = resolve(expression, context.inventory)
            options, line = _split_options(rest)
            argv, filters = _split_command(line, text[: len(text) - len(rest)].strip(), len(text) - len(line))
            time_limit = _parse_time_limit(options["timeout"]) if "timeout" in options else DEFAULT_TIME_LIMIT
            folder = _parse_folder(options["in"]) if "in" in options else ""
            step = Step(argv=argv, targets=targets, time_limit=time_limit, cwd=folder, filters=filters)
            return Planned(Plan((step,)))
        except NoTarget as error:
            return CannotPlan(error.sentence, "target")
        except _BadCommand as error:
            cure = cure_line(error.line, error.error, f"@{expression}", lambda argv: context.allows(argv, targets[0]))
            said = error.sentence if cure is None else Sentence("cured", {"said": error.sentence, "cure": cure})
            return CannotPlan(said, "grammar")
        except _Refused as error:
            return CannotPlan(error.sentence, "command")
        except BadPlan as error:
            return CannotPlan(Sentence("explicit_too_large", {"problem": str(error)}), "command")


def _split_targets(text: str, inventory: Inventory) -> tuple[str, str]:
    """The target expression of all leading `@` words, and the rest of the text."""
    parts: list[str] = []
    while found := _TARGET.match(text):
        parts.append(fold_width(found[1]))
        text = text[found.end() :]
    # "@web-1, @web-2" is a list too, and "@web-1, df -h" speaks to one; before a machine a comma is refused as a gap.
    follows = (text.split(maxsplit=1) or [""])[0].rstrip(",:")
    listed = is_name_of_machine(follows) or follows.casefold() in inventory.by_casefold
    parts = [part.removesuffix(",") for part in parts[:-1]] + [
        part if listed or not follows else part.removesuffix(",") for part in parts[-1:]
    ]
    return ",".join(parts), text


def _split_command(line: str, target: str, offset: int) -> tuple[tuple[str, ...], tuple[FilterWords, ...]]:
    """The argument vector of `line`, which begins at `offset` of the message, and the filters behind it; positions in
    errors count from there.
    """
    shown = clean(target, limit=80)
    if not line.strip():
        raise _Refused("explicit_no_command", target=shown)
    if assigned := _ASSIGNMENT.match(line):
        raise _Refused("explicit_environment", name=clean(assigned[1], limit=80))
    bare = line.lstrip(_BLANKS)
    try:
        argv, *stages = tokenize_pipeline(bare.rstrip(_BLANKS))
        filters = parse_filters(stages)
    except BadFilter as error:
        raise _BadCommand(bare.rstrip(_BLANKS), error, error.sentence) from None
    except BadLine as error:
        values = error.sentence.values
        if "position" in values:
            values = {**values, "position": values["position"] + offset + len(line) - len(bare)}
        raise _BadCommand(bare.rstrip(_BLANKS), error, Sentence(error.sentence.key, values)) from None
    if argv[0] == "cd":
        folder = argv[1] if len(argv) == 2 and argv[1].startswith("/") else "/srv/app"
        raise _Refused("explicit_cd", target=shown, folder=clean(folder, limit=80))
    return argv, filters


def _split_options(rest: str) -> tuple[dict[str, str], str]:
    """Our options before the command, by name, and the rest of the line."""
    found: dict[str, str] = {}
    while option := _OPTION.match(rest):
        name, value = option[1], option[2]
        if name not in OPTIONS:
            known = ", ".join(f"{one}=" for one in OPTIONS)
            raise _Refused("explicit_option", option=clean(name, limit=80), known=known)
        if name in found:
            raise _Refused("explicit_option_twice", option=name)
        found[name] = value
        rest = rest[option.end() :]
    if ended := _ENDED.match(rest):
        rest = rest[ended.end() :]
    return found, rest


def _parse_time_limit(value: str) -> int:
    limit = parse_whole_seconds(value, 1, MAX_TIME_LIMIT)
    if limit is None:
        raise _Refused("explicit_timeout", value=clean(value, limit=80), most=f"{MAX_TIME_LIMIT // 3600}h")
    return limit


def _parse_folder(value: str) -> str:
    if not value.startswith("/") or ".." in value.split("/") or len(value) > MAX_FOLDER or not is_printable_text(value):
        raise _Refused("explicit_folder", value=clean(value, limit=80))
    return value.rstrip("/") or "/"
