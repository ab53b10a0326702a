"""hub.cli.logins: a rotation as the command does it, and what lists say of logins."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import UserError
from hub.chat.inlets import load_config
from hub.cli import logins
from hub.cli.admin import open_store
from hub.cli.init import init
from hub.cli.logins import Logins
from hub.core.records import IssuedCertificate, Person

NOW = 1_800_000_000.0
DAY = 86_400.0


def certificate(mark: str, issued: float, **more: float | None) -> IssuedCertificate:
    return IssuedCertificate(mark, "operator", "bob", 1, issued, issued + 7 * DAY, **more)  # type: ignore[arg-type]


def test_what_a_list_says() -> None:
    """The newest first; last use, the longest end, and until when an old one counts; those revoked are no more."""
    found = Logins.of(
        [
            certificate("a" * 64, NOW, used_at=NOW + 5, retires_at=NOW + DAY),
            certificate("b" * 64, NOW + 10, used_at=NOW + 3),
            certificate("c" * 64, NOW + 20, used_at=NOW + 99, revoked_at=NOW + 100),
        ]
    )
    assert [one.fingerprint[0] for one in found.found] == ["b", "a"]
    assert found.last_seen == NOW + 5
    assert found.expiry(0.0).until == NOW + 10 + 7 * DAY
    assert found.old_until(NOW) == NOW + DAY
    assert found.old_until(NOW + DAY) is None
    told = found.to_json(NOW)
    assert [(one["last_seen"], one["ends_at"]) for one in told["logins"]] == [(NOW + 3, None), (NOW + 5, NOW + DAY)]
    only_old = Logins.of([certificate("a" * 64, NOW, retires_at=NOW + DAY)])
    assert only_old.expiry(0.0).until == NOW + DAY  # not the certificate's own end
    assert (Logins.of([]).last_seen, Logins.of([]).expiry(0.0).until) == (None, None)


def test_the_command_does_it_in_one_transaction(tmp_path: Path) -> None:
    """The invitation, what becomes of the old login in words, and nothing at all where it is refused."""
    config = load_config(init(tmp_path / "hub", now=NOW, admin="alice").folder.config)
    with open_store(config, NOW) as store:
        store.write_now(lambda txn: txn.add_person(Person("bob", ("viewer",), NOW)))
        store.write_now(lambda txn: txn.add_credential(certificate("a" * 64, NOW)))
    told = logins.rotate(config, "bob", ttl=600.0, keep=DAY, now=NOW)
    assert told["command"].startswith("answerback login wss://")
    assert (told["ended"], told["holding"], told["old_until"], told["expires_at"]) == (0, 1, NOW + DAY, NOW + 600)
    assert "holds until the new one is used, and until" in told["replaces"]
    told = logins.rotate(config, "bob", ttl=600.0, keep=None, now=NOW + 1)
    assert (told["ended"], told["holding"], told["old_until"]) == (1, 0, None)
    assert "ended now" in told["replaces"]
    with open_store(config, NOW) as store:
        before = store.read_now(lambda txn: txn.tokens(10))
    for words in ({"ttl": 0.5, "keep": DAY}, {"ttl": 600.0, "keep": 1.0}):
        with pytest.raises(UserError, match="out of range"):
            logins.rotate(config, "bob", now=NOW + 2, **words)
    with open_store(config, NOW) as store:
        assert store.read_now(lambda txn: txn.tokens(10)) == before
