"""The same message again, or another under its id."""

from dataclasses import replace

from common.lifecycle import RequestState
from hub.core.records import Request
from hub.core.repeated_message import edit_event_id, is_same_message

FIRST = Request(
    id="01JZ0000000000000000000000",
    number=1,
    state=RequestState.RECEIVED,
    inlet="ops",
    event_id="e1",
    conversation="c",
    chat_user="carol",
    person="carol",
    text="@web-1 uptime",
    language="en",
    reply_url="",
    received_at=1.0,
)


def test_only_what_the_sender_said_counts() -> None:
    """Not who they are known as meanwhile, nor when it came."""
    assert is_same_message(FIRST, replace(FIRST, id="x", number=2, person="", received_at=9.0, state=RequestState.DONE))
    for change in ({"text": "@web-1 reboot"}, {"chat_user": "bob"}, {"conversation": "d"}):
        other = replace(FIRST, **change)
        assert not is_same_message(FIRST, other)
        assert edit_event_id(other) == edit_event_id(replace(other, id="y"))
        assert edit_event_id(other) not in ("e1", edit_event_id(replace(other, text="else")))
