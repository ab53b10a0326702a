"""Draws docs/chat/pictures/PLATFORM.svg: `python tests/end_to_end/chats/draw_cards.py [FOLDER]` (`make chat-cards`).

One fixed request in three states on every platform: it asks for approval, it runs, it is done. The texts are composed
by the hub's own `ReplyComposer`, the payloads are what the platform's `render` makes of them, and the pictures show
those. So a picture is never nicer than the card. `test_draw_cards.py` compares the files with what is drawn now.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

ROOT: Final = Path(__file__).resolve().parents[3]
if str(ROOT) not in sys.path:  # run as a script
    sys.path.insert(0, str(ROOT))

from common.catalogue import Sentence
from common.lifecycle import JobState, RequestState
from common.plan import Plan, Step, plan_hash
from hub.chat.compose import ReplyComposer
from hub.chat.platforms.base import Delivered, HttpCall, HttpResponse, NextCall, OutboundReply, Platform, PlatformKind
from hub.chat.platforms.registry import built_in
from hub.config import HubConfig
from hub.core.approval import approval_code
from hub.core.records import Approval, Job, Reply, Request, StoredChunk
from hub.store.transaction import Txn
from tests.end_to_end.chats.card_blocks import READERS
from tests.end_to_end.chats.card_svg import Block, Buttons, State, picture

PICTURES: Final = ROOT / "docs" / "chat" / "pictures"
NOON: Final = 1_795_694_400.0  # 2026-11-26 12:00 UTC
PLAN: Final = Plan(
    (Step(("/usr/bin/git", "-C", "/srv/shop", "pull", "--ff-only"), ("web-1", "web-2"), time_limit=300),)
)
OUTPUTS: Final = {
    "web-1": b"Updating 4f1c2ab..9e0d771\nFast-forward\n cart.py | 4 ++--\n 1 file changed\n",
    "web-2": b"Already up to date.\n",
}


@dataclass(frozen=True)
class Chat:
    """An inlet of a platform, and what its chat says and answers."""

    keys: Mapping[str, Any]  # of its table in hub.toml
    answer: Mapping[str, Any]  # to each call
    conversation: str
    reply_url: str = "https://chat.example"
    thread: str = ""


CHATS: Final[Mapping[str, Chat]] = {
    "dingtalk": Chat({}, {"errcode": 0}, "cid1", reply_url="https://oapi.dingtalk.com/robot/sendBySession?session=1"),
    "discord": Chat({"public_key": "0" * 64}, {"id": "7", "channel_id": "645027906669510667"}, "645027906669510667"),
    "feishu": Chat(
        {"app_id": "cli_1", "other_secrets": {"app_secret_file": (b"app",)}},
        {"code": 0, "tenant_access_token": "t-1", "expire": 7_200, "data": {"message_id": "om_2"}},
        "oc_1",
        thread="om_1",
    ),
    "matrix": Chat(
        {"api_url": "https://chat.example"},
        {"event_id": "$card", "content": {"body": "r42"}},
        "!ops:chat.example",
    ),
    "mattermost": Chat(
        {
            "api_url": "https://chat.example",
            "callback_url": "https://hub.example/webhook/chat",
            "token_file": Path("token"),
            "other_secrets": {"token_file": (b"t" * 26,)},
        },
        {"id": "p" * 26},
        "c" * 26,
    ),
    "slack": Chat(
        {"token_file": Path("token"), "other_secrets": {"token_file": (b"xoxb-token-of-nobody",)}},
        {"ok": True, "channel": "C1", "ts": "1795694400.000100"},
        "C1",
    ),
    "teams": Chat(
        {
            "flow_file": Path("flow"),
            "other_secrets": {"flow_file": (b"https://prod-1.westeurope.logic.azure.com/workflows/1?sig=1",)},
        },
        {},
        "channel",
    ),
    "telegram": Chat({"outbound": True}, {"ok": True, "result": {"message_id": 7, "chat": {"id": -1001}}}, "-1001"),
    "wecom": Chat(
        {
            "corp_id": "ww1",
            "agent_id": 1,
            "app_secret_file": Path("app"),
            "other_secrets": {"app_secret_file": (b"app",)},
        },
        {"errcode": 0, "access_token": "t", "expires_in": 7_200, "response_code": "code-1"},
        "carol",
    ),
}
SECRETS: Final = {  # of the forms that tables ask for; nothing is signed with them
    "discord": b"discord.token.of-nobody",
    "feishu": b"verification-token",
    "matrix": b"syt_token",
    "mattermost": b"h" * 26,
    "teams": b"vqF0En+Z0ucuRTM/01o2GuhMH3hKKk/N2bOmlM31zaA=",
    "telegram": b"1:nobody-has-this-one-at-all",
    "wecom": b"token " + b"A" * 43,
}


@dataclass
class Records:
    """What of the store the composer asks for."""

    approvals_given: tuple[Approval, ...] = ()
    replies: list[Reply] = field(default_factory=list)

    def approvals(self, request_id: str) -> tuple[Approval, ...]:
        return self.approvals_given

    def chunks(self, job_id: str, *, after_seq: int = 0, limit: int = 1) -> list[StoredChunk]:
        (job,) = (job for job in jobs() if job.id == job_id)
        return [StoredChunk(job_id, 1, 1, OUTPUTS[job.agent], NOON)] if after_seq < 1 else []

    def add_reply(self, reply: Reply) -> None:
        self.replies.append(reply)


def request(chat: Chat) -> Request:
    return Request(
        id="01KAZ3NDEKTSV4RRFFQ69G5FAV",
        number=42,
        state=RequestState.ASKING,
        inlet="chat",
        event_id="e1",
        conversation=chat.conversation,
        chat_user="u1",
        person="carol",
        text="@web-1,web-2 git -C /srv/shop pull --ff-only",
        language="en",
        reply_url=chat.reply_url,
        received_at=NOON,
        plan=PLAN,
        plan_hash=plan_hash(PLAN),
        approvers=1,
        decide_by=NOON + 600,
        thread=chat.thread,
    )


def jobs() -> list[Job]:
    return [
        Job(
            id=f"01KAZ3NDEKTSV4RRFFQ69G5FA{index}",
            request_id="01KAZ3NDEKTSV4RRFFQ69G5FAV",
            person="carol",
            agent=agent,
            state=JobState.SUCCEEDED,
            step=0,
            plan_hash=plan_hash(PLAN),
            not_after=NOON + 600,
            queued_at=NOON + 30,
            started_at=NOON + 30,
            ended_at=NOON + 31,
            exit_code=0,
            duration=0.8 + index / 10,
            output_bytes=len(output),
            chunks=1,
        )
        for index, (agent, output) in enumerate(OUTPUTS.items())
    ]


def replies(chat: Chat, platform: Platform) -> list[tuple[str, Reply]]:
    """The three states with their captions, as the hub puts them into its outbox."""
    config = SimpleNamespace(
        http=SimpleNamespace(public_url=""), inlets={"chat": SimpleNamespace(updates=True)}
    )  # what the composer reads of it
    inlets: Any = {"chat": SimpleNamespace(platform=platform)}
    composer = ReplyComposer(cast(HubConfig, config), inlets)
    store = Records()
    txn = cast(Txn, store)
    asked = request(chat)
    card = composer.has_card(asked)
    composer.enqueue_reply(txn, asked, "question", "rule deploy asks for one approval", (), NOON, ("bob", "erin"))
    store.approvals_given = (Approval(asked.id, asked.plan_hash, "bob", granted=True, via="chat", at=NOON + 30),)
    runs = replace(asked, state=RequestState.WORKING, decided_at=NOON + 30)
    started = composer.enqueue_state(txn, runs, Sentence("card_started", {"number": 42}).render("en"), NOON + 30)
    if not started:  # then it is said in answer to the words
        words = replace(asked, id="01KAZ3NDEKTSV4RRFFQ69G5FAW", number=43, state=RequestState.DONE, plan=None)
        said = Sentence("approved_now", {"number": 42, "person": "bob"})
        composer.enqueue_reply(txn, words, "final", said.render("en"), (), NOON + 30)
    done = replace(runs, state=RequestState.DONE, outcome="succeeded", ended_at=NOON + 31)
    composer.enqueue_reply(txn, done, "final", "", jobs(), NOON + 31)
    how = "" if card else f" (“approve r42 {approval_code(asked)}” by bob)"
    captions = ("1. It asks for approval", f"2. It is approved, and runs{how}", "3. It is done")
    return list(zip(captions, store.replies, strict=True))


def states(kind: PlatformKind, chat: Chat) -> Iterator[State]:
    """What the chat shows: every post of each state, as far as it shows anything."""
    table = kind.table(platform=kind.name, secret_file=Path("secret"), **chat.keys)
    platform = kind.create(replace(table, secrets=(SECRETS.get(kind.name, b"a secret of some length"),)))
    read = READERS[kind.name]
    ref = ""
    last: tuple[Block, ...] = ()
    for caption, reply in replies(chat, platform):
        messages: list[tuple[Block, ...]] = []
        outbound = OutboundReply(f"{reply.request_id}.{reply.kind}", reply.url, reply.body, ref)
        call: HttpCall | None = platform.render(outbound, reply.created_at)
        while call is not None:
            if (payload := posted(call)) is not None:
                message = tuple(read(payload, reply.created_at))
                last = merged(last, message)
                messages.append(last)
            answer = HttpResponse(200, {}, json.dumps(chat.answer).encode())
            result = platform.handle_response(outbound, call, answer, reply.created_at)
            if not isinstance(result, NextCall | Delivered):
                raise TypeError(f"{kind.name}: {result}")
            call = result.call if isinstance(result, NextCall) else None
        if isinstance(result, Delivered) and result.ref:
            ref = result.ref
        yield State(caption, tuple(messages))


def merged(card: tuple[Block, ...], message: tuple[Block, ...]) -> tuple[Block, ...]:
    """A message as it is shown; where it only changes the buttons of the card before it, that card with them."""
    match message:
        case (Buttons() as buttons,):
            return (*(block for block in card if not isinstance(block, Buttons)), buttons)
    return message


def posted(call: HttpCall) -> Mapping[str, Any] | None:
    """The payload of a call that shows something; None of one that looks for something or fetches a token."""
    if call.method == "GET" or not call.body or "token" in call.url.partition("?")[0]:
        return None
    payload: dict[str, Any] = json.loads(call.body)
    content = payload.get("content")
    if payload.get("msg_type") == "interactive" or (set(payload) == {"content"} and type(content) is str):
        return cast(dict[str, Any], json.loads(content))  # a card that is a string in its post
    return payload


def draw(name: str) -> str:
    kind = built_in()[name]
    return picture(
        f"One request in {kind.title}: it asks for approval, it runs, it is done", [*states(kind, CHATS[name])]
    )


def main(folder: Path = PICTURES) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in CHATS:
        (folder / f"{name}.svg").write_text(draw(name), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
