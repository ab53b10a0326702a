"""What the pages of the webhook's port show: why the hub is not ready, and the gauges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from common.values import format_age
from hub.chat.inlet_status import InletStatus
from hub.chat.outbound import OutboundState
from hub.cleanup import OverBudget
from hub.links.server import LinkServer
from hub.maintenance import TimerHealth
from hub.metrics import Gauges
from hub.planning.watched_files import FILE_NAMES, FileProblem
from hub.store.base import CURES
from hub.store.broken import BrokenValues
from hub.store.store import Store
from hub.store.transaction import Txn
from hub.witness.service import PlaceState


def readiness_problems(links: LinkServer, health: TimerHealth, storage: str = "", trouble: str = "") -> list[str]:
    """Why the hub should get no traffic now; empty where it should. `storage` is
    what is wrong with the store's disk, `trouble` why nothing can be written to it.
    """
    away = [] if links.listening else ["machines cannot dial in: the hub is starting or stopping"]
    told = [f"storage: {storage}"] if storage else [trouble] if trouble else []
    return [*away, *told, *health.problems()]


def file_warnings(problems: Iterable[FileProblem], waiting: Sequence[str] = ()) -> list[str]:
    """Files that are not in force as they stand: the hub goes on, and somebody has to look. `/readyz` shows this to
    whoever asks, so it tells nothing of what is in them.
    """
    found = [problem.summary for problem in problems]
    if waiting:
        found.append(f"hub.toml was read again; counts from the next start: {', '.join(waiting)}")
    return found


def store_warnings(broken: BrokenValues) -> list[str]:
    """Sealed values that do not open, and people and invitations of somebody else: the hub goes on without them."""
    places = broken.places()
    if not places:
        return []
    count = f"more than {len(places)}" if broken.more else str(len(places))
    found = [f"store: {count} values were changed outside the hub and do not count; see the audit and docs/at-rest.md"]
    forged = [place for place in places if place.partition("|")[0] in CURES and place.count("|") == 1]
    found += [f"store: {place.replace('|', ' ')}: {CURES[place.partition('|')[0]]}"[:300] for place in forged[:3]]
    return found


def budget_warnings(over: OverBudget | None) -> list[str]:
    """The store is over its budget: it goes on growing."""
    if over is None:
        return []
    sizes = over.sizes()
    told = f"the store fills {sizes['used']} of {sizes['budget']}"
    return [f"disk budget: {told}; lower [store] retention, or raise [store] budget"]


def inlet_warnings(inlets: Iterable[InletStatus]) -> list[str]:
    """Inlets that get no messages, whose replies do not arrive, or that are quiet, and why."""
    found = []
    for one in inlets:
        if one.problem:
            found.append(f"inlet {one.name}: {one.problem}")
        if one.reply_problem:
            found.append(f"inlet {one.name}: replies do not arrive: {one.reply_problem}")
        if one.quiet:
            found.append(f"inlet {one.name}: nothing was delivered for longer than {format_age(one.quiet_after)}")
    return found


def witness_warnings(states: Iterable[PlaceState], now: float) -> list[str]:
    """Witnesses of the audit that get nothing for long, and why nothing is signed."""
    return [f"audit {one.name}: {one.problem}"[:300] for one in states if one.needs_person(now)]


async def read_gauges(
    store: Store,
    links: LinkServer,
    problems: Iterable[FileProblem],
    now: float,
    *,
    recovering: bool = False,
    inlets: Sequence[OutboundState] = (),
    quiet: Mapping[str, bool] | None = None,
    recording: Mapping[str, int] | None = None,
    witnesses: Sequence[PlaceState] = (),
) -> Gauges:
    def unit(txn: Txn) -> tuple[dict[str, int], float, int]:
        counts = {state.value: count for state, count in txn.job_counts().items()}
        oldest = txn.queue_stats().oldest
        return counts, 0.0 if oldest is None else max(0.0, now - oldest), txn.count_pending_replies()

    jobs, age, outbox = await store.read(unit)
    agents, consoles = links.count_links()
    refused = {problem.name for problem in problems}
    return Gauges(
        jobs=jobs,
        agents=agents,
        consoles=consoles,
        queue_age=age,
        outbox=outbox,
        files_refused={name: name in refused for name in FILE_NAMES},
        store_commits=store.commits,
        store_units=store.units,
        inlets_up={state.inlet: state.connected_at > 0 for state in inlets},
        inlets_heard={state.inlet: state.heard_at for state in inlets},
        inlets_quiet=quiet or {},
        inlets_recording=recording or {},
        recovering=recovering,
        witnesses={state.name: (state.at, bool(state.problem)) for state in witnesses},
    )
