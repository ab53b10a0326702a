"""That no language model is set up is told to admins, who can change it, and to each of them once."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from common.catalogue import Sentence
from hub.core.outcome import CannotPlan
from hub.core.records import Request
from hub.engine.unit_of_work import UnitOfWork

EVENT: Final = "hint.models"


def hint_at_models(uow: UnitOfWork, request: Request, outcome: CannotPlan) -> CannotPlan:
    """The refusal of a message that was not understood, with the hint where its sender is an admin who has not had it.
    The audit's row is what remembers that.
    """
    if "admin" not in uow.world.people.roles(request.person):
        return outcome
    if uow.txn.events(limit=1, subject=request.person, kind_prefix=EVENT):
        return outcome
    uow.audit(EVENT, request.person, "hub", {"request": request.id})
    return replace(outcome, sentence=Sentence("model_none", {"said": outcome.sentence}))
