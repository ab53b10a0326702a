"""The webhook's side of forms: what opens one is called once and within bounds, and a failure costs nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from hub.chat import code_form_door
from hub.chat.code_form_door import MAX_OPENING, CodeFormDeps, CodeFormDoor
from hub.chat.inlets import Inlet
from hub.chat.platforms.base import CodeGiven, HttpCall, HttpResponse, ImmediateResponse, IncomingMessage
from hub.chat.platforms.code_form import CodeAnswer, CodeForm
from hub.chat.platforms.generic import GenericPlatform

FORM = CodeForm(42, "0" * 32, "plan", "en")
CLICK = IncomingMessage("c1", "bob", "room", "approve r42 k7f2", button=True, trigger="t")
GIVEN = CodeGiven("v1", "bob", "bob", "room", 42, "0" * 32, "123456")
HOSTS = ("127.0.0.1",)


class Forms(GenericPlatform):
    """A platform whose forms a call opens, or the answer does."""

    opens: ImmediateResponse | HttpCall | None = None

    def open_form(self, click: IncomingMessage, form: CodeForm) -> ImmediateResponse | HttpCall | None:
        return self.opens

    def is_opened(self, response: HttpResponse) -> bool:
        return response.body == b"ok"

    def answer_form(self, given: CodeGiven, answer: CodeAnswer) -> ImmediateResponse:
        return ImmediateResponse(answer.text.encode())


@dataclass
class Api:
    """What the calls reach."""

    port: int = 0
    calls: int = 0
    answer: bytes = b"ok"
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.Response:
        self.calls += 1
        await self.gate.wait()
        return web.Response(body=self.answer)

    def call(self) -> HttpCall:
        return HttpCall(f"http://127.0.0.1:{self.port}/views.open", b"{}")


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[Api]:
    api = Api()
    app = web.Application()
    app.router.add_post("/views.open", api.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        api.port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        yield api
    finally:
        api.gate.set()
        await runner.cleanup()


def door(form: CodeForm | None = FORM, error: Exception | None = None) -> CodeFormDoor:
    async def form_for(inlet: str, click: IncomingMessage) -> CodeForm | None:
        if error is not None:
            raise error
        return form

    async def take(inlet: str, given: CodeGiven) -> CodeAnswer:
        return CodeAnswer(f"{inlet} {given.number}", ok=True)

    return CodeFormDoor(CodeFormDeps(form_for, take))


def inlet(opens: ImmediateResponse | HttpCall | None, hosts: tuple[str, ...] = HOSTS) -> Inlet:
    platform = Forms([b"a secret of some length"])
    platform.opens = opens
    return Inlet("ops", platform, hosts)


async def test_the_answer_itself_may_open_it() -> None:
    opens = ImmediateResponse(b'{"type":9}')
    assert await door().open(inlet(opens), CLICK) == opens


async def test_a_call_opens_it_before_the_click_is_answered() -> None:
    """Called once; then the click has an empty answer and is no message."""
    async with serving() as api:
        api.gate.set()
        opened = await door().open(inlet(api.call()), CLICK)
        assert opened is not None
        assert (opened.status, opened.body, api.calls) == (200, b"", 1)


async def test_what_opens_none_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused by the platform, no answer in time, a host that is not its own, no form to show, no way to open it, the
    store's trouble, words, a platform without forms.
    """
    async with serving() as api:
        api.gate.set()
        api.answer = b"expired_trigger_id"
        assert await door().open(inlet(api.call()), CLICK) is None
        api.gate.clear()
        monkeypatch.setattr(code_form_door, "OPEN_SECONDS", 0.05)
        assert await door().open(inlet(api.call()), CLICK) is None
        calls = api.calls
        assert await door().open(inlet(api.call(), hosts=("chat.example",)), CLICK) is None
        assert await door(None).open(inlet(api.call()), CLICK) is None
        assert await door().open(inlet(None), CLICK) is None
        assert await door(error=RuntimeError("store")).open(inlet(api.call()), CLICK) is None
        words = IncomingMessage("m1", "bob", "room", "approve r42 k7f2")
        assert await door().open(inlet(api.call()), words) is None
        plain = Inlet("ops", GenericPlatform([b"a secret of some length"]), HOSTS)
        assert await door().open(plain, CLICK) is None
        assert await CodeFormDoor(None).open(inlet(api.call()), CLICK) is None
        assert api.calls == calls


async def test_so_many_are_opened_at_once() -> None:
    """One more is taken without a form, at once; when one ends there is room again."""
    async with serving() as api, asyncio.TaskGroup() as group:
        doors, where = door(), inlet(api.call())
        tasks = [group.create_task(doors.open(where, CLICK)) for _ in range(MAX_OPENING)]
        await asyncio.sleep(0)
        assert await doors.open(where, CLICK) is None
        api.gate.set()
        assert all([await task is not None for task in tasks])
        assert await doors.open(where, CLICK) is not None


async def test_a_sent_form_is_answered_by_what_it_did() -> None:
    assert (await door().take(inlet(None), GIVEN)).body == b"ops 42"
    assert (await CodeFormDoor(None).take(inlet(None), GIVEN)).status == 200
