"""The same spellings of durations and sizes at every entrance: files, options, dialogs, chat, filters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
import pytest

from common.config import ConfigError, build
from common.errors import UserError
from common.filter.parser import BadFilter, Compare, parse
from common.plan import MAX_OUTPUT_CAP, MAX_TIME_LIMIT
from common.policy.file import parse_policy
from common.values import parse_duration_option, parse_whole_seconds
from hub.config import HubConfig
from hub.core.outcome import Planned
from hub.planning.explicit import ExplicitPlanner
from hub.planning.runbooks.file import parse_runbooks
from hub.planning.runbooks.slots import RunbookSlot
from tests.each import each_of
from tests.hub.planning.runbooks.world import context
from tui.cli.context import SecondsRange
from tui.cli.control import option_seconds
from tui.dialogs.hold import seconds_of

DAY: Final = 86_400.0
FOREVER: Final = 5_000 * 365 * DAY


def hub_toml(text: str) -> float:
    return float(build({"queue": {"ttl": text}}, HubConfig, Path("hub.toml")).queue.ttl)


def runbooks_toml(text: str) -> float:
    greet = {"title": {"en": "x"}, "steps": [["ls"]], "timeout": text, "examples": {"en": ["list stuff on {machine}"]}}
    (runbook,) = parse_runbooks({"runbooks": {"greet": greet}}, Path("runbooks.toml")).runbooks
    return runbook.time_limit


def policy_rule(**keys: object) -> Any:
    rule = {"id": "a", "about": "x", "program": "/bin/ls", "verdict": "allow", **keys}
    return parse_policy({"default": "deny", "rule": [rule]}, "policy.toml").rules[0]


def policy_toml(text: str) -> float | None:
    return policy_rule(time_limit=text).time_limit  # type: ignore[no-any-return]


def chat_command(text: str) -> float | None:
    outcome = ExplicitPlanner().plan(context(f"@web-1 timeout={text} ls"))
    return outcome.plan.steps[0].time_limit if isinstance(outcome, Planned) else None


def chat_runbook(text: str) -> float | None:
    found = RunbookSlot("since", "duration", high=7 * 86_400).convert(text)
    return None if found is None else float(found)


def filter_language(text: str) -> float:
    (term,) = parse("jobs", f'age>"{text}"').terms
    assert isinstance(term.predicate, Compare)
    return term.predicate.tests[0][1]


def run_option(text: str) -> float:
    return float(SecondsRange(1, 86_400).convert(text, None, None))


ENTRANCES: Final[dict[str, tuple[Callable[[str], float | None], float]]] = {
    "hub.toml": (hub_toml, 30 * DAY),
    "runbooks.toml": (runbooks_toml, MAX_TIME_LIMIT),
    "policy.toml": (policy_toml, MAX_TIME_LIMIT),
    "pause and drain dialogs": (seconds_of, 30 * DAY),
    "run dialog": (lambda text: parse_whole_seconds(text, 1, MAX_TIME_LIMIT), MAX_TIME_LIMIT),
    "run --timeout": (run_option, DAY),
    "drain --cancel-after": (lambda text: option_seconds("--cancel-after", text), FOREVER),
    "token --ttl, pause --for": (lambda text: float(parse_duration_option("--ttl", text)), FOREVER),
    "@machine timeout=": (chat_command, MAX_TIME_LIMIT),
    "a runbook's words": (chat_runbook, 7 * DAY),
    "filter": (filter_language, float("inf")),
}
"""Entrance -> what reads a text there, and the longest duration that may be given there."""
NUMBER_ENTRANCES: Final = ("run dialog", "run --timeout", "@machine timeout=", "a runbook's words", "filter")
"""Where a bare number is seconds."""

DURATIONS: Final = {
    "90s": 90,
    "90S": 90,
    "10m": 600,
    "10min": 600,
    "2h": 7_200,
    "1h30m": 5_400,
    "1.5h": 5_400,
    "30m1h": 5_400,
    "1m30s": 90,
    "60000ms": 60,
    "1d": 86_400,
    "1d12h": 129_600,
    "1w": 604_800,
    "2days": 172_800,
    "1w2d": 777_600,
    "9999d": 863_913_600,
}
WRONG: Final = ("", "m", "soon", "-5m", "1.h", "5apples", "1h-30m", "1mo", "5m!", "٣m")


def value_at(entrance: str, text: str) -> float | None:
    """None where the text is refused in the entrance's own way."""
    read, _ = ENTRANCES[entrance]
    try:
        return read(text)
    except (ConfigError, UserError, BadFilter, click.BadParameter):
        return None


@each_of("entrance", ENTRANCES)
def test_every_spelling_is_the_same_number_of_seconds(entrance: str) -> None:
    """Or refused, where it is longer than may be given there."""
    _, longest = ENTRANCES[entrance]
    found = {text: value_at(entrance, text) for text in DURATIONS}
    assert found == {text: seconds if seconds <= longest else None for text, seconds in DURATIONS.items()}


@each_of("entrance", ENTRANCES)
def test_a_bare_number_is_seconds_where_it_always_was(entrance: str) -> None:
    """In files and for spans of minutes and hours the unit must be written."""
    assert value_at(entrance, "90") == (90 if entrance in NUMBER_ENTRANCES else None)


@each_of("entrance", ENTRANCES)
def test_what_is_no_duration_is_one_nowhere(entrance: str) -> None:
    """Neither guessed nor another exception; digits of other scripts are for the filter alone, as ever."""
    taken = {text for text in WRONG if value_at(entrance, text) is not None}
    assert taken == ({"٣m"} if entrance == "filter" else set())


def hub_toml_size(text: str) -> float:
    return float(build({"planning": {"cache_disk": text}}, HubConfig, Path("hub.toml")).planning.cache_disk)


def policy_toml_size(text: str) -> float | None:
    return policy_rule(output_cap=text).output_cap  # type: ignore[no-any-return]


def filter_size(text: str) -> float:
    (term,) = parse("jobs", f'output>"{text}"').terms
    assert isinstance(term.predicate, Compare)
    return term.predicate.tests[0][1]


@each_of(("read", "most"), [(hub_toml_size, 1e15), (policy_toml_size, MAX_OUTPUT_CAP), (filter_size, 1e15)])
def test_every_spelling_is_the_same_number_of_bytes(read: Callable[[str], float | None], most: float) -> None:
    """Powers of 1024 in a file and in a filter alike."""
    sizes = {"512B": 512, "10k": 10_240, "64KiB": 65_536, "1 MiB": 2**20, "1.5MB": 3 * 2**19, "5M": 5 * 2**20}
    for text, size in (sizes | {"2GiB": 2**31}).items():
        if size <= most:
            assert read(text) == size
        else:
            with pytest.raises(UserError):
                read(text)


def test_policy_toml_takes_numbers_as_before() -> None:
    """Seconds and bytes; a duration that is no whole number of seconds is refused."""
    rule = policy_rule(time_limit=300, output_cap=1_048_576)
    assert (rule.time_limit, rule.output_cap) == (300, 1_048_576)
    for wrong in ("300", "1500ms", True, 1.5, 0, "2d"):
        with pytest.raises(UserError, match="time_limit: not a whole number from 1 to 86400"):
            policy_rule(time_limit=wrong)
