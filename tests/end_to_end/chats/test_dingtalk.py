"""DingTalk end to end: a question, approval in words by another person, the outcome, the hub killed in between."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from common.catalogue import translate
from tests.end_to_end.chats.dingtalk import APP_KEY, APP_SECRET, FakeDingTalk, headers_at, robot_message
from tests.end_to_end.system import SystemHarness

REPEAT = translate("en", "reply_repeated")


@pytest.mark.timeout(300)
async def test_from_the_question_to_the_outcome_through_kills(tmp_path: Path) -> None:
    """The hub is killed while it asks and while the command runs: run once, and nothing is lost. The requester's own
    yes changes nothing, a foreign address for replies is refused, and the outcome arrives although the conversation's
    own address has ended.
    """
    async with FakeDingTalk().serving() as dingtalk, SystemHarness(tmp_path) as rig:
        await rig.init()
        (rig.hub_dir / "secrets" / "dingtalk").write_text(APP_SECRET)
        (rig.hub_dir / "secrets" / "dingtalk").chmod(0o600)
        rig.config.write_text(
            rig.config.read_text()
            + '\n[inlets.dingtalk]\nplatform = "dingtalk"\nsecret_file = "secrets/dingtalk"\n'
            + f'app_key = "{APP_KEY}"\nsession_url = "{dingtalk.url}"\napi_url = "{dingtalk.url}"\n'
        )
        for person in ("bob", "carol"):
            rig.edit_config(rf'^chat = \["ops:{person}"\]', f'chat = ["ops:{person}", "dingtalk:{person}"]')
        wait = f"until [ -e {tmp_path}/go ]; do sleep 0.05; done; echo done-$1\n"
        rig.add_program("careful", wait, verdict="ask")
        await rig.start_hub()
        await rig.add_agent("web-1")
        assert rig.session is not None
        session = rig.session
        address = dingtalk.new_session()

        async def say(text: str, who: str, status: int = 200, **more: Any) -> None:
            body = robot_message(text, who, address) | more
            url = f"http://127.0.0.1:{rig.http}/webhook/dingtalk"
            async with session.post(url, json=body, headers=headers_at(time.time())) as answer:
                assert answer.status == status, await answer.text()

        async def kill() -> None:
            await rig.programs["hub"].stop(signal.SIGKILL)
            await rig.start_hub()
            await rig.wait_until(lambda: rig.online("web-1"))

        await say("@web-1 careful one", "carol", 400, sessionWebhook="https://127.0.0.2/robot/sendBySession?session=x")
        await say("@web-1 careful one", "carol", msgId="msg1")
        await say("@web-1 careful one", "carol", msgId="msg1")
        how, question = await dingtalk.wait_for("careful one")
        assert how == "session"
        found = re.search(r"approve r1 [a-z]\d[a-z]\d", question)
        assert found is not None, question
        await kill()
        await say(found[0], "carol")
        await dingtalk.wait_for("may not approve")
        await say(found[0], "bob")
        await rig.wait_until(lambda: _event(rig, "job.started"))
        await kill()
        dingtalk.sessions.clear()
        (tmp_path / "go").touch()
        assert (await dingtalk.wait_for("done-one"))[0] == "api"
        since = len(dingtalk.posted)
        address = dingtalk.new_session()
        await say(found[0], "bob")
        await dingtalk.wait_for("r1", since)
        # What was posted and not yet noted by a hub that was killed may be said again, as a repeat, and nothing else.
        posted = [text for _, text in dingtalk.posted]
        for said in (("careful one", "approve r1"), ("done-one",)):
            texts = [text for text in posted if all(word in text for word in said)]
            firsts = [text for text in texts if not text.startswith(REPEAT)]
            assert len(firsts) <= 1
            assert len({text.removeprefix(REPEAT).lstrip() for text in texts}) == 1
        assert set(dingtalk.refusals) <= {"token is not exist"}
        rig.check_at_most_once()


async def _event(rig: SystemHarness, kind: str) -> bool:
    return any(event["kind"] == kind for event in rig.events())
