"""The runner goes on as the program that is installed now, while its jobs run: asked for by a signal (`agent.re_exec`).

    check      the new program is started as a child and reads the table of this moment; nothing has stopped yet
    pause      no new starts, the uplink is let go; what is on its way to the disk gets there
    hand over  execve, with the table and the descriptors

Whatever speaks against it before the last step is told, and this program goes on as it was: the running one is worth
more than the new one.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, NoReturn

from agent import log
from agent.re_exec import (
    BadDocument,
    CannotHandOver,
    NextProgram,
    ask,
    become,
    drop_descriptors,
    take_descriptors,
    take_document,
)
from agent.runner.hand_over import HandOver, parse_hand_over
from agent.runner.job_table import JobTable
from agent.upgrade_report import UpgradeReport, read_upgrade, write_upgrade
from common.crashpoints import crashpoint
from common.version import VERSION

SETTLED_WITHIN: Final = 15.0
"""Seconds for what is on its way to the disk, and for starts that are being looked at."""
_STOPPING: Final = "the runner is being stopped: what runs may end, then the new program is started anyway"
_NO_PROGRAM: Final = "this runner was not started as a program of its own"


def take_hand_over() -> HandOver | None:
    """What the program before this one has left. What cannot be used is told and dropped: of the jobs that ran then
    nothing more is known. For a process that has opened nothing yet.
    """
    try:
        data = take_document()
        if data is None:
            return None
        handed = parse_hand_over(data)
        take_descriptors(handed.descriptors)
    except BadDocument as error:
        log.error("upgrade.not_taken_over", why=str(error))
        drop_descriptors()
        return None
    crashpoint("hand_over.after_exec")
    return handed


class RunnerUpgrade:
    """`lock` and `listener` are the descriptors that the next program goes on with."""

    def __init__(self, folder: Path, program: NextProgram | None, jobs: JobTable, lock: int) -> None:
        self._folder = folder
        self._program = program
        self._jobs = jobs
        self._lock = lock
        self.changed = asyncio.Event()  # set whenever something may have settled
        self._report = UpgradeReport("checking", 0.0, 0, VERSION)

    async def run(self, listener: int, pause: Callable[[], None], is_stopping: Callable[[], bool]) -> None:
        """Does not return where the new program takes over. `pause` stops serving the uplink."""
        begun = time.time()
        self._tell(UpgradeReport("checking", begun, os.getpid(), VERSION))
        log.info("upgrade.asked", running=len(self._jobs.supervisor.runs))
        try:
            await self._attempt(listener, pause, is_stopping)
        except CannotHandOver as error:
            log.error("upgrade.refused", why=str(error), serving=VERSION)
            self._tell(replace(self._report, state="refused", reason=str(error)[:1_000], took=time.time() - begun))

    async def _attempt(self, listener: int, pause: Callable[[], None], is_stopping: Callable[[], bool]) -> None:
        if self._program is None:
            raise CannotHandOver(_NO_PROGRAM)
        if is_stopping():
            raise CannotHandOver(_STOPPING)
        self._check_reasons()
        first = self._jobs.hand_over(VERSION, self._lock, listener)
        try:
            version = await ask(self._program, _encode(first), self._jobs.supervisor.spared)
        finally:
            self._jobs.supervisor.reap_orphans()  # which the one that was asked may have hidden
        if is_stopping():
            raise CannotHandOver(_STOPPING)
        log.info("upgrade.hands_over", to=version)
        self._tell(replace(self._report, state="handing_over", after=version, jobs=len(self._jobs.supervisor.runs)))
        self._jobs.pause()
        pause()
        try:
            await self._settle()
            if is_stopping():
                raise CannotHandOver(_STOPPING)
            self._check_reasons()
            self._become(self._program, listener)
        except CannotHandOver:
            self._jobs.go_on()
            raise

    def _check_reasons(self) -> None:
        if why := self._jobs.why_not():
            raise CannotHandOver(why)

    async def _settle(self) -> None:
        try:
            async with asyncio.timeout(SETTLED_WITHIN):
                while not self._jobs.is_settled:
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            raise CannotHandOver("the disk has not taken what is on its way to it: see what keeps it busy") from None

    def _become(self, program: NextProgram, listener: int) -> NoReturn:
        """No turn of the loop between the table and the exec, so they are of one moment."""
        table = self._jobs.hand_over(VERSION, self._lock, listener)
        crashpoint("hand_over.before_exec")
        try:
            become(program, _encode(table), table.descriptors)
        except OSError as error:
            raise CannotHandOver(f"{program.command[0]} cannot be started ({error.strerror})") from None

    def note_start(self, handed: HandOver | None) -> None:
        """Called as a runner begins to serve: tells how the last request ended, where it had not ended yet."""
        last = read_upgrade(self._folder)
        if last is None or last.state not in ("checking", "handing_over"):
            return
        took = max(0.0, time.time() - last.begun)
        if handed is not None:
            log.info("upgrade.done", before=handed.version, now=VERSION, jobs=len(handed.runs), took=took)
            self._tell(replace(last, state="done", after=VERSION, jobs=len(handed.runs), took=took))
            return
        reason = "the runner ended while it handed over: what ran then is unknown"
        self._tell(replace(last, state="refused", reason=reason, took=took))

    def _tell(self, report: UpgradeReport) -> None:
        self._report = report
        write_upgrade(self._folder, report)


def _encode(table: HandOver) -> bytes:
    try:
        return table.encode()
    except BadDocument as error:
        raise CannotHandOver(f"the table is too large ({error}): wait until some jobs have ended") from None
