"""What the console makes of the hub's answer to `inlets`."""

from __future__ import annotations

from typing import Any

from common.catalogue import LANGUAGES
from tests.each import each_of
from tests.tui.fake_source import HOSTILE, NOW
from tests.tui.rows import inlet
from tui.terminal.sanitize import is_safe
from tui.text.format import RenderContext
from tui.view.inlets import INLETS, MAX_INLETS, describe_inlets, inlet_lines, inlet_state, inlet_trouble, inlets_of

LOOK = RenderContext("en", False, NOW)
DOWN = {"way": "outbound", "problem": "the token is wrong", "failed_at": NOW - 60, "retry_at": NOW + 90, "failures": 3}


@each_of(
    ("more", "text", "tone"),
    [
        ({}, "ok", "ok"),
        ({"delivered_at": None}, "nothing yet", "dim"),
        ({"quiet": True}, "QUIET", "warn"),
        ({"way": "outbound"}, "connecting", ""),
        ({"way": "outbound", "connected_at": NOW}, "connected", "ok"),
        ({"quiet": True, "reply_problem": "no answer", "replies_waiting": 2}, "REPLIES WAIT", "bad"),
        ({"reply_problem": "invalid_auth"}, "REPLIES LOST", "bad"),
        ({**DOWN, "reply_problem": "no answer", "quiet": True}, "NOT CONNECTED", "bad"),
        ({"way": "of a newer hub"}, "ok", "ok"),
    ],
)
def test_how_one_is_in_a_word(more: dict[str, Any], text: str, tone: str) -> None:
    """The worst of it."""
    cell = inlet_state(inlet("ops", **more), LOOK)
    assert (cell.text, cell.tone) == (text, tone)


def test_why_and_when_again() -> None:
    """Empty where it works."""
    assert inlet_trouble(inlet("ops", **DOWN), LOOK) == "the token is wrong  next try in 1m30s"
    assert inlet_trouble(inlet("ops", reply_problem="invalid_auth"), LOOK) == "invalid_auth"
    assert "2h00m" in inlet_trouble(inlet("ops", quiet=True, quiet_after=7_200.0), LOOK)
    assert inlet_trouble(inlet("ops"), LOOK) == ""


def test_the_cells_of_one() -> None:
    """How long ago it delivered, what waits, what was turned away; a dash for what never was."""
    cells = {column.key: column.render(inlet("ops", refused=12, replies_waiting=3), LOOK).text for column in INLETS}
    assert (cells["inlet_last"], cells["inlet_refused"], cells["inlet_waiting"]) == ("30s", "12", "3")
    assert (cells["name"], cells["inlet_platform"], cells["inlet_way"]) == ("ops", "made-up", "webhook")
    cells = {column.key: column.render(inlet("ops", delivered_at=None, way="x"), LOOK).text for column in INLETS}
    assert (cells["inlet_last"], cells["inlet_way"]) == ("-", "x")


def test_the_line_above() -> None:
    """How many are not well, how many replies wait; nothing where all is well."""
    rows = [inlet("ops", **DOWN, replies_waiting=3), inlet("far"), inlet("hush", quiet=True)]
    assert describe_inlets(rows, LOOK) == "2 not well  replies that wait 3"
    assert describe_inlets([inlet("far")], LOOK) == ""


def test_one_in_full_in_both_languages() -> None:
    """Every fact has a name; what did not happen has none."""
    much = {"refused": 2, "refused_code": "rate", "refused_at": NOW - 9, "reply_problem": "invalid_auth"}
    much |= {"replies_waiting": 1, "replies_since": NOW - 8, "replies_given_up": 4, "recording": 5, "quiet_after": 60.0}
    full = inlet("ops", **DOWN, **much)
    told = "\n".join(line.text for line in inlet_lines(full, LOOK))
    for words in ("the token is wrong", "failures in a row: 3", "rate", "invalid_auth", "the next 5 deliveries"):
        assert words in told
    assert len({len(inlet_lines(full, RenderContext(language, False, NOW))) for language in LANGUAGES}) == 1
    assert not any("reason" in line.text or "recording" in line.text for line in inlet_lines(inlet("ops"), LOOK))


def test_an_answer_is_bounded_and_has_each_once() -> None:
    """More than anybody has, and two of one name."""
    rows = inlets_of([inlet("a"), inlet("a", quiet=True), inlet("b", quiet=True)])
    assert [(row.id, row.quiet) for row in rows] == [("a", False), ("b", True)]
    assert len(inlets_of([inlet(str(n)) for n in range(MAX_INLETS + 9)])) == MAX_INLETS


def test_hostile_words() -> None:
    """What a chat answers stays on its line."""
    for hostile in HOSTILE:
        row = inlet("a", problem=hostile, refused=1, refused_code=hostile, platform=hostile, answer=hostile)
        assert all(is_safe(column.render(row, LOOK).text) for column in INLETS)
        assert all(is_safe(line.text) for line in inlet_lines(row, LOOK))
