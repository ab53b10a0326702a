"""What version 0.1.0 wrote goes on working: a hub's store and files, an agent's state, a person's profile.

The files in `tests/kept/` were written by that version: a hub with one machine that ran two commands, refused a line,
has two requests that wait for an approver and one whose job waits for a paused machine. Keys are not among them; where
one is needed it is made anew.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import time
from pathlib import Path

from agent.runner.journal import parse_journal
from agent.state import StateFolder
from common.lifecycle import JOB_TERMINAL, JobState, RequestState
from hub.chat.inlets import load_config
from hub.cli.init import init
from hub.core import audit_chain
from hub.planning.watched_files import load_chain, load_policy
from hub.store.store import Store
from tui.client.profile import read_profile

KEPT = Path(__file__).resolve().parent / "kept" / "v0_1_0"


def kept_hub(folder: Path) -> Path:
    """A hub's folder with new keys, and the files and the store of version 0.1.0."""
    init(folder, now=time.time(), admin="alice")
    for name in ("hub.toml", "policy.toml", "runbooks.toml"):
        shutil.copy(KEPT / name, folder / name)
    (folder / "data").mkdir(exist_ok=True)
    store = folder / "data" / "answerback.sqlite"
    store.unlink(missing_ok=True)
    with sqlite3.connect(store) as database:
        database.executescript((KEPT / "store.sql").read_text(encoding="utf-8"))
    database.close()
    return folder / "hub.toml"


async def test_a_store_goes_on(tmp_path: Path) -> None:
    """Requests, jobs, their output, the paused machine, people and the audit chain are there, and can be added to."""
    config = load_config(kept_hub(tmp_path / "hub"))
    store = Store.open(config.store.url, folder=config.folder.path, clock=time.time)
    try:
        store.acquire()
        requests = await store.read(lambda txn: txn.requests(limit=100))
        states = {request.number: request.state for request in requests}
        assert states == {
            1: RequestState.DONE,
            2: RequestState.DONE,
            3: RequestState.REFUSED,
            4: RequestState.ASKING,
            5: RequestState.WORKING,
            6: RequestState.ASKING,
        }
        assert all(request.plan is not None for request in requests if request.number != 3)
        jobs = await store.read(lambda txn: txn.jobs(limit=100))
        assert sorted(job.state for job in jobs) == sorted([JobState.SUCCEEDED, JobState.SUCCEEDED, JobState.QUEUED])
        # Trust: what was there before rows were authenticated is taken over, once, and may go on.
        waits = [row for row in (*requests, *jobs) if row.state not in JOB_TERMINAL]
        assert await store.read(lambda txn: all(map(txn.rows.is_authentic, waits)))
        uptime = next(job for job in jobs if job.number == 2)
        (chunk,) = await store.read(lambda txn: list(txn.chunks(uptime.id, limit=10)))
        assert b"load average" in chunk.data
        machine = await store.read(lambda txn: txn.agent("web-1"))
        assert machine is not None
        assert (machine.labels, machine.paused_by, machine.takes_jobs) == ({"role": "web"}, "alice", False)
        await store.write(lambda txn: txn.audit("hub.started", "kept", "hub", {}, time.time()))
        rows = await store.read(lambda txn: txn.chain())
        kinds = {row.kind for row in map(audit_chain.to_event, rows)}
        assert {"message.accepted", "request.approved", "job.dispatched", "job.ended", "hub.started"} <= kinds
        report = audit_chain.verify(iter(rows), [], {}, hub="")
        assert report.ok, report.problem
    finally:
        await asyncio.to_thread(store.close)


def test_a_hubs_files_go_on(tmp_path: Path) -> None:
    """hub.toml with its people, policy.toml, runbooks.toml."""
    config = load_config(kept_hub(tmp_path / "hub"))
    assert config.people["carol"].roles == ("operator",)
    assert load_policy(config.policy.file).rules
    assert len(load_chain(config.runbooks.file).runbooks) > 20


def test_an_agents_state_goes_on(tmp_path: Path) -> None:
    """agent.toml says where the hub is; the journal still knows which jobs came and how they stand."""
    folder = StateFolder(tmp_path)
    folder.uplink.mkdir()
    shutil.copy(KEPT / "agent.toml", folder.settings_file)
    settings = folder.settings()
    assert (settings.name, settings.hub[:4]) == ("web-1", "hub-")
    data = (KEPT / "journal").read_bytes()
    state, used = parse_journal(data)
    assert used == len(data)
    assert state.epoch >= 1


def test_a_profile_goes_on(tmp_path: Path) -> None:
    """profile.toml: name, address and the hub's id."""
    shutil.copytree(kept_hub(tmp_path / "hub").parent / "profile", folder := tmp_path / "profile")
    shutil.copy(KEPT / "profile.toml", folder / "profile.toml")
    profile = read_profile(folder)
    assert profile.name == "alice"
    assert profile.url.startswith("wss://127.0.0.1:")
