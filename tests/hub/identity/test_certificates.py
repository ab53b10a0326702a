"""The authority's decisions on a real store: SQLite in a temporary folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, cast

import pytest

from common.errors import UserError
from common.identity.certificates import DAY, LIFETIME, Authority, Identity, identity_from_pem, make_request, new_key
from common.link.messages import Join, Joined, Refuse, Renew, Renewed
from hub.core.records import Agent, EnrolmentToken, Person
from hub.core.recovery import Recovery
from hub.identity import certificates
from hub.identity.authorities import Authorities
from hub.identity.certificates import JoinRefused, NotTrusted
from hub.store.store import Store
from hub.store.transaction import Txn

NOW = 1_800_000_000.0
HUB = "hub-3f9a1c"
AUTHORITY = Authority.create(HUB, NOW)
AUTHORITIES = Authorities(AUTHORITY)
KEY = new_key()
JOB_KEYS = {"0123456789abcdef": bytes(32)}
T = TypeVar("T")


class House:
    """A store, and the verbs of `hub.identity.certificates` on it, each in a transaction of its own."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def write(self, unit: Callable[[Txn], T]) -> T:
        return self.store.write_now(unit)

    def read(self, unit: Callable[[Txn], T]) -> T:
        return self.store.read_now(unit)

    def token(
        self,
        name: str = "web-1",
        kind: certificates.JoinKind = "agent",
        ttl: float = 600.0,
        now: float = NOW,
        labels: Mapping[str, str] = MappingProxyType({"role": "web"}),
    ) -> str:
        return self.write(lambda txn: certificates.create_token(txn, kind, name, labels, ttl, "alice", now))

    def join(self, token: str, name: str = "web-1", key: bytes = KEY, now: float = NOW) -> Joined:
        message = Join(token, name, make_request(key, "agent", name), "1.0")
        return self.write(lambda txn: certificates.join(txn, AUTHORITIES, message, JOB_KEYS, HUB, now))

    def refused(self, token: str, name: str = "web-1", now: float = NOW) -> str:
        with pytest.raises(JoinRefused) as caught:
            self.join(token, name, now=now)
        assert caught.value.reason
        return caught.value.code

    def joined(self, name: str = "web-1") -> Identity:
        return identity_from_pem(self.join(self.token(name), name).certificate, NOW)

    def logged_in(self, name: str = "alice") -> Identity:
        self.write(lambda txn: txn.add_person(Person(name, ("operator",), NOW)))
        return identity_from_pem(self.join(self.token(name, "operator"), name).certificate, NOW)

    def renew(self, identity: Identity, generation: int, key: bytes, now: float = NOW + 1) -> Renewed | Refuse:
        message = Renew(make_request(key, "agent", identity.name), generation)
        return self.write(lambda txn: certificates.renew(txn, AUTHORITIES, identity, message, now))

    def code(self, identity: Identity, generation: int, key: bytes, now: float = NOW + 1) -> str:
        answer = self.renew(identity, generation, key, now)
        assert isinstance(answer, Refuse)
        assert answer.reason
        return answer.code

    def renewed(self, identity: Identity, generation: int, key: bytes, now: float = NOW + 1) -> Identity:
        answer = self.renew(identity, generation, key, now)
        assert isinstance(answer, Renewed)
        assert answer.generation == generation + 1
        return identity_from_pem(answer.certificate, now)

    def who(self, identity: Identity, now: float = NOW) -> Agent | Person:
        return self.read(lambda txn: certificates.authenticate(txn, identity, now))

    def not_trusted(self, identity: Identity, now: float = NOW) -> str:
        with pytest.raises(NotTrusted) as caught:
            self.who(identity, now)
        assert caught.value.reason
        return caught.value.code

    def revoke(self, kind: certificates.JoinKind, name: str) -> list[str]:
        return self.write(lambda txn: certificates.revoke(txn, kind, name, "alice", NOW))

    def agent(self, name: str = "web-1") -> Agent:
        agent = self.read(lambda txn: txn.agent(name))
        assert agent is not None
        return agent

    def audit(self) -> list[tuple[str, str, str, dict[str, Any]]]:
        """Oldest first."""
        events = self.read(lambda txn: txn.events())
        return [(event.kind, event.subject, event.actor, event.data) for event in events]

    def kinds(self) -> list[str]:
        return [kind for kind, *_ in self.audit()]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    store = Store.open("sqlite:///store.sqlite", folder=tmp_path, clock=lambda: NOW)
    yield House(store)
    store.close()


# ---- joining


def test_a_machine_joins(house: House) -> None:
    """The token buys a certificate for its name, the CA, the job keys and the hub's id; the machine has its labels."""
    answer = house.join(house.token())
    identity = identity_from_pem(answer.certificate, NOW, "agent")
    assert (answer.name, answer.hub, answer.job_keys) == ("web-1", HUB, JOB_KEYS)
    assert answer.authority == AUTHORITY.certificate
    assert (identity.name, identity.not_after) == ("web-1", NOW + LIFETIME["agent"])
    agent = house.agent()
    assert (agent.labels, agent.state, agent.generation, agent.version) == ({"role": "web"}, "active", 1, "1.0")
    assert house.who(identity) == agent
    assert house.kinds() == ["token.made", "agent.joined"]


def test_the_token_is_kept_as_its_digest_only(house: House, tmp_path: Path) -> None:
    """Neither the store's file nor the audit holds the token; it says its name and has 192 bits."""
    token = house.token()
    house.join(token)
    name, _, secret = token.rpartition(".")
    assert (name, secret[:4], len(secret)) == ("web-1", "abt_", 4 + 32)
    assert house.token("web-2").rpartition(".")[2] != house.token("web-3").rpartition(".")[2]
    house.store.close()
    stored = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert any(b"web-1" in content for content in stored)
    assert not any(secret.encode() in content for content in stored)


def test_a_token_works_once(house: House) -> None:
    """The second use is refused, also under the name it was for."""
    token = house.token()
    house.join(token)
    assert house.refused(token) == "token_used"


def test_two_at_once_with_one_token(house: House) -> None:
    """Of eight parallel joins with one token one gets a certificate."""
    token = house.token()

    def attempt(_: int) -> str:
        try:
            return house.join(token).name
        except JoinRefused as error:
            return error.code

    with ThreadPoolExecutor(8) as pool:
        outcomes = sorted(pool.map(attempt, range(8)))
    assert outcomes == ["token_used"] * 7 + ["web-1"]


class Behind:
    """A transaction whose look at the token is older than its use of it, as with two hubs on one PostgreSQL."""

    def __init__(self, txn: Txn, seen: EnrolmentToken) -> None:
        self._txn = txn
        self._seen = seen

    def token(self, _: str) -> EnrolmentToken:
        return self._seen

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._txn, verb)


def test_the_use_of_a_token_is_guarded_by_the_store(house: House) -> None:
    """Where two transactions have both seen the token unused, the second to use it gets no certificate."""
    token = house.token()
    seen = house.read(lambda txn: txn.token(hashlib.sha256(token.encode()).hexdigest()))
    assert seen is not None
    house.join(token)
    house.revoke("agent", "web-1")
    message = Join(token, "web-1", make_request(KEY, "agent", "web-1"), "1.0")

    def again(txn: Txn) -> Joined:
        return certificates.join(cast(Txn, Behind(txn, seen)), AUTHORITIES, message, JOB_KEYS, HUB, NOW)

    with pytest.raises(JoinRefused) as caught:
        house.write(again)
    assert caught.value.code == "token_used"
    assert house.agent().state == "revoked"


def test_an_expired_token(house: House) -> None:
    """From the second on in which it ends a token is worth nothing (Salt 2021-3144: not even once)."""
    token = house.token(ttl=60.0)
    assert house.refused(token, now=NOW + 60.0) == "token_expired"
    assert house.refused(token, now=NOW + 61.0) == "token_expired"
    assert house.join(token, now=NOW + 59.9).name == "web-1"


def test_a_token_for_another_name_is_not_burnt(house: House) -> None:
    """Somebody's slip with the name leaves the token good for its own."""
    token = house.token()
    assert house.refused(token, "web-2") == "token_name"
    assert house.refused(token, "web-1/../web-2") == "token_name"
    assert house.join(token).name == "web-1"


@pytest.mark.parametrize("token", ["", "abt_", "abt_" + "A" * 32, "\ud800", "x" * 65_536])
def test_an_unknown_token(house: House, token: str) -> None:
    """Whatever is sent for a token, surrogates and the longest message included, is refused by name."""
    assert house.refused(token) == "token_unknown"


def test_a_bad_request_does_not_burn_the_token(house: House) -> None:
    """A request that the authority does not take leaves no trace and the token good."""
    token = house.token()
    message = Join(token, "web-1", b"rubbish", "1.0")
    with pytest.raises(JoinRefused) as caught:
        house.write(lambda txn: certificates.join(txn, AUTHORITIES, message, JOB_KEYS, HUB, NOW))
    assert caught.value.code == "bad_request"
    assert house.read(lambda txn: txn.agent("web-1")) is None
    assert house.join(token).name == "web-1"


def test_a_revoked_name_is_given_anew(house: House) -> None:
    """Nothing of the machine that was revoked is left but the name; its labels only where the token gives none."""
    first = house.joined()
    house.write(
        lambda txn: txn.save_agent(house.agent(), replace(house.agent(), labels={"env": "prod"}, paused_by="alice"))
    )
    token, bare = house.token(), house.token(labels={})
    house.revoke("agent", "web-1")
    second = identity_from_pem(house.join(token, key=new_key()).certificate, NOW)
    assert house.not_trusted(first) == "revoked"
    assert house.who(second) == Agent("web-1", {"role": "web"}, "active", NOW, version="1.0")
    house.revoke("agent", "web-1")
    third = identity_from_pem(house.join(bare, key=new_key()).certificate, NOW)
    assert house.who(third) == Agent("web-1", {"role": "web"}, "active", NOW, version="1.0")
    assert third.labels == {"role": "web"}


@pytest.mark.parametrize("state", ["active", "locked"])
def test_a_known_machine_joins_again(house: House, state: str) -> None:
    """With a new token and nothing else: what it had of certificates is worth nothing, whoever has a copy; its labels,
    the pause on it and when it was last seen stay, and labels of the token come on top."""
    first = house.joined()
    renewed = house.renewed(first, 1, new_key())
    before = replace(
        house.agent(),
        labels={"env": "prod", "role": "db"},
        state=state,
        paused_by="alice",
        paused_at=NOW,
        last_seen=NOW,
    )
    house.write(lambda txn: txn.save_agent(house.agent(), before))
    again = identity_from_pem(house.join(house.token(), key=new_key(), now=NOW + 9).certificate, NOW + 9)
    assert house.not_trusted(first, NOW + 9) == house.not_trusted(renewed, NOW + 9) == "revoked"
    labels = {"env": "prod", "role": "web"}
    after = replace(before, labels=labels, state="active", joined_at=NOW + 9, generation=1)
    assert house.who(again, NOW + 9) == after
    assert house.audit()[-1][3]["replaces"] == state
    assert house.renewed(again, 1, new_key(), NOW + 20).name == "web-1"


# ---- after an absence


def late(house: House, identity: Identity, generation: int, key: bytes, now: float, grace: float = 90 * DAY) -> str:
    """What the renewal entrance answers: "renewed", or the refusal's code."""
    message = Renew(make_request(key, "agent", identity.name), generation)

    def unit(txn: Txn) -> Renewed | Refuse:
        return certificates.renew(txn, AUTHORITIES, identity, message, now, grace=grace, entrance="renewal")

    answer = house.write(unit)
    if isinstance(answer, Renewed):
        house.who(identity_from_pem(answer.certificate, now), now)
        return "renewed"
    assert answer.reason
    return answer.code


@pytest.mark.parametrize(
    ("hours", "grace", "answer"),
    [
        (9, 90 * DAY, "renewed"),
        (3 * 24, 90 * DAY, "renewed"),
        (89 * 24, 90 * DAY, "renewed"),
        (91 * 24, 90 * DAY, "expired"),
        (1, 0.0, "expired"),
        (13 * 24, 14 * DAY, "renewed"),
        (15 * 24, 14 * DAY, "expired"),
    ],
)
@pytest.mark.parametrize("kind", ["agent", "operator"])
def test_a_certificate_that_ran_out_has_a_successor(
    house: House, kind: certificates.JoinKind, hours: int, grace: float, answer: str
) -> None:
    """Within the grace and not a second longer, for machines and people; it opens no link, and the audit tells."""
    identity = house.joined() if kind == "agent" else house.logged_in()
    now = identity.not_after + hours * 3600
    assert house.not_trusted(identity, now) == "expired"
    assert late(house, identity, 1, new_key(), now, grace) == answer
    if answer == "renewed":
        kind_of_row, subject, _, data = house.audit()[-1]
        assert (kind_of_row, subject) == ("credential.renewed_late", identity.name)
        assert (data["generation"], data["expired_at"]) == (2, identity.not_after)
    else:
        assert house.kinds()[-1].endswith(".joined")


def test_the_end_of_the_grace_is_exact(house: House) -> None:
    """The last second counts, the next does not."""
    identity = house.joined()
    end = identity.not_after + 90 * DAY
    assert late(house, identity, 1, new_key(), end) == "expired"
    assert late(house, identity, 1, new_key(), end - 1) == "renewed"


@pytest.mark.parametrize("state", ["revoked", "locked"])
def test_an_absence_cures_no_revocation(house: House, state: str) -> None:
    """Who was revoked or locked, before or after the certificate ran out, gets nothing."""
    identity = house.joined()
    if state == "revoked":
        house.revoke("agent", "web-1")
    else:
        house.write(lambda txn: txn.save_agent(house.agent(), replace(house.agent(), state="locked")))
    assert late(house, identity, 1, new_key(), identity.not_after + DAY) == state
    assert house.agent().state == state


def test_a_certificate_that_the_hub_does_not_know_has_no_successor(house: House) -> None:
    """By our authority, but not in the store: after a restore, or made by somebody who had the CA's key."""
    house.joined()
    pem = AUTHORITY.issue(make_request(KEY, "agent", "web-1"), kind="agent", name="web-1", now=NOW)
    assert late(house, identity_from_pem(pem, NOW), 1, new_key(), NOW + 2 * DAY) == "unknown"


def test_a_lost_answer_after_an_absence_is_given_again(house: House) -> None:
    """The same request, by the certificate that ran out: the same number. With another key it is a copy's: locked."""
    identity, key = house.joined(), new_key()
    now = identity.not_after + DAY
    assert late(house, identity, 1, key, now) == "renewed"
    assert late(house, identity, 1, key, now + 60) == "renewed"
    assert house.agent().generation == 2
    assert late(house, identity, 1, new_key(), now + 120) == "locked"
    assert house.agent().state == "locked"


def test_an_old_backup_locks_nobody_out(house: House) -> None:
    """A certificate that ran out long ago, and has had successors since, gets nothing and does no harm."""
    first = house.joined()
    second = house.renewed(first, 1, new_key())
    third = house.renewed(second, 2, new_key())
    now = first.not_after + 30
    assert late(house, first, 1, new_key(), now) == "stale"
    assert house.agent().state == "active"
    assert late(house, third, 3, new_key(), now) == "renewed"


def test_a_new_key_is_needed_after_an_absence_too(house: House) -> None:
    """The key that was on the disk all the while is not certified again."""
    identity = house.joined()
    assert late(house, identity, 1, KEY, identity.not_after + DAY) == "key_reused"


def test_what_was_issued_before_the_hubs_clock_was_set_back_is_good(house: House) -> None:
    """A certificate from the hub's future, which it has in its store: it links, and is renewed; one that it has not
    issued is unknown, as ever.
    """
    identity = house.joined()
    assert isinstance(house.who(identity, NOW - DAY), Agent)
    assert late(house, identity, 1, new_key(), NOW - DAY) == "renewed"
    assert house.not_trusted(replace(identity, fingerprint="0" * 64), NOW - DAY) == "unknown"


def test_the_end_of_the_ca_is_told(house: House) -> None:
    """When it comes no certificate is issued any more, and the answer says why."""
    identity = house.joined()
    assert late(house, identity, 1, new_key(), AUTHORITY.not_after + 1, 1e10) == "authority"


def test_a_person_logs_in(house: House) -> None:
    """An operator's token is for a person whom the hub knows."""
    identity = house.logged_in()
    assert (identity.kind, identity.name, identity.not_after) == ("operator", "alice", NOW + LIFETIME["operator"])
    assert isinstance(house.who(identity), Person)
    assert house.kinds()[-1] == "operator.joined"


def test_a_person_who_is_gone_cannot_log_in(house: House) -> None:
    """A token made before the revocation is worth nothing after it."""
    house.logged_in()
    token = house.token("alice", "operator")
    house.revoke("operator", "alice")
    assert house.refused(token, "alice") == "person_unknown"
    with pytest.raises(UserError, match="there is no person"):
        house.token("alice", "operator")


def test_a_token_is_made_for_what_can_be(house: House) -> None:
    """Odd names, odd labels, times out of range, nobody: a UserError with its cure, and no token."""
    for name, labels, ttl in (
        ("a/b", {}, 60.0),
        ("", {}, 60.0),
        ("web-1", {"a b": "c"}, 60.0),
        ("web-1", {"a": "c;d"}, 60.0),
        ("web-1", {f"k{number}": "v" for number in range(33)}, 60.0),
        ("web-1", {}, 0.0),
        ("web-1", {}, 8 * DAY),
        ("web-1", {}, float("nan")),
    ):
        with pytest.raises(UserError) as caught:
            house.write(
                partial(certificates.create_token, kind="agent", name=name, labels=labels, ttl=ttl, by="alice", now=NOW)
            )
        assert caught.value.cure
    assert house.kinds() == []


# ---- authentication


def test_an_unknown_certificate(house: House) -> None:
    """A certificate that our CA signed and our store does not know (a restored backup) opens nothing."""
    pem = AUTHORITY.issue(make_request(KEY, "agent", "web-1"), kind="agent", name="web-1", now=NOW)
    house.joined()
    assert house.not_trusted(identity_from_pem(pem, NOW)) == "unknown"


def test_a_fingerprint_is_its_holders(house: House) -> None:
    """The row must say the same kind and name as the certificate."""
    identity = house.joined()
    assert house.not_trusted(replace(identity, name="web-2")) == "unknown"
    assert house.not_trusted(replace(identity, kind="operator")) == "unknown"


def test_an_expired_certificate(house: House) -> None:
    """The end is checked here too, whatever TLS has let through."""
    identity = house.joined()
    assert house.not_trusted(identity, NOW + LIFETIME["agent"]) == "expired"


def test_revocation_of_a_machine(house: House) -> None:
    """Every certificate of the machine ends, and the fingerprints tell which links to close; again is harmless."""
    first = house.joined()
    second = house.renewed(first, 1, new_key())
    other = house.joined("web-2")
    assert sorted(house.revoke("agent", "web-1")) == sorted([first.fingerprint, second.fingerprint])
    assert house.not_trusted(first) == house.not_trusted(second) == "revoked"
    assert house.who(other)
    assert house.agent().state == "revoked"
    assert house.revoke("agent", "web-1") == []
    assert house.kinds()[-2:] == ["agent.revoked", "agent.revoked"]


def test_revocation_of_a_person(house: House) -> None:
    """A person loses all certificates and stays gone, though the name is known."""
    identity = house.logged_in()
    assert house.revoke("operator", "alice") == [identity.fingerprint]
    assert house.not_trusted(identity) == "revoked"


def test_a_revoked_person_has_no_standing_with_any_certificate(house: House) -> None:
    """Not the certificate alone counts: the person's own row is read again."""
    identity = house.logged_in()
    person = house.read(lambda txn: txn.person("alice"))
    assert person is not None
    house.write(lambda txn: txn.save_person(person, replace(person, revoked_at=NOW)))
    assert house.not_trusted(identity) == "revoked"


@pytest.mark.parametrize("kind", ["agent", "operator"])
def test_nobody_cannot_be_revoked(house: House, kind: certificates.JoinKind) -> None:
    """A mistyped name is told, not silently taken for done."""
    with pytest.raises(UserError, match="web-9"):
        house.revoke(kind, "web-9")


# ---- renewal


def test_a_renewal_counts_up(house: House) -> None:
    """A new key, a new certificate, the next generation; the old certificate is good until the new one is in use."""
    first = house.joined()
    second = house.renewed(first, 1, new_key(), NOW + 3600)
    assert second.not_after == NOW + 3600 + LIFETIME["agent"]
    assert house.agent().generation == 2
    assert house.who(first, NOW + 3600)
    assert house.who(second, NOW + 3600)
    assert house.kinds()[-1] == "credential.renewed"


def test_a_long_link_renews_again_and_again(house: House) -> None:
    """A link opened with an old certificate goes on renewing: what counts is the generation its holder has now."""
    first = house.joined()
    for generation in range(1, 5):
        house.renewed(first, generation, new_key())
    assert house.agent().generation == 5


def test_a_clone_locks_the_machine(house: House) -> None:
    """The copy of a disk asks with the number the original has left behind: both are locked out, and it is audited."""
    original = house.joined()
    renewed = house.renewed(original, 1, new_key())
    assert house.code(original, 1, new_key()) == "locked"
    assert house.agent().state == "locked"
    assert house.not_trusted(original) == house.not_trusted(renewed) == "locked"
    assert house.code(renewed, 2, new_key()) == "locked"
    kind, subject, actor, data = house.audit()[-2]
    assert (kind, subject, actor) == ("agent.locked", "web-1", "web-1")
    assert (data["presented"], data["stored"]) == (1, 2)


def test_a_clone_that_is_first_locks_the_machine_too(house: House) -> None:
    """It does not matter which of the two renews first."""
    identity = house.joined()
    house.renewed(identity, 1, new_key())
    house.renewed(identity, 2, new_key())
    assert house.code(identity, 1, new_key()) == "locked"


@pytest.mark.parametrize("generation", [0, -1, 2, 99])
def test_a_number_from_nowhere_locks(house: House, generation: int) -> None:
    """A generation that was never given out is as wrong as an old one."""
    assert house.code(house.joined(), generation, new_key()) == "locked"


def test_a_lost_answer_is_given_again(house: House) -> None:
    """The hub died after its commit: the same request with the same number is answered again and locks nobody."""
    identity, key = house.joined(), new_key()
    house.renewed(identity, 1, key)
    again = house.renewed(identity, 1, key, NOW + 60)
    assert house.agent().generation == 2
    assert house.who(again)
    assert house.renewed(again, 2, new_key(), NOW + 120)


def test_a_renewal_needs_a_new_key(house: House) -> None:
    """With one key for ever a clone could pass for a lost answer for ever."""
    identity, key = house.joined(), new_key()
    assert house.code(identity, 1, KEY) == "key_reused"
    house.renewed(identity, 1, key)
    assert house.code(identity, 2, key) == "key_reused"
    assert house.code(identity, 2, KEY) == "key_reused"
    assert house.agent().generation == 2


def test_a_certificate_two_generations_old_opens_no_link(house: House) -> None:
    """The one before the newest may have missed an answer; an older one is a copy."""
    first = house.joined()
    second = house.renewed(first, 1, new_key())
    third = house.renewed(second, 2, new_key())
    assert house.not_trusted(first) == "stale"
    assert house.who(second)
    assert house.who(third)


def test_renewal_reads_the_standing_again(house: House) -> None:
    """Who was revoked while the link was open gets no certificate; the refusal is in the audit."""
    identity = house.joined()
    house.revoke("agent", "web-1")
    assert house.code(identity, 1, new_key()) == "revoked"
    assert house.audit()[-1] == ("renewal.refused", "web-1", "web-1", {"code": "revoked", "kind": "agent"})


def test_a_bad_renewal_request_locks_nobody(house: House) -> None:
    """Rubbish instead of a request is refused and is no sign of a clone."""
    identity = house.joined()
    answer = house.write(lambda txn: certificates.renew(txn, AUTHORITIES, identity, Renew(b"rubbish", 7), NOW))
    assert isinstance(answer, Refuse)
    assert answer.code == "bad_request"
    assert house.agent().state == "active"


def test_a_renewal_is_for_the_links_own_name(house: House) -> None:
    """A request that names another machine gets a certificate for the asker."""
    identity = house.joined()
    message = Renew(make_request(new_key(), "operator", "root"), 1)
    answer = house.write(lambda txn: certificates.renew(txn, AUTHORITIES, identity, message, NOW))
    assert isinstance(answer, Renewed)
    assert identity_from_pem(answer.certificate, NOW, "agent").name == "web-1"


def test_a_person_renews_on_each_device(house: House) -> None:
    """Two devices of a person count for themselves; a wrong number is refused without locking the person out."""
    first = house.logged_in()
    second = identity_from_pem(house.join(house.token("alice", "operator"), "alice", new_key()).certificate, NOW)
    renewed = house.renewed(first, 1, new_key())
    assert house.renewed(second, 1, new_key())
    assert house.renewed(renewed, 2, new_key())
    assert house.code(first, 2, new_key()) == "generation"
    assert house.who(first)


# ---- after a restored backup


def lost(
    name: str = "web-1", kind: certificates.JoinKind = "agent", now: float = NOW, labels: dict[str, str] | None = None
) -> Identity:
    """A certificate that this hub issued after the backup was made that its store was restored from."""
    issued = AUTHORITY.issue(make_request(KEY, kind, name), kind=kind, name=name, now=now, labels=labels)
    return identity_from_pem(issued, now)


def restored(**more: Any) -> Recovery:
    return replace(Recovery(NOW + 60, "store", "f", "", 1, 2_000, 2_000), **more)


def taken_over(house: House, identity: Identity, recovery: Recovery) -> str:
    """The code of the refusal; empty where it is trusted from now on."""
    try:
        house.write(lambda txn: certificates.take_over(txn, identity, recovery, NOW + 61))
    except NotTrusted as refused:
        return refused.code
    return ""


def test_a_certificate_of_after_the_backup_is_taken_over(house: House) -> None:
    """Its holder alone knows its number: renewals go on from there, also where an answer was lost; a copy locks."""
    house.joined()
    identity = lost()
    assert taken_over(house, identity, restored()) == ""
    assert house.who(identity, NOW + 61).name == "web-1"
    key = new_key()
    assert house.renewed(identity, 7, key, NOW + 62).name == "web-1"
    assert isinstance(house.renew(identity, 7, key, NOW + 63), Renewed)  # the answer was lost
    assert house.who(identity, NOW + 64).name == "web-1"
    newest = house.renewed(identity, 8, new_key(), NOW + 65)
    assert house.code(newest, 3, new_key(), NOW + 66) == "locked"


def test_the_labels_of_after_the_backup_are_its_certificate_s(house: House) -> None:
    """Of a machine that joined since, and of one that was labelled anew; where it says none, the backup's stay. Once an
    admin has confirmed the recovery it is their word that counts.
    """
    for name in ("web-1", "web-2", "web-3"):
        house.joined(name)
    new = {"role": "db", "site": "fra"}
    assert taken_over(house, lost("db-9", labels=new), restored()) == ""
    assert house.agent("db-9").labels == new
    assert taken_over(house, lost("web-1", labels={}), restored()) == ""
    assert house.agent("web-1").labels == {}
    assert taken_over(house, lost("web-2"), restored()) == ""
    assert house.agent("web-2").labels == {"role": "web"}
    assert taken_over(house, lost("web-3", labels=new), restored(ended_at=NOW + 61)) == ""
    assert house.agent("web-3").labels == {"role": "web"}


def test_a_renewed_certificate_has_the_labels_of_that_moment(house: House) -> None:
    """So they are half a certificate's life old at most."""
    identity = house.joined()
    assert identity.labels == {"role": "web"}
    house.write(lambda txn: txn.save_agent(house.agent(), replace(house.agent(), labels={"role": "db"})))
    assert house.renewed(identity, 1, new_key()).labels == {"role": "db"}
    assert house.logged_in().labels is None


def test_whose_certificate_is_taken_over(house: House) -> None:
    """A machine's in recovery, also of one that joined since; a person's, and no unknown machine's, after it."""
    house.logged_in("alice")
    house.joined("web-3")
    house.write(lambda txn: certificates.revoke(txn, "agent", "web-3", "t", NOW))
    over = restored(ended_at=NOW + 100)
    assert taken_over(house, lost("db-8"), over) == "unknown"
    assert taken_over(house, lost("db-9"), restored()) == ""
    assert taken_over(house, lost("web-3"), restored()) == "revoked"
    assert taken_over(house, lost("alice", "operator"), restored()) == "recovery"
    assert taken_over(house, lost("alice", "operator"), over) == ""
    assert taken_over(house, lost("mallory", "operator"), over) == "revoked"
    assert taken_over(house, lost("db-9", now=NOW + 3_600), over) == "unknown"  # this hub would know it
