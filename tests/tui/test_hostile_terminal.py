"""A hub whose store is full of hostile text, and our programs on it in a real pty: what reaches the terminal.

Every field that is text of every record is filled, whatever it is called, so that a new one is covered by itself.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from ulid import ULID

from common.lifecycle import JobState, RequestState
from common.plan import Plan, Step, plan_hash
from hub.chat.inlets import load_config
from hub.core.records import Agent, Approval, Job, Request, StoredChunk
from hub.store.store import Store
from hub.store.transaction import Txn
from tests.bench.pty_probe import Probe, python
from tests.end_to_end.system import SystemHarness
from tests.tui.hostile_text import CORPUS, OWN_SHAPES, sequence_shapes, strip_sequences
from tui.terminal.sanitize import is_safe

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("hostile")]
STORED = [text for text in CORPUS if text.strip()]
WALK = ["j", "j", "\r", "]", "]", "]", "w", "\x1b", "?", "\x1b"]
ON_SCREENS = {
    "1": ["j", "\r"],
    "2": WALK,
    "3": [*WALK, "a", "\x1b", "x", "\x1b", "e", "\x1b"],
    "4": WALK,
    "5": WALK,
}
ENDS = (JobState.SUCCEEDED, JobState.FAILED, JobState.UNKNOWN, JobState.QUEUED)


def filled(cls: type[Any], number: int, /, **given: Any) -> Any:
    """A record with hostile text in every field that takes text and was not given."""

    def value(field: Field[Any], at: int) -> Any:
        text = STORED[(number + at) % len(STORED)]
        kind = str(field.type)
        if kind == "str":
            return text
        if kind.startswith(("dict[str, str]", "dict[str, Any]")):
            return {f"k{at}": text, text: f"v{at}"}
        if field.default is MISSING and field.default_factory is MISSING:
            return time.time() if kind == "float" else 0
        return field.default

    parts = {field.name: value(field, at) for at, field in enumerate(fields(cls)) if field.name not in given}
    return cls(**parts, **given)


def fill(txn: Txn) -> list[str]:
    """Machines, requests that wait and that are over, their jobs and output, events: one of each for every string. The
    jobs' ids.
    """
    now, made = time.time(), []
    for number, text in enumerate(STORED):
        txn.add_agent(filled(Agent, number, name=f"m{number}", state="active", paused_at=now if number % 2 else None))
        step = Step((f"/bin/{text}".replace("\0", "")[:200], text.replace("\0", "")[:500]), (f"m{number}",))
        plan = Plan((step,), text[:500], explanation=text[:500])
        waiting = number % 2 == 0
        more = {"approvers": 1, "decide_by": now + 3_600} if waiting else {"ended_at": now}
        request = txn.add_request(
            filled(
                Request,
                number,
                id=str(ULID()),
                number=0,
                state=RequestState.ASKING if waiting else RequestState.DONE,
                language="en",
                received_at=now,
                plan=plan,
                plan_hash=plan_hash(plan),
                parent="",
                event_id=f"e{number}",
                **more,
            )
        )
        assert request is not None
        state = ENDS[number % len(ENDS)]
        ended = None if state is JobState.QUEUED else now
        job = filled(
            Job, number, id=str(ULID()), request_id=request.id, state=state, step=0, plan_hash=request.plan_hash,
            not_after=now + 3_600, queued_at=now, number=request.number, ended_at=ended, chunks=2,
        )  # fmt: skip
        txn.add_jobs([job])
        made.append(job.id)
        for seq in (1, 2):
            txn.add_chunk(StoredChunk(job.id, seq, seq, f"{text}\n{text}".encode("utf-8", "surrogateescape"), now))
        if waiting:
            txn.add_approval(filled(Approval, number, request_id=request.id, plan_hash=request.plan_hash, granted=True))
        txn.audit(text, request.id, text, {"text": text, text: "key", "argv": [text]}, now)
    return made


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def hostile_hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Path, list[str]]]:
    """The profile's folder, and the jobs."""
    async with SystemHarness(tmp_path_factory.mktemp("hostile")) as rig:
        await rig.init()
        store = Store.open(load_config(rig.config).store.url, folder=rig.hub_dir, clock=time.time)
        jobs = store.write_now(fill)
        store.close()
        await rig.start_hub()
        yield rig.hub_dir / "profile", jobs


def walked(argv: list[str]) -> str:
    """What a console sends to its terminal, on every screen, with the details and some dialogs open."""
    with Probe(argv, env={"TEXTUAL_FPS": "60"}) as probe:
        probe.until(b"received", within=40)
        for screen, keys in ON_SCREENS.items():
            for key in (screen, *keys):
                os.write(probe.fd, key.encode())
                probe.read(0.25 if key == screen else 0.06)
            os.write(probe.fd, b"\x1b")
            probe.read(0.1)
        assert probe.alive(), bytes(probe.text[-2_000:])
        assert probe.total < 400_000  # all of it is looked at
        return probe.text.decode("utf-8")


async def test_the_console_in_a_pty(hostile_hub: tuple[Path, list[str]]) -> None:
    """No sequence and no control reaches the terminal but those that the demo world's harmless text makes as well;
    what can be read has nothing hidden or turned about in it; the console is alive at the end.
    """
    harmless, hostile = await asyncio.gather(
        asyncio.to_thread(walked, python("-m", "tui", "console", "--demo")),
        asyncio.to_thread(walked, python("-m", "tui", "--profile", str(hostile_hub[0]), "console")),
    )
    odd = {shape for shape in sequence_shapes(hostile) - sequence_shapes(harmless) if not OWN_SHAPES.fullmatch(shape)}
    assert not odd
    assert is_safe(strip_sequences(hostile).replace("\x07", ""))
    assert "@click" in hostile  # markup is shown, not obeyed
    assert "\\x1b" in hostile


def printed(argv: list[str], seconds: float = 15.0) -> str:
    """What a command prints on a terminal."""
    with Probe(argv, columns=200) as probe:
        until = time.monotonic() + seconds
        while probe.alive() and time.monotonic() < until:
            probe.read(0.05)
        probe.read(0.05)
        return probe.text.decode("utf-8")


@pytest.mark.parametrize(
    "words",
    [
        "jobs",
        "agents",
        "requests",
        "request r1",
        "job 0",
        "job 1",
        "queue",
        "audit",
        "watch --after 0",
        "watch --plain",
    ],
)
async def test_the_command_line_in_a_pty(hostile_hub: tuple[Path, list[str]], words: str) -> None:
    """Lines on a terminal are text and line ends, and what colours there are."""
    argv = python("-m", "tui", "--profile", str(hostile_hub[0]), *words.split())
    if words.startswith("job "):
        argv[-1] = hostile_hub[1][int(argv[-1])]
    out = await asyncio.to_thread(printed, argv, 2.0 if "watch" in words else 15.0)
    assert words == "queue" or len(out) > 300, out
    assert sequence_shapes(out) <= {"'\\n'", "'\\r'", "\x1b[Nm"}, sequence_shapes(out)
    assert is_safe(strip_sequences(out).replace("\n", "").replace("\r", ""))
    assert "Traceback" not in out
