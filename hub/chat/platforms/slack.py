"""The `slack` platform: events, slash commands and clicks at one address, each told by its form; one card a request.

    events          JSON: url_verification, app_mention, message (Events API)
    slash command   a form with `command`
    click           a form with `payload`, JSON of type block_actions; of a sent modal, view_submission

Or all of it comes over a WebSocket that the hub opens (`slack_socket`), and no webhook is taken.

Webhooks are signed alike: `X-Slack-Signature: v0=<hex HMAC-SHA256 of "v0:<timestamp>:<body>">` with the app's
signing secret, at most five minutes old (Slack, "Verifying requests from Slack").

A message is known by (channel, ts), which its `app_mention` and its `message` event share; a repeat by Slack
(X-Slack-Retry-Num) is one by that as well. What a click did is seen on the card; a refusal of it is said to the one who
clicked alone (chat.postEphemeral). Slack knows no idempotency key, so a post carries our id as message metadata, and a
post that may have been made before is looked for there first.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from ulid import ULID

from common.catalogue import translate
from common.config import required, setting
from common.errors import UserError
from common.text import clean
from common.times import format_moment, utc
from hub.chat.buttons import Button, buttons_of
from hub.chat.markup import fit_blocks, split_blocks
from hub.chat.platforms.base import (
    BadBody,
    BadSignature,
    CardGone,
    CodeGiven,
    Delivered,
    DeliveryFailed,
    DeliveryResult,
    HttpCall,
    HttpResponse,
    ImmediateResponse,
    IncomingMessage,
    NextCall,
    OutboundReply,
    PlatformKind,
    ReceiveResult,
    ReplyContent,
    Stale,
    WebhookRequest,
    result_of_status,
)
from hub.chat.platforms.code_form import CodeAnswer, CodeForm
from hub.chat.platforms.fields import answer_object, compact_json
from hub.chat.platforms.outbound import OutboundFailed
from hub.chat.platforms.privacy import Sight
from hub.chat.platforms.slack_events import ID, OK, TS, read_command, read_event
from hub.chat.platforms.slack_files import SlackPictures
from hub.chat.platforms.slack_form import code_view, read_interaction, submission_response
from hub.chat.platforms.slack_setup import SETUP
from hub.chat.platforms.slack_socket import APP_TOKEN, OPEN, SlackSocket
from hub.chat.platforms.slack_text import escape, notification, plain_mrkdwn, rich_text
from hub.chat.platforms.slack_upload import SlackApi, file_host, upload_calls
from hub.chat.platforms.uploads import UploadCalls, UploadFile
from hub.core import strict_form, strict_json
from hub.core.callback_url import parse_api_url
from hub.core.inlet_table import InletTable

TOLERANCE: Final = 300  # seconds either way
MIN_SECRET: Final = 16
MAX_BLOCKS: Final = 10_000
"""Characters of the rich text's JSON. Slack documents no bound of it and refuses messages from about 13,000 on."""
MAX_PLAIN: Final = 3_900  # characters of `text`; Slack advises 4,000
HISTORY: Final = 100  # messages that a post is looked for in
_SLOW: Final = "300"  # seconds until the next try, where an admin has to act first

_SIGNATURE: Final = re.compile(r"v0=[0-9a-f]{64}")
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_TOKEN: Final = re.compile(rb"xox[a-z]-[!-~]{8,500}")
_ERROR: Final = re.compile(r"[a-z_]{1,60}")
_CARD_GONE: Final = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "channel_not_found"})
_BAD_BLOCKS: Final = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long"})
_NOT_THERE: Final = frozenset({"not_in_channel", "channel_not_found"})
_NO_THREAD: Final = frozenset({"thread_not_found", "cannot_reply_to_message"})
_CURES: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired"),
        "write the app's bot token (xoxb-…) into the inlet's token_file",
    ),
    "missing_scope": "give the app the scopes of docs/chat/slack.md and install it again",
    "not_allowed_token_type": "token_file needs the bot token (xoxb-…), not another one",
}
"""Errors that an admin has to see to; the reply waits."""
_GONE: Final[Mapping[str, str]] = {
    "not_in_channel": "invite the bot into the channel",
    "channel_not_found": "invite the bot into the channel",
    "is_archived": "the channel is archived",
    "restricted_action": "a preference of the workspace forbids the bot to post there",
    "user_not_in_channel": "the person has left the channel",
}
_LATER: Final = frozenset({"ratelimited", "rate_limited", "fatal_error", "internal_error", "service_unavailable",
                           "request_timeout", "team_added_to_org", "message_limit_exceeded"})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackInlet(InletTable):
    """An inlet of Slack."""

    secret_file: Path | None = setting(
        None,
        "The app's signing secret (Basic Information, App Credentials), mode 0600. Several, one a line, all hold. Not "
        "needed with app_token_file.",
    )
    app_token_file: Path | None = setting(
        None,
        "The app-level token, xapp-…  (Basic Information, scope connections:write), mode 0600: then the hub asks Slack "
        "over Socket Mode, and no port need be open.",
    )
    token_file: Path = required("The app's bot token, xoxb-…  (OAuth & Permissions), mode 0600.")
    api_url: str = setting("https://slack.com/api", "Where Slack's API is; GovSlack: https://slack-gov.com/api")


class SlackPlatform:
    """`Platform` for `platform = "slack"`."""

    kind = "slack"
    knows_repeats = True
    methods = frozenset({"GET", "POST"})  # GET: Slack looks at the certificate
    can_update = True
    can_buttons = True
    tells_deadline: Final = True
    outbound: SlackSocket | None  # where it asks for its messages
    pace = 1.0  # "no more than one message per second per channel"

    def __init__(self, table: InletTable) -> None:
        """Raises UserError."""
        assert isinstance(table, SlackInlet)  # noqa: S101  registered with this table
        tokens, app_tokens = (table.other_secrets.get(key, ()) for key in ("token_file", "app_token_file"))
        if not tokens or _TOKEN.fullmatch(tokens[0]) is None:
            raise UserError("token_file holds no token of Slack", "write the bot token into it, xoxb-… on one line")
        if app_tokens and APP_TOKEN.fullmatch(app_tokens[0]) is None:
            raise UserError("app_token_file holds no app-level token", "write it into the file, xapp-… on one line")
        if not (table.secrets or app_tokens):
            raise UserError(
                "there is neither a signing secret nor an app-level token",
                "name secret_file for webhooks, or app_token_file for Socket Mode",
            )
        if any(len(secret) < MIN_SECRET or secret.startswith(b"xox") for secret in table.secrets):
            raise UserError(
                "secret_file holds no signing secret", "it is in the app's Basic Information, under App Credentials"
            )
        self._secrets = table.secrets
        self.proven_by = b""
        self._api, host = parse_api_url(table.api_url)
        self._token = tokens[0].decode("ascii")
        self._files = file_host(host)
        self.hosts: tuple[str, ...] = tuple({host: None, self._files: None})
        self.pictures = SlackPictures(self._api, host, self._headers)
        domain = urlsplit(self._api).hostname or ""
        self.outbound = SlackSocket(self._api, app_tokens[0].decode("ascii"), domain) if app_tokens else None

    # ---- in

    def receive(self, request: WebhookRequest, now: float) -> ReceiveResult:
        if self.outbound is not None:
            raise BadSignature("this inlet asks Slack for its messages and takes none here", "outbound")
        if _is_certificate_check(request):
            return OK
        timestamp = self._verify(request, now)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/json" or (not kind and request.body.startswith(b"{")):
            return read_event(strict_json.parse(request.body), self._api)
        if kind not in ("application/x-www-form-urlencoded", ""):
            raise BadBody("the body must be JSON or a form, as Slack sends them")
        form = strict_form.parse(request.body)
        if "payload" in form:
            return read_interaction(strict_json.parse(form["payload"].encode()), self._api)
        return read_command(form, timestamp, self._api)

    def _verify(self, request: WebhookRequest, now: float) -> int:
        """The signed timestamp; raises BadSignature and Stale."""
        given = request.headers.get("x-slack-signature", "")
        timestamp = request.headers.get("x-slack-request-timestamp", "")
        if not (given and timestamp):
            raise BadSignature(
                "X-Slack-Signature and X-Slack-Request-Timestamp must be there; is this address set in the Slack app?",
                "no_signature",
            )
        if not _TIMESTAMP.fullmatch(timestamp):
            raise BadSignature("X-Slack-Request-Timestamp must be whole seconds since the epoch")
        well_formed = _SIGNATURE.fullmatch(given) is not None
        digest = bytes.fromhex(given[3:]) if well_formed else bytes(32)
        found = b""
        for secret in self._secrets:  # all of them, so that timing does not reveal which one matched
            if hmac.compare_digest(sign(secret, timestamp, request.body), digest):
                found = secret
        if not (well_formed and found):
            raise BadSignature("X-Slack-Signature does not fit; secret_file must hold the app's signing secret")
        age = now - int(timestamp)
        if abs(age) > TOLERANCE:
            off = f"{abs(age):.0f} s {'old' if age > 0 else 'ahead'}"
            raise Stale(f"X-Slack-Request-Timestamp is {off}, at most {TOLERANCE} s are accepted; set the clock")
        self.proven_by = found
        return int(timestamp)

    # ---- what others do not see

    def open_form(self, click: IncomingMessage, form: CodeForm) -> HttpCall | None:
        view = code_view(click, form) if click.trigger else None
        return None if view is None else self._call("views.open", {"trigger_id": click.trigger, "view": view})

    def is_opened(self, response: HttpResponse) -> bool:
        return response.status == 200 and answer_object(response).get("ok") is True

    def answer_form(self, given: CodeGiven, answer: CodeAnswer) -> ImmediateResponse:
        return submission_response(answer)

    def removal(self, event_id: str, conversation: str, thread: str) -> Sight:
        """A bot deletes its own messages alone (chat.delete); slash commands and clicks are seen by nobody."""
        return "unseen" if event_id.startswith(("cmd:", "click:")) else "seen"

    def read_removal(self, call: HttpCall, response: HttpResponse) -> DeliveryFailed:
        return DeliveryFailed("Slack lets a bot delete its own messages alone", "refused")

    def is_direct(self, conversation: str, thread: str) -> bool:
        """Direct messages with the bot; several people's are channels of another kind."""
        return conversation.startswith("D")

    # ---- the proof of an inlet

    def example(self, now: float) -> WebhookRequest | None:
        if self.outbound is not None:
            return None
        body = b'{"type":"url_verification","challenge":"answerback"}'
        timestamp = str(int(now))
        headers = {
            "content-type": "application/json",
            "x-slack-request-timestamp": timestamp,
            "x-slack-signature": f"v0={sign(self._secrets[0], timestamp, body).hex()}",
        }
        return WebhookRequest(body, headers)

    def who_am_i(self, now: float) -> HttpCall:
        return self._call("auth.test", {}) if self.outbound is None else self.outbound.open_call()

    def read_identity(self, call: HttpCall, response: HttpResponse, now: float) -> str | NextCall | DeliveryFailed:
        if self.outbound is not None and call.url.endswith(f"/{OPEN}"):
            try:
                self.outbound.opened(response)
            except OutboundFailed as failed:
                return DeliveryFailed(failed.reason, "refused")
            return NextCall(self._call("auth.test", {}))
        result = result_of_status(response)
        if isinstance(result, DeliveryFailed):
            return result
        answer = answer_object(response)
        if error := _error(answer):
            cure = _CURES.get(error, "see docs/chat/slack.md")
            return DeliveryFailed(f"Slack says {error}; {cure}", "refused")
        return clean(f"{answer.get('user')} in {answer.get('team')}", limit=100)

    # ---- out

    def render(self, reply: OutboundReply, now: float) -> HttpCall:
        content = reply.content
        if reply.ref:
            return self._update(reply, reply.ref)
        if (clicked := _clicked_by(content)) is not None:
            return self._call("chat.postEphemeral", self._message(content) | {"user": clicked} | _place(content))
        if reply.repeated and not reply.lost and _key(reply):
            return self._look_up(reply)
        return self._post(reply)

    def _post(self, reply: OutboundReply) -> HttpCall:
        body = self._message(reply.content) | _place(reply.content)
        if key := _key(reply):
            body["metadata"] = {"event_type": "answerback_reply", "event_payload": {"id": key}}
        return self._call("chat.postMessage", body | {"unfurl_links": False, "unfurl_media": False})

    def _update(self, reply: OutboundReply, ref: str) -> HttpCall:
        channel, _, ts = ref.partition(":")
        return self._call("chat.update", self._message(reply.content) | {"channel": channel, "ts": ts, "parse": "none"})

    def _look_up(self, reply: OutboundReply) -> HttpCall:
        """The messages since the request, in its thread where it has one."""
        content = reply.content
        since = ULID.from_str(reply.id.partition(".")[0]).timestamp - TOLERANCE
        thread = _place(content).get("thread_ts", "")
        query = {"channel": content.conversation, "oldest": f"{since:.6f}", "limit": HISTORY}
        query |= {"include_all_metadata": "true"} | ({"ts": thread} if thread else {})
        method = "conversations.replies" if thread else "conversations.history"
        return HttpCall(f"{self._api}/{method}?{urlencode(query)}", b"", self._headers(), "GET")

    def _call(self, method: str, body: Mapping[str, Any]) -> HttpCall:
        data = compact_json(body)
        headers = self._headers() | {"Content-Type": "application/json; charset=utf-8"}
        return HttpCall(f"{self._api}/{method}", data, headers)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    def _message(self, content: ReplyContent) -> dict[str, Any]:
        parts = split_blocks(content.text)
        note = translate(content.language, "reply_cut")
        elements, _ = fit_blocks(parts, rich_text, len, MAX_BLOCKS, note)
        blocks: list[dict[str, Any]] = [{"type": "rich_text", "elements": json.loads(elements)}]
        if content.deadline is not None:
            blocks.append({"type": "context", "elements": [_deadline(content, content.deadline)]})
        if buttons := [_button(button) for button in buttons_of(content)]:
            blocks.append({"type": "actions", "elements": buttons})
        return {"text": notification(parts), "blocks": blocks}

    def upload(self, reply: OutboundReply, file: UploadFile, now: float) -> UploadCalls:
        content = reply.content
        earlier = self._look_up(reply) if reply.repeated and _key(reply) else None
        api = SlackApi(self._api, self._files, self._headers(), _judge)
        return upload_calls(content, file, _place(content), api, earlier)

    def handle_response(
        self, reply: OutboundReply, call: HttpCall, response: HttpResponse, now: float
    ) -> DeliveryResult:
        method = call.url.removeprefix(f"{self._api}/").partition("?")[0]
        answer = answer_object(response)
        error, failed = _judge(response)
        looking = method.startswith("conversations.")
        if failed is not None and not (looking and error == "missing_scope"):
            return failed
        if looking:
            return self._found(reply, answer)
        if not error:
            channel, ts = answer.get("channel"), answer.get("ts")
            named = isinstance(channel, str) and isinstance(ts, str) and ID.fullmatch(channel) and TS.fullmatch(ts)
            return Delivered(f"{channel}:{ts}" if named else "")
        return self._failed(reply, call, method, error)

    def _found(self, reply: OutboundReply, answer: Mapping[str, Any]) -> DeliveryResult:
        """The post is made, unless it is among these messages. What cannot be looked for is posted."""
        messages = answer.get("messages")
        for message in messages if isinstance(messages, list) else ():
            mine = isinstance(message, dict) and isinstance(message.get("metadata"), dict)
            payload = message["metadata"].get("event_payload") if mine else None
            if isinstance(payload, dict) and payload.get("id") == _key(reply) and isinstance(message.get("ts"), str):
                if not reply.content.card:
                    return Delivered()
                return NextCall(self._update(reply, f"{reply.content.conversation}:{message['ts']}"))
        return NextCall(self._post(reply))

    def _failed(self, reply: OutboundReply, call: HttpCall, method: str, error: str) -> DeliveryResult:
        content, body = reply.content, json.loads(call.body)
        if error in _BAD_BLOCKS and body["blocks"]:
            footer = "" if content.deadline is None else f"\n{_deadline(content, content.deadline)['text']}"
            note = translate(content.language, "reply_cut")
            plain, _ = fit_blocks(split_blocks(content.text), plain_mrkdwn, len, MAX_PLAIN - len(footer), note)
            return NextCall(self._call(method, body | {"text": plain + footer, "blocks": []}))
        if method == "chat.update" and error in _CARD_GONE:
            # A card that was only looked for has no name yet that the hub could drop.
            return CardGone(f"Slack says {error}") if reply.ref else NextCall(self._post(reply))
        if method == "chat.postEphemeral" and error == "user_not_in_channel":
            return NextCall(self._post(reply))
        person = content.thread.removeprefix("@")
        if error in _NO_THREAD and "thread_ts" in body:
            return NextCall(self._call(method, {key: value for key, value in body.items() if key != "thread_ts"}))
        if error in _NOT_THERE and content.thread.startswith("@") and body["channel"] != person:
            return NextCall(self._call(method, body | {"channel": person}))
        if error == "?":
            return DeliveryFailed("Slack gave no answer that can be read", "later")
        cure = _GONE.get(error)
        return DeliveryFailed(f"Slack says {error}" + (f"; {cure}" if cure else ""), "gone" if cure else "refused")


def _error(answer: Mapping[str, Any]) -> str:
    """What went wrong: "" where nothing did, "?" where it is not told in a word."""
    said = answer.get("error")
    return "" if answer.get("ok") is True else said if isinstance(said, str) and _ERROR.fullmatch(said) else "?"


def _judge(response: HttpResponse) -> tuple[str, DeliveryFailed | None]:
    """The error of an answer as of `_error`, and the failure where it is none of this call's own."""
    result = result_of_status(response)
    if isinstance(result, DeliveryFailed):
        return "?", result
    error = _error(answer_object(response))
    if error in _CURES:
        return error, DeliveryFailed(f"Slack says {error}; {_CURES[error]}", "later", _SLOW)
    if error in _LATER:
        return error, DeliveryFailed(f"Slack says {error}", "later", response.headers.get("retry-after", ""))
    return error, None


def sign(secret: bytes, timestamp: str, body: bytes) -> bytes:
    """The digest in X-Slack-Signature."""
    return hmac.digest(secret, b"v0:%b:%b" % (timestamp.encode(), body), "sha256")


def _is_certificate_check(request: WebhookRequest) -> bool:
    """Slack looks at the certificate by a GET or POST that has ssl_check=1 and need not be signed; it does nothing."""
    if request.method == "GET":
        return request.query.get("ssl_check") == "1"
    return "x-slack-signature" not in request.headers and b"ssl_check=1" in request.body.split(b"&", 8)


def _key(reply: OutboundReply) -> str:
    """What a post is recognised by: a request has one card, whichever of its states was posted first. "" where the
    reply belongs to no request.
    """
    request, _, _ = reply.id.partition(".")
    return request if not request or reply.content.card else reply.id


def _place(content: ReplyContent) -> dict[str, str]:
    thread = content.thread
    threaded = bool(thread) and not thread.startswith("@")
    return {"channel": content.conversation, **({"thread_ts": thread} if threaded else {})}


def _clicked_by(content: ReplyContent) -> str | None:
    """Who clicked, where this is why their click did nothing; everybody may read output that was asked for."""
    kind, _, rest = content.in_reply_to.partition(":")
    act, _, rest = rest.partition(":")
    if kind != "click" or act == "more" or content.card:
        return None
    return rest.partition(":")[0]


def _button(button: Button) -> dict[str, Any]:
    label = {"type": "plain_text", "text": button.label[:75], "emoji": False}
    style = {} if button.style == "plain" else {"style": button.style}
    return {"type": "button", "action_id": button.act, "text": label, "value": button.value, **style}


def _deadline(content: ReplyContent, until: float) -> dict[str, Any]:
    """In each reader's own time zone ("Date formatting")."""
    date = (
        f"<!date^{int(until)}^{{date_short_pretty}} {{time}}|{escape(format_moment(until, None, utc, seconds=False))}>"
    )
    text = translate(content.language, "card_deadline", moment=date)
    return {"type": "mrkdwn", "text": text, "verbatim": True}


PLATFORM: Final = PlatformKind("slack", "Slack", SlackInlet, SlackPlatform, SETUP)
