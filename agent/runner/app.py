"""The runner's process: one a state folder, one local socket, one uplink at a time.

The newest uplink wins: the one before it is disconnected, and what it had sent and we had not read is dropped. A new
uplink is sent the report first, and nothing else until the hub has answered with a resync. The work itself is in
`JobManager`; this file passes it what arrives, writes reports while the socket takes them, and decides when the process
ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket as sockets
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from agent import log
from agent.boot import boot_id_or_random
from agent.frames import encode_frame
from agent.place import end_word, place_of, read_word
from agent.re_exec import REQUEST, NextProgram, release
from agent.reserve import Reserve
from agent.runner.evidence import Evidence
from agent.runner.folders import absolute, check_folder, open_own_folder, open_reserve, take_lock
from agent.runner.forker import Forker
from agent.runner.hand_over import HandOver
from agent.runner.job_table import JobTable
from agent.runner.job_user import JobUsers, sharing_groups
from agent.runner.journal import Journal
from agent.runner.known_keys import KeyKeeper
from agent.runner.limits import RunnerLimits
from agent.runner.local_policy import LocalPolicy
from agent.runner.orphans import Orphans, become_subreaper
from agent.runner.process import Spawner, base_environment, is_alive, prepare_process
from agent.runner.recover import recover, remove_orphans
from agent.runner.socket import UplinkConnection
from agent.runner.socket_files import SocketFiles, listen, listen_again, write_beside
from agent.runner.spool import Spool
from agent.runner.upgrade import RunnerUpgrade
from agent.runner.verify import OrderRefusal
from agent.state import JOB_USER_FILE, moved_here_file
from common.crashpoints import crashpoint
from common.files import create_folder
from common.link.codec import Frame
from common.link.messages import (
    Ack,
    Beat,
    Bye,
    Cancel,
    Confirm,
    Credit,
    Dispatch,
    Forget,
    KeyChange,
    Message,
    Resync,
)
from common.process.hangup import StandardError, outlive_hangup

_BATCH: Final = 64 * 1024
_LAST_ORDERS: Final = 0.25
"""Seconds in which orders that were on their way when the runner was told to end are refused, which hands them to the
next one.
"""
_LOOK_INTERVAL: Final = 5.0
"""Seconds between two looks at the local policy and the trust file: who breaks one is told before the next order."""


async def run_runner(
    state: Path,
    socket: Path,
    *,
    exit_when_idle: bool,
    allowed_uids: Collection[int],
    ready: Callable[[], None],
    limits: RunnerLimits = RunnerLimits(),  # noqa: B008 - frozen
    watch_orphans: bool = False,
    job_user: str = "",
    program: NextProgram | None = None,
    handed: HandOver | None = None,
) -> None:
    """Serves the state folder until SIGTERM or SIGINT or, with `exit_when_idle`, until no uplink and no job is left.

    With `watch_orphans` all other children of this process count as left behind by jobs, and are told and reaped: for a
    process that is nothing but a runner.
    `allowed_uids` are user ids that may attach besides root and our own. `ready` is called once the socket listens.
    `job_user` is whose the jobs are that need no root, where this process is root (`agent.runner.job_user`).
    `program` is what this process may become while jobs run (`upgrade`), for one that is nothing but a runner; `handed`
    what the program has left that this one took over from. Raises UserError.
    """
    state, socket = absolute(state), absolute(socket)
    folder = state / "runner"
    create_folder(state, 0o755)
    create_folder(folder)
    check_folder(folder)
    users = JobUsers.of(job_user)
    lock = take_lock(folder, state, handed)
    mask = prepare_process()
    try:
        with sharing_groups(users):
            runner = Runner(
                folder,
                allowed_uids,
                limits,
                users,
                exit_when_idle=exit_when_idle,
                watch_orphans=watch_orphans,
                handed=handed,
            )
            runner.upgrade = RunnerUpgrade(folder, program, runner.jobs, lock)
            try:
                await runner.serve(socket, ready)
            finally:
                runner.close()
    finally:
        os.umask(mask)
        os.close(lock)


class Runner:
    """The composition of the runner's parts, and its one uplink."""

    def __init__(
        self,
        folder: Path,
        allowed_uids: Collection[int],
        limits: RunnerLimits,
        users: JobUsers,
        *,
        exit_when_idle: bool,
        watch_orphans: bool,
        handed: HandOver | None = None,
    ) -> None:
        self._folder = folder
        self._handed = handed
        self.upgrade: RunnerUpgrade | None = None
        self._loop = asyncio.get_running_loop()
        self._limits = limits
        self._allowed = frozenset({0, os.geteuid(), *allowed_uids})
        self._exit_when_idle = exit_when_idle
        self.socket_buffer = limits.socket_buffer
        self._link: UplinkConnection | None = None
        self._pumping = False
        self._stop_count = 0
        self._finished = False
        self._attention = asyncio.Event()  # to end, or to go on as another program
        self._exit_timer: asyncio.TimerHandle | None = None
        self._look_timer: asyncio.TimerHandle | None = None
        self._refusing = ""
        boot = boot_id_or_random()
        for name in ("jobs", "empty"):
            create_folder(folder / name)
        self._watching = watch_orphans and become_subreaper()
        self._jobs_folder = open_own_folder(folder / "jobs")
        self._empty_folder = open_own_folder(folder / "empty", 0o755 if users.differ else 0o700)
        self._reserve_folder = open_reserve(folder / "reserve", instead=self._jobs_folder)
        self._reserve = Reserve(self._reserve_folder)
        self._reserve_timer: asyncio.TimerHandle | None = None
        self._last_orders: asyncio.TimerHandle | None = None
        names = os.fspath(folder / "programs")
        self._spawner = Spawner(names, _forker(users, names))
        evidence = Evidence(self._jobs_folder)
        spool = Spool(evidence, limits.spool_quota, reserve=self._reserve, limits=limits)
        now = time.time()
        self._local_policy = LocalPolicy(folder, users)
        self._keys = KeyKeeper(folder / "approvers.json")
        self._standard_error = StandardError()
        trust = self._local_policy.trust()
        hub = "" if isinstance(trust, OrderRefusal) else trust.hub
        self._journal = self._open_journal(folder, now, hub, boot)
        if self._journal.torn:
            log.warning("journal.cut", bytes=self._journal.torn)
        self.jobs = JobTable(
            loop=self._loop,
            limits=limits,
            boot=boot,
            local_policy=self._local_policy,
            journal=self._journal,
            evidence=evidence,
            spool=spool,
            reserve=self._reserve,
            orphans=Orphans(watching=self._watching),
            spawner=self._spawner,
            empty=self._empty_folder,
            on_change=self.schedule_pump,
        )
        known = frozenset() if handed is None else frozenset(job.id for job in handed.jobs)
        jobs, records = recover(self._journal.state, evidence, spool, boot=boot, is_alive=is_alive, handed=known)
        if records:
            self._journal.append(*records, on_done=self._on_recovery_written, now=now)
        for job in jobs:
            self.jobs.adopt(job)
        if handed is not None:
            self.jobs.take_over(handed)
            crashpoint("hand_over.taken_over")
        remove_orphans(self._journal.state, evidence, limits, now)

    def _open_journal(self, folder: Path, now: float, hub: str, boot: str) -> Journal:
        place, word = place_of(folder, boot), moved_here_file(folder)
        journal = Journal(
            folder / "journal",
            self._limits,
            now,
            self._loop.call_soon_threadsafe,
            self._reserve,
            hub,
            place,
            word=read_word(word, place),
            life="" if self._handed is None else self._handed.life,
        )
        end_word(word)
        if journal.begun_anew:
            log.warning("journal.begun_anew", journal=journal.state.id, why="a person said that it goes on here")
        return journal

    async def serve(self, socket: Path, ready: Callable[[], None]) -> None:
        handed = self._handed
        listener = listen(socket) if handed is None else listen_again(socket, handed.listener)
        files = SocketFiles(socket)
        files.begin(self._journal.lineage)
        write_beside(self._folder / JOB_USER_FILE, self._local_policy.users.describe())
        self._look(files)
        server = await self._listen(listener)
        signals = (signal.SIGTERM, signal.SIGINT)
        for number in signals:
            self._loop.add_signal_handler(number, self._stop)
        self._loop.add_signal_handler(signal.SIGHUP, self._reload)
        self._loop.add_signal_handler(REQUEST, self._ask_upgrade)
        if self._watching:
            self._loop.add_signal_handler(signal.SIGCHLD, self.jobs.supervisor.reap_orphans)
            self.jobs.supervisor.reap_orphans()
        release()
        self._fill_reserve()
        try:
            log.info(
                "runner.ready", socket=socket, jobs=len(self.jobs.jobs), jobs_run_as=self._local_policy.users.describe()
            )
            if self.upgrade is not None:
                self.upgrade.note_start(handed)
            ready()
            self.schedule_pump()
            while await self._next_request():
                server = await self._upgrade(listener, server)
            log.info("runner.ends")
        finally:
            for number in (*signals, REQUEST, *([signal.SIGCHLD] if self._watching else [])):
                self._loop.remove_signal_handler(number)
            outlive_hangup()
            server.close()
            listener.close()
            if self._link is not None:
                self._link.abort()
            files.remove()

    async def _listen(self, listener: sockets.socket) -> asyncio.Server:
        """Serves a copy of the listener's descriptor: closing the server leaves whoever connects to wait."""
        return await self._loop.create_unix_server(lambda: UplinkConnection(self), sock=listener.dup())

    async def _next_request(self) -> bool:
        """Waits; True where this process is asked to go on as another program, False where it has to end."""
        await self._attention.wait()
        self._attention.clear()
        return not self._finished

    async def _upgrade(self, listener: sockets.socket, server: asyncio.Server) -> asyncio.Server:
        """Returns the server that serves from here on, where this program goes on."""

        def pause() -> None:
            server.close()
            if self._link is not None:
                self._link.abort()

        self._reload()
        if self.upgrade is None:
            return server
        await self.upgrade.run(listener.fileno(), pause, lambda: bool(self._stop_count))
        return server if server.is_serving() else await self._listen(listener)

    def _ask_upgrade(self) -> None:
        self._attention.set()

    def _finish(self) -> None:
        self._finished = True
        self._attention.set()

    def close(self) -> None:
        self.jobs.close()
        self._journal.close()
        self._spawner.close()
        for folder in (self._jobs_folder, self._empty_folder, self._reserve_folder):
            os.close(folder)
        for timer in (self._exit_timer, self._look_timer, self._reserve_timer, self._last_orders):
            if timer is not None:
                timer.cancel()

    # ---- the uplink

    def on_attached(self, link: UplinkConnection) -> None:
        """A new uplink; the one before it is cut off."""
        older, self._link = self._link, link
        if older is not None:
            log.info("uplink.replaced")
            older.abort()
        self.jobs.reporter.reset()
        self._keys.forget_hub()
        log.info("uplink.attached", uid=link.uid)
        self._note_hub()
        self.jobs.after_flush(lambda: self._send_report(link))

    def _note_hub(self) -> None:
        """Whose epochs count: those of the hub in trust.json, which a join at another hub replaces."""
        trust, before = self._local_policy.trust(), self._journal.state.hub
        if isinstance(trust, OrderRefusal) or trust.hub == before:
            return
        if before:
            log.warning("hub.changed", hub=trust.hub, before=before)
        # Where the disk refuses it is noted again at the next start: no order was taken then that it would belong to.
        self._journal.append(("hub", trust.hub), on_done=lambda error: None, now=time.time())

    def on_detached(self, link: UplinkConnection) -> None:
        if self._link is link:
            log.info("uplink.detached")
            self._link = None
            self.jobs.reporter.reset()
            self.schedule_pump()

    def is_allowed(self, uid: int) -> bool:
        return uid in self._allowed

    def on_frame(self, link: UplinkConnection, found: Frame) -> None:
        """One message from the hub, by way of the uplink."""
        epoch = self._journal.state.epoch
        match found.message:
            case Dispatch() as dispatch:  # carries its epoch under its signature
                self._note_hub()
                self.jobs.dispatch(dispatch)
            case Bye():
                link.abort()
            case Beat(stamp=wanted):  # the uplink asks whether we answer
                link.takes_stamps = wanted
                link.write([self._frame(self.jobs.stamp() if wanted else Ack())])
            case message if found.epoch < epoch:
                log.warning("uplink.stale", message=type(message).__name__, epoch=found.epoch, heard=epoch)
            case Confirm() as confirm:
                self.jobs.confirm(confirm)
            case Cancel(job=job, kill=kill):
                self.jobs.cancel(job, kill)
            case Credit(job=job, seq=seq):
                self.jobs.credit(job, seq)
            case Forget(job=job):
                self.jobs.forget(job)
            case Resync() as resync if link.report_sent:
                self.jobs.resync(resync)
            case KeyChange(change=change):
                self._take_key_change(change)
            case message:
                log.warning("uplink.unexpected", message=type(message).__name__)

    def _take_key_change(self, data: bytes) -> None:
        trust = self._local_policy.trust()
        answer = self._keys.answer(data, None if isinstance(trust, OrderRefusal) else trust)
        self.jobs.reporter.enqueue_notice(answer)
        self.schedule_pump()

    def _send_report(self, link: UplinkConnection) -> None:
        if self._link is link:
            link.write([self._frame(self.jobs.report())])
            link.report_sent = True

    @property
    def overloaded(self) -> bool:
        return self.jobs.overloaded

    def schedule_pump(self) -> None:
        """Runs `_pump` once in the next turn of the loop: there may be something to send or read, or a reason to
        exit.
        """
        if self.upgrade is not None:
            self.upgrade.changed.set()
        if not self._pumping:
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Writes pending reports as long as the socket takes them."""
        self._pumping = False
        link = self._link
        if link is not None:
            link.process_frames()
            batch: list[bytes] = []
            size = 0
            while link.writable and size < _BATCH and (message := self.jobs.reporter.next_message()) is not None:
                batch.append(self._frame(message))
                size += len(batch[-1])
            if batch:
                link.write(batch)
                self.schedule_pump()  # there may be more; other callbacks go first
        self._check_exit()

    def _frame(self, message: Message) -> bytes:
        return encode_frame(message, self._journal.state.epoch)

    def _reload(self) -> None:
        """SIGHUP: the log's file and both files of the local policy; the link and the jobs do not notice."""
        problem = self._standard_error.reopen()
        log.info("runner.reload")
        if problem:
            log.error("log.not_reopened", problem=problem)
        self._local_policy.reload()

    def _look(self, files: SocketFiles) -> None:
        """Tells the uplink, and so the hub, while every order is refused for what is wrong on this machine."""
        self._look_timer = self._loop.call_later(_LOOK_INTERVAL, self._look, files)
        problem = self._local_policy.problem()
        if problem != self._refusing:
            self._refusing = problem
            files.tell_refusing(problem)
        if (news := self._keys.news()) is not None:
            self.jobs.reporter.enqueue_notice(news)
            self.schedule_pump()

    def _fill_reserve(self) -> None:
        """Makes the reserve whole where there is room, and looks again later: disks fill and are made room on."""
        if not self._reserve.is_whole:
            self._reserve.refill()
        self._reserve_timer = self._loop.call_later(self._limits.reserve_interval, self._fill_reserve)

    # ---- the end

    def _on_recovery_written(self, error: OSError | None) -> None:
        if error is not None:
            log.error("journal.failed", error=error)

    def _stop(self) -> None:
        """On the first signal no more orders are taken and running jobs may end by themselves; on the second they are
        killed.
        """
        self._stop_count += 1
        log.info("runner.stopping", running=len(self.jobs.supervisor.runs), again=self._stop_count > 1)
        if self._stop_count == 1:
            self.jobs.stop()
            if self._link is not None and self._link.takes_stamps:  # no more words of the hub: what is on its way now
                self._link.write([self._frame(self.jobs.stamp())])  # is refused, and would be unknown once we are gone
                self._last_orders = self._loop.call_later(_LAST_ORDERS, self._on_last_orders)
        else:
            self.jobs.kill_all()
        self.schedule_pump()

    def _on_last_orders(self) -> None:
        self._last_orders = None
        self._check_exit()

    def _check_exit(self) -> None:
        if self.jobs.busy or self._last_orders is not None:
            self._cancel_exit()
        elif self._stop_count:
            if self._link is None or not self.jobs.reporter.has_pending:
                self._finish()
            elif self._exit_timer is None:
                self._exit_timer = self._loop.call_later(self._limits.shutdown_timeout, self._finish)
        elif self._exit_when_idle and self._link is None:
            if self._exit_timer is None:
                self._exit_timer = self._loop.call_later(self._limits.idle_timeout, self._finish)
        else:
            self._cancel_exit()

    def _cancel_exit(self) -> None:
        if self._exit_timer is not None:
            self._exit_timer.cancel()
            self._exit_timer = None


def _forker(users: JobUsers, names: str) -> Forker | None:
    if users.others is None or not users.differ:
        return None
    return Forker(users.others, names, base_environment(users.others))
