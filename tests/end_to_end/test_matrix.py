"""Answerback in a real Matrix homeserver: Synapse, two people, a bot, a machine; restarts of hub and server on the way.

`pytest -s` prints what was said in the rooms.
"""

from __future__ import annotations

import base64
import signal
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from hub.chat.http_client import make_call, open_session
from hub.chat.platforms.matrix_events import CARD
from hub.chat.platforms.matrix_sync import Account, MatrixSync
from hub.chat.platforms.outbound import OutboundFailed, Polled
from tests.end_to_end.chats.synapse import SERVER_NAME, Person, synapse
from tests.end_to_end.system import SystemHarness

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
TABLE = """
[inlets.matrix]
platform = "matrix"
secret_file = "secrets/matrix"
api_url = "{url}"
servers = ["{server}"]
"""


def transcript(person: Person, names: dict[str, str]) -> str:
    """What was said in all rooms, as a client shows it: changes as their own lines."""
    lines = []
    for event in person.events:
        content = event.get("content", {})
        if event["type"] == "m.reaction":
            lines.append(f"{names[event['sender']]:>12}  reacts with {content['m.relates_to']['key']}")
        elif event["type"] == "m.room.message":
            relation = content.get("m.relates_to", {})
            mark = {"m.replace": "(changed) ", "m.thread": "(in the thread) "}.get(relation.get("rel_type"), "")
            body = content.get("m.new_content", content)["body"]
            shown = textwrap.indent(mark + body, " " * 14).lstrip()
            lines.append(f"{names[event['sender']]:>12}  {shown}")
    return "\n".join(lines)


async def poll(mode: MatrixSync, cursor: str) -> Polled:
    """One round, as the hub makes it."""
    async with open_session(connections=1, per_host=1, seconds=60) as session:
        calls = mode.poll(cursor, time.time())
        call = next(calls)
        while True:
            answer, _ = await make_call(session, call.call, call.limit, call.seconds)
            try:
                call = calls.send(answer)
            except StopIteration as end:
                found: Polled = end.value
                return found


async def check_rest_is_asked_for(observer: Person, carol: Person) -> None:
    """More was said in a room while the bot was away than one answer of the server holds; a wrong token."""
    mode = MatrixSync(Account(observer.url, observer.token, servers=frozenset({SERVER_NAME}), direct=True))
    polled = await poll(mode, "")
    room = await carol.make_room(observer.user)
    polled = await poll(mode, polled.cursor)
    await carol.say(room, "first")
    polled = await poll(mode, polled.cursor)
    assert [(message.text, message.addressed) for message in polled.messages] == [("first", True)]
    said = [f"m{number}" for number in range(170)]
    for text in said:
        await carol.say(room, text)
    polled = await poll(MatrixSync(Account(observer.url, observer.token)), polled.cursor)
    assert [message.text for message in polled.messages] == said
    with pytest.raises(OutboundFailed, match="log the bot in again"):
        await poll(MatrixSync(Account(observer.url, "syt_wrong_token")), "")


@pytest.mark.timeout(900)
async def test_requests_in_a_real_homeserver(tmp_path: Path) -> None:
    """One card from question to outcome, approved by another person's reaction; threads, edits, encryption; what is
    said while the hub or the server is away is done once.
    """
    async with synapse(tmp_path / "synapse") as (server, session), SystemHarness(tmp_path) as rig:
        accounts = ("answerback", "bob", "carol", "observer")
        bot, bob, carol, observer = [await server.register(session, name) for name in accounts]
        await check_rest_is_asked_for(observer, carol)
        await rig.init()
        secret = rig.hub_dir / "secrets" / "matrix"
        secret.write_text(bot.token)
        secret.chmod(0o600)
        rig.config.write_text(rig.config.read_text() + TABLE.format(url=server.url, server=SERVER_NAME))
        rig.edit_config(r"^(# ?)?read = true", "read = false")  # pictures: it is enough that they arrive
        for person in (bob, carol):
            name = person.user[1:].partition(":")[0]
            rig.edit_config(rf'^chat = \["ops:{name}"\]', f'chat = ["ops:{name}", "matrix:{person.user}"]')
        wait = f"until [ -e {tmp_path}/go-$1 ]; do sleep 0.05; done; echo done-$1\n"
        rig.add_program("careful", wait, verdict="ask")
        rig.add_program("quick", "echo quick-$1\n")
        await rig.start_hub()
        await rig.add_agent("web-1")

        room = await carol.make_room(bot.user, bob.user)
        await bob.join(room)

        def posts() -> dict[str, dict[str, Any]]:
            return carol.posts(room, bot.user)

        def said(words: str) -> Any:
            return next((event for event, content in posts().items() if words in content["body"]), None)

        def joined() -> bool:
            return any(e["type"] == "m.room.member" and e.get("state_key") == bot.user
                       and e["content"]["membership"] == "join" for e in carol.events)  # fmt: skip

        await carol.until(joined)
        first = await carol.say(room, "answerback: @web-1 careful one")
        card = await carol.until(lambda: said("careful one"))
        question = posts()[card]
        assert question["m.relates_to"] == {"m.in_reply_to": {"event_id": first}}
        assert question["m.mentions"] == {}
        assert sorted(question[CARD]) == ["✅", "❌"]
        await carol.react(room, card, "✅")
        refusal = await carol.until(lambda: said("may not approve"))
        await bob.react(room, card, "👍🏽")
        await carol.until(lambda: "Approved by bob" in posts()[card]["body"])

        # The hub is killed while the command runs, and something is said meanwhile.
        await rig.programs["hub"].stop(signal.SIGKILL)
        (tmp_path / "go-one").touch()
        await carol.say(room, "@web-1 quick while-away")
        await rig.start_hub()
        await carol.until(lambda: "done-one" in posts()[card]["body"])
        quick = await carol.until(lambda: said("quick-while-away"))
        assert set(posts()) == {card, refusal, quick}

        # In a thread; the homeserver restarts before the approval, which is typed.
        root = await carol.say(room, "@web-1 quick root")
        await carol.until(lambda: said("quick-root"))
        await carol.say(room, "@web-1 careful two", thread=root)
        inner = await carol.until(lambda: said("careful two"))
        assert posts()[inner]["m.relates_to"]["event_id"] == root
        await server.stop()
        await server.start(session)
        await bob.say(room, posts()[inner][CARD]["✅"], thread=root)
        await carol.until(lambda: "Approved by bob" in posts()[inner]["body"], within=120)
        (tmp_path / "go-two").touch()
        await carol.until(lambda: "done-two" in posts()[inner]["body"])

        # All of an output as a file, in the thread of who asked for it.
        await carol.say(room, "file r1", thread=root)
        brought = await carol.until(lambda: said("What r1 printed"))
        file = posts()[brought]
        assert (file["msgtype"], file["filename"]) == ("m.file", "r1-output.txt")
        assert file["m.relates_to"]["event_id"] == root
        assert (await carol.fetch(file["url"])).endswith(b"careful one (done) ====\ndone-one\n\n")

        # An edit is no second run; an encrypted room is answered once.
        before = len(posts())
        await carol.edit(room, first, "@web-1 careful three")
        await carol.until(lambda: len(posts()) > before)
        secret_room = await carol.make_room(
            bot.user,
            initial_state=[
                {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
            ],
        )
        await carol.until(lambda: any(e["room_id"] == secret_room and e.get("state_key") == bot.user
                                      and e["content"]["membership"] == "join" for e in carol.events))  # fmt: skip
        for _ in range(2):
            sealed = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x", "session_id": "s", "device_id": "d"}
            await carol.send(secret_room, sealed, "m.room.encrypted")
        await carol.until(lambda: carol.posts(secret_room, bot.user))
        await carol.say(room, "@web-1 quick last")
        await carol.until(lambda: said("quick-last"))
        assert len(carol.posts(secret_room, bot.user)) == 1

        # A card that somebody deleted is posted anew; a picture is fetched, and read where pictures are read.
        await carol.say(room, "@web-1 careful four")
        lost = await carol.until(lambda: said("careful four"))
        code = posts()[lost][CARD]["✅"]
        await carol.delete(room, lost)
        await rig.programs["hub"].stop(signal.SIGKILL)
        await rig.start_hub()
        await rig.wait_until(lambda: rig.online("web-1"))
        await bob.say(room, code)
        (tmp_path / "go-four").touch()
        anew = await carol.until(lambda: said("done-four"))
        assert anew != lost
        shown = await carol.show(room, PNG)
        await carol.until(lambda: any(content.get("m.relates_to", {}).get("m.in_reply_to") == {"event_id": shown}
                                      for content in posts().values()))  # fmt: skip

        names = {bot.user: "answerback", bob.user: "bob", carol.user: "carol"}
        rooms = {room, secret_room}
        carol.events = [event for event in carol.events if event["room_id"] in rooms]
        print("\n" + transcript(carol, names))
        log = rig.programs["hub"].log.read_text()
        assert bot.token not in log
        rig.check_at_most_once()
