"""Telegram end to end: getUpdates and webhooks, one card, approval by another person, the hub killed in between."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
from pathlib import Path

import pytest

from tests.end_to_end.chats.telegram import GROUP, NAME, PEOPLE, SECRET, TOKEN, FakeTelegram, Parsed, values
from tests.end_to_end.system import SystemHarness


def configure(rig: SystemHarness, api: str) -> None:
    """An inlet that asks for its messages, and one of the same bot that is told them."""
    for name, text in (("tg", TOKEN), ("tg-webhook", SECRET)):
        (rig.hub_dir / "secrets" / name).write_text(text)
        (rig.hub_dir / "secrets" / name).chmod(0o600)
    common = f'platform = "telegram"\nsecret_file = "secrets/tg"\napi_url = "{api}"\nanswer = "mentions"\n'
    rig.config.write_text(
        rig.config.read_text()
        + f"\n[inlets.tg]\n{common}outbound = true\n"
        + f'\n[inlets.told]\n{common}webhook_secret_file = "secrets/tg-webhook"\nbot = "{NAME}"\n'
    )
    for person, number in PEOPLE.items():
        chat = f'"ops:{person}", "tg:{number}", "told:{number}"'
        rig.edit_config(rf'^chat = \["ops:{person}"\]', f"chat = [{chat}]")


@pytest.mark.timeout(300)
async def test_from_the_question_to_the_outcome_through_kills(tmp_path: Path) -> None:
    """The hub is killed between each two steps: one card, run once; what was said while it was away is heard; an edit
    and a click of the requester change nothing; a deleted card is posted anew.
    """
    async with FakeTelegram().serving() as telegram, SystemHarness(tmp_path) as rig:
        await rig.init()
        configure(rig, telegram.url)
        wait = f"until [ -e {tmp_path}/go-$1 ]; do sleep 0.05; done; echo done-$1\n"
        rig.add_program("careful", wait, verdict="ask")
        before = await telegram.say("carol", "/run @web-1 careful zero")
        await rig.start_hub()
        await rig.add_agent("web-1")
        await telegram.wait_forgotten(before)

        async def kill() -> None:
            await rig.programs["hub"].stop(signal.SIGKILL)

        async def noted() -> bool:
            with contextlib.closing(sqlite3.connect(rig.hub_dir / "data" / "answerback.sqlite")) as db:
                return bool(db.execute("SELECT count(*) FROM cards").fetchone()[0])

        async def start() -> None:
            await rig.start_hub()
            await rig.wait_until(lambda: rig.online("web-1"))

        await telegram.say("carol", "careful talk that is not for the bot")
        said = await telegram.say("carol", "/run@ops_bot @web-1 careful one")
        key, question = await telegram.wait_for("careful one")
        assert question["reply_parameters"]["message_id"] == said["message"]["message_id"]
        approve, reject = values(question)
        assert (approve[:11], reject) == ("approve r1 ", "reject r1")
        await telegram.wait_forgotten(said)
        await rig.wait_until(noted)  # before that it would be posted again: Telegram does not know a post again
        await kill()
        own = await telegram.click("carol", approve, key)
        again = {"message_id": said["message"]["message_id"], "edit_date": said["message"]["date"]}
        await telegram.say("carol", "/run@ops_bot @web-1 careful two", "edited_message", **again)
        await start()
        await telegram.wait_for("may not approve")
        await telegram.wait_for("an edited message is never run")
        assert own["callback_query"]["id"] in telegram.answered
        yes = await telegram.click("bob", approve, key)
        _, started = await telegram.wait_for("Approved by bob", key)
        assert values(started) == ["cancel r1"]
        await telegram.wait_forgotten(yes)
        await kill()
        (tmp_path / "go-one").touch()
        await start()
        _, outcome = await telegram.wait_for("done-one", key)
        assert values(outcome) == ["more r1", "retry r1"]

        assert rig.session is not None
        url = f"http://127.0.0.1:{rig.http}/webhook/told"
        update = await telegram.say("carol", "/run @web-1 careful three")
        telegram.updates.clear()
        for _ in range(2):
            assert (await telegram.deliver(rig.session, url, update))["ok"]
        other, question = await telegram.wait_for("careful three")
        telegram.deleted.add(other)
        clicked = await telegram.click("bob", values(question)[0], other)
        telegram.updates.clear()
        answer = await telegram.deliver(rig.session, url, clicked)
        assert answer == {"method": "answerCallbackQuery", "callback_query_id": clicked["callback_query"]["id"]}
        anew, _ = await telegram.wait_for("is approved and runs")
        assert anew not in (key, other)
        (tmp_path / "go-three").touch()
        await telegram.wait_for("done-three", anew)

        cards = [number for number, states in telegram.messages.items() if values(states[0])]
        assert set(cards) == {key, other, anew}
        everything = " ".join(Parsed(state["text"]).text for states in telegram.messages.values() for state in states)
        assert "careful zero" not in everything
        assert all(state["chat_id"] == GROUP for states in telegram.messages.values() for state in states)
        # A change is made again where the hub was killed before it noted it.
        usual = ("message to edit not found", "message is not modified")
        assert all(any(words in refusal for words in usual) for refusal in telegram.refused), telegram.refused
        for text in (rig.programs["hub"].log.read_text(), str(rig.events())):
            assert TOKEN not in text
        rig.check_at_most_once()
