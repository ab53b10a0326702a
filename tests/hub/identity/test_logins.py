"""hub.identity.logins: a login is replaced, and the old one ends with the new one's first use or by its time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.errors import UserError
from common.identity.certificates import DAY, Authority, Identity, identity_from_pem, make_request, new_key
from common.link.messages import Join, Renew, Renewed
from hub.core.records import Person
from hub.identity import certificates, logins
from hub.identity.authorities import Authorities
from hub.identity.certificates import JoinRefused, NotTrusted
from hub.identity.logins import MAX_KEEP, Rotation
from hub.store.store import Store

NOW = 1_800_000_000.0
HUB = "hub-3f9a1c"
AUTHORITY = Authority.create(HUB, NOW)
AUTHORITIES = Authorities(AUTHORITY)


class People:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.store.write_now(lambda txn: txn.add_person(Person("bob", ("approver",), NOW)))

    def token(self) -> str:
        return self.store.write_now(
            lambda txn: certificates.create_token(txn, "operator", "bob", {}, 600.0, "terminal", NOW)
        )

    def login(self, token: str) -> Identity:
        message = Join(token, "bob", make_request(new_key(), "operator", "bob"), "1.0")
        joined = self.store.write_now(lambda txn: certificates.join(txn, AUTHORITIES, message, {}, HUB, NOW))
        return identity_from_pem(joined.certificate, NOW)

    def rotate(self, keep: float | None = DAY, now: float = NOW) -> Rotation:
        return self.store.write_now(lambda txn: logins.rotate(txn, "bob", ttl=600.0, keep=keep, by="terminal", now=now))

    def use(self, identity: Identity, now: float = NOW + 1) -> list[str]:
        """What a link does: it is let in, and noted."""
        self.store.read_now(lambda txn: certificates.authenticate(txn, identity, now))
        return self.store.write_now(lambda txn: logins.note_use(txn, identity, now))

    def refusal(self, identity: Identity, now: float = NOW + 1) -> str:
        with pytest.raises(NotTrusted) as caught:
            self.store.read_now(lambda txn: certificates.authenticate(txn, identity, now))
        assert caught.value.code == "revoked"
        return caught.value.reason

    def renew(self, identity: Identity, now: float) -> Identity:
        message = Renew(make_request(new_key(), "operator", "bob"), 1)
        answer = self.store.write_now(lambda txn: certificates.renew(txn, AUTHORITIES, identity, message, now))
        assert isinstance(answer, Renewed), answer
        return identity_from_pem(answer.certificate, now)

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [row.data for row in self.store.read_now(lambda txn: txn.events(kind_prefix=kind))]


@pytest.fixture
def people(tmp_path: Path) -> Iterator[People]:
    store = Store.open("sqlite:///hub.db", folder=tmp_path, clock=lambda: NOW)
    yield People(store)
    store.close()


def test_the_old_login_holds_until_the_new_one_is_used(people: People) -> None:
    """Trust: both count; with the first use of the new one the old ones are refused with the cure; audited."""
    first, second = people.login(people.token()), people.login(people.token())
    done = people.rotate()
    assert (done.ended, done.holding, done.until) == (0, 2, NOW + DAY)
    new = people.login(done.token)
    assert people.use(first) == people.use(second) == []
    assert sorted(people.use(new)) == sorted([first.fingerprint, second.fingerprint])
    for old in (first, second):
        assert "was replaced" in people.refusal(old)
        assert "answerback-hub operator rotate bob" in people.refusal(old)
    assert people.use(new, NOW + 2) == []
    (ended,) = people.events("login.ended")
    assert ended["why"] == "used"
    (rotated,) = people.events("login.rotated")
    assert (rotated["until"], len(rotated["fingerprints"])) == (NOW + DAY, 2)
    used = {one.fingerprint: one.used_at for one in people.store.read_now(lambda txn: txn.credentials("operator"))}
    assert used == {first.fingerprint: NOW + 1, second.fingerprint: NOW + 1, new.fingerprint: NOW + 2}


def test_the_old_login_ends_by_its_time(people: People) -> None:
    """Trust: also where nobody ever used the new one, and whoever swept, or not yet."""
    old = people.login(people.token())
    people.rotate(keep=3600.0)
    people.use(old, NOW + 3599)
    assert "was replaced" in people.refusal(old, NOW + 3600)
    assert people.store.write_now(lambda txn: logins.end_due(txn, NOW + 3599)) == []
    assert people.store.write_now(lambda txn: logins.end_due(txn, NOW + 3600)) == ["bob"]
    assert people.store.write_now(lambda txn: logins.end_due(txn, NOW + 3601)) == []
    assert people.store.read_now(lambda txn: txn.revoked_since(NOW + 3600)) == [old.fingerprint]
    (ended,) = people.events("login.ended")
    assert ended["why"] == "time"


def test_renewing_is_no_way_around(people: People) -> None:
    """Trust: the successor of a login that is being replaced ends when that does."""
    old = people.login(people.token())
    new = people.login(people.rotate().token)
    renewed = people.renew(old, NOW + 10)
    people.use(renewed, NOW + 11)
    assert set(people.use(new, NOW + 12)) == {old.fingerprint, renewed.fingerprint}
    assert "was replaced" in people.refusal(renewed, NOW + 13)
    people.renew(new, NOW + 14)


def test_at_once(people: People) -> None:
    """Trust: with --now what was there is refused from that moment; only the new one counts."""
    old = people.login(people.token())
    done = people.rotate(keep=None)
    assert (done.ended, done.holding, done.until) == (1, 0, None)
    assert "was replaced" in people.refusal(old)
    assert people.store.read_now(lambda txn: txn.revoked_since(NOW)) == [old.fingerprint]
    people.use(people.login(done.token))


def test_a_second_rotation_lengthens_nothing(people: People) -> None:
    """An old login keeps the earlier end; a new one that was not used yet is replaced as well."""
    old = people.login(people.token())
    unused = people.login(people.rotate(keep=3600.0).token)
    people.rotate(keep=DAY)
    ends = {one.fingerprint: one.retires_at for one in people.store.read_now(lambda txn: txn.credentials("operator"))}
    assert ends == {old.fingerprint: NOW + 3600, unused.fingerprint: NOW + DAY}


def test_invitations_of_before_end(people: People) -> None:
    """Trust: a login command that somebody still holds is none any more."""
    held = people.token()
    people.rotate()
    with pytest.raises(JoinRefused, match="expired"):
        people.login(held)
    assert people.events("login.rotated")[0]["voided"] == 1


def test_who_has_none_and_bounds(people: People) -> None:
    """A person without a login gets one; nobody, somebody revoked, and times out of range are refused."""
    done = people.rotate()
    assert (done.ended, done.holding, done.until) == (0, 0, None)
    for keep in (59.0, MAX_KEEP + 1):
        with pytest.raises(UserError, match=r"--keep .* is out of range"):
            people.rotate(keep=keep)
    before = people.store.read_now(lambda txn: txn.person("bob"))
    assert before is not None
    people.store.write_now(lambda txn: txn.save_person(before, replace(before, revoked_at=NOW)))
    with pytest.raises(UserError, match=r"has no login here: .*operator add bob"):
        people.rotate()
