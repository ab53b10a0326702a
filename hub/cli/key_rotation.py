"""What `answerback-hub keys` does: the ring's keys and their use, a rotation, and an old key's end.

A rotation goes on where it was interrupted: each step leaves the store readable with the ring as it is in its place.

    1  a new key is put in front of the ring, where the ring is a file; else a person has done so
    2  the store is told the new first key; a serving hub reads the ring again within two seconds
    3  once a serving hub has it, what the ring wraps is wrapped again, a hundred values a transaction, beside the load
    4  everything is opened once with the new key alone

The old key stays in the ring, and opens, until it is retired; that is refused while anything needs it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from common.errors import UserError, WorkFailed
from common.files import write_file
from common.identity.sealing import MAX_KEYS, BadKeyRing, Sealer
from hub.cli.admin import open_store
from hub.config import HubConfig
from hub.identity.key_ring import read_ring, source_of
from hub.store.sealing_keys import LOADED, SealingKey, WrapProblem
from hub.store.store import Store

BATCH: Final = 100
TAKE_UP_SECONDS: Final = 15.0
"""How long a serving hub is waited for: it looks every two seconds."""
_POLL: Final = 0.25
Sleep = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key, by its id alone, and what it wraps."""

    key: SealingKey
    in_ring: bool
    wraps: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        key = self.key
        times = {"added_at": key.added_at, "used_at": key.used_at, "retired_at": key.retired_at}
        return {"id": key.id, "state": key.state, "in_ring": self.in_ring, **times, "wraps": self.wraps}


@dataclass(frozen=True, slots=True)
class KeyReport:
    source: str
    keys: tuple[KeyRow, ...]
    unsealed: tuple[str, ...]  # tables with rows of before
    pages_clean: bool

    def to_json(self) -> dict[str, Any]:
        rows = [row.to_json() for row in self.keys]
        return {
            "source": self.source,
            "keys": rows,
            "tables_not_sealed_yet": list(self.unsealed),
            "pages_clean": self.pages_clean,
        }


@dataclass(frozen=True, slots=True)
class Rotation:
    primary: str
    before: str  # the first key until now; the same where a rotation was finished
    finished: bool  # one that had been interrupted
    rewrapped: int
    verified: int
    hub: str  # "yes" where one serves, which has taken up the ring; "" where none does
    problems: tuple[WrapProblem, ...]


def list_keys(config: HubConfig, now: float) -> KeyReport:
    with open_store(config, now) as store:
        ring = _ring_of(store)
        known, counts = store.read_now(lambda txn: ({key.id: key for key in txn.sealing_keys()}, txn.wrapped_counts()))
        unsealed, clean = store.read_now(lambda txn: (tuple(txn.unsealed_tables()), txn.pages_clean()))
    for position, identifier in enumerate(ring.ids):
        known.setdefault(identifier, SealingKey(identifier, "decrypt" if position else "primary", now))
    rows = [KeyRow(key, key.id in ring.ids, counts.get(key.id, {})) for key in known.values()]
    return KeyReport(source_of(config.store), tuple(rows), unsealed, clean)


def rotate(config: HubConfig, now: float, sleep: Sleep = time.sleep) -> Rotation:
    """A new first key, and everything under it. Raises UserError, or WorkFailed where something does not open."""
    with open_store(config, now) as store:
        ring = _ring_of(store)
        before = store.read_now(lambda txn: txn.primary_key()) or ring.ids[0]
        left = store.read_now(lambda txn: set(txn.wrapped_counts())) - {ring.ids[0]}
        finished = ring.ids[0] == before and bool(left & set(ring.ids))
        if ring.ids[0] == before and not finished:
            ring.adopt(_with_new_key(config, ring))
        _tell_store(store, ring, before, now)
        served = _await_hub(store, ring.ids[0], sleep)
        if served == "no":
            raise WorkFailed(
                "the serving hub has not the new key yet; nothing was wrapped again",
                "see its log (a credential is read at its start: restart it), then run this again",
            )
        if not finished:
            store.write_now(lambda txn: txn.begin_data_key(now))
        rewrapped, problems = _rewrap(store, ring)
        verified = 0 if problems else _verify(store, ring)
    return Rotation(ring.ids[0], before, finished, rewrapped, verified, served, problems)


def retire(config: HubConfig, identifier: str, now: float, sleep: Sleep = time.sleep) -> SealingKey:
    """Takes a key that only opens out of the ring. Raises UserError while anything needs it, or a serving hub has not
    the ring in which another one seals.
    """
    with open_store(config, now) as store:
        ring = _ring_of(store)
        known = {key.id: key for key in store.read_now(lambda txn: txn.sealing_keys())}
        if identifier not in ring.ids and identifier not in known:
            raise UserError(f"there is no key {identifier}", "see answerback-hub keys list")
        if identifier == ring.ids[0]:
            raise UserError(f"{identifier} is the key that seals", "answerback-hub keys rotate, then retire this one")
        if store.read_now(lambda txn: txn.primary_key()) not in ("", ring.ids[0]):
            raise UserError("the ring has another first key than the store", "answerback-hub keys rotate, first")
        if _await_hub(store, ring.ids[0], sleep) == "no":
            raise UserError("the serving hub still seals under another key", "wait a moment, or look at its log")
        _, problems = _rewrap(store, ring)
        needed = store.read_now(lambda txn: txn.wrapped_counts()).get(identifier, {})
        if needed:
            what = ", ".join(f"{count} {kind}" for kind, count in needed.items())
            first = f"; {problems[0].place}: {problems[0].problem}" if problems else ""
            raise UserError(f"{identifier} still wraps {what}{first}", "answerback-hub keys rotate tells which")
        if identifier in ring.ids:
            ring.adopt(_without(config, ring, identifier))
        _tell_store(store, ring, "", now, retired=identifier)
        return next(key for key in store.read_now(lambda txn: txn.sealing_keys()) if key.id == identifier)


def clean(config: HubConfig, now: float) -> None:
    """Rids the database of the pages that have what values were before they were sealed."""
    with open_store(config, now) as store:
        if left := store.read_now(lambda txn: txn.unsealed_tables()):
            raise UserError(f"not all rows are sealed yet: {', '.join(left)}", "let the hub serve until they are")
        store.clean_pages_now()


def seal_rows(config: HubConfig, now: float) -> int:
    """Seals all rows of before at once, while no hub serves or beside one; returns how many values."""
    sealed = 0
    with open_store(config, now) as store:
        while (step := store.write_now(lambda txn: txn.seal_old_rows(500))).table:
            sealed += step.sealed
    return sealed


def _ring_of(store: Store) -> Sealer:
    if store.ring is None:
        raise UserError(f"store {store.name}: opened without its keys")
    return store.ring


def _with_new_key(config: HubConfig, ring: Sealer) -> Sealer:
    """The ring with a new key in front, in its file."""
    if source_of(config.store) != "file":
        raise UserError(
            f"the ring comes from a {source_of(config.store)}, which only you can change",
            "put a new key in front of the others, one line as `openssl rand -hex 32` prints it; then run this again",
        )
    if len(ring.ids) >= MAX_KEYS:
        raise UserError(
            f"there are {MAX_KEYS} keys already", "answerback-hub keys retire ID, of one that is not needed"
        )
    new = ring.with_new_key()
    write_file(config.store.seal_key_file, new.to_text().encode())
    return read_ring(config.store)


def _without(config: HubConfig, ring: Sealer, identifier: str) -> Sealer:
    if source_of(config.store) != "file":
        raise UserError(
            f"nothing needs {identifier} any more, but it is in the {source_of(config.store)}",
            "take its line out there, then run this again",
        )
    try:
        smaller = ring.without(identifier)
    except BadKeyRing as error:
        raise UserError(str(error), "see answerback-hub keys list") from None
    write_file(config.store.seal_key_file, smaller.to_text().encode())
    return read_ring(config.store)


def _tell_store(store: Store, ring: Sealer, before: str, now: float, retired: str = "") -> None:
    ids = ring.ids
    known = [key.id for key in store.read_now(lambda txn: txn.sealing_keys()) if key.state != "retired"]
    if store.read_now(lambda txn: txn.primary_key()) == ids[0] and set(known) == set(ids):
        return

    def unit(txn: Any) -> None:
        txn.note_ring(ids, now)
        if retired:
            txn.audit("keys.retired", retired, "terminal", {"primary": ids[0]}, now)
        else:
            txn.audit("keys.rotated", ids[0], "terminal", {"before": before}, now)

    store.write_now(unit)


def _await_hub(store: Store, primary: str, sleep: Sleep) -> str:
    """Whether the hub that serves has taken up the ring; "" where none serves."""
    waited = 0.0
    while store.is_served():
        if (store.read_now(lambda txn: txn.get_meta(LOADED)) or "").split(" ")[0] == primary:
            return "yes"
        if waited >= TAKE_UP_SECONDS:
            return "no"
        sleep(_POLL)
        waited += _POLL
    return ""


def _rewrap(store: Store, ring: Sealer) -> tuple[int, tuple[WrapProblem, ...]]:
    count, problems = 0, dict[WrapProblem, None]()
    while True:
        step = store.write_now(lambda txn: txn.rewrap(ring, BATCH))
        count += step.rewrapped
        problems |= dict.fromkeys(step.problems)
        if not step.left:
            return count, tuple(problems)


def _verify(store: Store, ring: Sealer) -> int:
    """Opens everything with the first key alone; returns how many values that were."""
    report = store.read_now(lambda txn: txn.check_wrapped(ring.first_only()))
    if report.problems:
        one = report.problems[0]
        raise WorkFailed(f"{one.place}: {one.problem}", "the old key is still in the ring: run this again")
    return report.checked
