"""The uplink goes on as the program that is installed now: asked for by a signal (`agent.re_exec`).

It holds nothing that is not read again from its folder, from the runner and from the hub, so it ends its link as for a
restart and becomes the new program in its own process: whoever started it sees no end. The new one is asked first.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from pathlib import Path

from agent import log
from agent.re_exec import CannotHandOver, NextProgram, ask
from agent.upgrade_report import UpgradeReport, read_upgrade, write_upgrade
from common.version import VERSION

_QUESTION = b"{}"


class UplinkUpgrade:
    def __init__(self, folder: Path, program: NextProgram | None) -> None:
        self._folder = folder
        self._program = program
        self._asked = asyncio.Event()

    def request(self) -> None:
        """For the signal's handler."""
        self._asked.set()

    async def granted(self) -> None:
        """Returns once it was asked for and the new program takes over; never otherwise."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            report = UpgradeReport("checking", time.time(), os.getpid(), VERSION)
            write_upgrade(self._folder, report)
            log.info("upgrade.asked")
            try:
                if self._program is None:
                    raise CannotHandOver("this uplink was not started as a program of its own")
                version = await ask(self._program, _QUESTION, set())
            except CannotHandOver as error:
                log.error("upgrade.refused", why=str(error), serving=VERSION)
                took = time.time() - report.begun
                write_upgrade(self._folder, replace(report, state="refused", reason=str(error)[:1_000], took=took))
                continue
            log.info("upgrade.hands_over", to=version)
            write_upgrade(self._folder, replace(report, state="handing_over", after=version))
            return

    def note_start(self) -> None:
        """Called as an uplink begins to serve: tells how the last request ended, where it had not ended yet."""
        last = read_upgrade(self._folder)
        if last is None or last.state not in ("checking", "handing_over"):
            return
        took = max(0.0, time.time() - last.begun)
        if last.state == "handing_over" and last.pid == os.getpid():
            log.info("upgrade.done", before=last.before, now=VERSION, took=took)
            write_upgrade(self._folder, replace(last, state="done", after=VERSION, took=took))
            return
        write_upgrade(self._folder, replace(last, state="refused", reason="the uplink ended meanwhile", took=took))
