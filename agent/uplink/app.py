"""The uplink process: connects the runner to the hub, again and again, until it is stopped. Can start no job.

One round:

    attach to the runner, receive its report   without a runner there is nothing to offer, so the hub is not dialled
    dial; hello; welcome or refuse
    session resumed: send again what the hub has not received
    session new: send the report first; where it was sent before, attach again for a fresh one
    relay messages until the link ends; the cause decides the wait before the next round. A runner that ends while the
        link is up need not end it: the next one's report goes over the same connection

No ending stops the process: an unexpected identity, a hub that refuses and a missing runner are all retried.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import signal
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

from agent import log
from agent.boot import since_boot
from agent.link_report import LinkReporter
from agent.place import Moved
from agent.re_exec import REQUEST, NextProgram, hold, release
from agent.reserve import keep_room_for_renewal
from agent.restarts import RunnerDown
from agent.state import AgentSettings, StateFolder, protocol_file
from agent.uplink.backoff import UniformRandom, UplinkBackoff
from agent.uplink.hub_position import HubPosition
from agent.uplink.link_chain import LinkChain
from agent.uplink.magic_packet import MagicPackets
from agent.uplink.moved import tell_moved
from agent.uplink.relay import MAX_CLOCK_SKEW, LinkEnd, Relay
from agent.uplink.renewal import CertificateRenewal
from agent.uplink.runner_socket import RunnerConnection, RunnerUnavailable, runner_version, word_of
from agent.uplink.trust import TrustedAuthorities
from agent.uplink.upgrade import UplinkUpgrade
from agent.uplink.vitals import facts, network_facts
from common.errors import UserError, WorkFailed
from common.identity.tls import client_context
from common.link.codec import BadFrame
from common.link.compatibility import for_protocol
from common.link.dial import (
    HubRefused,
    NotUnderstood,
    OpenLink,
    UntimelyHub,
    ask_successor,
    measure_clock,
    open_link,
)
from common.link.handshake import EPOCH_RETRY_AFTER, make_hello
from common.link.messages import ORDERS_FACT, TRUSTS_FACT, WAKE_FACT, Refuse, Welcome
from common.link.session import Session, StaleEpoch
from common.process.hangup import StandardError, outlive_hangup
from common.process.notify import notify, watchdog
from common.times import format_iso, format_skew
from common.version import VERSION

MAX_RUNNER_WAIT: Final = 5.0
_FIRST_RUNNER_WAIT: Final = 0.02
NEXT_RUNNER_WITHIN: Final = 15.0
"""Seconds that a link stays up without a runner: more than the longest wait before one is started again."""
_NEXT_RUNNER_POLL: Final = 0.25
_WARN_INTERVAL: Final = 60.0
_IDENTITY_POLL: Final = 2.0
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

StartRunner = Callable[[], RunnerDown | None]
"""Called whenever nothing serves the socket, so possibly many times; None where one has been started."""


async def run_uplink(
    state: StateFolder, socket: Path, *, start_runner: StartRunner | None = None, program: NextProgram | None = None
) -> bool:
    """Serves until SIGTERM or SIGINT, and returns False; or until it was asked to go on as `program`, and returns True.
    Raises UserError where this folder cannot be served at all.
    """
    settings = state.settings()
    state.credential.check_key()
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    upgraded = False
    lock = state.acquire_lock()
    try:
        for number in _SIGNALS:
            loop.add_signal_handler(number, stop.set)
        state.credential.activate_renewal()
        links = await _open_links(state, settings)
        keep_room_for_renewal(state.uplink)
        renewal = CertificateRenewal(state, state.credential.validity())
        uplink = Uplink(state, settings, socket, renewal, links, start_runner=start_runner)
        standard_error = StandardError()
        loop.add_signal_handler(signal.SIGHUP, lambda: uplink.reload(standard_error.reopen()))
        upgrade = UplinkUpgrade(state.uplink, program)
        loop.add_signal_handler(REQUEST, upgrade.request)
        release()
        upgrade.note_start()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(uplink.serve()), group.create_task(watchdog())]
            notify(ready=True, status="starting")
            log.info("uplink.ready", name=settings.name, hub=settings.hub, url=settings.url)
            upgraded = await _until(stop, upgrade)
            if not upgraded:
                notify(stopping=True)
            for task in tasks:
                task.cancel()
        log.info("uplink.stopped")
        return upgraded
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
        if upgraded:
            hold()
        outlive_hangup()
        os.close(lock)


async def _until(stop: asyncio.Event, upgrade: UplinkUpgrade) -> bool:
    """Whether it is another program that serves next."""
    async with asyncio.TaskGroup() as group:
        stopped = group.create_task(stop.wait())
        upgraded = group.create_task(upgrade.granted())
        await asyncio.wait((stopped, upgraded), return_when=asyncio.FIRST_COMPLETED)
        done = upgraded.done() and not stop.is_set()
        stopped.cancel()
        upgraded.cancel()
    return done


async def _open_links(state: StateFolder, settings: AgentSettings) -> LinkChain:
    try:
        return LinkChain(state)
    except Moved as moved:
        await tell_moved(state, settings, moved)
        raise


class Uplink:
    """What outlives a link: the session, the connection to the runner, the backoff."""

    def __init__(
        self,
        state: StateFolder,
        settings: AgentSettings,
        socket: Path,
        renewal: CertificateRenewal,
        links: LinkChain | None = None,
        *,
        start_runner: StartRunner | None = None,
        uniform: UniformRandom = random.random,
    ) -> None:
        self._state = state
        self._settings = settings
        self._socket = socket
        self._renewal = renewal
        self._links = links or LinkChain(state)
        self._start_runner = start_runner
        self._uniform = uniform
        self._session: Session | None = None
        self._runner: RunnerConnection | None = None
        self._trust = TrustedAuthorities(state)
        self._position = HubPosition(state.hub_position)
        self._epoch = self._position.mark.epoch if self._position.mark is not None else 0
        self._told_runner = ("", "")  # the runner's version and protocol, as the hub was told
        self._welcome: Welcome | None = None  # of the last link
        self._plain_hello = False  # the hub is of a version that does not know what was heard
        # The name of this process, by which the hub notices two machines under one identity.
        self._facts = {**facts(), "process": secrets.token_hex(8)}
        self._magic = MagicPackets(since_boot)
        self._reporter = LinkReporter(state.link_report, VERSION, lambda: runner_version(self._socket))
        self._backoff = UplinkBackoff.started(self._reporter.spread)
        self._identity = state.identity_stamp()

    def reload(self, problem: str) -> None:
        """SIGHUP: agent.toml, for the next link; the one that is up stays. `problem` is that of the log's file."""
        log.info("uplink.reload")
        if problem:
            log.error("log.not_reopened", problem=problem)
        try:
            found = self._state.settings()
        except UserError as error:
            log.error("settings.broken", file=self._state.settings_file, why=str(error))
            return
        if (found.name, found.hub) != (self._settings.name, self._settings.hub):
            log.error("settings.not_taken", file=self._state.settings_file, why="name and hub change by joining again")
            return
        self._settings = found

    async def serve(self) -> NoReturn:
        """Ends only by cancellation."""
        self._reporter.tell("away", time.time(), reason="the uplink has just been started")
        try:
            while True:
                delay = await self._connect_once()
                if delay > 0:
                    log.debug("link.wait", seconds=delay)
                    await self._wait(delay)
        finally:
            if self._runner is not None:
                self._runner.close()

    async def _wait(self, delay: float) -> None:
        """Waits so long, or until the machine has joined anew."""
        until = since_boot() + delay
        while (left := until - since_boot()) > 0:
            await asyncio.sleep(min(left, _IDENTITY_POLL))
            if self._state.identity_stamp() not in ((), self._identity):
                return

    def _take_identity(self) -> None:
        """What `join` has written since the last link, if it has."""
        stamp = self._state.identity_stamp()
        if stamp in ((), self._identity):
            return
        try:
            with self._state.hold_credential():
                settings, validity = self._state.settings(), self._state.credential.validity()
                self._identity = self._state.identity_stamp()
        except UserError as error:
            log.error("identity.unreadable", reason=error.problem, cure=error.cure)
            return
        self._settings, self._session = settings, None
        self._renewal = CertificateRenewal(self._state, validity)
        log.info("identity.replaced", name=settings.name, hub=settings.hub, url=settings.url)

    async def _connect_once(self) -> float:
        """One link from dialling to its end; the seconds to wait before the next."""
        runner = await self._wait_for_runner()
        self._take_identity()
        try:
            opened = await self._open_link()
        except HubRefused as refused:
            if refused.refusal.code == "expired":
                return await self._renew_late()
            return self._handle_refusal(refused.refusal)
        except StaleEpoch as error:
            cure = "is this hub restored from a backup? see its operator"
            log.error("link.stale_hub", reason=str(error), cure=cure)
            self._tell_refused(str(error), cure)
            self._session = None
            return self._backoff.delay_refused(EPOCH_RETRY_AFTER, self._uniform)
        except BadFrame as error:
            log.error("link.protocol", reason=str(error))
            self._tell_away(str(error), "are hub and agent of versions that fit?")
            self._session = None
            return self._backoff.delay_unreachable(self._uniform)
        except NotUnderstood as error:
            log.warning("link.older_hub", reason=error.problem, cure=error.cure)
            self._plain_hello = not self._plain_hello
            return 0.0 if self._plain_hello else self._backoff.delay_unreachable(self._uniform)
        except UntimelyHub as error:
            return await self._compare_clocks(error)
        except UserError as error:
            return self._handle_unreachable(error)
        started = since_boot()
        try:
            ending = await self._relay(opened, runner)
        except RunnerUnavailable as error:
            ending = LinkEnd("runner", str(error), new_session=True)
        except Exception as fault:  # a bug that one link runs into must not end all of them
            log.exception("uplink.fault", fault)
            ending = LinkEnd("protocol", "a fault of this agent", new_session=True)
        return self._handle_end(ending, since_boot() - started)

    def _tls(self) -> ssl.SSLContext:
        """`common.link.dial` looks at the time: this machine's clock may be behind."""
        credential = self._state.credential
        with self._state.hold_credential():
            authority = credential.authority.read_bytes()
            return client_context(authority, credential.certificate, credential.key, check_time=False)

    async def _open_link(self) -> OpenLink:
        settings, context = self._settings, self._tls()
        heard = "" if self._plain_hello else self._position.text
        facts = {**self._facts, "runner": runner_version(self._socket), "lineage": self._links.next_link()}
        if orders := word_of(protocol_file(self._socket)):
            facts[ORDERS_FACT] = orders
        self._told_runner = facts["runner"], orders
        if digest := self._trust.digest():
            facts[TRUSTS_FACT] = digest
        facts |= {WAKE_FACT: "1", **network_facts()}
        hello = make_hello("agent", settings.name, self._session, epoch=self._epoch, facts=facts, heard=heard)
        known = self._renewal.validity.not_before  # the hub's clock when it issued our certificate
        return await open_link(settings.url, settings.hub, context, hello, self._session, known=known)

    # ---- when no link comes about

    def _handle_refusal(self, refusal: Refuse) -> float:
        if refusal.code == "superseded":
            self._links.note_welcome()  # the hub knows that step: the next one is told
        log.error("link.refused", refusal=refusal.code, reason=refusal.reason, retry_after=refusal.retry_after)
        _notify_status(f"refused by the hub: {refusal.reason}")
        problem, cure = split_cure(refusal.reason)
        self._tell_refused(problem, cure or "see `answerback-agent doctor`, and the hub's log")
        return self._backoff.delay_refused(refusal.retry_after, self._uniform)

    def _handle_unreachable(self, error: UserError) -> float:
        log.warning("link.unreachable", reason=error.problem, cure=error.cure)
        self._tell_away(error.problem, error.cure)
        return self._backoff.delay_unreachable(self._uniform)

    async def _renew_late(self) -> float:
        """The hub says that our certificate has run out: asks for its successor. Nothing is done by hand for that, as
        long as the hub's grace lasts.
        """
        expired, settings = self._renewal.validity.not_after, self._settings
        log.warning("certificate.expired", since=format_iso(expired), next="asking the hub for a new one")
        try:
            request = await self._renewal.request()
            successor = await ask_successor(settings.url, settings.hub, self._tls(), request)
            self._renewal.set_clock_ahead(successor.clock_ahead)
            await self._renewal.install(successor.renewed)
        except HubRefused as refused:
            return self._handle_refusal(refused.refusal)
        except BadFrame as error:
            log.error("link.protocol", reason=str(error))
            return self._backoff.delay_refused(0.0, self._uniform)
        except UserError as error:
            log.error("certificate.not_renewed", reason=error.problem, cure=error.cure)
            self._tell_away(f"the certificate has run out and was not renewed: {error.problem}", error.cure)
            return self._backoff.delay_unreachable(self._uniform)
        return 0.0

    async def _compare_clocks(self, error: UntimelyHub) -> float:
        """The hub's certificate is not valid by our clock: tells whether it is the clock, and lets the hub know."""
        try:
            ahead = await measure_clock(self._settings.url, self._settings.hub, self._tls())
        except UserError:
            return self._handle_unreachable(error)
        if abs(ahead) <= MAX_CLOCK_SKEW:
            cure = "restart the hub, which renews its own certificate"
            return self._handle_unreachable(WorkFailed("the hub's certificate has run out", cure))
        cure = "set this machine's clock (`timedatectl set-ntp true`); it links by itself then"
        log.error("clock.off", clock=f"{format_skew(ahead)} the hub's", ahead_of_hub=ahead, cure=cure)
        self._tell_away(f"this machine's clock is {format_skew(ahead)} the hub's", cure)
        _notify_status(f"this machine's clock is {format_skew(ahead)} the hub's")
        return self._backoff.delay_unreachable(self._uniform)

    async def _relay(self, opened: OpenLink, runner: RunnerConnection) -> LinkEnd:
        welcome = opened.welcome
        self._backoff.note_spread(welcome.spread)
        self._links.note_welcome()
        self._plain_hello = False  # asked again with the next link: the hub may have been upgraded
        obeyed = self._position.is_obeyed(welcome.mark)
        if not obeyed:
            cure = "is this hub restored from a backup? see its operator"
            log.error("link.stale_hub", told=welcome.mark, heard=self._position.text, cure=cure)
        self._epoch = max(self._epoch, opened.epoch)
        session = self._session
        if session is not None and welcome.resumed:
            session.interval = welcome.heartbeat
            session.epoch = self._epoch
            first = session.resume(welcome.received)
        else:
            if runner.report_used:
                runner = await self._reattach(opened)
            session = Session("hub", id=welcome.session, epoch=self._epoch, interval=welcome.heartbeat)
            self._session = session
            runner.report_used, runner.in_session, runner.unanswered = True, False, 1
            first = [session.send(for_protocol(runner.report, welcome.protocol))]
        log.info(
            "link.up", hub=self._settings.hub, session=session.id, resumed=welcome.resumed, hub_version=welcome.version
        )
        _notify_status(f"linked to {self._settings.hub} as {self._settings.name}")
        self._welcome = welcome
        self._tell_linked()
        try:
            parts = opened, session, runner, self._renewal, self._trust
            relay = Relay(*parts, heard=self._position, obeyed=obeyed, magic=self._magic, next_runner=self._next_runner)
            return await relay.run(first)
        finally:
            self._epoch = max(self._epoch, session.epoch)

    def _handle_end(self, ending: LinkEnd, lasted: float) -> float:
        """Applies an ending to session and runner; returns the seconds to wait before the next link."""
        log.info("link.down", why=ending.cause, detail=ending.detail, lasted=lasted)
        told = f"the link ended ({ending.cause}{': ' if ending.detail else ''}{ending.detail})"
        self._tell_away(told, "it is dialled again by itself")
        if ending.new_session:
            self._session = None
        if self._runner is not None and self._runner.is_gone:
            self._session = None  # what it was sent is settled by the report of the next, which begins a session
            self._drop_runner()
        match ending.cause:
            case "renewed":
                return 0.0
            case "runner":
                self._drop_runner()
            case "bye":
                return self._backoff.delay_bye(ending.spread, self._uniform)
            case "refused":
                return self._backoff.delay_refused(ending.retry_after, self._uniform)
            case "protocol" if ending.retry_after > 0:
                return self._backoff.delay_refused(ending.retry_after, self._uniform)
        if ending.dropped:
            return self._backoff.delay_dropped(lasted, self._uniform)
        return self._backoff.delay_lost(lasted, self._uniform)

    # ---- the runner

    async def _wait_for_runner(self) -> RunnerConnection:
        """The connection to the runner; waits for a runner without limit, tells since when there is none, and warns
        once a minute.
        """
        if self._runner is None:
            self._runner = await self._attach(MAX_RUNNER_WAIT)
        return self._runner

    async def _next_runner(self, before: RunnerConnection) -> RunnerConnection | None:
        """The runner that follows `before` while the link is up. None where none comes soon, or the hub has to be told
        with a new link: it is the same runner, or one of another version.
        """
        try:
            async with asyncio.timeout(NEXT_RUNNER_WITHIN):
                runner = await self._attach(_NEXT_RUNNER_POLL)
        except TimeoutError:
            return None
        told = runner_version(self._socket), word_of(protocol_file(self._socket))
        session = self._session
        if not runner.follows(before) or told != self._told_runner or session is None or runner.epoch > session.epoch:
            runner.close()
            return None
        self._runner = runner
        self._tell_linked()
        return runner

    async def _attach(self, longest: float) -> RunnerConnection:
        """Attaches to a runner, and starts one where that is ours to do; `longest` is in seconds, between two tries."""
        wait, warned_at, since = _FIRST_RUNNER_WAIT, 0.0, time.time()
        while True:
            try:
                runner = await RunnerConnection.attach(self._socket)
            except RunnerUnavailable as error:
                down = self._start_runner() if self._start_runner is not None else RunnerDown(since, error.problem)
                if down is not None:
                    self._tell_runner_down(down, error)
                if since_boot() - warned_at >= _WARN_INTERVAL and (wait >= 1.0 or self._start_runner is None):
                    log.warning("runner.missing", reason=error.problem, cure=error.cure)
                    _notify_status(f"waiting for the runner: {error.problem}")
                    warned_at = since_boot()
                await asyncio.sleep(wait)
                wait = min(longest, wait * 2)
            else:
                self._epoch = max(self._epoch, runner.epoch)
                log.info("runner.attached", socket=self._socket, open_jobs=len(runner.report.open))
                return runner

    async def _reattach(self, opened: OpenLink) -> RunnerConnection:
        """Attaches again, for the fresh report that a new session needs; on RunnerUnavailable the link is closed
        too.
        """
        self._drop_runner()
        try:
            self._runner = await RunnerConnection.attach(self._socket)
        except BaseException:
            opened.connection.transport.abort()
            raise
        return self._runner

    def _drop_runner(self) -> None:
        if self._runner is not None:
            self._runner.close()
            self._runner = None

    def _tell_runner_down(self, down: RunnerDown, error: RunnerUnavailable) -> None:
        starts = "; it is started again by itself" if down.next_start else ""
        self._reporter.tell(
            "away", time.time(), reason=f"no runner: {down.why}{starts}", cure=error.cure, runner_down=down
        )

    def _tell_linked(self) -> None:
        if (welcome := self._welcome) is not None:
            self._reporter.tell("linked", time.time(), hub_version=welcome.version, spread=welcome.spread)

    def _tell_away(self, reason: str, cure: str) -> None:
        self._reporter.tell("away", time.time(), reason=reason, cure=cure)

    def _tell_refused(self, reason: str, cure: str) -> None:
        self._reporter.tell("refused", time.time(), reason=reason, cure=cure)


def split_cure(reason: str) -> tuple[str, str]:
    """A refusal's reason and what to do, "" where it does not say: hubs end a reason with "; run `COMMAND` …"."""
    problem, found, cure = reason.partition("; run `")
    return problem, f"run `{cure}" if found else ""


def _notify_status(status: str) -> None:
    notify(status=status)
