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
from common.identity.signing import PERSON_APPROVAL_PURPOSE, BadKey, SigningKey
from common.plan import BadPlan, Plan, Step, plan_hash
from common.read_file import read_secret
from tui.client.profile import Profile

_SLACK: Final = 3_900.0
"""Seconds beyond the plan's own in which others may still have to approve, and machines to come back."""
_STEP_SLACK: Final = 300.0


def key_path(profile: Profile) -> Path:
    return profile.path / "approval.pem"


def approval_key(profile: Profile) -> SigningKey:
    """This profile's, made where there is none yet; raises UserError."""
    path = key_path(profile)
    if not path.exists():
        write_file(path, SigningKey.generate().to_pem())
    try:
        return SigningKey.from_pem(read_secret(path))
    except BadKey as error:
        cure = "remove it for a new one, and have the machines know that"
        raise UserError(f"{path}: {error}", cure) from None


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
    if not isinstance(request.plan, PlanView):
        raise UserError(f"r{request.number} has no plan to sign", f"see answerback request r{request.number}")
    plan = shown_plan(request.plan)
    digest = plan_hash(plan)
    if digest != request.plan_hash:
        raise UserError(
            "the hub shows one plan and asks for another to be signed", "sign nothing, and have it looked at"
        )
    expires = now + _SLACK + sum(plan.ttl + step.time_limit + _STEP_SLACK for step in plan.steps)
    asked_by = askers(request.person, request.behalf)
    proof = ApprovalProof(person, now, second_factor, expires, CONSOLE, PERSON + key.id, asked_by=asked_by)
    signature = key.sign(PERSON_APPROVAL_PURPOSE, proof.statement(request.id, digest))
    signed = OwnSignature(
        at=now, expires=expires, second_factor=second_factor, public=key.public.hex(), signature=signature.hex()
    )
    return signed, digest
