"""Plain words on a real hub with a model beside it: follow-ups, a runbook made of a plan, a summary behind the output,
and `answerback-hub models` on the hub that serves. The model is in the process of the test; all else are programs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.end_to_end.system import SystemHarness, running_system
from tests.hub.planning.llm.rig import commands, server_of
from tests.hub.planning.llm_servers.servers import serving

SUMMARY = "Nine hundred lines, all alike. @web-1 lines 1"
ODD = "sing a song about what web-1 can count"


def answer(body: dict[str, Any]) -> str:
    """A plan where one is asked for, else a summary that tries to be a command."""
    return commands((["lines", "900"], ["web-1"])) if "response_format" in body else SUMMARY


async def with_model(house: SystemHarness, url: str) -> None:
    """The hub starts anew with the model, and summaries on."""
    await house.programs["hub"].stop()
    house.edit_config(r"^# summaries = false$", "summaries = true")
    house.config.write_text(f'{house.config.read_text()}\n[models.m]\nurl = "{url}"\nmodel = "m"\nkind = "openai"\n')
    house.add_program("lines", 'seq -f "line %g of many, all of them alike" "$1"\n')
    await house.start_hub()
    for name in ("web-1", "web-2"):
        await house.wait_until(lambda name=name: house.online(name))  # type: ignore[misc]


def text_of(reply: dict[str, Any]) -> str:
    return str(reply["text"])


async def test_words_to_plan_to_summary_to_runbook(tmp_path: Path) -> None:
    """Message, model, machine, reply; then what leans on it, what is made of it, and what is said of it."""
    server = server_of(answer)
    async with serving(server), running_system(tmp_path, "web-1", "web-2") as house:
        await with_model(house, server.url)

        event, _, taken = await house.post("carol", ODD)
        assert "language model wrote these commands" in text_of(await house.receiver.wait_question(event))
        await house.ask("bob", f"approve r{taken['number']}")
        first = await house.receiver.wait_final(event)
        assert "line 1 of many" in text_of(first)
        told = await house.receiver.wait_for(
            lambda: [one for one in house.receiver.replies if one["in_reply_to"] == event and one["kind"] == "progress"]
        )
        assert [text_of(one).splitlines()[-1] for one in told] == [f"> {SUMMARY}"]
        kinds = [one["kind"] for one in house.receiver.replies if one["in_reply_to"] == event]
        assert kinds.index("final") < kinds.index("progress")

        asked = len(server.asked)
        await house.ask("carol", "uptime on web-1")
        second = await house.ask("carol", "and on web-2?")
        assert [(job["agent"], job["argv"]) for job in second["jobs"]] == [("web-2", ["/usr/bin/uptime"])]
        assert not any("response_format" in body for body in server.asked[asked:])  # no model planned that

        number = first["request"]["number"]
        draft = await house.ask("carol", f"make r{number} a runbook count-up: count up to 900 on web-1")
        assert "[runbooks.count-up]" in text_of(draft)
        assert "accepted" in text_of(await house.ask("alice", "accept d1"))

        async def understood() -> bool:
            event, _, _ = await house.post("carol", "count up to 7 on web-2")
            # Until the file is read again it is the model's, which has to be asked about.
            said = await house.receiver.wait_for(
                lambda: next(
                    (
                        one
                        for one in house.receiver.replies
                        if one["in_reply_to"] == event and one["kind"] != "progress"
                    ),
                    None,
                )
            )
            return "line 7 of many" in text_of(said) and "line 8" not in text_of(said)

        await house.wait_until(understood)

        code, out, _ = await house.hub("models", "--json")
        (node,) = json.loads(out)["nodes"]
        assert (code, node["up"], node["hub_up"]) == (0, True, True)
        assert node["answered"] >= 2

        async def plans() -> int:
            _, told, _ = await house.hub("models", "--json")
            return int(json.loads(told)["shared"]["cached"]["memory"])

        kept = await plans()
        assert kept >= 1
        assert f"{kept} plans" in (await house.hub("models", "clear"))[1]

        async def forgotten() -> bool:
            return await plans() == 0

        await house.wait_until(forgotten)
        code, out, _ = await house.hub("models", "test", ODD, "--as", "carol", "--json")
        tried = json.loads(out)
        assert (code, tried["planner"], tried["cached"], tried["verdict"]) == (0, "model:m/m", False, "ask")

        house.check_at_most_once()
        kinds = [event["kind"] for event in house.events()]
        for kind in ("model.prompt", "runbook.proposed", "runbook.accepted", "plans.cleared"):
            assert kind in kinds
        assert not any("alike" in json.dumps(event) for event in house.events() if event["kind"].startswith("model."))
