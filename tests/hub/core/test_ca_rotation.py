"""Trust: A7. The phases of a rotation, and who would be shut out by the end of one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hub.core.ca_rotation import BACK, FORWARD, PHASES, TOO_OLD, behind, holders, issuing, serving
from hub.core.records import Agent, IssuedCertificate, Person

NOW = 1_800_000_000.0
DAY = 86_400.0
GRACES = {"agent": 10 * DAY, "operator": 5 * DAY}
AGENT = Agent("web-1", {}, "active", NOW, last_seen=NOW - 5)
ALICE = Person("alice", ("admin",), NOW)
OLD = IssuedCertificate("f1", "agent", "web-1", 1, NOW, NOW + DAY, key_hash="k1", issuer="old", trusts="both")
NEW = IssuedCertificate("f2", "agent", "web-1", 2, NOW + 1, NOW + DAY, key_hash="k2", issuer="new", trusts="both")


def whys(*rows: IssuedCertificate, phase: str = "update_servers", target: str = "new") -> list[tuple[str, str]]:
    everybody = holders([AGENT], [ALICE], rows, NOW, GRACES)
    return [(one.holder.name, one.why) for one in behind(everybody, phase, target, "both")]  # type: ignore[arg-type]


def test_the_phases_lead_there_and_back() -> None:
    """Four steps forward end where they began; from each phase between the way back is two."""
    phase = PHASES[0]
    for _ in range(4):
        phase = FORWARD[phase]
    assert phase == "standby"
    assert {FORWARD.get(phase) for phase in PHASES} | {"rollback"} == {*PHASES, None}
    for between in ("init", "update_clients", "update_servers"):
        assert BACK[BACK[between]] == "standby"  # type: ignore[index]
    assert "standby" not in BACK
    assert "rollback" not in FORWARD


def test_nothing_is_of_the_new_ca_before_its_phase() -> None:
    """The hub's own certificate comes last and goes back first."""
    assert [phase for phase in PHASES if issuing(phase) == "next"] == ["update_clients", "update_servers"]
    assert [phase for phase in PHASES if serving(phase) == "next"] == ["update_servers"]


def test_who_has_come_with_the_new_certificate_is_through() -> None:
    assert whys(replace(OLD, successor="f2"), NEW) == []


def test_a_certificate_that_nobody_has_come_with_proves_nothing() -> None:
    """Its answer may have been lost: the machine then still has the one before."""
    assert whys(replace(OLD, successor="f2"), replace(NEW, trusts="")) == [("web-1", "not_renewed")]


@pytest.mark.parametrize(
    ("trusts", "why"), [("", "not_linked"), (TOO_OLD, "too_old"), ("old", "not_told"), ("both", "not_renewed")]
)
def test_why_somebody_is_not_through(trusts: str, why: str) -> None:
    assert whys(replace(OLD, trusts=trusts)) == [("web-1", why)]


def test_too_old_counts_whatever_it_holds() -> None:
    """It would not take the hub's certificate after the last step."""
    assert whys(replace(NEW, trusts=TOO_OLD)) == [("web-1", "too_old")]


def test_on_the_way_back_the_certificate_alone_counts() -> None:
    assert whys(replace(OLD, trusts=""), phase="rollback", target="old") == []
    assert whys(replace(OLD, trusts=TOO_OLD), phase="rollback", target="old") == []
    assert whys(NEW, phase="rollback", target="old") == [("web-1", "not_renewed")]
    again = replace(OLD, fingerprint="f3", generation=3, trusts="")
    assert whys(replace(NEW, successor="f3"), again, phase="rollback", target="old") == [("web-1", "not_renewed")]
    used = replace(again, trusts="both")
    assert whys(replace(NEW, successor="f3"), used, phase="rollback", target="old") == []


@pytest.mark.parametrize(
    "row",
    [
        replace(OLD, revoked_at=NOW),
        replace(OLD, not_after=NOW - 10 * DAY),
        replace(OLD, name="gone"),
        replace(OLD, kind="operator", name="alice", retires_at=NOW),
        replace(OLD, kind="operator", name="nobody"),
    ],
)
def test_who_cannot_come_anyway_is_not_waited_for(row: IssuedCertificate) -> None:
    """Revoked, beyond the grace, unknown: they have to join whatever the hub does."""
    assert whys(row) == []
    assert whys(replace(OLD, not_after=NOW - 9 * DAY)) == [("web-1", "not_renewed")]


def test_each_login_of_a_person_counts_until_it_was_renewed() -> None:
    """Two machines of one person are two logins; a request that was asked twice is one."""
    home = replace(OLD, kind="operator", name="alice", fingerprint="h1", key_hash="h")
    work = replace(home, fingerprint="w1", key_hash="w")
    assert whys(home, work) == [("alice", "not_renewed")] * 2
    renewed = replace(home, fingerprint="h2", key_hash="h'", generation=2, issuer="new")
    assert whys(replace(home, successor="h2"), renewed, work) == [("alice", "not_renewed")]
    lost = replace(renewed, fingerprint="h3", issued_at=NOW + 2, trusts="both")
    assert whys(replace(home, successor="h3"), replace(renewed, trusts=""), lost) == []


def test_a_machine_that_is_locked_or_revoked_is_not_waited_for() -> None:
    for state in ("locked", "revoked"):
        assert holders([replace(AGENT, state=state)], [], [OLD], NOW, GRACES) == []
