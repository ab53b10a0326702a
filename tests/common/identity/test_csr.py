"""common.identity.csr: requests that survive a crash, and certificates that are ours."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from common.errors import WorkFailed
from common.identity.certificates import DAY, HOUR, Authority, identity_from_pem, request_key
from common.identity.credential import CredentialFiles, Validity
from common.identity.csr import CredentialKind, check_certificate, create_key_request, prepare_renewal, stage_renewal

NOW = time.time()
CA = Authority.create("h1", NOW)


@pytest.fixture
def ours(tmp_path: Path) -> CredentialFiles:
    """The credential of web-1, of hub h1."""
    made = create_key_request("agent", "web-1")
    certificate = CA.issue(made.request, kind="agent", name="web-1", now=NOW)
    ours = CredentialFiles(tmp_path, "start over")
    ours.install(made.key, certificate, CA.certificate, Validity(1, NOW, NOW + DAY))
    return ours


def answer(ours: CredentialFiles, *, kind: CredentialKind = "agent", lifetime: float | None = None) -> bytes:
    """The hub's certificate for the request that is under way."""
    return CA.issue(ours.next_request.read_bytes(), kind=kind, name="web-1", now=NOW, lifetime=lifetime)


@pytest.mark.parametrize(("kind", "life"), [("agent", 24 * HOUR), ("operator", 7 * DAY)])
def test_a_first_certificate_is_checked_and_measured(kind: CredentialKind, life: float) -> None:
    """Of either kind: generation 1, good from five minutes ago for as long as its kind is."""
    made = create_key_request(kind, "alice")
    certificate = CA.issue(made.request, kind=kind, name="alice", now=NOW)
    validity = check_certificate(certificate, made.key, CA.certificate, kind, "alice", 1, NOW)
    assert validity.generation == 1
    assert validity.not_before == pytest.approx(NOW - 300, abs=2)
    assert validity.not_after == pytest.approx(NOW + life, abs=2)
    assert identity_from_pem(certificate, NOW, kind).not_after == validity.not_after


def test_the_key_is_not_shown() -> None:
    """Not in a log or an error that holds the pair."""
    made = create_key_request("agent", "web-1")
    assert made.key.decode().splitlines()[1] not in repr(made)


@pytest.mark.parametrize("what", ["name", "key", "authority", "garbage"])
def test_what_is_not_ours_is_refused(what: str) -> None:
    """For another name, another key, by another authority, or no certificate at all."""
    made, other = create_key_request("operator", "alice"), create_key_request("operator", "alice")
    sent = {
        "name": lambda: CA.issue(made.request, kind="operator", name="bob", now=NOW),
        "key": lambda: CA.issue(other.request, kind="operator", name="alice", now=NOW),
        "authority": lambda: Authority.create("h1", NOW).issue(made.request, kind="operator", name="alice", now=NOW),
        "garbage": lambda: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    }[what]()
    words = {"name": "another name than alice", "key": "another key", "authority": "another authority", "garbage": ""}
    with pytest.raises(WorkFailed, match=f"the hub sent .*{words[what]}"):
        check_certificate(sent, made.key, CA.certificate, "operator", "alice", 1, NOW)


def test_a_renewal_under_way_keeps_its_key(ours: CredentialFiles) -> None:
    """Asked again, the same key and request are there."""
    prepare_renewal(ours, "agent", "web-1")
    before = (ours.next_key.read_bytes(), ours.next_request.read_bytes())
    prepare_renewal(ours, "agent", "web-1")
    assert (ours.next_key.read_bytes(), ours.next_request.read_bytes()) == before
    assert before[0] != ours.key.read_bytes()


@pytest.mark.parametrize("lost", ["next_key", "next_request"])
def test_key_and_request_made_anew_belong_together(lost: str, ours: CredentialFiles) -> None:
    """After a crash between the two files both are made anew, and a certificate for the request fits the key."""
    prepare_renewal(ours, "agent", "web-1")
    before = request_key(ours.next_request.read_bytes())
    getattr(ours, lost).unlink()
    prepare_renewal(ours, "agent", "web-1")
    assert request_key(ours.next_request.read_bytes()) != before
    validity = stage_renewal(ours, "agent", "web-1", answer(ours), 2, NOW)
    assert validity.generation == 2
    assert validity.not_after - validity.not_before == pytest.approx(DAY + 300, abs=5)


def test_a_renewal_comes_into_use_whole(ours: CredentialFiles) -> None:
    """New key, certificate and generation, and nothing of the renewal is left."""
    before = ours.key.read_bytes()
    prepare_renewal(ours, "agent", "web-1")
    taken = stage_renewal(ours, "agent", "web-1", answer(ours), 2, NOW)
    assert ours.key.read_bytes() == before
    assert ours.activate_renewal()
    assert ours.key.read_bytes() != before
    assert ours.validity() == taken
    assert not list(ours.folder.glob("*.next"))


def test_a_certificate_of_the_past_is_not_taken(ours: CredentialFiles) -> None:
    """One that has expired on arrival is refused by the clock that was passed in."""
    prepare_renewal(ours, "agent", "web-1")
    with pytest.raises(WorkFailed, match="expired"):
        stage_renewal(ours, "agent", "web-1", answer(ours, lifetime=60), 2, NOW + 61)
    assert not ours.next_certificate.exists()


def test_a_certificate_for_an_operator_is_not_taken(ours: CredentialFiles) -> None:
    """The right key and name with another role is not ours."""
    prepare_renewal(ours, "agent", "web-1")
    with pytest.raises(WorkFailed, match="operator"):
        stage_renewal(ours, "agent", "web-1", answer(ours, kind="operator"), 2, NOW)
