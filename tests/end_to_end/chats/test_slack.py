"""Slack end to end: a question, approval by a click of another person, one card through kills of the hub."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyotp

from tests.end_to_end.chats.slack import SECRET, TOKEN, SlackServer, words
from tests.end_to_end.system import SystemHarness

BOB, CAROL = "U0BOB", "U0CAROL"


async def test_one_card_from_the_question_to_the_outcome_through_kills(tmp_path: Path) -> None:
    """Killed after Slack took the card and before the hub heard of it, while it asks, and while the command runs: one
    card, run once. What does nothing is said to the one who clicked; an edit runs nothing; a command is answered where
    the bot is not. A second factor's code is given in a modal, which a restarted hub knows, and stands nowhere.
    """
    async with SlackServer().serving() as slack, SystemHarness(tmp_path) as rig:
        await rig.init()
        for name, text in (("slack", SECRET), ("slack-token", TOKEN)):
            (rig.hub_dir / "secrets" / name).write_text(text)
            (rig.hub_dir / "secrets" / name).chmod(0o600)
        rig.config.write_text(
            rig.config.read_text()
            + '\n[inlets.slack]\nplatform = "slack"\nsecret_file = "secrets/slack"\nanswer = "mentions"\n'
            + f'token_file = "secrets/slack-token"\napi_url = "http://127.0.0.1:{slack.port}/api"\n'
        )
        for person, user in (("bob", BOB), ("carol", CAROL)):
            rig.edit_config(rf'^chat = \["ops:{person}"\]', f'chat = ["ops:{person}", "slack:{user}"]')
        rig.add_program("careful", f"until [ -e {tmp_path}/go ]; do sleep 0.05; done; echo done-$1\n", verdict="ask")
        rig.add_program("grave", "echo grave-$1\n", verdict="ask", more="second_factor = true")
        _, enrolled, _ = await rig.hub("operator", "totp", "bob", "--json")
        totp = pyotp.TOTP(parse_qs(urlsplit(json.loads(enrolled)["uri"]).query)["secret"][0])
        await rig.start_hub()
        await rig.add_agent("web-1")
        session, url = rig.session, f"http://127.0.0.1:{rig.http}/webhook/slack"
        assert session is not None

        async def kill() -> None:
            await rig.programs["hub"].stop(signal.SIGKILL)
            await rig.start_hub()
            await rig.wait_until(lambda: rig.online("web-1"))

        slack.unanswered = True
        said = await slack.say(session, url, CAROL, "@web-1 careful one")
        card = await slack.wait_said("careful one")
        assert slack.posted[card].thread == said
        await kill()
        await slack.wait(lambda: len(slack.posted[card].states) > 1)
        approve, reject = slack.posted[card].values
        assert (approve[:11], reject) == ("approve r1 ", "reject r1")
        await slack.click(session, url, CAROL, card, approve)
        user, refusal = (await slack.wait(lambda: slack.ephemeral))[0]
        assert user == CAROL
        assert "may not approve" in refusal
        await kill()
        await slack.click(session, url, BOB, card, approve)
        await slack.wait_said("Approved by bob", card)
        await kill()
        (tmp_path / "go").touch()
        await slack.wait_said("done-one", card)
        assert set(slack.posted) == {card}
        await slack.wait(lambda: slack.posted[card].values == ["more r1", "retry r1"])
        states = len(slack.posted[card].states)
        await slack.click(session, url, BOB, card, approve)
        # The first refusal may be there twice: the hub was killed upon it, and what one alone sees cannot be found.
        await slack.wait(lambda: BOB in [user for user, _ in slack.ephemeral])
        await slack.say(session, url, CAROL, "@web-1 careful two", said, edited={"user": CAROL, "ts": "1.000001"})
        edit = await slack.wait(lambda: [ts for ts in slack.posted if ts != card])
        assert slack.posted[edit[0]].thread == said
        await slack.say(session, url, CAROL, "file r1", thread_ts=said)
        (shared,) = await slack.wait(lambda: slack.shared)
        assert (shared["channel_id"], shared["thread_ts"]) == ("C0OPS", said)
        assert shared["initial_comment"] == "What r1 printed:"
        (file,) = slack.files.values()
        assert [*slack.places.values()] == [("r1-output.txt", len(file))]
        assert file.endswith(b" one (done) ====\ndone-one\n\n")
        await slack.command(session, url, BOB, "C0PRIVATE", "r1")
        told = await slack.wait(lambda: [one for one in slack.posted.values() if one.channel == "D0BOB"])
        assert "r1" in told[0].text
        assert len(slack.posted) == 3
        assert len(slack.posted[card].states) == states

        await slack.say(session, url, CAROL, "@web-1 grave three")
        grave = await slack.wait_said("Click Approve")
        await slack.click(session, url, BOB, grave, slack.posted[grave].values[0])
        view = slack.views[BOB]
        assert "grave three" in words(view)
        await kill()
        code = totp.now()
        assert "wrong" in await slack.submit(session, url, BOB, view, f"{(int(code) + 7) % 1_000_000:06}")
        assert "not yours" in await slack.submit(session, url, CAROL, view, code)
        assert "Approved" not in slack.posted[grave].text
        assert await slack.submit(session, url, BOB, view, code) == ""
        await slack.wait_said("grave-three", grave)
        assert "Approved by bob" in slack.posted[grave].text
        assert await slack.submit(session, url, BOB, view, code) == "", "the same modal again is the same yes"
        kept = rig.programs["hub"].log.read_text() + str([event["data"] for event in rig.events()])
        assert re.search(rf"\b{code}\b", kept) is None
        assert set(slack.refused) <= {"429", "not_in_channel"}
        rig.check_at_most_once()
