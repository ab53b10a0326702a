"""agent.status: looking without touching, and telling only what is known."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

import agent.cli
import agent.doctor  # before the fork: an ordinary user may not read this checkout
from agent.approvers import add_approver
from agent.runner.evidence import Evidence, Marker, write_marker
from agent.state import StateFolder
from agent.status import Status, _approvers_text, find_jobs
from tests.each import each_of
from tests.forked import NOBODY, Setting, run_forked
from tests.software_authenticator import SoftwareAuthenticator

JOB = "01J00000000000000000000000"
WELL = Status(
    "0",
    "/s",
    True,
    name="web-1",
    hub="h1",
    url="wss://h",
    generation=1,
    certificate_until=7_200.0,
    certificate_left=7_200.0,
    uplink=True,
    runner=True,
    linked=True,
    link_since=60.0,
    link_state="linked",
    holder="journal 3f2a9c1b, life 17 (0a1b2c3d4e5f6071), link 42",
    running_jobs=[],
    unknown_jobs=[],
)


def test_a_runner_that_is_down_says_since_when() -> None:
    """And how it ended, and when it is started again; nothing of it once one runs."""
    told = replace(
        WELL, runner=False, runner_down_since=60.0, runner_next_start=70.0, runner_end="the runner ended with status 2"
    )
    (line,) = (line for line in told.to_text().splitlines() if line.startswith("runner"))
    assert "NOT RUNNING since" in line
    assert "next start at" in line
    assert "(the runner ended with status 2)" in line
    assert "NOT RUNNING" not in replace(told, runner=True).to_text()


def start_of(pid: int) -> float:
    """When a process was started, by the clock of the boot."""
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def test_a_job_runs_only_while_its_process_does(tmp_path: Path) -> None:
    """A marker whose process lives is running; one whose process is gone, or that says nothing, is unknown; ended jobs
    and foreign files do not count; a folder that is not there has none.
    """
    names = [f"01J0000000000000000000000{digit}" for digit in range(4)]
    folder = os.open(tmp_path, os.O_RDONLY)
    evidence = Evidence(folder)
    for name, marker in (
        (names[0], Marker("b", os.getpid(), 0.0, start_of(os.getpid()))),
        (names[1], Marker("b", os.getpid(), 0.0, start_of(os.getpid()) + 9)),  # another process of that number
        (names[2], None),
        (names[3], Marker("b", os.getpid(), 0.0, start_of(os.getpid()))),
    ):
        made = evidence.create_marker(name)
        if marker is not None:
            write_marker(made, marker)
        os.close(made)
    os.close(folder)
    (tmp_path / f"{names[3]}.result").touch()
    (tmp_path / "x.started").touch()
    assert find_jobs(tmp_path) == ([names[0]], [names[1], names[2]])
    assert find_jobs(tmp_path / "none") == ([], [])


@each_of(
    ("changes", "words", "status"),
    [
        ({}, "linked since 1970-01-01", 0),
        ({}, "holder       journal 3f2a9c1b, life 17 (0a1b2c3d4e5f6071), link 42", 0),
        ({"holder": "COPIED OR MOVED: why", "moved": True}, "holder       COPIED OR MOVED: why", 1),
        ({"moved": True}, "answerback-agent take-over --state /s", 1),
        ({"holder": ""}, "holder       cannot tell", 0),
        ({"linked": False, "link_state": "away", "link_reason": "nobody listens"}, "NOT LINKED since 1970-01-01", 1),
        ({"linked": False, "link_state": "refused", "link_reason": "revoked"}, "REFUSED by the hub since", 1),
        ({"linked": False, "link_state": "away", "link_cure": "start the hub"}, "what to do   start the hub", 1),
        ({"linked": False, "uplink": False}, "NOT LINKED: the uplink does not run; it last knew: linked", 1),
        ({"certificate_left": 5_400.0}, "2 h left", 0),
        ({"certificate_left": -1.0}, "EXPIRED; `answerback-agent doctor` says what to do", 1),
        ({"runner": False}, "runner       down", 1),
        ({"policy": "read-only: looks"}, "policy       read-only: looks", 0),
        ({"policy": "CANNOT BE USED", "policy_usable": False}, "policy       CANNOT BE USED", 1),
        ({}, "policy       cannot tell", 0),
        ({"job_user": "nobody; root where a rule says so"}, "jobs run as  nobody; root where", 0),
        ({}, "jobs run as  cannot tell", 0),
        ({"approvers": "bob (bob: why)"}, "approvers    bob (bob: why)", 0),
        ({"unknown_jobs": [JOB]}, f"unknown      {JOB}", 0),
        (
            {"linked": None, "uplink": None, "runner": None, "hidden": ("/s/uplink",)},
            "`sudo answerback-agent status`",
            0,
        ),
        ({"linked": None, "uplink": None, "runner": None, "running_jobs": None}, "running      cannot tell", 0),
    ],
)
def test_the_text_tells_what_is(changes: dict[str, object], words: str, status: int) -> None:
    """What is known is said, what is not known is not guessed, and 1 is for what is known to be wrong."""
    found = replace(WELL, **changes)  # type: ignore[arg-type]
    assert words in found.to_text()
    assert found.exit_status == status
    assert found.to_json()["certificate_expired"] == (found.certificate_left <= 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
@pytest.mark.parametrize("command", ["status", "doctor"])
def test_an_ordinary_user_is_told_what_cannot_be_seen(command: str) -> None:
    """No traceback: what this user cannot see, where it is, and that root can; nothing is called down."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        state = Path(folder)
        state.chmod(0o755)
        for name in ("uplink", "runner"):
            (state / name).mkdir(mode=0o700)
        setting = Setting({"PATH": "/usr/bin:/bin"}, user=NOBODY)
        ended = run_forked(agent.cli.main, [command, "--state", folder], setting)
    assert ended.status == 0, ended.err
    told = ended.out.decode()
    assert "Traceback" not in ended.err
    assert str(state / "uplink") in told
    assert "sudo" in told
    assert "down" not in told


def test_it_says_what_the_trust_in_a_passkey_rests_on(tmp_path: Path) -> None:
    """Beside whose signatures count; nothing where nobody's do; that nothing critical runs where the file is broken."""
    state = StateFolder(tmp_path)
    state.runner.mkdir()
    assert _approvers_text(state) == ""
    add_approver(state.approvers, "bob", "ab" * 32)
    assert _approvers_text(state) == "bob"
    add_approver(state.approvers, "ann", SoftwareAuthenticator().passkey.line)
    assert _approvers_text(state).startswith("ann, bob (ann: a passkey signs what a page of the hub shows, so whoever")
    state.approvers.write_text("nonsense")
    assert _approvers_text(state) == f"none, what is critical is refused: {state.approvers}: not JSON"


def test_which_versions_run_is_told_and_what_is_installed() -> None:
    """Of both; with the command where they are not the installed one, and why the last try was refused."""
    text = replace(WELL, version="1.1", uplink_version="1.1", runner_version="1.0", upgrade="no room (1.0 went on)")
    lines = text.to_text().splitlines()
    assert "uplink       up, version 1.1" in lines
    assert "runner       up, version 1.0; 1.1 is installed: `answerback-agent upgrade`" in lines
    assert "upgrade      REFUSED: no room (1.0 went on)" in lines
    assert "version" not in replace(text, runner=False).to_text().split("runner")[1].splitlines()[0]
