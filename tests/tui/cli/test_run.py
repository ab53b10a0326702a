"""answerback run and retry, on a hub and two machines that are processes."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import pytest

from common.api.codec import decode, encode
from common.api.jobs import JobView
from common.api.requests import RequestDetails
from tests.each import each_of
from tests.end_to_end.system import ROOT
from tests.tui.fake_source import request_row
from tests.tui.live_hub import LiveHub
from tui.cli.run import print_end

pytestmark = pytest.mark.xdist_group("live")


def test_output_and_status_come_back(answerback: LiveHub) -> None:
    """Standard output and error apart, status 0, and nothing of ours between."""
    ended = answerback("run", "web-1", "--", "hello")
    assert (ended.code, ended.text, ended.err) == (0, "out\n", "err\n")


_LIBRARIES = (
    "textual rich aiohttp httpx pydantic cryptography sqlite3 psutil "
    "importlib.metadata importlib.resources urllib.request http.client tempfile zipfile lzma difflib"
)
_OURS = (
    "common.plan common.filter.parser common.api.verbs common.api.actions common.api.overview common.api.lists "
    "tui.client.login tui.client.approval_key tui.text.format tui.app"
)
NEVER: Final = frozenset(f"{_LIBRARIES} {_OURS}".split(" "))
"""What a run has no use for: each takes as long to load as a command takes to run."""


def test_a_run_loads_nothing_that_it_has_no_use_for(answerback: LiveHub) -> None:
    """From a new interpreter, as people start it, through to the end of the command."""
    code = (
        "import atexit, sys; atexit.register(lambda: sys.stderr.write(' '.join(sys.modules)));"
        "sys.argv[0] = 'answerback'; from tui.__main__ import main; main()"
    )
    words = ["--profile", str(answerback.profile(answerback.rig.admin)), "run", "web-1", "--", "hello"]
    ended = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "out\n"), ended.stderr
    loaded = set(ended.stderr.split())
    assert "tui.cli.run" in loaded
    assert not loaded & NEVER


def test_piped_output_is_byte_exact(answerback: LiveHub) -> None:
    """Whatever bytes a command writes."""
    ended = answerback("run", "web-1", "--", "bytes")
    assert ended.out == b"\x00\xff\x1b[2Jx\r\nlast"


def test_json_is_one_document(answerback: LiveHub) -> None:
    """The request with its plan and jobs, each with its output as text."""
    ended = answerback("run", "--json", "web-1", "--", "seven")
    request = ended.json
    assert ended.code == 1
    assert (request["state"], request["person"], request["plan"]["steps"][0]["targets"]) == ("done", "alice", ["web-1"])
    (job,) = request["jobs"]
    assert (job["state"], job["exit_code"], job["output"], job["agent"]) == ("failed", 7, "trying\n", "web-1")
    assert job["output_is"] == "data"
    assert ended.err == "answerback: web-1: failed (exit 7)\n"


@pytest.mark.parametrize(
    ("script", "told"), [("seven", "web-1: failed (exit 7)"), ("killed", "web-1: failed (signal 9)")]
)
def test_a_command_that_fails(script: str, told: str, answerback: LiveHub) -> None:
    """Status 1, and how it ended on standard error."""
    ended = answerback("run", "web-1", "--", script)
    assert ended.code == 1
    assert told in ended.err


def test_several_machines_at_once(answerback: LiveHub) -> None:
    """Each line whole and behind its machine's name, also where it came in halves."""
    ended = answerback("run", "web-*", "--", "halves")
    assert ended.code == 0
    assert sorted(ended.text.splitlines()) == sorted(
        f"{name} | {line}" for name in ("web-1", "web-2") for line in ("one line", "and more")
    )


def test_machines_by_label(answerback: LiveHub) -> None:
    """role=web means both."""
    request = answerback("run", "--json", "role=web", "--", "hello").json
    assert [job["agent"] for job in request["jobs"]] == ["web-1", "web-2"]


@pytest.mark.parametrize(
    "argv",
    [
        ("--in", "{folder}", "web-1", "--", "where"),
        ("web-1", "--in", "{folder}", "--", "where"),
        ("web-1", "--in={folder}", "where"),
    ],
)
def test_the_folder_to_run_in(argv: tuple[str, ...], answerback: LiveHub) -> None:
    """Options stand on either side of the target."""
    folder = str(answerback.rig.folder)
    ended = answerback("run", *(word.format(folder=folder) for word in argv))
    assert (ended.code, ended.text.strip()) == (0, str(Path(folder).resolve())), ended.err


def test_everything_behind_the_dashes_is_the_commands(answerback: LiveHub) -> None:
    """Also what looks like an option of ours."""
    request = answerback("run", "--json", "web-1", "--", "hello", "--json").json
    assert request["state"] == "refused"  # by the policy of `hello`, which got the word
    assert answerback("run", "web-1", "hello", "--help").code == 3


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("web-1", "--", "rm", "-rf", "/"), 3, "refused: no rule lets rm run"),
        (("web-1", "--in", "/etc", "--", "where"), 3, "refused: "),
        (("web-1", "--in", "etc", "--", "where"), 2, "cwd: not an absolute path"),
        (("web-9", "--", "hello"), 2, "web-9"),
        (("role=db", "--", "hello"), 2, "role=db"),
        (("web-1",), 2, "Missing argument 'COMMAND...'"),
        (("web-1", "--"), 2, "Missing argument 'COMMAND...'"),
        (("--bogus", "web-1", "--", "hello"), 2, "No such option"),
        (("--timeout", "0", "web-1", "--", "hello"), 2, "--timeout"),
        (("--timeout", "soon", "web-1", "--", "hello"), 2, "--timeout"),
        (("web-1", "--", "hello\x00"), 2, "argv"),
    ],
)
def test_what_cannot_be_run_is_told(argv: tuple[str, ...], code: int, words: str, answerback: LiveHub) -> None:
    """Refused by policy is 3, wrong usage 2; a message on standard error and nothing on standard output."""
    ended = answerback("run", *argv)
    assert (ended.code, ended.out) == (code, b"")
    assert words in ended.err
    assert "Traceback" not in ended.err


def test_a_refusal_in_json(answerback: LiveHub) -> None:
    """The request with its reason and rule on standard output, the reason on standard error, status 3."""
    ended = answerback("run", "--json", "web-1", "--", "rm", "x")
    assert ended.code == 3
    assert ended.json["state"] == "refused"
    assert ended.json["reason"] in ended.err


def test_a_viewer_runs_nothing(answerback: LiveHub) -> None:
    """Status 3, with the role that may."""
    ended = answerback.run_as("vera", "run", "web-1", "--", "hello")
    assert ended.code == 3
    assert "needs the role operator" in ended.err


def test_a_time_limit_ends_the_command(answerback: LiveHub) -> None:
    """After --timeout seconds it is stopped, and said to be."""
    began = time.monotonic()
    ended = answerback("run", "web-1", "--timeout", "1", "--", "long")
    assert ended.code == 1
    assert ended.text == "begun\n"
    assert "timed_out" in ended.err
    assert time.monotonic() - began < 60


def test_without_waiting_the_request_is_named(answerback: LiveHub) -> None:
    """And can be followed by its number."""
    ended = answerback("run", "--no-wait", "web-1", "--", "hello")
    assert ended.code == 0
    number, state = ended.text.split()
    assert (number[0], state) == ("r", "working")
    answerback.wait_until(lambda: answerback("request", number, "--json").json["state"] == "done")


def test_approval_is_waited_for(answerback: LiveHub) -> None:
    """What is waited for is said, with the command that gives it; then it runs, and the status is its own."""
    with answerback.process("run", "web-1", "--", "ask-me", person="carol") as process:
        assert process.stderr is not None
        told = process.stderr.readline().decode()
        assert "waits for 1 approval(s) until" in told
        command = told.split("somebody else may: ")[1].split()
        assert command[:2] == ["answerback", "approve"]
        assert answerback.run_as("bob", *command[1:]).code == 0
        process.communicate(timeout=15)
        assert process.returncode == 0


def test_a_rejection_ends_the_wait(answerback: LiveHub) -> None:
    """Status 3, with the reason that was given."""
    with answerback.process("run", "web-1", "--", "ask-me", person="carol") as process:
        assert process.stderr is not None
        number = process.stderr.readline().decode().split()[1]
        assert answerback.run_as("bob", "reject", number, "not", "today").code == 0
        _, err = process.communicate(timeout=15)
        assert process.returncode == 3
    assert "rejected" in err.decode()
    assert "not today" in err.decode()


def test_a_machine_that_is_paused_is_waited_for(answerback: LiveHub) -> None:
    """It is said that the job waits, and until when; interrupted, the request goes on, and how to stop it is said."""
    assert answerback("pause", "web-2").code == 0
    try:
        with answerback.process("run", "web-2", "--", "hello") as process:
            assert process.stderr is not None
            told = process.stderr.readline().decode()
            if told.startswith("answerback: r"):  # on a busy machine its name is said first
                told = process.stderr.readline().decode()
            assert "web-2 is away, paused or busy; the job waits for it until" in told
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=15)
        assert (process.returncode, out) == (130, b"")
        assert "goes on without you" in err.decode()
        number = err.decode().partition(" goes on without you")[0].split()[-1]
        assert "Traceback" not in err.decode()
    finally:
        assert answerback("resume", "web-2").code == 0
    answerback.wait_until(lambda: answerback("request", number, "--json").json["state"] == "done")


def on_a_terminal(answerback: LiveHub, *argv: str) -> bytes:
    """What a command writes when its standard output and error are a terminal."""
    master, slave = pty.openpty()
    try:
        with answerback.process(*argv, stdout=slave) as process:
            os.close(slave)
            written = b""
            while True:
                try:
                    part = os.read(master, 65_536)
                except OSError:  # the other end is closed
                    break
                if not part:
                    break
                written += part
            assert process.wait(15) == 0
        return written
    finally:
        os.close(master)


def test_hostile_output_leaves_no_control_bytes_on_a_terminal(answerback: LiveHub) -> None:
    """No title, colour, clipboard or cursor: what a terminal gets is text and line ends."""
    written = on_a_terminal(answerback, "run", "web-1", "--", "hostile")
    assert written == b"red CSI\r\nreal x\r\n"  # the terminal itself makes CR LF of LF


def test_a_retry_is_a_new_request_with_a_parent(answerback: LiveHub) -> None:
    """Of a request or of one job; what it runs and its status are as before."""
    first: dict[str, Any] = answerback("run", "--json", "web-*", "--", "seven").json
    again = answerback("retry", f"r{first['number']}", "--json")
    assert again.code == 1
    assert again.json["parent"] == first["id"]
    assert [job["agent"] for job in again.json["jobs"]] == ["web-1", "web-2"]
    one = answerback("retry", first["jobs"][1]["id"][-10:].lower(), "--json")
    assert one.json["parent"] == first["jobs"][1]["id"]
    assert [job["agent"] for job in one.json["jobs"]] == ["web-2"]


@pytest.mark.parametrize(("what", "words"), [("r99999", "no request r99999"), ("ZZZZZZZZZZ", "no job ZZZZZZZZZZ")])
def test_a_retry_of_what_is_not_there(what: str, words: str, answerback: LiveHub) -> None:
    """Status 2."""
    ended = answerback("retry", what)
    assert ended.code == 2
    assert words in ended.err


def test_a_retry_waits_for_the_end(answerback: LiveHub) -> None:
    """What still runs is not run again."""
    number = answerback("run", "--no-wait", "web-1", "--", "long").text.split()[0]
    try:
        ended = answerback("retry", number)
        assert ended.code == 2
        assert "has not ended yet" in ended.err
    finally:
        assert answerback("cancel", number).code == 0


def test_a_reader_that_leaves_is_no_error(answerback: LiveHub) -> None:
    """`answerback jobs | head -0`: no traceback, status 1."""
    read, write = os.pipe()
    os.close(read)
    with answerback.process("jobs", stdout=write) as process:
        os.close(write)
        _, err = process.communicate(timeout=15)
    assert (process.returncode, err) == (1, b"")


def test_help_teaches(answerback: LiveHub) -> None:
    """Every command shows an example or more that begins with its own name."""
    listed = answerback("--help").text.split("Commands:")[1]
    for name in [line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2] != " "]:
        told = answerback(name, "--help")
        assert told.code == 0
        assert f"answerback {name}" in told.text.split("Options:")[0].split("\n", 1)[1], name


def ended_request(**more: Any) -> RequestDetails:
    job = JobView(id="J", request="R", agent="web-1", person="alice", state="succeeded", queued_at=0.0, **more)
    return decode(RequestDetails, {**request_row(1, state="done"), "jobs": [encode(job)]})


@each_of(
    ("more", "code", "told"),
    [
        ({}, 0, []),
        ({"notes": ("left 4711 python3", "unrecorded")}, 0, ["4711 python3", "not recorded"]),
        ({"notes": ("disk",)}, 0, ["Make room"]),
        ({"notes": ("lost 12345",), "truncated": True}, 1, ["done, but not all of its output", "12.1 KiB"]),
        ({"notes": ("filtered 12345",)}, 1, ["12.1 KiB more", "grep WORD"]),
        ({"notes": ("dropped",), "truncated": True}, 1, ["not all of its output", "missing"]),
        ({"truncated": True, "output_bytes": 5 << 20}, 1, ["over its cap", "5.0 MiB"]),
        ({"reason": "settled by alice: the runner was killed"}, 0, ["succeeded: settled by alice"]),
    ],
)
def test_a_loss_is_told_and_is_no_success(more: dict[str, Any], code: int, told: list[str]) -> None:
    """A script must not take half an output for all of it; what only went on running is told and is no failure."""
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors):
        assert print_end(ended_request(**more)) == code
    lines = errors.getvalue()
    assert all(part in lines for part in told), lines
    assert bool(lines) == bool(told)
