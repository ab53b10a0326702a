"""Which CAs come in, and which do not, however the bundle is put together."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from common.errors import WorkFailed
from common.identity.certificates import CROSS_LIFETIME, Authority, make_request, new_key
from common.identity.trust import trust_digest
from common.identity.trust_check import check_bundle

NOW = time.time()
HUB = "hub-1"
OLD, NEW, EVIL = (Authority.create(HUB, NOW) for _ in range(3))
CROSS = OLD.cross_sign(NEW, NOW)
LEAF = OLD.issue(make_request(new_key(), "agent", "web-1"), kind="agent", name="web-1", now=NOW)


def take(bundle: bytes, trusted: bytes = OLD.certificate, hub: str = HUB, now: float = NOW) -> bytes:
    return check_bundle(bundle, trusted, hub, now)


def test_a_new_ca_that_the_old_one_signed_comes_in() -> None:
    """Both are trusted then; the proof itself is not, nor kept."""
    taken = take(OLD.certificate + NEW.certificate + CROSS)
    assert taken == OLD.certificate + NEW.certificate
    assert trust_digest(take(CROSS + NEW.certificate + OLD.certificate)) == trust_digest(taken)


@pytest.mark.parametrize("kept", [OLD, NEW], ids=["old", "new"])
def test_of_two_either_may_go(kept: Authority) -> None:
    """Forward and back: what is trusted already needs no proof."""
    assert take(kept.certificate, OLD.certificate + NEW.certificate) == kept.certificate


def test_what_is_trusted_stays_as_it_is() -> None:
    assert take(OLD.certificate) == OLD.certificate
    both = OLD.certificate + NEW.certificate
    assert take(both, both) == both  # the proof may have run out meanwhile


BAD: dict[str, Callable[[], bytes]] = {
    "no CA that is trusted": lambda: NEW.certificate + CROSS,
    "no CA that is trusted here": lambda: CROSS,
    "no trusted one has signed": lambda: OLD.certificate + EVIL.certificate,
    "no trusted one has signed ": lambda: OLD.certificate + EVIL.certificate + CROSS,
    "no trusted one has signed  ": lambda: OLD.certificate + EVIL.certificate + EVIL.cross_sign(OLD, NOW),
    # A chain of one more: the new one vouches for a third, in the same breath in which it comes in itself.
    "no trusted one has signed   ": lambda: OLD.certificate + CROSS + NEW.certificate + EVIL.certificate,
    "no CA's": lambda: OLD.certificate + LEAF,
    "is not this hub's": lambda: OLD.certificate + Authority.create("hub-2", NOW).certificate,
    "does not read": lambda: b"rubbish",
    "not valid now": lambda: OLD.certificate + NEW.certificate + OLD.cross_sign(NEW, NOW - CROSS_LIFETIME - 400),
}


@pytest.mark.parametrize("told", BAD)
def test_a_bundle_that_does_not_hold_changes_nothing(told: str) -> None:
    """Lesson A7: who has the hub's machine and its TLS key, and not the CA's, cannot add a CA of their own, nor replace
    everything at once; neither can the new one alone bring in a third.
    """
    with pytest.raises(WorkFailed, match=told.strip()):
        take(BAD[told]())


def test_a_newcomer_vouches_for_nobody() -> None:
    """Four certificates at most leave no room for two steps in one; even so only what was trusted before counts."""
    bundle = OLD.certificate + NEW.certificate + EVIL.certificate + NEW.cross_sign(EVIL, NOW)
    with pytest.raises(WorkFailed, match="no trusted one has signed"):
        take(bundle)


def test_the_old_key_alone_brings_nothing_back() -> None:
    """After the last step the old CA is no more than any other."""
    with pytest.raises(WorkFailed, match="no CA that is trusted"):
        take(OLD.certificate + EVIL.certificate + OLD.cross_sign(EVIL, NOW), NEW.certificate)
    with pytest.raises(WorkFailed, match="no trusted one has signed"):
        take(OLD.certificate + NEW.certificate + CROSS, NEW.certificate)
