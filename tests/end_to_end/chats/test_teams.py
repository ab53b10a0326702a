"""Teams end to end: a mention, the answer at once, cards through the workflow, approval by words, kills of the hub."""

from __future__ import annotations

import contextlib
import re
import signal
import sqlite3
from pathlib import Path

from tests.end_to_end.chats.teams import TOKEN, TeamsServer
from tests.end_to_end.system import SystemHarness


async def test_from_the_mention_to_the_outcome_through_kills(tmp_path: Path) -> None:
    """The hub is killed after each step: nothing is lost, nothing runs twice, each state is told once; the requester's
    own yes is refused, the other person's counts.
    """
    async with TeamsServer().serving() as teams, SystemHarness(tmp_path) as rig:
        await rig.init()
        for name, text in (("teams", TOKEN), ("flow", teams.flow)):
            (rig.hub_dir / "secrets" / name).write_text(text)
            (rig.hub_dir / "secrets" / name).chmod(0o600)
        rig.config.write_text(
            rig.config.read_text()
            + '\n[inlets.teams]\nplatform = "teams"\nsecret_file = "secrets/teams"\nflow_file = "secrets/flow"\n'
        )
        for person in ("bob", "carol"):
            rig.edit_config(rf'^chat = \["ops:{person}"\]', f'chat = ["ops:{person}", "teams:{person}"]')
        wait = f"until [ -e {tmp_path}/go ]; do sleep 0.05; done; echo done-$1\n"
        rig.add_program("careful", wait, verdict="ask")
        await rig.start_hub()
        await rig.add_agent("web-1")
        assert rig.session is not None
        url = f"http://127.0.0.1:{rig.http}/webhook/teams"

        async def kill() -> None:
            await rig.wait_until(nothing_to_post)  # a workflow knows no repeats: in between it would be told twice
            await rig.programs["hub"].stop(signal.SIGKILL)
            await rig.start_hub()
            await rig.wait_until(lambda: rig.online("web-1"))

        async def nothing_to_post() -> bool:
            with contextlib.closing(sqlite3.connect(rig.hub_dir / "data" / "answerback.sqlite")) as db:
                return not db.execute("SELECT 1 FROM outbox WHERE state = 'pending'").fetchall()

        said = await teams.say(rig.session, url, "carol", "@web-1 careful&nbsp;one", "71")
        assert said == "r1: received. The answer follows in this channel."
        again = await teams.say(rig.session, url, "carol", "@web-1 careful&nbsp;one", "71")
        assert again == "Received before, so nothing was done again."
        question = await teams.wait_for("careful one")
        yes = re.search(r"approve r1 \w{4}", question)
        assert yes is not None
        await teams.say(rig.session, url, "carol", yes[0])
        await teams.wait_for("may not approve")
        await kill()
        await teams.say(rig.session, url, "bob", yes[0])
        await teams.wait_for("approved")
        await kill()
        (tmp_path / "go").touch()
        await teams.wait_for("done-one")
        await kill()
        await teams.say(rig.session, url, "bob", "approve r1")
        async with rig.session.get(f"http://127.0.0.1:{rig.http}/confirm/{'x' * 43}") as page:
            assert (page.status, page.content_type) == (404, "text/html")
            assert "This link is over" in await page.text()
        assert len([post for post in teams.posts if "done-one" in post]) == 1
        assert len([post for post in teams.posts if yes[0] in post]) == 1
        assert teams.refused == []
        assert all("credential" not in path.read_text(errors="replace") for path in tmp_path.glob("*.log"))
        rig.check_at_most_once()
