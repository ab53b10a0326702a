"""Mattermost end to end: a question, approval by a click of another person, one card through kills of the hub."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.end_to_end.chats.mattermost import COMMAND, HOOK, TOKEN, MattermostServer
from tests.end_to_end.system import SystemHarness

BOB, CAROL = "bob0" + "b" * 22, "caro" + "c" * 22


async def test_one_card_from_the_question_to_the_outcome_through_kills(tmp_path: Path) -> None:
    """Killed after the server took the card and before the hub heard of it, while it asks, and while the command runs:
    one card, run once, in the thread that a message which was an answer itself belongs to.
    """
    async with MattermostServer().serving() as chat, SystemHarness(tmp_path) as rig:
        await rig.init()
        for name, text in (("mm", f"{HOOK}\n{COMMAND}\n"), ("mm-token", TOKEN)):
            (rig.hub_dir / "secrets" / name).write_text(text)
            (rig.hub_dir / "secrets" / name).chmod(0o600)
        url = f"http://127.0.0.1:{rig.http}/webhook/mm"
        rig.config.write_text(
            rig.config.read_text()
            + '\n[inlets.mm]\nplatform = "mattermost"\nsecret_file = "secrets/mm"\ntoken_file = "secrets/mm-token"\n'
            + f'api_url = "http://127.0.0.1:{chat.port}"\ncallback_url = "{url}"\n'
        )
        for person, user in (("bob", BOB), ("carol", CAROL)):
            rig.edit_config(rf'^chat = \["ops:{person}"\]', f'chat = ["ops:{person}", "mm:{user}"]')
        rig.add_program("careful", f"until [ -e {tmp_path}/go ]; do sleep 0.05; done; echo done-$1\n", verdict="ask")
        await rig.start_hub()
        await rig.add_agent("web-1")
        session = rig.session
        assert session is not None

        async def kill() -> None:
            await rig.programs["hub"].stop(signal.SIGKILL)
            await rig.start_hub()
            await rig.wait_until(lambda: rig.online("web-1"))

        first = await chat.say(session, url, CAROL, "hello")
        hello = await chat.wait_said("")
        assert chat.posts[hello].root == first
        chat.unanswered = True
        said = await chat.say(session, url, CAROL, "@web-1 careful one", first)
        await chat.say(session, url, CAROL, "@web-1 careful one", first, said)
        card = await chat.wait_said("careful one")
        assert chat.posts[card].root == first
        await kill()
        await chat.wait(lambda: len(chat.posts[card].states) > 1)
        asked = chat.posts[card].actions
        assert [action["integration"]["context"]["value"][:10] for action in asked] == ["approve r2", "reject r2"]
        await chat.click(session, CAROL, card, asked[0])
        refusal = await chat.wait_said("may not approve")
        assert chat.posts[refusal].root == first
        await kill()
        await chat.click(session, BOB, card, asked[0])
        await chat.wait_said("Approved by bob", card)
        await kill()
        (tmp_path / "go").touch()
        await chat.wait_said("done-one", card)
        await chat.wait(lambda: chat.posts[card].values == ["more r2", "retry r2"])
        assert set(chat.of_bot()) == {hello, card, refusal}
        states = len(chat.posts[card].states)
        await chat.click(session, BOB, card, asked[0])
        stale = (await chat.wait(lambda: set(chat.of_bot()) - {hello, card, refusal})).pop()
        await chat.command(session, url, BOB, "r2")
        told = (await chat.wait(lambda: set(chat.of_bot()) - {hello, card, refusal, stale})).pop()
        assert "r2" in chat.posts[told].text
        assert chat.posts[told].root == ""
        assert len(chat.posts[card].states) == states
        assert set(chat.refused) <= {"api.post.create_post.root_id.app_error"}
        rig.check_at_most_once()
