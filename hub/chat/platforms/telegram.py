"""The `telegram` platform: a bot of the Bot API. https://core.telegram.org/bots/api

In: updates, asked for (`telegram_poll`), or posted to the webhook with `X-Telegram-Bot-Api-Secret-Token`, a constant
that does not sign the body (so repeats are known by their ids alone, see `telegram_update`). Out: sendMessage and
editMessageText in HTML, at most 4,096 UTF-16 units after entities are parsed. The bot's token is in the path of every
call; no reason and no stored address has it: the address of replies is the API's root.

Telegram has no key by which it knows a post again: where the hub dies between a post and its commit, the card is
posted once more.
"""

from __future__ import annotations

import hmac
import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from common.catalogue import translate
from common.config import required, setting
from common.errors import UserError
from hub.chat.buttons import buttons_of
from hub.chat.markup import Block, Code, Line, Span, fit_blocks, split_blocks, utf16_units
from hub.chat.platforms.base import (
    POST_ONLY,
    BadSignature,
    CardGone,
    Delivered,
    DeliveryFailed,
    DeliveryResult,
    HttpCall,
    HttpResponse,
    Ignored,
    ImmediateResponse,
    IncomingMessage,
    NextCall,
    OutboundReply,
    PlatformKind,
    ReceiveResult,
    ReplyContent,
    WebhookRequest,
    result_of_status,
)
from hub.chat.platforms.fields import answer_object, compact_json
from hub.chat.platforms.outbound import PollMode
from hub.chat.platforms.privacy import Sight
from hub.chat.platforms.telegram_files import TelegramPictures
from hub.chat.platforms.telegram_poll import TelegramPoll
from hub.chat.platforms.telegram_removal import deleted_fields, read_deletion
from hub.chat.platforms.telegram_update import Bot, click_id, read_update
from hub.chat.platforms.telegram_upload import document_fields, upload_calls
from hub.chat.platforms.uploads import UploadCalls, UploadFile, reader
from hub.core import strict_json
from hub.core.callback_url import parse_api_url
from hub.core.chat_text import inline_text, time_text
from hub.core.inlet_table import InletTable

MAX_TEXT: Final = 4_096
"""UTF-16 units of a message, entities parsed."""
MIN_SECRET: Final = 16
_TOKEN: Final = re.compile(rb"(?P<id>[0-9]{1,16}):[A-Za-z0-9_-]{20,200}")
_SECRET: Final = re.compile(rb"[A-Za-z0-9_-]{1,256}")
_NAME: Final = re.compile(r"[A-Za-z0-9_]{1,64}", re.ASCII)
_TAG: Final = re.compile(r"<[^<>]*>")
_MENTION: Final = re.compile(r"(?<![A-Za-z0-9_])@(?=\w)")
_ANSWERED: Final = re.compile(r"(?:^|/)(?P<chat>-[0-9]{1,20})/(?P<message>[0-9]{1,20})$", re.ASCII)
_NUMBER: Final = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_POSTED: Final = re.compile(rb'\{"ok":true,"result":\{"message_id":(?P<message>[0-9]{1,20})[,}]')
_GONE: Final = ("message to edit not found", "message can't be edited", "message_id_invalid", "no text in the message")
_CURES: Final = (
    # words in Telegram's description, whether it stays so, what to do
    ("message thread not found", True, "the topic was deleted"),
    ("topic_deleted", True, "the topic was deleted"),
    ("topic_closed", False, "open the topic again, or let the bot manage topics"),
    ("chat not found", True, "add the bot to the chat"),
    ("blocked by the user", True, "the person has to start the bot again"),
    ("kicked", True, "add the bot to the chat again"),
    ("not a member", True, "add the bot to the chat again"),
    ("deactivated", True, "the account is no more"),
    ("not enough rights", False, "let the bot send messages there"),
    ("chat_write_forbidden", False, "let the bot send messages there"),
    ("initiate conversation", True, "the person has to start the bot first"),
)  # fmt: skip
_SLOW: Final = "300"  # seconds until the next try, where an admin has to act first
_TOKEN_CURE: Final = "the bot's token is wrong or was revoked; write the one of @BotFather into secret_file"  # noqa: S105


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramInlet(InletTable):
    """A Telegram bot; docs/chat/telegram.md sets one up."""

    secret_file: Path = required("The bot's token from @BotFather, mode 0600. The first line is used.")
    webhook_secret_file: Path | None = setting(
        None,
        "The secret_token that setWebhook was given, mode 0600: 16 to 256 of A-Z, a-z, 0-9, _ and -. Several, one a "
        "line, all hold.",
    )
    outbound: bool = setting(
        False, "Whether the hub asks Telegram for messages, so that no port need be open; then no webhook may be set."
    )
    api_url: str = setting("https://api.telegram.org", "Where the Bot API is; another for a server of your own.")
    bot: str = setting("answerback", "The bot's username, without @: `@NAME` is left out of what it is told.")


class TelegramPlatform:
    """`Platform` for `platform = "telegram"`."""

    kind = "telegram"
    methods = POST_ONLY
    can_update = True
    can_buttons = True
    tells_deadline: Final = True
    outbound: PollMode | None  # where it asks for its messages
    pace = 1.0  # "avoid sending more than one message per second" into one chat; groups: 20 a minute, by its 429

    def __init__(self, token: str, secrets: Sequence[bytes], api_url: str, bot: str, *, outbound: bool = False) -> None:
        self._root, origin = parse_api_url(api_url)
        self._token = token
        self._secrets = tuple(secrets)
        self.proven_by = b""
        self.hosts: tuple[str, ...] = (origin,)
        self.pictures = TelegramPictures(self._root, token, self.call)
        self._bot = Bot(int(token.partition(":")[0]), bot)
        self.outbound = TelegramPoll(self._bot.id, self.call, self.read, self._learn) if outbound else None

    @classmethod
    def from_table(cls, table: InletTable) -> TelegramPlatform:
        """Raises UserError."""
        assert isinstance(table, TelegramInlet)  # noqa: S101  PLATFORM says so
        token = table.secrets[0]
        if _TOKEN.fullmatch(token) is None:
            raise UserError("secret_file has no token of a bot", "@BotFather gives one, such as 123456:ABC-DEF")
        secrets = table.other_secrets.get("webhook_secret_file", ())
        if not secrets and not table.outbound:
            cure = "write 64 hex digits into a file, name it webhook_secret_file, and give it to setWebhook"
            raise UserError("there is no webhook_secret_file", cure)
        if any(_SECRET.fullmatch(secret) is None or len(secret) < MIN_SECRET for secret in secrets):
            raise UserError(
                "a secret of webhook_secret_file is none that Telegram takes",
                f"use {MIN_SECRET} to 256 of A-Z, a-z, 0-9, _ and -",
            )
        if _NAME.fullmatch(table.bot) is None:
            raise UserError("bot is no username", "write it without @: letters, digits and _")
        return cls(token.decode(), secrets, table.api_url, table.bot, outbound=table.outbound)

    def _learn(self, name: str) -> None:
        self._bot = replace(self._bot, name=name)

    # ---- in

    def receive(self, request: WebhookRequest, now: float) -> ReceiveResult:
        self._verify(request)
        update = strict_json.parse(request.body)
        received = self.read(update)
        query = click_id(update)
        if not query:
            return received
        response = ImmediateResponse(compact_json({"method": "answerCallbackQuery", "callback_query_id": query}))
        return response if isinstance(received, Ignored) else replace(received, response=response)

    def read(self, update: Any) -> IncomingMessage | Ignored:
        """A parsed update, whichever way it came; raises BadBody."""
        return read_update(update, self._bot, self._root)

    def _verify(self, request: WebhookRequest) -> None:
        if self.outbound is not None:
            raise BadSignature("this inlet asks Telegram for its messages and takes none here", "outbound")
        given = request.headers.get("x-telegram-bot-api-secret-token", "").encode("latin-1", "replace")
        if not given:
            raise BadSignature(
                "there is no X-Telegram-Bot-Api-Secret-Token; give setWebhook the secret of webhook_secret_file",
                "no_signature",
            )
        found = b""
        for secret in self._secrets:  # all of them, so that timing does not reveal which one matched
            if hmac.compare_digest(secret, given):
                found = secret
        if not found:
            raise BadSignature(
                "X-Telegram-Bot-Api-Secret-Token is not ours; give setWebhook the secret of webhook_secret_file"
            )
        self.proven_by = found

    # ---- proving it

    def example(self, now: float) -> WebhookRequest | None:
        """An update that tells nothing."""
        if self.outbound is not None:
            return None
        headers = {"x-telegram-bot-api-secret-token": self._secrets[0].decode()}
        return WebhookRequest(compact_json({"update_id": int(now)}), headers)

    def who_am_i(self, now: float) -> HttpCall:
        return self.call("getMe", {})

    def read_identity(self, call: HttpCall, response: HttpResponse, now: float) -> str | DeliveryFailed:
        answer = _answer(response)
        if answer is None:
            return DeliveryFailed(f"the answer ({response.status}) is none of the Bot API; check api_url")
        if answer["ok"] is not True:
            return _failed(response, "it refuses", "")
        me = answer.get("result")
        name = me.get("username") if type(me) is dict else None
        if type(name) is not str:
            return DeliveryFailed("the answer does not say who the bot is")
        said = f"@{inline_text(name, 64)}"
        if self.outbound is None and name.casefold() != self._bot.name.casefold():
            return f'{said}; write bot = "{inline_text(name, 64)}" into the inlet'
        return said

    # ---- out

    def call(self, method: str, fields: Mapping[str, Any]) -> HttpCall:
        """A call of the Bot API. Its URL has the token: it is for nobody's eyes."""
        url = f"{self._root}/bot{self._token}/{method}"
        return HttpCall(url, compact_json(fields), {"Content-Type": "application/json"})

    def render(self, reply: OutboundReply, now: float) -> HttpCall:
        content = reply.content
        body = _message(content, now)
        if reply.ref:
            chat, _, message = reply.ref.rpartition("/")
            return self.call("editMessageText", {"chat_id": _chat(chat), "message_id": int(message), **body})
        return self.call("sendMessage", {**_place(content), **body})

    def upload(self, reply: OutboundReply, file: UploadFile, now: float) -> UploadCalls:
        fields = document_fields(_place(reply.content), reply.content.text)
        return upload_calls(self.call("sendDocument", fields), file, reader(self, reply, now))

    def removal(self, event_id: str, conversation: str, thread: str) -> HttpCall | Sight:
        fields = deleted_fields(event_id)
        return "unseen" if fields is None else self.call("deleteMessage", fields)

    def read_removal(self, call: HttpCall, response: HttpResponse) -> Delivered | DeliveryFailed:
        return read_deletion(response)

    def handle_response(
        self, reply: OutboundReply, call: HttpCall, response: HttpResponse, now: float
    ) -> DeliveryResult:
        answer = _answer(response)
        if answer is None:
            return result_of_status(response) if response.status >= 300 else _of_unread(reply, call, response)
        if answer.get("ok") is True:
            return Delivered(reply.ref or _ref(answer.get("result")))
        description = answer.get("description")
        said = inline_text(description, 150) if type(description) is str else "no reason"
        words = said.lower()
        if reply.ref and "message is not modified" in words:
            return Delivered(reply.ref)  # it shows this already
        if reply.ref and any(sign in words for sign in _GONE):
            return CardGone(said)
        if "can't parse entities" in words and b'"parse_mode"' in call.body:
            return NextCall(_unmarked(call))  # an older server of one's own, which does not know all tags
        parameters = answer.get("parameters")
        if type(parameters) is dict:
            if (moved := parameters.get("migrate_to_chat_id")) is not None and type(moved) is int and not reply.ref:
                return NextCall(_moved(call, moved))
            if type(after := parameters.get("retry_after")) is int and after >= 0:
                return DeliveryFailed(f"Telegram asks to wait: {said}", "later", str(after))
        return _failed(response, said, words)


PLATFORM: Final = PlatformKind(
    "telegram",
    "Telegram",
    TelegramInlet,
    TelegramPlatform.from_table,
    (
        (
            "In Telegram, write /newbot to @BotFather. Put the token that it gives into the inlet's secret_file, and "
            'the bot\'s username, without @, into the inlet as bot = "NAME".',
            "在 Telegram 中向 @BotFather 发送 /newbot。把它给出的 token 写入该入口的 secret_file，"
            '把机器人的用户名（不带 @）写为 bot = "NAME"。',
        ),
        (
            "Where Telegram is to post to the hub, write a random secret into webhook_secret_file: "
            "openssl rand -hex 32 | tr -d '\\n' > FILE",
            "若由 Telegram 推送到 hub，把一个随机密钥写入 webhook_secret_file："
            "openssl rand -hex 32 | tr -d '\\n' > FILE",
        ),
        (
            "Tell Telegram where the hub is: call setWebhook with url={url}, secret_token= the content of "
            'webhook_secret_file and allowed_updates=["message","edited_message","callback_query"]; '
            "docs/chat/telegram.md has a command that keeps the token out of the list of processes. Or write "
            "outbound = true, no webhook_secret_file, and call nothing: then the hub asks Telegram.",
            "告诉 Telegram hub 的地址：调用 setWebhook，参数为 url={url}、secret_token=（webhook_secret_file 的内容）、"
            'allowed_updates=["message","edited_message","callback_query"]；'
            "docs/chat/telegram.md 中有一条不会在进程列表里泄露 token 的命令。"
            "或者写 outbound = true，不需要 webhook_secret_file，也不必调用：由 hub 主动向 Telegram 获取消息。",
        ),
        (
            "Add the bot to the group. It hears /run, mentions and answers to it; where it is to hear everything, "
            "write /setprivacy to @BotFather and choose Disable before it is added.",
            "把机器人加入群组。它能看到 /run、提及它的消息和对它的回复；若要让它看到所有消息，"
            "请在加入之前向 @BotFather 发送 /setprivacy 并选择 Disable。",
        ),
    ),
)


def _chat(conversation: str) -> int | str:
    return int(conversation) if _NUMBER.fullmatch(conversation) else conversation


def _place(content: ReplyContent) -> dict[str, Any]:
    """Where a new message goes."""
    fields: dict[str, Any] = {"chat_id": _chat(content.conversation)}
    if _NUMBER.fullmatch(content.thread):
        fields["message_thread_id"] = int(content.thread)
    if (answered := _ANSWERED.search(content.in_reply_to)) and answered["chat"] == content.conversation:
        # In groups, where several talk at once.
        message_id = int(answered["message"])
        fields["reply_parameters"] = {"message_id": message_id, "allow_sending_without_reply": True}
    return fields


# Text


def _message(content: ReplyContent, now: float) -> dict[str, Any]:
    """The fields that a post and an edit share."""
    footer = "" if content.deadline is None else _deadline(content, content.deadline, now)
    room = MAX_TEXT - text_units(footer)
    note = translate(content.language, "reply_cut")
    text, cut = fit_blocks(split_blocks(content.text), to_html, text_units, room, note)
    fields: dict[str, Any] = {
        "text": text + footer,
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
    }
    # What is not seen whole is not approved by a tap; its words can still be typed.
    buttons = [button for button in buttons_of(content) if not (cut and button.act == "approve")]
    if buttons:
        row = [{"text": button.label, "callback_data": button.value} for button in buttons]
        fields["reply_markup"] = {"inline_keyboard": [row]}
    return fields


def _deadline(content: ReplyContent, at: float, now: float) -> str:
    """Until when, by the reader's own clock; an older app shows it in UTC."""
    shown = _escape(time_text(at, now, content.language))
    moment = f'<tg-time unix="{int(at)}" format="dt">{shown}</tg-time>'
    return "\n" + translate(content.language, "card_deadline", moment=moment)


def to_html(blocks: Sequence[Block]) -> str:
    """Blocks in Telegram's HTML. Lines of a quotation that follow one another are one quotation."""
    parts: list[str] = []
    quoted: list[str] = []
    for block in blocks:
        if quoted and not (isinstance(block, Line) and block.quote):
            parts.append(_quotation(quoted))
            quoted = []
        match block:
            case Code(text):
                parts.append(f"<pre>{_escape(text)}</pre>" if text.strip() else "")
            case Line(spans, quote=True):
                quoted.append("".join(map(_span, spans)))
            case Line(spans):
                parts.append("".join(map(_span, spans)))
    if quoted:
        parts.append(_quotation(quoted))
    return "\n".join(parts)


def _quotation(lines: Sequence[str]) -> str:
    return "<blockquote>" + "\n".join(lines) + "</blockquote>"


def _span(span: Span) -> str:
    if span.code:
        return f"<code>{_escape(span.text)}</code>"
    return _escape(_MENTION.sub("＠", span.text))  # Telegram makes a mention of every @name that is not code


def _escape(text: str) -> str:
    return html.escape(text, quote=False)


def text_units(marked: str) -> int:
    """The length of HTML as Telegram counts it: UTF-16 units, entities parsed."""
    return utf16_units(_shown(marked))


def _shown(marked: str) -> str:
    plain = _TAG.sub("", marked)
    return plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


# Responses


def _answer(response: HttpResponse) -> dict[str, Any] | None:
    """The Bot API's own answer; None for what is none."""
    found = answer_object(response)
    return found if type(found.get("ok")) is bool else None


def _ref(result: Any) -> str:
    """ "<chat>/<message>" of a posted message; "" where it is not told."""
    if type(result) is not dict or type(result.get("chat")) is not dict:
        return ""
    chat, message = result["chat"].get("id"), result.get("message_id")
    return f"{chat}/{message}" if type(chat) is int and type(message) is int else ""


def _of_unread(reply: OutboundReply, call: HttpCall, response: HttpResponse) -> DeliveryResult:
    """A 2xx whose body was cut: its beginning tells what is needed."""
    posted = _POSTED.match(response.body)
    if posted is None:
        return DeliveryFailed("the answer is none of the Bot API; check api_url", "later")
    return Delivered(reply.ref or f"{json.loads(call.body)['chat_id']}/{int(posted['message'])}")


def _unmarked(call: HttpCall) -> HttpCall:
    """The same message without markup."""
    fields = json.loads(call.body)
    fields["text"] = _shown(fields["text"])
    del fields["parse_mode"]
    return replace(call, body=compact_json(fields))


def _moved(call: HttpCall, chat: int) -> HttpCall:
    """The same message to the supergroup that the group has become; what it answers stayed behind."""
    fields = json.loads(call.body)
    fields["chat_id"] = chat
    fields.pop("reply_parameters", None)
    return replace(call, body=compact_json(fields))


def _failed(response: HttpResponse, said: str, words: str) -> DeliveryFailed:
    if response.status in (401, 404):
        return DeliveryFailed(f"Telegram answered {response.status}: {_TOKEN_CURE}", "later", _SLOW)
    for sign, permanent, cure in _CURES:
        if sign in words:
            reason = f"Telegram: {said}; {cure}"
            return DeliveryFailed(reason, "gone") if permanent else DeliveryFailed(reason, "later", _SLOW)
    later = response.status in (408, 409, 425, 429) or response.status >= 500
    after = response.headers.get("retry-after", "")
    return DeliveryFailed(f"Telegram answered {response.status}: {said}", "later" if later else "refused", after)
