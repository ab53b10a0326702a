"""agent.runner.job_user: as whom jobs run where the runner is root."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from agent.approvers import add_approver
from agent.runner import job_user
from agent.runner.job_user import (
    DEFAULT_USER,
    EVERYTHING,
    NOBODY,
    USER_VARIABLE,
    JobUser,
    JobUsers,
    acting_as,
    find_user,
    sharing_groups,
)
from agent.runner.local_policy import LocalPolicy
from agent.runner.verify import OrderRefusal
from common.errors import UserError
from common.policy.machine_checks import MachineChecks, write_checks
from tests.agent.runner.test_forker import LIBC_SIGNALS

ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="only root gives its rights up for a while")
POLICY = """
default = "deny"
[[rule]]
id = "who-root"
about = "x"
program = "/usr/bin/id"
verdict = "allow"
run_as = "root"
flags = ["-u"]
[[rule]]
id = "who"
about = "x"
program = "/usr/bin/whoami"
verdict = "allow"
"""


def reader() -> JobUser:
    found = find_user("nobody")
    assert found is not None
    return found


@needs_root
def test_who_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the runner was told, or the unit's user where this machine has that, else root by hand alone: where the unit
    names its user and that is gone, nobody is known.
    """
    monkeypatch.delenv(USER_VARIABLE, raising=False)
    known = {"nobody": reader(), DEFAULT_USER: JobUser(DEFAULT_USER, 990, 990, (), "/")}
    monkeypatch.setattr(job_user, "find_user", lambda name: known.get(name) or find_user(name))
    told = JobUsers.of("nobody")
    assert (told.differ, told.others, told.own.uid) == (True, reader(), 0)
    assert told.describe() == "nobody; root where a rule of this machine says run_as"
    assert JobUsers.of("").others == known[DEFAULT_USER]
    monkeypatch.setenv(USER_VARIABLE, "nobody")
    assert JobUsers.of("").others == reader()
    monkeypatch.delenv(USER_VARIABLE)
    del known[DEFAULT_USER]
    if find_user(DEFAULT_USER) is None:
        by_hand = JobUsers.of("")
        assert (by_hand.others, by_hand.differ, EVERYTHING in by_hand.describe()) == (by_hand.own, False, True)
        gone = JobUsers.of(DEFAULT_USER)  # as the drop-in of the unit names it
        assert (gone.others, gone.differ, NOBODY in gone.describe()) == (None, False, True)
    everything = JobUsers.of("root")
    assert (everything.others, everything.differ) == (everything.own, False)
    assert EVERYTHING in everything.describe()
    with pytest.raises(UserError, match="there is no user nonsense"):
        JobUsers.of("nonsense")
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    own = JobUsers.of("nobody")
    assert (own.others, own.own.uid, own.describe()) == (own.own, 4711, "4711, all of them")


@needs_root
def test_this_thread_looks_with_their_rights(tmp_path: Path) -> None:
    """Trust: for files and no longer; its user ids, by which it could be sent signals, and other threads stay root."""
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o600)
    seen: list[str] = []
    acting = threading.Event()
    other = threading.Thread(target=lambda: (acting.wait(), seen.append(secret.read_text())))
    other.start()
    with acting_as(reader()):
        acting.set()
        other.join()
        with pytest.raises(PermissionError):
            secret.read_text()
        assert (os.getresuid(), os.getresgid()) == ((0, 0, 0), (0, 0, 0))
    assert (seen, secret.read_text()) == (["x"], "x")
    with pytest.raises(ZeroDivisionError), acting_as(reader()):
        _ = 1 / 0
    assert secret.read_text() == "x"
    with acting_as(JobUser("x", 3_000_000_000, 3_000_000_000, (), "/")), pytest.raises(PermissionError):
        secret.read_text()
    before = os.getgroups()
    with sharing_groups(JobUsers.of("nobody")):
        assert os.getgroups() == list(reader().groups)
    assert os.getgroups() == before


@needs_root
async def test_only_what_a_rule_says_is_root_s(home: Any, kit: Any, tmp_path: Path) -> None:
    """Trust: of a runner that is root each job without `run_as = "root"` in the machine's own rule is the other user's,
    with their rights, groups, home and name, gains none, and inherits nothing.
    """
    home.policy(POLICY)
    async with kit.serving(home, job_user="nobody"):
        uplink = await kit.Uplink.known(home)

        async def run(*argv: str, **changes: Any) -> str:
            order = home.order(*argv, **changes)
            uplink.send(home.dispatch(order))
            ended = await uplink.end(order.job)
            assert getattr(ended, "outcome", ended) == "succeeded", (ended, uplink.output(order.job))
            return str(uplink.output(order.job, 1).decode())

        assert await run("/usr/bin/id", "-u") == "0\n"
        assert await run("/usr/bin/whoami") == "nobody\n"
        home.policy('default = "allow"\n')
        assert await run("/usr/bin/id", "-u") == f"{reader().uid}\n"
        assert await run("/usr/bin/id", "-G") == " ".join(map(str, reader().groups)) + "\n"
        rooted = write_checks(MachineChecks(run_as="root"))
        assert await run("/usr/bin/id", "-u", checks=rooted) == "0\n"  # no rule of the machine's, and the hub's says so
        told = await run("/usr/bin/env")
        assert f"HOME={reader().home}\n" in told
        assert "USER=nobody\n" in told
        status = dict(line.split(":\t", 1) for line in (await run("/usr/bin/cat", "/proc/self/status")).splitlines())
        assert (status["Name"], status["NoNewPrivs"]) == ("cat", "1")
        assert (int(status["CapEff"], 16), int(status["CapPrm"], 16)) == (0, 0)
        assert int(status["SigIgn"], 16) & ~LIBC_SIGNALS == 0
        assert status["Uid"].split() == status["FSUid"].split() * 4 if "FSUid" in status else len(status["Uid"]) > 0
        open_now = (await run("/usr/bin/ls", "/proc/self/fd")).split()
        assert open_now == ["0", "1", "2", "3"]  # its own of the folder is the last
        assert await run("/usr/bin/pwd") == f"{home.runner}/empty\n"
        assert await run("/usr/bin/ls") == ""
        assert os.getresuid() == (0, 0, 0)


@needs_root
async def test_what_they_may_not_reach(home: Any, kit: Any, tmp_path: Path) -> None:
    """Trust: neither a folder, nor a program, nor a file through root's eyes."""
    shut = tmp_path / "shut"
    (shut / "open").mkdir(parents=True)
    (shut / "open").chmod(0o755)
    shut.chmod(0o700)
    (shut / "file").write_text("secret")
    mine = Path("/usr/local/bin") / f"answerback-test-{os.getpid()}"
    mine.write_text("#!/bin/sh\nid -u\n")
    mine.chmod(0o700)
    try:
        async with kit.serving(home, job_user="nobody"):
            uplink = await kit.Uplink.known(home)
            for argv, changes, said in (
                (("/usr/bin/pwd",), {"cwd": str(shut / "open")}, "ermission denied"),
                ((str(mine),), {}, "ermission denied"),
                (("/usr/bin/cat", str(shut / "file")), {}, ""),
            ):
                order = home.order(*argv, **changes)
                uplink.send(home.dispatch(order))
                ended = await uplink.end(order.job)
                assert getattr(ended, "outcome", "refused") in ("failed", "refused"), ended
                assert said in ended.reason, ended
                assert b"secret" not in uplink.output(order.job)
    finally:
        mine.unlink()


@needs_root
def test_nobody_known_is_nobody_s_right(home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust: what needs no root is refused then, with the cure, and never root's; what does is as ever."""
    home.policy(POLICY)
    add_approver(home.runner / "approvers.json", "bob", "ab" * 32)
    own = JobUsers.of("root").own
    policy = LocalPolicy(home.runner, JobUsers(own, None))
    refusal = policy.check(home.order("/usr/bin/whoami"), 0.0)
    assert refusal is not None
    assert "useradd --system --shell /usr/sbin/nologin answerback-runner" in refusal.reason
    assert policy.check(home.order("/usr/bin/id", "-u"), 0.0) is None
    for checks, user in ((MachineChecks(run_as="root"), own), (MachineChecks(), None)):
        found = policy.user_of(home.order("/usr/bin/id", "-u"), checks)
        assert found == user if user else isinstance(found, OrderRefusal)
