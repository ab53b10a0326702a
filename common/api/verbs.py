"""Every verb that operators may call, each declared once. `VERBS` is closed: what is not in it is no verb."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from common.api import (
    actions,
    drafts,
    inlets,
    key_changes,
    lists,
    models,
    overview,
    passkeys,
    queries,
    rights,
    standing,
    subscriptions,
    wake,
    work,
)
from common.api.agents import AgentView, VitalsView
from common.api.arguments import NoArgs, RequestArgs
from common.api.codec import many, one
from common.api.events import EventView
from common.api.jobs import JobDetails, JobView, OutputMatches
from common.api.requests import RequestDetails, RequestView
from common.api.verb import Verb
from common.api.whoami import LinkCodeResult, WhoAmI
from common.roles import ROLES, Role

# ---- queries

WHOAMI: Final = Verb(
    name="whoami", kind="query", right=rights.WHOAMI, args=NoArgs, result=one(WhoAmI),
    summary="Who calls, what they may, and what this hub has.",
)  # fmt: skip
REQUESTS: Final = Verb(
    name="requests", kind="query", right=rights.JOBS, args=queries.RequestsArgs, result=many(RequestView),
    summary="Requests, newest first, as many as fit one frame.", errors=("filter",),
)  # fmt: skip
REQUEST: Final = Verb(
    name="request", kind="query", right=rights.JOBS, args=RequestArgs, result=one(RequestDetails),
    summary="One request with its jobs and approvals.",
)  # fmt: skip
JOBS: Final = Verb(
    name="jobs", kind="query", right=rights.JOBS, args=queries.JobsArgs, result=many(JobView),
    summary="Jobs, newest first, as many as fit one frame.", errors=("filter",),
)  # fmt: skip
JOB: Final = Verb(
    name="job", kind="query", right=rights.JOBS, args=queries.JobArgs, result=one(JobDetails),
    summary="One job with the next of its output.",
)  # fmt: skip
SEARCH_OUTPUT: Final = Verb(
    name="search_output", kind="query", right=rights.JOBS, args=queries.SearchOutputArgs, result=one(OutputMatches),
    summary="Lines of a job's output that have a text in them.",
)  # fmt: skip
AGENTS: Final = Verb(
    name="agents", kind="query", right=rights.MACHINES, args=queries.AgentsArgs, result=many(AgentView),
    summary="Machines by name, as many as fit one frame.", errors=("filter",),
)  # fmt: skip
VITALS: Final = Verb(
    name="vitals", kind="query", right=rights.MACHINES, args=queries.VitalsArgs, result=one(VitalsView),
    summary="A machine's load, memory and link latency of the last ten minutes.",
)  # fmt: skip
QUEUE: Final = Verb(
    name="queue", kind="query", right=rights.JOBS, args=NoArgs, result=one(overview.QueueView),
    summary="How many jobs wait and for how long, jobs by state, whether the whole queue is paused.",
)  # fmt: skip
AUDIT: Final = Verb(
    name="audit", kind="query", right=rights.AUDIT, args=queries.AuditArgs, result=many(EventView),
    summary="Events of the audit in their order; newest first with a filter.", errors=("filter",),
)  # fmt: skip
TARGETS: Final = Verb(
    name="targets", kind="query", right=rights.MACHINES, args=queries.TargetsArgs, result=one(queries.Targets),
    summary="Which machines a selection means now.",
)  # fmt: skip
COMPLETE: Final = Verb(
    name="complete", kind="query", right=rights.JOBS, args=queries.CompleteArgs, result=one(queries.Completions),
    summary="What may come next in a filter that is being written.",
    right_of=lambda args: rights.VIEW_RIGHTS[args.view],
)  # fmt: skip
DRAFTS: Final = Verb(
    name="drafts", kind="query", right=rights.DRAFTS, args=NoArgs, result=many(drafts.DraftView),
    summary="Drafts of runbooks that wait for an admin, the oldest first.",
)  # fmt: skip
DRAFT: Final = Verb(
    name="draft", kind="query", right=rights.DRAFTS, args=drafts.DraftArgs, result=one(drafts.DraftResult),
    summary="One draft, with the TOML as it would be written.", errors=("unknown",),
)  # fmt: skip
MODELS: Final = Verb(
    name="models", kind="query", right=rights.MACHINES, args=NoArgs, result=one(models.ModelsView),
    summary="The servers of language models, who waits, and the cache of plans.", optional=True,
)  # fmt: skip

INLETS: Final = Verb(
    name="inlets", kind="query", right=rights.STATUS, args=NoArgs, result=many(inlets.InletView),
    summary="The entrances for chats: whether messages come and replies go, and why not.",
)  # fmt: skip
LINK_CODE: Final = Verb(
    name="link_code", kind="action", right=rights.WHOAMI, args=NoArgs, result=one(LinkCodeResult),
    summary="A code by which a chat gets to know the caller; the one before it ends.",
)  # fmt: skip

PASSKEY_LINK: Final = Verb(
    name="passkey_link", kind="action", right=rights.APPROVE, args=passkeys.PasskeyLinkArgs,
    result=one(passkeys.PasskeyLinkResult),
    summary="A page that makes a passkey of the caller's; the one before it ends.", errors=("no_page", "full"),
)  # fmt: skip
PASSKEYS: Final = Verb(
    name="passkeys", kind="query", right=rights.WHOAMI, args=NoArgs, result=many(passkeys.PasskeyView),
    summary="The caller's passkeys, with which they sign on pages of the hub what is critical.",
)  # fmt: skip
PASSKEY_REMOVE: Final = Verb(
    name="passkey_remove", kind="action", right=rights.WHOAMI, args=passkeys.PasskeyRemoveArgs,
    result=one(passkeys.PasskeyRemoveResult),
    summary="The hub's pages ask for it no more; machines that were given it count it still.", errors=("unknown",),
)  # fmt: skip

# ---- asking for work

RUN: Final = work.RUN
RETRY: Final = work.RETRY

# ---- decisions

_DECISIONS = ("no_right", "already_decided", "expired", "plan_changed")
APPROVE: Final = Verb(
    name="approve", kind="action", right=rights.APPROVE, args=actions.ApproveArgs, result=one(actions.ApproveResult),
    summary="One yes to exactly the plan of a request.",
    errors=(*_DECISIONS, "recovery", "bad_code", "code_needed", "not_enrolled", "needs_second_person", "forged",
        "not_allowed", "signature_needed", "bad_signature"),
)  # fmt: skip
ALLOWED: Final = Verb(
    name="allowed", kind="query", right=rights.JOBS, args=NoArgs, result=many(standing.StandingView),
    summary="The approvals that hold for a while; `approve` gives them with `allow_for`.",
)  # fmt: skip
DISALLOW: Final = Verb(
    name="disallow", kind="action", right=rights.JOBS, args=standing.DisallowArgs, result=one(standing.DisallowResult),
    summary="Takes one of them back: by whoever gave it, whom it is for, or somebody with the right `approve`.",
    errors=("no_right", "unknown"),
)  # fmt: skip
REJECT: Final = Verb(
    name="reject", kind="action", right=rights.RUN, args=actions.RejectArgs, result=one(actions.RejectResult),
    summary="A no to a request; its requester takes back their own, for others it takes the right `reject`.",
    errors=_DECISIONS,
)  # fmt: skip
EDIT: Final = Verb(
    name="edit", kind="action", right=rights.EDIT, args=actions.EditArgs, result=one(actions.EditResult),
    summary="Another plan in place of one that waits for approval; a new request asks for it.",
    errors=(*_DECISIONS, "bad_plan", "same_plan", "denied", "forged"),
)  # fmt: skip

# ---- jobs under way or in the queue

CANCEL: Final = Verb(
    name="cancel", kind="action", right=rights.CANCEL, args=actions.CancelArgs, result=one(actions.CancelResult),
    summary="Asks a request, or one job, to stop; that of others takes the right `cancel_others`.",
    errors=("no_right", "too_late", "unknown"),
)  # fmt: skip
TAKE_BACK: Final = Verb(
    name="take_back", kind="action", right=rights.TAKE_BACK, args=RequestArgs, result=one(actions.TakeBackResult),
    summary="Takes back what is held, as if it had never been asked.", errors=("no_right", "too_late"),
)  # fmt: skip
SETTLE: Final = Verb(
    name="settle", kind="action", right=rights.SETTLE, args=actions.SettleArgs, result=one(actions.SettleResult),
    summary="A person's word on a job whose outcome is unknown.", errors=("no_right", "too_late"),
)  # fmt: skip
PRIORITY: Final = Verb(
    name="priority", kind="action", right=rights.PRIORITY, args=actions.PriorityArgs,
    result=one(actions.PriorityResult), summary="Another place in the line for jobs that wait.",
    errors=("no_right", "too_late"),
)  # fmt: skip

# ---- machines and the queue

PAUSE: Final = Verb(
    name="pause", kind="action", right=rights.PAUSE, args=actions.PauseArgs, result=one(actions.PauseResult),
    summary="Hands out nothing new to a machine, to a selection of them, or to any.",
    errors=("no_right", "too_late", "unknown", "selection_changed"),
)  # fmt: skip
RESUME: Final = Verb(
    name="resume", kind="action", right=rights.RESUME, args=actions.ResumeArgs, result=one(actions.ResumeResult),
    summary="Hands out jobs again.", errors=("no_right", "unknown", "selection_changed"),
)  # fmt: skip
DRAIN: Final = Verb(
    name="drain", kind="action", right=rights.DRAIN, args=actions.DrainArgs, result=one(actions.DrainResult),
    summary="Nothing new for a machine; what it has finishes, or is cancelled after a time.",
    errors=("no_right", "unknown"),
)  # fmt: skip
UNDRAIN: Final = Verb(
    name="undrain", kind="action", right=rights.UNDRAIN, args=actions.UndrainArgs, result=one(actions.UndrainResult),
    summary="Ends a drain.", errors=("no_right", "unknown", "too_late"),
)  # fmt: skip

WAKE: Final = Verb(
    name="wake", kind="action", right=rights.WAKE, args=wake.WakeArgs, result=one(wake.WakeResult),
    summary="Has a neighbour of a machine that sleeps send it the magic packet (Wake-on-LAN).",
    errors=("no_right", "unknown", "no_cards", "no_neighbour", "full"),
)  # fmt: skip
WAKING: Final = Verb(
    name="waking", kind="query", right=rights.MACHINES, args=wake.WakingArgs, result=one(wake.WakingView),
    summary="How the last wake of a machine stands.",
)  # fmt: skip

# ---- drafts of runbooks

PROPOSE: Final = Verb(
    name="propose", kind="action", right=rights.PROPOSE, args=drafts.ProposeArgs, result=one(drafts.DraftResult),
    summary="A draft of a runbook, made of what a request did.",
    errors=(
        *("no_right", "unknown", "no_plan", "not_ended", "phrase", "name", "denied", "clash"),
        *("file", "other", "too_long", "full"),
    ),
)  # fmt: skip
ACCEPT_DRAFT: Final = Verb(
    name="accept_draft", kind="action", right=rights.REVIEW, args=drafts.DraftArgs, result=one(drafts.DraftResult),
    summary="Writes a draft into runbooks.toml.",
    errors=("no_right", "unknown", "own_draft", "already_decided", "clash", "file"),
)  # fmt: skip
REJECT_DRAFT: Final = Verb(
    name="reject_draft", kind="action", right=rights.PROPOSE, args=drafts.RejectDraftArgs,
    result=one(drafts.DraftResult),
    summary="Rejects a draft: an admin any, others the one that they proposed.",
    errors=("no_right", "unknown", "already_decided"),
)  # fmt: skip

# ---- whose own signatures machines count

KEY_CHANGES: Final = Verb(
    name="key_changes", kind="query", right=rights.MACHINES, args=key_changes.KeyChangesArgs,
    result=many(key_changes.KeyChangeView),
    summary="Changes of whose own signatures machines count, newest first, and what machines said of them.",
)  # fmt: skip
APPROVER_KEYS: Final = Verb(
    name="approver_keys", kind="query", right=rights.MACHINES, args=key_changes.ApproverKeysArgs,
    result=many(key_changes.MachineKeysView),
    summary="Whose own signatures count on which machine, as it told last; as many as fit one frame.",
)  # fmt: skip
PROPOSE_KEY: Final = Verb(
    name="propose_key", kind="action", right=rights.APPROVE, args=key_changes.ProposeKeyArgs,
    result=one(key_changes.KeyChangeResult), summary="A change of them, with the signature of whoever proposes it.",
    errors=("no_right", "bad_signature", "expired", "full", "already_decided"),
)  # fmt: skip
SIGN_KEY: Final = Verb(
    name="sign_key", kind="action", right=rights.APPROVE, args=key_changes.SignKeyArgs,
    result=one(key_changes.KeyChangeResult), summary="One more signature of such a change.",
    errors=("no_right", "unknown", "bad_signature", "expired", "full"),
)  # fmt: skip
WITHDRAW_KEY: Final = Verb(
    name="withdraw_key", kind="action", right=rights.APPROVE, args=key_changes.WithdrawKeyArgs,
    result=one(key_changes.KeyChangeResult), summary="Hands such a change to no further machine.",
    errors=("no_right", "unknown"),
)  # fmt: skip

# ---- subscriptions

VIEW: Final = Verb(
    name="view", kind="subscription", right=rights.JOBS, args=subscriptions.ViewArgs,
    result=one(subscriptions.Subscribed),
    summary="A window of a list, at most ten pushes a second.", errors=("filter",),
    right_of=lambda args: rights.VIEW_RIGHTS[args.view], pushes=(lists.Snapshot, lists.Delta),
)  # fmt: skip
OVERVIEW: Final = Verb(
    name="overview", kind="subscription", right=rights.JOBS, args=subscriptions.OverviewArgs,
    result=one(subscriptions.Subscribed), pushes=(overview.Overview,),
    summary="Lanes, what needs a person, machines and hub, at most two pushes a second.",
)  # fmt: skip
OUTPUT: Final = Verb(
    name="output", kind="subscription", right=rights.JOBS, args=subscriptions.OutputArgs,
    result=one(subscriptions.OutputSubscribed), pushes=(subscriptions.OutputPush,),
    summary="A job's output as it comes.",
)  # fmt: skip
FOLLOW: Final = work.FOLLOW
WATCH: Final = Verb(
    name="watch", kind="subscription", right=rights.WATCH, args=subscriptions.WatchArgs,
    result=one(subscriptions.WatchSubscribed), pushes=(tuple[EventView, ...],),
    summary="The audit as it grows; the activity for those without the right `audit`, and only from now on.",
    right_of=lambda args: rights.WATCH if args.after is None else rights.AUDIT,
)  # fmt: skip
UNSUBSCRIBE: Final = Verb(
    name="unsubscribe", kind="query", right=rights.WHOAMI, args=subscriptions.UnsubscribeArgs,
    result=one(subscriptions.Unsubscribed), summary="Ends a subscription; does nothing where there is none.",
)  # fmt: skip

_ALL: Final[tuple[Verb[Any, Any], ...]] = (
    *(WHOAMI, REQUESTS, REQUEST, JOBS, JOB, SEARCH_OUTPUT, AGENTS, VITALS, QUEUE, AUDIT, TARGETS, COMPLETE),
    *(MODELS, INLETS),
    LINK_CODE,
    *(RUN, RETRY, APPROVE, REJECT, EDIT, CANCEL, TAKE_BACK, SETTLE, PRIORITY, PAUSE, RESUME, DRAIN, UNDRAIN),
    *(WAKE, WAKING),
    *(ALLOWED, DISALLOW),
    *(KEY_CHANGES, APPROVER_KEYS, PROPOSE_KEY, SIGN_KEY, WITHDRAW_KEY),
    *(PASSKEY_LINK, PASSKEYS, PASSKEY_REMOVE),
    *(DRAFTS, DRAFT, PROPOSE, ACCEPT_DRAFT, REJECT_DRAFT),
    *(VIEW, OVERVIEW, OUTPUT, FOLLOW, WATCH, UNSUBSCRIBE),
)
VERBS: Final[Mapping[str, Verb[Any, Any]]] = {verb.name: verb for verb in _ALL}


def matrix(verbs: Iterable[Verb[Any, Any]] = _ALL) -> dict[str, dict[Role, bool]]:
    """Which role may use which verb."""
    return {verb.name: {role: verb.may((role,)) for role in ROLES} for verb in verbs}
