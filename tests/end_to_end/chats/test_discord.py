"""Discord end to end: slash commands, one card, approval by another person, the hub killed in between."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from nacl.signing import SigningKey

from tests.end_to_end.chats.discord import PEOPLE, PUBLIC, TOKEN, FakeDiscord, values
from tests.end_to_end.system import SystemHarness


def configure(rig: SystemHarness, api: str) -> None:
    (rig.hub_dir / "secrets" / "dc").write_text(TOKEN)
    (rig.hub_dir / "secrets" / "dc").chmod(0o600)
    rig.config.write_text(
        rig.config.read_text()
        + '\n[inlets.dc]\nplatform = "discord"\nsecret_file = "secrets/dc"\n'
        + f'public_key = "{PUBLIC}"\napi_url = "{api}"\n'
    )
    for person, user in PEOPLE.items():
        rig.edit_config(rf'^chat = \["ops:{person}"\]', f'chat = ["ops:{person}", "dc:{user}"]')


@pytest.mark.timeout(300)
async def test_from_the_question_to_the_outcome_through_kills(tmp_path: Path) -> None:
    """The hub is killed between each two steps: the answer to the command is the card, run once; a click of the
    requester changes nothing; a deleted card is posted anew; what comes after the interaction's time is posted once. A
    second factor's code is given in a modal, which a restarted hub knows, and stands nowhere.
    """
    async with FakeDiscord().serving() as discord, SystemHarness(tmp_path) as rig:
        await rig.init()
        configure(rig, discord.url)
        wait = f"until [ -e {tmp_path}/go-$1 ]; do sleep 0.05; done; echo done-$1\n"
        rig.add_program("careful", wait, verdict="ask")
        rig.add_program("grave", "echo grave-$1\n", verdict="ask", more="second_factor = true")
        _, enrolled, _ = await rig.hub("operator", "totp", "bob", "--json")
        totp = pyotp.TOTP(parse_qs(urlsplit(json.loads(enrolled)["uri"]).query)["secret"][0])
        await rig.start_hub()
        await rig.add_agent("web-1")
        assert rig.session is not None
        session, url = rig.session, f"http://127.0.0.1:{rig.http}/webhook/dc"

        async def kill() -> None:
            await rig.programs["hub"].stop(signal.SIGKILL)
            await rig.start_hub()
            await rig.wait_until(lambda: rig.online("web-1"))

        assert await discord.deliver(session, url, {"type": 1}) == {"type": 1}
        await discord.deliver(session, url, {"type": 1}, key=SigningKey(b"1" * 32), status=401)

        key = await discord.run(session, url, "carol", "@web-1 careful one", times=2)
        _, question = await discord.wait_for("careful one", key)
        approve, reject = values(question)
        assert (approve[:11], reject) == ("approve r1 ", "reject r1")
        await kill()
        await discord.click(session, url, "carol", approve, key)
        refusal, told = await discord.wait_for("may not approve")
        assert refusal != key
        assert told["flags"] & 64, "for the eyes of the one who clicked"
        await discord.click(session, url, "bob", approve, key)
        _, started = await discord.wait_for("Approved by bob", key)
        assert values(started) == ["cancel r1"]
        await kill()
        (tmp_path / "go-one").touch()
        _, outcome = await discord.wait_for("done-one", key)
        assert values(outcome) == ["more r1", "retry r1"]

        other = await discord.run(session, url, "carol", "@web-1 careful two")
        _, question = await discord.wait_for("careful two", other)
        discord.deleted.add(other)
        discord.ended.update(discord.originals)
        await discord.click(session, url, "bob", values(question)[0], other)
        anew, _ = await discord.wait_for("is approved and runs")
        assert anew not in (key, other)
        await kill()
        (tmp_path / "go-two").touch()
        await discord.wait_for("done-two", anew)

        third = await discord.run(session, url, "carol", "@web-1 grave three")
        _, question = await discord.wait_for("Click Approve", third)
        modal = await discord.open(session, url, "bob", values(question)[0], third)
        assert "grave three" in modal["components"][0]["content"]
        await kill()
        code = totp.now()
        wrong = await discord.submit(session, url, "bob", modal, f"{(int(code) + 7) % 1_000_000:06}")
        assert (wrong["type"], wrong["data"]["flags"], "wrong" in wrong["data"]["content"]) == (4, 64, True)
        refused = await discord.submit(session, url, "carol", modal, code)
        assert "not yours" in refused["data"]["content"]
        assert await discord.submit(session, url, "bob", modal, code) == {"type": 6}
        await discord.wait_for("grave-three", third)
        used = await discord.submit(session, url, "bob", modal, code)
        assert used["data"]["flags"] == 64
        kept = rig.programs["hub"].log.read_text() + str([event["data"] for event in rig.events()])
        assert re.search(rf"\b{code}\b", kept) is None

        with_buttons = {name for name, states in discord.messages.items() if any(map(values, states))}
        assert with_buttons == {key, other, anew, third}
        usual = ("10008 Unknown Message", "10015 Unknown Webhook")
        assert set(discord.refused) <= set(usual), discord.refused
        for text in (rig.programs["hub"].log.read_text(), str(rig.events())):
            assert TOKEN not in text
            assert not any(token in text for token in discord.originals)
        rig.check_at_most_once()
