"""The supervisor of outbound modes with a real store and a platform's server on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from hub.chat import outbound
from hub.chat.code_form_door import CodeFormDeps
from hub.chat.inlets import Inlet
from hub.chat.outbound import OutboundSupervisor
from hub.chat.platforms.base import CodeGiven, HttpCall, IncomingMessage
from hub.chat.platforms.code_form import CodeAnswer, CodeForm
from hub.chat.platforms.generic import GenericPlatform
from hub.chat.platforms.outbound import (
    NoAnswer,
    OutboundCall,
    Polled,
    PollRound,
    failure_of_status,
)
from hub.chat.refusals import Refusals
from hub.core.inlet_activity import InletActivity
from hub.core.inlet_table import InletTable
from hub.core.rate_limits import RefusalRow
from hub.core.receipt import Receipt
from hub.metrics import Metrics
from hub.store.store import Store
from tests.hub.store.template import open_store

NOW = 1_700_000_000.0
SECRET = b"a secret of some length"


class Line(GenericPlatform):
    """A platform that is asked: GET /news?after=N -> [{"n": 1, "user": ..., "text": ...}, ...]."""

    kind = "line"
    outbound: Line

    def __init__(self, api: str, **more: Any) -> None:
        super().__init__([SECRET])
        self.api = api
        self.hosts = (api,)
        self.outbound = self
        self.more = more
        self.heard: list[BaseException] = []

    def poll(self, cursor: str, now: float) -> PollRound:
        url = f"{self.api}/news?after={cursor or 0}"
        answer = yield OutboundCall(
            HttpCall(url, b"", {"Authorization": "t"}, "GET"), 5.0, self.more.get("limit", 4_096)
        )
        if answer.status != 200:
            raise failure_of_status(answer)
        if "picture" in self.more:
            try:
                yield OutboundCall(HttpCall(self.more["picture"], b"", method="GET"), 0.2)
            except NoAnswer as error:
                self.heard.append(error)
        if "fault" in self.more:
            raise ZeroDivisionError(self.more["fault"])
        news = json.loads(answer.body)
        messages = tuple(
            IncomingMessage(
                str(one["n"]), one["user"], "ops", one["text"], reply_url=one.get("url", ""), sent_at=one.get("at", NOW)
            )
            for one in news
        )
        after = tuple(HttpCall(f"{self.api}/seen/{one['n']}", b"") for one in news)
        return Polled(messages, self.more.get("cursor") or str(news[-1]["n"] if news else cursor), after)


@dataclass
class Chat:
    """The platform's server; `behave` answers the n-th question for news, or None for what is there."""

    news: list[dict[str, Any]] = field(default_factory=list)
    behave: Callable[[int], web.Response | None] = lambda number: None
    asked: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    port: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def _news(self, request: web.Request) -> web.Response:
        after = request.query["after"]
        async with self.changed:
            self.asked.append(after)
            self.changed.notify_all()
            if (answer := self.behave(len(self.asked))) is not None:
                return answer
            await self.changed.wait_for(lambda: self.newer(after))
        return web.json_response(self.newer(after))

    def newer(self, after: str) -> list[dict[str, Any]]:
        return [one for one in self.news if one["n"] > int(after)]

    async def _seen(self, request: web.Request) -> web.Response:
        async with self.changed:
            self.seen.append(request.match_info["n"])
            self.changed.notify_all()
        return web.Response(status=500)

    async def says(self, n: int, text: str, **more: Any) -> None:
        async with self.changed:
            self.news.append({"n": n, "user": "kim", "text": text, **more})
            self.changed.notify_all()

    async def wait_for(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(holds)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Chat]:
        app = web.Application()
        app.router.add_get("/news", self._news)
        app.router.add_post("/seen/{n}", self._seen)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()


@dataclass
class Forms:
    """A form for each click, and what becomes of those that are sent."""

    answers: list[CodeAnswer | Exception]
    given: list[CodeGiven] = field(default_factory=list)
    shown: CodeForm | None = field(default_factory=lambda: CodeForm(42, "0" * 32, "the plan", "en"))

    @property
    def deps(self) -> CodeFormDeps:
        return CodeFormDeps(self._form_for, self._take)

    async def _form_for(self, inlet: str, click: IncomingMessage) -> CodeForm | None:
        return self.shown

    async def _take(self, inlet: str, given: CodeGiven) -> CodeAnswer:
        self.given.append(given)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class Rig:
    store: Store
    inlets: dict[str, Inlet]
    now: float = NOW
    taken: list[tuple[str, IncomingMessage]] = field(default_factory=list)
    answers: list[Receipt | Exception] = field(default_factory=list)  # for the next ones, instead of taking them
    waits: list[float] = field(default_factory=list)
    rows: list[RefusalRow] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    open: asyncio.Event = field(default_factory=asyncio.Event)  # whether pauses end
    metrics: Metrics = field(default_factory=Metrics)
    activity: InletActivity = field(default_factory=InletActivity)
    forms: Forms | None = None

    def __post_init__(self) -> None:
        self.open.set()
        self.supervisor = OutboundSupervisor(
            store=self.store,
            inlets=self.inlets,
            accept=self.accept,
            refusals=Refusals(self.metrics, self.refused, lambda: self.now),
            clock=lambda: self.now,
            pause=self.pause,
            draw=lambda: 0.5,
            activity=self.activity,
            code_forms=None if self.forms is None else self.forms.deps,
        )

    async def accept(self, inlet: str, message: IncomingMessage) -> Receipt:
        self.changed.set()
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        if any(seen.event_id == message.event_id for _, seen in self.taken):
            return Receipt("duplicate")
        self.taken.append((inlet, message))
        return Receipt("accepted")

    async def refused(self, row: RefusalRow) -> None:
        self.rows.append(row)

    async def pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.changed.set()
        await self.open.wait()
        await asyncio.sleep(0)

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                self.changed.clear()
                await self.changed.wait()

    @property
    def texts(self) -> list[str]:
        return [message.text for _, message in self.taken]

    def cursor(self, name: str = "far") -> str | None:
        kind = self.inlets[name].platform.kind
        return self.store.read_now(lambda txn: txn.get_meta(f"outbound {kind} {name}"))


@contextlib.asynccontextmanager
async def running(rig: Rig) -> AsyncIterator[Rig]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(rig.supervisor.run())
        try:
            yield rig
        finally:
            task.cancel()


@pytest.fixture
def store(tmp_path: Path) -> Any:
    made = open_store("sqlite:///out.sqlite", folder=tmp_path, clock=time.time)
    yield made
    made.close()


def line(chat: Chat, **more: Any) -> Inlet:
    api = f"http://127.0.0.1:{chat.port}"
    return Inlet("far", Line(api, **more), (api,))


async def test_news_are_committed_before_they_are_acknowledged(store: Store) -> None:
    """Each message goes through `accept`; the next question, which acknowledges, and `after` come behind the commit."""
    async with Chat().serving() as chat, running(Rig(store, {"far": line(chat)})) as rig:
        await chat.says(1, "disk")
        await chat.says(2, "load")
        await chat.wait_for(lambda: chat.asked[-1:] == ["2"] and chat.seen == ["1", "2"])
        assert rig.texts == ["disk", "load"]
        assert rig.cursor() == "2"
        (state,) = rig.supervisor.states()
        assert (state.inlet, state.connected_at, state.heard_at, state.error) == ("far", NOW, NOW, "")
        assert rig.activity.heard == {"far": NOW}


async def test_what_could_not_be_stored_comes_again(store: Store) -> None:
    """A commit that failed, or a hub that was killed before the cursor was kept: asked for again, nothing twice."""
    async with Chat().serving() as chat:
        rig = Rig(store, {"far": line(chat)}, answers=[RuntimeError("the disk is full")])
        async with running(rig):
            await chat.says(1, "disk")
            await chat.wait_for(lambda: chat.asked[-1:] == ["1"])
            assert chat.asked == ["0", "0", "1"]
            assert rig.texts == ["disk"]
            assert rig.waits == [0.5]
        again = Rig(store, {"far": line(chat)}, taken=rig.taken)
        async with running(again):
            await chat.says(2, "load")
            await chat.wait_for(lambda: chat.asked[-1:] == ["2"])
        assert again.texts == ["disk", "load"]
        assert chat.asked == ["0", "0", "1", "1", "2"]


async def test_a_wrong_token_is_one_line_and_no_storm(store: Store) -> None:
    """Asked again after minutes, and at once where hub.toml was read again; then it is connected."""
    async with Chat(behave=lambda number: web.Response(status=401) if number <= 2 else None).serving() as chat:
        rig = Rig(store, {"far": line(chat)})
        rig.open.clear()
        with capture_logs() as logs:
            async with running(rig):
                await rig.until(lambda: rig.waits == [450.0])
                (state,) = rig.supervisor.states()
                assert state.error == "the platform refuses the token (it answered 401)"
                assert (state.connected_at, state.failures, state.failed_at) == (0.0, 1, NOW)
                assert state.retry_at == NOW + 450
                rig.open.set()
                await chat.wait_for(lambda: len(chat.asked) == 2)
                await rig.until(lambda: rig.waits == [450.0, 450.0])
                rig.inlets["far"] = line(chat)
                rig.supervisor.reconfigure()
                await chat.says(1, "disk")
                await rig.until(lambda: rig.taken)
        lines = [entry for entry in logs if entry["event"] == "inlet.not_connected"]
        assert [entry["reason"] for entry in lines] == ["the platform refuses the token (it answered 401)"]


async def test_failures_are_paused_with_full_jitter_and_asked_later_where_the_platform_says(store: Store) -> None:
    """Doubling to a minute, drawn from the whole span; Retry-After counts; a success begins anew."""

    def behave(number: int) -> web.Response | None:
        if number == 3:
            return web.Response(status=429, headers={"Retry-After": "7"})
        return web.Response(status=502) if number <= 4 else None

    async with Chat(behave=behave).serving() as chat, running(Rig(store, {"far": line(chat)})) as rig:
        await chat.wait_for(lambda: len(chat.asked) == 5)
        assert rig.waits == [0.5, 1.0, 7.0, 4.0]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"fault": "a bug"}, "a fault in the hub (ZeroDivisionError)"),
        ({"limit": 10}, "127.0.0.1:{port}: its answer has more than 10 bytes"),
        ({"cursor": "x" * 20_000}, "its position is longer than 16384 characters"),
        ({"picture": "http://10.0.0.1/p.png"}, "a call goes to 10.0.0.1:80, which is not in reply_hosts"),
    ],
)
async def test_a_mode_that_goes_wrong_takes_nothing_with_it(store: Store, more: dict[str, Any], says: str) -> None:
    """A fault, an answer without end, another host: the inlet's state says so, the next inlet goes on."""
    async with Chat().serving() as chat:
        inlets = {"bad": replace(line(chat, **more), name="bad"), "far": line(chat)}
        async with running(Rig(store, inlets)) as rig:
            await chat.says(1, "disk")
            await rig.until(
                lambda: (
                    any(state.error for state in rig.supervisor.states())
                    and any(name == "far" for name, _ in rig.taken)
                )
            )
            error = rig.supervisor.states()[0].error
            assert error.startswith(says.format(port=chat.port)), error


async def test_a_round_may_do_without_an_answer(store: Store) -> None:
    """A picture that does not come is thrown in, and the round goes on."""
    async with Chat().serving() as chat:
        inlet = line(chat, picture=f"http://127.0.0.1:{chat.port}/seen/none-such")
        gone = line(chat, picture="http://127.0.0.1:9/p.png")
        inlet = replace(gone, reply_hosts=(*inlet.reply_hosts, "127.0.0.1"))
        async with running(Rig(store, {"far": inlet})) as rig:
            await chat.says(1, "disk")
            await rig.until(lambda: rig.taken)
            assert isinstance(inlet.platform, Line)
            assert "127.0.0.1:9: cannot connect" in str(inlet.platform.heard[0])


async def test_the_checks_are_those_of_webhooks(store: Store) -> None:
    """Ids within conversations, reply addresses, rates, echoes; and what is older than an hour is not taken up."""
    async with Chat().serving() as chat:
        inlet = replace(line(chat), id_scope="conversation", rate=1.0, burst=5.0)
        rig = Rig(store, {"far": inlet}, answers=[Receipt("rate", limited="person"), Receipt("echo")])
        async with running(rig):
            await chat.says(1, "too many")
            await chat.says(2, "our own words")
            await chat.says(3, "elsewhere", url="https://evil.example/x")
            await chat.says(4, "old", at=NOW - 3_601)
            await chat.says(5, "disk", at=NOW - 3_599)
            await chat.wait_for(lambda: chat.asked[-1:] == ["5"])
        assert [message.event_id for _, message in rig.taken] == ["ops/5"]
        assert [(row.code, row.remote) for row in rig.rows] == [
            ("person_rate", "kim"), ("echo", "kim"), ("reply_url", "kim"), ("old", "kim")
        ]  # fmt: skip


async def test_over_its_rate_an_inlet_waits_and_loses_nothing(store: Store) -> None:
    """What is not asked for stays with the platform: the inlet's own rate makes it slower, no message is refused."""
    async with Chat().serving() as chat:
        rig = Rig(store, {"far": replace(line(chat), rate=1.0, burst=1.0)})

        async def pause(seconds: float) -> None:
            rig.waits.append(seconds)
            rig.now += seconds

        rig.supervisor._pause = pause
        for number in range(1, 4):
            await chat.says(number, f"m{number}")
        async with running(rig):
            await chat.wait_for(lambda: chat.asked[-1:] == ["3"])
        assert rig.texts == ["m1", "m2", "m3"]
        assert rig.waits == [1.0, 1.0]


async def test_inlets_come_and_go(store: Store) -> None:
    """One that went is asked for no more, one that came is; the supervisor runs on with none."""
    async with Chat().serving() as chat, running(Rig(store, {})) as rig:
        assert rig.supervisor.states() == []
        rig.inlets["hook"] = Inlet("hook", GenericPlatform([SECRET]), ())
        rig.inlets["far"] = line(chat)
        rig.supervisor.reconfigure()
        await chat.wait_for(lambda: chat.asked)
        assert [state.inlet for state in rig.supervisor.states()] == ["far"]
        del rig.inlets["far"]
        rig.supervisor.reconfigure()
        async with asyncio.timeout(20):
            while rig.supervisor.states():
                await asyncio.sleep(0)
        await chat.says(1, "disk")
        assert rig.taken == []


async def test_another_platform_under_the_same_name_begins_anew(store: Store) -> None:
    """The position of the one before means nothing to it; where that comes back, it goes on from its own."""

    class Other(Line):
        kind = "other"

    async with Chat(news=[{"n": 7, "user": "kim", "text": "first"}]).serving() as chat:
        for platform, asked in ((Line, "0"), (Other, "0"), (Line, "7")):
            made = platform(f"http://127.0.0.1:{chat.port}")
            chat.asked.clear()
            async with running(Rig(store, {"far": Inlet("far", made, made.hosts)})) as rig:
                await chat.wait_for(lambda: chat.asked)
                assert chat.asked[0] == asked
                if asked == "0":
                    await chat.wait_for(lambda: "7" in chat.asked)
                    assert rig.texts == ["first"]


async def test_an_inlet_that_did_not_change_goes_on(store: Store) -> None:
    """hub.toml read again: the same keys are the same inlet, others another one, whose task waits for the old."""
    async with Chat().serving() as chat:
        table = InletTable("line", Path("secrets/far"), secrets=(SECRET,))
        rig = Rig(store, {"far": replace(line(chat), table=table)})
        async with running(rig):
            await chat.wait_for(lambda: len(chat.asked) == 1)
            rig.inlets["far"] = replace(line(chat), table=replace(table))
            rig.supervisor.reconfigure()
            await chat.says(1, "disk")
            await chat.wait_for(lambda: len(chat.asked) == 2)
            assert rig.supervisor._running["far"].inlet is not rig.inlets["far"]
            rig.inlets["far"] = replace(line(chat), table=replace(table, secrets=(b"another secret",)))
            rig.supervisor.reconfigure()
            await chat.wait_for(lambda: len(chat.asked) == 3)
            assert rig.supervisor._running["far"].inlet is rig.inlets["far"]
        assert chat.asked == ["0", "1", "1"]


async def test_one_message_that_cannot_be_stored_does_not_hold_up_the_rest(store: Store) -> None:
    """Tried often; then, where others can be stored, it is left out, said in the log and counted."""
    async with Chat().serving() as chat:
        rig = Rig(store, {"far": line(chat)}, answers=[ValueError("of all things")] * outbound.STUCK)
        with capture_logs() as logs:  # not drawn: ten tracebacks take seconds
            async with running(rig):
                await chat.says(1, "poison")
                await chat.says(2, "disk")
                await chat.wait_for(lambda: chat.asked[-1:] == ["2"])
        assert [entry["message"] for entry in logs if entry["event"] == "message.given_up"] == ["1"]
        assert rig.texts == ["disk"]
        assert chat.asked.count("0") == outbound.STUCK
        assert [(row.code, row.remote) for row in rig.rows] == [("not_stored", "kim")]


async def test_a_platform_that_has_nothing_is_not_asked_in_a_circle(store: Store) -> None:
    """Empty answers that come at once: less and less often, up to five seconds."""

    def behave(number: int) -> web.Response | None:
        return web.json_response([]) if number <= 12 else None

    async with Chat(behave=behave).serving() as chat, running(Rig(store, {"far": line(chat)})) as rig:
        await chat.wait_for(lambda: len(chat.asked) == 13)
        assert rig.waits[0] == 0.8
        assert rig.waits[-1] == outbound.IDLE_PAUSE
        assert len(rig.waits) == 10
