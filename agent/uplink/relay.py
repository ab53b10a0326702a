"""One open link: passes messages between hub and runner until something ends it, and says what.

    hub -> runner   written to the runner's socket as soon as it is received, and counts as processed then
    runner -> hub   numbered by the session, which keeps each message until the hub has committed it

A runner that ends need not end the link: where the next one is there soon, its report goes over the same connection.
That it does tells the hub that what it sent over this connection went to the runner before, to no other machine, and
was not taken where the report does not name it. What comes for a runner that has ended is dropped, and so are orders
until the hub has answered the report of the next one: it settles them.

Back-pressure goes through in both directions: while the session has no room nothing is read from the runner, which
keeps its output in the spool; while the runner does not read, nothing is read from the hub.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal

from websockets.exceptions import ConnectionClosed

from agent import log
from agent.boot import since_boot
from agent.uplink.hub_position import HubPosition
from agent.uplink.magic_packet import MagicPackets
from agent.uplink.renewal import CertificateRenewal
from agent.uplink.runner_socket import RunnerConnection
from agent.uplink.trust import TrustedAuthorities
from agent.uplink.vitals import vitals
from common.crashpoints import crashpoint, crashpoints_of
from common.errors import UserError, WorkFailed
from common.link.codec import FORBIDDEN, BadFrame
from common.link.compatibility import STAMP_PROTOCOL, for_protocol
from common.link.dial import CLOSE_TIMEOUT, OpenLink, close, close_reason
from common.link.handshake import EPOCH_RETRY_AFTER, MAX_INTERVAL
from common.link.joined import MAX_JOINED, send_joined
from common.link.messages import (
    Ack,
    Beat,
    Bye,
    Cancel,
    Confirm,
    Credit,
    Dispatch,
    Forget,
    Heartbeat,
    KeyChange,
    Message,
    Refuse,
    Renewed,
    Resync,
    Trust,
    Wake,
)
from common.link.session import Session, SessionFull, StaleEpoch

ACK_DELAY: Final = 0.05
"""Seconds that an ack waits for a frame that would carry it anyway."""
RENEWAL_TIMEOUT: Final = 60.0
UNACKED_TIMEOUT: Final = 30.0
MAX_WAKES: Final = 16
"""Neighbours to wake that may wait for the packet; the hub asks another machine for those beyond."""
MAX_CLOCK_SKEW: Final = 30.0
CLOCK_STEP: Final = 2.0
"""Seconds by which the wall clock must leave the boot clock between two beats to count as set."""
_WALL_CLOCK_POLL: Final = 60.0
"""Seconds between checks of what is due by the wall clock, which may be set at any time."""

_TO_RUNNER: Final = (Dispatch, Confirm, Cancel, Credit, Forget, Resync, KeyChange)

_SETTLED_BY_REPORT: Final = (Dispatch, Confirm, Credit)
"""Sent before the hub has answered a report, they are for the runner before."""

NextRunner = Callable[[RunnerConnection], Awaitable[RunnerConnection | None]]
"""Waits for the runner that follows the given one; None where the link cannot go on with any."""

EndCause = Literal["closed", "lost", "bye", "refused", "runner", "protocol", "renewed"]


@dataclass(frozen=True, slots=True)
class LinkEnd:
    """Why a link ended. `new_session`: this session cannot go on. `spread` and `retry_after` are what the hub asked
    for, in seconds.
    """

    cause: EndCause
    detail: str = ""
    spread: float = 0.0
    retry_after: float = 0.0
    new_session: bool = False
    dropped: bool = False  # the connection has ended without a word: the hub may be gone, and so for everybody
    close_code: int = 1000  # RFC 6455, what the connection is closed with


class Relay:
    """One open link. `run` returns when it has ended; the session outlives it."""

    def __init__(
        self,
        opened: OpenLink,
        session: Session,
        runner: RunnerConnection,
        renewal: CertificateRenewal,
        trust: TrustedAuthorities,
        *,
        heard: HubPosition,
        obeyed: bool = True,
        magic: MagicPackets | None = None,
        next_runner: NextRunner | None = None,
        clock: Callable[[], float] = since_boot,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """`obeyed`: the hub goes on from what was `heard`. To one that does not this machine reports, and does nothing
        that it says.
        """
        self._position = heard
        self._told = opened.welcome.mark
        self._obeyed = obeyed
        self._connection = opened.connection
        self._session = session
        self._protocol = opened.welcome.protocol
        self._runner = runner
        self._next_runner = next_runner if obeyed and self._protocol >= STAMP_PROTOCOL else None
        runner.on_withdrawn = self._wake_heartbeats
        self._renewal = renewal
        self._trust = trust
        self._clock = clock
        self._wall_clock = wall_clock
        self._room_free = asyncio.Event()
        self._all_acked = asyncio.Event()
        self._ack_pending = asyncio.Event()
        self._initial_sent = asyncio.Event()
        self._trust_told: asyncio.Queue[Trust] = asyncio.Queue(1)
        self._magic = magic or MagicPackets(clock)
        self._wakes: asyncio.Queue[Wake] = asyncio.Queue(MAX_WAKES)
        self._hastened = asyncio.Event()
        self._beat_sooner = asyncio.Event()
        self._beat_at_once = False
        self._renewal_answers: asyncio.Queue[Renewed | Refuse] = asyncio.Queue(1)
        self._end_future: asyncio.Future[LinkEnd] = asyncio.get_running_loop().create_future()
        self._waits_for_room = False  # nothing is read from the runner
        self._renewing = False
        self._clock_off = False
        self._wall_base = wall_clock() - clock()
        self._clock_ahead = 0.0
        self._compare_clocks(opened.welcome.now)

    async def run(self, first: list[bytes]) -> LinkEnd:
        """Sends `first` (a report, or what a resumed session repeats), relays, and closes the connection at the end."""
        self._session.note_activity(self._clock())
        ending = LinkEnd("closed", "stopping")
        try:
            async with asyncio.TaskGroup() as group:
                parts = (
                    self._hub_to_runner(),
                    self._runner_to_hub(first),
                    self._send_heartbeats(),
                    self._watch_liveness(),
                    self._send_acks(),
                    self._take_trust(),
                    self._wake_neighbours(),
                    self._renew(),
                )
                tasks = [group.create_task(self._run_task(part)) for part in parts]
                ending = await self._end_future
                for task in tasks:
                    task.cancel()
            return ending
        finally:
            await self._send_bye(ending)

    async def _run_task(self, part: Coroutine[Any, Any, None]) -> None:
        """Runs one of the link's tasks and turns the ways in which a link may end into a LinkEnd; other errors are
        bugs.
        """
        try:
            await part
        except ConnectionClosed as error:
            self._finish(LinkEnd("closed", close_reason(error), dropped=error.rcvd is None))
        except StaleEpoch as error:
            self._finish(
                LinkEnd(
                    "protocol", str(error), new_session=True, retry_after=EPOCH_RETRY_AFTER, close_code=error.close_code
                )
            )
        except BadFrame as error:
            self._finish(LinkEnd("protocol", str(error), new_session=True, close_code=error.close_code))
        except SessionFull as error:
            self._finish(LinkEnd("protocol", str(error), new_session=True))

    def _finish(self, ending: LinkEnd) -> None:
        if not self._end_future.done():
            self._end_future.set_result(ending)

    async def _send_bye(self, ending: LinkEnd) -> None:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._connection.send(self._session.send(Bye(ending.detail or ending.cause)))
        except (TimeoutError, ConnectionClosed):
            pass
        await close(self._connection, ending.close_code)

    # ---- hub to runner

    async def _hub_to_runner(self) -> None:
        while True:
            data = await self._connection.recv()
            frame = self._session.receive(data, self._clock())
            if self._session.has_room():
                self._room_free.set()
            if not self._session.unacked:
                self._all_acked.set()
            if frame is None:
                continue
            message = self._obey(frame.message)
            crashpoints_of((message,), "at_uplink")
            if isinstance(message, _TO_RUNNER):
                # No await between these two, so that a cancelled task never leaves a message written and not counted.
                written = self._is_for_runner(message)
                if written:
                    self._runner.write(message, frame.epoch)
                self._session.mark_processed(frame.seq)
                self._ack_pending.set()
                if written and not await self._drain_runner():
                    return
                crashpoints_of((message,), "handed_on")
            else:
                if frame.seq and isinstance(message, Ack):
                    self._session.mark_processed(frame.seq)
                    self._ack_pending.set()
                self._handle_message(message, frame.seq)

    def _obey(self, message: Message) -> Message:
        """The message; of a hub that is not obeyed, no more of it than lets the runner report.

        What the hub told of its position is kept before the first thing that it says is done, and not before: its
        answer to the report proves that it has taken what a hub before it may have lost.
        """
        if not isinstance(message, _TO_RUNNER):
            return message
        if self._obeyed:
            self._position.note(self._told)
            return message
        match message:
            case Resync(jobs=jobs):
                return Resync(jobs=jobs)
            case Credit():
                return message
        log.warning("hub.not_obeyed", message=type(message).__name__, heard=self._position.text)
        return Ack()  # counts as processed: it is not to come again

    def _is_for_runner(self, message: Message) -> bool:
        """Whether the runner gets it; what it does not get, the answer to its report settles."""
        runner = self._runner
        if isinstance(message, Resync) and runner.unanswered:
            runner.unanswered -= 1
            return not runner.is_gone and not runner.unanswered  # or it answers the report of a runner before
        early = runner.in_session and runner.unanswered > 0 and isinstance(message, _SETTLED_BY_REPORT)
        return not runner.is_gone and not early

    async def _drain_runner(self) -> bool:
        try:
            await self._runner.drain()
        except ConnectionError:
            pass  # it has ended, which `_runner_to_hub` sees once it has read the runner's last words
        except TimeoutError:
            self._finish(LinkEnd("runner", "the runner does not read its socket", new_session=True))
            return False
        return True

    def _handle_message(self, message: Message, seq: int) -> None:
        match message:
            case Ack():
                pass
            case Beat(now=now, mark=mark, interval=interval):
                self._compare_clocks(now)
                if 0 < interval <= MAX_INTERVAL:
                    self._session.change_interval(interval, self._clock())
                    self._beat_sooner.set()
                if mark:
                    self._told = mark
                    if self._obeyed and self._position.goes_on(mark):
                        self._position.note(mark)
            case Renewed():
                self._session.mark_processed(seq)  # the request is on disk and can be sent again if we lose the answer
                self._ack_pending.set()
                self._deliver_renewal(message)
            case Trust() if self._obeyed:
                while not self._trust_told.empty():
                    self._trust_told.get_nowait()  # the newest word counts
                self._trust_told.put_nowait(message)
            case Wake() if self._obeyed:
                with suppress(asyncio.QueueFull):
                    self._wakes.put_nowait(message)
            case Trust() | Wake():
                log.warning("hub.not_obeyed", message=type(message).__name__, heard=self._position.text)
            case Refuse() if self._renewing:
                self._deliver_renewal(message)
            case Bye(reason=reason, spread=spread):
                self._finish(LinkEnd("bye", reason, spread=spread))
            case Refuse(code=code, reason=reason, retry_after=retry_after):
                self._finish(LinkEnd("refused", f"{code}: {reason}", retry_after=retry_after))
            case _:
                raise BadFrame(f"{type(message).__name__.lower()}: not in the middle of an agent's link", FORBIDDEN)

    def _deliver_renewal(self, message: Renewed | Refuse) -> None:
        if self._renewal_answers.empty():
            self._renewal_answers.put_nowait(message)

    def _compare_clocks(self, hub_now: float) -> None:
        ahead = self._wall_clock() - hub_now
        off = abs(ahead) > MAX_CLOCK_SKEW
        stepped = (self._wall_clock() - self._clock()) - self._wall_base
        if abs(stepped) >= CLOCK_STEP:
            log.warning("clock.stepped", seconds=stepped)
        self._wall_base += stepped
        if off and not self._clock_off:
            log.warning("clock.off", ahead_of_hub=ahead, cure="set this machine's clock (`timedatectl set-ntp true`)")
        self._clock_off = off
        self._clock_ahead = ahead
        self._renewal.set_clock_ahead(ahead)

    # ---- runner to hub

    async def _runner_to_hub(self, first: list[bytes]) -> None:
        for data in first:
            await self._connection.send(data)
        self._initial_sent.set()
        while True:
            await self._wait_for_room()
            try:
                message = await self._runner.receive()
                messages, frames, ended = ([], [], True) if message is None else self._gather(message)
            except BadFrame as error:
                self._finish(LinkEnd("runner", f"the runner sent nonsense: {error}", new_session=True))
                return
            crashpoints_of(messages, "from_runner")
            if frames:
                await send_joined(self._connection, frames)
            crashpoints_of(messages, "sent_on")
            if ended and not await self._go_on_with_next():
                self._finish(LinkEnd("runner", "the runner closed its socket", new_session=True))
                return

    def _gather(self, first: Message) -> tuple[list[Message], list[bytes], bool]:
        """This message and those that have come with it, and their frames: what the runner tells at once leaves at
        once. Whether the runner ends with it.
        """
        messages: list[Message] = []
        frames: list[bytes] = []
        more: Message | None = first
        size = 0
        while more is not None and not isinstance(more, Bye):
            messages.append(more)
            frames.append(self._session.send(for_protocol(more, self._protocol)))
            size += len(frames[-1])
            if size >= MAX_JOINED or not self._session.has_room():
                return messages, frames, False
            more = self._runner.receive_nowait()
        return messages, frames, isinstance(more, Bye)

    async def _go_on_with_next(self) -> bool:
        """Sends the report of the runner that follows the one that has ended; False where the link has to end."""
        before = self._runner
        if self._next_runner is None or not before.gives_stamps:
            return False
        before.note_gone(self._clock())
        runner = await self._next_runner(before)
        if runner is None:
            return False
        # No await from its attaching to here: it is attached and its report in the session, or neither.
        data = self._session.send(for_protocol(runner.report, self._protocol))
        runner.report_used, runner.in_session, runner.unanswered = True, True, before.unanswered + 1
        runner.on_withdrawn = self._wake_heartbeats
        self._runner, self._beat_at_once = runner, True
        self._wake_heartbeats()
        await self._connection.send(data)
        return True

    async def _wait_for_room(self) -> None:
        while not self._session.has_room():
            self._room_free.clear()
            self._waits_for_room = True
            await self._room_free.wait()
        self._waits_for_room = False

    # ---- heartbeats, acks, renewal

    async def _send_heartbeats(self) -> None:
        while True:
            self._beat_sooner.clear()
            now, runner = self._clock(), self._runner
            if self._session.heartbeat_due(now) or runner.has_withdrawn or self._beat_at_once:
                self._beat_at_once = False
                runner.ask(now, reading=not self._waits_for_room)
                await runner.wait_for_stamp()
                figures = vitals() | runner.figures(now) | {"clock_ahead": round(self._clock_ahead, 1)}
                beat = Heartbeat(figures, runner.take_stamp())
                await self._connection.send(self._session.send(for_protocol(beat, self._protocol)))
            wait = min(_WALL_CLOCK_POLL, max(0.01, self._session.next_deadline() - self._clock()))
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._beat_sooner.wait()

    def _wake_heartbeats(self) -> None:
        self._beat_sooner.set()

    async def _watch_liveness(self) -> None:
        """A task of its own, since the one that sends heartbeats may be blocked in a send."""
        while True:
            if self._session.timed_out(self._clock()):
                self._finish(LinkEnd("lost", "the hub was not heard in three intervals"))
                return
            await asyncio.sleep(min(_WALL_CLOCK_POLL, max(0.01, self._session.lost_at() - self._clock())))

    async def _send_acks(self) -> None:
        while True:
            await self._ack_pending.wait()
            await asyncio.sleep(ACK_DELAY)
            self._ack_pending.clear()
            if (data := self._session.ack_frame()) is not None:
                await self._connection.send(data)

    async def _take_trust(self) -> None:
        """Trusts what the hub says, tells it, and renews early where it wants that."""
        while True:
            message = await self._trust_told.get()
            try:
                answer = await self._trust.take(message, self._wall_clock() - self._clock_ahead)
            except UserError as error:
                log.error("authorities.not_taken", reason=error.problem, cure=error.cure)
                continue
            await self._connection.send(self._session.send(answer))
            if message.renew:
                self._renewal.hasten(message.renew, self._wall_clock())
                self._hastened.set()

    async def _wake_neighbours(self) -> None:
        while True:
            answer = self._magic.answer(await self._wakes.get())
            await self._connection.send(self._session.send(answer))

    async def _renew(self) -> None:
        await self._initial_sent.wait()  # numbered messages must go out in the order of their numbers
        while True:
            self._hastened.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(
                    min(_WALL_CLOCK_POLL, max(0.0, self._renewal.time_left(self._wall_clock())))
                ):
                    await self._hastened.wait()
            if not self._renewal.is_due(self._wall_clock()):
                continue
            self._renewing = True
            try:
                if self._renewal.request_session != self._session.id:
                    message = await self._renewal.request()
                    await self._wait_for_room()
                    self._renewal.request_session = self._session.id
                    await self._connection.send(self._session.send(message))
                async with asyncio.timeout(RENEWAL_TIMEOUT):
                    answer = await self._renewal_answers.get()
                if isinstance(answer, Refuse):
                    raise WorkFailed(f"the hub refused: {answer.code}: {answer.reason}", "see the hub's operator")
                crashpoint("certificate.received")
                await self._renewal.install(answer)
                crashpoint("certificate.installed")
            except TimeoutError:
                log.warning("certificate.not_renewed", reason="the hub has not answered")
                self._renewal.record_failure(self._wall_clock())
            except UserError as error:
                log.error("certificate.not_renewed", reason=error.problem, cure=error.cure)
                self._renewal.record_failure(self._wall_clock())
            else:
                await self._wait_all_acked()
                self._finish(LinkEnd("renewed"))
                return
            finally:
                self._renewing = False

    async def _wait_all_acked(self) -> None:
        """Waits until every sent message is acknowledged, for at most UNACKED_TIMEOUT; the session goes on either
        way.
        """
        try:
            async with asyncio.timeout(UNACKED_TIMEOUT):
                while self._session.unacked:
                    self._all_acked.clear()
                    await self._all_acked.wait()
        except TimeoutError:
            pass
