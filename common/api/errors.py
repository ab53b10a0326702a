"""The words with which the hub says no, for programs. Each verb names those that it has (`common.api.verbs`).

A call that is none, or that may not be, is answered with an error; an act that was not done is a result whose `code`
says why not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CALL_CODES: Final[Mapping[str, str]] = {
    "usage": "the call is none: an argument is off, or what it names is not there",
    "filter": "the filter does not read; the reason begins with the position",
    "refused": "the caller has not the right",
    "busy": "too many calls at once; wait for answers",
    "login_ended": "the caller's login has ended meanwhile; nothing of the call was begun",
    "too_large": "the answer does not fit one frame; ask for less at a time",
    "hub": "the hub failed; its log says why",
}
"""Errors that any call may be answered with."""

OUTCOME_CODES: Final[Mapping[str, str]] = {
    "ok": "done",
    "no_right": "the caller has not the right",
    "unknown": "there is no such request, job, machine or draft",
    "too_late": "it has ended, or is not what the act is for any more",
    "selection_changed": "the selection means another number of machines now: `count`",
    "denied": "policy does not allow it: `rule`",
    "queue_full": "too much waits already",
    "no_plan": "the request has no plan",
    "forged": "a row of it was not written by this hub",
    "not_allowed": "it may not be allowed for a while, or not for so long",
    "not_ended": "it has not ended, or not well",
    "bad_code": "the code is not the one of now: `left` tries",
    "code_needed": "a code of the second factor is needed",
    "signature_needed": "the rule is critical: the caller has to sign the plan with a key of their own",
    "bad_signature": "what is signed is not this plan, or not by that key",
    "no_page": "the hub has no pages that could have passkeys: public_url in hub.toml",
    "not_enrolled": "the caller has no second factor",
    "needs_second_person": "another person has to approve: the request is the caller's own",
    "already_decided": "somebody was first: `by`, `state`",
    "expired": "the time to decide is over",
    "plan_changed": "the plan is another one now: `plan_hash`",
    "recovery": "the hub was restored from a backup, and an admin has to run `answerback-hub recover` first",
    "not_asking": "it does not wait for approval",
    "bad_plan": "the new plan is none",
    "same_plan": "the new plan is the old one",
    "own_draft": "another admin has to accept it: it is the caller's own",
    "clash": "it does not fit with the other runbooks",
    "file": "runbooks.toml cannot be read or written",
    "phrase": "the way to ask for it has to be said, or cannot be learnt from",
    "name": "there is a runbook of that name",
    "other": "the phrase would mean another plan",
    "full": "too many wait already",
    "no_cards": "the machine's network cards are not known",
    "no_neighbour": "no machine on one of its networks is online",
    "too_long": "it is too long for this",
}
"""What an act may come to."""
