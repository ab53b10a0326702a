"""The key with which this console's person signs a yes to what is critical: beside the credential, and never sent.

It is another key than the credential's, which is renewed every few days and which the hub's authority certifies: this
one stays, and each machine has it from the person (`answerback-agent approvers add`), so that the hub can vouch for
nobody. What is signed is a hash that is computed here, from the plan that was shown here, and who asked, as it was
shown here: the machine refuses where it is told somebody else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from common.api.actions import OwnSignature
from common.api.plans import PlanView
from common.api.requests import RequestDetails
from common.approval_proof import CONSOLE, PERSON, ApprovalProof, askers
from common.errors import UserError
from common.files import write_file
from common.identity.signing import PERSON_APPROVAL_PURPOSE, BadKey, LockedKey, SigningKey, is_encrypted
from common.plan import BadPlan, Plan, Step, plan_hash
from common.read_file import read_secret
from tui.client.profile import Profile

_SLACK: Final = 3_900.0
"""Seconds beyond the plan's own in which others may still have to approve, and machines to come back."""
_STEP_SLACK: Final = 300.0


def key_path(profile: Profile) -> Path:
    return profile.path / "approval.pem"


class KeyLocked(UserError):
    """The key is under a passphrase, which was not given or is another."""


def approval_key(profile: Profile, passphrase: str = "") -> SigningKey:
    """This profile's, made where there is none yet; raises UserError, KeyLocked where it is under a passphrase."""
    path = key_path(profile)
    if not path.exists():
        write_file(path, SigningKey.generate().to_pem(passphrase.encode()))
    try:
        return SigningKey.from_pem(read_secret(path), passphrase.encode())
    except LockedKey as error:
        raise KeyLocked(f"{path}: {error}", "type the passphrase that the key was given") from None
    except BadKey as error:
        cure = "remove it for a new one, and have the machines know that"
        raise UserError(f"{path}: {error}", cure) from None


class ApprovalSigner:
    """Signs for the console with the profile's key, which it never makes: machines would know no such key."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile

    @property
    def has_key(self) -> bool:
        return key_path(self._profile).exists()

    @property
    def is_locked(self) -> bool:
        """Whether the key takes a passphrase; raises UserError where its file cannot be read."""
        return self.has_key and is_encrypted(read_secret(key_path(self._profile)))

    def sign(
        self, request: RequestDetails, passphrase: str, *, second_factor: bool, now: float
    ) -> tuple[OwnSignature, str]:
        """As `sign_shown`; takes a tenth of a second where there is a passphrase. Raises UserError."""
        if not self.has_key:
            raise UserError("this profile has no key to sign with", "answerback whoami --approval-key makes one")
        key = approval_key(self._profile, passphrase)
        return sign_shown(key, self._profile.name, request, second_factor=second_factor, now=now)


def shown_hash(request: RequestDetails) -> str:
    """The hash of the plan that `request` shows, computed here. Raises UserError where there is none, or where the hub
    says another: then nothing is to be signed.
    """
    if not isinstance(request.plan, PlanView):
        raise UserError(f"r{request.number} has no plan to sign", f"see answerback request r{request.number}")
    digest = plan_hash(shown_plan(request.plan))
    if digest != request.plan_hash:
        raise UserError(
            "the hub shows one plan and asks for another to be signed", "sign nothing, and have it looked at"
        )
    return digest


def shown_plan(view: PlanView) -> Plan:
    """The plan that a view shows in full; raises UserError where it is none."""
    try:
        return Plan(tuple(_steps(view)), ttl=view.ttl)
    except BadPlan as error:
        raise UserError(f"the hub shows a plan that cannot be: {error}", "tell the hub's operator") from None


def _steps(view: PlanView) -> list[Step]:
    return [
        Step(
            argv=step.argv,
            targets=step.targets,
            cwd=step.cwd,
            env=tuple(sorted(step.env.items())),
            time_limit=step.time_limit,
            output_cap=step.output_cap,
            filters=step.filters,
            script=step.script,
        )
        for step in view.steps
    ]


def sign_shown(
    key: SigningKey, person: str, request: RequestDetails, *, second_factor: bool, now: float
) -> tuple[OwnSignature, str]:
    """The signature of the plan that `request` shows, and that plan's hash. Raises UserError where the hub says another
    hash than what it shows has. `now` is this machine's own clock.
    """
    digest = shown_hash(request)
    plan = shown_plan(request.plan)  # type: ignore[arg-type]  # which has one, or it would have no hash
    expires = now + _SLACK + sum(plan.ttl + step.time_limit + _STEP_SLACK for step in plan.steps)
    asked_by = askers(request.person, request.behalf)
    proof = ApprovalProof(person, now, second_factor, expires, CONSOLE, PERSON + key.id, asked_by=asked_by)
    signature = key.sign(PERSON_APPROVAL_PURPOSE, proof.statement(request.id, digest))
    signed = OwnSignature(
        at=now, expires=expires, second_factor=second_factor, public=key.public.hex(), signature=signature.hex()
    )
    return signed, digest
