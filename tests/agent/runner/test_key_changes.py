"""agent.runner.key_changes: which changes from afar are carried out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.approvers import MAX_ALL_KEYS, MAX_CHANGES, MAX_KEYS, KnownKeys, LastChange
from agent.runner.key_changes import Decision, decide
from common.identity.signing import KEY_CHANGE_PURPOSE, PERSON_APPROVAL_PURPOSE, SigningKey
from common.key_change import MAX_AHEAD, BadKeyChange, KeyChange, KeySignature, SignedKeyChange
from tests.software_authenticator import SoftwareAuthenticator

NOW = 5_000.0
BOB, BOB_2, ANN, EVE, NEW = (SigningKey.generate() for _ in range(5))
KNOWN = KnownKeys({"bob": (BOB.public, BOB_2.public), "ann": (ANN.public,), "eve": (EVE.public,)})
ADD = KeyChange("0123456789abcdef", "h1", "add", "dan", NEW.public.hex(), ("web-*",), 4_000_000, 6_000)
LOST = replace(ADD, action="remove", person="eve", key=EVE.public.hex())


def by(key: SigningKey, person: str, change: KeyChange = ADD, purpose: bytes = KEY_CHANGE_PURPOSE) -> KeySignature:
    return KeySignature(person, key.public.hex(), key.sign(purpose, change.statement()))


def decided(change: KeyChange, *signatures: KeySignature, known: KnownKeys = KNOWN, **facts: Any) -> Decision:
    terms = {"machine": "web-1", "hub": "h1", "now": NOW, **facts}
    return decide(SignedKeyChange(change, signatures), known, **terms)


def both(change: KeyChange = ADD) -> tuple[KeySignature, KeySignature]:
    return by(BOB, "bob", change), by(ANN, "ann", change)


def test_two_people_add_a_third() -> None:
    """And the change is remembered as the key's last, so that it is carried out once."""
    found = decided(ADD, *both())
    assert (found.done, found.reason) == (True, "")
    assert found.known is not None
    assert found.known.people == {**KNOWN.people, "dan": (NEW.public,)}
    assert found.known.changes == {ADD.key: LastChange(ADD.made_at, ADD.id)}
    again = decided(ADD, *both(), known=found.known, now=9_999_999.0)
    assert (again.done, again.reason, again.known) == (True, "it was carried out before", None)


def test_no_hub_makes_one() -> None:
    """Trust: neither one person, nor one under two names or with two keys, nor the key that comes, nor strangers'; nor
    signatures of another change or purpose.
    """
    other = replace(ADD, machines=("*",))
    table: list[tuple[KeySignature, ...]] = [
        (),
        (by(BOB, "bob"),),
        (by(BOB, "bob"), by(BOB_2, "bob")),
        (by(BOB, "bob"), by(BOB, "ann")),
        (by(BOB, "bob"), by(NEW, "dan")),
        (by(NEW, "bob"), by(NEW, "ann")),
        (by(BOB, "bob"), by(ANN, "ann", other)),
        (by(BOB, "bob"), by(ANN, "ann", purpose=PERSON_APPROVAL_PURPOSE)),
        (by(BOB, "bob"), replace(by(ANN, "ann"), signature=b"s" * 64)),
    ]
    for signatures in table:
        found = decided(ADD, *signatures)
        assert (found.done, found.known) == (False, None), signatures
        assert "wants the signatures of 2 people whose keys this machine knows" in found.reason
    assert "has 2" in decided(ADD, *both(), known=replace(KNOWN, needed=3)).reason
    assert decided(ADD, *both(), by(EVE, "eve"), known=replace(KNOWN, needed=3)).done
    for people in ({}, {"bob": (BOB.public,)}):
        found = decided(ADD, *both(), known=KnownKeys(people))
        assert "on the machine, answerback-agent approvers add NAME KEY" in found.reason


def test_it_is_of_this_machine_and_of_its_time() -> None:
    """Trust: nothing that is signed for others is carried out here, nor before or after its time."""
    wide = {"machine": "db-1"}
    assert "not for this machine" in decided(ADD, *both(), **wide).reason
    assert "of another hub" in decided(ADD, *both(), hub="h2").reason
    assert "has expired" in decided(ADD, *both(), now=ADD.expires + 1).reason
    assert "in the future" in decided(ADD, *both(), now=4_000 - MAX_AHEAD - 1).reason
    assert decided(ADD, *both(), now=4_000 - MAX_AHEAD).done


def test_what_was_held_back_does_not_come_after_a_later_one() -> None:
    """Trust: a hub that keeps a signed addition until the key was removed, here or from afar, gets it nowhere; also
    where this machine had never known the key.
    """
    remove = replace(ADD, id="0123456789abcdf0", action="remove", made_at=ADD.made_at + 1)
    removed = decided(remove, *both(remove))
    assert (removed.done, removed.reason) == (True, "the key was not known here")
    assert removed.known is not None
    late = decided(ADD, *both(), known=removed.known)
    assert (late.done, "changed here later" in late.reason) == (False, True)
    here = KNOWN.noted([ADD.key], LastChange(ADD.made_at + 1), NOW)
    assert "changed here later" in decided(ADD, *both(), known=here).reason
    later = replace(remove, action="add", made_at=remove.made_at + 1)
    assert decided(later, *both(later), known=removed.known).done


def test_a_lost_key_is_taken_out() -> None:
    """By two others, never with the lost key's own word for one of them; or by its owner alone, with any key of
    theirs, and nobody else's.
    """
    assert decided(LOST, *both(LOST)).done
    bobs = replace(LOST, person="bob", key=BOB.public.hex())
    assert decided(bobs, by(BOB_2, "bob", bobs)).done
    assert decided(bobs, by(BOB, "bob", bobs)).done
    assert not decided(LOST, by(BOB, "bob", LOST)).done
    assert not decided(LOST, by(BOB, "bob", LOST), by(NEW, "eve", LOST)).done
    found = decided(bobs, by(BOB, "bob", bobs)).known
    assert found is not None
    assert found.people["bob"] == (BOB_2.public,)
    alone = decided(LOST, by(EVE, "eve", LOST)).known
    assert alone is not None
    assert "eve" not in alone.people
    others = replace(LOST, person="ann")
    assert "known here as eve's" in decided(others, *both(others)).reason
    assert not decided(replace(LOST, action="add"), by(EVE, "eve", replace(LOST, action="add"))).done


def test_bounds() -> None:
    """Keys of one person, of all, and changes that are remembered; nobody's key becomes a second person's."""
    anns = replace(ADD, key=ANN.public.hex())
    assert "known here as ann's" in decided(anns, *both(anns)).reason
    full = {**KNOWN.people, "dan": tuple(bytes([number]) * 32 for number in range(MAX_KEYS))}
    assert "remove one first" in decided(ADD, *both(), known=KnownKeys(full)).reason
    many = {f"p{number}": (bytes([number]) * 32,) for number in range(MAX_ALL_KEYS - 4)}
    assert "remove one first" in decided(ADD, *both(), known=KnownKeys({**KNOWN.people, **many})).reason
    changes = {f"{number:064x}": LastChange(4_000_000) for number in range(MAX_CHANGES)}
    assert "remembered here already" in decided(ADD, *both(), known=replace(KNOWN, changes=changes)).reason
    old = dict.fromkeys(changes, LastChange(1))
    assert decided(ADD, *both(), known=replace(KNOWN, changes=old), now=ADD.expires, hub="h1").done is False
    later = replace(ADD, made_at=5_000_000_000, expires=5_000_100)
    assert decided(later, *both(later), known=replace(KNOWN, changes=old), now=5_000_050.0).done


def test_passkeys_sign_nothing_from_afar() -> None:
    """Trust: what a passkey signs is shown by the hub. None counts here, none is added; one that is lost is taken out
    as any key.
    """
    passkey = SoftwareAuthenticator().passkey
    known = KnownKeys({"bob": (BOB.public,), "ann": (passkey,)})
    assert "consoles' keys of 1 people" in decided(ADD, *both(), known=known).reason
    known = known.with_key("eve", EVE.public.hex())
    assert not decided(ADD, by(BOB, "bob"), by(ANN, "ann"), known=known).done
    with pytest.raises(BadKeyChange, match="added on the machine"):
        replace(ADD, key=passkey.line)
    lost = replace(LOST, person="ann", key=passkey.line)
    found = decided(lost, by(BOB, "bob", lost), by(EVE, "eve", lost), known=known).known
    assert found is not None
    assert "ann" not in found.people
