"""The `teams` platform: an outgoing webhook of Microsoft Teams, and a Power Automate workflow for the answers.

In: `Authorization: HMAC <base64>`, HMAC-SHA256 over the raw body with the base64-decoded security token. Teams waits
five seconds for the body of the 200 and shows it as a message: it says that the request is taken, with its number.

Out: what follows is posted to the URL of a workflow ("Post to a channel when a webhook request is received"), whose
query is its credential; only its host is ever stored or told. Answers are Adaptive Cards 1.4 of rich text, which knows
no markdown and no mentions, at most 28 KB. A workflow gives no id of what it posted, so a card cannot be changed, and
an outgoing webhook hears no clicks: approvals are words.

Source: learn.microsoft.com, "Create Outgoing Webhooks" (the header is Authorization), "Create incoming webhooks with
Workflows"; adaptivecards.io, schema 1.4.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import html
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from common.catalogue import detect_language, translate
from common.config import required
from common.errors import UserError
from hub.chat.markup import Block, Code, fit_blocks, split_blocks
from hub.chat.platforms.base import (
    EXAMPLE_TEXT,
    EXAMPLE_USER,
    POST_ONLY,
    BadBody,
    BadSignature,
    Delivered,
    DeliveryFailed,
    HttpCall,
    HttpResponse,
    Ignored,
    ImmediateResponse,
    IncomingMessage,
    OutboundReply,
    PlatformKind,
    ReceiveResult,
    ReplyContent,
    Stale,
    WebhookRequest,
    result_of_status,
)
from hub.chat.platforms.fields import object_at
from hub.core import strict_json
from hub.core.callback_url import BadURL, is_loopback, parse, parse_allowed_host
from hub.core.inlet_table import InletTable

TOLERANCE: Final = 600  # seconds either way, of the time in the signed body
MAX_POST: Final = 28 * 1024 - 512  # bytes; Teams says "about 28 KB"
MAX_SAID: Final = 8_000
MAX_ID: Final = 200
HOSTS: Final = (".logic.azure.com", ".api.powerplatform.com", ".logic.azure.us", ".logic.azure.cn")

_AUTHORIZATION: Final = re.compile(r"HMAC ([0-9A-Za-z+/]{43}=)", re.ASCII | re.IGNORECASE)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MENTION: Final = re.compile(r"<at(?:\s[^<>]{0,200})?>([^<>]{0,200})</at>", re.IGNORECASE)
_BREAK: Final = re.compile(r"<br\s*/?>|</(?:p|div)>", re.IGNORECASE)
_TAG: Final = re.compile(
    r"</?(?:p|div|span|b|strong|i|em|u|s|code|pre)(?:\s[^<>]{0,500})?>", re.IGNORECASE
)  # what Teams itself writes around words; a "<" that somebody typed comes as &lt;
_SPACES: Final = re.compile(r"^ +| {2,}", re.MULTILINE)
_TEMPLATE: Final = re.compile(r"\{(?=\{(?:DATE|TIME)\()", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamsInlet(InletTable):
    """An outgoing webhook of a team; people mention it by its name."""

    secret_file: Path = required(
        "The security token that Teams shows once, mode 0600. Several, one a line, all hold while they change."
    )
    flow_file: Path = required(
        "The URL of the workflow that posts to the channel, mode 0600: whoever has it can post there."
    )


class TeamsPlatform:
    """`Platform` for `platform = "teams"`."""

    kind = "teams"
    methods = POST_ONLY
    can_update = False
    can_buttons = False
    pace = 0.5  # workflows are throttled above four posts a second

    def __init__(self, table: InletTable) -> None:
        assert isinstance(table, TeamsInlet)  # noqa: S101  of PLATFORM's own table
        self._keys = [_key(line) for line in table.secrets]
        self._lines, self.proven_by = table.secrets, b""
        self._bot = table.bot.casefold()
        lines = table.other_secrets.get("flow_file", ())
        self._flow = lines[0].decode("ascii", "replace") if lines else ""
        self._root = _root(self._flow, table.reply_hosts)
        self.hosts: tuple[str, ...] = (self._root,)

    def receive(self, request: WebhookRequest, now: float) -> ReceiveResult:
        self._verify(request)
        body = strict_json.parse(request.body)
        if not isinstance(body, dict):
            raise BadBody("the body must be a JSON object")
        if body.get("type") != "message":
            return Ignored("no message")
        sent_at = _moment(body.get("timestamp"))
        if sent_at and abs(now - sent_at) > TOLERANCE:
            raise Stale(f"the message's time is more than {TOLERANCE} s off: a replay, or the hub's clock is wrong")
        sender, room = object_at(body, "from"), _name(object_at(body, "conversation"), "id")
        user = _name(sender, "aadObjectId" if sender.get("aadObjectId") else "id")
        conversation, _, thread = room.partition(";messageid=")
        event_id = f"{conversation}/{_name(body, 'id')}"
        if len(event_id) > MAX_ID:
            event_id = hashlib.sha256(event_id.encode()).hexdigest()
        text = self._words(body.get("text"))
        language = detect_language(text)

        def respond(status: str, number: int) -> ImmediateResponse:
            key = "taken" if status == "accepted" else "taken_before"
            return _message(translate(language, key, **({"number": number} if key == "taken" else {})))

        return IncomingMessage(
            event_id, user, conversation, text, reply_url=f"{self._root}/", thread=thread, sent_at=sent_at,
            response=respond,
        )  # fmt: skip

    def example(self, now: float) -> WebhookRequest:
        """A message, as a team sends it."""
        message = {
            "type": "message",
            "id": f"{now * 1000:.0f}-{secrets.token_hex(4)}",
            "timestamp": datetime.fromtimestamp(now, UTC).isoformat(),
            "from": {"id": EXAMPLE_USER, "name": EXAMPLE_USER},
            "conversation": {"id": "19:example@thread.tacv2"},
            "text": f"<at>{self._bot}</at> {EXAMPLE_TEXT}",
        }
        body = json.dumps(message).encode()
        digest = base64.b64encode(hmac.digest(self._keys[0], body, "sha256")).decode()
        return WebhookRequest(body, {"authorization": f"HMAC {digest}"})

    def _verify(self, request: WebhookRequest) -> None:
        header = request.headers.get("authorization", "")
        if not header:
            raise BadSignature("there is no Authorization header; is this URL an outgoing webhook's?", "no_signature")
        match = _AUTHORIZATION.fullmatch(header)
        given = base64.b64decode(match[1]) if match else bytes(32)
        found = b""
        for key, line in zip(self._keys, self._lines, strict=True):  # all: timing does not reveal which one matched
            if hmac.compare_digest(hmac.digest(key, request.body, "sha256"), given):
                found = line
        if match is None or not found:
            raise BadSignature("Authorization does not fit the body; check the webhook's security token")
        self.proven_by = found

    def _words(self, text: object) -> str:
        """What was said, without the mention of the webhook; mentions of others are words."""
        if not isinstance(text, str) or len(text) > 4 * MAX_SAID:
            raise BadBody("text: must be there and be a string of bounded length")
        mentions = 0

        def mention(match: re.Match[str]) -> str:
            nonlocal mentions
            name = html.unescape(match[1]).strip()
            mentions += 1
            ours = name.casefold() == self._bot or (mentions == 1 and not match.string[: match.start()].strip())
            return " " if ours else f"@{match[1]}"

        text = _MENTION.sub(mention, _TAG.sub("", _BREAK.sub("\n", text)))
        text = html.unescape(text).replace("\r\n", "\n").replace("\u00a0", " ").strip()
        if not 1 <= len(text) <= MAX_SAID:
            raise BadBody(f"text: {len(text)} characters beside the mention, must be 1 to {MAX_SAID}")
        return text

    def render(self, reply: OutboundReply, now: float) -> HttpCall:
        return HttpCall(self._flow, card_message(reply.content).encode(), {"Content-Type": "application/json"})

    def handle_response(
        self, reply: OutboundReply, call: HttpCall, response: HttpResponse, now: float
    ) -> Delivered | DeliveryFailed:
        status = response.status
        if status in (401, 403, 404, 410):
            cure = "was it deleted, or turned off? Write the URL of a new one into flow_file"
            return DeliveryFailed(f"the workflow refuses what is posted ({status}); {cure}", "later", "300")
        return result_of_status(response)


def card_message(content: ReplyContent) -> str:
    """A reply as the JSON of a message with one Adaptive Card, within Teams' size."""
    number = content.request.number if content.request is not None else 0
    note = translate(
        content.language, "output_cut" if number else "reply_cut", **({"number": number} if number else {})
    )
    return fit_blocks(split_blocks(content.text), _card, lambda text: len(text.encode()), MAX_POST, note)[0]


def _card(blocks: Sequence[Block]) -> str:
    body: list[dict[str, Any]] = []
    for block in blocks:
        if isinstance(block, Code):
            lines = [_rich([_run(line, code=True)], first=index == 0) for index, line in enumerate(_lines(block.text))]
            body.append({"type": "Container", "style": "emphasis", "items": lines})
        elif any(span.text for span in block.spans):
            runs = [_run(span.text, code=span.code) for span in block.spans]
            body.append(_rich([_run("│ "), *runs] if block.quote else runs, first=not body))
    card = {
        "type": "AdaptiveCard",
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "version": "1.4",
        "body": body,
        "msteams": {"width": "Full"},
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return json.dumps({"type": "message", "attachments": [attachment]}, ensure_ascii=False, separators=(",", ":"))


def _lines(text: str) -> list[str]:
    """Lines of code with the spaces that a card would fold: as non-breaking ones, which come back as spaces."""
    return _SPACES.sub(lambda match: "\u00a0" * len(match[0]), text).split("\n")


def _rich(runs: list[dict[str, Any]], *, first: bool) -> dict[str, Any]:
    return {"type": "RichTextBlock", "spacing": "Default" if first else "None", "inlines": runs}


def _run(text: str, *, code: bool = False) -> dict[str, Any]:
    shown = _TEMPLATE.sub("{\u2060", text) or "\u00a0"  # {{DATE(…)}} would be replaced by Teams
    run: dict[str, Any] = {"type": "TextRun", "text": shown}
    return run | {"fontType": "Monospace"} if code else run


def _message(text: str) -> ImmediateResponse:
    return ImmediateResponse(json.dumps({"type": "message", "text": text}, ensure_ascii=False).encode())


def _key(line: bytes) -> bytes:
    try:
        key = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < 16:
        raise UserError("a line of the secret file is no security token", "write it as Teams shows it, in base64")
    return key


def _root(flow: str, reply_hosts: Sequence[str]) -> str:
    """The workflow's scheme, host and port: what may be stored and told. Raises UserError, which does not quote it."""
    cure = "paste the URL that the workflow shows after it was saved, whole, into flow_file"
    try:
        target = parse(flow)
    except BadURL:
        raise UserError("flow_file holds no URL", cure) from None
    listed = any(parse_allowed_host(entry).host == target.host for entry in reply_hosts)
    if not (listed or is_loopback(target.host) or (target.scheme == "https" and target.host.endswith(HOSTS))):
        cure += "; or list its host in reply_hosts where it is no workflow of Microsoft's"
        raise UserError("flow_file holds the URL of another host than Power Automate's", cure)
    return f"{target.scheme}://{target.authority}"


def _name(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_ID or _CONTROL.search(value):
        raise BadBody(f"{key}: must be a string of 1 to {MAX_ID} characters without control characters")
    return value


def _moment(value: object) -> float:
    """Seconds since the epoch, 0 where the message does not say."""
    if value is None:
        return 0.0
    try:
        if not isinstance(value, str) or len(value) > 40:
            raise ValueError
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError
        return moment.timestamp()
    except (ValueError, OverflowError):
        raise BadBody("timestamp: must be a moment with its zone (ISO 8601)") from None


PLATFORM: Final = PlatformKind(
    "teams",
    "Microsoft Teams",
    TeamsInlet,
    TeamsPlatform,
    setup=(
        (
            "In the channel open Workflows, choose “Post to a channel when a webhook request is received”, save it, "
            "and write the URL that it shows into flow_file.",
            "在频道中打开“工作流”，选择“收到 Webhook 请求时发布到频道”，保存后把显示的 URL 写入 flow_file。",
        ),
        (
            "In the team open Manage team > Apps > Create an outgoing webhook: as its name what `bot` says, as its "
            "callback URL {url}. A URL is taken only by HTTPS.",
            "在团队中打开 管理团队 > 应用 > 创建传出 Webhook：名称与 bot 的值相同，回调 URL 填 {url}（必须为 HTTPS）。",
        ),
        (
            "Write the security token that Teams then shows, once, into secret_file.",
            "把 Teams 随后显示（仅显示一次）的安全令牌写入 secret_file。",
        ),
        (
            "Say `@answerback help` in the channel. Whoever is not known is told the id for [people.NAME] chat.",
            "在频道中发送 `@answerback 帮助`。尚未登记的人会看到应写入 [people.NAME] chat 的标识。",
        ),
    ),
)
