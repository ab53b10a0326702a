"""The `mattermost` platform: outgoing webhooks, slash commands and clicks at one address; one card a request.

    outgoing webhook   JSON or a form with `post_id` and the webhook's `token`
    slash command      a form with `command` and the command's `token`
    click              JSON with `context`, in which our own MAC stands

With `outbound` the hub asks for its messages instead (`mattermost_socket`): then no webhook and no command has a token,
and clicks alone may come here.

Mattermost signs nothing: a token proves the sender, and the body is as good as the way it came, so use TLS. A click
comes without any proof but what we put into the button's `context` when we posted it; that stays on the server. The MAC
there is made with a key derived from the tokens, over what the button says, the channel and the thread.

A message is known by its post's id; a command and a click by their trigger's. A post carries a `pending_post_id`, by
which the server knows a repeat for half a minute, and a mark in its props, by which we find it later.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from ulid import ULID

from common.catalogue import translate
from common.text import clean
from hub.chat.buttons import Button, buttons_of, clicked_text
from hub.chat.markup import fit_blocks, split_blocks
from hub.chat.platforms.base import (
    POST_ONLY,
    BadBody,
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
from hub.chat.platforms.fields import answer_object, compact_json, string_at
from hub.chat.platforms.mattermost_config import SETUP, MattermostInlet, read_keys
from hub.chat.platforms.mattermost_fields import (
    CALLED,
    ID,
    MAX_TEXT,
    id_of,
    mac_of,
    parse_body,
    read_deletion,
    read_words,
    time_of,
    token_cure,
    trigger_of,
    trigger_time,
)
from hub.chat.platforms.mattermost_files import MattermostPictures, read_file_ids
from hub.chat.platforms.mattermost_socket import MattermostSocket
from hub.chat.platforms.mattermost_text import markdown
from hub.chat.platforms.mattermost_upload import upload_calls
from hub.chat.platforms.privacy import Sight
from hub.chat.platforms.uploads import UploadCalls, UploadFile, reader
from hub.core.callback_url import parse_api_url
from hub.core.inlet_table import InletTable

_SLOW: Final = "300"  # seconds until the next try, where an admin has to act first
_CLOCKS: Final = 300.0  # seconds that the clocks of hub and server may differ

_ERROR: Final = re.compile(r"[a-z0-9_.]{1,120}")
_OK: Final = ImmediateResponse(b"{}")
_ROOT_WRONG: Final = frozenset(
    {"api.post.create_post.root_id.app_error", "api.post.create_post.channel_root_id.app_error"}
)
_ARCHIVED: Final = "api.post.create_post.can_not_post_to_deleted.error"


class MattermostPlatform:
    """`Platform` for `platform = "mattermost"`."""

    kind = "mattermost"
    knows_repeats = True
    methods = POST_ONLY
    can_update = True
    can_buttons = True  # with callback_url
    pace = 0.0
    outbound: MattermostSocket | None  # where it asks for its messages

    def __init__(self, table: InletTable) -> None:
        """Raises UserError."""
        assert isinstance(table, MattermostInlet)  # noqa: S101  registered with this table
        keys = read_keys(table)
        self._tokens = keys.tokens
        self.proven_by = b""
        self._keys = tuple(hmac.digest(key, b"answerback mattermost button 1", "sha256") for key in keys.signing)
        self._signing = keys.signing
        self._bearer = keys.bearer
        self._refused = token_cure(keys.bearer_file)
        self._callback = keys.callback
        self._bot = table.bot
        self._root, host = parse_api_url(table.api_url)
        self._posts = f"{self._root}/api/v4/posts"
        self.hosts: tuple[str, ...] = (host,)
        self.pictures = MattermostPictures(self._root, self._call)
        self.can_buttons = bool(self._callback)
        self.outbound = MattermostSocket(self._root, self._bearer, self._bot) if table.outbound else None

    # ---- in

    def receive(self, request: WebhookRequest, now: float) -> ReceiveResult:
        proven = self._header_token(request)
        try:
            body = parse_body(request)
        except BadBody as error:
            if proven:
                raise
            raise BadSignature(f"no token can be read from the body: {error}", "no_signature") from None
        if type(body) is dict and "context" in body:
            return self._click(body)
        if not self._tokens:
            raise BadSignature(
                "this inlet hears its messages by Mattermost's WebSocket and takes none here", "outbound"
            )
        token = body.get("token") if type(body) is dict else None
        if type(token) is not str or not self._is_token(token.encode("utf-8", "replace")):
            raise BadSignature(
                "the token is not one of secret_file; copy the token of the webhook or command in Mattermost into it"
            )
        if "command" in body:
            return self._command(body, now)
        return self._message(body)

    def _header_token(self, request: WebhookRequest) -> bool:
        """Whether the Authorization header of a slash command has one of our tokens; raises BadSignature where it has
        another one.
        """
        header = request.headers.get("authorization", "")
        if not header.startswith("Token "):
            return False
        if not self._is_token(header[6:].strip().encode("utf-8", "replace")):
            raise BadSignature("the token in Authorization is not one of secret_file")
        return True

    def _is_token(self, token: bytes) -> bool:
        found = b""
        for ours in self._tokens:  # all of them, so that timing does not reveal which one matched
            if hmac.compare_digest(ours, token):
                found = ours
        self.proven_by = found or self.proven_by
        return bool(found)

    def _message(self, body: Mapping[str, Any]) -> ReceiveResult:
        """What an outgoing webhook tells of: a post in a public channel."""
        post, user = id_of(body, "post_id"), id_of(body, "user_id")
        channel = id_of(body, "channel_id")
        if string_at(body, "user_name", 200, default="").casefold() == self._bot.casefold():
            return Ignored("the bot's own words")
        text, mentioned = read_words(
            string_at(body, "text", MAX_TEXT), string_at(body, "trigger_word", 200, default=""), self._bot
        )
        pictures = read_file_ids(body, post)
        if not text and not pictures:
            return Ignored("a message without words")
        return IncomingMessage(
            event_id=post,
            user=user,
            conversation=channel,
            text="" if text == CALLED and pictures else text,
            pictures=pictures,
            reply_url=self._root,
            thread=post,  # or what that post replies to: the server says so when we post
            sent_at=time_of(body),
            addressed=mentioned,
            response=_OK,
        )

    def _command(self, body: Mapping[str, Any], now: float) -> ReceiveResult:
        root = id_of(body, "root_id") if body.get("root_id") else ""
        text, _ = read_words(string_at(body, "text", MAX_TEXT, default=""), "", self._bot)
        return IncomingMessage(
            event_id=f"cmd:{trigger_of(body)}",
            user=id_of(body, "user_id"),
            conversation=id_of(body, "channel_id"),
            text=text or "help",
            reply_url=self._root,
            thread=root,
            sent_at=trigger_time(body) or now,
            response=_OK,  # nothing: what was typed, and it may have been a code, stays with the person
        )

    def _click(self, body: Mapping[str, Any]) -> ReceiveResult:
        context = body.get("context")
        value, thread, mac = (
            (context.get("value"), context.get("thread"), context.get("mac")) if type(context) is dict else (None,) * 3
        )
        channel, user, post = id_of(body, "channel_id"), id_of(body, "user_id"), id_of(body, "post_id")
        if not (type(value) is str and type(thread) is str and type(mac) is str):
            raise BadSignature("this click has no context of ours", "no_signature")
        found = b""
        for key, line in zip(self._keys, self._signing, strict=True):
            expected = mac_of(key, "click", value, channel, thread)
            if hmac.compare_digest(expected.encode(), mac.encode("utf-8", "replace")):
                found = line
        if not found:
            raise BadSignature("this click's context is not ours, or of before the tokens in secret_file were changed")
        self.proven_by = found
        text = clicked_text(value)
        if text is None:
            return Ignored("a button that is not ours")
        return IncomingMessage(
            event_id=f"click:{trigger_of(body)}",
            user=user,
            conversation=channel,
            text=text,
            reply_url=self._root,
            thread=thread or post,
            sent_at=trigger_time(body),
            button=True,
            response=_OK,
        )

    # ---- the proof of an inlet

    def example(self, now: float) -> WebhookRequest | None:
        """The bot's own words, which are proven and ignored: no made-up person and channel would take an answer."""
        if not self._tokens:
            return None
        name = mac_of(b"example", str(now))[:26]
        body = {"token": self._tokens[0].decode("ascii", "replace"), "user_name": self._bot, "text": "hello"}
        body |= dict.fromkeys(("post_id", "user_id", "channel_id"), name)
        return WebhookRequest(json.dumps(body).encode(), {"content-type": "application/json"})

    def who_am_i(self, now: float) -> HttpCall:
        return self._call("GET", f"{self._root}/api/v4/users/me")

    def read_identity(self, call: HttpCall, response: HttpResponse, now: float) -> str | DeliveryFailed:
        if response.status == 401:
            return DeliveryFailed(self._refused, "refused")
        result = result_of_status(response)
        if isinstance(result, DeliveryFailed):
            return result
        name = answer_object(response).get("username")
        if not isinstance(name, str):
            return DeliveryFailed("this is no Mattermost; check api_url", "refused")
        return clean(name, limit=100)

    # ---- out

    def render(self, reply: OutboundReply, now: float) -> HttpCall:
        if reply.ref:
            return self._patch(reply, reply.ref)
        if reply.repeated and not reply.lost and _key(reply):
            return self._look_up(reply)
        return self._post(reply, reply.content.thread)

    def _post(self, reply: OutboundReply, root: str) -> HttpCall:
        body = self._body(reply) | {"channel_id": reply.content.conversation}
        if root:
            body["root_id"] = root
        if key := _key(reply):
            # With the root: the server holds the first try's id for a while, also where that was refused for its root.
            body["pending_post_id"] = f"answerback:{self._mark(f'{key} {root}')}"
        return self._call("POST", self._posts, body)

    def _patch(self, reply: OutboundReply, post: str) -> HttpCall:
        return self._call("PUT", f"{self._posts}/{post}/patch", self._body(reply))

    def _look_up(self, reply: OutboundReply) -> HttpCall:
        """The thread, or what was posted in the channel since the request where there is none."""
        content = reply.content
        if content.thread:
            return self._call("GET", f"{self._posts}/{content.thread}/thread")
        since = ULID.from_str(reply.id.partition(".")[0]).timestamp - _CLOCKS
        return self._call("GET", f"{self._root}/api/v4/channels/{content.conversation}/posts?since={int(since * 1000)}")

    def _body(self, reply: OutboundReply) -> dict[str, Any]:
        content = reply.content
        note = translate(content.language, "reply_cut")
        message, _ = fit_blocks(split_blocks(content.text), markdown, len, MAX_TEXT, note)
        buttons = [self._button(button, content) for button in buttons_of(content)] if self._callback else []
        props: dict[str, Any] = {"attachments": [{"fallback": "", "actions": buttons}] if buttons else []}
        if key := _key(reply):
            props["answerback"] = self._mark(key)
        return {"message": message, "props": props}

    def _button(self, button: Button, content: ReplyContent) -> dict[str, Any]:
        mac = mac_of(self._keys[0], "click", button.value, content.conversation, content.thread)
        context = {"value": button.value, "thread": content.thread, "mac": mac}
        style = "default" if button.style == "plain" else button.style
        integration = {"url": self._callback, "context": context}
        return {"id": button.act, "type": "button", "name": button.label, "style": style, "integration": integration}

    def _mark(self, key: str) -> str:
        """What a post of ours is recognised by; nobody else can make one up."""
        return mac_of(self._keys[0], "post", key)[:32]

    def _call(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> HttpCall:
        headers = {"Authorization": f"Bearer {self._bearer}"}
        if body is None:
            return HttpCall(url, b"", headers, method)
        data = compact_json(body)
        return HttpCall(url, data, headers | {"Content-Type": "application/json"}, method)

    def upload(self, reply: OutboundReply, file: UploadFile, now: float) -> UploadCalls:
        put = self._call("POST", f"{self._root}/api/v4/files?channel_id={reply.content.conversation}", {})
        return upload_calls(self.render(reply, now), put, file, reader(self, reply, now))

    def handle_response(
        self, reply: OutboundReply, call: HttpCall, response: HttpResponse, now: float
    ) -> DeliveryResult:
        result = result_of_status(response)
        answer = answer_object(response)
        error = answer.get("id") if response.status >= 400 else ""
        error = error if isinstance(error, str) and _ERROR.fullmatch(error) else ""
        if response.status == 401:
            return DeliveryFailed(self._refused, "later", _SLOW)
        if response.status == 429 or response.status >= 500:
            after = response.headers.get("retry-after", "") or response.headers.get("x-ratelimit-reset", "")
            return DeliveryFailed(f"Mattermost answered {response.status}", "later", after)
        if call.method == "GET":
            return self._found(reply, call, answer)
        if isinstance(result, Delivered):
            post = answer.get("id")
            return Delivered(post if isinstance(post, str) and ID.fullmatch(post) else reply.ref)
        return self._failed(reply, call, response.status, error)

    def removal(self, event_id: str, conversation: str, thread: str) -> HttpCall | Sight:
        """What a command or a click says is seen by nobody else."""
        return self._call("DELETE", f"{self._posts}/{event_id}") if ID.fullmatch(event_id) else "unseen"

    def read_removal(self, call: HttpCall, response: HttpResponse) -> Delivered | DeliveryFailed:
        return read_deletion(response)

    def _found(self, reply: OutboundReply, call: HttpCall, answer: Mapping[str, Any]) -> DeliveryResult:
        """A post that was looked for, or the thread that a post is to go into. What cannot be looked for is posted."""
        posts = answer.get("posts")
        entries = [post for post in posts.values() if isinstance(post, dict)] if isinstance(posts, dict) else []
        mark = self._mark(_key(reply)) if _key(reply) else None
        for post in entries:
            props, name = post.get("props"), post.get("id")
            mine = isinstance(props, dict) and mark is not None and props.get("answerback") == mark
            if mine and isinstance(name, str) and ID.fullmatch(name) and not post.get("delete_at"):
                return NextCall(self._patch(reply, name)) if reply.content.card else Delivered()
        thread = reply.content.thread
        if call.url == f"{self._posts}/{thread}":
            # The thread was refused: that post is an answer itself, or is gone.
            root = answer.get("root_id")
            return NextCall(self._post(reply, root if isinstance(root, str) and ID.fullmatch(root) else ""))
        return NextCall(self._post(reply, thread))

    def _failed(self, reply: OutboundReply, call: HttpCall, status: int, error: str) -> DeliveryResult:
        said = f"Mattermost answered {status}" + (f" ({error})" if error else "")
        if call.method == "PUT":
            # 404 deleted, 403 not ours or not any more, 400 too old to edit
            return CardGone(said) if reply.ref else NextCall(self._post(reply, reply.content.thread))
        if error in _ROOT_WRONG:
            root = json.loads(call.body).get("root_id", "")
            if root == reply.content.thread:
                return NextCall(self._call("GET", f"{self._posts}/{root}"))
            return NextCall(self._post(reply, ""))
        if error == _ARCHIVED:
            return DeliveryFailed(f"{said}; the channel is archived", "gone")
        if status in (403, 404):
            return DeliveryFailed(f"{said}; add the bot to the team and the channel", "gone")
        return DeliveryFailed(said, "refused")


def _key(reply: OutboundReply) -> str:
    """What a post is recognised by: a request has one card, whichever of its states was posted first. "" where the
    reply belongs to no request.
    """
    request, _, _ = reply.id.partition(".")
    return request if not request or reply.content.card else reply.id


PLATFORM: Final = PlatformKind(
    "mattermost",
    "Mattermost",
    MattermostInlet,
    MattermostPlatform,
    setup=SETUP,
)
