"""The `matrix` platform: a bot on a homeserver. https://spec.matrix.org/v1.13/client-server-api/

In: /sync alone (`matrix_sync`), so the hub needs no open port; a webhook is refused. Out: m.room.message with HTML, in
the thread of the question; a card changes by m.replace. The transaction id of a post comes from the reply's id, so one
that is made again after a crash is the same message. Before a change the card is looked at: one that was deleted is
posted anew. Reactions of ✅ and ❌ on a card are its buttons (`matrix_events.reaction_message`).

An event has at most 65,536 bytes; texts are cut so that plain words, HTML and all around them stay below.
"""

from __future__ import annotations

import hashlib
import html
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from common.catalogue import translate
from common.config import required, setting
from common.errors import UserError
from hub.chat.buttons import buttons_of
from hub.chat.markup import Block, Code, Line, Span, fit_blocks, split_blocks
from hub.chat.platforms.base import (
    POST_ONLY,
    BadSignature,
    CardGone,
    Delivered,
    DeliveryFailed,
    DeliveryResult,
    HttpCall,
    HttpResponse,
    NextCall,
    OutboundReply,
    PlatformKind,
    ReceiveResult,
    ReplyContent,
    WebhookRequest,
    result_of_status,
)
from hub.chat.platforms.matrix_events import CARD, REACTIONS, is_event, is_user
from hub.chat.platforms.matrix_sync import TOKEN_CURE, Account, MatrixSync, failure, read_object, wait_of
from hub.chat.platforms.matrix_upload import upload_calls
from hub.chat.platforms.privacy import Sight
from hub.chat.platforms.uploads import UploadCalls, UploadFile, reader
from hub.core.callback_url import parse_api_url
from hub.core.chat_text import FENCE
from hub.core.inlet_table import InletTable

MAX_PLAIN: Final = 20_000
MAX_HTML: Final = 38_000
"""Bytes of JSON that the two forms of a text may take, of the 65,536 of an event."""
MAX_FALLBACK: Final = 200
_TOKEN: Final = re.compile(rb"[!-~]{8,1000}")
_SERVER: Final = re.compile(r"[A-Za-z0-9.\-]{1,230}(?::[0-9]{1,5})?", re.ASCII)
_ROOM: Final = re.compile(r"![!-~]{1,254}", re.ASCII)
_LOUD: Final = re.compile(r"@(?=room\b)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixInlet(InletTable):
    """A bot on a Matrix homeserver; docs/chat/matrix.md sets one up."""

    api_url: str = required("The homeserver, such as https://matrix.example.org.")
    rooms: tuple[str, ...] = setting(
        (), 'Rooms whose invitations the bot takes up, by id: "!abc:example.org". Others it does not join.'
    )
    servers: tuple[str, ...] = setting(
        (), 'Servers whose people may invite the bot into any room: "example.org". Empty: only into `rooms`.'
    )


class MatrixPlatform:
    """`Platform` for `platform = "matrix"`."""

    kind = "matrix"
    knows_repeats = True
    methods = POST_ONLY
    can_update = True
    can_buttons = False
    pace = 0.2
    outbound: MatrixSync

    def __init__(self, account: Account, origin: str) -> None:
        self._account = account
        self.hosts: tuple[str, ...] = (origin,)
        self.outbound = MatrixSync(account)

    @classmethod
    def from_table(cls, table: InletTable) -> MatrixPlatform:
        """Raises UserError."""
        assert isinstance(table, MatrixInlet)  # noqa: S101  PLATFORM says so
        root, origin = parse_api_url(table.api_url)
        if _TOKEN.fullmatch(table.secrets[0]) is None:
            raise UserError("secret_file has no access token", "write the bot's access token into it, as one line")
        for room in table.rooms:
            if _ROOM.fullmatch(room) is None:
                raise UserError(f"rooms: {room!r} is no room", "write its internal id, !…; aliases (#…) can move")
        for server in table.servers:
            if _SERVER.fullmatch(server) is None:
                raise UserError(f"servers: {server!r} is no server", "write what stands behind @name: in people's ids")
        account = Account(
            root,
            table.secrets[0].decode(),
            frozenset(table.rooms),
            frozenset(table.servers),
            (table.bot,),
            direct=table.answer != "everything",
        )
        return cls(account, origin)

    def receive(self, request: WebhookRequest, now: float) -> ReceiveResult:
        raise BadSignature("nothing comes here by webhook: the hub asks the homeserver", "outbound_only")

    def who_am_i(self, now: float) -> HttpCall:
        return self._account.call("GET", "client/v3/account/whoami")

    def read_identity(self, call: HttpCall, response: HttpResponse, now: float) -> str | DeliveryFailed:
        body = read_object(response.body) or {}
        if response.status == 200 and is_user(user := body.get("user_id")):
            return str(user)
        failed = failure(response, body)
        return DeliveryFailed(failed.reason, "refused" if failed.kind == "token" else "later")

    # ---- out

    def render(self, reply: OutboundReply, now: float) -> HttpCall:
        content = reply.content
        if reply.ref:  # is it still there?
            path = self._account.room(content.conversation, f"event/{quote(reply.ref, safe='')}")
            return self._account.call("GET", path)
        event = render_text(content)
        if is_event(content.thread):
            event["m.relates_to"] = {"rel_type": "m.thread", "event_id": content.thread, "is_falling_back": True}
            event["m.relates_to"]["m.in_reply_to"] = {"event_id": content.thread}
        elif is_event(content.in_reply_to):
            event["m.relates_to"] = {"m.in_reply_to": {"event_id": content.in_reply_to}}
        return self._send(content.conversation, f"{reply.id}-new", event)

    def _change(self, reply: OutboundReply) -> HttpCall:
        content = reply.content
        new = render_text(content)
        first = new["body"].partition("\n")[0][:MAX_FALLBACK]
        event = {
            "msgtype": new["msgtype"],
            "body": f"* {first}",  # for clients that know no changes
            "m.mentions": {},
            "m.new_content": new,
            "m.relates_to": {"rel_type": "m.replace", "event_id": reply.ref},
        }
        return self._send(content.conversation, f"{reply.id}-change", event)

    def _send(self, room: str, transaction: str, event: dict[str, Any]) -> HttpCall:
        path = self._account.room(room, f"send/m.room.message/answerback-{quote(transaction, safe='')}")
        return self._account.call("PUT", path, event)

    def removal(self, event_id: str, conversation: str, thread: str) -> HttpCall | Sight:
        """A redaction: in one's own room power level 50 is needed. The same transaction however often it is asked."""
        if not is_event(event_id):
            return "seen"
        name = hashlib.sha256(event_id.encode()).hexdigest()[:32]
        path = self._account.room(conversation, f"redact/{quote(event_id, safe='')}/answerback-removal-{name}")
        return self._account.call("PUT", path, {})

    def read_removal(self, call: HttpCall, response: HttpResponse) -> Delivered | DeliveryFailed:
        body = read_object(response.body) or {}
        if response.status == 404:
            return Delivered()
        if response.status == 403 or body.get("errcode") == "M_FORBIDDEN":
            return DeliveryFailed("the bot may not redact messages in that room", "refused")
        if body.get("errcode") == "M_LIMIT_EXCEEDED":
            wait = str(math.ceil(wait_of(response, body)))
            return DeliveryFailed("the homeserver asks to wait", "later", wait)
        return result_of_status(response)

    def upload(self, reply: OutboundReply, file: UploadFile, now: float) -> UploadCalls:
        put = self._account.call("POST", f"media/v3/upload?filename={quote(file.name, safe='')}")
        return upload_calls(self.render(reply, now), put, file, reader(self, reply, now), read_object)

    def handle_response(
        self, reply: OutboundReply, call: HttpCall, response: HttpResponse, now: float
    ) -> DeliveryResult:
        body = read_object(response.body) or {}
        if response.status == 200:
            if call.method == "GET":
                unsigned = body.get("unsigned")
                deleted = not body.get("content") or (isinstance(unsigned, dict) and "redacted_because" in unsigned)
                return CardGone("the message was deleted") if deleted else NextCall(self._change(reply))
            posted = body.get("event_id")
            return Delivered(reply.ref or (posted if isinstance(posted, str) and is_event(posted) else ""))
        if call.method == "GET" and response.status == 404:
            return CardGone("the message is not there any more")
        code = body.get("errcode")
        wait = wait_of(response, body)
        match code:
            case "M_UNKNOWN_TOKEN" | "M_MISSING_TOKEN" | "M_USER_DEACTIVATED":
                return DeliveryFailed(TOKEN_CURE, "later", "300")
            case "M_LIMIT_EXCEEDED":
                return DeliveryFailed("the homeserver asks to wait", "later", str(math.ceil(wait)))
            case "M_FORBIDDEN":
                return DeliveryFailed("the bot may not write in that room; invite it, or let it write", "refused")
            case "M_TOO_LARGE":
                return DeliveryFailed("the homeserver takes no message of that size", "refused")
        return result_of_status(response)


PLATFORM: Final = PlatformKind(
    "matrix",
    "Matrix",
    MatrixInlet,
    MatrixPlatform.from_table,
    (
        (
            "On your homeserver, make an account for the bot (Synapse: register_new_matrix_user -c homeserver.yaml), "
            "and write where the server is into the inlet as api_url.",
            "在你的 Matrix 服务器上为机器人建一个账号（Synapse：register_new_matrix_user -c homeserver.yaml），"
            "并把服务器地址写入该入口的 api_url。",
        ),
        (
            "Log the bot in once and put its access token into the inlet's secret_file; docs/chat/matrix.md has a "
            "command for it. Nothing needs to reach the hub from outside.",
            "让机器人登录一次，把得到的 access token 写入该入口的 secret_file；docs/chat/matrix.md 中有命令。"
            "无需从外部访问 hub。",
        ),
        (
            'Name who may invite the bot: servers = ["example.org"], or rooms = ["!id:example.org"]. Then invite it '
            "into a room without encryption.",
            '写明谁可以邀请机器人：servers = ["example.org"]，或 rooms = ["!id:example.org"]。'
            "然后把它邀请进一个未加密的房间。",
        ),
    ),
)


def render_text(content: ReplyContent) -> dict[str, Any]:
    """The content of a message; plain words and HTML, both within their bounds, and nobody is called by it."""
    note = translate(content.language, "reply_cut")
    blocks = [*split_blocks(content.text)]
    values = {REACTIONS[button.act]: button.value for button in buttons_of(content) if button.act in REACTIONS}
    if values:
        blocks.append(Line((Span(translate(content.language, "card_reactions")),)))
    plain, _ = fit_blocks(blocks, to_plain, _json_size, MAX_PLAIN, note)
    marked, cut = fit_blocks(blocks, to_html, _json_size, MAX_HTML, note)
    event: dict[str, Any] = {
        "msgtype": "m.text" if content.card else "m.notice",
        "body": plain,
        "format": "org.matrix.custom.html",
        "formatted_body": marked,
        "m.mentions": {},
    }
    if values and not cut:  # what is not seen whole is not approved by a reaction
        event[CARD] = values
    return event


def to_html(blocks: Sequence[Block]) -> str:
    """Blocks in the HTML that clients show. Lines that follow one another are divided by <br>."""
    parts: list[str] = []
    before: Block | None = None
    for block in blocks:
        match block:
            case Code(text):
                parts.append(f"<pre><code>{_escape(text)}\n</code></pre>")
            case Line(spans, quote=quoted):
                line = "".join(map(_span, spans))
                if isinstance(before, Line) and not (before.quote or quoted):
                    parts.append("<br>")
                parts.append(f"<blockquote>{line}</blockquote>" if quoted else line)
        before = block
    return "".join(parts)


def to_plain(blocks: Sequence[Block]) -> str:
    """Blocks as clients without HTML show them, and notifications."""
    lines: list[str] = []
    for block in blocks:
        match block:
            case Code(text):
                lines += [FENCE, text, FENCE]
            case Line(spans, quote=quoted):
                words = "".join(f"`{span.text}`" if span.code else _LOUD.sub("＠", span.text) for span in spans)
                lines.append(f"> {words}" if quoted else words)
    return "\n".join(lines)


def _span(span: Span) -> str:
    return f"<code>{_escape(span.text)}</code>" if span.code else _escape(_LOUD.sub("＠", span.text))


def _escape(text: str) -> str:
    return html.escape(text, quote=False)


def _json_size(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode("utf-8", "replace"))
