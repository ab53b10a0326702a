"""Windows on the demo world's lists, as the hub gives them: filter, order, a snapshot, then what has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from common.api.agents import AgentView
from common.api.events import EventView, in_activity
from common.api.jobs import JobView
from common.api.lists import Delta, ListPush, Row, Snapshot
from common.api.plans import PlanRow, PlanView, StepRow
from common.api.requests import RequestDetails, RequestRow
from common.api.subscriptions import ViewArgs
from common.catalogue import Language
from common.filter.match import RowPredicate, compile_filter
from common.filter.parser import BadFilter, Filter, parse, resolve_me
from common.filter.paths import getter
from tui.client.errors import CallRefused, InvalidCall
from tui.demo.cast import DEMO_USER
from tui.demo.past import HistoricJob
from tui.demo.records import Store
from tui.demo.world import DemoWorld

DEFAULT_WINDOW: Final = 100
MAX_WINDOW: Final = 500
ORDER_INTERVAL: Final = 0.5
"""Seconds after which the order of the rows is found anew."""
MAX_CHANGES: Final = 5_000
_STORES: Final[Mapping[str, Store]] = {
    "jobs": "jobs",
    "requests": "requests",
    "agents": "agents",
    "audit": "events",
    "activity": "events",
}
_SORTS: Final = {"age": "queued_at", "load": "vitals.load1"}
Record = JobView | RequestDetails | AgentView | EventView | HistoricJob
"""What the lists are made of; `row_of` gives its row."""


def row_of(record: Record) -> Row:
    """The row of a list. A request's plan is whole in it: the demo world's are short."""
    if isinstance(record, HistoricJob):
        return record.view()
    return request_row(record) if isinstance(record, RequestDetails) else record


def request_row(request: RequestDetails) -> RequestRow:
    return RequestRow(
        id=request.id,
        number=request.number,
        state=request.state,
        person=request.person,
        inlet=request.inlet,
        conversation=request.conversation,
        text=request.text,
        plan=plan_row(request.plan) if request.plan is not None else None,
        plan_hash=request.plan_hash,
        rule=request.rule,
        reason=request.reason,
        approvers=request.approvers,
        second_factor=request.second_factor,
        own_approval=request.own_approval,
        decide_by=request.decide_by,
        received_at=request.received_at,
        planned_at=request.planned_at,
        decided_at=request.decided_at,
        ended_at=request.ended_at,
        parent=request.parent,
        behalf=request.behalf,
        hold=request.hold,
        given=request.given,
        machines=request.machine_count,
    )


def plan_row(plan: PlanView) -> PlanRow:
    steps = tuple(
        StepRow(
            argv=step.argv,
            targets=step.targets,
            target_count=len(step.targets),
            cwd=step.cwd,
            time_limit=step.time_limit,
        )
        for step in plan.steps
    )
    return PlanRow(
        steps=steps,
        step_count=len(steps),
        source=plan.source,
        ttl=plan.ttl,
        tainted=plan.tainted,
        explanation=plan.explanation,
    )


class LabelledJob:
    """A job that has its machine's labels besides, for filters alone."""

    __slots__ = ("_job", "labels")

    def __init__(self, job: JobView, labels: Mapping[str, str]) -> None:
        self._job, self.labels = job, labels

    def __getattr__(self, name: str) -> Any:
        return getattr(self._job, name)


@dataclass(frozen=True, slots=True)
class Listing:
    """The rows that fit a filter, in order; `all` is how many there are without it."""

    records: Sequence[Record]
    all: int


class ViewSubscription:
    """One subscription to a view. `listener` is for the world's `listeners`."""

    def __init__(self, world: DemoWorld, past: Sequence[HistoricJob], args: ViewArgs, language: Language) -> None:
        if args.view not in _STORES:
            raise InvalidCall(f"there is no view {args.view[:40]!r}")
        self._world, self._past, self._name, self._store = world, past, args.view, _STORES[args.view]
        self._fits = self._compile(args.filter, language)
        self._sort = args.sort
        wanted = DEFAULT_WINDOW if args.n is None else args.n
        self._lo, self._n = max(0, args.lo), max(1, min(wanted, MAX_WINDOW))
        self._past_found: list[HistoricJob] | None = None  # found once: they change no more
        self._seq = 0
        self._sent_ids: list[str] = []
        self._totals = (0, 0)  # that fit, that there are
        self._ordered_at = 0.0
        self._changed: set[str] = set()
        self._many = False
        self.listener: Callable[[Store, str], None] = self._on_change

    def _compile(self, text: str, language: Language) -> RowPredicate:
        try:
            found: Filter = parse(self._name, text)
        except BadFilter as error:
            raise CallRefused("filter", f"{error.position}: {error.sentence.render(language)}") from None
        return compile_filter(resolve_me(found, DEMO_USER))

    def _on_change(self, store: Store, identity: str) -> None:
        if store == self._store:
            if len(self._changed) < MAX_CHANGES:
                self._changed.add(identity)
            else:
                self._many = True

    # ---- lists

    def _records(self) -> Iterable[Record]:
        world = self._world
        match self._name:
            case "activity":
                return (event for event in world.events if in_activity(event.kind))
            case "audit":
                return world.events
            case "jobs":
                return world.jobs.values()
            case "requests":
                return world.requests.values()
            case _:
                return world.agents.values()

    def _record(self, identity: str) -> Record | None:
        world = self._world
        match self._store:
            case "events":
                first = world.events[0].seq if world.events else 0
                index = int(identity) - first
                return world.events[index] if 0 <= index < len(world.events) else None
            case "jobs":
                return world.jobs.get(identity)
            case "requests":
                return world.requests.get(identity)
            case _:
                return world.agents.get(identity)

    def _with_labels(self, record: Record) -> Any:
        """The record as filters read it: a job with its machine's labels."""
        return LabelledJob(record, self._world.agents[record.agent].labels) if isinstance(record, JobView) else record

    def _listing(self) -> Listing:
        now, fits = self._world.now, self._fits
        records = list(self._records())
        found: list[Record] = [record for record in records if fits(self._with_labels(record), now)]
        count = len(records)
        if self._name == "jobs" and self._past:
            if self._past_found is None:
                self._past_found = [job for job in self._past if fits(job, now)]
            count += len(self._past)
        if self._sort:
            return Listing(self._in_order([*found, *(self._past_found or ())]), count)
        if self._name != "agents":
            found.reverse()
        return Listing([*found, *(self._past_found or ())], count)

    def _in_order(self, records: Sequence[Record]) -> list[Record]:
        """By the column that was asked for; those that have no value are last both ways."""
        name = self._sort.lstrip("-")
        name = _SORTS.get(name, name)
        down = self._sort.startswith("-") != (name == "queued_at")  # an age grows as its moment goes back
        value: Callable[[Record], Any] = getter(name)
        present = [record for record in records if value(record) is not None]
        present.sort(key=value, reverse=down)
        return present + [record for record in records if value(record) is None]

    def _window(self) -> Sequence[Record]:
        """The records that the window shows now."""
        listing = self._listing()
        self._totals, self._ordered_at = (len(listing.records), listing.all), self._world.now
        self._changed.clear()
        self._many = False
        return listing.records[self._lo : self._lo + self._n]

    # ---- pushes

    def snapshot(self) -> Snapshot[Any]:
        shown = self._window()
        self._sent_ids = [record.id for record in shown]
        self._seq = 1
        total, count = self._totals
        return Snapshot(seq=1, total=total, all=count, lo=self._lo, rows=tuple(map(row_of, shown)))

    def delta(self) -> ListPush | None:
        """What has changed since the last push; None where nothing has."""
        if not self._changed and not self._many:
            return None
        known = set(self._sent_ids)
        if self._world.now - self._ordered_at >= ORDER_INTERVAL:
            changed, many = set(self._changed), self._many
            shown = self._window()
            ids = [record.id for record in shown]
            changed = set(ids) if many else changed
            fresh = [record for record in shown if record.id not in known]
            present = set(ids)
            gone = tuple(identity for identity in self._sent_ids if identity not in present)
            order = tuple(ids) if ids != self._sent_ids else None
            self._sent_ids, known = ids, present
        else:
            changed = self._changed & known
            self._changed -= changed
            if changed:
                self._changed.add("")  # their order is still to be found
            fresh, gone, order = [], (), None
        told = {record.id for record in fresh}
        again = [found for identity in (changed & known) - told if (found := self._record(identity)) is not None]
        self._seq += 1
        total, count = self._totals
        rows = tuple(map(row_of, [*fresh, *again]))
        return Delta(seq=self._seq, total=total, all=count, lo=self._lo, upsert=rows, gone=gone, order=order)
