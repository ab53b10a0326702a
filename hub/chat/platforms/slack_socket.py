"""Slack's outbound mode: Socket Mode. Pure. https://docs.slack.dev/apis/events-api/using-socket-mode

    apps.connections.open   with the app-level token -> the URL of one connection, at some host of Slack's domain
    hello                   we are let in
    envelopes               events_api, slash_commands, interactive: what a webhook would have brought; each is
                            acknowledged by its id, also where nothing in it is for us
                            a sent modal by what its webhook would be answered, as the payload of that
    disconnect              a new connection is due; this one is heard until Slack ends it

An envelope that is not acknowledged within three seconds was not delivered: an event comes again (found as a repeat
by its ids), a command or click does not, and Slack tells the person. Of several connections each gets a part.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from hub.chat.platforms.base import BadBody, CodeGiven, HttpCall, HttpResponse, ImmediateResponse, IncomingMessage
from hub.chat.platforms.fields import answer_object, compact_json
from hub.chat.platforms.outbound import (
    FormHeard,
    Frame,
    Heard,
    OutboundCall,
    OutboundFailed,
    Socket,
    SocketCalls,
    failure_of_status,
)
from hub.chat.platforms.slack_events import read_command, read_event
from hub.chat.platforms.slack_form import read_interaction
from hub.core import strict_json

APP_TOKEN: Final = re.compile(rb"xapp-[!-~]{8,500}")
OPEN: Final = "apps.connections.open"
LINGER: Final = 15.0
"""Seconds; Slack ends a connection about ten after its warning."""
MAX_URL: Final = 2_000
_ID: Final = re.compile(r"[!-~]{1,200}", re.ASCII)
_ERROR: Final = re.compile(r"[a-z_]{1,60}", re.ASCII)
_TOKEN_CURE: Final = "write the app-level token (xapp-…) into app_token_file"  # noqa: S105
_POLICY_CURE: Final = "a rule of the workspace forbids it; ask its admin"
_CURES: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "missing_args"),
        _TOKEN_CURE,
    ),
    "not_allowed_token_type": "app_token_file needs the app-level token (xapp-…), not another one",
    **dict.fromkeys(("missing_scope", "no_permission"), "give the app-level token the scope connections:write"),
    **dict.fromkeys(
        ("access_denied", "accesslimited", "forbidden_team", "ekm_access_denied", "enterprise_is_restricted",
         "team_access_not_granted", "org_login_required", "two_factor_setup_required"),
        _POLICY_CURE,
    ),
}  # fmt: skip
"""Errors that a person has to see to."""
_ENDS: Final[Mapping[str, OutboundFailed]] = {
    "link_disabled": OutboundFailed(
        "Socket Mode is off: switch it on in the app's settings, page Socket Mode", "token"
    ),
    "too_many_websockets": OutboundFailed("Slack refuses another connection: this app has ten of them already"),
}
"""Reasons to disconnect that a new connection does not cure."""


class SlackSocket:
    """The `SocketMode` of one app."""

    def __init__(self, api: str, token: str, domain: str) -> None:
        """`domain` is Slack's own, below which sockets are; `api` the root of its API."""
        self._api = api
        self._token = token
        self._domain = domain

    def open_call(self) -> HttpCall:
        """The call that gives the URL of a socket; the token may be in its header alone."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/x-www-form-urlencoded"}
        return HttpCall(f"{self._api}/{OPEN}", b"", headers)

    def opened(self, answer: HttpResponse) -> str:
        """The URL of a socket; raises OutboundFailed."""
        if answer.status != 200:
            raise failure_of_status(answer)
        body = answer_object(answer)
        url, error = body.get("url"), body.get("error")
        if body.get("ok") is True and type(url) is str and url.startswith(("wss://", "ws://")) and len(url) <= MAX_URL:
            return url
        if type(error) is not str or not _ERROR.fullmatch(error):
            raise OutboundFailed("Slack gave no answer that can be read; check api_url")
        if error == "ratelimited":
            after = failure_of_status(HttpResponse(429, answer.headers)).retry_after
            raise OutboundFailed("Slack asks to wait", "later", after)
        cure = _CURES.get(error)
        raise OutboundFailed(f"Slack says {error}" + (f"; {cure}" if cure else ""), "token" if cure else "later")

    def connect(self, cursor: str, now: float) -> SocketCalls:
        answer = yield OutboundCall(self.open_call())
        return Socket(self.opened(answer), domain=self._domain)

    def hear(self, frame: Frame, now: float) -> Heard:
        try:
            body = strict_json.parse(frame.encode("utf-8", "replace") if isinstance(frame, str) else frame)
        except BadBody:
            return Heard()
        if type(body) is not dict:
            return Heard()
        if body.get("type") == "disconnect":
            return _disconnected(body.get("reason"))
        envelope = body.get("envelope_id")
        if type(envelope) is not str or not _ID.fullmatch(envelope):
            return Heard()
        found = self._read(body.get("type"), body.get("payload"), now)

        def answered(answer: ImmediateResponse) -> Heard:
            return Heard(send=(_acknowledgement(envelope, answer.body),))

        if isinstance(found, CodeGiven):
            return Heard(form=FormHeard(found, answered))
        form = FormHeard(found, answered) if found is not None and found.button else None
        return Heard((found,) if found is not None else (), (_acknowledgement(envelope),), form=form)

    def _read(self, kind: Any, payload: Any, now: float) -> IncomingMessage | CodeGiven | None:
        """None for what is not for us, and for what cannot be read: it would come again as it is."""
        try:
            match kind:
                case "events_api":
                    found = read_event(payload, self._api)
                case "interactive":
                    found = read_interaction(payload, self._api)
                case "slash_commands" if type(payload) is dict:
                    form = {key: value for key, value in payload.items() if type(value) is str}
                    found = read_command(form, int(now), self._api)
                case _:
                    return None
        except BadBody:
            return None
        return found if isinstance(found, IncomingMessage | CodeGiven) else None

    def beat(self, now: float) -> Frame:
        """None is asked for: Slack pings by WebSocket's own means."""
        return ""

    def closed(self, code: int) -> OutboundFailed:
        return OutboundFailed(f"Slack ended the connection ({code})")


def _acknowledgement(envelope: str, payload: bytes = b"") -> str:
    """`payload` is JSON, or nothing."""
    carried = b',"payload":' + payload if payload else b""
    return (compact_json({"envelope_id": envelope})[:-1] + carried + b"}").decode()


def _disconnected(reason: Any) -> Heard:
    if type(reason) is str and (failed := _ENDS.get(reason)) is not None:
        raise OutboundFailed(failed.reason, failed.kind)
    return Heard(again=True, linger=LINGER)  # warning, refresh_requested, and what there may be besides
