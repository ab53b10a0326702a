"""agent.runner.known_keys: approvers.json changed from afar, and told."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.approvers import add_approver, load_known
from agent.runner.known_keys import KeyKeeper
from agent.runner.verify import Trust
from common.identity.signing import KEY_CHANGE_PURPOSE, SigningKey
from common.key_change import KeyChange as Change
from common.key_change import KeySignature, SignedKeyChange
from common.link.messages import KeyChange, KnownKeys

BOB, ANN, NEW = (SigningKey.generate() for _ in range(3))
TRUST = Trust("web-1", "h1", {})


def change(**changes: Any) -> Change:
    now = time.time()
    made = Change("0123456789abcdef", "h1", "add", "dan", NEW.public.hex(), ("*",), int(now * 1000), int(now) + 600)
    return replace(made, **changes)


def signed(of: Change, **people: SigningKey) -> bytes:
    by = [
        KeySignature(name, key.public.hex(), key.sign(KEY_CHANGE_PURPOSE, of.statement()))
        for name, key in people.items()
    ]
    return SignedKeyChange(of, tuple(by)).to_bytes()


def keeper(folder: Path) -> tuple[KeyKeeper, Path]:
    path = folder / "approvers.json"
    for name, key in (("bob", BOB), ("ann", ANN)):
        add_approver(path, name, key.public.hex())
    return KeyKeeper(path), path


def test_a_change_is_written_and_told(tmp_path: Path) -> None:
    """Also a second time, as when the answer was lost; what is refused changes nothing, and says why."""
    keys, path = keeper(tmp_path)
    made = change()
    refused = keys.answer(signed(made, bob=BOB), TRUST)
    assert (refused.change, refused.done, "has 1" in refused.reason) == (made.id, False, True)
    assert refused.keys == {BOB.public.hex(): "bob", ANN.public.hex(): "ann"}
    for _ in range(2):
        done = keys.answer(signed(made, bob=BOB, ann=ANN), TRUST)
        assert (done.change, done.done, done.needed) == (made.id, True, 2)
        assert done.keys[NEW.public.hex()] == "dan"
    assert load_known(path).owner_of(NEW.public.hex()) == "dan"
    before = path.read_bytes()
    assert keys.answer(b"nonsense", TRUST).reason == "a change that is none: not JSON"
    assert "trust.json" in keys.answer(signed(change(person="eve"), bob=BOB, ann=ANN), None).reason
    assert path.read_bytes() == before
    path.write_bytes(b"nonsense")
    broken = keys.answer(signed(change(person="eve"), bob=BOB, ann=ANN), TRUST)
    assert (broken.done, broken.keys, "not JSON" in broken.reason) == (False, {}, True)
    assert path.read_bytes() == b"nonsense"


def test_what_is_changed_here_is_told_to_who_has_asked(tmp_path: Path) -> None:
    """And to no other: an older hub would not take it."""
    keys, path = keeper(tmp_path)
    assert keys.news() is None
    assert keys.answer(b"", TRUST) == KnownKeys("", True, "", load_known(path).by_key())
    assert keys.news() is None
    add_approver(path, "dan", NEW.public.hex())
    news = keys.news()
    assert news is not None
    assert news.keys[NEW.public.hex()] == "dan"
    assert keys.news() is None
    add_approver(path, "eve", "ab" * 32)
    keys.forget_hub()
    assert keys.news() is None


async def test_over_the_socket(home: Any, kit: Any) -> None:
    """Trust: the runner, not the uplink, verifies and writes; before a question it says nothing of it."""
    path = home.runner / "approvers.json"
    for name, key in (("bob", BOB), ("ann", ANN)):
        add_approver(path, name, key.public.hex())
    made = change()
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/true")
        await uplink.end(job)
        assert not [one for one in uplink.heard if isinstance(one, KnownKeys)]
        uplink.send(KeyChange())
        assert len((await uplink.next(KnownKeys)).keys) == 2
        uplink.send(KeyChange(signed(made, bob=BOB)), KeyChange(signed(made, bob=BOB, ann=ANN)))
        heard = len(uplink.heard)
        assert not (await uplink.next(KnownKeys, start=heard)).done
        done = await uplink.next(KnownKeys, start=heard + 1)
        assert (done.change, done.done, done.keys[NEW.public.hex()]) == (made.id, True, "dan")
    assert load_known(path).owner_of(NEW.public.hex()) == "dan"
