"""WeCom end to end: messages, a question with its card, approval by another person, the hub killed in between."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.end_to_end.chats.wecom import AES_KEY, AGENT, CORP, SECRET, TOKEN, WecomServer
from tests.end_to_end.system import SystemHarness


async def test_from_the_question_to_the_outcome_through_kills(tmp_path: Path) -> None:
    """The hub is killed after each step: one question with one card, run once, one outcome; a click of the requester
    changes nothing, and the old card's buttons become a word.
    """
    async with WecomServer().serving() as wecom, SystemHarness(tmp_path) as rig:
        await rig.init()
        for name, text in (("wecom", f"{TOKEN} {AES_KEY}"), ("wecom-app", SECRET)):
            (rig.hub_dir / "secrets" / name).write_text(text)
            (rig.hub_dir / "secrets" / name).chmod(0o600)
        rig.config.write_text(
            rig.config.read_text()
            + '\n[inlets.wecom]\nplatform = "wecom"\nsecret_file = "secrets/wecom"\n'
            + f'app_secret_file = "secrets/wecom-app"\ncorp_id = "{CORP}"\nagent_id = {AGENT}\n'
            + f'api_url = "http://127.0.0.1:{wecom.port}"\n'
        )
        for person in ("bob", "carol"):
            rig.edit_config(rf'^chat = \["ops:{person}"\]', f'chat = ["ops:{person}", "wecom:{person}"]')
        wait = f"until [ -e {tmp_path}/go ]; do sleep 0.05; done; echo done-$1\n"
        rig.add_program("careful", wait, verdict="ask")
        await rig.start_hub()
        await rig.add_agent("web-1")
        assert rig.session is not None
        url = f"http://127.0.0.1:{rig.http}/webhook/wecom"

        async def kill() -> None:
            await rig.programs["hub"].stop(signal.SIGKILL)
            await rig.start_hub()
            await rig.wait_until(lambda: rig.online("web-1"))

        assert await wecom.prove(rig.session, url) == b"1616140317555161061"
        await wecom.say(rig.session, url, "carol", "@web-1 careful one", "71")
        await wecom.say(rig.session, url, "carol", "@web-1 careful one", "71")
        question = await wecom.wait_said("carol", "careful one")
        task, card = await wecom.wait_card()
        approve, reject = (button["key"] for button in card.buttons)
        assert (approve[:11], reject) == ("approve r1 ", "reject r1")
        assert approve in question
        await wecom.click(rig.session, url, "carol", task, approve)
        await wecom.wait_said("carol", "may not approve")
        await kill()
        await wecom.say(rig.session, url, "bob", approve)
        await wecom.wait_card("running")
        await kill()
        (tmp_path / "go").touch()
        await wecom.wait_said("carol", "done-one")
        assert set(wecom.cards) == {task}
        assert len([text for _, text in wecom.said if "done-one" in text]) == 1
        await wecom.click(rig.session, url, "bob", task, approve)
        await wecom.wait_said("bob", "r1")
        assert wecom.cards[task].word == "running"
        assert len([text for _, text in wecom.said if "Answer “approve" in text]) == 1
        # Killed before it noted the change, the hub tries it again: that code is used, which it takes for a card that
        # does not change any more.
        assert set(wecom.refused) <= {"42999 response_code"}
        rig.check_at_most_once()
