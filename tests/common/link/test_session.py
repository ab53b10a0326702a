"""Session: conversations between two ends, over connections that break."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from common.link.codec import FORBIDDEN, BadFrame, Frame, decode, encode
from common.link.messages import (
    Ack,
    Beat,
    Cancel,
    Credit,
    Dispatch,
    Forget,
    Heartbeat,
    Message,
    Output,
    Sender,
    Started,
    Unsure,
    Welcome,
)
from common.link.session import LARGE_MESSAGE, SequenceGap, Session, SessionFull, StaleEpoch

NOW = 1_000.0


def agent(**options: object) -> Session:
    """The agent's end: its peer is the hub."""
    return Session("hub", id="s1", **options)  # type: ignore[arg-type]


def hub(**options: object) -> Session:
    """The hub's end of an agent's link."""
    return Session("agent", id="s1", epoch=7, **options)  # type: ignore[arg-type]


def fact(number: int) -> Unsure:
    return Unsure(f"job-{number}", "")


def order(number: int) -> Forget:
    return Forget(f"job-{number}")


def says(session: Session, data: bytes) -> Frame:
    """What a frame that `session` made says, read without a session."""
    sender: Sender = "agent" if session.peer == "hub" else "hub"
    return decode(data, sender)


# ---- numbers and acknowledgements


def test_a_conversation() -> None:
    """Facts are numbered from 1 each way; the ack follows what was dealt with, not what was heard."""
    a, h = agent(), hub()
    one, two = a.send(fact(1)), a.send(fact(2))
    assert h.receive(one, NOW) == Frame(fact(1), seq=1)
    assert h.receive(two, NOW) == Frame(fact(2), seq=2)
    assert (h.received, h.processed) == (2, 0)
    assert a.unacked == 2

    h.mark_processed(1)
    answer = h.send(order(1))
    assert says(h, answer) == Frame(order(1), seq=1, ack=1, epoch=7)
    assert a.receive(answer, NOW) == Frame(order(1), seq=1, ack=1, epoch=7)
    assert a.unacked == 1

    a.mark_processed(1)
    assert says(a, a.send(fact(3))) == Frame(fact(3), seq=3, ack=1, epoch=7)


def test_acks_are_cumulative() -> None:
    """One ack lets go of everything up to its number; an older one takes nothing back."""
    a, h = agent(), hub()
    for number in range(1, 6):
        h.receive(a.send(fact(number)), NOW)
    h.mark_processed(2)
    early = h.ack_frame()
    h.mark_processed(5)
    late = h.ack_frame()
    assert early is not None
    assert late is not None
    a.receive(late, NOW)
    assert (a.unacked, a.acked) == (0, 5)
    a.receive(early, NOW)
    assert (a.unacked, a.acked) == (0, 5)


def test_an_ack_is_sent_once_and_only_when_nothing_else_carried_it() -> None:
    """`ack_frame` has something to say when something was dealt with since the last frame, of whatever kind."""
    a, h = agent(), hub()
    assert h.ack_frame() is None
    h.receive(a.send(fact(1)), NOW)
    assert h.ack_frame() is None
    h.mark_processed(1)
    told = h.ack_frame()
    assert told is not None
    assert says(h, told) == Frame(Ack(), ack=1, epoch=7)
    assert h.ack_frame() is None

    h.receive(a.send(fact(2)), NOW)
    h.mark_processed(2)
    assert says(h, h.send(Beat(NOW))).ack == 2
    assert h.ack_frame() is None


def test_done_never_goes_back_and_never_ahead() -> None:
    """Dealing with what never came is a programming error; an earlier number changes nothing."""
    a, h = agent(), hub()
    h.receive(a.send(fact(1)), NOW)
    h.receive(a.send(fact(2)), NOW)
    h.mark_processed(2)
    h.mark_processed(1)
    assert h.processed == 2
    with pytest.raises(ValueError, match="3 cannot be dealt with"):
        h.mark_processed(3)


def test_an_ack_of_what_was_never_sent_is_refused() -> None:
    """A peer cannot let go of facts that do not exist; its frame changes nothing."""
    h = hub()
    h.send(order(1))
    with pytest.raises(BadFrame, match="an ack of 2, and 1 were sent") as caught:
        h.receive(encode(fact(1), seq=1, ack=2), NOW)
    assert caught.value.close_code == FORBIDDEN
    assert (h.received, h.unacked, h.acked) == (0, 1, 0)


def test_unnumbered_messages_pass_by_the_numbers() -> None:
    """Heartbeats, calls, answers and acks are not numbered, not kept, and pass a session that is full."""
    a, h = agent(max_unacked=1), hub()
    a.send(fact(1))
    with pytest.raises(SessionFull):
        a.send(fact(2))
    beat = a.send(Heartbeat({"load": 0.5}))
    assert says(a, beat).seq == 0
    assert a.unacked == 1
    assert h.receive(beat, NOW) == Frame(Heartbeat({"load": 0.5}))
    assert h.received == 0


@pytest.mark.parametrize("data", [encode(fact(1)), encode(Heartbeat(), seq=1)], ids=["no number", "a number too many"])
def test_a_fact_without_a_number_and_a_number_without_a_fact_are_refused(data: bytes) -> None:
    """Whether a message is numbered is settled by its type, not by its sender."""
    h = hub()
    with pytest.raises(BadFrame, match="number"):
        h.receive(data, NOW)
    assert h.received == 0


# ---- loss, repeats, gaps


def test_what_was_lost_is_sent_again() -> None:
    """A connection breaks with two of three facts under way; the resume sends those two, and only those, in order."""
    a, h = agent(), hub()
    h.receive(a.send(fact(1)), NOW)
    a.send(fact(2)), a.send(fact(3))

    again = a.resume(peer_received=h.received)
    assert [says(a, data).message for data in again] == [fact(2), fact(3)]
    assert [h.receive(data, NOW) for data in again] == [Frame(fact(2), seq=2), Frame(fact(3), seq=3)]
    h.mark_processed(3)
    a.receive(h.send(Beat(NOW)), NOW)
    assert a.unacked == 0


def test_loss_in_the_other_direction() -> None:
    """The hub's orders are facts as well: lost ones come again after the reconnect, with their numbers."""
    a, h = agent(), hub()
    h.send(order(1))
    a.receive(h.resume(peer_received=a.received)[0], NOW)
    h.send(order(2))
    assert [says(h, data) for data in h.resume(peer_received=1)] == [Frame(order(2), seq=2, ack=0, epoch=7)]
    assert h.unacked == 2


def test_facts_heard_and_not_dealt_with_are_kept_and_not_repeated() -> None:
    """The hub has heard 1 to 3 and committed 1: the agent keeps 2 and 3, and repeats neither to a hub that has them."""
    a, h = agent(), hub()
    for number in (1, 2, 3):
        h.receive(a.send(fact(number)), NOW)
    h.mark_processed(1)
    told = h.ack_frame()
    assert told is not None
    a.receive(told, NOW)
    assert a.resume(peer_received=3) == []
    assert a.unacked == 2
    assert len(a.resume(peer_received=2)) == 1
    assert len(a.resume(peer_received=1)) == 2


def test_repeats_are_dropped() -> None:
    """A fact that has come before is not handed out again; the ack it carries is taken."""
    a, h = agent(), hub()
    data = a.send(fact(1))
    assert h.receive(data, NOW) is not None
    h.send(order(1))
    repeated = encode(fact(1), seq=1, ack=1)
    assert h.receive(repeated, NOW) is None
    assert h.unacked == 0
    assert h.receive(data, NOW) is None
    assert h.received == 1


def test_a_gap_is_refused_and_a_resume_heals_it() -> None:
    """Connections keep order, so a missing fact is a broken peer; nothing of the frame counts, and 2 can still come."""
    a, h = agent(), hub()
    one, two, three = (a.send(fact(number)) for number in (1, 2, 3))
    h.receive(one, NOW)
    with pytest.raises(SequenceGap, match="fact 3 where 2 was to come") as caught:
        h.receive(three, NOW)
    assert (caught.value.expected, caught.value.got, caught.value.close_code) == (2, 3, FORBIDDEN)
    assert h.received == 1
    assert h.receive(two, NOW) is not None
    assert h.receive(three, NOW) is not None


def test_frames_sent_again_carry_the_ack_and_epoch_of_now() -> None:
    """What is sent again is the fact, not the bytes of then."""
    a, h = agent(), hub()
    a.send(fact(1))
    a.receive(h.send(order(1)), NOW)
    a.mark_processed(1)
    assert says(a, a.resume(0)[0]) == Frame(fact(1), seq=1, ack=1, epoch=7)


def test_an_ack_that_may_be_lost_is_told_again() -> None:
    """The ack was sent on the connection that broke; with nothing to send again, the resume says it by itself."""
    a, h = agent(), hub()
    h.receive(a.send(fact(1)), NOW)
    h.mark_processed(1)
    assert h.ack_frame() is not None  # lost
    assert [says(h, data) for data in h.resume(0)] == [Frame(Ack(), ack=1, epoch=7)]
    assert h.ack_frame() is None


@pytest.mark.parametrize("peer_received", [1, 5, 2**53])
def test_a_resume_from_a_number_that_makes_no_sense_is_refused(peer_received: int) -> None:
    """A peer that has less than it acknowledged has lost its memory; one that has more than was sent has another's."""
    a, h = agent(), hub()
    for number in range(1, 5):
        h.receive(a.send(fact(number)), NOW)
    h.mark_processed(2)
    a.receive(h.send(Beat(NOW)), NOW)
    assert [number for number in range(7) if a.resumable(number)] == [2, 3, 4]
    with pytest.raises(BadFrame, match=f"facts up to {peer_received}: of 4 sent, 2 are dealt with"):
        a.resume(peer_received)


# ---- bounds


def test_the_number_of_facts_kept_is_bounded() -> None:
    """At the bound `send` refuses and keeps nothing; an ack makes room again, and no number is skipped."""
    a, h = agent(max_unacked=2), hub()
    frames = [a.send(fact(1)), a.send(fact(2))]
    assert not a.has_room()
    with pytest.raises(SessionFull, match=r"2 facts of \d+ bytes are not acknowledged"):
        a.send(fact(3))
    for data in frames:
        h.receive(data, NOW)
    h.mark_processed(1)
    a.receive(h.send(Beat(NOW)), NOW)
    assert a.has_room()
    assert says(a, a.send(fact(3))).seq == 3


def test_the_bytes_kept_are_bounded_and_given_back() -> None:
    """Large facts count by their size; what is acknowledged is free again to the last byte."""
    a, h = agent(max_unacked_bytes=100_000), hub()
    chunk = Output("job", 1, 1, b"x" * 30_000, 1.0)
    sent = [a.send(chunk) for _ in range(3)]
    with pytest.raises(SessionFull) as caught:
        a.send(chunk)
    assert caught.value.count == 3
    assert 90_000 < caught.value.size < 91_000
    assert a.send(fact(1))
    for data in sent:
        h.receive(data, NOW)
    h.mark_processed(3)
    a.receive(h.send(Beat(NOW)), NOW)
    assert a.unacked == 1
    for _ in range(3):
        a.send(chunk)


@given(st.lists(st.integers(0, 30_000), max_size=30), st.integers(1, 20))
def test_where_there_is_room_a_fact_can_be_sent(sizes: list[int], most: int) -> None:
    """`has_room` is a promise: after it, no fact up to the size asked for is refused."""
    a = agent(max_unacked=most, max_unacked_bytes=200_000)
    for size in sizes:
        message = Output("job", 1, 1, b"x" * size, 1.0)
        if a.has_room(size + 100):
            a.send(message)
    assert a.unacked <= most
    if a.has_room():
        assert a.send(Output("job", 1, 1, b"x" * 32_768, 1.0))
    assert LARGE_MESSAGE > 32_768 + 1_000


def test_a_fact_the_peer_would_refuse_takes_no_number() -> None:
    """It is refused here, where the mistake is, and the conversation goes on as if it had never been."""
    a, h = agent(), hub()
    with pytest.raises(BadFrame, match=r"unsure\.reason"):
        a.send(Unsure("job", "x" * 100_000))
    assert (a.sent, a.unacked) == (0, 0)
    assert h.receive(a.send(fact(1)), NOW) == Frame(fact(1), seq=1)


def test_a_peer_may_send_only_its_own_types() -> None:
    """A console's session takes nothing that only an agent may say, nor an agent's what only the hub may."""
    with pytest.raises(BadFrame, match="not for console to send"):
        Session("console").receive(agent().send(fact(1)), NOW)
    with pytest.raises(BadFrame, match="not for agent to send"):
        hub().receive(encode(Dispatch(b"", b"", ""), seq=1), NOW)


def test_a_refused_frame_changes_nothing() -> None:
    """Neither numbers nor deadlines move on bytes that are no frame."""
    h = hub(interval=10.0)
    h.note_activity(NOW)
    with pytest.raises(BadFrame):
        h.receive(b"\x95junk", NOW + 29)
    assert (h.received, h.processed, h.sent) == (0, 0, 0)
    assert h.timed_out(NOW + 30)


# ---- epochs


def test_the_hubs_epoch_is_carried_and_taken_over() -> None:
    """The agent starts without one, hears the hub's with the first frame, and says it from then on."""
    a, h = agent(), hub()
    assert says(a, a.send(fact(1))).epoch == 0
    welcome = h.send(Welcome(1, "s1", False, 0, 15.0, NOW, "1"))
    assert says(h, welcome).epoch == 7
    a.receive(welcome, NOW)
    assert a.epoch == 7
    assert says(a, a.send(fact(2))).epoch == 7


def test_a_stale_hub_is_refused_by_the_agent() -> None:
    """A hub behind the epoch that was heard (a zombie, a restored backup) gets no word in; a later one is believed."""
    a = agent(epoch=7)
    with pytest.raises(StaleEpoch, match="hub epoch 6 is over: 7 has been heard") as caught:
        a.receive(encode(Cancel("job"), seq=1, epoch=6), NOW)
    assert (caught.value.stale, caught.value.current, caught.value.close_code) == (6, 7, FORBIDDEN)
    assert (a.received, a.epoch) == (0, 7)
    assert a.receive(encode(Cancel("job"), seq=1, epoch=8), NOW) is not None
    assert a.epoch == 8


def test_a_hub_that_learns_of_a_later_one_stops() -> None:
    """A frame with a later epoch tells a hub that it is the stale one; an earlier epoch is an agent yet to hear."""
    h = hub()
    assert h.receive(encode(fact(1), seq=1, epoch=3), NOW) is not None
    with pytest.raises(StaleEpoch, match="hub epoch 7 is over: 8 has been heard"):
        h.receive(encode(fact(2), seq=2, epoch=8), NOW)
    assert (h.received, h.epoch) == (1, 7)


# ---- deadlines


def test_heartbeats_are_due_once_an_interval() -> None:
    """The first at once, for its vitals; then one each interval, however often one asks."""
    a = agent(interval=10.0)
    a.note_activity(NOW)
    assert a.next_deadline() == -math.inf
    assert a.heartbeat_due(NOW)
    assert not a.heartbeat_due(NOW)
    assert not a.heartbeat_due(NOW + 9.9)
    assert a.next_deadline() == NOW + 10
    assert a.heartbeat_due(NOW + 10)
    assert not a.heartbeat_due(NOW + 19.9)


def test_a_changed_interval_and_a_clock_set_back_do_not_silence_the_heartbeat() -> None:
    """A deadline further off than the interval is not believed."""
    a = agent(interval=100.0)
    assert a.heartbeat_due(NOW)
    a.interval = 5.0
    assert a.heartbeat_due(NOW + 1)
    assert a.heartbeat_due(NOW - 3600)


def test_another_interval_holds_at_once() -> None:
    """A longer one from the next heartbeat on; a shorter one brings that nearer. The loss is seen by its deadline."""
    session = Session("hub", interval=10.0)
    session.note_activity(100.0)
    assert session.heartbeat_due(100.0)
    session.change_interval(50.0, 101.0)
    assert (session.lost_at(), session.next_deadline()) == (250.0, 110.0)
    assert session.heartbeat_due(110.0)
    assert not session.heartbeat_due(159.0)
    session.change_interval(10.0, 120.0)
    assert session.heartbeat_due(130.0)
    assert Session("hub").lost_at() == math.inf


def test_a_hub_never_beats_by_itself() -> None:
    """It answers heartbeats; its only deadline is the peer's silence."""
    h = hub(interval=10.0)
    assert not h.heartbeat_due(NOW)
    assert h.next_deadline() == math.inf
    h.note_activity(NOW)
    assert not h.heartbeat_due(NOW + 1_000)
    assert h.next_deadline() == NOW + 30


def test_three_silent_intervals_are_a_lost_link() -> None:
    """Any frame counts as being heard, repeats too; before anything was heard nothing is lost."""
    a, h = agent(), hub(interval=10.0)
    assert not h.timed_out(NOW)
    data = a.send(fact(1))
    h.receive(data, NOW)
    assert not h.timed_out(NOW + 29.9)
    assert h.timed_out(NOW + 30)
    h.receive(data, NOW + 25)
    assert not h.timed_out(NOW + 30)
    assert h.next_deadline() == NOW + 55
    h.note_activity(NOW + 50)  # a new connection
    assert not h.timed_out(NOW + 79.9)


def test_the_agents_next_deadline_is_the_nearer_of_beat_and_loss() -> None:
    """Whoever sleeps until the deadline misses neither."""
    a = agent(interval=10.0)
    a.note_activity(NOW)
    a.heartbeat_due(NOW + 25)
    assert a.next_deadline() == NOW + 30
    a.note_activity(NOW + 26)
    assert a.next_deadline() == NOW + 35


# ---- any interleaving


@dataclass
class End:
    """One end with its owner: what was handed out and not dealt with, and what was, in order."""

    session: Session
    make: type[Unsure] | type[Forget]
    wire: deque[bytes] = field(default_factory=deque)  # towards the other end
    inbox: list[Frame] = field(default_factory=list)
    dealt: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def say(self) -> Message:
        word = f"{self.make.__name__}-{len(self.said)}"
        return Unsure(word, "") if self.make is Unsure else Forget(word)


class Link(RuleBasedStateMachine):
    """Sends, partial reads, slow commits, cuts at any byte boundary of the frame stream, reconnects: in any order."""

    @initialize()
    def start(self) -> None:
        self.agent = End(agent(max_unacked=8), Unsure)
        self.hub = End(hub(max_unacked=8), Forget)
        self.now = NOW
        self.connected = False
        self.reconnect()

    def other(self, end: End) -> End:
        return self.hub if end is self.agent else self.agent

    def _end(self, at_hub: bool) -> End:
        return self.hub if at_hub else self.agent

    @rule(at_hub=st.booleans())
    def send(self, at_hub: bool) -> None:
        end = self._end(at_hub)
        message = end.say()
        if end.session.unacked >= 8:
            with pytest.raises(SessionFull):
                end.session.send(message)
            return
        data = end.session.send(message)
        end.said.append(message.job)  # type: ignore[attr-defined]
        if self.connected:
            end.wire.append(data)

    @precondition(lambda self: self.connected)
    @rule(at_hub=st.booleans(), how_many=st.integers(1, 6))
    def read(self, at_hub: bool, how_many: int) -> None:
        end = self._end(at_hub)
        wire = self.other(end).wire
        for _ in range(min(how_many, len(wire))):
            self.now += 0.1
            frame = end.session.receive(wire.popleft(), self.now)
            if frame is not None and frame.seq:
                end.inbox.append(frame)

    @precondition(lambda self: self.connected)
    @rule()
    def heartbeat(self) -> None:
        self.agent.wire.append(self.agent.session.send(Heartbeat()))
        self.hub.wire.append(self.hub.session.send(Beat(self.now)))

    @rule(at_hub=st.booleans(), how_many=st.integers(1, 6))
    def deal_with(self, at_hub: bool, how_many: int) -> None:
        end = self._end(at_hub)
        batch, end.inbox = end.inbox[:how_many], end.inbox[how_many:]
        if batch:
            end.dealt += [frame.message.job for frame in batch]  # type: ignore[attr-defined]
            end.session.mark_processed(batch[-1].seq)
        told = end.session.ack_frame()
        if told is not None and self.connected:
            end.wire.append(told)

    @precondition(lambda self: self.connected)
    @rule(arrive=st.integers(0, 4))
    def cut(self, arrive: int) -> None:
        """Of what is under way some still arrives, the rest is lost."""
        self.read(True, arrive)
        self.read(False, arrive)
        self.agent.wire.clear()
        self.hub.wire.clear()
        self.connected = False

    @precondition(lambda self: not self.connected)
    @rule()
    def reconnect(self) -> None:
        """The handshake tells each what the other has; both send the rest again."""
        at_agent, at_hub = self.agent.session.received, self.hub.session.received
        self.agent.wire.extend(self.agent.session.resume(at_hub))
        self.hub.wire.extend(self.hub.session.resume(at_agent))
        self.connected = True

    @invariant()
    def nothing_twice_nothing_missing_nothing_out_of_order(self) -> None:
        for end in (self.agent, self.hub):
            said = self.other(end).said
            heard = end.dealt + [frame.message.job for frame in end.inbox]  # type: ignore[attr-defined]
            assert heard == said[: len(heard)]
            assert end.session.processed == len(end.dealt)
            assert end.session.received == len(heard)
            assert self.other(end).session.unacked >= len(said) - len(end.dealt)

    def teardown(self) -> None:
        """Left in peace, everything that was said is dealt with, and nothing is kept."""
        if not self.connected:
            self.reconnect()
        for _ in range(3):
            for at_hub in (True, False):
                self.read(at_hub, 1_000)
                self.deal_with(at_hub, 1_000)
        self.read(True, 1_000), self.read(False, 1_000)
        for end in (self.agent, self.hub):
            assert end.dealt == self.other(end).said
            assert end.session.unacked == 0


Link.TestCase.settings = settings(
    max_examples=60, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
test_any_interleaving_delivers_every_fact_once_and_in_order = Link.TestCase


@given(st.lists(st.binary(max_size=40), max_size=20))
@settings(max_examples=50)
def test_hostile_bytes_never_raise_anything_else_nor_move_the_session(frames: list[bytes]) -> None:
    """Whatever a peer sends, BadFrame is all that comes of it."""
    h = hub()
    for data in frames:
        with pytest.raises(BadFrame):
            h.receive(data, NOW)
    assert (h.received, h.acked, h.unacked) == (0, 0, 0)


NUMBERS = st.integers(0, 6)
FACTS = st.sampled_from([fact(1), Started("job", 1, 1.0), Heartbeat(), Ack()])


@given(st.lists(st.tuples(FACTS, NUMBERS, NUMBERS, st.integers(0, 9)), max_size=30))
def test_a_peer_that_lies_about_numbers_gains_nothing(frames: list[tuple[Message, int, int, int]]) -> None:
    """Any seq, ack and epoch on well-formed frames: facts are handed out as 1, 2, 3 …, and the books stay straight."""
    h = hub()
    for number in range(4):
        h.send(Credit("job", number))
    heard = []
    for message, seq, ack, epoch in frames:
        try:
            frame = h.receive(encode(message, seq=seq, ack=ack, epoch=epoch), NOW)
        except BadFrame:
            continue
        if frame is not None and frame.seq:
            heard.append(frame.seq)
    assert heard == list(range(1, len(heard) + 1))
    assert h.received == len(heard)
    assert h.unacked == h.sent - h.acked <= 4
    assert h.epoch == 7
