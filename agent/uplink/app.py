"""The uplink: dials the hub for as long as it lives, with a runner behind it. Can start no program.

The order of things, again and again:

    attach to the runner and hear its report      without a runner there is nothing to offer, so the hub is not dialled
    dial, hello, welcome or refuse
    session resumed: repeat what the hub has not had
    session new: send the report first; where it was used before, attach again for a fresh one
    relay until the link ends; the ending says what next

No ending ends the process: a failed identity, a hub that refuses and a runner that is gone are all waited out.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

from agent import log
from agent.state import Settings, State
from agent.uplink.link import Ending, Relay, since_boot
from agent.uplink.local import NoRunner, RunnerLink
from agent.uplink.pace import Dice, Pace
from agent.uplink.renewal import Renewal
from agent.uplink.vitals import facts
from common.codec import BadFrame
from common.dial import HubRefused, Opened, open_link
from common.errors import UserError
from common.handshake import RETRY_EPOCH, make_hello
from common.notify import notify, watchdog
from common.session import Session, StaleEpoch
from common.tls import client_context

LONGEST_RUNNER_WAIT: Final = 5.0
_FIRST_RUNNER_WAIT: Final = 0.02
_TELL_AGAIN: Final = 60.0
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

StartRunner = Callable[[], None]
"""Called when nobody serves the socket; may be called again and again, and raises UserError to give up."""


async def run_uplink(state: State, socket: Path, *, start_runner: StartRunner | None = None) -> None:
    """Serves until SIGTERM or SIGINT; raises UserError where this folder cannot be served at all."""
    settings = state.settings()
    state.credential.check_key()
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    lock = state.hold_lock()
    try:
        for number in _SIGNALS:
            loop.add_signal_handler(number, stop.set)
        state.credential.settle()
        renewal = Renewal(state, state.credential.validity())
        uplink = Uplink(state, settings, socket, renewal, start_runner=start_runner)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(uplink.serve()), group.create_task(watchdog())]
            notify(ready=True, status="starting")
            log.info("uplink.ready", name=settings.name, hub=settings.hub, url=settings.url)
            await stop.wait()
            notify(stopping=True)
            for task in tasks:
                task.cancel()
        log.info("uplink.stopped")
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
        os.close(lock)


class Uplink:
    """What outlives a link: the session, the attachment to the runner, the pace."""

    def __init__(
        self,
        state: State,
        settings: Settings,
        socket: Path,
        renewal: Renewal,
        *,
        start_runner: StartRunner | None = None,
        dice: Dice = random.random,
    ) -> None:
        self._state = state
        self._settings = settings
        self._socket = socket
        self._renewal = renewal
        self._start_runner = start_runner
        self._dice = dice
        self._pace = Pace()
        self._session: Session | None = None
        self._runner: RunnerLink | None = None
        self._epoch = 0
        self._facts = facts()

    async def serve(self) -> NoReturn:
        """Ends only by being cancelled, or by an error that is not of this world's making."""
        try:
            while True:
                delay = await self._once()
                if delay > 0:
                    _say(f"next try in {delay:.0f} s")
                    log.debug("link.wait", seconds=delay)
                    await asyncio.sleep(delay)
        finally:
            if self._runner is not None:
                self._runner.close()

    async def _once(self) -> float:
        """One link from dialling to its end; the seconds to wait before the next."""
        runner = await self._attached()
        self._warn_if_expired()
        try:
            opened = await self._open()
        except HubRefused as refused:
            refusal = refused.refusal
            log.error("link.refused", refusal=refusal.code, reason=refusal.reason, retry_after=refusal.retry_after)
            _say(f"refused by the hub: {refusal.reason}")
            return self._pace.refused(refusal.retry_after, self._dice)
        except StaleEpoch as error:
            log.error("link.stale_hub", reason=str(error), cure="is this hub restored from a backup? see its operator")
            self._session = None
            return self._pace.refused(RETRY_EPOCH, self._dice)
        except BadFrame as error:
            log.error("link.protocol", reason=str(error))
            self._session = None
            return self._pace.unreachable(self._dice)
        except UserError as error:
            log.warning("link.unreachable", reason=error.problem, cure=error.cure)
            return self._pace.unreachable(self._dice)
        started = since_boot()
        try:
            ending = await self._relay(opened, runner)
        except NoRunner as error:
            ending = Ending("runner", str(error), fresh=True)
        except Exception as fault:  # a fault of ours in one link must not be the end of all of them
            log.exception("uplink.fault", fault)
            ending = Ending("protocol", "a fault of this agent", fresh=True)
        return self._after(ending, since_boot() - started)

    async def _open(self) -> Opened:
        ours, settings = self._state.credential, self._settings
        context = client_context(ours.authority.read_bytes(), ours.certificate, ours.key)
        hello = make_hello("agent", settings.name, self._session, epoch=self._epoch, facts=self._facts)
        return await open_link(settings.url, settings.hub, context, hello, self._session)

    async def _relay(self, opened: Opened, runner: RunnerLink) -> Ending:
        welcome = opened.welcome
        self._epoch = max(self._epoch, opened.epoch)
        session = self._session
        if session is not None and welcome.resumed:
            session.interval = welcome.heartbeat
            session.epoch = self._epoch
            first = session.resume(welcome.received)
        else:
            if runner.report_used:
                runner = await self._attach_again(opened)
            session = Session("hub", id=welcome.session, epoch=self._epoch, interval=welcome.heartbeat)
            self._session = session
            runner.report_used = True
            first = [session.send(runner.report)]
        log.info(
            "link.up", hub=self._settings.hub, session=session.id, resumed=welcome.resumed, hub_version=welcome.version
        )
        _say(f"linked to {self._settings.hub} as {self._settings.name}")
        try:
            return await Relay(opened, session, runner, self._renewal).run(first)
        finally:
            self._epoch = max(self._epoch, session.epoch)

    def _after(self, ending: Ending, lasted: float) -> float:
        """What an ending means for the session, the runner and the wait."""
        log.info("link.down", why=ending.why, detail=ending.detail, lasted=lasted)
        if ending.fresh:
            self._session = None
        match ending.why:
            case "renewed":
                return 0.0
            case "runner":
                self._drop_runner()
            case "bye":
                return self._pace.dismissed(ending.spread, self._dice)
            case "refused":
                return self._pace.refused(ending.retry_after, self._dice)
            case "protocol" if ending.retry_after > 0:
                return self._pace.refused(ending.retry_after, self._dice)
        return self._pace.lost(lasted, self._dice)

    # ---- the runner

    async def _attached(self) -> RunnerLink:
        """The attachment, waiting for a runner as long as it takes."""
        wait, told_at = _FIRST_RUNNER_WAIT, 0.0
        while self._runner is None:
            try:
                self._runner = await RunnerLink.attach(self._socket)
            except NoRunner as error:
                if self._start_runner is not None:
                    self._start_runner()
                if since_boot() - told_at >= _TELL_AGAIN and (wait >= 1.0 or self._start_runner is None):
                    log.warning("runner.missing", reason=error.problem, cure=error.cure)
                    _say(f"waiting for the runner: {error.problem}")
                    told_at = since_boot()
                await asyncio.sleep(wait)
                wait = min(LONGEST_RUNNER_WAIT, wait * 2)
            else:
                self._epoch = max(self._epoch, self._runner.epoch)
                log.info("runner.attached", socket=self._socket, open_jobs=len(self._runner.report.open))
        return self._runner

    async def _attach_again(self, opened: Opened) -> RunnerLink:
        """A fresh report for a new session; raises NoRunner, and then there is no link either."""
        self._drop_runner()
        try:
            self._runner = await RunnerLink.attach(self._socket)
        except BaseException:
            opened.connection.transport.abort()
            raise
        return self._runner

    def _drop_runner(self) -> None:
        if self._runner is not None:
            self._runner.close()
            self._runner = None

    def _warn_if_expired(self) -> None:
        not_after = self._renewal.validity.not_after
        if time.time() >= not_after:
            log.error(
                "certificate.expired",
                since=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(not_after)),
                cure="check this machine's clock; if it is right, join again with a new token",
            )


def _say(status: str) -> None:
    notify(status=status)
