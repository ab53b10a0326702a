"""Changes of whose own signatures machines count: proposed, signed, withdrawn, handed out, answered."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from common.identity.signing import KEY_CHANGE_PURPOSE, SigningKey
from common.key_change import MAX_SIGNATURES, KeyChange, KeySignature, SignedKeyChange
from common.link.messages import KnownKeys, Report
from hub.core.key_changes import KEPT, MAX_LIVE
from hub.engine.actor import ActionResult, Actor
from hub.engine.key_changes import KeyChanges
from hub.engine.unit_of_work import UnitOfWork
from tests.hub.hub_harness import JOURNAL, HubHarness

BOB, ANN = SigningKey.generate(), SigningKey.generate()
KEYS = {"bob": BOB, "ann": ANN}


def change(harness: HubHarness, **changes: Any) -> KeyChange:
    now = harness.clock.now
    made = KeyChange(
        secrets.token_hex(8), harness.keys.hub_id, "add", "dan", "ab" * 32, ("web-*",), int(now * 1000), int(now) + 600
    )
    return replace(made, **changes)


def by(person: str, of: KeyChange, key: SigningKey | None = None) -> KeySignature:
    key = key or KEYS[person]
    return KeySignature(person, key.public.hex(), key.sign(KEY_CHANGE_PURPOSE, of.statement()))


async def act(harness: HubHarness, do: Callable[[KeyChanges, UnitOfWork], ActionResult]) -> ActionResult:
    changes = KeyChanges(harness.keys.hub_id)
    return await harness.engine.write(lambda uow: do(changes, uow))


async def proposed(harness: HubHarness, of: KeyChange, *signatures: KeySignature, actor: str = "bob") -> ActionResult:
    text = SignedKeyChange(of, signatures or (by(actor, of),)).to_bytes().decode()
    return await act(harness, lambda changes, uow: changes.propose(uow, Actor(actor, "console"), text))


async def signed(harness: HubHarness, of: KeyChange, actor: str = "ann", **more: Any) -> ActionResult:
    signature = more.get("signature") or by(actor, of)
    return await act(harness, lambda changes, uow: changes.sign(uow, Actor(actor, "console"), of.id, signature))


async def due(harness: HubHarness, machine: str = "web-1") -> list[bytes]:
    replies = await harness.handle_agent_events(machine, Report(JOURNAL, "boot", {}))
    return replies.key_changes


async def test_from_proposal_to_the_machine_s_answer(harness: HubHarness) -> None:
    """With one signature no machine is handed it, with two those it names are, until they have carried it out; also
    one that comes only later. Each step is in the audit, with who.
    """
    made = change(harness)
    assert (await proposed(harness, made)).code == ""
    assert harness.effects[-1].key_changes == []
    assert await due(harness) == []
    assert (await signed(harness, made)).code == ""
    both = SignedKeyChange(made, (by("bob", made), by("ann", made)))
    assert harness.effects[-1].key_changes == [both]
    assert await due(harness) == [both.to_bytes()]
    assert await due(harness, "db-1") == []
    refused = KnownKeys(made.id, False, "too few", {}, 3)
    for answer in (refused, replace(refused, reason="other words")):
        await harness.handle_agent_events("web-1", answer)
    assert await due(harness) == [both.to_bytes()]
    await harness.handle_agent_events("web-1", KnownKeys(made.id, True, "", {made.key: "dan"}), refused)
    assert await due(harness) == []
    known = harness.read(lambda txn: txn.keys_of("web-1"))
    assert known is not None
    assert known.keys == {}  # as it told last
    told = [(row.kind, row.actor) for row in harness.events() if row.kind.startswith("key_change.")]
    assert told == [
        ("key_change.proposed", "bob"),
        ("key_change.signed", "ann"),
        ("key_change.turned_away", "web-1"),
        ("key_change.done", "web-1"),
    ]
    assert harness.events("key_change.signed")[0].data["signed_by"] == ["ann", "bob"]


async def test_what_is_not_taken(harness: HubHarness) -> None:
    """Trust: by nobody without the right, in nobody else's name, of no other hub, of no other time; and nothing is
    handed out of it.
    """
    made = change(harness)
    table: list[tuple[str, ActionResult]] = [
        ("no_right", await proposed(harness, made, by("bob", made), actor="carol")),
        ("bad_signature", await proposed(harness, made, by("ann", made))),
        ("bad_signature", await proposed(harness, made, by("bob", made), by("ann", made))),
        ("bad_signature", await proposed(harness, made, by("bob", change(harness)))),
        ("expired", await proposed(harness, change(harness, hub="other"))),
        ("expired", await proposed(harness, change(harness, made_at=1, expires=2))),
        ("unknown", await signed(harness, made)),
    ]
    assert [code for code, _ in table] == [done.code for _, done in table]
    assert (await proposed(harness, made)).code == ""
    assert (await proposed(harness, made)).code == "already_decided"
    assert (await signed(harness, made, "carol", signature=by("ann", made))).code == "no_right"
    assert (await signed(harness, made, signature=by("bob", made))).code == "bad_signature"
    assert (await signed(harness, made, signature=by("ann", change(harness)))).code == "bad_signature"
    assert await due(harness) == []
    await harness.handle_agent_events("web-1", KnownKeys("0" * 16, True, "", {}), KnownKeys("", True, "", {}))
    await harness.handle_agent_events("db-1", KnownKeys(made.id, True, "", {}))
    assert harness.read(lambda txn: txn.key_answers(made.id)) == []


async def test_it_ends(harness: HubHarness) -> None:
    """Withdrawn, or over: no machine is handed it any more."""
    first, second = change(harness), change(harness)
    for made in (first, second):
        await proposed(harness, made)
        await signed(harness, made)
    assert len(await due(harness)) == 2

    def withdraw(actor: str, identity: str) -> Callable[[KeyChanges, UnitOfWork], ActionResult]:
        return lambda changes, uow: changes.withdraw(uow, Actor(actor, "console"), identity)

    assert (await act(harness, withdraw("carol", first.id))).code == "no_right"
    assert (await act(harness, withdraw("ann", first.id))).code == ""
    assert (await act(harness, withdraw("ann", first.id))).code == "unknown"
    assert (await signed(harness, first)).code == "unknown"
    assert len(await due(harness)) == 1
    harness.clock.advance(601)
    assert await due(harness) == []
    harness.clock.advance(KEPT)
    await proposed(harness, change(harness))
    assert harness.read(lambda txn: txn.key_change(first.id)) is None


async def test_bounds(harness: HubHarness) -> None:
    """So many changes under way, so many signatures of one."""
    for _ in range(MAX_LIVE):
        assert (await proposed(harness, change(harness))).code == ""
    assert (await proposed(harness, change(harness))).code == "full"
    harness.clock.advance(601)
    made = change(harness)
    assert (await proposed(harness, made)).code == ""
    results = [
        await signed(harness, made, signature=by("ann", made, SigningKey.generate())) for _ in range(MAX_SIGNATURES)
    ]
    assert [done.code for done in results] == [""] * (MAX_SIGNATURES - 1) + ["full"]
