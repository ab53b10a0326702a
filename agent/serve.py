"""The commands that serve, `run`, `uplink` and `runner`, and what each of them becomes when it is upgraded.

For the runner this is imported once `ssl` is out of the way (`agent.cli`).
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from agent import log
from agent.detach import RunnerProcess, next_program
from agent.init import become_child_of_init
from agent.re_exec import (
    MAX_DOCUMENT,
    BadDocument,
    NextProgram,
    become,
    drop_descriptors,
    ignore_requests,
    take_document,
)
from agent.state import StateFolder
from common.errors import UserError
from common.process.hangup import outlive_hangup
from common.process.lean import WEBSOCKETS, without
from common.version import VERSION

UPGRADE_CURE: Final = "go to a version between them first, or wait until no job runs and restart the runner"


# ---- the uplink


def serve_all(state: StateFolder, socket: Path, log_level: str) -> None:
    """The uplink, which starts a runner where none serves the folder."""
    _serve(state, socket, log_level, "run", RunnerProcess(state, socket))


def serve_uplink(state: StateFolder, socket: Path, log_level: str) -> None:
    _serve(state, socket, log_level, "uplink", None)


def _serve(state: StateFolder, socket: Path, log_level: str, command: str, runner: RunnerProcess | None) -> None:
    with without(hollow=WEBSOCKETS):
        import websockets.asyncio.client  # noqa: F401

    from agent.uplink.app import run_uplink  # in both processes, which share its memory

    become_child_of_init()
    outlive_hangup()
    ignore_requests()
    log.configure("uplink", log_level)
    _take_runner(runner)
    options = ["--state", str(state.path), "--socket", str(socket), "--log-level", log_level]
    program = next_program([command, *options], ["check-hand-over", "uplink"])
    start_runner = None if runner is None else runner.ensure_started
    while asyncio.run(run_uplink(state, socket, start_runner=start_runner, program=program)):
        document = json.dumps({"runner": 0 if runner is None else runner.pid}).encode()
        try:
            become(program, document, ())
        except OSError as error:
            log.error("upgrade.refused", why=str(error), serving=VERSION)


def _take_runner(runner: RunnerProcess | None) -> None:
    """The runner that this process started before it became this program is its child still."""
    try:
        document = take_document()
        pid = 0 if document is None else json.loads(document)["runner"]
    except (BadDocument, ValueError, KeyError, TypeError) as error:
        log.error("upgrade.not_taken_over", why=str(error))
        drop_descriptors()
        return
    if runner is not None and isinstance(pid, int):
        runner.adopt(pid)


# ---- the runner


@dataclass(frozen=True, slots=True)
class RunnerOptions:
    state: StateFolder
    socket: Path
    log_level: str
    exit_when_idle: bool = False
    uplink_user: str = ""
    job_user: str = ""
    log: Path | None = None  # what standard error is

    def words(self) -> list[str]:
        """As the command line has them."""
        words = ["--state", str(self.state.path), "--socket", str(self.socket), "--log-level", self.log_level]
        words += ["--exit-when-idle"] if self.exit_when_idle else []
        for name, value in (("--uplink-user", self.uplink_user), ("--job-user", self.job_user)):
            words += [name, value] if value else []
        return words + (["--log", str(self.log)] if self.log is not None else [])


def serve_runner(options: RunnerOptions) -> None:
    from agent.runner.app import run_runner
    from agent.runner.upgrade import take_hand_over
    from common.process.notify import notify

    become_child_of_init()
    outlive_hangup()
    ignore_requests()
    log.configure("runner", options.log_level, file=options.log)
    handed = take_hand_over()
    os.chdir("/")  # keep no file system busy
    allowed = {_uid(options.uplink_user)} if options.uplink_user else set()

    def ready() -> None:
        notify(ready=True, status="serving")

    asyncio.run(
        run_runner(
            options.state.path,
            options.socket,
            exit_when_idle=options.exit_when_idle,
            allowed_uids=allowed,
            ready=ready,
            watch_orphans=True,
            job_user=options.job_user,
            program=next_runner(options),
            handed=handed,
        )
    )


def next_runner(options: RunnerOptions) -> NextProgram:
    """What a runner becomes when it is upgraded: whatever is installed then, with the same options."""
    return next_program(["runner", *options.words()], ["check-hand-over", "runner"])


def check_hand_over(program: str, document: IO[bytes]) -> str:
    """Answers a program that is about to become this one: that this one starts and reads its document. Returns the
    version; raises UserError.
    """
    if program == "uplink":
        import agent.uplink.app  # - that it can be
    else:
        import agent.runner.app  # noqa: F401
        from agent.runner.hand_over import parse_hand_over

        try:
            parse_hand_over(document.read(MAX_DOCUMENT + 1))
        except BadDocument as error:
            why = f"version {VERSION} cannot read what the runner hands over: {error}"
            raise UserError(why, UPGRADE_CURE) from None
    return VERSION


def _uid(user: str) -> int:
    import pwd

    try:
        return int(user) if user.isascii() and user.isdigit() else pwd.getpwnam(user).pw_uid
    except KeyError:
        raise UserError(f"there is no user {user}", "create it: see systemd/README.md") from None
