"""Keeps the next deliveries of an inlet as fixtures, redacted, while somebody asked for that on the hub's terminal.

What is asked for stands in the store (`put_order`), where a serving hub sees it within a second and where every change
has its audit row. A recording ends by itself: after so many deliveries, after an hour, or with its inlet. Only what
the platform's signature proved is recorded, so that nobody else fills it.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from common.errors import UserError
from common.files import create_folder, write_file
from common.ids import is_name
from hub.chat.inlets import Inlet
from hub.chat.platforms.base import WebhookRequest
from hub.core.redaction import Redactor
from hub.log import logger
from hub.store.store import Store
from hub.store.transaction import Txn

MAX_COUNT: Final = 100  # deliveries of one recording
MAX_SECONDS: Final = 3_600.0
MAX_BYTES: Final = 8 * 1024 * 1024  # of one recording, all files together
_KEY: Final = "recordings"
_FOLDER: Final = "recordings"

log = logger("recorder")


@dataclass(frozen=True, slots=True)
class RecordingOrder:
    """What somebody asked for: so many deliveries more, until then."""

    id: str  # tells one from the next of the same inlet
    left: int
    until: float  # seconds since the epoch


def recordings_folder(folder: Path, inlet: str) -> Path:
    """Where an inlet's deliveries are kept; `folder` is the hub's."""
    return folder / _FOLDER / inlet


def orders(txn: Txn) -> dict[str, RecordingOrder]:
    """By inlet. What cannot be read is none."""
    try:
        told: Any = json.loads(txn.get_meta(_KEY) or "{}")
        return {
            str(name): RecordingOrder(str(one["id"]), int(one["left"]), float(one["until"]))
            for name, one in told.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


def put_order(txn: Txn, inlet: str, order: RecordingOrder, now: float) -> None:
    """Asks for a recording, in place of one that is under way."""
    _put(txn, {**orders(txn), inlet: order})
    data = {"count": order.left, "until": order.until}
    txn.audit("inlet.recording", inlet, "terminal", data, now)


def end_order(txn: Txn, inlet: str, order_id: str, actor: str, why: str, now: float) -> bool:
    """Ends a recording, with its audit row; False where it has ended."""
    found = orders(txn)
    order = found.get(inlet)
    if order is None or order.id != order_id:
        return False
    del found[inlet]
    _put(txn, found)
    txn.audit("inlet.recorded", inlet, actor, {"left": order.left, "why": why}, now)
    return True


def _put(txn: Txn, found: Mapping[str, RecordingOrder]) -> None:
    told = {name: {"id": one.id, "left": one.left, "until": one.until} for name, one in found.items()}
    txn.put_meta(_KEY, json.dumps(told))


@dataclass(slots=True)
class _Recording:
    order: RecordingOrder
    redactor: Redactor
    left: int
    number: int = 0  # of the next file
    size: int = 0  # bytes kept
    pending: list[bytes] = field(default_factory=list)  # not written yet


class DeliveryRecorder:
    """`note` each proven delivery; `run_due` twice a second."""

    def __init__(self, store: Store, inlets: Mapping[str, Inlet], folder: Path) -> None:
        """`folder` is the hub's."""
        self._store = store
        self._inlets = inlets
        self._folder = folder
        self._recordings: dict[str, _Recording] = {}

    def left(self, inlet: str) -> int:
        """How many deliveries of an inlet are still to be recorded."""
        recording = self._recordings.get(inlet)
        return recording.left if recording is not None else 0

    def note(self, inlet: Inlet, request: WebhookRequest, now: float) -> None:
        """A delivery whose sender is proven. Never raises: a recording must not cost a message."""
        recording = self._recordings.get(inlet.name)
        if recording is None or recording.left <= 0 or now > recording.order.until:
            return
        try:
            kept = _fixture(inlet, request, recording.redactor, now)
        except Exception:
            log.exception("recorder.failed", inlet=inlet.name)
            recording.left = 0
            return
        recording.size += len(kept)
        recording.left = recording.left - 1 if recording.size <= MAX_BYTES else 0
        if recording.size <= MAX_BYTES:
            recording.pending.append(kept)

    async def run_due(self, now: float) -> None:
        """Takes what was asked for, writes what was noted, ends what is over."""
        asked = await self._store.read(orders)
        if not asked and not self._recordings:
            return
        for name in list(self._recordings):
            await self._write(name, now)
            if name not in asked or asked[name].id != self._recordings[name].order.id:
                del self._recordings[name]  # somebody ended it, or began another
        for name, order in asked.items():
            inlet = self._inlets.get(name)
            why = "" if inlet is not None and is_name(name) else "there is no such inlet"
            why = why or ("its time is over" if now > order.until else "")
            if not why and inlet is not None and name not in self._recordings:
                redactor = Redactor(os.urandom(32), (*inlet.platform.hosts, *inlet.reply_hosts), inlet.bot)
                left = max(0, min(order.left, MAX_COUNT))
                self._recordings[name] = _Recording(order, redactor, left)
                log.info("inlet.recording", inlet=name, deliveries=left)
            if not why and self._recordings[name].left <= 0:
                why = "done"
            if why:
                await self._end(name, order.id, why, now)

    async def _write(self, name: str, now: float) -> None:
        """Writes what was noted, and how many are left: a hub that starts anew goes on there."""
        recording = self._recordings[name]
        pending, recording.pending = recording.pending, []
        if not pending:
            return
        folder, first = recordings_folder(self._folder, name), recording.number
        recording.number += len(pending)

        def write() -> None:
            for each in (folder.parent, folder):
                create_folder(each)
            for number, data in enumerate(pending, start=first):
                write_file(folder / f"{recording.order.id}-{number:03}.json", data)

        try:
            await asyncio.to_thread(write)
        except (UserError, OSError) as error:
            log.error("recorder.not_written", inlet=name, folder=str(folder), reason=str(error))
            recording.left = 0
        left = recording.left

        def unit(txn: Txn) -> None:
            found = orders(txn)
            if name in found and found[name].id == recording.order.id:
                _put(txn, {**found, name: RecordingOrder(recording.order.id, left, recording.order.until)})

        await self._store.write(unit)

    async def _end(self, name: str, order_id: str, why: str, now: float) -> None:
        await self._store.write(lambda txn: end_order(txn, name, order_id, "hub", why, now))
        self._recordings.pop(name, None)
        log.info("inlet.recorded", inlet=name, why=why)


def _fixture(inlet: Inlet, request: WebhookRequest, redactor: Redactor, now: float) -> bytes:
    """One delivery as a JSON document."""
    body, note = redactor.body(request.body, request.headers.get("content-type", ""))
    told = {
        "platform": inlet.platform.kind,
        "at": round(now),
        "method": request.method,
        "query": redactor.query(request.query),
        "headers": redactor.headers(request.headers),
        "body": body,
        "note": note,
    }
    return json.dumps(told, ensure_ascii=False, indent=1).encode() + b"\n"
