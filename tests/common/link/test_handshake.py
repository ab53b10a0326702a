"""Handshake: who is let in, and whether a session goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.link.codec import BadFrame, decode, encode
from common.link.compatibility import PACE_PROTOCOL
from common.link.handshake import (
    LinkParameters,
    answer_hello,
    check_welcome,
    heartbeat_interval,
    make_hello,
    return_spread,
)
from common.link.messages import (
    MIN_PROTOCOL,
    PROTOCOL,
    Ack,
    Forget,
    Hello,
    Join,
    Message,
    Refuse,
    Unsure,
    Welcome,
)
from common.link.session import Session
from common.version import VERSION
from tests.each import each_of

NOW = 1_000.0
TERMS = LinkParameters(epoch=7, heartbeat=15.0)
HELLO = make_hello("agent", "web-1", None)


def asked(
    first: Message, *, kept: Session | None = None, terms: LinkParameters = TERMS, role: str = "agent"
) -> Welcome | Refuse:
    return answer_hello(first, role=role, name="web-1", parameters=terms, session=kept, new_session="s2", now=NOW)  # type: ignore[arg-type]


def refused(first: Message, **given: object) -> Refuse:
    reply = asked(first, **given)  # type: ignore[arg-type]
    assert isinstance(reply, Refuse)
    assert reply.reason
    return reply


def welcomed(first: Message, **given: object) -> Welcome:
    reply = asked(first, **given)  # type: ignore[arg-type]
    assert isinstance(reply, Welcome)
    return reply


def two_ends() -> tuple[Session, Session]:
    """Agent's and hub's end of session s1: three facts sent, two arrived, one dealt with and told; one order lost."""
    agent, hub = Session("hub", id="s1", epoch=7), Session("agent", id="s1", epoch=7)
    for number in range(3):
        data = agent.send(Unsure(f"job-{number}", ""))
        if number < 2:
            hub.receive(data, NOW)
    hub.mark_processed(1)
    told = hub.ack_frame()
    assert told is not None
    agent.receive(told, NOW)
    hub.send(Forget("job-0"))
    return agent, hub


# ---- a new session


def test_a_first_hello_is_welcomed_to_a_new_session() -> None:
    """Protocol, new id, nothing received, how often to be heard, and the hub's clock."""
    assert Hello(PROTOCOL, "agent", "web-1", VERSION) == HELLO
    assert welcomed(HELLO) == Welcome(PROTOCOL, "s2", False, 0, 15.0, NOW, VERSION)
    check_welcome(HELLO, welcomed(HELLO), None)


def test_a_console_is_welcomed_the_same_way() -> None:
    """Agents and consoles open their links alike."""
    hello = make_hello("console", "web-1", None)
    assert not welcomed(hello, role="console").resumed


# ---- refusals


@each_of("first", [Ack(), Join("t", "web-1", b"", "1"), Unsure("job", "")])
def test_anything_but_a_hello_first_is_refused(first: Message) -> None:
    """A link begins with a hello."""
    assert refused(first).code == "hello"


def test_a_name_that_is_not_the_certificates_is_refused() -> None:
    """Identity comes from the certificate (security lesson A1): what the body says must agree, not decide."""
    said = refused(replace(HELLO, name="web-2"))
    assert said.code == "name"
    assert "web-1" in said.reason
    assert "web-2" not in said.reason


def test_a_role_that_is_not_the_certificates_is_refused() -> None:
    """An agent's certificate opens no console, and the other way round."""
    assert refused(replace(HELLO, role="console")).code == "role"
    assert refused(HELLO, role="console").code == "role"


@each_of("protocol", [0, 1, 2])
def test_old_protocols_are_refused(protocol: int) -> None:
    """A replayed hello of an earlier version is not served in the old way (security lesson A1: no downgrade)."""
    terms = LinkParameters(epoch=7, protocol=5, min_protocol=3)
    said = refused(replace(HELLO, protocol=protocol), terms=terms)
    assert said.code == "protocol"
    assert "3 to 5" in said.reason
    assert said.retry_after > 0


@each_of(("theirs", "spoken"), [(3, 3), (4, 4), (5, 5), (6, 5), (99, 5)])
def test_the_highest_protocol_both_speak_is_spoken(theirs: int, spoken: int) -> None:
    """A newer peer is answered in the hub's protocol, and decides for itself whether it still speaks it."""
    terms = LinkParameters(epoch=7, protocol=5, min_protocol=3)
    assert welcomed(replace(HELLO, protocol=theirs), terms=terms).protocol == spoken


def test_todays_hub_takes_todays_protocol_and_no_older() -> None:
    """The minimum is enforced by default."""
    assert LinkParameters(epoch=1).min_protocol == MIN_PROTOCOL
    assert refused(replace(HELLO, protocol=MIN_PROTOCOL - 1)).code == "protocol"


def test_a_peer_that_has_heard_a_later_epoch_is_not_served() -> None:
    """A hub restored from a backup, or replaced, learns of it from the first peer and says so."""
    said = refused(replace(HELLO, epoch=8))
    assert said.code == "epoch"
    assert "epoch 7" in said.reason
    assert "epoch 8" in said.reason
    assert said.retry_after > 0
    assert isinstance(asked(replace(HELLO, epoch=7)), Welcome)


def test_refusals_for_good_do_not_invite_to_come_again() -> None:
    """What only the peer can cure has no `retry_after`."""
    assert refused(replace(HELLO, name="x")).retry_after == 0
    assert refused(replace(HELLO, role="console")).retry_after == 0


# ---- going on


def test_a_session_both_hold_goes_on_where_it_was() -> None:
    """Each tells what it has, and each sends what the other lacks."""
    agent, hub = two_ends()
    hello = make_hello("agent", "web-1", agent)
    assert (hello.session, hello.received, hello.epoch) == ("s1", 0, 7)
    welcome = welcomed(hello, kept=hub)
    assert (welcome.session, welcome.resumed, welcome.received) == ("s1", True, 2)
    check_welcome(hello, welcome, agent)

    to_hub, to_agent = agent.resume(welcome.received), hub.resume(hello.received)
    assert [decode(data, "agent").message for data in to_hub] == [Unsure("job-2", "")]
    assert [decode(data, "hub").message for data in to_agent] == [Forget("job-0")]


@pytest.mark.parametrize(
    "spoilt",
    [{"session": ""}, {"session": "s9"}, {"received": 2}, {"received": 2**53}],
    ids=["asks for none", "another", "received more than was sent", "received far more"],
)
def test_a_session_that_does_not_fit_is_begun_anew(spoilt: dict[str, object]) -> None:
    """Another id, or counts that cannot be: both ends start over and the agent reports."""
    agent, hub = two_ends()
    hello = replace(make_hello("agent", "web-1", agent), **spoilt)  # type: ignore[arg-type]
    welcome = welcomed(hello, kept=hub)
    assert (welcome.session, welcome.resumed, welcome.received) == ("s2", False, 0)


def test_an_agent_that_forgot_what_it_acknowledged_begins_anew() -> None:
    """It says that it has less than it acknowledged: its memory of the session is gone."""
    agent, hub = two_ends()
    agent.receive(hub.resume(0)[0], NOW)
    agent.mark_processed(1)
    told = agent.ack_frame()
    assert told is not None
    hub.receive(told, NOW)
    assert welcomed(make_hello("agent", "web-1", agent), kept=hub).resumed
    assert not welcomed(replace(make_hello("agent", "web-1", agent), received=0), kept=hub).resumed


def test_a_hub_that_holds_no_session_begins_anew() -> None:
    """After a restart the hub has forgotten; it says so, and the agent believes it."""
    agent, _ = two_ends()
    hello = make_hello("agent", "web-1", agent)
    welcome = welcomed(hello, kept=None)
    assert not welcome.resumed
    check_welcome(hello, welcome, agent)


def test_a_session_of_another_role_is_not_taken_over() -> None:
    """A console with an agent's name and session id gets a session of its own."""
    _, hub = two_ends()
    hello = replace(make_hello("console", "web-1", None), session="s1")
    assert not welcomed(hello, kept=hub, role="console").resumed


def test_a_session_without_an_id_never_goes_on() -> None:
    """Asking for none and holding one without a name do not match."""
    assert not welcomed(HELLO, kept=Session("agent", id="")).resumed


# ---- what the peer makes sure of


@each_of(
    ("change", "why"),
    [
        ({"protocol": PROTOCOL + 1}, "wants protocol"),
        ({"protocol": MIN_PROTOCOL - 1}, "wants protocol"),
        ({"heartbeat": 0.0}, "heartbeat"),
        ({"heartbeat": -1.0}, "heartbeat"),
        ({"heartbeat": 1e9}, "heartbeat"),
        ({"session": ""}, "without an id"),
        ({"session": "s9"}, "not this one"),
        ({"received": 0}, "not this one"),
        ({"received": 4}, "not this one"),
        ({"resumed": False}, "new session that has received"),
    ],
)
def test_a_welcome_that_cannot_be_true_is_refused(change: dict[str, object], why: str) -> None:
    """A hub that wants an older protocol, or goes on with what never was, is not one to talk to."""
    agent, hub = two_ends()
    hello = make_hello("agent", "web-1", agent)
    welcome = welcomed(hello, kept=hub)
    check_welcome(hello, welcome, agent)
    with pytest.raises(BadFrame, match=why):
        check_welcome(hello, replace(welcome, **change), agent)  # type: ignore[arg-type]


def test_going_on_with_a_session_one_never_had_is_refused() -> None:
    """An agent that asked for a new session is not resumed."""
    welcome = replace(welcomed(HELLO), resumed=True)
    with pytest.raises(BadFrame, match="not this one"):
        check_welcome(HELLO, welcome, None)


def test_the_epoch_an_agent_remembers_beyond_its_session_is_told() -> None:
    """The journal may know a later epoch than the link does."""
    agent, _ = two_ends()
    assert make_hello("agent", "web-1", agent, epoch=9).epoch == 9
    assert make_hello("agent", "web-1", agent, epoch=3).epoch == 7
    assert make_hello("agent", "web-1", None, epoch=3).epoch == 3


def test_the_spread_of_a_return_is_told_to_who_knows_it() -> None:
    """An older agent would refuse the field."""
    terms = replace(TERMS, spread=33.0)
    assert welcomed(HELLO, terms=terms).spread == 33.0
    older = welcomed(replace(HELLO, protocol=PACE_PROTOCOL - 1), terms=terms)
    assert older.spread == 0.0
    assert b"spread" not in encode(older)
    assert (return_spread(10_000), return_spread(0)) == (pytest.approx(33.3, abs=0.1), 0.2)
    for wrong in (-1.0, 1e9):
        with pytest.raises(BadFrame, match="spread"):
            check_welcome(HELLO, replace(welcomed(HELLO), spread=wrong), None)


def test_heartbeats_of_a_large_fleet_stay_affordable() -> None:
    """Ten seconds for few; for many, what keeps all of them together at 200 a second."""
    assert heartbeat_interval(0) == 10
    assert heartbeat_interval(2_000) == 10
    assert heartbeat_interval(10_000) == 50


HELLOS = st.builds(
    Hello,
    protocol=st.integers(0, 3),
    role=st.sampled_from(["agent", "console"]),
    name=st.sampled_from(["web-1", "web-2", ""]),
    version=st.text(max_size=5),
    session=st.sampled_from(["", "s1", "s9"]),
    received=st.integers(0, 4),
    epoch=st.integers(0, 9),
    facts=st.none(),
)


@given(HELLOS, st.booleans())
def test_every_answer_can_be_sent_and_every_welcome_be_believed(hello: Hello, holds: bool) -> None:
    """Whatever a peer says of itself: welcomed only where name, role, protocol and epoch fit, resumed only if true."""
    _, hub = two_ends()
    reply = asked(hello, kept=hub if holds else None)
    assert decode(encode(reply, epoch=7), "hub").message == reply
    fits = (hello.role, hello.name) == ("agent", "web-1") and hello.protocol >= MIN_PROTOCOL and hello.epoch <= 7
    assert isinstance(reply, Welcome) is fits
    if isinstance(reply, Welcome):
        assert reply.resumed is (holds and hello.session == "s1" and hello.received <= 1)
        if reply.resumed:
            assert hub.resume(hello.received)
