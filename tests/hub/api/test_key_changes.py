"""Whose own signatures machines count, as operators see it."""

from __future__ import annotations

from dataclasses import replace

from common.api.key_changes import MAX_ANSWERS
from common.key_change import KeyChange, KeySignature, SignedKeyChange
from hub.api.key_changes import PAGE_KEYS, view_of
from hub.core.records import KeyAnswer, MachineKeys, OfferedKeyChange
from tests.hub.api_harness import ApiHarness
from tests.hub.hub_harness import HubHarness

CHANGE = KeyChange("0123456789abcdef", "h1", "add", "dan", "ab" * 32, ("web-*",), 900_000, 2_000)
BOB, ANN = (KeySignature(name, "cd" * 32, b"s" * 64) for name in ("bob", "ann"))
ROW = OfferedKeyChange(CHANGE.id, SignedKeyChange(CHANGE, (BOB,)).to_bytes(), "bob", 900.0, 2_000.0)


def test_a_change_with_its_progress() -> None:
    """By state and by machine; a row that is none is not shown."""
    answers = [KeyAnswer(CHANGE.id, "web-2", True, "", 2, 5.0), KeyAnswer(CHANGE.id, "web-3", False, "why", 2, 5.0)]
    view = view_of(ROW, answers, ["db-1", "web-1", "web-2", "web-3"], 1_000.0)
    assert view is not None
    assert (view.state, view.signed_by, view.done, view.refused, view.waiting) == ("signing", ("bob",), 1, 1, 1)
    assert [(one.agent, one.state) for one in view.answers] == [
        ("web-3", "refused"),
        ("web-1", "waiting"),
        ("web-2", "done"),
    ]
    ann = replace(ANN, key="ef" * 32)
    full = replace(ROW, body=SignedKeyChange(CHANGE, (BOB, ann)).to_bytes())
    for row, now, state in (
        (full, 1_000.0, "offered"),
        (full, 2_001.0, "expired"),
        (replace(full, ended_at=950.0), 2_001.0, "withdrawn"),
    ):
        shown = view_of(row, [], [], now)
        assert shown is not None
        assert shown.state == state
    many = view_of(ROW, [], [f"web-{number}" for number in range(MAX_ANSWERS + 1)], 1_000.0)
    assert many is not None
    assert (many.waiting, len(many.answers)) == (MAX_ANSWERS + 1, MAX_ANSWERS)
    assert view_of(replace(ROW, body=b"{}"), [], [], 1_000.0) is None


async def test_what_machines_know(harness: HubHarness) -> None:
    """Page after page, as many machines as fit."""
    rooms = ApiHarness(harness)
    half = {f"{number:064x}": "bob" for number in range(PAGE_KEYS // 2)}
    for name in ("a", "b", "c"):
        harness.write(lambda txn, name=name: txn.put_keys_of(MachineKeys(name, half, 2, 5.0)))  # type: ignore[misc]
    first = await rooms.call("vera", "approver_keys")
    assert [one["agent"] for one in first] == ["a", "b"]
    assert first[0]["keys"][0] == {"person": "bob", "key": "0" * 64}
    assert [one["agent"] for one in await rooms.call("vera", "approver_keys", after="b")] == ["c"]
    assert await rooms.call("vera", "approver_keys", after="c") == []


async def test_lists_name_no_machines(harness: HubHarness) -> None:
    """One that is asked for by its id does."""
    rooms = ApiHarness(harness)
    harness.write(lambda txn: txn.add_key_change(replace(ROW, expires_at=harness.clock.now + 60)))
    (listed,) = await rooms.call("vera", "key_changes")
    (one,) = await rooms.call("vera", "key_changes", id=CHANGE.id)
    assert (listed.get("answers", []), listed["waiting"]) == ([], 1)
    assert [answer["agent"] for answer in one["answers"]] == ["web-1"]
    assert await rooms.call("vera", "key_changes", id="0" * 16) == []
