"""The ring's keys in the store: noted by id, and what they wrap wrapped again."""

from __future__ import annotations

from typing import Any

from common.identity.sealing import Sealer, wrapping_key_id
from hub.chat.platforms.base import PictureRef
from hub.core.records import Person
from hub.engine.picture_records import seal_picture_ref
from hub.engine.planning_queue import seal_context
from hub.identity import totp
from hub.store.store import Store
from hub.store.transaction import Txn
from tests.hub.store.template import RING

BATCH = 3


def with_secrets(store: Store, make: Any, ring: Sealer) -> None:
    def unit(txn: Txn) -> None:
        request = txn.add_request(make.request())
        assert request is not None
        for name in ("alice", "bob", "carol"):
            secret, _ = totp.enrol(ring, name, "test")
            txn.add_person(
                Person(name, (), make.now, totp_secret=secret, totp_pending=secret if name == "bob" else b"")
            )
        for number in range(7):
            txn.add_sealed(request.id, "prompt", ring.seal(b"%d" % number, seal_context(request.id)), make.now)
        picture = PictureRef("https://chat.example/a.png")
        txn.add_sealed(request.id, "picture", seal_picture_ref(ring, request.id, picture), make.now)

    store.write_now(unit)


def rewrap_all(store: Store, ring: Sealer) -> int:
    count = 0
    while (step := store.write_now(lambda txn: txn.rewrap(ring, BATCH))).left:
        count += step.rewrapped
    assert step.problems == ()
    return count


def test_a_person_stays_one_after_it(store: Store, make: Any) -> None:
    """Trust: the MAC of a row is over what is wrapped: it is made anew with it."""
    with_secrets(store, make, RING)
    before = store.read_now(lambda txn: txn.people())
    rewrap_all(store, RING.with_new_key())
    after = store.read_now(lambda txn: txn.people())
    assert [one.name for one in after if one.revoked_at is None] == ["alice", "bob", "carol"]
    assert all(one.totp_secret != other.totp_secret != b"" for one, other in zip(after, before, strict=True))
    assert store.broken.take(9) == []


def test_everything_that_the_ring_wraps_is_wrapped_again(store: Store, make: Any) -> None:
    """Lesson A7: data keys, second factors, offered ones, prompts and names of pictures; a few at a time. Then the new
    key alone opens all of it, and the old one none.
    """
    with_secrets(store, make, RING)
    text = store.read_now(lambda txn: txn.requests())[0].text
    ring = RING.with_new_key()
    before = store.read_now(lambda txn: txn.wrapped_counts())
    assert before == {
        RING.ids[0]: {
            "data keys": 1,
            "second factors (totp_secret)": 3,
            "second factors (totp_pending)": 1,
            "what is sealed with requests": 8,
        }
    }
    assert rewrap_all(store, ring) == 13
    assert store.read_now(lambda txn: txn.wrapped_counts()) == {ring.ids[0]: before[RING.ids[0]]}
    new = ring.first_only()
    assert store.read_now(lambda txn: txn.check_wrapped(new)) == (13, ())
    assert len(store.read_now(lambda txn: txn.check_wrapped(RING)).problems) == 13
    assert rewrap_all(store, ring) == 0
    assert store.read_now(lambda txn: txn.requests())[0].text == text


def test_what_does_not_open_is_named_and_left(store: Store, make: Any) -> None:
    """A damaged value stops no rotation: the others are wrapped again, it is told by its place."""
    with_secrets(store, make, RING)
    carol = store.read_now(lambda txn: txn.person("carol"))
    assert carol is not None
    broken = carol.totp_secret[:-1] + bytes((carol.totp_secret[-1] ^ 1,))
    store.write_now(lambda txn: txn.save_person(carol, Person("carol", (), make.now, totp_secret=broken)))
    ring = RING.with_new_key()
    problems = []
    while (step := store.write_now(lambda txn: txn.rewrap(ring, BATCH))).left:
        problems += step.problems
    assert {one.place for one in [*problems, *step.problems]} == {"second factors (totp_secret): carol"}
    carol = store.read_now(lambda txn: txn.person("carol"))
    assert carol is not None
    assert wrapping_key_id(carol.totp_secret) == RING.ids[0]
    assert store.read_now(lambda txn: txn.wrapped_counts())[RING.ids[0]] == {"second factors (totp_secret)": 1}


def test_the_ring_is_noted_by_ids(store: Store) -> None:
    """Which key seals, which only open, which went, and when each was last used; a key that comes back counts again."""
    store.write_now(lambda txn: txn.note_ring(("aa",), 1.0))
    store.write_now(lambda txn: txn.note_ring(("bb", "aa"), 2.0))
    store.write_now(lambda txn: txn.note_key_use(["aa", "zz"], 3.0))
    states = {key.id: (key.state, key.used_at) for key in store.read_now(lambda txn: txn.sealing_keys())}
    assert states == {"aa": ("decrypt", 3.0), "bb": ("primary", None)}
    assert store.read_now(lambda txn: txn.primary_key()) == "bb"
    store.write_now(lambda txn: txn.note_ring(("bb",), 4.0))
    aa = store.read_now(lambda txn: txn.sealing_keys())[0]
    assert (aa.id, aa.state, aa.added_at, aa.used_at, aa.retired_at) == ("aa", "retired", 1.0, 3.0, 4.0)
    store.write_now(lambda txn: txn.note_ring(("bb", "aa"), 5.0))
    assert store.read_now(lambda txn: txn.sealing_keys())[0].state == "decrypt"


def test_a_new_data_key_is_what_the_next_process_takes(store: Store, make: Any) -> None:
    """After a rotation whoever opens the store seals under a data key that the old key never wrapped."""
    store.write_now(lambda txn: txn.add_request(make.request()))
    store.write_now(lambda txn: txn.begin_data_key(make.now + 1))
    assert store.read_now(lambda txn: txn.wrapped_counts())[RING.ids[0]]["data keys"] == 2
