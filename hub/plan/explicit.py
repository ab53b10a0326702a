"""`@target command…`: the words go to the machine as they stand.

    @web-1 df -h                        one machine
    @web-1,web-2 uptime                 several; `@web-1 @web-2 uptime` says the same
    @web-* uptime   @role=web uptime    a pattern, a label (see hub.machines)
    @web-1 timeout=5m in=/srv/app ls    our own words come first: time limit and folder
    @web-1 -- in=odd                    `--` ends our own words

`＠` and full-width targets are the same. There is no shell behind it (`common.grammar`), and the program's name stays
as the person typed it: policy finds the program.
"""

from __future__ import annotations

import re
from typing import Final

from common.catalogue import Sentence
from common.grammar import BadLine, is_showable, tokenize
from common.plan import DEFAULT_TIME_LIMIT, MAX_TIME_LIMIT, BadPlan, Plan, Step
from common.text import clean
from hub.machines import NoTarget, resolve
from hub.plan.outcome import Cannot, Context, Outcome, Planned
from hub.plan.slots import seconds
from hub.plan.words import fold_width

_BLANKS: Final = " \t\u3000"
_TARGET: Final = re.compile(rf"[{_BLANKS}]*[@＠](\S*)")
_OWN: Final = re.compile(rf"[{_BLANKS}]*([a-z][a-z_]*)=(\S*)")
_ENDED: Final = re.compile(rf"[{_BLANKS}]*--(?=[{_BLANKS}]|$)")
_ASSIGNMENT: Final = re.compile(rf"[{_BLANKS}]*([A-Z_][A-Z0-9_]*)=")
OPTIONS: Final = ("timeout", "in")
MAX_FOLDER: Final = 1_024


class _Refused(Exception):
    def __init__(self, key: str, **values: object) -> None:
        super().__init__(key)
        self.sentence = Sentence(key, dict(values))


class Explicit:
    """The planner of explicit commands; anything that begins with `@` is its to answer."""

    def plan(self, context: Context) -> Outcome | None:
        text = context.text.strip()
        if not text.startswith(("@", "＠")):
            return None
        expression, rest = _targets(text)
        try:
            targets = resolve(expression, context.inventory)
            options, line = _options(rest)
            argv = _command(line, text[: len(text) - len(rest)].strip(), len(text) - len(line))
            time_limit = _time_limit(options["timeout"]) if "timeout" in options else DEFAULT_TIME_LIMIT
            folder = _folder(options["in"]) if "in" in options else ""
            return Planned(Plan((Step(argv=argv, targets=targets, time_limit=time_limit, cwd=folder),)))
        except NoTarget as error:
            return Cannot(error.sentence, "target")
        except BadLine as error:
            return Cannot(error.sentence, "grammar")
        except _Refused as error:
            return Cannot(error.sentence, "command")
        except BadPlan as error:
            return Cannot(Sentence("explicit_too_large", {"problem": str(error)}), "command")


def _targets(text: str) -> tuple[str, str]:
    """The expression that all leading `@` words make together, and what follows them."""
    parts: list[str] = []
    while found := _TARGET.match(text):
        parts.append(fold_width(found[1]))
        text = text[found.end() :]
    # "@web-1, @web-2" is a list too; a comma before anything else stays and is refused as a gap.
    parts = [part.removesuffix(",") for part in parts[:-1]] + parts[-1:]
    return ",".join(parts), text


def _command(line: str, target: str, offset: int) -> tuple[str, ...]:
    """The words of `line`, which begins at `offset` of the message: people count from the message's beginning."""
    shown = clean(target, limit=80)
    if not line.strip():
        raise _Refused("explicit_no_command", target=shown)
    if assigned := _ASSIGNMENT.match(line):
        raise _Refused("explicit_environment", name=clean(assigned[1], limit=80))
    bare = line.lstrip(_BLANKS)
    try:
        argv = tokenize(bare.rstrip(_BLANKS))
    except BadLine as error:
        values = error.sentence.values
        if "position" in values:
            values = {**values, "position": values["position"] + offset + len(line) - len(bare)}
        raise BadLine(error.position, error.character, Sentence(error.sentence.key, values)) from None
    if argv[0] == "cd":
        folder = argv[1] if len(argv) == 2 and argv[1].startswith("/") else "/srv/app"
        raise _Refused("explicit_cd", target=shown, folder=clean(folder, limit=80))
    return argv


def _options(rest: str) -> tuple[dict[str, str], str]:
    """Our own words before the command, and the command's line."""
    found: dict[str, str] = {}
    while own := _OWN.match(rest):
        name, value = own[1], own[2]
        if name not in OPTIONS:
            known = ", ".join(f"{option}=" for option in OPTIONS)
            raise _Refused("explicit_option", option=clean(name, limit=80), known=known)
        if name in found:
            raise _Refused("explicit_option_twice", option=name)
        found[name] = value
        rest = rest[own.end() :]
    if ended := _ENDED.match(rest):
        rest = rest[ended.end() :]
    return found, rest


def _time_limit(value: str) -> int:
    limit = seconds(value)
    if limit is None or not 1 <= limit <= MAX_TIME_LIMIT:
        raise _Refused("explicit_timeout", value=clean(value, limit=80), most=f"{MAX_TIME_LIMIT // 3600}h")
    return limit


def _folder(value: str) -> str:
    if not value.startswith("/") or ".." in value.split("/") or len(value) > MAX_FOLDER or not is_showable(value):
        raise _Refused("explicit_folder", value=clean(value, limit=80))
    return value.rstrip("/") or "/"
