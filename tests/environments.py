"""Every command of the three programs in every unfriendly environment: what it comes to.

The commands are taken from the programs' own trees (click's and argparse's), so a new one is in the matrix by itself.
Each is run in a forked process of its own (tests/forked.py). `python -m tests.environments` prints the whole matrix as
a table of exit statuses; with `share`, or `rest`, it prints what is wrong in that part of it, for
`tests/test_environments.py`. That starts it as a program, since a child that is forked from a process with threads, as
those of tests have, may hang on what a thread held.
"""

from __future__ import annotations

import argparse
import codecs
import importlib
import itertools
import json
import os
import pkgutil
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import click

import agent.__main__
import agent.cli
import hub.__main__
import hub.cli.main
import tui.__main__
import tui.cli.main
from hub.witness.file import WitnessFile
from tests import read_once
from tests.forked import NOBODY, Forked, Setting, run_forked

STRANGER = 54_321
"""A user without an entry in passwd, and so without a home."""
WITHIN = 60.0  # seconds: a limit, not a wait
PATIENCE = 3.0
"""Seconds after which a command that serves is interrupted."""
SERVING = frozenset({"serve", "run", "uplink", "runner", "console", "watch"})
NOT_LOADED = ("hub.planning.ocr", "hub.store.migrations", "tui.demo")
MAINS: dict[str, Callable[[], object]] = {
    "answerback-hub": hub.__main__.main,
    "answerback": tui.__main__.main,
    "answerback-agent": agent.__main__.main,
}
ROOT_USER = os.geteuid() == 0


@dataclass(frozen=True)
class Command:
    """One command, and the arguments that it needs."""

    program: str
    words: tuple[str, ...]
    needs: tuple[str, ...]
    json: bool

    @property
    def name(self) -> str:
        return " ".join((self.program, *self.words))


# ---- the commands


def commands() -> list[Command]:
    found = [
        *_click_commands("answerback-hub", hub.cli.main.hub),
        *_click_commands("answerback", tui.cli.main.answerback),
    ]
    for action in agent.cli._parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, parser in action.choices.items():
                found.append(_argparse_command(name, parser))
    return found


def _click_commands(program: str, group: click.Group, words: tuple[str, ...] = ()) -> Iterator[Command]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _click_commands(program, command, (*words, name))
        if not isinstance(command, click.Group) or command.invoke_without_command:
            needs: list[str] = []
            for parameter in command.params:
                if parameter.required or (isinstance(parameter, click.Argument) and parameter.name == "command"):
                    flag = [parameter.opts[0]] if isinstance(parameter, click.Option) else []
                    needs += [*flag, _value(parameter)]
            as_json = any("--json" in parameter.opts for parameter in command.params)
            yield Command(program, (*words, name), tuple(needs), as_json)


def _value(parameter: click.Parameter) -> str:
    if isinstance(parameter.type, click.Choice):
        return str(parameter.type.choices[0])
    known = {"url": "wss://127.0.0.1:1", "request": "r1", "what": "r1", "number": "1", "draft": "d1", "ca_pin": PIN}
    if isinstance(parameter.type, click.Path):
        return "{new}"
    return known.get(parameter.name or "", "uptime" if parameter.name == "command" else "x")


PIN = "sha256:" + "0" * 64


def _argparse_command(name: str, parser: argparse.ArgumentParser) -> Command:
    needs: list[str] = []
    as_json = False
    for action in parser._actions:
        as_json = as_json or "--json" in action.option_strings
        if action.required:
            flag = action.option_strings[:1]
            values = {"ca_pin": PIN, "url": "wss://127.0.0.1:1", "generation": "2"}
            needs += [*flag, values.get(action.dest, "x")]
    return Command("answerback-agent", (name,), tuple(needs), as_json)


# ---- the environments


@dataclass(frozen=True)
class World:
    """A hub that nobody serves, its admin's profile, and an agent's folder that has not joined."""

    folder: Path

    def environment(self, home: str = "/nonexistent") -> dict[str, str]:
        return {
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "ANSWERBACK_CONFIG": str(self.folder / "hub" / "hub.toml"),
            "ANSWERBACK_PROFILE": str(self.folder / "hub" / "profile"),
            "ANSWERBACK_STATE": str(self.folder / "state"),
            **({"HOME": home} if home else {}),
        }


def _close_output() -> None:
    os.close(1)
    sys.stdout = sys.__stdout__ = None  # type: ignore[misc, assignment]  # as the interpreter does


def _closed_pipe() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    os.dup2(writing, 1)


def _full_disk() -> None:
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)


def _lost_folder() -> None:
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    os.rmdir(folder)


def environments(world: World) -> dict[str, Setting]:
    plain = world.environment()
    found = {
        "plain": Setting(plain),
        "no locale": Setting({**plain, "LC_ALL": "xx_XX", "LANG": ""}, encoding="ascii"),
        "latin-1": Setting({**plain, "LC_ALL": "de_DE.ISO-8859-1"}, encoding="latin-1"),
        "output closed": Setting(plain, prepare=_close_output),
        "pipe closed": Setting(plain, prepare=_closed_pipe),
        "disk full": Setting(plain, prepare=_full_disk),
        "folder gone": Setting(plain, prepare=_lost_folder),
        "Ctrl-C": Setting(plain, interrupt_after=0.03),
    }
    if ROOT_USER:
        nowhere = {key: value for key, value in plain.items() if key not in ("HOME", "ANSWERBACK_PROFILE")}
        found |= {
            "no rights": Setting(plain, user=NOBODY),
            "no home": Setting(nowhere, user=STRANGER),
            "read-only": Setting(World(world.folder / "read-only").environment(), user=NOBODY),
        }
    return found


ENVIRONMENTS = [*environments(World(Path("/")))]
NORMAL = 2
"""Environments that a command meets in the normal run; the next command meets others, so all meet each program."""


def is_normal(at: int, environment: int) -> bool:
    """Whether the command at this place meets the environment at that one in the normal run."""
    return (environment - NORMAL * at) % len(ENVIRONMENTS) < NORMAL


@contextmanager
def made_world() -> Iterator[World]:
    """The world, and a copy of it that its owner may read and not write."""
    with tempfile.TemporaryDirectory(prefix="answerback-environments-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        ended = run_forked(
            hub.__main__.main,
            ["init", str(folder / "hub"), "--admin", "alice", "--http", "127.0.0.1:2", "--links", "127.0.0.1:3"],
            Setting({"PATH": "/usr/bin:/bin"}),
        )
        assert ended.status == 0, ended.err
        (folder / "state" / "uplink").mkdir(parents=True, mode=0o700)
        (folder / "state" / "runner").mkdir(mode=0o700)
        if ROOT_USER:
            shutil.copytree(folder / "hub", folder / "read-only" / "hub")
            shutil.copytree(folder / "state", folder / "read-only" / "state")
            for path in [folder / "read-only", *(folder / "read-only").rglob("*")]:
                os.chown(path, NOBODY, NOBODY)
                path.chmod(0o500 if path.is_dir() else 0o400)
        try:
            yield World(folder)
        finally:
            for file in folder.rglob("audit.witness"):  # `audit protect` is one of the commands: none could remove it
                with suppress(OSError):
                    WitnessFile(file, "").set_append_only(False)


def load_everything() -> None:
    """What a command would load later: another user may not be able to read it."""
    for package in (agent, hub, tui):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.startswith(NOT_LOADED):
                with suppress(ModuleNotFoundError):
                    importlib.import_module(found.name)
    read_once.install()
    read_once.default_policy()
    read_once.default_runbooks()
    for name in ("segno", "readline", "getpass", "textwrap", "cryptography.x509"):
        with suppress(ModuleNotFoundError):
            importlib.import_module(name)
    for name in ("ascii", "latin-1", "idna", "utf-8-sig", "raw-unicode-escape"):
        codecs.lookup(name)


# ---- running and judging

_NUMBERS = itertools.count(1)


def run_one(command: Command, name: str, world: World, *, as_json: bool = False) -> Forked:
    setting = environments(world)[name]
    new = str(world.folder / f"new-{next(_NUMBERS)}")
    needs = [word.replace("{new}", new) for word in command.needs]
    words = [*command.words, *(["--json"] if as_json and command.json else []), *needs]
    if setting.interrupt_after is None and command.words[-1] in SERVING:
        setting = Setting(**{**setting.__dict__, "interrupt_after": PATIENCE})
    return run_forked(MAINS[command.program], words, setting, WITHIN)


SILENT = ("pipe closed", "output closed", "Ctrl-C")
"""Where a failure may be without words: there is nobody to read them, or it was the person's own wish."""


def judge(ended: Forked, environment: str, *, as_json: bool = False) -> str:
    """What is wrong with how a command ended; "" where nothing is."""
    if ended.status is None:
        return "it hangs"
    if ended.status not in (0, 1, 2, 3, 130) and (ended.status, environment) != (-2, "Ctrl-C"):
        return f"status {ended.status}"
    for words in ("Traceback", "Exception ignored", "a fault of this program", "Error in "):
        if words in ended.err:
            return f"{words}: {ended.err.strip()[-300:]}"
    if ended.status and not ended.err.strip() and not ended.out.strip() and environment not in SILENT:
        return f"status {ended.status} without a word"
    if as_json and ended.status in (1, 2, 3) and ended.err.strip() and not _is_json(ended):
        return f"no JSON: {ended.err.strip()[-300:]}"
    return ""


def _is_json(ended: Forked) -> bool:
    """The result on standard output, or the error on standard error, is a document."""
    for text in (ended.out.decode("utf-8", "replace"), ended.err.strip().splitlines()[-1]):
        with suppress(ValueError):
            json.loads(text)
            return True
    return False


def problems_of(part: str) -> list[str]:
    """What is wrong in the normal run's share of the matrix, or in the rest of it."""
    load_everything()
    found = []
    with made_world() as world:
        for at, command in enumerate(commands()):
            for number, name in enumerate(ENVIRONMENTS):
                if is_normal(at, number) is (part == "share"):
                    as_json = number % 2 == 0
                    ended = run_one(command, name, world, as_json=as_json)
                    problem = judge(ended, name, as_json=as_json and command.json)
                    found += [f"{command.name}, {name}: {problem}"] if problem else []
    return found


def main() -> int:
    """The matrix as a table: statuses, with a ! where something is wrong."""
    if part := sys.argv[1:]:
        found = problems_of(part[0])
        print("\n".join(found))
        return 1 if found else 0
    load_everything()
    problems = []
    print("| command | " + " | ".join(ENVIRONMENTS) + " |")
    print("|---" * (len(ENVIRONMENTS) + 1) + "|")
    with made_world() as world:
        for command in commands():
            cells = []
            for name in ENVIRONMENTS:
                ended = run_one(command, name, world)
                problem = judge(ended, name)
                cells.append(f"{ended.status}{'!' if problem else ''}")
                problems += [f"{command.name}, {name}: {problem}"] if problem else []
            print(f"| {command.name} | " + " | ".join(cells) + " |", flush=True)
    print("\n".join(["", *problems] if problems else ["", "nothing is wrong"]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
