"""agent.runner.hand_over: the table goes over whole, or not at all."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any

import msgpack
import pytest

from agent.re_exec import BadDocument
from agent.runner import hand_over
from agent.runner.hand_over import READS, WRITES, HandedRun, HandOver, parse_hand_over, why_not
from agent.runner.jobs import RunnerJob, RunnerJobState
from agent.runner.order_life import OrderLife
from agent.runner.process import ExitStatus
from agent.runner.spool import EMPTY_DIGEST, WriterState
from common.link.messages import Ended
from common.machine.end_notes import make_note

OUTPUT = WriterState(3, 500, 620, 9_000, 4, False, 0, EMPTY_DIGEST, False)


def a_job(home: Any, state: RunnerJobState, **changes: Any) -> RunnerJob:
    order = home.order("/bin/echo", "a b", "ü", filters=(("wc", "-l"),), confirm=True)
    job = RunnerJob(order.job, order.plan_hash, order.not_after, state, order=order, on_disk=True)
    job.life = OrderLife(order.not_after, 5.0, 65.0, inf, 1_700_000_000.0)
    for name, value in changes.items():
        setattr(job, name, value)
    return job


def an_end(job: str) -> Ended:
    return Ended(job, "failed", 3, None, "", 1, 4, EMPTY_DIGEST, False, 5.0, 6.0, 0.1, 0.2, 4_096, ("disk",))


def a_table(home: Any) -> HandOver:
    running = a_job(home, RunnerJobState.STARTED, pid=4_711, started_at=7.0, started_boot=3.0)
    gone = a_job(home, RunnerJobState.STARTED, pid=4_712)
    waiting = a_job(home, RunnerJobState.ACCEPTED, confirmed=False, came_again=True)
    ended = a_job(home, RunnerJobState.ENDED, order=None)
    ended.ended = an_end(ended.id)
    refused = a_job(home, RunnerJobState.REFUSED, order=None, code="busy", reason="no room")
    end = ExitStatus(None, 15, 0.1, 0.2, 0)
    runs = (
        HandedRun(running.id, 4_711, {11: 1, 12: 2}, 99.0, inf, inf, "", (), None, OUTPUT, (b"begun", (7,))),
        HandedRun(gone.id, 4_712, {13: 2}, inf, inf, 5.5, "cancelled", ("why",), end, OUTPUT, None),
    )
    jobs = (running, gone, waiting, ended, refused)
    return HandOver("1.0", "boot", "0a1b2c3d4e5f6071", 9, 10, 1_700_000_000.0, (50,), (60,), jobs, runs, ("s1",))


def comparable(job: RunnerJob) -> tuple[Any, ...]:
    names = [name for name in RunnerJob.__slots__ if name not in ("cursor", "output")]
    return tuple(getattr(job, name) for name in names)


def test_a_table_comes_out_as_it_went_in(home: Any) -> None:
    """Every job with all that decides about it, and the deadlines, also those that are none."""
    table = a_table(home)
    found = parse_hand_over(table.encode())
    assert list(map(comparable, found.jobs)) == list(map(comparable, table.jobs))
    assert replace(found, jobs=(), runs=()) == replace(table, jobs=(), runs=())
    assert [replace(run, filters=None) for run in found.runs] == [replace(run, filters=None) for run in table.runs]
    assert found.runs[0].filters == (b"begun", [7])
    assert found.descriptors == (9, 10, 11, 12, 13)


def test_this_version_is_read(home: Any) -> None:
    """A program takes over from itself, and from the version before once there is one."""
    assert WRITES in READS
    assert {WRITES, WRITES - 1} >= READS


def changed(table: HandOver, *path: Any, to: Any) -> bytes:
    body: Any = msgpack.unpackb(table.encode(), strict_map_key=False)
    at = body
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = to
    packed: bytes = msgpack.packb(body)
    return packed


@pytest.mark.parametrize(
    ("path", "to", "why"),
    [
        (("v",), WRITES + 1, f"version {WRITES + 1}, and this program reads"),
        (("v",), "1", "version 1, and"),
        (("format",), "another", "it is none"),
        (("lock",), 2, "no descriptor"),
        (("lock",), True, "not a count"),
        (("listener",), 9, "named twice"),
        (("jobs", 0, "state"), "writing", "being written down"),
        (("jobs", 0, "state"), "asleep", "hang together"),
        (("jobs", 0, "state"), "accepted", "running programs differ"),
        (("jobs", 0, "order"), None, "without its order"),
        (("jobs", 0, "order"), b"{}", "hang together"),
        (("jobs", 0, "id"), "../../etc/passwd", "not a job id"),
        (("jobs", 3, "ended"), None, "its end differ"),
        (("jobs", 0, "not_after"), float("nan"), "not a number"),
        (("jobs", 0, "confirmed"), 1, "not yes or no"),
        (("runs", 0, "pid"), 1, "no process of ours"),
        (("runs", 0, "pipes"), {11: 3}, "no stream"),
        (("runs", 0, "digest"), "00", "not a digest"),
        (("runs", 0, "digest"), "zz", "hang together"),
        (("runs", 0, "counts"), [1, 2], "hang together"),
        (("runs", 0, "deadlines"), [1.0, 2.0, "3"], "not a number"),
        (("runs", 1, "exit"), [1], "hang together"),
        (("told",), [-5], "not a count"),
        (("runs",), 7, "hang together"),
    ],
)
def test_what_does_not_hang_together_is_refused(home: Any, path: tuple[Any, ...], to: Any, why: str) -> None:
    """Whole: half a table would be a guess about the rest."""
    with pytest.raises(BadDocument, match=why):
        parse_hand_over(changed(a_table(home), *path, to=to))


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x80", msgpack.packb([1]), b"\xff" * 40])
def test_what_is_no_table_is_refused(data: bytes) -> None:
    """Of any kind."""
    with pytest.raises(BadDocument):
        parse_hand_over(data)


def test_a_table_is_bounded(home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written and read."""
    table = a_table(home)
    data = table.encode()
    monkeypatch.setattr(hand_over, "MAX_DOCUMENT", len(data) - 1)
    with pytest.raises(BadDocument, match="at most"):
        table.encode()
    with pytest.raises(BadDocument, match="at most"):
        parse_hand_over(data)


def test_what_only_memory_holds_is_not_handed_over(home: Any) -> None:
    """Were the next program not to come up, nothing would prove it: so it is told, and waited for."""
    well = [*a_table(home).jobs]
    assert why_not(journal_sound=True, memory_bytes=0, jobs=well) == ""
    assert "the journal cannot be written" in why_not(journal_sound=False, memory_bytes=0, jobs=[])
    assert "held in memory only" in why_not(journal_sound=True, memory_bytes=1, jobs=[])
    unsaved = a_job(home, RunnerJobState.ENDED, order=None)
    unsaved.ended = replace(an_end(unsaved.id), notes=(make_note("memory"),))
    unrecorded = a_job(home, RunnerJobState.ACCEPTED, on_disk=False)
    for job in (unsaved, unrecorded, a_job(home, RunnerJobState.STARTED, from_memory=True)):
        assert "1 jobs held in memory only" in why_not(journal_sound=True, memory_bytes=0, jobs=[*well, job])
