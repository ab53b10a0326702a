"""A hub and two machines as real processes, and our command lines run on them from tests that are plain functions.

The commands run in the test's own process (`main()` with its own standard streams), which takes milliseconds; where the
process itself is the matter, `start` makes a real one.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hub.cli.main
import tui.cli.main
from tests.end_to_end.system import ROOT, SystemHarness
from tests.run_main import CommandResult, run_main

PROGRAMS = {
    "hello": "echo out; echo err >&2\n",
    "bytes": r"printf '\000\377\033[2Jx\r\nlast'" + "\n",
    "hostile": r"printf '\033]0;owned\007\033[31mred\033[0m \302\2331mCSI\nfake\rreal \342\200\256x\n'" + "\n",
    "halves": r"printf 'one '; sleep 0.2; printf 'line\nand more'" + "\n",
    "seven": "echo trying; exit 7\n",
    "killed": "kill -9 $$\n",
    "long": "echo begun; exec sleep 300\n",
    "where": "pwd\n",
}
ASK_PROGRAMS = {"ask-me": "", "ask-code": "second_factor = true", "ask-signed": "critical = true"}


class LiveHub:
    """The rig, for tests that are not coroutines."""

    def __init__(self, rig: SystemHarness, loop: asyncio.Runner) -> None:
        self.rig = rig
        self._loop = loop
        self._profiles: dict[str, Path] = {rig.admin: rig.hub_dir / "profile"}

    def run_coroutine(self, coroutine: Any) -> Any:
        """Runs something of the rig's."""
        return self._loop.run(coroutine)

    def hub(self, *argv: str, stdin: bytes = b"") -> CommandResult:
        """answerback-hub on this hub's configuration."""
        extra = () if "--" in argv else ("--config", str(self.rig.config))
        head = argv if extra else self._configured(argv)
        return run_main(hub.cli.main.main, *head, *extra, stdin=stdin)

    def _configured(self, argv: Sequence[str]) -> list[str]:
        at = argv.index("--")
        return [*argv[:at], "--config", str(self.rig.config), *argv[at:]]

    def profile(self, person: str) -> Path:
        """The folder of somebody's profile, who logs in at the first time."""
        if person not in self._profiles:
            role = self.rig.people.get(person, "viewer")
            invited = self.hub("operator", "add", person, "--role", role, "--json").json
            folder = self.rig.folder / f"profile-{person}"
            words = ["login", invited["url"], "--token", invited["token"], "--ca-pin", invited["ca_pin"]]
            ended = run_main(tui.cli.main.main, *words, "--profile", str(folder))
            assert ended.code == 0, ended.err
            self._profiles[person] = folder
        return self._profiles[person]

    def run_as(self, person: str, *argv: str, stdin: bytes = b"") -> CommandResult:
        """answerback as this person."""
        return run_main(tui.cli.main.main, "--profile", str(self.profile(person)), *argv, stdin=stdin)

    def __call__(self, *argv: str, stdin: bytes = b"") -> CommandResult:
        """answerback as the admin."""
        return self.run_as(self.rig.admin, *argv, stdin=stdin)

    @contextmanager
    def process(self, *argv: str, person: str = "", stdout: int = subprocess.PIPE) -> Iterator[subprocess.Popen[bytes]]:
        """answerback as a process of its own, killed if need be."""
        profile = self.profile(person or self.rig.admin)
        command = [sys.executable, "-m", "tui", "--profile", str(profile), *argv]
        started = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE)
        try:
            yield started
        finally:
            if started.poll() is None:
                started.kill()
            if started.stderr is not None and not started.stderr.closed:
                started.communicate()

    def create_asking_request(self, person: str = "carol", script: str = "ask-me", *words: str) -> dict[str, Any]:
        """A request that waits for approval."""
        request = self.run_as(person, "run", "--no-wait", "--json", "web-1", "--", script, *words).json
        assert request["state"] == "asking", request
        return dict(request)

    def wait_until(self, condition: Callable[[], Any], within: float = 60.0) -> Any:
        """The first true value; asks again and again, since it is another process that is waited for."""
        deadline = time.monotonic() + within
        while not (found := condition()):
            assert time.monotonic() < deadline, f"did not come true within {within} s"
            time.sleep(0.02)
        return found


@contextmanager
def live_hub(folder: Path) -> Iterator[LiveHub]:
    """A hub with the machines web-1 and web-2 (role=web) and programs that policy knows."""
    with asyncio.Runner() as loop:
        rig = SystemHarness(folder)
        loop.run(rig.__aenter__())
        try:
            loop.run(rig.init())
            for name, text in PROGRAMS.items():
                more = f'directory = {{ type = "path", beneath = ["{folder}"] }}' if name == "where" else ""
                rig.add_program(name, text, more=more)
            for name, more in ASK_PROGRAMS.items():
                rig.add_program(name, f"echo x >> {folder}/{name}.ran\n", verdict="ask", more=more)
            loop.run(rig.start_hub())
            for name in ("web-1", "web-2"):
                loop.run(rig.add_agent(name, "role=web"))
            yield LiveHub(rig, loop)
            rig.check_at_most_once()
        finally:
            loop.run(rig.close())


def clean_environment() -> None:
    """Variables of whoever runs the tests do not count."""
    for name in ("ANSWERBACK_PROFILE", "ANSWERBACK_CONFIG", "ANSWERBACK_TOKEN"):
        os.environ.pop(name, None)
