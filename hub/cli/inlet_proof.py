"""`inlet test`: what proves that an inlet works, each by itself.

keys        the platform can be made of the table and its secrets
delivery    a delivery that we sign as the platform would, taken by the running hub
account     the platform's own answer to "who am I?", through the session that posts replies
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp

from common.doctor.findings import Finding
from common.errors import UserError
from common.text import clean
from hub.chat.http_client import FAILURES, describe_failure, make_call, open_session
from hub.chat.inlets import Inlet, build_inlets
from hub.chat.platforms.base import (
    BadBody,
    DeliveryFailed,
    HttpCall,
    HttpResponse,
    Identifies,
    MakesExample,
    NextCall,
    NotAuthentic,
    WebhookRequest,
)
from hub.cli.options import RELOAD, local_address, webhook_context
from hub.config import HubConfig
from hub.core.callback_url import resolve_callback

MAX_CALLS: Final = 5
SECONDS: Final = 10.0  # of one call
MAX_ANSWER: Final = 64 * 1024
_SERVE: Final = "start it: answerback-hub serve, or systemctl start answerback-hub"


async def prove(config: HubConfig, name: str, now: float) -> list[Finding]:
    """What was found; raises UserError where there is no such inlet."""
    if name not in config.inlets:
        known = ", ".join(sorted(config.inlets)) or "none"
        raise UserError(f"there is no inlet {name[:64]}", f"there are: {known} (answerback-hub inlet list)")
    try:
        inlet = build_inlets(replace(config, inlets={name: config.inlets[name]}))[name]
    except UserError as error:
        return [Finding("keys", "bad", error.problem, error.cure)]
    found = [Finding("keys", "ok", f"{inlet.platform.kind}: keys and secrets are of the right form")]
    async with open_session(connections=2, per_host=1, seconds=SECONDS) as session:
        found += [finding async for finding in _delivery(session, config, inlet, now)]
        found += [finding async for finding in _account(session, inlet, now)]
    if len(found) == 1:
        cure = "write a message there, and see `answerback-hub inlet list`"
        found.append(Finding("delivery", "unknown", "only the chat itself can sign a delivery of this inlet", cure))
    return found


async def _delivery(
    session: aiohttp.ClientSession, config: HubConfig, inlet: Inlet, now: float
) -> AsyncIterator[Finding]:
    example = inlet.platform.example(now) if isinstance(inlet.platform, MakesExample) else None
    if example is None:
        return
    try:
        inlet.platform.receive(example, now)
    except (NotAuthentic, BadBody) as error:
        yield Finding("delivery", "bad", f"our own delivery is refused: {error}", "see the inlet's secrets")
        return
    listen, tls = local_address(config.http.listen), webhook_context(config)
    url = f"{'http' if tls is None else 'https'}://{listen}/webhook/{inlet.name}"
    url += f"?{urlencode(example.query)}" if example.query else ""
    call = HttpCall(url, example.body, _headers(example), example.method)
    try:
        answer, _ = await make_call(session, call, MAX_ANSWER, tls=tls)
    except FAILURES as error:
        yield Finding("delivery", "bad", f"no hub took it at {listen}: {describe_failure(error, SECONDS)}", _SERVE)
        return
    yield _judged(inlet.name, answer)


def _headers(example: WebhookRequest) -> dict[str, str]:
    return {"Content-Type": "application/json", **{name.title(): value for name, value in example.headers.items()}}


def _judged(name: str, answer: HttpResponse) -> Finding:
    told = _json(answer.body)
    if 200 <= answer.status < 300:
        number = told.get("number")
        as_request = f" as r{number}, of somebody whom nobody knows" if isinstance(number, int) else ""
        return Finding("delivery", "ok", f"the running hub took a signed delivery{as_request}")
    said = clean(str(told.get("message") or f"status {answer.status}"), limit=300)
    if told.get("error") == "unknown_inlet":
        return Finding("delivery", "bad", f"the running hub has no inlet {name} yet", RELOAD)
    if answer.status == 401:
        return Finding("delivery", "bad", f"the running hub refused it: {said}", f"if secrets changed, {RELOAD}")
    return Finding("delivery", "bad", f"the running hub refused it: {said}", "see its log")


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


async def _account(session: aiohttp.ClientSession, inlet: Inlet, now: float) -> AsyncIterator[Finding]:
    platform = inlet.platform
    call = platform.who_am_i(now) if isinstance(platform, Identifies) else None
    if call is None or not isinstance(platform, Identifies):
        return
    for _ in range(MAX_CALLS):
        target = resolve_callback(call.url, inlet.reply_hosts)
        if isinstance(target, str):
            yield Finding("account", "bad", target, "see the inlet's table in hub.toml")
            return
        try:
            answer, _ = await make_call(session, call, MAX_ANSWER)
        except FAILURES as error:
            yield Finding(
                "account",
                "bad",
                f"{target.authority}: {describe_failure(error, SECONDS)}",
                "see whether this machine reaches it",
            )
            return
        match platform.read_identity(call, answer, now):
            case NextCall(call):
                pass
            case DeliveryFailed(reason):
                yield Finding("account", "bad", f"{target.authority}: {reason}", "see the token and its scopes")
                return
            case str(who):
                yield Finding("account", "ok", f"{target.authority} knows us as {who}")
                return
    yield Finding("account", "bad", f"still no answer after {MAX_CALLS} calls", "see the token and its scopes")
