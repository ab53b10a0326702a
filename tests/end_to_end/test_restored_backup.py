"""A hub is put back from a backup: it neither obeys what it believed then, nor is it a dead end. Real processes, and
nothing is done by hand on the machines.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.system import SystemHarness

PASSPHRASE = "correct horse battery"
LONG = pytest.mark.timeout(300)


async def readiness(rig: SystemHarness) -> dict[str, Any]:
    assert rig.session is not None
    async with rig.session.get(f"http://127.0.0.1:{rig.http}/readyz") as answer:
        found: dict[str, Any] = await answer.json()
        return found


async def asked(rig: SystemHarness, text: str) -> tuple[int, str]:
    """The number and the code of a request that waits for approval."""
    event, _, answer = await rig.post("carol", text)
    question = await rig.receiver.wait_question(event)
    found = re.search(r"approve r(\d+) ([a-z0-9]{4})", question["text"])
    assert found is not None, question["text"]
    assert int(found[1]) == answer["number"]
    assert question["request"]["code"] == found[2]
    return int(found[1]), found[2]


async def recovered(rig: SystemHarness, *more: str) -> None:
    await rig.hub("recover", "--yes", *more)

    async def over() -> bool:
        return "recovery" not in await readiness(rig)

    await rig.wait_until(over)


def started(rig: SystemHarness, mark: Path) -> int:
    """How often the program ran."""
    return len(mark.read_text().splitlines()) if mark.exists() else 0


@pytest.mark.parametrize(
    "restarts", [1, pytest.param(0, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)]
)
@LONG
async def test_a_restored_hub_recovers(tmp_path: Path, restarts: int) -> None:
    """A backup while it serves; after it a plan is approved and runs, a question is asked, a machine is revoked; then
    the whole folder is put back, with as many, fewer and more restarts than there were since.
    """
    mark = tmp_path / "ran"
    async with SystemHarness(tmp_path) as rig:
        await rig.init()
        rig.add_program("deploy", f'echo "$1" >> {mark}\n', verdict="ask", more="approvers = 1")
        await rig.start_hub()
        await rig.add_agent("web-1")
        await rig.add_agent("web-2")
        await rig.ask("carol", "@web-1 true")
        before, _ = await asked(rig, f"@web-1 {tmp_path}/bin/deploy one")
        backup = tmp_path / "b.tar"
        secret = tmp_path / "passphrase"
        secret.write_text(PASSPHRASE)
        secret.chmod(0o600)
        await rig.hub("backup", str(backup), "--passphrase-file", str(secret))
        await rig.ask("bob", f"approve r{before}")

        async def ran() -> bool:
            return started(rig, mark) == 1

        await rig.wait_until(ran)
        second, old_code = await asked(rig, f"@web-1 {tmp_path}/bin/deploy two")
        await rig.hub("agent", "revoke", "web-2")
        for _ in range(restarts):
            await rig.programs["hub"].stop()
            await rig.start_hub()
        await rig.programs["hub"].stop()
        shutil.move(rig.hub_dir, tmp_path / "old")
        await rig.run("hub", "restore", str(backup), str(rig.hub_dir), "--passphrase-file", str(secret))
        hub = await rig.start_hub()
        await rig.wait_until(lambda: rig.online("web-1"), hub)

        # It takes messages, and says why nothing goes on; the old questions are void, whatever is answered to them.
        assert "answerback-hub recover" in (await readiness(rig))["recovery"]
        status = await rig.ask("bob", "status")
        assert "restored from a backup" in status["text"]
        for number in (before, second):
            said = await rig.ask("bob", f"approve r{number} {old_code}")
            assert "approved" not in said["text"], said
        event, _, waiting = await rig.post("carol", "@web-1 true")
        assert waiting["number"] >= 2_000
        third, code = await asked(rig, f"@web-1 {tmp_path}/bin/deploy three")
        assert "answerback-hub recover" in (await rig.ask("bob", f"approve r{third} {code}"))["text"]
        _, out, _ = await rig.operator("agents", "--json")
        assert {row["name"]: row["state"] for row in json.loads(out)}["web-2"] == "active"

        # The admin sees what is in doubt, and says who must not come back.
        _, out, _ = await rig.hub("recover", "--json")
        doubt = json.loads(out)
        assert [row["name"] for row in doubt["machines"]] == ["web-1", "web-2"]
        assert doubt["ended"]["questions"] == 1
        await recovered(rig, "--revoke", "web-2")
        assert (await rig.receiver.wait_final(event))["jobs"][0]["state"] == "succeeded"
        await rig.ask("bob", f"approve r{third} {code}")

        async def ran_again() -> bool:
            return started(rig, mark) == 2

        await rig.wait_until(ran_again)
        assert mark.read_text().split() == ["one", "three"]
        _, out, _ = await rig.operator("agents", "--json")
        assert {row["name"]: row["state"] for row in json.loads(out)} == {"web-1": "active", "web-2": "revoked"}
        _, out, _ = await rig.hub("audit", "verify")
        assert "the audit holds" in out
        rig.check_at_most_once()


async def test_only_the_machine_knows(tmp_path: Path) -> None:
    """The folder was copied by hand and put back, the file beside the store too; a job of after the copy still runs.
    The machine says what it heard; its job is taken with its result, and nothing is run again.
    """
    gate, mark = tmp_path / "gate", tmp_path / "ran"
    async with SystemHarness(tmp_path) as rig:
        await rig.init()
        rig.add_program(
            "long", f'echo "$1" >> {mark}\nwhile [ ! -e {gate} ]; do sleep 0.05; done\necho done-$1\nexit 3\n'
        )
        await rig.start_hub()
        await rig.add_agent("web-1")
        await rig.ask("carol", "@web-1 true")
        await rig.programs["hub"].stop()
        shutil.copytree(rig.hub_dir, tmp_path / "copy")
        await rig.start_hub()
        await rig.post("carol", f"@web-1 {tmp_path}/bin/long job")

        async def runs() -> bool:
            return started(rig, mark) == 1

        await rig.wait_until(runs)
        await rig.programs["hub"].stop()
        shutil.rmtree(rig.hub_dir)
        shutil.copytree(tmp_path / "copy", rig.hub_dir)
        hub = await rig.start_hub()

        async def recovering() -> bool:
            return "recovery" in await readiness(rig)

        await rig.wait_until(recovering, hub)
        gate.touch()

        async def taken() -> bool:
            _, out, _ = await rig.operator("jobs", "--json")
            return any(row["state"] == "failed" for row in json.loads(out))

        await rig.wait_until(taken, hub)
        _, out, _ = await rig.hub("recover", "--json")
        doubt = json.loads(out)
        assert (doubt["cause"], doubt["jobs_taken"]) == ("machine", 1)
        await recovered(rig)
        assert (await rig.ask("carol", "@web-1 true"))["jobs"][0]["state"] == "succeeded"
        assert started(rig, mark) == 1
        rig.check_at_most_once()
