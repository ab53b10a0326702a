"""The runner's process: one a state folder, one local socket, one uplink at a time.

The newest uplink wins: whoever was attached before is cut off and what it had sent but we had not read is not read
any more. It is told the report first, and nothing else until the hub has answered that with a resync. All work
happens in `work`; this file hands it what comes in, writes what there is to tell while the socket takes it, and
decides when the process ends.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket as sockets
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from agent import log
from agent.runner.evidence import Evidence
from agent.runner.journal import Journal
from agent.runner.limits import Limits
from agent.runner.link import Link, frame
from agent.runner.process import Spawner, boot_id, lives, prepare
from agent.runner.recover import recover, sweep
from agent.runner.rules import Rules
from agent.runner.spool import Spool
from agent.runner.work import Work
from agent.state import check_socket_path
from common.codec import Frame
from common.errors import UserError
from common.files import make_folder
from common.messages import Bye, Cancel, Credit, Dispatch, Forget, Message, Resync

_BATCH: Final = 64 * 1024


async def run_runner(
    state: Path,
    socket: Path,
    *,
    exit_when_idle: bool,
    allowed_uids: Collection[int],
    ready: Callable[[], None],
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> None:
    """Serves the state folder until it is told to end (TERM, INT) or, with `exit_when_idle`, is not needed any more.

    `allowed_uids` may attach besides root and ourselves. `ready` is called once the socket listens. Raises UserError.
    """
    state, socket = _absolute(state), _absolute(socket)
    folder = state / "runner"
    make_folder(state, 0o755)
    make_folder(folder)
    _check_folder(folder)
    lock = _hold_lock(folder, state)
    mask = prepare()
    try:
        runner = Runner(folder, allowed_uids, limits, exit_when_idle=exit_when_idle)
        try:
            await runner.serve(socket, ready)
        finally:
            runner.close()
    finally:
        os.umask(mask)
        os.close(lock)


class Runner:
    """The composition of the runner's parts, and its one uplink."""

    def __init__(self, folder: Path, allowed_uids: Collection[int], limits: Limits, *, exit_when_idle: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._limits = limits
        self._allowed = frozenset({0, os.geteuid(), *allowed_uids})
        self._exit_when_idle = exit_when_idle
        self.socket_buffer = limits.socket_buffer
        self._link: Link | None = None
        self._pumping = False
        self._stops = 0
        self._over = asyncio.Event()
        self._idle: asyncio.TimerHandle | None = None
        boot = boot_id()
        for name in ("jobs", "empty"):
            make_folder(folder / name)
        self._jobs_folder = _open_folder(folder / "jobs")
        self._empty_folder = _open_folder(folder / "empty")
        self._spawner = Spawner()
        evidence = Evidence(self._jobs_folder)
        spool = Spool(evidence, limits.spool_quota)
        now = time.time()
        self._journal = Journal(folder / "journal", limits, now, self._loop.call_soon_threadsafe)
        if self._journal.torn:
            log.warning("journal.cut", bytes=self._journal.torn)
        self.work = Work(
            loop=self._loop,
            limits=limits,
            boot=boot,
            rules=Rules(folder),
            journal=self._journal,
            evidence=evidence,
            spool=spool,
            spawner=self._spawner,
            empty=self._empty_folder,
            changed=self.changed,
        )
        jobs, records = recover(self._journal.memory, evidence, spool, boot=boot, lives=lives)
        if records:
            self._journal.append(*records, done=self._recovered, now=now)
        for job in jobs:
            self.work.adopt(job)
        sweep(self._journal.memory, evidence, limits, now)

    async def serve(self, socket: Path, ready: Callable[[], None]) -> None:
        listener = _listen(socket)
        server = await self._loop.create_unix_server(lambda: Link(self), sock=listener)
        signals = (signal.SIGTERM, signal.SIGINT)
        for number in signals:
            self._loop.add_signal_handler(number, self._stop)
        try:
            log.info("runner.ready", socket=socket, jobs=len(self.work.jobs))
            ready()
            self.changed()
            await self._over.wait()
            log.info("runner.ends")
        finally:
            for number in signals:
                self._loop.remove_signal_handler(number)
            server.close()
            if self._link is not None:
                self._link.abort()
            _remove(socket)

    def close(self) -> None:
        self.work.close()
        self._journal.close()
        self._spawner.close()
        for folder in (self._jobs_folder, self._empty_folder):
            os.close(folder)
        if self._idle is not None:
            self._idle.cancel()

    # ---- the uplink

    def attached(self, link: Link) -> None:
        """A new uplink; the one before it is cut off."""
        older, self._link = self._link, link
        if older is not None:
            log.info("uplink.replaced")
            older.abort()
        self.work.teller.reset()
        log.info("uplink.attached", uid=link.uid)
        self.work.settled(lambda: self._report_to(link))

    def detached(self, link: Link) -> None:
        if self._link is link:
            log.info("uplink.detached")
            self._link = None
            self.work.teller.reset()
            self.changed()

    def may_attach(self, uid: int) -> bool:
        return uid in self._allowed

    def heard(self, link: Link, found: Frame) -> None:
        """One message from the hub, by way of the uplink."""
        epoch = self._journal.memory.epoch
        match found.message:
            case Dispatch() as dispatch:  # carries its epoch under its signature
                self.work.dispatch(dispatch)
            case Bye():
                link.abort()
            case message if found.epoch < epoch:
                log.warning("uplink.stale", message=type(message).__name__, epoch=found.epoch, heard=epoch)
            case Cancel(job=job, kill=kill):
                self.work.cancel(job, kill)
            case Credit(job=job, seq=seq):
                self.work.credit(job, seq)
            case Forget(job=job):
                self.work.forget(job)
            case Resync() as resync if link.reported:
                self.work.resync(resync)
            case message:
                log.warning("uplink.unexpected", message=type(message).__name__)

    def _report_to(self, link: Link) -> None:
        if self._link is link:
            link.write([self._frame(self.work.report())])
            link.reported = True

    @property
    def choked(self) -> bool:
        return self.work.choked

    def changed(self) -> None:
        """There may be something to say, to read, or nothing to stay for: looked into once per turn of the loop."""
        if not self._pumping:
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Writes what there is to tell, as long as the socket takes it."""
        self._pumping = False
        link = self._link
        if link is not None:
            link.go_on()
            batch: list[bytes] = []
            size = 0
            while link.writable and size < _BATCH and (message := self.work.teller.next()) is not None:
                batch.append(self._frame(message))
                size += len(batch[-1])
            if batch:
                link.write(batch)
                self.changed()  # there may be more, after the others had their turn
        self._consider_ending()

    def _frame(self, message: Message) -> bytes:
        return frame(message, self._journal.memory.epoch)

    # ---- the end

    def _recovered(self, error: OSError | None) -> None:
        if error is not None:
            log.error("journal.failed", error=error)

    def _stop(self) -> None:
        """First: no more orders, what runs may end by itself. Again: it is made to."""
        self._stops += 1
        log.info("runner.stopping", running=len(self.work.supervisor.runs), again=self._stops > 1)
        if self._stops == 1:
            self.work.stop()
        else:
            self.work.kill_all()
        self.changed()

    def _consider_ending(self) -> None:
        if self.work.busy:
            self._forget_ending()
        elif self._stops:
            if self._link is None or not self.work.teller.has_news:
                self._over.set()
            elif self._idle is None:
                self._idle = self._loop.call_later(self._limits.farewell, self._over.set)
        elif self._exit_when_idle and self._link is None:
            if self._idle is None:
                self._idle = self._loop.call_later(self._limits.idle_exit, self._over.set)
        else:
            self._forget_ending()

    def _forget_ending(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None


def _absolute(path: Path) -> Path:
    """The working directory is each job's in turn, so no path of ours may depend on it."""
    return Path.cwd() / path


def _check_folder(folder: Path) -> None:
    """Whoever can write here can make this machine obey."""
    found = folder.stat()
    if found.st_uid not in (0, os.geteuid()):
        raise UserError(f"{folder} belongs to user {found.st_uid}", f"run `chown {os.geteuid()} {folder}`")
    if found.st_mode & 0o022:
        raise UserError(f"{folder} can be written by others than its owner", f"run `chmod 700 {folder}`")


def _hold_lock(folder: Path, state: Path) -> int:
    """Makes this process the folder's one runner for as long as it lives."""
    try:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise UserError(f"cannot open {folder / 'lock'} ({error.strerror})", "run this as the folder's owner") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(lock, 32).decode("ascii", "replace").strip()
        os.close(lock)
        whose = f" (process {holder})" if holder.isdigit() else ""
        raise UserError(
            f"another runner{whose} serves {state}", "use that one, stop it first, or name another --state"
        ) from None
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    return lock


def _open_folder(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _listen(path: Path) -> sockets.socket:
    """A listening socket that owner and group may connect to. The lock is held, so one that is there is left over."""
    check_socket_path(path)
    make_folder(path.parent)
    listener = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
    try:
        if path.is_socket():
            path.unlink()
        mask = os.umask(0o117)
        try:
            listener.bind(os.fspath(path))
        finally:
            os.umask(mask)
        listener.listen(8)
    except OSError as error:
        listener.close()
        raise UserError(f"cannot listen on {path} ({error.strerror})", "name another place with --socket") from None
    return listener
