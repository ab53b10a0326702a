"""Events of the audit, whose data is open."""

from __future__ import annotations

import pytest

from common.api.events import EventView

EVENT = EventView(id="7", seq=7, at=1.0, kind="job.ended", data={}, number=41, argv=("df",))


@pytest.mark.parametrize(
    ("data", "command"),
    [({}, ("df",)), ({"argv": ["ls", 1]}, ("ls", "1")), ({"argv": "ls"}, ()), ({"argv": []}, ("df",))],
)
def test_the_command_it_is_about(data: dict[str, object], command: tuple[str, ...]) -> None:
    """That of its data, else that of the row; none where it is no list of words."""
    assert EventView(seq=7, at=1.0, kind="job.ended", data=data, argv=("df",)).command == command


def test_an_edit_has_both_texts() -> None:
    """One of them alone, or what is no text, is no edit."""
    for data, edit in (
        ({"before": "a", "after": "b"}, ("a", "b")),
        ({"before": "a"}, None),
        ({"before": 1, "after": "b"}, None),
    ):
        assert EventView(seq=7, at=1.0, kind="request.edited", data=data).edit == edit


def test_a_row_with_the_event_in_full() -> None:
    """What only the list says of it stays."""
    whole = EventView(seq=7, at=1.0, kind="job.ended", subject="J1", actor="web-1", data={"exit_code": 0}, hash="ab")
    found = EVENT.with_details(whole)
    assert (found.id, found.number, found.argv) == ("7", 41, ("df",))
    assert (found.subject, found.actor, found.data, found.hash) == ("J1", "web-1", {"exit_code": 0}, "ab")
    assert found.is_about_job
