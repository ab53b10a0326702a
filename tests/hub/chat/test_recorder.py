"""Recordings of deliveries: asked for in the store, kept redacted, over by themselves; what is kept reads as before."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hub.chat import recorder as recorder_module
from hub.chat.inlets import Inlet
from hub.chat.platforms.base import IncomingMessage, Platform, WebhookRequest
from hub.chat.platforms.generic import GenericPlatform, sign
from hub.chat.recorder import (
    MAX_COUNT,
    MAX_SECONDS,
    DeliveryRecorder,
    RecordingOrder,
    end_order,
    orders,
    put_order,
    recordings_folder,
)
from hub.store.store import Store
from tests.hub.chat.platforms import test_slack, test_telegram
from tests.hub.chat.platforms.test_slack_events import EVENT

SECRET = b"a secret of some length"
NOW = 1_790_000_000.0
MESSAGE = {"id": "m1", "user": "kim", "conversation": "ops", "text": "restart nginx on web-1"}


@dataclass
class Rig:
    store: Store
    folder: Path
    inlets: dict[str, Inlet] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.inlets.setdefault("ops", Inlet("ops", GenericPlatform([SECRET])))
        self.recorder = DeliveryRecorder(self.store, self.inlets, self.folder)

    def ask(self, left: int = 2, inlet: str = "ops", key: str = "one", until: float = NOW + MAX_SECONDS) -> None:
        order = RecordingOrder(key, left, until)
        self.store.write_now(lambda txn: put_order(txn, inlet, order, NOW))

    def deliver(self, number: int = 1, **more: Any) -> None:
        self.recorder.note(self.inlets["ops"], WebhookRequest(json.dumps(MESSAGE | more).encode()), NOW + number)

    def orders(self) -> dict[str, RecordingOrder]:
        return self.store.read_now(orders)

    def files(self, inlet: str = "ops") -> list[Path]:
        return sorted(recordings_folder(self.folder, inlet).glob("*"))

    def ends(self) -> list[str]:
        rows = self.store.read_now(lambda txn: txn.events(kind_prefix="inlet.recorded"))
        return [row.data["why"] for row in rows]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    store = Store.open("sqlite:///a.sqlite", folder=tmp_path, clock=lambda: NOW)
    yield Rig(store, tmp_path)
    store.close()


async def test_the_next_deliveries_are_kept(rig: Rig) -> None:
    """As many as were asked for, 0600, without what was said; then it is over, and the audit has both ends."""
    rig.deliver()
    rig.ask(left=2)
    await rig.recorder.run_due(NOW)
    assert rig.recorder.left("ops") == 2
    for number in range(1, 5):
        rig.deliver(number)
    assert rig.recorder.left("ops") == 0
    await rig.recorder.run_due(NOW + 5)
    assert (rig.orders(), rig.recorder.left("ops")) == ({}, 0)
    first, second = rig.files()
    assert {stat.S_IMODE(path.stat().st_mode) for path in (first, second)} == {0o600}
    assert stat.S_IMODE(first.parent.stat().st_mode) == 0o700
    assert "nginx" not in first.read_text()
    told = json.loads(second.read_text())
    assert (told["platform"], told["method"], told["note"], told["at"]) == ("generic", "POST", "", NOW + 2)
    begun = rig.store.read_now(lambda txn: txn.events(kind_prefix="inlet.recording"))
    assert [(row.subject, row.actor, row.data["count"]) for row in begun] == [("ops", "terminal", 2)]
    assert rig.ends() == ["done"]


async def test_nothing_is_kept_that_nobody_asked_for(rig: Rig) -> None:
    """No file, no row; and none of another inlet."""
    rig.ask(inlet="far")
    rig.inlets["far"] = Inlet("far", GenericPlatform([SECRET]))
    await rig.recorder.run_due(NOW)
    rig.deliver()
    await rig.recorder.run_due(NOW)
    assert rig.files() == []


async def test_it_ends_after_an_hour_and_with_its_inlet(rig: Rig) -> None:
    """Whatever came until then is kept."""
    rig.ask()
    await rig.recorder.run_due(NOW)
    rig.deliver()
    await rig.recorder.run_due(NOW + MAX_SECONDS + 1)
    assert (len(rig.files()), rig.orders(), rig.ends()) == (1, {}, ["its time is over"])
    for name in ("gone", "../evil"):
        rig.ask(inlet=name, key=name)
        await rig.recorder.run_due(NOW)
    assert rig.orders() == {}
    assert rig.ends()[1:] == ["there is no such inlet"] * 2
    rig.ask(key="late", until=NOW - 1)
    await rig.recorder.run_due(NOW)
    rig.deliver()
    assert rig.recorder.left("ops") == 0


async def test_who_asked_may_end_it(rig: Rig) -> None:
    """What was noted is kept; another one that began meanwhile is not ended with it."""
    rig.ask()
    await rig.recorder.run_due(NOW)
    rig.deliver()
    end: Callable[[str], bool] = lambda key: rig.store.write_now(  # noqa: E731
        lambda txn: end_order(txn, "ops", key, "terminal", "stopped", NOW)
    )
    assert not end("another")
    assert end("one")
    await rig.recorder.run_due(NOW)
    rig.deliver()
    assert (len(rig.files()), rig.recorder.left("ops"), rig.ends()) == (1, 0, ["stopped"])


async def test_a_hub_that_starts_anew_goes_on(rig: Rig) -> None:
    """With as many as were left."""
    rig.ask(left=3)
    await rig.recorder.run_due(NOW)
    rig.deliver()
    await rig.recorder.run_due(NOW)
    assert rig.orders()["ops"].left == 2
    rig.recorder = DeliveryRecorder(rig.store, rig.inlets, rig.folder)
    await rig.recorder.run_due(NOW)
    assert rig.recorder.left("ops") == 2


async def test_its_bounds(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """In deliveries, whatever stands in the store, and in bytes."""
    rig.ask(left=10**9)
    await rig.recorder.run_due(NOW)
    assert rig.recorder.left("ops") == MAX_COUNT
    monkeypatch.setattr(recorder_module, "MAX_BYTES", 1_000)
    for number in range(50):
        rig.deliver(number)
    await rig.recorder.run_due(NOW)
    assert 1 <= len(rig.files()) < 5
    assert rig.orders() == {}


async def test_a_folder_that_cannot_be_written_ends_it(rig: Rig) -> None:
    """The hub goes on."""
    (rig.folder / "recordings").write_text("in the way")
    rig.ask()
    await rig.recorder.run_due(NOW)
    rig.deliver()
    await rig.recorder.run_due(NOW)
    await rig.recorder.run_due(NOW)
    assert rig.orders() == {}


@pytest.mark.parametrize(
    "stored", ["", "[]", "{", '{"ops": 1}', '{"ops": {"id": 1}}', '{"ops": {"id": "a", "left": "x", "until": 1}}']
)
async def test_what_cannot_be_read_is_nothing(rig: Rig, stored: str) -> None:
    """Whoever wrote it."""
    rig.store.write_now(lambda txn: txn.put_meta("recordings", stored))
    await rig.recorder.run_due(NOW)
    assert rig.orders() == {}


def resigned(platform: str, told: dict[str, Any]) -> WebhookRequest:
    """The fixture as its platform would send it, with the secrets of the tests."""
    data, headers = told["body"].encode(), dict(told["headers"])
    match platform:
        case "generic":
            headers["x-signature"] = sign(SECRET, data)
        case "telegram":
            headers["x-telegram-bot-api-secret-token"] = test_telegram.SECRET.decode()
        case "slack":
            return test_slack.signed(data, test_slack.NOW, kind=headers["content-type"])
    return WebhookRequest(data, headers, told["query"], told["method"])


def deliveries() -> list[tuple[Platform, WebhookRequest, float]]:
    text = "@ops_bot restart nginx"
    mark = test_telegram.mark("mention", text, "@ops_bot")
    data = json.dumps(MESSAGE).encode()
    return [
        (GenericPlatform([SECRET]), WebhookRequest(data, {"x-signature": sign(SECRET, data)}), NOW),
        (test_telegram.BOT, test_telegram.delivery(test_telegram.update(text, entities=[mark])), NOW),
        (test_slack.SLACK, test_slack.signed(json.dumps(EVENT).encode()), test_slack.NOW),
    ]


@pytest.mark.parametrize(("platform", "request_", "now"), deliveries(), ids=lambda one: getattr(one, "kind", ""))
async def test_a_fixture_is_read_as_the_delivery_was(
    rig: Rig, platform: Platform, request_: WebhookRequest, now: float
) -> None:
    """By the platform's own reader: a message by the same person in the same place each time, in other words."""
    before = platform.receive(request_, now)
    inlet = rig.inlets["ops"] = Inlet("ops", platform, bot="ops_bot")
    rig.ask(left=1)
    await rig.recorder.run_due(NOW)
    rig.recorder.note(inlet, request_, now)
    await rig.recorder.run_due(NOW)
    (file,) = rig.files()
    raw = file.read_text()
    after = platform.receive(resigned(platform.kind, json.loads(raw)), now)
    assert isinstance(before, IncomingMessage)
    assert isinstance(after, IncomingMessage)
    assert (after.sent_at, len(after.user), len(after.conversation)) == (
        *(before.sent_at, len(before.user)),
        len(before.conversation),
    )
    assert (len(after.text.split()), after.addressed) == (len(before.text.split()), before.addressed)
    for private in (before.user, before.conversation, *before.text.split()):
        assert len(private) < 4 or private not in raw
