"""Feishu end to end: handshake, a question, approval by a click of another person, one card, the hub killed between."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.chats.feishu import (
    APP_ID,
    APP_SECRET,
    BOT,
    ENCRYPT_KEY,
    TOKEN,
    FakeFeishu,
    click_event,
    message_event,
    seal,
    values_of,
)
from tests.end_to_end.system import SystemHarness


@pytest.mark.timeout(300)
async def test_one_card_from_the_question_to_the_outcome_through_kills(tmp_path: Path) -> None:
    """The hub is killed after each step: one card, run once. A click of the requester and one on an old card change
    nothing; a token that was withdrawn is fetched anew; a card that was recalled is posted anew.
    """
    async with FakeFeishu().serving() as feishu, SystemHarness(tmp_path) as rig:
        await rig.init()
        secrets = {"token": TOKEN.encode(), "key": ENCRYPT_KEY, "app": APP_SECRET.encode()}
        for name, secret in secrets.items():
            (rig.hub_dir / "secrets" / f"feishu-{name}").write_bytes(secret)
            (rig.hub_dir / "secrets" / f"feishu-{name}").chmod(0o600)
        rig.config.write_text(
            rig.config.read_text()
            + '\n[inlets.feishu]\nplatform = "feishu"\nsecret_file = "secrets/feishu-token"\n'
            + f'encrypt_key_file = "secrets/feishu-key"\napp_secret_file = "secrets/feishu-app"\napp_id = "{APP_ID}"\n'
            + f'bot_open_id = "{BOT}"\nanswer = "mentions"\napi_url = "{feishu.url}"\n'
        )
        for person in ("bob", "carol"):
            rig.edit_config(rf'^chat = \["ops:{person}"\]', f'chat = ["ops:{person}", "feishu:ou_{person}"]')
        wait = f"until [ -e {tmp_path}/go ]; do sleep 0.05; done; echo done-$1 '<at id=all></at> **x**'\n"
        rig.add_program("careful", wait, verdict="ask")
        await rig.start_hub()
        await rig.add_agent("web-1")
        assert rig.session is not None
        session = rig.session

        async def deliver(body: dict[str, Any], status: int = 200, **headers: str) -> Any:
            raw, signed = seal(body, time.time())
            url = f"http://127.0.0.1:{rig.http}/webhook/feishu"
            async with session.post(url, data=raw, headers={**signed, **headers}) as answer:
                assert answer.status == status, await answer.text()
                return await answer.json()

        async def say(text: str, user: str, message_id: str, **more: Any) -> Any:
            feishu.said.add(message_id)
            return await deliver(message_event(text, user, message_id=message_id, **more))

        async def kill() -> None:
            await rig.programs["hub"].stop(signal.SIGKILL)
            await rig.start_hub()
            await rig.wait_until(lambda: rig.online("web-1"))

        handshake = {"type": "url_verification", "challenge": "ajls384kdjx98XX", "token": TOKEN}
        assert await deliver(handshake) == {"challenge": "ajls384kdjx98XX"}
        await deliver(message_event("disk", "ou_carol"), 401, **{"x-lark-signature": "0" * 64})
        # not for the bot, and then one that is, delivered twice
        await say("lunch?", "ou_carol", "om_0", mentions=[], content=json.dumps({"text": "lunch?"}))
        await say("@web-1 careful one", "ou_carol", "om_1")
        await say("@web-1 careful one", "ou_carol", "om_1")
        key, question = await feishu.wait_for("careful one")
        approve, reject = values_of(question)
        assert (approve[:11], reject) == ("approve r1 ", "reject r1")
        assert feishu.replied_to[key] == "om_1"
        await kill()
        assert await deliver(click_event(approve, "ou_carol", key)) == {}
        refused, _ = await feishu.wait_for("may not approve")
        assert refused != key
        feishu.tokens.append("t-another")
        assert "toast" in await deliver(click_event("approve everything", "ou_bob", key))
        assert await deliver(click_event(approve, "ou_bob", key)) == {}
        _, started = await feishu.wait_for("Approved by bob", key)
        assert values_of(started) == ["cancel r1"]
        await kill()
        (tmp_path / "go").touch()
        _, outcome = await feishu.wait_for("done-one", key)
        assert values_of(outcome) == ["more r1", "retry r1"]
        assert outcome["header"]["template"] == "green"
        assert "<at" not in json.dumps(outcome)
        await kill()
        assert await deliver(click_event(approve, "ou_bob", key)) == {}
        stale, _ = await feishu.wait_for("r1", f"om_card{len({key, refused}) + 1}")
        assert feishu.messages[key][-1] == outcome
        assert set(feishu.messages) == {key, refused, stale}
        # recalled before it could change
        await say("@web-1 careful two", "ou_carol", "om_2")
        other, question = await feishu.wait_for("careful two")
        feishu.recalled |= {other, "om_2"}
        await deliver(click_event(values_of(question)[0], "ou_bob", other))
        anew, _ = await feishu.wait_for("done-two")
        assert anew != other
        assert feishu.replied_to[anew] == ""
        assert {refusal.code for refusal in feishu.refusals} <= {99991663, 230011}
        rig.check_at_most_once()
