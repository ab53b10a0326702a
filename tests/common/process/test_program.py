"""common.process.program: every error becomes one sentence or one JSON object, and the right status."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from common.errors import Denied, UserError, WorkFailed
from common.process.program import TRACEBACK_VARIABLE, Ending, find_ending, run_command, start, wants_json
from tests.each import each_of
from tests.end_to_end.system import ROOT
from tests.forked import Forked, Setting, run_forked

NO_ENTRY = FileNotFoundError(errno.ENOENT, "No such file or directory", "/srv/a")


@each_of(
    ("error", "sentence", "status"),
    [
        (UserError("no token", "give --token"), "no token: give --token", 2),
        (WorkFailed("nobody listens"), "nobody listens", 1),
        (Denied("not you"), "not you", 3),
        (BaseExceptionGroup("tasks", [BaseExceptionGroup("more", [UserError("a", "b")])]), "a: b", 2),
        (BaseExceptionGroup("tasks", [KeyError("x"), UserError("a", "b")]), "a: b", 2),
        (KeyboardInterrupt(), "interrupted", 130),
        (BaseExceptionGroup("tasks", [KeyboardInterrupt()]), "interrupted", 130),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "", 1),
        (NO_ENTRY, "/srv/a: No such file or directory: create it, or name another", 2),
        (PermissionError(errno.EACCES, "Permission denied", b"/srv/\x1b[31m"), "/srv/?[31m: Permission denied: run", 2),
        (OSError(errno.EROFS, "Read-only file system", "/a"), "/a: Read-only file system: that place is read-only", 2),
        (OSError(errno.ENOSPC, "No space left on device", "/a"), "/a: No space left on device: make room", 1),
        (OSError(errno.ENOSPC, "No space left on device"), "cannot write to standard output (No space left", 1),
        (
            FileNotFoundError(errno.ENOENT, "No such file or directory"),
            "the folder that this was started in is gone",
            2,
        ),
        (OSError(errno.EMFILE, "Too many open files"), "the system refused (Too many open files): raise the limit", 1),
        (MemoryError(), "there is not enough memory", 1),
    ],
)
def test_what_an_error_means(error: BaseException, sentence: str, status: int) -> None:
    """The thing, the reason, the cure; 2 where the set-up is wrong, 1 where the work failed, 130 for Ctrl-C."""
    ending = find_ending(error)
    assert (ending.sentence.startswith(sentence), ending.status) == (True, status), ending


def test_a_library_explains_its_own() -> None:
    """What `explain` says of an error goes before the general words, and not before a person's mistake."""
    assert find_ending(KeyError("x"), lambda error: Ending("theirs", status=3)).status == 3
    assert find_ending(UserError("a"), lambda error: Ending("theirs", status=3)).status == 2


def test_a_fault_of_ours_names_its_place(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence with the line in our code, and how to see it all; then it is shown."""
    monkeypatch.delenv(TRACEBACK_VARIABLE, raising=False)

    def fault() -> None:
        Ending(*[""] * 9)

    assert run_command("answerback", fault) == 1
    told = capsys.readouterr().err
    assert told.startswith("answerback: a fault of this program (TypeError: ")
    assert f"{TRACEBACK_VARIABLE}=1" in told
    assert "\n" not in told.rstrip("\n")
    monkeypatch.setenv(TRACEBACK_VARIABLE, "1")
    with pytest.raises(TypeError):
        run_command("answerback", fault)


def raising(error: BaseException) -> object:
    raise error


@pytest.mark.parametrize("as_json", [False, True])
def test_where_it_is_told(as_json: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """On standard error: a sentence behind the program's name, or with --json one object."""
    monkeypatch.setattr(sys, "argv", ["x", "jobs", *(["--json"] if as_json else [])])
    assert run_command("answerback", lambda: raising(WorkFailed("no hub", "start it"))) == 1
    out, err = capsys.readouterr()
    assert out == ""
    if as_json:
        assert json.loads(err) == {"error": "no hub", "cure": "start it", "status": 1}
    else:
        assert err == "answerback: no hub: start it\n"


@each_of(
    ("argv", "wanted"),
    [
        (["jobs", "--json"], True),
        (["jobs"], False),
        (["run", "web-1", "--", "cmd", "--json"], False),
        (["--json", "--", "x"], True),
    ],
)
def test_json_is_asked_for_before_the_command_of_others(argv: list[str], wanted: bool) -> None:
    """What stands behind -- belongs to the command that is to run."""
    assert wants_json(argv) is wanted


class Full(io.RawIOBase):
    """A device without room, with the number of a file that has some."""

    def __init__(self, number: int) -> None:
        self.number = number

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.number

    def write(self, data: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_output_that_finds_no_room_fails_the_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A result that was printed and not written is no success: status 1 and a sentence."""
    number = os.open(os.devnull, os.O_WRONLY)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(Full(number))))
    assert run_command("answerback", lambda: print("r1 done")) == 1
    monkeypatch.undo()
    os.close(number)
    assert "cannot write to standard output (No space left on device): make room" in capsys.readouterr().err


@each_of(("code", "status"), [(None, 0), (0, 0), (3, 3), ("a text", 1), (True, 0)])
def test_an_exit_keeps_its_status(code: object, status: int) -> None:
    """What a command gives to sys.exit is the program's status."""
    assert run_command("x", lambda: sys.exit(code)) == (1 if code is True else status)


def test_a_result_is_a_status() -> None:
    """What a command returns counts as its status where it is a number; anything else is success."""
    assert (run_command("x", lambda: 3), run_command("x", lambda: None), run_command("x", lambda: True)) == (3, 0, 0)


def started(load: Callable[[], Callable[[], object]]) -> Forked:
    """`start` in a process of its own."""
    return run_forked(lambda: start("answerback-hub", load, "hub"), [], Setting({"PATH": "/usr/bin:/bin"}))


def test_what_happens_while_a_program_loads() -> None:
    """Ctrl-C, a missing library, a fault of ours: told as later on, before anything of the program is there."""

    def interrupted() -> Callable[[], object]:
        raise KeyboardInterrupt

    def without_a_library() -> Callable[[], object]:
        raise ModuleNotFoundError("No module named 'click'", name="click")

    def without_a_module_of_ours() -> Callable[[], object]:
        raise ModuleNotFoundError("No module named 'hub.gone'", name="hub.gone")

    assert started(interrupted) == Forked(130, b"", "answerback-hub: interrupted\n")
    missing = "answerback-hub: click is not installed here: pip install 'answerback[hub]'\n"
    assert started(without_a_library) == Forked(2, b"", missing)
    fault = started(without_a_module_of_ours)
    assert (fault.status, "a fault of this program" in fault.err, "Traceback" in fault.err) == (1, True, False)
    assert started(lambda: lambda: print("done")) == Forked(0, b"done\n", "")


def test_an_interrupt_inside_a_finaliser_is_not_lost() -> None:
    """Python drops what is raised there: Ctrl-C comes again, and the program does not go on for ever."""

    class Dies:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    def goes_on() -> None:
        Dies()
        threading.Event().wait(50)  # a limit: the second interrupt ends it

    assert started(lambda: goes_on) == Forked(130, b"", "answerback-hub: interrupted\n")


LEAVES = """
import atexit, sys
from common.process.program import start

class Kept:
    def __del__(self):
        print("taken apart")

def load():
    global kept
    kept = Kept()
    atexit.register(print, "at exit")
    return lambda: print("done") or 3

start("answerback", load, leave_at_once=sys.argv[1] == "yes")
"""


def test_a_short_command_leaves_at_once() -> None:
    """Its status, its output and what was registered for the end are as ever; the interpreter is not taken apart."""
    for at_once, last in (("yes", b""), ("no", b"taken apart\n")):
        ended = subprocess.run([sys.executable, "-c", LEAVES, at_once], cwd=ROOT, capture_output=True)
        assert (ended.returncode, ended.stdout, ended.stderr) == (3, b"done\nat exit\n" + last, b"")
    with open("/dev/full", "wb") as full:
        ended = subprocess.run([sys.executable, "-c", LEAVES, "yes"], cwd=ROOT, stdout=full, stderr=subprocess.PIPE)
    assert (ended.returncode != 0, b"cannot write to standard output (No space left" in ended.stderr) == (True, True)
