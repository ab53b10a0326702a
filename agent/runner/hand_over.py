"""The document that a runner hands to the program that takes its place, within one process (`agent.re_exec`). Pure.

What is on disk is not in it: the next one reads that as after any start. It holds what only the process knows:

    descriptors   the lock of the state folder, the listening socket, the pipes of the running programs
    jobs          all of them, as they stood; accepted ones with their signed order and how long they may wait
    runs          the running programs: deadlines on the boot clock, output so far, state of the filters behind them
    the life      of the runner: it goes on, so the hub's words that jobs may start are good for the next program too

A document has a version. A program reads the one that it writes and the one before; any other is refused while the
older program still serves, which then goes on.

What is not handed over, because it could not be proven afterwards, is told instead (`why_not`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgpack

from agent.re_exec import MAX_DOCUMENT, BadDocument
from agent.runner.jobs import RunnerJob, RunnerJobState
from agent.runner.order_life import OrderLife
from agent.runner.process import ExitStatus
from agent.runner.spool import WriterState
from common.confirmation import MAX_ENDED
from common.ids import is_ulid
from common.link.bodies import from_body, to_body
from common.link.messages import BadMessage, Ended
from common.machine.end_notes import has_code
from common.plan import BadPlan, Order

WRITES: Final = 1
READS: Final = frozenset({1})
"""Versions that are understood: the one that is written, and the one before it once there is one."""
_FORMAT: Final = "answerback runner"


@dataclass(frozen=True, slots=True)
class HandedRun:
    """A running program, or one that has ended while another process holds its output open. Deadlines are seconds of
    CLOCK_BOOTTIME.
    """

    job: str
    pid: int
    pipes: Mapping[int, int]  # descriptor -> stream
    limit_at: float
    kill_at: float
    drain_at: float
    cause: str
    reasons: tuple[str, ...]
    exit: ExitStatus | None
    output: WriterState
    filters: tuple[Any, ...] | None  # `OutputPipeline.state`


@dataclass(frozen=True, slots=True)
class HandOver:
    version: str  # of the program that hands over
    boot: str
    life: str  # of the runner, as the journal has it
    lock: int  # descriptors
    listener: int
    hub_ahead: float | None  # of the boot clock
    told: tuple[int, ...]  # processes that jobs left behind, of which it was told
    drains: tuple[int, ...]  # readers of pipes that such processes hold
    jobs: tuple[RunnerJob, ...]
    runs: tuple[HandedRun, ...]
    ended: tuple[str, ...] = ()  # stamps of the program before, by which nothing starts any more

    @property
    def descriptors(self) -> tuple[int, ...]:
        """All that the next program must find open."""
        return (self.lock, self.listener, *(pipe for run in self.runs for pipe in run.pipes))

    def encode(self) -> bytes:
        """Raises BadDocument where it is larger than may be read."""
        body = {
            "format": _FORMAT,
            "v": WRITES,
            "version": self.version,
            "boot": self.boot,
            "life": self.life,
            "lock": self.lock,
            "listener": self.listener,
            "hub_ahead": self.hub_ahead,
            "told": self.told,
            "drains": self.drains,
            "jobs": [_job_body(job) for job in self.jobs],
            "runs": [_run_body(run) for run in self.runs],
            "ended": self.ended,
        }
        data: bytes = msgpack.packb(body)
        if len(data) > MAX_DOCUMENT:
            raise BadDocument(f"{len(data)} bytes, {MAX_DOCUMENT} at most")
        return data


def parse_hand_over(data: bytes) -> HandOver:
    """Raises BadDocument."""
    if len(data) > MAX_DOCUMENT:
        raise BadDocument(f"{len(data)} bytes, {MAX_DOCUMENT} at most")
    try:
        body = msgpack.unpackb(data, strict_map_key=False)
    except (ValueError, msgpack.UnpackException) as error:
        raise BadDocument(f"it cannot be read: {error}") from None
    if not isinstance(body, dict) or body.get("format") != _FORMAT:
        raise BadDocument("it is none")
    if body.get("v") not in READS:
        known = " and ".join(map(str, sorted(READS)))
        raise BadDocument(f"it is of version {str(body.get('v'))[:20]}, and this program reads {known}")
    try:
        return _hand_over(body)
    except (KeyError, TypeError, ValueError, BadMessage, BadPlan) as error:
        raise BadDocument(f"it does not hang together: {type(error).__name__} {error}"[:300]) from None


def _hand_over(body: dict[str, Any]) -> HandOver:
    jobs = tuple(_job(each) for each in body["jobs"])
    runs = tuple(_run(each) for each in body["runs"])
    found = HandOver(
        version=str(body["version"])[:80],
        boot=_text(body["boot"]),
        life=_text(body["life"]),
        lock=_descriptor(body["lock"]),
        listener=_descriptor(body["listener"]),
        hub_ahead=None if body["hub_ahead"] is None else _number(body["hub_ahead"]),
        told=tuple(_pid(each) for each in body["told"]),
        drains=tuple(_pid(each) for each in body["drains"]),
        jobs=jobs,
        runs=runs,
        ended=tuple(_text(each) for each in body.get("ended", ())[:MAX_ENDED]),
    )
    running = {job.id for job in jobs if job.state is RunnerJobState.STARTED}
    if running != {run.job for run in runs} or len(running) != len(runs):
        raise ValueError("jobs and running programs differ")
    if len(set(found.descriptors)) != len(found.descriptors):
        raise ValueError("a descriptor is named twice")
    return found


def why_not(*, journal_sound: bool, memory_bytes: int, jobs: Iterable[RunnerJob]) -> str:
    """Why a runner must not hand over now, "" where it may. What only its memory holds, since no disk takes it, would
    be proven by nothing if the next program did not come up.
    """
    if not journal_sound:
        return "the journal cannot be written: make room on this machine's disk, or mend it"
    held = sum(map(_is_in_memory, jobs))
    if memory_bytes or held:
        what = f"{held} jobs" if held else "output of jobs"
        return f"{what} held in memory only, since the disk was full: make room, and wait until they have ended"
    return ""


def _is_in_memory(job: RunnerJob) -> bool:
    if job.ended is not None:
        return has_code(job.ended.notes, {"memory"})
    return job.from_memory or (job.order is not None and not job.on_disk)


# ---- jobs


def _job_body(job: RunnerJob) -> dict[str, Any]:
    life = job.life
    return {
        "id": job.id,
        "plan_hash": job.plan_hash,
        "not_after": job.not_after,
        "state": job.state.value,
        "order": None if job.order is None else job.order.to_bytes(),
        "life": [life.not_after, life.accepted_boot, life.until_boot, life.until_wall, life.hub_ahead],
        "came_again": job.came_again,
        "on_disk": job.on_disk,
        "confirmed": job.confirmed,
        "pid": job.pid,
        "started_at": job.started_at,
        "started_boot": job.started_boot,
        "ended": None if job.ended is None else to_body(job.ended),
        "code": job.code,
        "reason": job.reason,
    }


def _job(body: dict[str, Any]) -> RunnerJob:
    state = RunnerJobState(body["state"])
    ended = None if body["ended"] is None else from_body("ended", body["ended"], "runner")
    order = None if body["order"] is None else Order.from_bytes(body["order"])
    job = RunnerJob(_job_id(body["id"]), _text(body["plan_hash"]), _number(body["not_after"]), state)
    if ended is not None and not isinstance(ended, Ended):
        raise ValueError("an end that is none")
    if (state is RunnerJobState.ENDED) != (ended is not None):
        raise ValueError("a job and its end differ")
    if state in (RunnerJobState.ACCEPTED, RunnerJobState.STARTED) and (order is None or order.job != job.id):
        raise ValueError("a job without its order")
    if state is RunnerJobState.WRITING:
        raise ValueError("a job that is being written down")
    job.order, job.ended = order, ended
    not_after, accepted_boot, until_boot, until_wall, hub_ahead = map(_number, body["life"])
    job.life = OrderLife(not_after, accepted_boot, until_boot, until_wall, hub_ahead)
    job.came_again, job.on_disk = _flag(body["came_again"]), _flag(body["on_disk"])
    job.confirmed = _flag(body["confirmed"])
    job.pid, job.started_at = _count(body["pid"]), _number(body["started_at"])
    job.started_boot = _number(body["started_boot"])
    job.code, job.reason = _text(body["code"]), _text(body["reason"])
    return job


# ---- running programs


def _run_body(run: HandedRun) -> dict[str, Any]:
    end, output = run.exit, run.output
    return {
        "job": run.job,
        "pid": run.pid,
        "pipes": dict(run.pipes),
        "deadlines": [run.limit_at, run.kill_at, run.drain_at],
        "cause": run.cause,
        "reasons": run.reasons,
        "exit": None if end is None else [end.code, end.signal, end.cpu_user, end.cpu_system, end.max_rss],
        "counts": [output.chunks, output.total_bytes, output.size, output.remaining, output.switches],
        "lost": [output.truncated, output.lost_bytes, output.rehashed],
        "digest": output.digest,
        "filters": run.filters,
    }


def _run(body: dict[str, Any]) -> HandedRun:
    limit_at, kill_at, drain_at = map(_number, body["deadlines"])
    chunks, total_bytes, size, remaining, switches = map(_count, body["counts"])
    truncated, lost_bytes, rehashed = body["lost"]
    pipes = {_descriptor(pipe): _stream(stream) for pipe, stream in body["pipes"].items()}
    return HandedRun(
        job=_job_id(body["job"]),
        pid=_pid(body["pid"]),
        pipes=pipes,
        limit_at=limit_at,
        kill_at=kill_at,
        drain_at=drain_at,
        cause=_text(body["cause"]),
        reasons=tuple(_text(each) for each in body["reasons"]),
        exit=None if body["exit"] is None else _exit(*body["exit"]),
        output=WriterState(
            chunks=chunks,
            total_bytes=total_bytes,
            size=size,
            remaining=remaining,
            switches=switches,
            truncated=_flag(truncated),
            lost_bytes=_count(lost_bytes),
            digest=_digest(body["digest"]),
            rehashed=_flag(rehashed),
        ),
        filters=None if body["filters"] is None else tuple(body["filters"]),
    )


def _exit(code: Any, signal: Any, cpu_user: Any, cpu_system: Any, max_rss: Any) -> ExitStatus:
    return ExitStatus(
        None if code is None else _count(code),
        None if signal is None else _count(signal),
        _number(cpu_user),
        _number(cpu_system),
        _count(max_rss),
    )


# ---- values


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _digest(value: Any) -> str:
    if len(bytes.fromhex(_text(value))) != 32:
        raise ValueError("not a digest")
    return str(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("not yes or no")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        raise TypeError("not a number")
    return float(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError("not a count")
    return value


def _pid(value: Any) -> int:
    if _count(value) < 2:
        raise ValueError("no process of ours")
    return int(value)


def _descriptor(value: Any) -> int:
    if _count(value) < 3:
        raise ValueError("no descriptor of ours")
    return int(value)


def _stream(value: Any) -> int:
    if value not in (1, 2):
        raise ValueError("no stream")
    return int(value)


def _job_id(value: Any) -> str:
    if not is_ulid(_text(value)):
        raise ValueError("not a job id")
    return str(value)
