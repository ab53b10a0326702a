"""The operators' API on the demo world: which verbs it has and what answers each.

Arguments are checked as a hub checks them. A verb that is not offered, arguments that are off, or something that is
not there raise InvalidCall; an action that cannot be done answers with a code, as at a hub.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from common.api import verbs
from common.api.constraints import BadValue
from common.api.verb import A, R, Verb
from tui.client.errors import InvalidCall
from tui.demo.decisions import Decisions
from tui.demo.interventions import Interventions
from tui.demo.past import HistoricJob
from tui.demo.queries import Finder, Queries
from tui.demo.work import Work
from tui.demo.world import DemoWorld


class DemoApi:
    """`offered` has the verbs by name; `call` answers one."""

    def __init__(self, world: DemoWorld, past: Sequence[HistoricJob], seed: int = 7) -> None:
        self.world = world
        self.past = past
        self.offered: dict[str, Verb[Any, Any]] = {}
        self._handlers: dict[str, Callable[[Any], Any]] = {}
        find = Finder(world, past)
        self.decisions = Decisions(world, find)
        self._offer_queries(Queries(world, find, seed))
        self._offer_decisions(self.decisions)
        self._offer_work(Work(world, find))
        self._offer_interventions(Interventions(world, find))

    def _offer(self, verb: Verb[A, R], handler: Callable[[A], R]) -> None:
        self.offered[verb.name] = verb
        self._handlers[verb.name] = handler

    def _offer_queries(self, queries: Queries) -> None:
        self._offer(verbs.REQUEST, queries.request)
        self._offer(verbs.JOB, queries.job)
        self._offer(verbs.JOBS, queries.jobs)
        self._offer(verbs.AUDIT, queries.audit)
        self._offer(verbs.VITALS, queries.vitals)
        self._offer(verbs.TARGETS, queries.targets)
        self._offer(verbs.MODELS, queries.models)
        self._offer(verbs.INLETS, queries.inlets)

    def _offer_decisions(self, decisions: Decisions) -> None:
        self._offer(verbs.APPROVE, decisions.approve)
        self._offer(verbs.REJECT, decisions.reject)
        self._offer(verbs.EDIT, decisions.edit)

    def _offer_work(self, work: Work) -> None:
        self._offer(verbs.RUN, work.run)
        self._offer(verbs.RETRY, work.retry)
        self._offer(verbs.TAKE_BACK, work.take_back)

    def _offer_interventions(self, interventions: Interventions) -> None:
        self._offer(verbs.CANCEL, interventions.cancel)
        self._offer(verbs.SETTLE, interventions.settle)
        self._offer(verbs.PRIORITY, interventions.priority)
        self._offer(verbs.PAUSE, interventions.pause)
        self._offer(verbs.RESUME, interventions.resume)
        self._offer(verbs.DRAIN, interventions.drain)
        self._offer(verbs.UNDRAIN, interventions.undrain)
        self._offer(verbs.WAKE, interventions.wake)
        self._offer(verbs.WAKING, interventions.waking)

    def call(self, verb: Verb[A, R], args: A) -> R:
        handler: Callable[[A], R] | None = self._handlers.get(verb.name)
        if handler is None:
            raise InvalidCall(f"the hub has no verb {verb.name[:40]!r}")
        return handler(check_args(verb, args))


def check_args(verb: Verb[A, R], args: A) -> A:
    """The arguments as a hub reads them; raises InvalidCall that says which is off."""
    try:
        plain: Mapping[str, Any] = verb.encode_args(args)
        return verb.decode_args(plain)
    except BadValue as error:
        raise InvalidCall(str(error)) from None
