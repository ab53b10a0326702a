"""The verbs that operators call over their link: each asks `authorize()`, checks its arguments, and is one store unit
or one read. They lie in rooms; this file has the list and puts the rooms together.

desk_look     whoami                                    person, roles, hub, versions, what I may
              requests  states?, limit?, before? | filter, sort?, lo?     newest first
              request   number | id                     one, with its jobs and approvals
              jobs      states?, agent?, person?, limit?, before? | filter, sort?, lo?
              job       id, after?                      one, with the next of its output
              search_output  job, text                  lines of its output
              agents    after?                          machines by name, vitals, queue
              queue                                     depth, oldest, by state, paused
              audit     after?, limit?, subject?, kind? | filter, sort?, lo?    newest first with a filter
desk_pick     targets   selector                        which machines a selection means
              complete  view, text, cursor?             what may come next in a filter
desk_ask      run       target, argv, timeout?, cwd?, expect?, hold?     a new request with exactly this command
              retry     job | request                   the same command again, as a new request with a parent
desk_acts     approve   number | id, code?, plan_hash?, reason?, nonce?
              reject    number | id, why?, plan_hash?
              edit      number | id, base_hash, steps, why?, dry_run?
              cancel    number | id | job, kill?
              take_back number | id                     what is held
              settle    job, done
              priority  jobs, priority, dry_run?
desk_drafts   drafts                                    of runbooks: those that wait
              draft, accept_draft                       number
              reject_draft                              number, why?
              propose   number, name, say?              a runbook made of what a request did
desk_control  pause     agent? | selector?, reason?, until?, expect?     "" is the whole queue
              resume    agent? | selector?, expect?
              drain     agent, cancel_after?
              undrain   agent
desk_models   models                                    servers of language models; only where the hub has some
desk_live     view, overview, output, follow, watch, unsubscribe         subscriptions

All take `language`. Acts answer {"code", "text", …} and do not fail where the answer is no; looks fail with a code. A
list holds at most what one frame takes; whoever wants more asks again for what comes behind the last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from common.version import VERSION
from hub.acts import Acts
from hub.acts_drafts import Drafts
from hub.acts_edit import Edits
from hub.authority import may
from hub.change import Effects
from hub.consoles import Desk, Verb
from hub.desk_acts import ActRoom
from hub.desk_args import Office
from hub.desk_ask import AskRoom
from hub.desk_control import ControlRoom
from hub.desk_drafts import DraftRoom
from hub.desk_live import LiveRoom
from hub.desk_look import LookRoom
from hub.desk_models import ModelRoom
from hub.desk_pick import PickRoom
from hub.engine import Engine
from hub.fleet import Fleet
from hub.overview import Overview
from hub.people import People
from hub.planner.build import Models
from hub.store.engine import Store
from hub.watching import Watching

DECIDE_WITHIN: Final = 1_800.0


class Verbs:
    """Builds the table of `Desk`. `run` keeps what consoles follow up to date, `after` hears every commit."""

    def __init__(
        self,
        *,
        store: Store,
        engine: Engine,
        acts: Acts,
        drafts: Drafts,
        fleet: Fleet,
        people: People,
        hub_id: str,
        clock: Callable[[], float],
        decide_within: float = DECIDE_WITHIN,
        choices: Callable[[str], Iterable[str]] = lambda field: (),
        models: Models | None = None,
    ) -> None:
        """`choices` gives what the hub's files know for a field of the filter language: inlets, runbooks. Without
        `models` there is no verb of that name.
        """
        self._people = people
        self._fleet = fleet
        office = Office(store, engine, acts, fleet, people, hub_id, clock)
        hub = {"id": hub_id, "version": VERSION, "epoch": engine.epoch}
        self.watching = Watching(store, fleet, clock)
        self.overview = Overview(store=store, fleet=fleet, hub=hub, planning=engine.planning, clock=clock)
        look, pick = LookRoom(office, lambda: self.table), PickRoom(office, choices)
        ask, act = AskRoom(office), ActRoom(office, Edits(people, fleet, engine.checker, decide_within))
        draft = DraftRoom(office, drafts)
        control, live = ControlRoom(office), LiveRoom(office, self.watching, self.overview)
        self.table: dict[str, Verb] = {
            "whoami": look.whoami,
            "requests": look.requests,
            "request": look.request,
            "jobs": look.jobs,
            "job": look.job,
            "search_output": look.search_output,
            "agents": look.agents,
            "queue": look.queue,
            "audit": look.audit,
            "targets": pick.targets,
            "complete": pick.complete,
            "run": ask.run,
            "retry": ask.retry,
            "approve": act.approve,
            "reject": act.reject,
            "edit": act.edit,
            "cancel": act.cancel,
            "take_back": act.take_back,
            "settle": act.settle,
            "priority": act.priority,
            "drafts": draft.drafts,
            "draft": draft.draft,
            "propose": draft.propose,
            "accept_draft": draft.accept_draft,
            "reject_draft": draft.reject_draft,
            "pause": control.pause,
            "resume": control.resume,
            "drain": control.drain,
            "undrain": control.undrain,
            "view": live.view,
            "overview": live.overview,
            "output": live.output,
            "follow": live.follow,
            "watch": live.watch,
            "unsubscribe": live.unsubscribe,
        }
        if models is not None:
            self.table["models"] = ModelRoom(office, models).models

    def fill(self, desk: Desk) -> None:
        desk.verbs.update(self.table)

    def after(self, effects: Effects) -> None:
        self.overview.after(effects)
        if effects.changed or effects.wake or effects.stages:
            self.watching.store_changed()

    def fleet_changed(self, name: str) -> None:
        self.watching.fleet_changed()
        self.overview.stir()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.watching.run(), name="lists")
            tasks.create_task(self.overview.run(), name="overview")

    def may(self, person: str, verb: str) -> bool:
        return may(self._people.roles(person), verb)
