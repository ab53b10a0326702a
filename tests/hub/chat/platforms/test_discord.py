"""The discord inlet: signed interactions in, messages and components out."""

from __future__ import annotations

import hashlib
import json
import random
import re
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from discord_interactions import verify_key
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey

from common.errors import UserError
from hub.chat.markup import Line, Span
from hub.chat.platforms.base import (
    BadBody,
    BadSignature,
    CardGone,
    Delivered,
    DeliveryFailed,
    HttpCall,
    HttpResponse,
    ImmediateResponse,
    IncomingMessage,
    NextCall,
    OutboundReply,
    ReplyContent,
    ReplyRequest,
    Stale,
    WebhookRequest,
)
from hub.chat.platforms.discord import PLATFORM, DiscordInlet, DiscordPlatform, to_markdown
from hub.chat.platforms.discord_interaction import created_at
from tests.each import each_of

SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
KEY = SigningKey(SEED)
PUBLIC = KEY.verify_key.encode()
TOKEN = "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs"
API = "https://discord.com/api/v10"
BOT = DiscordPlatform(TOKEN, PUBLIC, API)
NOW = 1_700_000_000.0


def snowflake(at: float, low: int = 7) -> str:
    return str((int((at - 1_420_070_400) * 1000) << 22) | low)


EVENT = snowflake(NOW)
ALICE = {"id": "53908232506183680", "username": "alice", "discriminator": "0"}


def command(name: str = "run", options: Any = None, **more: Any) -> dict[str, Any]:
    """A slash command, as receiving-and-responding documents it."""
    options = [{"name": "text", "type": 3, "value": "df -h on web-1"}] if options is None else options
    return {
        "id": EVENT,
        "application_id": "845027738276462632",
        "type": 2,
        "token": "A_UNIQUE_TOKEN",
        "guild_id": "290926798626357999",
        "channel_id": "645027906669510667",
        "member": {"user": ALICE, "roles": [], "permissions": "2147483647"},
        "locale": "en-US",
        "data": {"id": "771825006014889984", "name": name, "type": 1, "options": options},
        **more,
    }


def click(custom_id: Any = "approve r42 k7f2", **more: Any) -> dict[str, Any]:
    message = {"id": "846062911044321280", "channel_id": "645027906669510667"}
    return command(type=3, data={"component_type": 2, "custom_id": custom_id}, message=message, **more)


def delivery(body: Any, *, at: float = NOW, key: SigningKey = KEY) -> WebhookRequest:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    stamp = str(int(at))
    signature = key.sign(stamp.encode() + raw).signature.hex()
    return WebhookRequest(raw, {"x-signature-ed25519": signature, "x-signature-timestamp": stamp})


def said(body: dict[str, Any]) -> IncomingMessage:
    found = BOT.receive(delivery(body), NOW)
    assert isinstance(found, IncomingMessage), found
    return found


# In


@each_of(
    ("public", "stamp", "signature"),
    [
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "1700000000",
            "1695961a47c91a1ec033b819b7e87e3dbc583dd0cee6d1fd0216f58ac87b6228"
            "ae531ddbf91fb7bc28d7edf7f08604da16f54624f38a6bc0614e4dc13cd47f0f",
        ),
        (
            "dd74e21b0698ca4a6a983a7134a422d4b353611e0029dee93197d0cb57efee99",
            "1784500000",
            "19b5f25cadc7328f685e47836d3465336e3d8735a89cbecc09cdd2d362aade41"
            "4cffdee34f2968784057dc4175b8b1019f642823146ab17967e85b6a0d397109",
        ),
    ],
)
def test_a_ping_is_answered(public: str, stamp: str, signature: str) -> None:
    """Published signatures over `{"type":1}`, hex in either case; a changed bit is refused."""
    bot = DiscordPlatform(TOKEN, bytes.fromhex(public), API)
    for form in (signature, signature.upper()):
        headers = {"x-signature-ed25519": form, "x-signature-timestamp": stamp}
        found = bot.receive(WebhookRequest(b'{"type":1}', headers), float(stamp))
        assert found == ImmediateResponse(b'{"type":1}')
    with pytest.raises(BadSignature):
        bot.receive(WebhookRequest(b'{"type":2}', headers), float(stamp))


def test_signatures_are_judged_as_discords_own_package_judges_them() -> None:
    """A thousand bodies, keys and signatures, right and changed somewhere."""
    draw = random.Random(4)
    right = 0
    for _ in range(1_000):
        key = SigningKey(draw.randbytes(32))
        body = b'{"type":1,"x":"' + draw.randbytes(draw.randint(0, 20)).hex().encode() + b'"}'
        stamp = str(int(NOW))
        signature = key.sign(stamp.encode() + body).signature.hex()
        match draw.randint(0, 5):
            case 0:
                body = body.replace(b"1", b"2", 1)
            case 1:
                signature = signature[:-2] + f"{(int(signature[-2:], 16) ^ 1):02x}"
            case 2:
                signature = draw.choice(["", "zz", signature[:-1], signature + "00", "é" * 128])
            case 3:
                stamp = str(int(NOW) + 1)
        theirs = verify_key(body, signature, stamp, key.verify_key.encode().hex())
        headers = {"x-signature-ed25519": signature, "x-signature-timestamp": stamp}
        try:
            DiscordPlatform(TOKEN, key.verify_key.encode(), API).receive(WebhookRequest(body, headers), NOW)
            ours = True
        except BadSignature:
            ours = False
        assert ours == theirs
        right += ours
    assert 300 < right < 700


RIGHT = delivery(b'{"type":1}').headers["x-signature-ed25519"]


@each_of(
    ("signature", "stamp"),
    [
        ("", "1700000000"), (RIGHT, ""), ("0" * 128, "1700000000"), (RIGHT[:-1], "1700000000"),
        (RIGHT + "0", "1700000000"), (RIGHT + "\n", "1700000000"), (" " + RIGHT[1:], "1700000000"),
        (RIGHT[:64] + " " + RIGHT[65:], "1700000000"), ("é" * 128, "1700000000"), ("１" * 128, "1700000000"),
        (f"{RIGHT}, {RIGHT}", "1700000000"), (RIGHT, "1700000000.0"), (RIGHT, "+1700000000"), (RIGHT, " 1700000000"),
        (RIGHT, "1.7e9"), (RIGHT, "-1"), (RIGHT, "١٧"), (RIGHT, "9" * 5_000), (RIGHT, "now"), (RIGHT, "1700000001"),
    ],
)  # fmt: skip
def test_anything_but_the_right_signature_is_refused(signature: str, stamp: str) -> None:
    """As Discord tries it: 401, before the body is looked at, and no other exception."""
    headers = {"x-signature-ed25519": signature, "x-signature-timestamp": stamp}
    for body in (b'{"type":1}', b"\xff{"):
        if body != b"\xff{" or signature != RIGHT:
            with pytest.raises(BadSignature):
                BOT.receive(WebhookRequest(body, headers), NOW)


def test_a_signature_of_another_time_is_stale() -> None:
    """Five minutes either way; whoever has no key does not learn about our clock."""
    for seconds in (-299, 299):
        assert isinstance(BOT.receive(delivery(b'{"type":1}', at=NOW + seconds), NOW), ImmediateResponse)
    for seconds in (-302, 302, -1_700_000_000):
        with pytest.raises(Stale):
            BOT.receive(delivery(b'{"type":1}', at=NOW + seconds), NOW)
        with pytest.raises(BadSignature):
            BOT.receive(delivery(b'{"type":1}', at=NOW + seconds, key=SigningKey(b"1" * 32)), NOW)


def test_a_command_is_a_message() -> None:
    """Who and where come from the interaction, when from its id; its answer is there within the three seconds."""
    assert said(command()) == IncomingMessage(
        EVENT,
        "53908232506183680",
        "645027906669510667",
        "df -h on web-1",
        reply_url=API,
        thread="845027738276462632/A_UNIQUE_TOKEN",
        sent_at=NOW,
        response=ImmediateResponse(b'{"type":5}'),
    )
    private = command()
    del private["member"], private["guild_id"]
    assert said({**private, "user": ALICE}).user == "53908232506183680"
    assert created_at("175928847299117063") == pytest.approx(1_462_015_105.796)  # of Discord's reference on snowflakes


@each_of(
    ("name", "options", "words"),
    [
        ("run", [{"name": "text", "type": 3, "value": "  看看 web-1 😀 "}], "看看 web-1 😀"),
        ("run", [], "help"),
        ("run", [{"name": "a", "type": 3, "value": "top"}, {"name": "n", "type": 4, "value": 5}], "top 5"),
        ("help", [], "help"),
        ("approve", [{"name": "which", "type": 3, "value": "r42 k7f2"}], "approve r42 k7f2"),
        ("machine", [{"name": "drain", "type": 1, "options": [{"name": "x", "type": 3, "value": "web-1"}]}],
         "machine drain web-1"),
        ("run", [{"name": "picture", "type": 11, "value": "123"}, {"name": "t", "type": 3, "value": "read it"}],
         "read it"),
        ("status", [{"name": "all", "type": 5, "value": True}, {"name": "old", "type": 5, "value": False}],
         "status all"),
        ("ask", [{"name": "x", "type": 10, "value": 1.5}], "1.5"),
    ],
)  # fmt: skip
def test_options_are_joined(name: str, options: Any, words: str) -> None:
    """In their order; /run is not a word of its message, other commands are."""
    assert said(command(name, options)).text == words


def test_a_click_says_what_its_button_means_and_who_clicked() -> None:
    """It shows nothing by itself; a button that is not ours neither."""
    found = said(click())
    assert (found.text, found.user, found.button) == ("approve r42 k7f2", ALICE["id"], True)
    assert found.thread == "845027738276462632/A_UNIQUE_TOKEN/click"
    assert found.response == ImmediateResponse(b'{"type":6}')
    for foreign in ("approve everything", "", None, 7, "a:req_01", "approve r42 k7f2\n"):
        assert BOT.receive(delivery(click(foreign)), NOW) == ImmediateResponse(b'{"type":6}')


def test_what_is_no_command_is_answered_for_the_person_alone() -> None:
    """Menus on people and messages, forms and kinds to come: said once, in their language, to nobody else."""
    menu = command(data={"name": "Report", "type": 3, "target_id": "1"})
    for body in (menu, command(type=5), command(type=99), command(type=5, locale="zh-CN")):
        found = BOT.receive(delivery(body), NOW)
        assert isinstance(found, ImmediateResponse)
        answer = json.loads(found.body)
        assert (answer["type"], answer["data"]["flags"]) == (4, 64)
        assert answer["data"]["allowed_mentions"] == {"parse": []}
        assert ("支持" in answer["data"]["content"]) == (body["locale"] == "zh-CN")
    assert BOT.receive(delivery(command(type=4)), NOW) == ImmediateResponse(b'{"type":8,"data":{"choices":[]}}')


@each_of(
    "body",
    [
        b"", b"null", b"[]", b"{}", b"{", b"\xef\xbb\xbf{}", b"type=1", b"<xml/>", b"\x1f\x8b\x08", b"[" * 5_000,
        b'{"type":NaN}', b'{"type":1,"type":2}', b'{"type":1e400}', b'{"type":99999999999999999999}', b'{"type":"1"}',
        b'{"type":true}', {"type": 2}, command(id=5), command(id="x"), command(id="1" * 21), command(channel_id=None),
        command(member=[]), command(member={"user": {"id": 5}}), command(token="a/../b"), command(token="x" * 501),
        command(token=""), command(application_id="../x"), command(data=[]), command("bad name"), command(options={}),
        command(options=[1]), command(options=[{}] * 26), command(options=[{"name": "a", "type": 3}]),
        command(options=[{"name": "a", "type": 3, "value": "x" * 8_001}]), click(id="x"), click(channel_id="a/b"),
        command(options=[{"name": "a", "type": 2, "options": [{"name": "a", "type": 2, "options":
            [{"name": "a", "type": 1, "options": [{"name": "a", "type": 1}]}]}]}]),
    ],
)  # fmt: skip
def test_a_body_that_is_no_interaction_is_named(body: Any) -> None:
    """Never another exception than BadBody."""
    with pytest.raises(BadBody):
        BOT.receive(delivery(body), NOW)


@given(st.data())
def test_a_changed_body_is_refused_or_read_and_nothing_else(data: st.DataObject) -> None:
    """Any value of an interaction replaced by any other."""
    body = deepcopy(data.draw(st.sampled_from([command(), click(), command(options=[{"name": "a", "type": 1}])])))
    place: Any = body
    while True:
        key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else list(range(len(place)))))
        if not place[key] or not isinstance(place[key], (dict, list)) or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(st.sampled_from([None, True, 0, -1, 2**63 - 1, 1.5, "", "x", "\u202e", [], {}, [[]]]))
    try:
        found = BOT.receive(delivery(body), NOW)
    except BadBody:
        return
    assert isinstance(found, IncomingMessage | ImmediateResponse)


# Out


def card(text: str = "r42 waits", **more: Any) -> ReplyContent:
    base = ReplyContent(
        EVENT,
        "645027906669510667",
        text,
        ReplyRequest("01J", 42, "asking", "k7f2"),
        actions=("approve", "reject"),
        card=True,
        thread="845027738276462632/A_UNIQUE_TOKEN",
    )
    return replace(base, **more)


def reply_of(content: ReplyContent, **more: Any) -> OutboundReply:
    return OutboundReply("01J.5", API, content.to_json(), **more)


def rendered(content: ReplyContent, now: float = NOW + 1, **more: Any) -> tuple[HttpCall, dict[str, Any]]:
    call = BOT.render(reply_of(content, **more), now)
    return call, json.loads(call.body)


def test_a_reply_to_a_message_says_which_it_answers() -> None:
    """Of the gateway's messages; its author is not called, and one that was deleted is answered all the same. A bot
    that may not read there posts without.
    """
    call, fields = rendered(card(thread=""))
    assert (call.method, call.url) == ("POST", f"{API}/channels/645027906669510667/messages")
    assert fields["message_reference"] == {"message_id": EVENT, "fail_if_not_exists": False}
    assert fields["allowed_mentions"] == {"parse": []}
    refused = {"code": 160_002, "message": "Cannot reply without permission to read message history"}
    response = HttpResponse(403, {}, json.dumps(refused).encode())
    again = BOT.handle_response(reply_of(card(thread="")), call, response, NOW)
    assert isinstance(again, NextCall)
    del fields["message_reference"]
    assert (again.call.url, json.loads(again.call.body)) == (call.url, fields)
    assert isinstance(BOT.handle_response(reply_of(card(thread="")), again.call, response, NOW), DeliveryFailed)
    assert "message_reference" not in rendered(card(thread=""), ref="1/2")[1]
    assert "message_reference" not in rendered(card(thread="", in_reply_to="more r1"))[1]
    assert "message_reference" not in rendered(card(), now=NOW + 3_600)[1]


def test_the_first_reply_takes_the_place_of_the_answer_to_the_command() -> None:
    """By the interaction's own token, so that a repeat changes the same message; nobody is mentioned."""
    text = "r42: `df -h` on web-1\n```\nrm -rf *_*\n```\n> *it* says\n# no [head](https://x)\n- <@5> @x :smile: a|b"
    call, fields = rendered(card(text, deadline=1_700_000_600.0))
    assert (call.method, call.url) == (
        "PATCH",
        f"{API}/webhooks/845027738276462632/A_UNIQUE_TOKEN/messages/@original",
    )
    assert "Authorization" not in call.headers
    assert fields == {
        "content": "r42: `df -h` on web-1\n```\nrm -rf *_*\n```\n> \\*it\\* says\n\\# no \\[head\\](https://x)\n"
        "\\- \\<@5\\> @x \\:smile: a\\|b\nDecide by <t:1700000600:f> (<t:1700000600:R>).",
        "embeds": [],
        "flags": 4,
        "allowed_mentions": {"parse": []},
        "components": [
            {
                "type": 1,
                "components": [
                    {"type": 2, "style": 3, "label": "Approve", "custom_id": "approve r42 k7f2"},
                    {"type": 2, "style": 4, "label": "Reject", "custom_id": "reject r42"},
                ],
            }
        ],
    }


def test_later_replies_go_through_the_bot() -> None:
    """Changes of the card, what is said after a quarter of an hour, to a click, a notice; with the bot's token."""
    call, fields = rendered(card(actions=()), ref="645027906669510667/846062911044321280")
    assert (call.method, call.url) == ("PATCH", f"{API}/channels/645027906669510667/messages/846062911044321280")
    assert call.headers["Authorization"] == f"Bot {TOKEN}"
    assert fields["components"] == []
    assert "nonce" not in fields
    notice = replace(card(), request=None, card=False)
    for call, fields in (
        rendered(card(), NOW + 15 * 60),
        rendered(card(thread="")),
        rendered(notice),
        rendered(card(), lost="1/2"),
    ):
        assert (call.method, call.url) == ("POST", f"{API}/channels/645027906669510667/messages")
        assert call.headers["Authorization"] == f"Bot {TOKEN}"
        assert fields["enforce_nonce"] is True
        assert len(fields["nonce"]) <= 25


def test_what_is_said_to_a_click_is_for_the_person_alone() -> None:
    """A refusal, or more of an output; a new card is for all, and so is what comes after a quarter of an hour."""
    clicked = card(card=False, thread="845027738276462632/A_UNIQUE_TOKEN/click")
    call, fields = rendered(clicked)
    assert (call.method, call.url) == ("POST", f"{API}/webhooks/845027738276462632/A_UNIQUE_TOKEN?wait=true")
    assert fields["flags"] == 64 | 4
    assert "Authorization" not in call.headers
    assert "nonce" not in fields
    for call, fields in (rendered(replace(clicked, card=True)), rendered(clicked, NOW + 15 * 60)):
        assert call.url == f"{API}/channels/645027906669510667/messages"
        assert fields["flags"] == 4
    found = result(error(50027), 401, reply_of(clicked))
    assert isinstance(found, NextCall)
    assert found.call.url == f"{API}/channels/645027906669510667/messages"


def test_a_card_has_one_nonce_whichever_state_is_posted_first() -> None:
    """So a repeat after a crash makes no second card; one that replaces a deleted card has another."""

    def nonce(content: ReplyContent, reply_id: str = "01J.5", lost: str = "") -> str:
        reply = OutboundReply(reply_id, API, content.to_json(), lost=lost)
        return str(json.loads(BOT.render(reply, NOW + 15 * 60).body)["nonce"])

    first = nonce(card())
    assert nonce(card("r42 runs"), "01J.6") == first
    assert nonce(card(), lost="1/2") not in (first, nonce(card(), lost="1/3"))
    plain = card(card=False)
    assert nonce(plain) != nonce(plain, "01J.6")
    assert first == hashlib.sha256(b"01J ").hexdigest()[:24]


@settings(max_examples=60)
@given(st.text(st.sampled_from("ab@ *_~`|<>[]()#-+.1:\\😀磁"), max_size=200), st.booleans())
def test_nothing_in_a_line_is_markup(text: str, quote: bool) -> None:
    """Every special character has a backslash before it, which Discord drops; so its reader sees the text itself."""
    line = to_markdown([Line((Span(text),), quote)]).removeprefix("> " if quote else "")
    assert re.sub(r"\\([^0-9A-Za-z\s])", r"\1", line) == text
    bare = re.sub(r"\\[^0-9A-Za-z\s]", "", line)
    assert not re.search(r"[*_~`|<>\[\]]", bare)
    assert not re.match(r"\s*(?:[#>+-]|[0-9]+[.)])", line)


@settings(max_examples=60)
@given(st.text(st.sampled_from("ab *`\n😀磁"), max_size=200), st.integers(1, 20))
def test_lengths_are_kept(text: str, times: int) -> None:
    """2,000 of content, or an embed of 4,096, in UTF-16 units; code fences are closed; never empty."""
    fields = rendered(card("r42\n" + text * times + "\n```\n" + "line 😀\n" * 50 * times + "```", deadline=1.7e9))[1]
    content, embeds = fields["content"], fields["embeds"]
    assert bool(content) != bool(embeds)
    assert len(content.encode("utf-16-le")) // 2 <= 2_000
    for embed in embeds:
        assert len(embed["description"].encode("utf-16-le")) // 2 <= 4_096
    shown = content or embeds[0]["description"]
    assert shown.endswith("\nDecide by <t:1700000000:f> (<t:1700000000:R>).")
    assert shown.split("\n").count("```") % 2 == 0
    assert fields["flags"] == (4 if content else 0)


def test_what_does_not_fit_is_cut_and_cannot_be_approved_by_a_click() -> None:
    """And the person is told so; what fits into an embed is whole."""
    whole = rendered(card("```\n" + "x" * 4_000 + "\n```"))[1]
    assert len(whole["components"][0]["components"]) == 2
    cut = rendered(card("head\n```\n" + "x\n" * 3_000 + "```\ntail"))[1]
    assert "tail" in cut["embeds"][0]["description"]
    assert "cut here" in cut["embeds"][0]["description"]
    assert [button["custom_id"] for button in cut["components"][0]["components"]] == ["reject r42"]
    request = ReplyRequest("01J", 999_999_999_999, "asking", "k7f2")
    for actions in (("approve", "reject"), ("cancel",), ("more", "retry")):
        for button in rendered(card(request=request, actions=actions))[1]["components"][0]["components"]:
            assert 1 <= len(button["custom_id"]) <= 100
            assert 1 <= len(button["label"]) <= 80


REF = "645027906669510667/846062911044321280"
POSTED = {"id": "846062911044321280", "channel_id": "645027906669510667", "content": "x"}


def result(body: Any, status: int, reply: OutboundReply, now: float = NOW + 60, **headers: str) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return BOT.handle_response(reply, BOT.render(reply, now), HttpResponse(status, headers, raw), now)


def error(code: int, message: str = "Something") -> dict[str, Any]:
    return {"code": code, "message": message}


def test_what_was_posted_is_named() -> None:
    """A change keeps its name; a post that may be an older one is brought up to date."""
    assert result(POSTED, 200, reply_of(card())) == Delivered(REF)
    assert result({}, 200, reply_of(card(), ref=REF)) == Delivered(REF)
    assert result(POSTED, 200, reply_of(card(thread=""))) == Delivered(REF)
    again = reply_of(card(thread=""), repeated=True)
    found = result(POSTED, 200, again)
    assert isinstance(found, NextCall)
    assert (found.call.method, found.call.url) == ("PATCH", f"{API}/channels/{REF.replace('/', '/messages/')}")
    assert BOT.handle_response(again, found.call, HttpResponse(200, {}, json.dumps(POSTED).encode()), NOW) == Delivered(
        REF
    )


def test_an_answer_that_is_not_there_yet_is_waited_for_and_then_replaced() -> None:
    """Our reply may be quicker than our answer to the interaction; a token that ended is not tried again."""
    soon = result(error(10015, "Unknown Webhook"), 404, reply_of(card()), NOW + 1)
    assert (soon.kind, soon.retry_after) == ("later", "1")
    for code, status in ((10015, 404), (10008, 404), (50027, 401), (10062, 404)):
        found = result(error(code), status, reply_of(card()))
        assert isinstance(found, NextCall)
        assert (found.call.method, found.call.url) == ("POST", f"{API}/channels/645027906669510667/messages")


def test_a_card_that_cannot_be_changed_is_gone() -> None:
    """Deleted, not ours, in an archived thread, changed too often."""
    for code in (10008, 50005, 50083, 30046):
        assert isinstance(result(error(code), 404, reply_of(card(), ref=REF)), CardGone)


@each_of(
    ("status", "body", "kind", "word"),
    [
        (401, {"message": "401: Unauthorized", "code": 0}, "slowly", "secret_file"),
        (403, error(50001, "Missing Access"), "slowly", "see the channel"),
        (403, error(50013, "Missing Permissions"), "slowly", "embed links"),
        (403, error(50007), "gone", "person"),
        (404, error(10003, "Unknown Channel"), "gone", "deleted"),
        (400, error(50035, "Invalid Form Body"), "refused", "Invalid Form Body"),
        (404, error(10008, "Unknown Message"), "refused", "Unknown"),
        (500, b"", "later", "500"),
        (502, b"<html>", "later", "502"),
        (403, b"<html>", "refused", "403"),
        (302, b"", "refused", "302"),
    ],
)
def test_a_refusal_says_what_to_do(status: int, body: Any, kind: str, word: str) -> None:
    """And holds neither the bot's token nor the interaction's. What an admin has to see to is tried again slowly."""
    found = result(body, status, reply_of(card(thread="")))
    assert isinstance(found, DeliveryFailed)
    assert (found.kind, found.retry_after) == (("later", "300") if kind == "slowly" else (kind, ""))
    assert word in found.reason
    assert TOKEN not in repr(found)


def test_too_many_posts_wait_as_long_as_discord_says() -> None:
    """Fractions are rounded up; without a body the headers say it."""
    limited = {"message": "You are being rate limited.", "retry_after": 64.57, "global": False}
    found = result(limited, 429, reply_of(card()))
    assert (found.kind, found.retry_after) == ("later", "65")
    assert result(b"", 429, reply_of(card()), **{"retry-after": "7"}).retry_after == "7"
    assert result({"retry_after": "x"}, 429, reply_of(card()), **{"x-ratelimit-reset-after": "3"}).retry_after == "3"


@given(st.binary(max_size=200), st.sampled_from([200, 400, 401, 403, 404, 429, 500]))
def test_any_answer_is_a_result(body: bytes, status: int) -> None:
    """Whatever the bytes."""
    for reply in (reply_of(card()), reply_of(card(), ref=REF), reply_of(card(thread=""), repeated=True)):
        assert isinstance(result(body, status, reply), Delivered | DeliveryFailed | CardGone | NextCall)


# Set-up


def table(**more: Any) -> DiscordInlet:
    found: dict[str, Any] = {
        "platform": "discord",
        "secret_file": Path("secrets/dc"),
        "secrets": (TOKEN.encode(),),
        "public_key": PUBLIC.hex(),
        **more,
    }
    return DiscordInlet(**found)


def test_an_inlet_is_made_of_its_table() -> None:
    """An API of one's own is where calls go; what cannot work is said at once, without the secret."""
    made = PLATFORM.create(table(api_url="http://127.0.0.1:8081/api/v10/"))
    assert made.hosts == ("http://127.0.0.1:8081",)
    assert made.render(reply_of(card(thread="")), NOW).url.startswith("http://127.0.0.1:8081/api/v10/channels/")
    for wrong, word in (
        ({"secrets": (b"Bot x",)}, "page Bot"),
        ({"public_key": "abc"}, "General Information"),
        ({"public_key": PUBLIC.hex() + "\n"}, "General Information"),
        ({"api_url": "ftp://x"}, "https"),
    ):
        with pytest.raises(UserError) as caught:
            PLATFORM.create(table(**wrong))  # type: ignore[arg-type]
        assert word in f"{caught.value.problem} {caught.value.cure}"
        assert TOKEN not in str(caught.value)
    assert TOKEN not in repr(table())


def test_the_bot_says_who_it_is() -> None:
    """By Discord's own answer, which changes nothing there."""
    call = BOT.who_am_i(NOW)
    assert (call.method, call.url) == ("GET", f"{API}/users/@me")

    def identity(body: Any, status: int = 200) -> Any:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return BOT.read_identity(call, HttpResponse(status, {}, raw), NOW)

    assert identity({"id": "1", "username": "ops", "bot": True}) == "ops"
    for body, status, word in (({"code": 0}, 401, "secret_file"), (b"<html>", 200, "api_url"), ({}, 200, "api_url")):
        found = identity(body, status)
        assert isinstance(found, DeliveryFailed)
        assert word in found.reason
