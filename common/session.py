"""One link without I/O, the same class at both ends: numbers, acknowledgements, resume, heartbeat deadlines.

A session outlives its connections. Facts (numbered messages) are kept from `send` until the peer acknowledges them, and
what was lost with a connection is sent again by `resume` after the next handshake, so each fact arrives once and in
order as long as both ends keep the session. An end that has lost it says so in the handshake; then both start a new
one, and what they do about facts under way is theirs to decide (the agent's report, `common.messages`).

    received   the highest seq that came in order. The handshake tells it: up to here nothing comes again, so its owner
               holds what is not dealt with yet, beyond the connection, or gives the whole session up
    dealt      the highest seq that is dealt with (for the hub: committed). Frames carry it as ack: the peer lets go

Connections keep order, so a seq that is not the next one is either a repeat (dropped) or a gap, which only a broken or
hostile peer makes; it is refused, and the resume after the reconnect heals it. Unnumbered messages pass by all of this.

The epoch is the hub's. An agent or console raises its own to the highest it hears and refuses a hub that is behind it
(a restored backup, a zombie); a hub refuses a peer that has already obeyed a later one.

The caller owns the connection and the clock, best one that does not jump. It calls `heard` when a connection opens,
asks `due` and `lost` when `next_deadline` has come, and reads no more from a connection once it resumed on the next.
"""

from __future__ import annotations

import math
from collections import deque
from itertools import islice
from typing import Final

from common.codec import FORBIDDEN, BadFrame, Frame, decode, encode
from common.messages import Ack, Message, Sender, is_numbered

MISSED_INTERVALS: Final = 3
LARGE_FACT: Final = 64 * 1024
"""A full output chunk and its fields, generously: what `room` leaves free unless told another size."""
_RECORD: Final = 100
"""Bytes that a kept fact takes beside its content, roughly."""


class SessionFull(Exception):
    """The peer has not acknowledged enough; nothing was sent or kept. Slow down, or give the link up."""

    def __init__(self, facts: int, size: int) -> None:
        super().__init__(facts, size)
        self.facts = facts
        self.size = size

    def __str__(self) -> str:
        return f"{self.facts} facts of {self.size} bytes are not acknowledged"


class SequenceGap(BadFrame):
    """A fact that is not the next one: something between is missing."""

    def __init__(self, expected: int, got: int) -> None:
        super().__init__(f"fact {got} where {expected} was to come", FORBIDDEN)
        self.expected = expected
        self.got = got


class StaleEpoch(BadFrame):
    """A hub that a later one has replaced: the peer's, where an agent raises this; our own, where a hub does."""

    def __init__(self, stale: int, seen: int) -> None:
        super().__init__(f"hub epoch {stale} is over: {seen} has been heard", FORBIDDEN)
        self.stale = stale
        self.seen = seen


class Session:
    """See the module. `peer` is the other end's role; frames that it may not send are refused."""

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
        self.sent = 0  # highest seq given to a fact
        self.acked = 0  # highest seq the peer has dealt with
        self.received = 0
        self.dealt = 0
        self._told = 0  # the ack that the peer has been sent
        self._kept: deque[tuple[Message, int]] = deque()  # facts acked + 1 to sent, with their size
        self._kept_bytes = 0
        self._max_unacked = max_unacked
        self._max_unacked_bytes = max_unacked_bytes
        self._heard_at: float | None = None
        self._beat_at = -math.inf  # when the next heartbeat is due

    # ---- sending

    @property
    def unacked(self) -> int:
        """Facts that the peer has not acknowledged."""
        return len(self._kept)

    def room(self, size: int = LARGE_FACT) -> bool:
        """Whether a fact of up to `size` bytes can be sent without SessionFull."""
        return len(self._kept) < self._max_unacked and self._kept_bytes + size + _RECORD <= self._max_unacked_bytes

    def send(self, message: Message) -> bytes:
        """The frame for a message; a fact gets its number and is kept. Frames go out in the order they were made.

        Raises SessionFull, or BadFrame for a message that the peer would refuse; either way it is as if never asked.
        """
        if not is_numbered(message):
            return self._frame(message, 0)
        if len(self._kept) >= self._max_unacked:
            raise SessionFull(len(self._kept), self._kept_bytes)
        frame = encode(message, seq=self.sent + 1, ack=self.dealt, epoch=self.epoch)
        size = len(frame) + _RECORD
        if self._kept_bytes + size > self._max_unacked_bytes:
            raise SessionFull(len(self._kept), self._kept_bytes)
        self.sent += 1
        self._kept.append((message, size))
        self._kept_bytes += size
        self._told = self.dealt
        return frame

    def ack(self) -> bytes | None:
        """A frame with nothing but the ack, where something was dealt with and no frame has told so yet."""
        return self._frame(Ack(), 0) if self.dealt > self._told else None

    def resumable(self, peer_received: int) -> bool:
        """Whether the session can go on with a peer that has our facts up to `peer_received`."""
        return self.acked <= peer_received <= self.sent

    def resume(self, peer_received: int) -> list[bytes]:
        """What to send first on a new connection: our facts after `peer_received`, and the ack, which may be lost too.

        Facts up to there that are not acknowledged stay kept. Raises BadFrame where the number makes no sense (see
        `resumable`); such a session is over.
        """
        if not self.resumable(peer_received):
            raise BadFrame(f"facts up to {peer_received}: of {self.sent} sent, {self.acked} are dealt with", FORBIDDEN)
        again = islice(self._kept, peer_received - self.acked, None)
        frames = [self._frame(message, seq) for seq, (message, _) in enumerate(again, peer_received + 1)]
        if not frames and self.dealt:
            frames.append(self._frame(Ack(), 0))
        return frames

    def _frame(self, message: Message, seq: int) -> bytes:
        frame = encode(message, seq=seq, ack=self.dealt, epoch=self.epoch)
        self._told = self.dealt
        return frame

    # ---- receiving

    def receive(self, data: bytes | str, now: float) -> Frame | None:
        """The frame, or None for a fact that came before. Its ack is taken, its epoch checked, its sender heard.

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
        self._heard_at = now
        while self.acked < ack:
            self._kept_bytes -= self._kept.popleft()[1]
            self.acked += 1
        if seq:
            if seq <= self.received:
                return None
            self.received = seq
        return frame

    def done(self, seq: int) -> None:
        """Every fact up to `seq` is dealt with: it may be forgotten over there. Later frames say so, or `ack`."""
        if seq > self.received:
            raise ValueError(f"{seq} cannot be dealt with: {self.received} is the highest that came")
        self.dealt = max(self.dealt, seq)

    # ---- deadlines

    def heard(self, now: float) -> None:
        """The peer is there: a frame came (`receive` says so itself), or a connection was opened."""
        self._heard_at = now

    def due(self, now: float) -> bool:
        """Whether to send a heartbeat now: yes once an interval, to ask is to take it. Never for a hub: it answers."""
        if self.peer != "hub" or now < self._beat_at <= now + self.interval:  # further off: the clock went back
            return False
        self._beat_at = now + self.interval
        return True

    def lost(self, now: float) -> bool:
        """Whether the peer has been silent for too long: the connection is dead, whatever TCP believes."""
        return self._heard_at is not None and now - self._heard_at >= MISSED_INTERVALS * self.interval

    def next_deadline(self) -> float:
        """When to ask `due` and `lost` next; infinity where nothing is awaited, the past where something is due."""
        lost_at = math.inf if self._heard_at is None else self._heard_at + MISSED_INTERVALS * self.interval
        return min(lost_at, self._beat_at) if self.peer == "hub" else lost_at
