"""The `discord` platform: a bot. https://docs.discord.com/developers/interactions/overview

In: messages, slash commands and clicks over a WebSocket that the hub opens (`discord_gateway`); or slash commands and
clicks by webhook, signed by `X-Signature-Ed25519` over X-Signature-Timestamp and the body with the application's key.
Discord sends wrong signatures on purpose and takes the address out where they are not answered 401.

Out: the first reply to a command changes the answer that its interaction was given, which can be repeated without harm;
what is said to a click, such as why it may not, is for that person's eyes alone. Later replies, those after the
interaction's fifteen minutes and those to a message go through the bot: a post has a nonce, by which Discord knows a
repeat for some minutes, and a card is changed in place. Nobody is ever mentioned (`allowed_mentions`).

2,000 UTF-16 units of content; longer text is one embed, which holds 4,096.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from common.catalogue import translate
from common.config import required, setting
from common.errors import UserError
from hub.chat.buttons import buttons_of
from hub.chat.markup import Block, Code, Line, Span, fit_blocks, split_blocks, utf16_units
from hub.chat.platforms.base import (
    POST_ONLY,
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
from hub.chat.platforms.discord_files import DiscordPictures
from hub.chat.platforms.discord_form import code_modal, submission_response
from hub.chat.platforms.discord_gateway import TOKEN_CURE, DiscordGateway
from hub.chat.platforms.discord_interaction import (
    CLICK,
    PICTURE,
    PRIVATE,
    created_at,
    interaction_call,
    read_interaction,
)
from hub.chat.platforms.discord_upload import upload_calls
from hub.chat.platforms.fields import answer_object, compact_json
from hub.chat.platforms.privacy import Sight
from hub.chat.platforms.uploads import UploadCalls, UploadFile, reader
from hub.core import strict_json
from hub.core.callback_url import parse_api_url
from hub.core.chat_text import inline_text
from hub.core.inlet_table import InletTable

GATEWAYS: Final = "discord.gg"
"""The domain of Discord's gateways; a session is resumed at a host of its own."""
TOLERANCE: Final = 300  # seconds either way
MAX_CONTENT: Final = 2_000
MAX_EMBED: Final = 4_096
TOKEN_SECONDS: Final = 14 * 60.0
"""For which an interaction's answer is changed; Discord lets it be for fifteen minutes."""
ANSWER_SECONDS: Final = 30.0
"""Within which our answer to the interaction may still be on its way to Discord."""
_ORIGINAL: Final = "/messages/@original"
_FOLLOW_UP: Final = "?wait=true"
_EPHEMERAL: Final = 64  # for the eyes of one person
_SUPPRESS_EMBEDS: Final = 4  # no previews of links in output
_STYLES: Final = {"primary": 3, "danger": 4, "plain": 2}
_SIGNATURE: Final = re.compile(r"[0-9a-f]{128}", re.ASCII | re.IGNORECASE)
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_TOKEN: Final = re.compile(rb"[A-Za-z0-9_.-]{20,200}")
_ID: Final = re.compile(r"[0-9]{1,20}", re.ASCII)
_THREAD: Final = re.compile(
    rf"(?P<application>[0-9]{{1,20}})/(?P<token>[\w.=-]{{1,500}})(?P<mark>{CLICK}|{PRIVATE}|{PICTURE})?", re.ASCII
)
_SPECIAL: Final = re.compile(r"[\\*_~`|<>\[\]]|:(?=\w+:)")
_LINE_START: Final = re.compile(r"(?P<indent>\s*(?:[0-9]{1,9})?)(?P<mark>[#+.)-])")
# Codes: https://docs.discord.com/developers/topics/opcodes-and-status-codes
_CARD_GONE: Final = frozenset({10008, 50005, 30046, 50083})  # unknown, not ours, changed too often, archived thread
_CURES: Final[dict[int, tuple[bool, str]]] = {
    # code: (permanent, what to do)
    10003: (True, "the channel was deleted"),
    50001: (False, "let the bot see the channel"),
    50013: (False, "let the bot send messages and embed links there"),
    50007: (True, "the person takes no messages from the bot"),
    160005: (False, "the thread is locked; open it again"),
}
_NO_HISTORY: Final = 160_002  # a message that the bot may not read cannot be referred to
_SLOW: Final = "300"  # seconds until the next try, where an admin has to act first


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscordInlet(InletTable):
    """A Discord application with a bot; docs/chat/discord.md sets one up."""

    secret_file: Path = required("The bot's token, of the page Bot, mode 0600. The first line is used.")
    public_key: str = setting(
        "",
        "The application's Public Key, of the page General Information: 64 hex digits; not needed where outbound.",
        ask=True,
    )
    outbound: bool = setting(
        False,
        "Whether the hub asks Discord, over its gateway, so that no port need be open; then no Interactions Endpoint "
        "URL may be set. Messages are heard as well then, not slash commands and clicks alone.",
        ask=True,
    )
    api_url: str = setting("https://discord.com/api/v10", "Where Discord's API is.")


class DiscordPlatform:
    """`Platform` for `platform = "discord"`."""

    kind = "discord"
    knows_repeats = True
    methods = POST_ONLY
    can_update = True
    can_buttons = True
    tells_deadline: Final = True
    outbound: DiscordGateway | None  # where it asks for its messages
    pace = 1.0  # five posts in five seconds into one channel

    def __init__(self, token: str, public_key: bytes | None, api_url: str, *, content: bool = True) -> None:
        """Without a key it asks; `content`: also for words that do not address the bot."""
        self._api, origin = parse_api_url(api_url)
        self.hosts: tuple[str, ...] = (origin,)
        self.pictures = DiscordPictures()
        self._token = token
        self._key = None if public_key is None else Ed25519PublicKey.from_public_bytes(public_key)
        host = urlsplit(self._api).hostname or ""
        domain = GATEWAYS if f".{host}".endswith(".discord.com") else host
        asks = public_key is None
        self.outbound = DiscordGateway(self._api, token, domain, content=content) if asks else None

    @classmethod
    def from_table(cls, table: InletTable) -> DiscordPlatform:
        """Raises UserError."""
        assert isinstance(table, DiscordInlet)  # noqa: S101  PLATFORM says so
        token = table.secrets[0]
        if _TOKEN.fullmatch(token) is None:
            raise UserError(
                "secret_file has no token of a bot",
                "reset the token on the page Bot of the developer portal, and write it without “Bot ” before it",
            )
        if table.outbound:
            return cls(token.decode(), None, table.api_url, content=table.answer != "mentions")
        if not table.public_key:
            raise UserError(
                "there is no public_key",
                "copy Public Key, 64 hex digits, from the page General Information; or write outbound = true",
            )
        if re.fullmatch(r"[0-9a-f]{64}", table.public_key, re.ASCII | re.IGNORECASE) is None:
            raise UserError("public_key is none", "copy Public Key, 64 hex digits, from the page General Information")
        return cls(token.decode(), bytes.fromhex(table.public_key), table.api_url)

    # ---- in

    def receive(self, request: WebhookRequest, now: float) -> ReceiveResult:
        self._verify(request, now)
        return read_interaction(strict_json.parse(request.body), self._api)

    def _verify(self, request: WebhookRequest, now: float) -> None:
        if self._key is None:
            raise BadSignature("this inlet asks Discord for its messages and takes none here", "outbound")
        signature = request.headers.get("x-signature-ed25519", "")
        timestamp = request.headers.get("x-signature-timestamp", "")
        if not (signature and timestamp):
            raise BadSignature("X-Signature-Ed25519 and X-Signature-Timestamp must be there", "no_signature")
        if _SIGNATURE.fullmatch(signature) is None or _TIMESTAMP.fullmatch(timestamp) is None:
            raise BadSignature("X-Signature-Ed25519 or X-Signature-Timestamp is not of Discord's form")
        try:
            self._key.verify(bytes.fromhex(signature), timestamp.encode() + request.body)
        except InvalidSignature:
            raise BadSignature("X-Signature-Ed25519 does not fit the body; check the inlet's public_key") from None
        # After the signature, so that only Discord learns about our clock.
        age = now - int(timestamp)
        if abs(age) > TOLERANCE:
            raise Stale(f"X-Signature-Timestamp is {abs(age):.0f} s off, at most {TOLERANCE} s are accepted")

    # ---- what others do not see

    def open_form(self, click: IncomingMessage, form: CodeForm) -> ImmediateResponse | HttpCall | None:
        modal = code_modal(click.user, form, to_markdown(split_blocks(form.text)))
        if modal is None or self.outbound is None:
            return modal
        found = _THREAD.fullmatch(click.thread)
        return interaction_call(self._api, click.event_id, found["token"], modal) if found is not None else None

    def is_opened(self, response: HttpResponse) -> bool:
        return self.outbound is not None and 200 <= response.status < 300

    def answer_form(self, given: CodeGiven, answer: CodeAnswer) -> ImmediateResponse:
        return submission_response(answer, escape(answer.text))

    def removal(self, event_id: str, conversation: str, thread: str) -> HttpCall | Sight:
        """An interaction is no message: others see what was typed only where its answer is theirs to see. A message
        that a person wrote is deleted with the permission Manage Messages.
        """
        found = _THREAD.fullmatch(thread)
        if found is not None:
            return "unseen" if found["mark"] else "seen"
        if not (_ID.fullmatch(event_id) and _ID.fullmatch(conversation)):
            return "seen"
        headers = {"Authorization": f"Bot {self._token}"}
        return HttpCall(f"{self._api}/channels/{conversation}/messages/{event_id}", b"", headers, "DELETE")

    def read_removal(self, call: HttpCall, response: HttpResponse) -> Delivered | DeliveryFailed:
        if 200 <= response.status < 300 or response.status == 404:
            return Delivered()
        if response.status == 403:
            return DeliveryFailed("Discord answered 403; give the bot the permission Manage Messages", "refused")
        answer = answer_object(response)
        if response.status == 429:
            return DeliveryFailed("Discord asks to wait", "later", _wait(answer, response))
        result = result_of_status(response)
        return result if isinstance(result, DeliveryFailed) else DeliveryFailed(f"Discord answered {response.status}")

    # ---- proving it; only Discord can sign a delivery

    def who_am_i(self, now: float) -> HttpCall:
        return HttpCall(f"{self._api}/users/@me", b"", {"Authorization": f"Bot {self._token}"}, "GET")

    def read_identity(self, call: HttpCall, response: HttpResponse, now: float) -> str | DeliveryFailed:
        name = answer_object(response).get("username")
        if response.status == 401:
            return DeliveryFailed(f"Discord answered 401: {TOKEN_CURE}", "refused")
        if response.status != 200 or type(name) is not str:
            return DeliveryFailed(f"the answer ({response.status}) is none of Discord's; check api_url")
        return inline_text(name, 64)

    # ---- out

    def render(self, reply: OutboundReply, now: float) -> HttpCall:
        content = reply.content
        if reply.ref:
            return self._edit(reply.ref, content)
        thread = _THREAD.fullmatch(content.thread)
        fresh = now - created_at(content.in_reply_to) < TOKEN_SECONDS
        # A notice belongs to no request: it must not take the place of the reply.
        if thread is not None and fresh and content.request is not None and not reply.lost:
            url = f"{self._api}/webhooks/{thread['application']}/{thread['token']}"
            fields, headers = _message(content), {"Content-Type": "application/json"}
            read = content.kind == "progress" and not content.card  # in the message's pictures
            if thread["mark"] not in (CLICK, PICTURE) or (thread["mark"] == PICTURE and read):
                return HttpCall(f"{url}{_ORIGINAL}", compact_json(fields), headers, "PATCH")
            if thread["mark"] == PICTURE:  # the first one takes the place of "thinking", where nothing has yet
                return HttpCall(f"{url}{_FOLLOW_UP}", compact_json(fields), headers)
            if not content.card:
                fields["flags"] |= _EPHEMERAL
                return HttpCall(f"{url}{_FOLLOW_UP}", compact_json(fields), headers)
        return self._post(reply, content)

    def _edit(self, ref: str, content: ReplyContent) -> HttpCall:
        channel, _, message = ref.partition("/")
        return self._call("PATCH", f"/channels/{channel}/messages/{message}", _message(content))

    def _post(self, reply: OutboundReply, content: ReplyContent) -> HttpCall:
        # Of a card there is one, whichever of its states was posted before the hub died.
        card = content.card and content.request is not None
        name = f"{content.request.id} {reply.lost}" if card and content.request is not None else reply.id
        nonce = hashlib.sha256(name.encode()).hexdigest()[:24]
        fields = {**_message(content), "nonce": nonce, "enforce_nonce": True}
        if not content.thread and _ID.fullmatch(content.in_reply_to):
            # In channels, where several talk at once.
            fields["message_reference"] = {"message_id": content.in_reply_to, "fail_if_not_exists": False}
        channel = content.conversation if _ID.fullmatch(content.conversation) else "0"
        return self._call("POST", f"/channels/{channel}/messages", fields)

    def _call(self, method: str, path: str, fields: dict[str, Any]) -> HttpCall:
        headers = {"Content-Type": "application/json", "Authorization": f"Bot {self._token}"}
        return HttpCall(f"{self._api}{path}", compact_json(fields), headers, method)

    def upload(self, reply: OutboundReply, file: UploadFile, now: float) -> UploadCalls:
        return upload_calls(self.render(reply, now), file, reader(self, reply, now))

    def handle_response(
        self, reply: OutboundReply, call: HttpCall, response: HttpResponse, now: float
    ) -> DeliveryResult:
        answer = answer_object(response)
        if 200 <= response.status < 300:
            ref = _ref(answer)
            if call.method == "POST" and reply.repeated and ref and reply.content.card:
                return NextCall(self._edit(ref, reply.content))  # it may be the one posted before, in an older state
            return Delivered(reply.ref or ref)
        code = answer.get("code")
        code = code if type(code) is int else 0
        words = answer.get("message")
        said = inline_text(words, 150) if type(words) is str else "no reason"
        if response.status == 429:
            return DeliveryFailed(f"Discord asks to wait: {said}", "later", _wait(answer, response))
        if call.url.endswith((_ORIGINAL, _FOLLOW_UP)) and response.status in (401, 403, 404):
            if now - created_at(reply.content.in_reply_to) < ANSWER_SECONDS:
                return DeliveryFailed("Discord does not have our answer to the interaction yet", "later", "1")
            return NextCall(self._post(reply, reply.content))
        if code == _NO_HISTORY and (fields := _unreferred(call)) is not None:
            return NextCall(replace(call, body=compact_json(fields)))
        if reply.ref and code in _CARD_GONE:
            return CardGone(said)
        if code in _CURES:
            permanent, cure = _CURES[code]
            reason = f"Discord: {said}; {cure}"
            return DeliveryFailed(reason, "gone") if permanent else DeliveryFailed(reason, "later", _SLOW)
        if response.status == 401:
            return DeliveryFailed(f"Discord answered 401: {TOKEN_CURE}", "later", _SLOW)
        if response.status >= 500 or not answer:
            return result_of_status(response)
        return DeliveryFailed(f"Discord answered {response.status}: {said} ({code})", "refused")


PLATFORM: Final = PlatformKind(
    "discord",
    "Discord",
    DiscordInlet,
    DiscordPlatform.from_table,
    (
        (
            "At https://discord.com/developers/applications create an application. Copy Public Key of General "
            "Information into the inlet as public_key, and reset the token of the page Bot into its secret_file.",
            "在 https://discord.com/developers/applications 创建应用。"
            "把 General Information 页的 Public Key 写为 public_key，在 Bot 页重置 token 并写入 secret_file。",
        ),
        (
            "Where the hub is to ask Discord, with no port open, and to hear messages too: write outbound = true, no "
            "public_key, leave Interactions Endpoint URL empty, and switch on Message Content Intent on the page Bot, "
            'unless it is to hear mentions alone (answer = "mentions").',
            "若由 hub 主动连接 Discord（无需开放端口），并接收普通消息：写 outbound = true，不写 public_key，"
            "Interactions Endpoint URL 留空，并在 Bot 页开启 Message Content Intent；"
            '若只需接收提及它的消息（answer = "mentions"），则不必开启。',
        ),
        (
            "Otherwise start the hub, then put {url} into Interactions Endpoint URL and save: Discord tries it at "
            "once, with a right and a wrong signature.",
            "否则启动 hub，然后把 {url} 填入 Interactions Endpoint URL 并保存："
            "Discord 会立即用一个正确和一个错误的签名进行测试。",
        ),
        (
            "Register the command /run with one option of text; docs/chat/discord.md has a command for it.",
            "注册带一个文本选项的命令 /run；docs/chat/discord.md 中有现成的命令。",
        ),
        (
            "On the page OAuth2 make a URL with the scopes bot and applications.commands and the permissions View "
            "Channels, Send Messages, Send Messages in Threads, Embed Links, Attach Files and Read Message History, "
            "and open it to add the bot.",
            "在 OAuth2 页生成链接：scopes 选 bot 和 applications.commands，权限选 View Channels、Send Messages、"
            "Send Messages in Threads、Embed Links、Attach Files 和 Read Message History；打开链接把机器人加入服务器。",
        ),
    ),
)


# Text


def _message(content: ReplyContent) -> dict[str, Any]:
    """The fields that a post and an edit share: an edit changes all of them."""
    footer = "" if content.deadline is None else _deadline(content, int(content.deadline))
    blocks, note = split_blocks(content.text), escape(translate(content.language, "reply_cut"))
    text = to_markdown(blocks) + footer
    cut = False
    embeds: list[dict[str, Any]] = []
    if utf16_units(text) > MAX_CONTENT:
        room = MAX_EMBED - utf16_units(footer)
        text, cut = fit_blocks(blocks, to_markdown, utf16_units, room, note)
        text, embeds = "", [{"description": text + footer}]
    # What is not seen whole is not approved by a click; its words can still be typed.
    row = [
        {"type": 2, "style": _STYLES[button.style], "label": button.label, "custom_id": button.value}
        for button in buttons_of(content)
        if not (cut and button.act == "approve")
    ]
    return {
        "content": text,
        "embeds": embeds,
        "flags": 0 if embeds else _SUPPRESS_EMBEDS,
        "allowed_mentions": {"parse": []},
        "components": [{"type": 1, "components": row}] if row else [],
    }


def _deadline(content: ReplyContent, at: int) -> str:
    """Until when, by the reader's own clock, and how long that is."""
    return "\n" + translate(content.language, "card_deadline", moment=f"<t:{at}:f> (<t:{at}:R>)")


def to_markdown(blocks: Sequence[Block]) -> str:
    """Blocks in Discord's Markdown."""
    lines = []
    for block in blocks:
        match block:
            case Code(text):
                lines.append("```\n" + text.replace("```", "'''") + "\n```")
            case Line(spans, quote):
                lines.append(("> " if quote else "") + _line(spans))
    return "\n".join(lines)


def _line(spans: Sequence[Span]) -> str:
    parts = [f"`{span.text}`" if span.code else escape(span.text) for span in spans]
    if spans and not spans[0].code:
        parts[0] = (
            _LINE_START.sub(r"\g<indent>\\\g<mark>", parts[0], count=1) if _LINE_START.match(parts[0]) else parts[0]
        )
    return "".join(parts)


def escape(text: str) -> str:
    """Text in which nothing is markup, a mention, a time or an emoji."""
    return _SPECIAL.sub(r"\\\g<0>", text)


# Responses


def _ref(answer: dict[str, Any]) -> str:
    """ "<channel>/<message>" of a posted message; "" where it is not told."""
    channel, message = answer.get("channel_id"), answer.get("id")
    if type(channel) is str and type(message) is str and _ID.fullmatch(channel) and _ID.fullmatch(message):
        return f"{channel}/{message}"
    return ""


def _unreferred(call: HttpCall) -> dict[str, Any] | None:
    """The fields of a post that referred to a message, without that; None where it did not."""
    fields = json.loads(call.body)
    return fields if fields.pop("message_reference", None) is not None else None


def _wait(answer: dict[str, Any], response: HttpResponse) -> str:
    """Whole seconds: the body says them with fractions, the header rounded up."""
    seconds = answer.get("retry_after")
    if isinstance(seconds, int | float) and 0 <= seconds < 1e9:
        return str(math.ceil(seconds))
    return response.headers.get("retry-after", "") or response.headers.get("x-ratelimit-reset-after", "")
