"""Stores to test with: SQLite always, PostgreSQL where its server programs are installed. Each test has a fresh one."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from ulid import ULID

from common.lifecycle import JobState, RequestState
from common.plan import Plan, Step, plan_hash
from hub.core.audit_chain import verify
from hub.core.records import Job, Reply, Request
from hub.store.store import Store
from tests.hub.store.template import open_store

NOW = 1_800_000_000.0
PLAN = Plan((Step(("/usr/bin/df", "-h"), ("web-1",)),), explanation="Disk, 磁盘")
SERVER = shutil.which("postgres")


@dataclass
class Make:
    """Records as tests want them, everything else filled in."""

    numbers: itertools.count[int]
    now: float = NOW
    plan: Plan = PLAN

    def request(self, **more: Any) -> Request:
        values: dict[str, Any] = {
            "id": str(ULID()),
            "number": 0,
            "state": RequestState.RECEIVED,
            "inlet": "ops",
            "event_id": f"event-{next(self.numbers)}",
            "conversation": "room",
            "chat_user": "U1",
            "person": "alice",
            "text": "@web-1 df -h",
            "language": "en",
            "reply_url": "https://chat.example/hook",
            "received_at": self.now,
        }
        return Request(**{**values, **more})

    def job(self, request: Request, **more: Any) -> Job:
        values: dict[str, Any] = {
            "id": str(ULID()),
            "request_id": request.id,
            "person": request.person,
            "agent": "web-1",
            "state": JobState.QUEUED,
            "step": 0,
            "plan_hash": plan_hash(PLAN),
            "not_after": self.now + 600,
            "queued_at": self.now,
            "parent": f"retry-{next(self.numbers)}",  # so that tests may queue many for one machine
        }
        return Job(**{**values, **more})

    def reply(self, request_id: str, **more: Any) -> Reply:
        values: dict[str, Any] = {
            "id": 0,
            "request_id": request_id,
            "inlet": "ops",
            "kind": "progress",
            "url": "https://chat.example/hook",
            "body": "{}",
            "created_at": self.now,
            "next_at": self.now,
        }
        return Reply(**{**values, **more})


@pytest.fixture
def make() -> Make:
    return Make(itertools.count(1))


@pytest.fixture
def clock() -> Callable[[], float]:
    return lambda: NOW


def _as_postgres(*command: str) -> list[str]:
    return ["runuser", "-u", "postgres", "--", *command] if os.getuid() == 0 else list(command)


@pytest.fixture(scope="session")
def postgres() -> Iterator[sa.URL]:
    """A server of our own on a local socket, gone with the session."""
    if SERVER is None:
        pytest.skip("no PostgreSQL server on this machine")
    programs = Path(SERVER).resolve().parent
    folder = Path(tempfile.mkdtemp(prefix="answerback-postgres-"))
    try:
        if os.getuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        data = str(folder / "data")
        control = str(programs / "pg_ctl")
        subprocess.run(
            _as_postgres(
                str(programs / "initdb"), "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale"
            ),
            check=True,
            capture_output=True,
        )
        options = f"-k {folder} -c listen_addresses= -c fsync=off"
        subprocess.run(
            _as_postgres(control, "-D", data, "-w", "-o", options, "-l", str(folder / "log"), "start"),
            check=True,
            capture_output=True,
        )
        try:
            yield sa.URL.create("postgresql", username="postgres", database="postgres", query={"host": str(folder)})
        finally:
            subprocess.run(
                _as_postgres(control, "-D", data, "-m", "immediate", "stop"), check=True, capture_output=True
            )
    finally:
        shutil.rmtree(folder)


_DATABASES = itertools.count(1)


def _create_database(server: sa.URL, name: str, template: str = "") -> sa.URL:
    engine = sa.create_engine(server.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else "")))
    engine.dispose()
    return server.set(database=name)


@pytest.fixture(scope="session")
def postgres_template(postgres: sa.URL, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a database with the newest schema and nothing in it."""
    name = "migrated"
    url = _create_database(postgres, name).render_as_string(hide_password=False)
    Store.open(url, folder=tmp_path_factory.mktemp("template"), clock=float).close()
    return name


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.xdist_group("postgresql"))])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of a database of either kind: empty, or for tests that take `store` already migrated."""
    if request.param == "sqlite":
        return "sqlite:///data/answerback.sqlite"
    server: sa.URL = request.getfixturevalue("postgres")
    template = request.getfixturevalue("postgres_template") if "store" in request.fixturenames else ""
    made = _create_database(server, f"t{next(_DATABASES)}", template)
    return made.render_as_string(hide_password=False)


@pytest.fixture
def store(url: str, tmp_path: Path, clock: Callable[[], float]) -> Iterator[Store]:
    """An open store; whatever a test did to it, its audit is one whole chain afterwards."""
    opened = open_store(url, folder=tmp_path, clock=clock)
    yield opened
    report = verify(opened.read_now(lambda txn: txn.chain(limit=100_000)), [], {}, hub="")
    opened.close()
    assert report.ok, report.problem
