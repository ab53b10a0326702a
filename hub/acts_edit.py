"""Editing a plan that waits for approval: the old request is rejected as edited, a new one asks for the new plan.

The new request is its editor's: policy decides on the editor's rights, since the editor wrote what would run. It is
made on behalf of whoever asked, in the same conversation, so the asker hears of it. It is never on easier terms than
the one it replaces, and neither the editor nor anyone it is made on behalf of is "another person" to approve it.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from ulid import ULID

from common.catalogue import Sentence
from common.lifecycle import RequestState
from common.plan import DEFAULT_TIME_LIMIT, MAX_STEPS, BadPlan, Plan, Step, plan_hash, plan_to_json
from common.policy import Verdict
from hub import request as requests_of_hub
from hub.acts import By, Done
from hub.authority import may
from hub.change import Change
from hub.fleet import Fleet
from hub.machines import NoTarget, resolve
from hub.people import People
from hub.records import Request
from hub.request import Judgement

MAX_EDIT_TARGETS: Final = 10_000
MAX_WHO: Final = 20
MAX_WORDS: Final = 4_000
"""Characters of each plan in the audit row of an edit."""

Checker = Callable[[Step, str], Verdict]


class Edits:
    def __init__(
        self,
        people: People,
        fleet: Fleet,
        checker: Callable[[str, bool], Checker],
        decide_within: float,
    ) -> None:
        self._people = people
        self._fleet = fleet
        self._checker = checker
        self._decide_within = decide_within

    def edit(
        self,
        change: Change,
        by: By,
        request: Request,
        *,
        base_hash: str,
        steps: Sequence[Mapping[str, Any]],
        why: str,
        dry_run: bool,
    ) -> Done:
        """A dry run tells what policy says to the new plan and who would have to approve it, and changes nothing."""
        if (no := self._not_editable(change, request, base_hash)) is not None:
            return no
        assert request.plan is not None  # noqa: S101 - it is asking, so it was judged
        try:
            inserted = inserted_by_rules(request.plan, self._checker(request.person, request.plan.tainted))
            plan = without_env(edited_plan(request.plan, steps, self._targets), inserted)
            judgement = requests_of_hub.judge(plan, self._checker(by.person, plan.tainted))
        except BadPlan as error:
            return Done(Sentence("edit_bad_plan", {"problem": str(error)}), "bad_plan")
        except NoTarget as error:
            return Done(Sentence("edit_bad_plan", {"problem": error.sentence}), "bad_plan")
        digest = plan_hash(judgement.plan)
        if digest == request.plan_hash:
            return Done(Sentence("edit_same", {"number": request.number}), "same_plan")
        terms = requests_of_hub.no_easier(judgement, request)
        if dry_run:
            return self._told(request, by, terms, digest)
        if terms.kind == "deny":
            return Done(Sentence("edit_denied", {"reason": terms.reason}), "denied", {"rule": terms.rule})
        return self._replace(change, by, request, terms, digest, why)

    def _not_editable(self, change: Change, request: Request, base_hash: str) -> Done | None:
        values = {"number": request.number, "state": request.state.value, "hash": request.plan_hash[:8]}
        if request.state is not RequestState.ASKING:
            return Done(Sentence("not_asking", values), "not_asking")
        if request.decide_by is not None and change.now >= request.decide_by:
            return Done(Sentence("approve_late", values), "late")
        if base_hash != request.plan_hash:
            plan = plan_to_json(request.plan) if request.plan is not None else None
            return Done(
                Sentence("plan_changed", values), "plan_changed", {"plan": plan, "plan_hash": request.plan_hash}
            )
        return None

    def _told(self, request: Request, by: By, terms: Judgement, digest: str) -> Done:
        assert request.plan is not None  # noqa: S101 - as above
        more = {
            "verdict": terms.kind,
            "rule": terms.rule,
            "reason": str(terms.reason),
            "approvers": terms.approvers,
            "second_factor": terms.second_factor,
            "own_approval": terms.own_approval,
            "who": self._who(request, by, terms),
            "old": plan_to_json(request.plan),
            "new": plan_to_json(terms.plan),
            "base_hash": request.plan_hash,
            "plan_hash": digest,
        }
        key = "edit_would_be_denied" if terms.kind == "deny" else "edit_would_ask"
        values = {"reason": terms.reason, "count": terms.approvers}
        return Done(Sentence(key, values), "", more)

    def _who(self, request: Request, by: By, terms: Judgement) -> list[str]:
        """Who could say yes to it: those with the right, without those it is made by and on behalf of."""
        asking = set() if terms.own_approval else {by.person, *askers_after_edit(request)}
        names = (name for name in self._people.names() if name not in asking)
        return [name for name in names if may(self._people.roles(name), "approve")][:MAX_WHO]

    def _replace(self, change: Change, by: By, old: Request, terms: Judgement, digest: str, why: str) -> Done:
        txn, now = change.txn, change.now
        new = txn.add_request(
            Request(
                id=str(ULID()),
                number=0,
                state=RequestState.RECEIVED,
                inlet=old.inlet,
                event_id=f"{requests_of_hub.message_id(old)}~{ULID()}",
                conversation=old.conversation,
                chat_user=old.chat_user,
                person=by.person,
                text=old.text,
                language=old.language,
                reply_url=old.reply_url,
                received_at=now,
                parent=old.id,
                behalf=" ".join(sorted(askers_after_edit(old))),
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
            "before": plan_words(old.plan),
            "after": plan_words(terms.plan),
            "from": by.remote,
        }
        txn.audit("request.edited", new.id, by.person, data, now)
        change.request(old, requests_of_hub.edited(old, by.person, new.number, why, now), by.person)
        move = requests_of_hub.planned(new, terms, now, self._decide_within)
        change.request(new, move, by.person, terms.reason.say(new.language))
        more = {"number": new.number, "id": new.id, "plan_hash": digest, "approvers": terms.approvers}
        return Done(Sentence("edited_now", {"was": old.number, "number": new.number}), "", more, new.id)

    def _targets(self, said: str) -> tuple[str, ...]:
        return resolve(said, self._fleet.inventory, MAX_EDIT_TARGETS)


def plan_words(plan: Plan | None) -> str:
    """A plan for the audit, a fact a line, so that two of them can be compared by people; cut where it is very long."""
    lines: list[str] = []
    for step in plan.steps if plan is not None else ():
        lines += [f"run: {shlex.join(step.argv)}", f"on: {' '.join(step.targets)}"]
        lines += [f"in: {step.cwd}"] if step.cwd else []
        lines += [f"env: {name}={value}" for name, value in step.env]
        lines.append(f"limit: {step.time_limit}s")
    text = "\n".join(lines)
    return text if len(text) <= MAX_WORDS else text[: MAX_WORDS - 1] + "…"


def askers_after_edit(request: Request) -> set[str]:
    """Everybody who had a hand in the request: who asked, who edited it before, whose it is."""
    return {request.person, *request.behalf.split()}


Pairs = frozenset[tuple[str, str]]


def inserted_by_rules(plan: Plan, check: Checker) -> list[Pairs]:
    """Of each step, the environment that a rule gave it when the plan was judged: nobody wrote it."""
    found = []
    for step in plan.steps:
        verdict = check(replace(step, env=()), step.targets[0])
        found.append(frozenset(verdict.env) if verdict.kind != "deny" else frozenset())
    return found


def without_env(plan: Plan, inserted: Sequence[Pairs]) -> Plan:
    """The plan without what rules had put into the environment of the step at each place, so that it is judged afresh:
    what runs now may be another rule's, which knows nothing of it; the same rule gives it again.
    """
    steps = [
        replace(step, env=tuple(pair for pair in step.env if pair not in inserted[min(index, len(inserted) - 1)]))
        for index, step in enumerate(plan.steps)
    ]
    return replace(plan, steps=tuple(steps))


def edited_plan(plan: Plan, steps: Sequence[Mapping[str, Any]], targets: Callable[[str], tuple[str, ...]]) -> Plan:
    """The plan with other steps. What a step does not say is as in the step at its place, or, for one more, as in the
    last. `targets` resolves a selection; a list of names is taken as it is. Raises BadPlan, and what `targets` raises.
    """
    if not 1 <= len(steps) <= MAX_STEPS:
        raise BadPlan(f"steps: {len(steps)} is not within 1 to {MAX_STEPS}")
    made = []
    for index, said in enumerate(steps):
        old = plan.steps[min(index, len(plan.steps) - 1)]
        made.append(_edited_step(old, said, targets, extra=index >= len(plan.steps)))
    return Plan(tuple(made), source="operator", ttl=plan.ttl, tainted=plan.tainted)


_KEYS: Final = frozenset({"argv", "targets", "time_limit", "cwd", "env", "output_cap"})


def _edited_step(old: Step, said: Mapping[str, Any], targets: Callable[[str], tuple[str, ...]], *, extra: bool) -> Step:
    if not isinstance(said, Mapping) or not _KEYS.issuperset(said):
        raise BadPlan(f"steps: each has some of {', '.join(sorted(_KEYS))}")
    argv = said.get("argv", None if extra else list(old.argv))
    if not isinstance(argv, list | tuple) or not all(isinstance(word, str) for word in argv):
        raise BadPlan("argv: a list of words is expected")
    where = said.get("targets", list(old.targets))
    if isinstance(where, str):
        names = targets(where)
    elif isinstance(where, list | tuple) and all(isinstance(name, str) for name in where):
        names = tuple(sorted(set(where)))
        for name in names:
            targets(name)  # a machine that there is
    else:
        raise BadPlan("targets: a selection, or a list of names, is expected")
    env = said.get("env", {} if extra else dict(old.env))
    if not isinstance(env, Mapping) or not all(isinstance(part, str) for pair in env.items() for part in pair):
        raise BadPlan("env: a map of texts is expected")
    return replace(
        old,
        argv=tuple(argv),
        targets=names,
        cwd=_of_type(said, "cwd", "" if extra else old.cwd, str),
        env=tuple(sorted(env.items())),
        time_limit=_of_type(said, "time_limit", DEFAULT_TIME_LIMIT if extra else old.time_limit, int),
        output_cap=_of_type(said, "output_cap", old.output_cap, int),
    )


def _of_type(said: Mapping[str, Any], key: str, default: Any, kind: type) -> Any:
    value = said.get(key, default)
    if type(value) is not kind:
        raise BadPlan(f"{key}: a {'text' if kind is str else 'whole number'} is expected")
    return value
