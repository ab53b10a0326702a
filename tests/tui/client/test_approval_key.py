"""tui.client.approval_key: what a person signs is what was shown, by a key that stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from common.api.plans import PlanView
from common.api.requests import RequestDetails
from common.approval_proof import CONSOLE, PERSON, ApprovalProof
from common.errors import UserError
from common.identity.signing import PERSON_APPROVAL_PURPOSE, SigningKey, key_id, verify
from common.plan import Plan, Step, plan_hash
from common.script import ScriptWord
from tui.client.approval_key import ApprovalSigner, KeyLocked, approval_key, key_path, shown_plan, sign_shown
from tui.client.profile import Profile

PLAN = Plan(
    (
        Step(
            ("/usr/bin/touch", "a b"),
            ("web-1", "web-2"),
            cwd="/srv",
            env=(("LANG", "C"),),
            filters=(("head", "-n", "5"),),
        ),
        Step(("/usr/bin/uptime",), ("web-1",), time_limit=7, output_cap=9),
        Step(("/usr/bin/python3", "-I", "backup.py"), ("web-1",), script=ScriptWord(2, "ab" * 32)),
    ),
    ttl=77,
)
ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
DETAILS = RequestDetails(
    id=ID,
    number=42,
    state="asking",
    person="carol",
    text="x",
    plan=PlanView.of(PLAN),
    plan_hash=plan_hash(PLAN),
    behalf=("dan", "carol"),
    second_factor=False,
    received_at=1.0,
)


def test_the_key_is_made_once_and_stays(tmp_path: Path) -> None:
    """Private to its owner; a spoilt one is told, never replaced in silence."""
    profile = Profile(tmp_path, "bob", "wss://h:1", "h1")
    key = approval_key(profile)
    assert approval_key(profile).public == key.public
    assert key_path(profile).stat().st_mode & 0o777 == 0o600
    key_path(profile).write_text("nonsense")
    with pytest.raises(UserError, match="have the machines know that"):
        approval_key(profile)
    assert key_path(profile).read_text() == "nonsense"


def test_what_is_signed_is_the_plan_that_was_shown() -> None:
    """Trust: the hash is computed here. A hub that shows one plan and names the hash of another gets no signature."""
    assert plan_hash(shown_plan(PlanView.of(PLAN))) == plan_hash(PLAN)
    key = SigningKey.generate()
    signed, digest = sign_shown(key, "bob", DETAILS, second_factor=True, now=100.0)
    assert digest == plan_hash(PLAN)
    proof = ApprovalProof("bob", signed.at, True, signed.expires, CONSOLE, PERSON + key.id, asked_by=("carol", "dan"))
    public, signature = bytes.fromhex(signed.public), bytes.fromhex(signed.signature)
    assert (public, key_id(public)) == (key.public, key.id)
    assert verify(public, proof.statement(ID, digest), signature, PERSON_APPROVAL_PURPOSE)
    assert signed.expires > 100.0 + PLAN.ttl
    assert not verify(
        public, replace(proof, asked_by=("dan",)).statement(ID, digest), signature, PERSON_APPROVAL_PURPOSE
    )
    other = Plan((Step(("/usr/bin/rm", "-r", "/srv"), ("web-1",)),))
    for forged in (
        replace(DETAILS, plan_hash=plan_hash(other)),
        replace(DETAILS, plan=PlanView.of(other)),
        replace(DETAILS, plan=replace(PlanView.of(PLAN), ttl=78)),
    ):
        with pytest.raises(UserError, match="shows one plan and asks for another"):
            sign_shown(key, "bob", forged, second_factor=False, now=100.0)
    with pytest.raises(UserError, match="has no plan to sign"):
        sign_shown(key, "bob", replace(DETAILS, plan=None), second_factor=False, now=100.0)
    cannot = replace(PlanView.of(PLAN), steps=())
    with pytest.raises(UserError, match="a plan that cannot be"):
        sign_shown(key, "bob", replace(DETAILS, plan=cannot), second_factor=False, now=100.0)


def test_a_key_under_a_passphrase(tmp_path: Path) -> None:
    """Made under one, it opens with that alone; the console's signer knows, and makes no key by itself."""
    profile = Profile(tmp_path, "bob", "wss://h:1", "h1")
    signer = ApprovalSigner(profile)
    assert (signer.has_key, signer.is_locked) == (False, False)
    with pytest.raises(UserError, match="whoami --approval-key makes one"):
        signer.sign(DETAILS, "", second_factor=False, now=100.0)
    assert not key_path(profile).exists()
    key = approval_key(profile, "open sesame")
    assert (signer.has_key, signer.is_locked) == (True, True)
    assert approval_key(profile, "open sesame").public == key.public
    for wrong, told in (("", "it is under a passphrase"), ("open", "the passphrase is another")):
        with pytest.raises(KeyLocked, match=told):
            approval_key(profile, wrong)
    signed, digest = signer.sign(DETAILS, "open sesame", second_factor=False, now=100.0)
    assert (signed.public, digest) == (key.public.hex(), plan_hash(PLAN))
