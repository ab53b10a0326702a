"""`answerback-hub policy learn`: what was asked of this hub and what people said to it, as evidence; and a proposal put
into policy.toml by an admin's word.
"""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Final

from common.errors import UserError
from common.files import write_file
from common.lifecycle import RequestState
from common.plan import plan_hash
from common.policy.check import Policy
from common.policy.file import load_policy_bytes, parse_policy
from common.policy.merge import split_blocks
from common.policy.source import read_source
from common.read_file import read_bytes
from hub.cli.admin import open_store
from hub.config import HubConfig
from hub.core.approval_proofs import ApprovalProver
from hub.core.learning.learn import learn
from hub.core.learning.proposal import Evidence, Learned, Outcome, PolicyText, Proposal, Terms
from hub.core.records import Request
from hub.core.standing import number_of
from hub.identity.keys import load_keys
from hub.identity.people import PeopleSnapshot, snapshot
from hub.store.transaction import Txn

PAGE: Final = 500
MAX_MACHINES: Final = 20
"""Machines of one step that count: a step may have thousands."""
MAX_EVIDENCE: Final = 200_000
_APPROVED: Final = (RequestState.WORKING, RequestState.DONE)


@dataclass(frozen=True, slots=True)
class History:
    evidence: tuple[Evidence, ...]
    requests: int  # that were looked at
    of_models: int  # of them left out: a model made the plan, or text of nobody's was part of it
    complete: bool  # whether all of what was asked for was looked at


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """policy.toml as it was read for one run of the command."""

    path: Path
    data: bytes
    content: PolicyText

    @property
    def text(self) -> str:
        return self.data.decode("utf-8-sig").replace("\r\n", "\n")


def read_history(
    config: HubConfig, last: int, *, with_models: bool, progress: Callable[[int], None] = lambda done: None
) -> History:
    """What the last requests asked for. `progress` is told how many were read so far. Approvals count that this hub
    signed: a row that somebody else wrote into the store is no evidence.
    """
    prover = ApprovalProver(load_keys(config).job_key)

    def unit(txn: Txn) -> History:
        people = snapshot(config.people, txn.people())
        labels = {agent.name: tuple(sorted(agent.labels.items())) for agent in txn.agents()}
        found: list[Evidence] = []
        before, seen, of_models = None, 0, 0
        while seen < last and (page := txn.requests(limit=min(PAGE, last - seen), before_number=before)):
            seen, before = seen + len(page), page[-1].number
            for request in page:
                if request.plan is None:
                    continue
                if not with_models and (request.plan.tainted or request.plan.proposed):
                    of_models += 1
                    continue
                found += _evidence(request, _outcome(txn, request, prover), people, labels)
            progress(seen)
            if len(found) > MAX_EVIDENCE:
                return History(tuple(found[:MAX_EVIDENCE]), seen, of_models, False)
        return History(tuple(found), seen, of_models, True)

    with open_store(config, 0.0) as store:
        return store.read_now(unit)


def _outcome(txn: Txn, request: Request, prover: ApprovalProver) -> tuple[Outcome, tuple[str, ...]]:
    """What came of a request, and who said yes to it of those who had not asked. A yes that stood for a while is none:
    nobody looked.
    """
    if request.state is RequestState.REFUSED:
        return "refused", ()
    if request.state is RequestState.REJECTED:
        return "rejected", ()
    if request.state not in _APPROVED or not request.approvers or request.plan is None:
        return "other", ()
    if plan_hash(request.plan) != request.plan_hash:
        return "other", ()
    given = txn.approvals(request.id)
    if any(not one.granted for one in given):
        return "rejected", ()
    asking = {request.person, *request.behalf.split()}
    said = {
        one.person
        for one in given
        if one.plan_hash == request.plan_hash and number_of(one) is None and prover.proof_of(one) is not None
    }
    return ("approved", tuple(sorted(said - asking))) if said - asking else ("other", ())


def _evidence(
    request: Request,
    outcome: tuple[Outcome, tuple[str, ...]],
    people: PeopleSnapshot,
    labels: Mapping[str, tuple[tuple[str, str], ...]],
) -> Iterator[Evidence]:
    assert request.plan is not None  # noqa: S101 - the caller's condition
    roles = people.roles(request.person)
    for step in request.plan.steps:
        for agent in step.targets[:MAX_MACHINES]:
            yield Evidence(
                request.id,
                step.argv,
                request.person,
                agent,
                *outcome,
                roles=roles,
                labels=labels.get(agent, ()),
                cwd=step.cwd,
                env=step.env,
            )


# ---- the policy


def read_policy_file(path: Path) -> PolicyFile:
    """Raises UserError where it does not read."""
    data = read_bytes(path, trusted=True)
    policy = load_policy_bytes(data, str(path))
    tables: dict[str, Any] = read_source(data).data
    rules = {str(table["id"]): table for table in tables.get("rule", ()) if "id" in table}
    programs = {table["path"]: name for name, table in tables.get("programs", {}).items()}
    return PolicyFile(path, data, PolicyText(policy, rules, programs))


def propose(file: PolicyFile, history: History, terms: Terms) -> Learned:
    """What can be proposed for this file. Raises UserError for a rule in `terms` that is not there."""
    for rule in sorted(terms.reads):
        if rule not in file.content.rules:
            raise UserError(f"--reads {rule[:64]}: there is no such rule", "name a rule of policy.toml by its id")
    shared = {key: value for key, value in read_source(file.data).data.items() if key in ("types", "programs")}

    def with_rule(proposal: Proposal) -> Policy:
        """Without reading the whole file again, which `apply` does."""
        rules = tomllib.loads(proposal.to_toml())["rule"]
        (rule,) = parse_policy({"default": "deny", **shared, "rule": rules}, str(file.path)).rules
        policy = file.content.policy
        for name in rule.program.names:
            if any(other.program.path != rule.program.path for other in policy.by_name.get(name, ())):
                raise UserError(f"{name} is the name of another program", "write the rule with names of its own")
        at = next((n for n, one in enumerate(policy.rules) if one.id == proposal.before), len(policy.rules))
        return replace(policy, rules=(*policy.rules[:at], rule, *policy.rules[at:]))

    return learn(file.content, history.evidence, terms, read_only_policy(), with_rule)


def read_only_policy() -> Policy:
    """The machines' profile: what only reads."""
    data = resources.files("common").joinpath("defaults", "agent-read-only.toml").read_bytes()
    return load_policy_bytes(data, "agent-read-only.toml")


def with_proposal(text: str, proposal: Proposal) -> str:
    """The file with the rule in it, where it decides: before the one that it narrows, else at the end."""
    blocks = split_blocks(text)
    parts = [block.text for block in blocks]
    at = next((index for index, one in enumerate(blocks) if one.name == f"rule {proposal.before}"), None)
    if proposal.before and at is None:
        raise UserError(
            f"the table of rule {proposal.before} is not found", "give it its id on the line below [[rule]]"
        )
    if at is None:
        return f"{text.rstrip()}\n\n{proposal.to_toml()}"
    return "".join([*parts[:at], f"{proposal.to_toml()}\n", *parts[at:]])


def file_diff(file: PolicyFile, text: str) -> list[str]:
    """A unified diff of the file."""
    lines = file.text.splitlines(), text.splitlines()
    return list(difflib.unified_diff(*lines, f"{file.path.name} (now)", f"{file.path.name} (learned)", lineterm=""))


def apply(config: HubConfig, file: PolicyFile, proposal: Proposal, now: float) -> Path:
    """Writes the file with the rule, whole or not at all, with its audit row; the file from before is kept at the path
    returned. Raises UserError where the file is not as it was read.
    """
    made = with_proposal(file.text, proposal).encode()
    load_policy_bytes(made, str(file.path))
    place = file.path.resolve()
    old, mode = place.with_name(f"{place.name}.before"), place.stat().st_mode & 0o777
    data = {
        "verdict": proposal.verdict,
        "requests": proposal.requests,
        "approvers": list(proposal.approvers[:20]),
        "policy": hashlib.sha256(made).hexdigest(),
    }

    def unit(txn: Txn) -> None:
        txn.audit("policy.learned", proposal.id, "terminal", data, now)
        if read_bytes(file.path, trusted=True) != file.data:
            raise UserError(f"{file.path} was changed meanwhile", "nothing was written; look at the proposals again")
        write_file(old, file.data, mode)
        write_file(place, made, mode)

    with open_store(config, now) as store:
        store.write_now(unit)
    return old
