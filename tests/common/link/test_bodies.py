"""Messages: every type, its fields' bounds, and who may send it."""

from __future__ import annotations

from dataclasses import MISSING, fields, replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.fields import MAX_BYTES, MAX_INT, MAX_STR, MAX_TIME
from common.key_change import MAX_BYTES as MAX_CHANGE
from common.link import messages
from common.link.bodies import MESSAGE_TYPES, from_body, is_allowed_sender, is_numbered, to_body, type_name
from common.link.compatibility import for_protocol, orders_protocol
from common.link.lineage import MAX_LINEAGE
from common.link.messages import (
    CHUNK_BYTES,
    MAX_KNOWN,
    MAX_REASON,
    ORDERS_FACT,
    PROTOCOL,
    Ack,
    Answer,
    BadMessage,
    Beat,
    Cancel,
    Ended,
    Hello,
    KeyChange,
    KnownKeys,
    Message,
    Output,
    Refused,
    Report,
    Resync,
    Sender,
)
from tests.common.message_strategies import JSON_VALUES, MESSAGES, TEXTS
from tests.each import each_of

JOB = "01JZ0000000000000000000000"
SENDERS: tuple[Sender, ...] = get_args(Sender)
OUTPUT = Output(JOB, 1, 1, b"x", 1.0)
ENDED = Ended(JOB, "succeeded", 0, None, "", 1, 1, "a" * 64, False, 1.0, 2.0, 0.1, 0.1, 1024)

# The contract, written a second time and by hand: who may send what, and which messages are facts.
MAY_SEND = {
    "anyone": {"join"},
    "agent": {
        *("hello", "bye", "heartbeat", "ack", "renew", "trusted", "woken"),
        *("report", "accepted", "refused", "started", "output", "ended", "unsure", "knownkeys"),
    },
    "runner": {
        *("ack", "bye", "report", "accepted", "refused", "started", "output", "ended", "unsure", "knownkeys", "stamp"),
    },
    "console": {"hello", "bye", "heartbeat", "ack", "renew", "trusted", "call"},
    "hub": {
        *("welcome", "refuse", "bye", "beat", "ack"),
        *("dispatch", "confirm", "cancel", "credit", "forget", "resync", "keychange"),
        *("renewed", "trust", "wake", "joined", "answer", "push"),
    },
}
FACTS = {
    *("dispatch", "confirm", "cancel", "credit", "forget", "resync", "keychange", "renew", "renewed"),
    *("report", "accepted", "refused", "started", "output", "ended", "unsure", "knownkeys"),
}
WITH_FIELDS = MESSAGES.filter(lambda message: bool(fields(message)))


def sender_of(message: Message) -> Sender:
    return next(sender for sender in SENDERS if is_allowed_sender(type_name(message), sender))


@pytest.mark.parametrize("sender", SENDERS)
@pytest.mark.parametrize("name", sorted(MESSAGE_TYPES))
def test_each_sender_may_send_its_types_and_no_other(name: str, sender: Sender) -> None:
    """Every type by every sender: allowed is what the contract lists; all else is refused, whatever the body."""
    allowed = name in MAY_SEND[sender]
    assert is_allowed_sender(name, sender) is allowed
    with pytest.raises(BadMessage, match="the body is not a map" if allowed else f"not for {sender} to send"):
        from_body(name, None, sender)


def test_an_unknown_may_send_nothing_but_join() -> None:
    """Who has no certificate has one message (security lesson A1: one unauthenticated type)."""
    assert [name for name in MESSAGE_TYPES if is_allowed_sender(name, "anyone")] == ["join"]


@pytest.mark.parametrize(
    "name", ["", "Ack", "message", "__class__", "from_body", "ack\x00", None, 1, ["ack"], {"ack": 1}]
)
@pytest.mark.parametrize("sender", SENDERS)
def test_unknown_types_are_refused(name: Any, sender: Sender) -> None:
    """The types are a closed set: no attribute name, no other spelling and no other kind of value is one."""
    assert isinstance(name, (list, dict)) or not is_allowed_sender(name, sender)
    with pytest.raises(BadMessage, match="unknown message type"):
        from_body(name, {}, sender)


def test_every_message_class_has_a_name_and_a_sender() -> None:
    """No message class of the module is missing from the table of types."""
    classes = {
        kind
        for kind in vars(messages).values()
        if isinstance(kind, type) and issubclass(kind, Message) and kind is not Message
    }
    assert set(MESSAGE_TYPES.values()) == classes
    assert set().union(*MAY_SEND.values()) == set(MESSAGE_TYPES)


def test_facts_are_numbered_and_nothing_else_is() -> None:
    """What must arrive is a fact; what is said again anyway, or answers a call, is not."""
    found = {name for name, kind in MESSAGE_TYPES.items() if is_numbered(kind.__new__(kind))}
    assert found == FACTS


@given(MESSAGES)
def test_every_message_comes_back_from_its_body(message: Message) -> None:
    """A message whose fields are within bounds survives the way out and in, whichever its type."""
    body = to_body(message)
    left_out = {field.name for field in fields(message)} - set(body)
    assert all(field.default == getattr(message, field.name) for field in fields(message) if field.name in left_out)
    assert from_body(type_name(message), body, sender_of(message)) == message


@given(WITH_FIELDS, st.data())
def test_a_missing_field_is_refused_by_name_unless_it_has_a_default(message: Message, data: st.DataObject) -> None:
    """Left out, a field takes its default; one without a default is asked for by its name."""
    body = to_body(message)
    field = data.draw(st.sampled_from(fields(message)))
    body.pop(field.name, None)
    if field.default is MISSING:
        with pytest.raises(BadMessage, match=f"without {field.name}"):
            from_body(type_name(message), body, sender_of(message))
    else:
        assert from_body(type_name(message), body, sender_of(message)) == replace(
            message, **{field.name: field.default}
        )


@given(MESSAGES, TEXTS)
def test_an_unknown_field_is_refused(message: Message, word: str) -> None:
    """A body has the type's fields and no others."""
    body = {**to_body(message), f"{word}-": 1}
    with pytest.raises(BadMessage, match="unknown field"):
        from_body(type_name(message), body, sender_of(message))


@given(WITH_FIELDS, JSON_VALUES | st.binary(max_size=5), st.data())
def test_any_value_in_any_field_is_taken_or_refused_cleanly(message: Message, value: Any, data: st.DataObject) -> None:
    """Whatever stands in a field, the answer is a message that can be sent on unchanged, or BadMessage."""
    body = to_body(message)
    name = data.draw(st.sampled_from([field.name for field in fields(message)]))
    said, taken = "", None
    try:
        taken = from_body(type_name(message), {**body, name: value}, sender_of(message))
    except BadMessage as error:
        said = str(error)
    if taken is None:
        assert said.startswith(f"{type_name(message)}.{name}: ")
    else:
        assert from_body(type_name(message), to_body(taken), sender_of(message)) == taken


REFUSED: list[tuple[Message, str, Any]] = [
    (Cancel(JOB), "job", None),
    (Cancel(JOB), "job", b"bytes"),
    (Cancel(JOB), "job", "x" * (MAX_STR + 1)),
    (Cancel(JOB), "kill", 1),
    (Cancel(JOB), "kill", None),
    (OUTPUT, "seq", 0),
    (OUTPUT, "seq", -1),
    (OUTPUT, "seq", True),
    (OUTPUT, "seq", 1.0),
    (OUTPUT, "seq", MAX_INT + 1),
    (OUTPUT, "stream", 0),
    (OUTPUT, "stream", 3),
    (OUTPUT, "data", "text"),
    (OUTPUT, "data", b"x" * (CHUNK_BYTES + 1)),
    (OUTPUT, "at", float("nan")),
    (OUTPUT, "at", float("inf")),
    (OUTPUT, "at", -1.0),
    (OUTPUT, "at", MAX_TIME + 1),
    (OUTPUT, "at", 10**400),
    (OUTPUT, "at", True),
    (ENDED, "outcome", "unknown"),
    (ENDED, "exit_code", -9),
    (ENDED, "exit_code", 2**60),
    (ENDED, "chunks", -1),
    (ENDED, "cpu_user", float("-inf")),
    (ENDED, "max_rss", 2**63),
    (Refused(JOB, "policy", ""), "code", "because"),
    (Report("j", "b", {}), "open", {JOB: "sleeping"}),
    (Report("j", "b", {}), "open", [JOB]),
    (Report("j", "b", {}), "open", {1: "started"}),
    (Resync({}), "jobs", {JOB: "1"}),
    (Resync({}), "jobs", {JOB: -1}),
    (Resync({}), "forget", "a string is no list of strings"),
    (Resync({}), "forget", {JOB: 1}),
    (Resync({}), "forget", [1]),
    (Hello(1, "agent", "web-1", "1"), "role", "hub"),
    (Hello(1, "agent", "web-1", "1"), "protocol", "1"),
    (Hello(1, "agent", "web-1", "1"), "facts", {"os": 1}),
    (Beat(1.0), "now", -0.5),
    (KeyChange(), "change", b"x" * (MAX_CHANGE + 1)),
    (KnownKeys("", True, "", {}), "change", "x" * 17),
    (KnownKeys("", True, "", {}), "reason", "x" * (MAX_REASON + 1)),
    *((KnownKeys("", True, "", {}), "keys", keys) for keys in ({"x": "bob"}, {"0" * 64: "../x"}, {"A" * 64: "bob"})),
    (KnownKeys("", True, "", {}), "keys", {f"{number:064x}": "bob" for number in range(MAX_KNOWN + 1)}),
]


@each_of(("message", "field", "value"), REFUSED)
def test_a_value_out_of_bounds_is_refused_in_both_directions(message: Message, field: str, value: Any) -> None:
    """The field is named; what comes in is refused, and so is what would go out and be refused over there."""
    name = type_name(message)
    body = to_body(message)
    assert from_body(name, body, sender_of(message)) == message
    with pytest.raises(BadMessage, match=f"^{name}.{field}: "):
        from_body(name, {**body, field: value}, sender_of(message))
    with pytest.raises(BadMessage, match=f"^{name}.{field}: "):
        to_body(replace(message, **{field: value}))


def test_errors_do_not_repeat_what_was_sent() -> None:
    """A refusal names the field and not the value, which may be a secret or a flood."""
    with pytest.raises(BadMessage) as caught:
        from_body("cancel", {"job": 1, "kill": "hunter2"}, "hub")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(BadMessage) as caught:
        from_body("cancel", {"hunter2": 1}, "hub")
    assert "hunter2" not in str(caught.value)


def test_bounds_are_reached_and_not_crossed() -> None:
    """The largest of everything is taken: a full string, full bytes, a full chunk, the last number, the last second."""
    assert from_body("forget", {"job": "x" * MAX_STR}, "hub")
    body = {"order": b"x" * MAX_BYTES, "signature": b"", "key": ""}
    assert from_body("dispatch", body, "hub")
    with pytest.raises(BadMessage, match="order"):
        from_body("dispatch", {**body, "order": b"x" * (MAX_BYTES + 1)}, "hub")
    full = {"job": JOB, "seq": MAX_INT, "stream": 2, "data": b"x" * CHUNK_BYTES, "at": MAX_TIME}
    assert from_body("output", full, "runner")


def test_whole_numbers_stand_for_floats_and_not_the_other_way() -> None:
    """A time without a fraction may come as an integer; a count never comes as a float."""
    beat = from_body("beat", {"now": 5}, "hub")
    assert beat == Beat(5.0)
    assert type(beat.now) is float  # type: ignore[attr-defined]
    with pytest.raises(BadMessage):
        from_body("credit", {"job": JOB, "seq": 1.0}, "hub")


def test_lists_become_tuples_and_messages_are_values() -> None:
    """What comes out of a frame is immutable where it is typed, and equal to what was sent."""
    assert from_body("resync", {"jobs": {}, "forget": ["a", "b"]}, "hub") == Resync({}, ("a", "b"))
    assert from_body("ack", {}, "hub") == Ack()
    with pytest.raises(AttributeError):
        OUTPUT.seq = 2  # type: ignore[misc]


def test_free_data_is_passed_through() -> None:
    """Where a field takes anything, the value is not touched."""
    data = {"jobs": [{"id": JOB, "exit_code": None}], "deep": [[[-1.5]]]}
    assert from_body("answer", {"id": 1, "data": data}, "hub") == Answer(1, data)


def ended_with(*notes: str) -> Ended:
    job = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
    return Ended(job, "succeeded", 0, None, "", 1, 9, "ab" * 32, False, 1.0, 2.0, 0.0, 0.0, 0, notes)


def test_a_field_that_was_added_is_left_out_where_it_says_nothing() -> None:
    """An older peer refuses fields that it does not know, and takes the message that has none of them."""
    assert "notes" not in to_body(ended_with())
    assert from_body("ended", to_body(ended_with()), "agent") == ended_with()
    assert from_body("ended", to_body(ended_with("lost 5", "disk")), "agent") == ended_with("lost 5", "disk")


def test_an_older_peer_is_told_in_words() -> None:
    """A hub of protocol 1 gets the notes as its reason; one that knows them gets them as they are."""
    full = ended_with("lost 12345")
    assert for_protocol(full, 2) is full
    older = for_protocol(full, 1)
    assert isinstance(older, Ended)
    assert older.notes == ()
    assert "12.1 KiB" in older.reason
    assert for_protocol(ended_with(), 1) == ended_with()
    long = for_protocol(replace(full, reason="x" * MAX_REASON), 1)
    assert isinstance(long, Ended)
    assert len(long.reason) == MAX_REASON


def test_which_orders_a_machine_takes() -> None:
    """Trust: a runner outlives an upgrade of its uplink, so it says for itself which orders it knows; one that says
    nothing is of version 0.1.0, and nonsense says nothing.
    """
    table = {None: 2, "3": 3, "2": 2, "9": 3, "": 2, "x": 2, "-3": 2, "\u0663": 2, "3333": 2, "99999999999": 2}
    for told, takes in table.items():
        facts = None if told is None else {ORDERS_FACT: told}
        assert orders_protocol(Hello(3, "agent", "web-1", "1", facts=facts), 3) == takes, told
    assert orders_protocol(Hello(3, "agent", "web-1", "1", facts={ORDERS_FACT: "3"}), 2) == 2


def test_a_life_is_told_to_those_who_know_it() -> None:
    """Trust: one holder of a name. A hub of before takes the report without it; a life has a bound."""
    life = f"{'a' * 32}:17:{'b' * 16}"
    report = Report("a" * 32, "boot", {}, life)
    assert for_protocol(report, PROTOCOL) is report
    assert to_body(for_protocol(report, 2)) == {"journal": "a" * 32, "boot": "boot", "open": {}}
    assert from_body("report", to_body(report), "runner") == report
    with pytest.raises(BadMessage, match=r"report\.life"):
        from_body("report", {**to_body(report), "life": "x" * (MAX_LINEAGE + 1)}, "agent")


def test_notes_out_of_bounds_are_refused() -> None:
    for notes in (["x"] * 9, ["x" * 301], [""], ["x", 5]):
        with pytest.raises(BadMessage, match=r"ended\.notes"):
            from_body("ended", {**to_body(ended_with()), "notes": notes}, "agent")


def test_what_has_its_default_is_left_out() -> None:
    """So a field that a later version added is not seen by an older peer until it is used."""
    assert to_body(Beat(5.0)) == {"now": 5.0}
    assert to_body(Beat(5.0, "4.x")) == {"now": 5.0, "mark": "4.x"}
    assert to_body(Cancel(JOB)) == {"job": JOB}
    hello = Hello(1, "agent", "web-1", "0.1.0", facts={})
    assert to_body(hello) == {"protocol": 1, "role": "agent", "name": "web-1", "version": "0.1.0", "facts": {}}
    assert from_body("hello", to_body(hello), "agent") == hello
