"""The table of the API: every verb of `common.api.verbs` with its handler, and what keeps subscriptions current."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from common.api import verbs
from common.api.overview import HubView
from common.api.verb import A, R, Verb
from common.version import VERSION
from hub.api.context import ApiContext
from hub.api.decisions import DecisionHandlers
from hub.api.dispatch import Endpoint, Handler
from hub.api.drafts import DraftHandlers
from hub.api.inlets import InletHandlers, ReadInlets
from hub.api.key_changes import KeyChangeHandlers
from hub.api.live_lists import LiveLists
from hub.api.models import ModelHandlers
from hub.api.notifications import Notifications
from hub.api.overview import OverviewReader
from hub.api.passkeys import PasskeyHandlers
from hub.api.pause_drain import PauseDrainHandlers
from hub.api.queries import QueryHandlers
from hub.api.run import RunHandlers
from hub.api.selectors import SelectorHandlers
from hub.api.standing import StandingHandlers
from hub.api.subscriptions import SubscriptionHandlers
from hub.api.wake import WakeHandlers
from hub.api.whoami import WhoAmIHandlers
from hub.cleanup import OverBudget
from hub.engine.edit_plan import PlanEditor
from hub.engine.effects import Effects
from hub.engine.engine import Engine
from hub.engine.request_actions import RequestActions
from hub.engine.runbook_drafts import DraftActions
from hub.identity.agents import AgentRegistry
from hub.identity.people import PeopleDirectory
from hub.links.console import VerbTable
from hub.planning.llm.build import LiveModels
from hub.planning.watched_files import FileProblem
from hub.storage import StorageState
from hub.store.store import Store
from hub.witness.service import PlaceState

DECIDE_WITHIN: Final = 1_800.0


class OperatorApi:
    """Builds the table of `VerbTable`. `run` reads lists and overview for those who follow them."""

    def __init__(
        self,
        *,
        store: Store,
        engine: Engine,
        actions: RequestActions,
        drafts: DraftActions,
        fleet: AgentRegistry,
        people: PeopleDirectory,
        hub_id: str,
        clock: Callable[[], float],
        decide_within: float = DECIDE_WITHIN,
        choices: Callable[[str], Iterable[str]] = lambda field: (),
        files: Callable[[], Sequence[FileProblem]] = lambda: (),
        models: LiveModels | None = None,
        inlets: ReadInlets = lambda waiting: (),
        witnesses: Callable[[], Sequence[PlaceState]] = lambda: (),
        hub_ahead: Callable[[], float] = lambda: 0.0,
        over_budget: Callable[[], OverBudget | None] = lambda: None,
        storage: StorageState | None = None,
    ) -> None:
        """`choices` gives the values of a field of the filter language that come from the hub's files: inlets,
        runbooks. `files` are those that are not in force as they stand. `hub_ahead` is how far the hub's time is ahead
        of its wall clock. Without `models` there is no verb of that name.
        """
        self._people = people
        self.decide_within = decide_within
        context = ApiContext(store, engine, actions, fleet, people, hub_id, clock)
        hub = HubView(id=hub_id, version=VERSION, epoch=engine.epoch)
        self.live_lists = LiveLists(store, fleet, clock)
        self.overview = OverviewReader(
            store=store,
            fleet=fleet,
            hub=hub,
            count_planning=engine.count_planning,
            files=files,
            clock=clock,
            recovery=engine.recovery_state,
            inlets=inlets,
            witnesses=witnesses,
            hub_ahead=hub_ahead,
            over_budget=over_budget,
            epoch=lambda: engine.epoch,
            storage=storage,
        )
        self._notifications = Notifications(self.live_lists, self.overview)
        self.table: dict[str, Endpoint[Any, Any]] = {}
        self._add_queries(context, choices, storage)
        self._add(verbs.INLETS, InletHandlers(context, inlets).inlets)
        self._add_actions(context, PlanEditor(lambda: self.decide_within), drafts)
        self._add_subscriptions(SubscriptionHandlers(context, self.live_lists, self.overview, self._notifications))
        self._known: dict[str, Verb[Any, Any]] = {verb.name: verb for verb in (verbs.WHOAMI, verbs.LINK_CODE)}
        if models is not None:
            self.use_models(models)
        self._known |= {name: entry.verb for name, entry in self.table.items()}
        who = WhoAmIHandlers(context, self._known)
        self._add(verbs.WHOAMI, who.whoami)
        self._add(verbs.LINK_CODE, who.link_code)

    def use_models(self, models: LiveModels) -> None:
        """From the first models on there is the verb that shows them."""
        if models.current is not None and verbs.MODELS.name not in self.table:
            self._add(verbs.MODELS, ModelHandlers(models).models)
            self._known[verbs.MODELS.name] = verbs.MODELS

    def _add(self, verb: Verb[A, R], handler: Handler[A, R]) -> None:
        assert verb.name not in self.table, verb.name  # noqa: S101 - a verb has one handler
        self.table[verb.name] = Endpoint(verb, handler, self._people)

    def _add_queries(
        self, context: ApiContext, choices: Callable[[str], Iterable[str]], storage: StorageState | None
    ) -> None:
        queries, selectors = QueryHandlers(context, storage), SelectorHandlers(context, choices)
        self._add(verbs.REQUESTS, queries.requests)
        self._add(verbs.REQUEST, queries.request)
        self._add(verbs.JOBS, queries.jobs)
        self._add(verbs.JOB, queries.job)
        self._add(verbs.SEARCH_OUTPUT, queries.search_output)
        self._add(verbs.AGENTS, queries.agents)
        self._add(verbs.VITALS, queries.vitals)
        self._add(verbs.QUEUE, queries.queue)
        self._add(verbs.AUDIT, queries.audit)
        self._add(verbs.TARGETS, selectors.targets)
        self._add(verbs.COMPLETE, selectors.complete)

    def _add_actions(self, context: ApiContext, editor: PlanEditor, draft_actions: DraftActions) -> None:
        run, decisions = RunHandlers(context), DecisionHandlers(context, editor)
        machines, drafts = PauseDrainHandlers(context), DraftHandlers(draft_actions)
        self._add(verbs.RUN, run.run)
        self._add(verbs.RETRY, run.retry)
        self._add(verbs.APPROVE, decisions.approve)
        standing = StandingHandlers(context)
        self._add(verbs.ALLOWED, standing.allowed)
        self._add(verbs.DISALLOW, standing.disallow)
        keys = KeyChangeHandlers(context)
        self._add(verbs.KEY_CHANGES, keys.key_changes)
        self._add(verbs.APPROVER_KEYS, keys.approver_keys)
        self._add(verbs.PROPOSE_KEY, keys.propose)
        self._add(verbs.SIGN_KEY, keys.sign)
        self._add(verbs.WITHDRAW_KEY, keys.withdraw)
        passkeys = PasskeyHandlers(context)
        self._add(verbs.PASSKEY_LINK, passkeys.link)
        self._add(verbs.PASSKEYS, passkeys.list)
        self._add(verbs.PASSKEY_REMOVE, passkeys.remove)
        self._add(verbs.REJECT, decisions.reject)
        self._add(verbs.EDIT, decisions.edit)
        self._add(verbs.CANCEL, decisions.cancel)
        self._add(verbs.TAKE_BACK, decisions.take_back)
        self._add(verbs.SETTLE, decisions.settle)
        self._add(verbs.PRIORITY, decisions.priority)
        self._add(verbs.PAUSE, machines.pause)
        self._add(verbs.RESUME, machines.resume)
        self._add(verbs.DRAIN, machines.drain)
        self._add(verbs.UNDRAIN, machines.undrain)
        wake = WakeHandlers(context)
        self._add(verbs.WAKE, wake.wake)
        self._add(verbs.WAKING, wake.waking)
        self._add(verbs.DRAFTS, drafts.drafts)
        self._add(verbs.DRAFT, drafts.draft)
        self._add(verbs.PROPOSE, drafts.propose)
        self._add(verbs.ACCEPT_DRAFT, drafts.accept_draft)
        self._add(verbs.REJECT_DRAFT, drafts.reject_draft)

    def _add_subscriptions(self, subscriptions: SubscriptionHandlers) -> None:
        self._add(verbs.VIEW, subscriptions.view)
        self._add(verbs.OVERVIEW, subscriptions.overview)
        self._add(verbs.OUTPUT, subscriptions.output)
        self._add(verbs.FOLLOW, subscriptions.follow)
        self._add(verbs.WATCH, subscriptions.watch)
        self._add(verbs.UNSUBSCRIBE, subscriptions.unsubscribe)

    def register(self, verb_table: VerbTable) -> None:
        verb_table.verbs.update(self.table)

    def on_commit(self, effects: Effects) -> None:
        """Notifies every subscription that a commit concerns."""
        self._notifications.on_commit(effects)

    def on_agent_changed(self, name: str) -> None:
        self._notifications.on_agent_changed()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.live_lists.run(), name="lists")
            tasks.create_task(self.overview.run(), name="overview")
