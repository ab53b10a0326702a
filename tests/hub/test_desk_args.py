"""Arguments of operators' calls: what is taken, what is not, and how an act is done and written down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from common.catalogue import Sentence
from common.lifecycle import JobState
from hub.acts import By, Done
from hub.change import Change
from hub.consoles import BadCall
from hub.desk_args import (
    MAX_LIMIT,
    BadFilterCall,
    filter_of,
    flag,
    integer,
    job_of,
    language_of,
    limit_of,
    number,
    request_of,
    states,
    text,
    words,
)
from tests.hub.house import House
from tests.hub.rooms import REMOTE, caller, office_of


@pytest.mark.parametrize(
    ("read", "good", "bad"),
    [
        (lambda args: text(args, "x", 3), ["", "abc"], ["abcd", 1, None, ["a"]]),
        (lambda args: integer(args, "x", 0, 9), [0, 9], [-1, 10, True, 1.0, "1"]),
        (lambda args: number(args, "x", 0.0, 2.0), [0, 2, 1.5], [-0.1, 2.1, True, "1", float("nan")]),
        (lambda args: flag(args, "x"), [True, False], [None, 0, 1, "true"]),
        (lambda args: words(args, "x", 2), [["a"], ["a", ""]], [[], ["a"] * 3, ["a", 1], "ab", None]),
    ],
    ids=["text", "integer", "number", "flag", "words"],
)
def test_a_value_is_taken_as_it_is_or_not_at_all(read: Callable[[Any], Any], good: list[Any], bad: list[Any]) -> None:
    """The bounds themselves are within, what lies behind them and other types are no call."""
    for value in good:
        assert read({"x": value}) == value
    for value in bad:
        with pytest.raises(BadCall, match=r"^x: "):
            read({"x": value})


def test_what_is_not_said_has_its_default() -> None:
    """Text is empty, numbers are none, a flag has to be said unless there is a default for it."""
    assert (text({}, "x"), integer({}, "x"), number({}, "x", 0, 1), flag({}, "x", True)) == ("", None, None, True)
    with pytest.raises(BadCall, match="x: true or false"):
        flag({}, "x")


@pytest.mark.parametrize(("said", "limit"), [(None, 100), (-5, 1), (0, 1), (7, 7), (10**9, MAX_LIMIT)])
def test_a_limit_is_brought_within_its_bounds(said: int | None, limit: int) -> None:
    """A limit that is too large is no mistake: less is told."""
    assert limit_of({"limit": said}) == limit


def test_states_are_those_of_the_kind() -> None:
    """In the order they were said; an unknown one, or none, is no call."""
    assert states({}, JobState) is None
    assert states({"states": ["running", "queued"]}, JobState) == (JobState.RUNNING, JobState.QUEUED)
    for bad in ([], ["asleep"], "queued", [["queued"]]):
        with pytest.raises(BadCall, match="states: some of queued"):
            states({"states": bad}, JobState)


def test_an_unknown_language_is_english() -> None:
    """A hub never fails for the language that it is asked in."""
    assert [language_of({"language": said}) for said in ("zh", "xx", 1, None)] == ["zh", "en", "en", "en"]


def test_a_filter_that_does_not_read_says_where() -> None:
    """The reason begins with the position, the code is for programs; `me` is who calls."""
    (mine,) = filter_of({"filter": "user:me"}, "jobs", "carol").terms
    (hers,) = filter_of({"filter": "user:carol"}, "jobs", "bob").terms
    assert mine.test == hers.test
    with pytest.raises(BadFilterCall, match=r"^8: ") as caught:
        filter_of({"filter": "user:me nothing:1"}, "jobs", "carol")
    assert caught.value.code == "filter"


async def test_records_are_found_by_number_id_and_part(inside: House) -> None:
    """A part of a job's id has at least four letters and means one job only."""
    first, second = await inside.working(), await inside.working()
    request = inside.request(first.request_id)
    assert inside.read(lambda txn: request_of(txn, {"number": request.number})).id == request.id
    assert inside.read(lambda txn: request_of(txn, {"id": request.id})).number == request.number
    assert inside.read(lambda txn: job_of(txn, second.id)).id == second.id
    for args, named in (({"number": 999}, "r999"), ({"id": "nobody"}, "nobody"), ({}, r"\?")):
        with pytest.raises(BadCall, match=named):
            inside.read(lambda txn, args=args: request_of(txn, args))  # type: ignore[misc]
    same = next(size for size in range(26, 0, -1) if first.id[:size] == second.id[:size])
    assert same >= 4
    with pytest.raises(BadCall, match="fits several jobs"):
        inside.read(lambda txn: job_of(txn, first.id[:same]))
    with pytest.raises(BadCall, match="no job"):
        inside.read(lambda txn: job_of(txn, first.id[:3]))


async def test_an_act_is_a_row_with_who_and_from_where(inside: House) -> None:
    """Only what was done is; a refusal is answered with its code, and without the right nothing is even tried."""
    office, tried = office_of(inside), []

    def unit(change: Change, by: By, code: str = "") -> Done:
        tried.append(by)
        return Done(Sentence("none_waiting"), code, {"left": 2}, "r-1")

    told = await office.act(caller("bob"), {}, "pause", unit)
    assert (told["code"], told["left"]) == ("ok", 2)
    (row,) = inside.events("act.done")
    assert (row.subject, row.actor, row.data) == ("r-1", "bob", {"verb": "pause", "via": "console", "from": REMOTE})
    assert (await office.act(caller("bob"), {}, "pause", lambda c, b: unit(c, b, "late")))["code"] == "late"
    assert (await office.act(caller("carol"), {}, "pause", unit))["code"] == "no_right"
    assert (await office.act(caller("carol"), {}, "pause", unit, right="run"))["code"] == "ok"
    assert [by.person for by in tried] == ["bob", "bob", "carol"]
    assert [row.actor for row in inside.events("act.done")] == ["bob", "carol"]
