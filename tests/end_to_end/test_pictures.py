"""Pictures on a real hub: read by the real reader in its own process, told before anything is planned, and never run
without a person.
"""

from __future__ import annotations

import base64

import pytest

pytest.importorskip("rapidocr", reason="the extra `ocr` is not installed: pip install 'answerback[ocr]'")

from tests.end_to_end.system import SystemHarness
from tests.end_to_end.test_own_platform import OwnChat, add_own_inlet, say, values
from tests.hub.planning.ocr.drawn import DARK, png, terminal

READ = 90.0  # seconds: a cold reader loads its models first, on a busy machine


def drawing(*rows: str) -> str:
    return base64.b64encode(png(terminal(rows, DARK, "jetbrains", 18))).decode()


async def test_a_picture_is_read_told_and_asked_about(rig: SystemHarness) -> None:
    """The command in the picture would be allowed as text; from a picture it waits for a person, then runs. A chat that
    only names its picture is asked for it, and all goes as if it had been sent; one that it does not have is told.
    """
    async with OwnChat(pictures={"shot 1": base64.b64decode(drawing("@web-1 uptime"))}).serving() as chat:
        add_own_inlet(rig, chat)
        await rig.start_hub()
        await rig.add_agent("web-1")
        event, status, answer = await rig.post("carol", "", images=[drawing("@web-1 uptime")])
        assert status == 200
        question = await rig.receiver.wait_question(event, READ)
        told = [one for one in rig.receiver.replies if one["in_reply_to"] == event]
        assert [one["kind"] for one in told] == ["progress", "question"]
        assert "@web-1 uptime" in told[0]["text"]
        assert "/usr/bin/uptime" in question["text"]
        said = await rig.ask("bob", f"approve r{answer['number']}")
        assert said
        reply = await rig.receiver.wait_final(event, READ)
        assert [job["exit_code"] for job in reply["jobs"]] == [0]
        chain = [one["kind"] for one in rig.events() if one["subject"] == answer["request"]]
        assert chain[:3] == ["message.accepted", "picture.read", "plan.judged"]

        named = await say(rig, "carol", text="", pictures=["shot 1"])
        key, card = await chat.wait_for("/usr/bin/uptime")
        assert any("I read this in the picture:" in states[-1]["text"] for states in chat.messages.values())
        await say(rig, "bob", click=values(card)[0])
        await chat.wait_for("done in", key)
        chain = [one["kind"] for one in rig.events() if one["subject"] == named["request"]]
        assert chain[:4] == ["message.accepted", "picture.read", "plan.judged", "request.approved"]
        await say(rig, "carol", text="@web-1 uptime", pictures=["shot 2"])
        await chat.wait_for("it is not there any more")


async def test_an_approval_in_a_picture_is_nobodys(rig: SystemHarness) -> None:
    """A picture that says "approve" approves nothing, whoever sends it."""
    await rig.start_hub()
    await rig.add_agent("web-1")
    _, _, first = await rig.post("carol", "@web-1 uptime", images=[drawing("disk is fine")])
    event, _, _ = await rig.post("bob", "", images=[drawing(f"approve r{first['number']}")])
    reply = await rig.receiver.wait_final(event, READ)
    assert reply["request"]["state"] == "refused"
    assert "only your own words" in reply["text"]
    assert not [one for one in rig.events() if one["kind"] == "request.approved"]


async def test_what_is_no_picture_is_refused_and_the_hub_goes_on(rig: SystemHarness) -> None:
    """Rubbish, a cut-off file and one that claims a billion pixels: each has its reason, and the next message works."""
    await rig.start_hub()
    await rig.add_agent("web-1")
    bomb = (
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (60_000).to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00" + b"\0" * 64
    )
    for data in (b"hello", base64.b64decode(drawing("x"))[:200], bomb):
        event, _, _ = await rig.post("carol", "", images=[base64.b64encode(data).decode()])
        reply = await rig.receiver.wait_final(event, READ)
        assert reply["request"]["state"] == "refused"
        assert "picture" in reply["text"]
    assert (await rig.ask("carol", "@web-1 uptime"))["request"]["state"] == "done"
