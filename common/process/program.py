"""How our programs end: the one place where an error becomes words and an exit status.

    a person's mistake (UserError)      one sentence on standard error, "PROGRAM: problem: cure"; the error's own status
    the system says no (OSError)        the same, made by `explain_os_error`: what, why, and what to do; 2 or 1
    Ctrl-C                              "PROGRAM: interrupted"; 130
    nobody reads our output any more    nothing, since the reader chose to go (`| head`); 1
    a fault of our own                  one sentence with the place in the code; 1. $ANSWERBACK_TRACEBACK=1 shows it all

With `--json` the sentence is one JSON object on standard error, {"error", "cure", "status"}. Nobody meets a traceback:
a command raises what is wrong, and prints nothing about it itself.

`start` is for `__main__`: it loads the program inside the same net, so that Ctrl-C while it loads, a missing library
and closed streams are met too. `run_command` is what `main` calls; tests call that.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import json
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, NoReturn

from common.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, UserError
from common.process.streams import discard_output, prepare_streams

TRACEBACK_VARIABLE: Final = "ANSWERBACK_TRACEBACK"
_AGAIN_SECONDS: Final = 0.01
_OURS: Final = ("common", "hub", "agent", "tui")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a program ends: what to say on standard error ("" for nothing), and its exit status."""

    problem: str
    cure: str = ""
    status: int = EXIT_USAGE
    shown: str = ""  # instead of "problem: cure", for a person: several lines, such as usage

    @property
    def sentence(self) -> str:
        return f"{self.problem}: {self.cure}" if self.cure else self.problem


Explain = Callable[[BaseException], Ending | None]
"""What a library's own errors mean; None for an error that is not the library's."""


def run_command(program: str, call: Callable[[], object], explain: Explain = lambda error: None) -> int:
    """Runs `call` and returns the program's exit status; whatever it raises is printed as described above."""
    try:
        result = call()
        sys.stdout.flush()
        return result if isinstance(result, int) and not isinstance(result, bool) else EXIT_OK
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else EXIT_OK if error.code is None else EXIT_FAILED
        return _flush(program, status)
    except BaseException as error:
        if os.environ.get(TRACEBACK_VARIABLE) and not isinstance(error, (KeyboardInterrupt, UserError)):
            raise
        ending = find_ending(error, explain)
        if not _is_output(error):
            _flush(program, EXIT_OK)
        else:
            discard_output()
        _print(program, ending)
        return ending.status


def start(
    program: str, load: Callable[[], Callable[[], object]], extra: str = "", *, leave_at_once: bool = False
) -> NoReturn:
    """Prepares the streams, loads the program with `load` and runs what that returns; exits. `extra` names what is to
    be installed where a library is missing. `leave_at_once` is for short commands: the interpreter does not take itself
    apart object by object, which takes longer than many a command's work.
    """

    def load_and_run() -> object:
        prepare_streams()
        _silence_the_interpreter(program)
        try:
            run = load()
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in _OURS:
                raise
            wanted = f"answerback[{extra}]" if extra else "answerback"
            raise UserError(f"{error.name} is not installed here", f"pip install '{wanted}'") from None
        return run()

    try:
        status = run_command(program, load_and_run)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # the interpreter's own end has nothing to say to Ctrl-C
    except KeyboardInterrupt:  # while an ending was being told
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        status = EXIT_INTERRUPTED
        _print(program, Ending("interrupted", status=status))
    if leave_at_once:
        atexit._run_exitfuncs()  # what libraries have registered for the end
        status = _flush(program, status)
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _silence_the_interpreter(program: str) -> None:
    """What the interpreter and its library would print by themselves is no sentence: warnings, errors of clean-up, log
    lines without a handler. Ctrl-C at an unlucky moment, while an event loop is being made or closed, causes all three.
    """
    if os.environ.get(TRACEBACK_VARIABLE):
        return
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    logging.lastResort = None

    def tell(unraisable: sys.UnraisableHookArgs) -> None:
        error = unraisable.exc_value
        if isinstance(error, KeyboardInterrupt):
            _interrupt_again()
            return
        if error is None or _is_of_asyncio(unraisable.exc_traceback):
            return
        what = f"{type(error).__name__}: {error}".replace("\n", " ")[:300]
        _print(program, Ending(f"a fault while cleaning up ({what}, {_place(unraisable.exc_traceback)})"))

    sys.unraisablehook = tell


def _interrupt_again() -> None:
    """Ctrl-C came while a finaliser ran, which lets nothing out: without this the program would go on for ever."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)


def _is_of_asyncio(traceback: TracebackType | None) -> bool:
    """Whether an error is of an event loop that is half made or half closed."""
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback is not None and f"{os.sep}asyncio{os.sep}" in traceback.tb_frame.f_code.co_filename


# ---- what an error means


def find_ending(error: BaseException, explain: Explain = lambda error: None) -> Ending:
    """What to say about an error, and the status."""
    leaves = list(_leaves(error))
    for found in leaves:
        if isinstance(found, UserError):
            return Ending(found.problem, found.cure, found.exit_code)
    inner = leaves[0]
    if (explained := explain(inner)) is not None:
        return explained
    if isinstance(inner, KeyboardInterrupt):
        return Ending("interrupted", status=EXIT_INTERRUPTED)
    if isinstance(inner, BrokenPipeError) and inner.filename is None:
        return Ending("", status=EXIT_FAILED)
    if isinstance(inner, OSError):
        return explain_os_error(inner)
    if isinstance(inner, (MemoryError, RecursionError)):
        return Ending("there is not enough memory for this", "free some, or ask for less", EXIT_FAILED)
    if isinstance(inner, UnicodeError):
        return Ending(f"a text is not in the encoding that was expected ({inner.__class__.__name__})", "use UTF-8")
    what = f"{type(inner).__name__}: {inner}".replace("\n", " ")[:300]
    return Ending(
        f"a fault of this program ({what}, {_place(inner.__traceback__)})",
        f"please report it; with {TRACEBACK_VARIABLE}=1 the whole of it is shown",
        EXIT_FAILED,
    )


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors inside groups, which a TaskGroup makes, in order."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


_CURES: Final = {
    errno.EACCES: "run this as the user who may, or change its owner or mode",
    errno.EPERM: "run this as the user who may, or change its owner or mode",
    errno.EROFS: "that place is read-only; name another one",
    errno.ENOENT: "create it, or name another",
    errno.ENOTDIR: "a part of that path is no folder; name another",
    errno.EISDIR: "name a file",
    errno.ELOOP: "its links go round in a circle; name another",
    errno.ENAMETOOLONG: "name a shorter one",
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room: this user's quota is used up",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "the whole system has too many files open: close some",
    errno.EIO: "look at the disk and the system's log",
    errno.ENOMEM: "free some memory",
    errno.EADDRINUSE: "stop what listens there, or choose another port",
    errno.EADDRNOTAVAIL: "that address is not this machine's: choose another",
}
_SET_UP: Final = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.EADDRINUSE,
        errno.EADDRNOTAVAIL,
    }
)


def explain_os_error(error: OSError) -> Ending:
    """What the system refused, as problem and cure; status 2 where the set-up is wrong, else 1."""
    reason = error.strerror or type(error).__name__
    cure = _CURES.get(error.errno or 0, "see the system's log")
    status = EXIT_USAGE if error.errno in _SET_UP else EXIT_FAILED
    if error.filename is not None:
        return Ending(f"{_name(error.filename)}: {reason}", cure, status)
    if _is_output(error):
        return Ending(f"cannot write to standard output ({reason})", cure, EXIT_FAILED)
    if isinstance(error, FileNotFoundError):
        # getcwd(2): the folder was removed under this shell
        return Ending("the folder that this was started in is gone", "cd to one that exists")
    return Ending(f"the system refused ({reason})", cure, status)


def _is_output(error: BaseException) -> bool:
    """Whether a write to our own standard output failed: it is the one file that is written without a name."""
    no_room = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EPIPE, errno.EFBIG, errno.EAGAIN)
    inner = next(_leaves(error))
    return isinstance(inner, OSError) and inner.filename is None and inner.errno in no_room


def _name(filename: object) -> str:
    text = os.fsdecode(filename) if isinstance(filename, (str, bytes, os.PathLike)) else str(filename)
    return "".join(char if char.isprintable() else "?" for char in text[:300])


def _place(traceback: TracebackType | None) -> str:
    """Where in our own code it happened: the last frame that is ours."""
    place = "in a library"
    while traceback is not None:
        parts = traceback.tb_frame.f_code.co_filename.split(os.sep)
        ours = next((index for index, part in enumerate(parts) if part in _OURS), None)
        if ours is not None and "site-packages" not in parts[ours:]:
            place = f"{'/'.join(parts[ours:])}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place


# ---- saying it


def wants_json(argv: Sequence[str]) -> bool:
    """Whether the command line asks for JSON; what stands behind `--` is another program's."""
    ours = argv[: argv.index("--")] if "--" in argv else argv
    return "--json" in ours


def _print(program: str, ending: Ending) -> None:
    if not ending.problem and not ending.shown:
        return
    if wants_json(sys.argv[1:]):
        text = json.dumps({"error": ending.problem, "cure": ending.cure, "status": ending.status})
    else:
        text = ending.shown or f"{program}: {ending.sentence}"
    try:
        sys.stderr.write(text.rstrip("\n") + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # there is no one left to tell


def _flush(program: str, status: int) -> int:
    """Writes what is still in the buffer of standard output; the status, which is that of a failure where it fails."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        ending = find_ending(error) if isinstance(error, OSError) else Ending("", status=EXIT_FAILED)
        discard_output()
        _print(program, ending)
        return status or ending.status
    return status
