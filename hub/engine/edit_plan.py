"""Editing a plan that waits for approval: the old request is rejected as edited, a new one asks for the new plan.

The new request is its editor's: policy decides on the editor's rights, since the editor wrote what would run. It is
made on behalf of whoever asked, in the same conversation, so the reply reaches the asker. It is never on easier terms
than the one it replaces, and neither the editor nor anyone it is made on behalf of is "another person" to approve it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ulid import ULID

from common.catalogue import Sentence
from common.lifecycle import RequestState
from common.plan import BadPlan, Plan, plan_hash, plan_to_json
from hub.core import request as requests_of_hub
from hub.core.action_checks import check_edit
from hub.core.authorization import may
from hub.core.inventory import NoTarget, resolve
from hub.core.judgement import Judgement, at_least_as_strict, judge
from hub.core.plan_edit import contributors, edited_plan, inserted_by_rules, plan_text, without_env
from hub.core.records import Request
from hub.engine.actor import ActionResult, Actor
from hub.engine.snapshot import WorldSnapshot
from hub.engine.unit_of_work import UnitOfWork

MAX_EDIT_TARGETS: Final = 10_000
MAX_APPROVERS_SHOWN: Final = 20


class PlanEditor:
    """`decide_within` gives the seconds that people have for the new plan."""

    def __init__(self, decide_within: Callable[[], float]) -> None:
        self._decide_within = decide_within

    def edit(
        self,
        uow: UnitOfWork,
        actor: Actor,
        request: Request,
        *,
        base_hash: str,
        steps: Sequence[Mapping[str, Any]],
        why: str,
        dry_run: bool,
    ) -> ActionResult:
        """A dry run answers with policy's judgement and who would have to approve the new plan, and changes nothing."""
        if (refused := check_edit(request, base_hash, uow.now)) is not None:
            return ActionResult.refused(refused)
        if not uow.is_authentic(request):
            return ActionResult(Sentence("row_forged", {"what": f"r{request.number}"}), "forged")
        assert request.plan is not None  # noqa: S101 - it is asking, so it was judged
        try:
            judgement = _judge_edit(uow.world, actor, request, request.plan, steps, uow.now)
        except BadPlan as error:
            return ActionResult(Sentence("edit_bad_plan", {"problem": str(error)}), "bad_plan")
        except NoTarget as error:
            return ActionResult(Sentence("edit_bad_plan", {"problem": error.sentence}), "bad_plan")
        digest = plan_hash(judgement.plan)
        if digest == request.plan_hash:
            return ActionResult(Sentence("edit_same", {"number": request.number}), "same_plan")
        terms = at_least_as_strict(judgement, request)
        if dry_run:
            return _dry_run_result(uow.world, request, actor, terms, digest)
        if terms.kind == "deny":
            return ActionResult(Sentence("edit_denied", {"reason": terms.reason}), "denied", {"rule": terms.rule})
        return self._replace(uow, actor, request, terms, digest, why)

    def _replace(
        self, uow: UnitOfWork, actor: Actor, old: Request, terms: Judgement, digest: str, why: str
    ) -> ActionResult:
        txn, now = uow.txn, uow.now
        new = txn.add_request(
            Request(
                id=str(ULID()),
                number=0,
                state=RequestState.RECEIVED,
                inlet=old.inlet,
                event_id=f"{requests_of_hub.message_id(old)}~{ULID()}",
                conversation=old.conversation,
                chat_user=old.chat_user,
                person=actor.person,
                text=old.text,
                language=old.language,
                reply_url=old.reply_url,
                thread=old.thread,
                received_at=now,
                parent=old.id,
                behalf=" ".join(sorted(contributors(old))),
                hold=old.hold,
            )
        )
        assert new is not None  # noqa: S101 - its event id is made here
        data = {
            "of": old.id,
            "was": old.number,
            "number": new.number,
            "behalf": new.behalf,
            "base_hash": old.plan_hash,
            "plan_hash": digest,
            "why": why,
            "before": plan_text(old.plan),
            "after": plan_text(terms.plan),
            "from": actor.remote,
        }
        uow.audit("request.edited", new.id, actor.person, data)
        uow.apply_transition(old, requests_of_hub.edited(old, actor.person, new.number, why, now), actor.person)
        move = requests_of_hub.planned(new, terms, now, self._decide_within())
        uow.apply_transition(new, move, actor.person, terms.reason.render(new.language))
        more = {"number": new.number, "id": new.id, "plan_hash": digest, "approvers": terms.approvers}
        return ActionResult(Sentence("edited_now", {"was": old.number, "number": new.number}), "", more, new.id)


def _judge_edit(
    world: WorldSnapshot, actor: Actor, request: Request, old: Plan, steps: Sequence[Mapping[str, Any]], now: float
) -> Judgement:
    """Policy's judgement of the edited plan, by the editor's rights. Raises BadPlan and NoTarget."""
    inserted = inserted_by_rules(old, world.checker(request.person, old.tainted, now))
    inventory = world.machines.inventory
    plan = edited_plan(old, steps, lambda selector: resolve(selector, inventory, MAX_EDIT_TARGETS))
    plan = without_env(plan, inserted)
    return judge(plan, world.checker(actor.person, plan.tainted, now))


def _dry_run_result(
    world: WorldSnapshot, request: Request, actor: Actor, terms: Judgement, digest: str
) -> ActionResult:
    assert request.plan is not None  # noqa: S101 - as above
    more = {
        "verdict": terms.kind,
        "rule": terms.rule,
        "reason": str(terms.reason),
        "approvers": terms.approvers,
        "second_factor": terms.second_factor,
        "own_approval": terms.own_approval,
        "who": _possible_approvers(world, request, actor, terms),
        "old": plan_to_json(request.plan),
        "new": plan_to_json(terms.plan),
        "base_hash": request.plan_hash,
        "plan_hash": digest,
    }
    key = "edit_would_be_denied" if terms.kind == "deny" else "edit_would_ask"
    values = {"reason": terms.reason, "count": terms.approvers}
    return ActionResult(Sentence(key, values), "", more)


def _possible_approvers(world: WorldSnapshot, request: Request, actor: Actor, terms: Judgement) -> list[str]:
    """Who could say yes to it: those with the right, without those it is made by and on behalf of."""
    asking = set() if terms.own_approval else {actor.person, *contributors(request)}
    names = (name for name in world.people.names() if name not in asking)
    return [name for name in names if may(world.people.roles(name), "approve")][:MAX_APPROVERS_SHOWN]
