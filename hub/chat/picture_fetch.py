"""Fetches the pictures that messages name (`hub.chat.platforms.pictures`), after their commit.

Bounded: MAX_PICTURES of a message, each of MAX_PICTURE bytes; what may go better later is tried three times; the
pictures of a message take MESSAGE_SECONDS at most. Of one inlet MAX_AT_ONCE pictures are fetched at a time, and
MAX_MESSAGES messages may wait for theirs. Calls go to the platform's own hosts and those it names for its files, and to
no others whatever an answer or `reply_hosts` says; to hosts that are to get nothing of ours, only a bare GET goes.
Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import aiohttp

from hub.chat.http_client import FAILURES, describe_failure, make_call, open_session
from hub.chat.inlets import Inlet
from hub.chat.platforms.base import MAX_PICTURES, BadBody, HttpResponse, PictureRef
from hub.chat.platforms.outbound import NoAnswer, OutboundCall, OutboundFailed, TooLong
from hub.chat.platforms.pictures import (
    MAX_PICTURE,
    PICTURE_SECONDS,
    PictureFailed,
    PictureFetch,
    PictureSource,
    is_picture,
    picture_source,
)
from hub.core.callback_url import BadURL, CallbackUrl, parse, resolve_callback
from hub.core.picture_format import picture_format
from hub.log import logger

log = logger("pictures")

MAX_CALLS: Final = 6  # of one picture: a token, a refused token, a new one, where it is, the picture, one more
TRIES: Final = 3
FIRST_PAUSE: Final = 2.0  # seconds, the most before the second try
MAX_PAUSE: Final = 15.0
MESSAGE_SECONDS: Final = 90.0
MAX_AT_ONCE: Final = 8
MAX_MESSAGES: Final = 24  # of one inlet that are fetched for, or wait: fewer than are planned at a time

Pause = Callable[[float], Awaitable[None]]


class PictureFetcher:
    """One for the hub; `inlets` are those of now."""

    def __init__(
        self,
        inlets: Mapping[str, Inlet],
        clock: Callable[[], float],
        *,
        pause: Pause = asyncio.sleep,
        draw: Callable[[], float] = random.random,
        seconds: float = MESSAGE_SECONDS,
    ) -> None:
        """`draw` is a random number in [0, 1); `seconds` is how long the pictures of one message may take."""
        self._inlets = inlets
        self._clock = clock
        self._pause = pause
        self._draw = draw
        self._seconds = seconds
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._messages: Counter[str] = Counter()  # inlet -> its messages under way

    async def fetch(self, name: str, pictures: Sequence[PictureRef]) -> list[bytes | PictureFailed]:
        """What came of each picture of a message to the inlet `name`, in their order."""
        self._messages[name] += 1
        try:
            found = await self._fetch(name, pictures)
        finally:
            self._messages[name] -= 1
        for result in found:
            if isinstance(result, PictureFailed):
                log.warning("picture.not_fetched", inlet=name, kind=result.kind, reason=result.reason)
        return found

    async def _fetch(self, name: str, pictures: Sequence[PictureRef]) -> list[bytes | PictureFailed]:
        found: list[bytes | PictureFailed] = []
        inlet = self._inlets.get(name)
        source = picture_source(inlet.platform) if inlet is not None else None
        if inlet is None or source is None:
            return [PictureFailed("no inlet of this name fetches pictures any more", "refused")] * len(pictures)
        if self._messages[name] > MAX_MESSAGES:  # a chat that does not answer must not hold up all others
            return [PictureFailed(f"pictures of {MAX_MESSAGES} messages of this inlet are under way")] * len(pictures)
        slots = self._slots.setdefault(name, asyncio.Semaphore(MAX_AT_ONCE))
        ends_at = asyncio.get_running_loop().time() + self._seconds
        async with open_session(connections=2, per_host=2, seconds=PICTURE_SECONDS) as session:
            one = _Fetch(session, (*inlet.platform.hosts, *source.token_hosts), source.plain_hosts)
            for number, picture in enumerate(pictures):
                if number >= MAX_PICTURES:
                    found.append(PictureFailed(f"more than {MAX_PICTURES} pictures", "too_many"))
                    continue
                try:
                    async with asyncio.timeout_at(ends_at), slots:
                        found.append(await self._try(one, source, picture))
                except TimeoutError:
                    found.append(PictureFailed(f"not fetched within {self._seconds:g} s"))
        return found

    async def _try(self, one: _Fetch, source: PictureSource, picture: PictureRef) -> bytes | PictureFailed:
        if picture.media_type and not is_picture(picture.media_type):
            return PictureFailed("declared to be something else", "not_picture")
        if picture.size > MAX_PICTURE:
            return PictureFailed(f"declared to have {picture.size} bytes", "too_big")
        pause = FIRST_PAUSE
        for left in reversed(range(TRIES)):
            failed = await self._once(one, source, picture)
            if not isinstance(failed, PictureFailed) or failed.kind != "later" or not left:
                break
            await self._pause(min(MAX_PAUSE, max(failed.retry_after, pause * self._draw())))
            pause *= 2
        return failed

    async def _once(self, one: _Fetch, source: PictureSource, picture: PictureRef) -> bytes | PictureFailed:
        calls = source.fetch(picture, self._clock())
        try:
            return _checked(await one.drive(calls))
        except PictureFailed as failed:
            return failed
        except TooLong:
            return PictureFailed(f"it has more than {MAX_PICTURE} bytes", "too_big")
        except OutboundFailed as failed:
            return PictureFailed(failed.reason, "refused" if failed.kind == "token" else "later", failed.retry_after)
        except BadBody as error:
            return PictureFailed(f"the platform's answer cannot be read: {error}")
        except Exception as error:  # a platform's own fault: the message is planned all the same
            log.exception("picture.fault")
            return PictureFailed(f"a fault in the hub ({type(error).__name__})", "refused")
        finally:
            calls.close()


class _Fetch:
    """The calls for one message's pictures."""

    def __init__(
        self, session: aiohttp.ClientSession, token_hosts: tuple[str, ...], plain_hosts: tuple[str, ...]
    ) -> None:
        self._session = session
        self._token_hosts = token_hosts
        self._plain_hosts = plain_hosts

    async def drive(self, calls: PictureFetch) -> bytes:
        """Makes the calls of a generator, to its result."""
        try:
            call = next(calls)
            for _ in range(MAX_CALLS):
                try:
                    answer = await self._call(call)
                except NoAnswer as error:
                    call = calls.throw(error)
                else:
                    call = calls.send(answer)
        except StopIteration as end:
            return bytes(end.value)
        raise PictureFailed(f"still not there after {MAX_CALLS} calls")

    async def _call(self, out: OutboundCall) -> HttpResponse:
        target = self._allowed(out)
        where = target.authority
        seconds, limit = min(out.seconds, PICTURE_SECONDS), min(out.limit, MAX_PICTURE)
        try:
            answer, whole = await make_call(self._session, replace(out.call, url=target.url), limit, seconds)
        except FAILURES as error:
            raise NoAnswer(f"{where}: {describe_failure(error, seconds)}") from None
        if not whole and len(answer.body) >= limit:
            raise TooLong(f"{where}: its answer has more than {limit} bytes")
        if not whole:
            raise NoAnswer(f"{where}: its answer did not arrive whole within {seconds:g} s")
        return answer

    def _allowed(self, out: OutboundCall) -> CallbackUrl:
        """Where the call goes; raises PictureFailed where it may not."""
        call = out.call
        target = resolve_callback(call.url, self._token_hosts)
        if isinstance(target, CallbackUrl):
            return target
        target = resolve_callback(call.url, self._plain_hosts)
        if isinstance(target, str):
            raise PictureFailed(_refusal(call.url), "refused")
        if call.headers or call.body or call.method != "GET":
            raise PictureFailed(f"{target.authority} is to get nothing of ours", "refused")
        return target


def _refusal(url: str) -> str:
    """Why a URL is not called; of the URL only the host is said."""
    try:
        return f"{parse(url).authority} is no host of this platform's files, or is not called by https"
    except BadURL as error:
        return f"its address is none that is called: {error}"


def _checked(data: bytes) -> bytes:
    """Raises PictureFailed where it is no picture, whatever was declared."""
    if len(data) > MAX_PICTURE:
        raise PictureFailed(f"it has more than {MAX_PICTURE} bytes", "too_big")
    if picture_format(data) is None:
        raise PictureFailed("by its first bytes it is no picture", "not_picture")
    return data
