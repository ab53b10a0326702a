"""The protocol state of one link, without I/O, the same class at both ends: sequence numbers, acknowledgements, resume,
heartbeat deadlines.

A session outlives its connections. Facts (numbered messages) are kept from `send` until the peer acknowledges them, and
what was lost with a connection is sent again by `resume` after the next handshake, so each fact arrives once and in
order as long as both ends have the session. An end that has lost it says so in the handshake; then both start a new
one, and recover facts under way by other means (the agent's report, `common.link.messages`).

    received    the highest seq received in order. The handshake tells it to the peer, which then sends only what comes
                after; so the owner must keep what it has received and not processed, or give the whole session up
    processed   the highest seq that has been processed (for the hub: committed). Frames carry it as ack, and the peer
                drops what is acknowledged

Connections keep order, so a seq that is not the next one is either a repeat (dropped) or a gap, which only a broken or
hostile peer makes; a gap is refused, and the resume after the reconnect repairs it. Unnumbered messages are not
affected.

The epoch is the hub's. An agent or console remembers the highest it has received and refuses a hub with a lower one (a
restored backup, a superseded hub); a hub refuses a peer that has served a later one.

The caller owns the connection and the clock, preferably a monotonic one. It calls `note_activity` when a connection
opens, asks `heartbeat_due` and `timed_out` when `next_deadline` has come, and reads no more from a connection once it
resumed on the next.
"""

from __future__ import annotations

import math
from collections import deque
from itertools import islice
from typing import Final

from common.link.bodies import is_numbered
from common.link.codec import FORBIDDEN, BadFrame, Frame, decode, encode
from common.link.messages import Ack, Message, Sender

MISSED_INTERVALS: Final = 3
LARGE_MESSAGE: Final = 64 * 1024
"""Bytes of a full output chunk with its fields, rounded up: the default of `has_room`."""
_MESSAGE_OVERHEAD: Final = 100
"""Bytes that an unacknowledged fact takes beside its content, roughly."""


class SessionFull(Exception):
    """Too much is unacknowledged; nothing was sent or queued. Slow down, or give the link up."""

    def __init__(self, facts: int, size: int) -> None:
        super().__init__(facts, size)
        self.count = facts
        self.size = size

    def __str__(self) -> str:
        return f"{self.count} facts of {self.size} bytes are not acknowledged"


class SequenceGap(BadFrame):
    """A fact that is not the next one: at least one before it is missing."""

    def __init__(self, expected: int, got: int) -> None:
        super().__init__(f"fact {got} where {expected} was to come", FORBIDDEN)
        self.expected = expected
        self.got = got


class StaleEpoch(BadFrame):
    """A hub that a later one has replaced: the peer, where an agent raises this; this hub itself, where a hub does."""

    def __init__(self, stale: int, current: int) -> None:
        super().__init__(f"hub epoch {stale} is over: {current} has been heard", FORBIDDEN)
        self.stale = stale
        self.current = current


class Session:
    """See the module docstring. `peer` is the other end's role; messages that it may not send are refused."""

    def __init__(
        self,
        peer: Sender,
        *,
        id: str = "",  # noqa: A002 - it is the session's id
        epoch: int = 0,
        max_unacked: int = 2048,
        max_unacked_bytes: int = 16 * 1024 * 1024,
        interval: float = 15.0,
    ) -> None:
        self.peer: Final[Sender] = peer
        self.id = id
        self.epoch = epoch
        self.interval = interval  # seconds between heartbeats
        self.sent = 0  # highest seq assigned
        self.acked = 0  # highest seq that the peer has processed
        self.received = 0
        self.processed = 0
        self._ack_sent = 0  # the last ack sent
        self._unacked: deque[tuple[Message, int]] = deque()  # facts acked + 1 to sent, with their size
        self._unacked_bytes = 0
        self._max_unacked = max_unacked
        self._max_unacked_bytes = max_unacked_bytes
        self._last_activity_at: float | None = None
        self._next_heartbeat_at = -math.inf  # when the next heartbeat is due

    # ---- sending

    @property
    def unacked(self) -> int:
        """Facts that the peer has not acknowledged."""
        return len(self._unacked)

    def has_room(self, size: int = LARGE_MESSAGE) -> bool:
        """Whether a fact of up to `size` bytes can be sent without SessionFull."""
        return (
            len(self._unacked) < self._max_unacked
            and self._unacked_bytes + size + _MESSAGE_OVERHEAD <= self._max_unacked_bytes
        )

    def send(self, message: Message) -> bytes:
        """The frame for a message; a fact gets its number and is kept. Frames go out in the order they were made.

        Raises SessionFull, or BadFrame for a message that the peer would refuse; the session is unchanged then.
        """
        if not is_numbered(message):
            return self._encode_frame(message, 0)
        if len(self._unacked) >= self._max_unacked:
            raise SessionFull(len(self._unacked), self._unacked_bytes)
        frame = encode(message, seq=self.sent + 1, ack=self.processed, epoch=self.epoch)
        size = len(frame) + _MESSAGE_OVERHEAD
        if self._unacked_bytes + size > self._max_unacked_bytes:
            raise SessionFull(len(self._unacked), self._unacked_bytes)
        self.sent += 1
        self._unacked.append((message, size))
        self._unacked_bytes += size
        self._ack_sent = self.processed
        return frame

    def ack_frame(self) -> bytes | None:
        """An ack frame where facts were processed since the last frame; else None."""
        return self._encode_frame(Ack(), 0) if self.processed > self._ack_sent else None

    def resumable(self, peer_received: int) -> bool:
        """Whether the session can be resumed with a peer that has our facts up to `peer_received`."""
        return self.acked <= peer_received <= self.sent

    def resume(self, peer_received: int) -> list[bytes]:
        """The frames to send first on a new connection: our facts after `peer_received`, or else the ack, which may be
        lost.

        Facts up to there that are not acknowledged stay kept. Raises BadFrame where the number makes no sense (see
        `resumable`); such a session is over.
        """
        if not self.resumable(peer_received):
            raise BadFrame(f"facts up to {peer_received}: of {self.sent} sent, {self.acked} are dealt with", FORBIDDEN)
        again = islice(self._unacked, peer_received - self.acked, None)
        frames = [self._encode_frame(message, seq) for seq, (message, _) in enumerate(again, peer_received + 1)]
        if not frames and self.processed:
            frames.append(self._encode_frame(Ack(), 0))
        return frames

    def _encode_frame(self, message: Message, seq: int) -> bytes:
        frame = encode(message, seq=seq, ack=self.processed, epoch=self.epoch)
        self._ack_sent = self.processed
        return frame

    # ---- receiving

    def receive(self, data: bytes | str, now: float) -> Frame | None:
        """The frame, or None for a fact that came before. Applies its ack, checks its epoch, notes activity.

        Raises BadFrame (SequenceGap and StaleEpoch are such): close the connection with its `close_code`. A frame that
        is refused changes nothing.
        """
        frame = decode(data, self.peer)
        seq, ack, epoch = frame.seq, frame.ack, frame.epoch
        if (seq > 0) is not is_numbered(frame.message):
            raise BadFrame("a fact without a number, or a number without a fact", FORBIDDEN)
        if ack > self.sent:
            raise BadFrame(f"an ack of {ack}, and {self.sent} were sent", FORBIDDEN)
        if self.peer == "hub":
            if epoch < self.epoch:
                raise StaleEpoch(epoch, self.epoch)
        elif epoch > self.epoch:
            raise StaleEpoch(self.epoch, epoch)
        if seq > self.received + 1:
            raise SequenceGap(self.received + 1, seq)
        if self.peer == "hub":
            self.epoch = epoch
        self._last_activity_at = now
        while self.acked < ack:
            self._unacked_bytes -= self._unacked.popleft()[1]
            self.acked += 1
        if seq:
            if seq <= self.received:
                return None
            self.received = seq
        return frame

    def mark_processed(self, seq: int) -> None:
        """Every fact up to `seq` has been processed, so the peer may drop it. Later frames say so, or `ack_frame`."""
        if seq > self.received:
            raise ValueError(f"{seq} cannot be dealt with: {self.received} is the highest that came")
        self.processed = max(self.processed, seq)

    # ---- deadlines

    def note_activity(self, now: float) -> None:
        """The peer is alive: call it when a connection has opened; `receive` calls it for frames."""
        self._last_activity_at = now

    def heartbeat_due(self, now: float) -> bool:
        """Whether to send a heartbeat now; True once an interval, and schedules the next. False at a hub, which
        answers.
        """
        if (
            self.peer != "hub" or now < self._next_heartbeat_at <= now + self.interval
        ):  # further off: the clock went back
            return False
        self._next_heartbeat_at = now + self.interval
        return True

    def change_interval(self, interval: float, now: float) -> None:
        """Another interval from now on; a heartbeat that would come later than by it comes sooner."""
        self.interval = interval
        self._next_heartbeat_at = min(self._next_heartbeat_at, now + interval)

    def lost_at(self) -> float:
        """When `timed_out` will hold if nothing comes; infinity where nothing has been heard yet."""
        if self._last_activity_at is None:
            return math.inf
        return self._last_activity_at + MISSED_INTERVALS * self.interval

    def timed_out(self, now: float) -> bool:
        """Whether nothing came for MISSED_INTERVALS intervals: the connection is dead, whatever TCP believes."""
        return self._last_activity_at is not None and now - self._last_activity_at >= MISSED_INTERVALS * self.interval

    def next_deadline(self) -> float:
        """When to ask `heartbeat_due` and `timed_out` next; infinity where nothing is due."""
        lost_at = self.lost_at()
        return min(lost_at, self._next_heartbeat_at) if self.peer == "hub" else lost_at
