"""The forms for a second factor's code: opened before the click is answered, answered once sent. The webhook and the
sockets of outbound modes share them.

A click that opens a form is no message: nothing is stored and nothing approved. Where a call opens it (Slack's trigger
lives three seconds) the call is made once, within `OPEN_SECONDS`; where it fails, or too many are under way, the click
is taken like any other, and its answer says how a code is given in words.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from hub.chat.http_client import FAILURES, describe_failure, make_call, open_session
from hub.chat.inlets import Inlet
from hub.chat.platforms.base import CodeGiven, HttpCall, ImmediateResponse, IncomingMessage
from hub.chat.platforms.code_form import AsksForCode, CodeAnswer, CodeForm
from hub.chat.platforms.outbound import Heard
from hub.core.callback_url import resolve_callback
from hub.log import logger

log = logger("webhook")

OPEN_SECONDS: Final = 2.0
MAX_OPENING: Final = 16  # calls that open a form, under way at once
MAX_ANSWER: Final = 256 * 1024  # bytes; a call's answer has the whole form
_OPENED: Final = ImmediateResponse(b"", "text/plain")


@dataclass(frozen=True, slots=True)
class CodeFormDeps:
    """What the forms need from the rest of the hub."""

    form_for: Callable[[str, IncomingMessage], Awaitable[CodeForm | None]]  # inlet, click
    take: Callable[[str, CodeGiven], Awaitable[CodeAnswer]]


class CodeFormDoor:
    def __init__(self, deps: CodeFormDeps | None) -> None:
        self._deps = deps
        self._opening = 0

    async def open(self, inlet: Inlet, click: IncomingMessage) -> ImmediateResponse | None:
        """The answer to a click that has opened a form; None where the click is to be taken as it is."""
        platform = inlet.platform
        if self._deps is None or not click.button or not isinstance(platform, AsksForCode):
            return None
        try:
            form = await self._deps.form_for(inlet.name, click)
        except Exception:
            log.exception("code_form.not_read", inlet=inlet.name)
            return None
        opens = platform.open_form(click, form) if form is not None else None
        if not isinstance(opens, HttpCall):
            return opens
        if self._opening >= MAX_OPENING:
            return None
        self._opening += 1
        try:
            return _OPENED if await self._call(inlet, platform, opens) else None
        finally:
            self._opening -= 1

    async def _call(self, inlet: Inlet, platform: AsksForCode, call: HttpCall) -> bool:
        target = resolve_callback(call.url, inlet.reply_hosts, "a call")
        if isinstance(target, str):
            log.warning("code_form.not_opened", inlet=inlet.name, reason=target)
            return False
        try:
            async with open_session(connections=1, per_host=1, seconds=OPEN_SECONDS) as session:
                answer, _ = await make_call(session, call, MAX_ANSWER)
        except FAILURES as error:
            log.warning("code_form.not_opened", inlet=inlet.name, reason=describe_failure(error, OPEN_SECONDS))
            return False
        if not platform.is_opened(answer):
            log.warning("code_form.not_opened", inlet=inlet.name, reason=f"answered {answer.status}")
            return False
        return True

    async def take(self, inlet: Inlet, given: CodeGiven) -> ImmediateResponse:
        """The answer to a sent form, once what it did is committed; raises where it could not be."""
        if self._deps is None or not isinstance(inlet.platform, AsksForCode):
            return ImmediateResponse(b"{}")
        return inlet.platform.answer_form(given, await self._deps.take(inlet.name, given))

    async def hear(self, inlet: Inlet, heard: Heard) -> Heard:
        """What a frame comes to: as the platform answers a form that was opened, or a sent one that is committed, else
        itself. A sent form that could not be stored is not answered: the chat tells that person, who sends it again.
        """
        form = heard.form
        if form is None:
            return heard
        if isinstance(form.received, IncomingMessage):
            answer = await self.open(inlet, form.received)
        else:
            try:
                answer = await self.take(inlet, form.received)
            except Exception:
                log.exception("code_form.not_stored", inlet=inlet.name)
                return heard
        return heard if answer is None else form.answered(answer)
