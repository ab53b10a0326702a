"""The hub as a process: starts, says when it is ready, ends in order, is taken up again; and what other processes
change while it serves.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hub.identity.agents import REFRESH_SECONDS
from tests.end_to_end.system import START_WITHIN, SystemHarness, free_port

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[SystemHarness]:
    """A hub's folder; what the test starts is ended after it."""
    async with SystemHarness(tmp_path) as made:
        await made.init()
        yield made
        made.check_at_most_once()


async def worked(rig: SystemHarness) -> bool:
    return str((await rig.ask("carol", "@web-1 true"))["jobs"][0]["state"]) == "succeeded"


async def test_a_hub_ends_on_term_and_is_taken_up_again(rig: SystemHarness) -> None:
    """SIGTERM: the agent is told, the process ends with 0, and after a restart the machine is back and works."""
    hub = await rig.start_hub()
    agent = await rig.add_agent("web-1")
    assert await worked(rig)
    code, _, err = await rig.hub("serve", check=False)  # a second one changes nothing for the first
    assert code == 2
    assert "Traceback" not in err
    assert await worked(rig)
    assert await hub.stop() == 0
    assert "why=bye" in agent.log.read_text()
    assert "Traceback" not in hub.log.read_text()
    code, told, _ = await rig.hub("audit", "verify", check=False)  # a stopped hub has signed its last row
    assert code == 0, told
    assert f"seen outside up to row {len(rig.events())}" in told
    await rig.start_hub()
    assert await worked(rig)
    kinds = [event["kind"] for event in rig.events()]
    assert kinds.count("hub.started") == 2
    assert kinds.count("hub.stopped") == 1


async def test_a_hub_ends_on_int_too(rig: SystemHarness) -> None:
    """Ctrl-C at the terminal is an orderly end."""
    hub = await rig.start_hub()
    assert await hub.stop(signal.SIGINT) == 0
    assert rig.events()[-1]["kind"] == "hub.stopped"


def test_nobody_looks_into_a_hub_that_serves() -> None:
    """Trust (A7, keys): before it has read a key it is closed to other processes of its user, and leaves no core."""
    code = """
import ctypes, hub.app
def dumpable(): raise SystemExit(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) + 40)
hub.app.outlive_hangup = dumpable
hub.app.serve(None)
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=60)
    assert ended.returncode == 40 + (0 if sys.platform == "linux" else -1)


async def test_a_hangup_ends_nothing(rig: SystemHarness) -> None:
    """Hub, uplink and runner take SIGHUP while a job runs: its output arrives, all links stay, the log is reopened."""
    os.mkfifo(rig.folder / "go")
    rig.add_program("wait-for-it", f"read line < {rig.folder}/go; echo $line\n")
    hub = await rig.start_hub()
    agent = await rig.add_agent("web-1")
    event, _, _ = await rig.post("carol", "@web-1 wait-for-it")
    await rig.wait_until(lambda: running(rig))
    runner = rig.runner_pid("web-1")
    assert runner is not None
    old = hub.log.rename(rig.folder / "hub.log.1")
    for pid in (runner, agent.pid, hub.pid):
        os.kill(pid, signal.SIGHUP)
    await rig.wait_until(lambda: exists(hub.log))
    rig.edit_config(r'^roles = \["operator"\]', 'roles = ["viewer"]')
    rig.edit_config(r"^listen = .*$", f'listen = "127.0.0.1:{free_port()}"')
    os.kill(hub.pid, signal.SIGHUP)
    await rig.wait_until(lambda: reloaded(hub.log))
    assert "http.listen" in hub.log.read_text()
    assert "bob" in (await rig.ask("carol", "@web-1 true"))["text"]  # who may, now that carol may not
    await asyncio.to_thread((rig.folder / "go").write_text, "finished\n")
    (job,) = (await rig.receiver.wait_final(event, 30))["jobs"]
    assert (job["state"], job["output"]) == ("succeeded", "finished\n")
    assert (agent.process.returncode, hub.process.returncode) == (None, None)
    assert "agent.disconnected" not in old.read_text() + hub.log.read_text()


async def reloaded(log: Path) -> bool:
    return "people.carol" in log.read_text()


async def exists(path: Path) -> bool:
    return path.exists()


async def test_work_under_way_goes_on_over_a_restart(rig: SystemHarness) -> None:
    """The command runs on while no hub is there, and its end is told by the next."""
    rig.add_program("wait-for-it", f"while [ ! -e {rig.folder}/go ]; do sleep 0.05; done; echo done\n")
    hub = await rig.start_hub()
    await rig.add_agent("web-1")
    event, _, _ = await rig.post("carol", "@web-1 wait-for-it")
    await rig.wait_until(lambda: running(rig))
    assert await hub.stop() == 0
    (rig.folder / "go").touch()
    await rig.start_hub()
    (job,) = (await rig.receiver.wait_final(event, 30))["jobs"]
    assert (job["state"], job["output"]) == ("succeeded", "done\n")


async def running(rig: SystemHarness) -> bool:
    _, out, _ = await rig.operator("jobs", "--json", "--state", "running")
    return bool(json.loads(out))


async def test_the_store_outlives_a_kill(rig: SystemHarness) -> None:
    """kill -9 while serving: the next start needs no repair and the audit holds."""
    hub = await rig.start_hub()
    await rig.add_agent("web-1")
    assert await worked(rig)
    os.kill(hub.pid, signal.SIGKILL)
    await hub.process.wait()
    await rig.start_hub()
    assert await worked(rig)
    _, out, _ = await rig.hub("audit", "verify", "--json")
    assert json.loads(out)["ok"]


@pytest.mark.parametrize(("which", "told"), [("http", "[http] listen"), ("links", "[links] listen")])
async def test_a_port_that_is_taken(which: str, told: str, rig: SystemHarness) -> None:
    """Status 2 with the address and the key to change; no traceback."""
    port = rig.http if which == "http" else rig.links
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        code, _, err = await rig.hub("serve", check=False)
    assert code == 2
    assert f"127.0.0.1:{port}" in err
    assert told in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("file", "text"), [("policy.toml", "nonsense"), ("runbooks.toml", "nonsense"), ("keys/job.key", "nonsense")]
)
async def test_a_file_that_is_wrong_at_the_start(file: str, text: str, rig: SystemHarness) -> None:
    """Status 2 and the file's name; nothing listens."""
    (rig.hub_dir / file).write_text(text)
    code, _, err = await rig.hub("serve", check=False)
    assert code == 2
    assert file in err
    assert "Traceback" not in err


async def test_a_policy_that_is_wrong_while_serving(rig: SystemHarness) -> None:
    """The old one stays in force and the log says so; mended, the new one counts, without a restart."""
    hub = await rig.start_hub()
    await rig.add_agent("web-1")
    policy = rig.hub_dir / "policy.toml"
    before = policy.read_text()
    policy.write_text("nonsense = ")
    await rig.wait_until(lambda: logged(hub.log, "file.refused"))
    assert await worked(rig)
    policy.write_text(before)
    rig.add_program("brand-new", "echo new\n", noticed_later=True)
    await rig.wait_until(lambda: allowed(rig, "@web-1 brand-new"))


async def logged(log: Path, word: str) -> bool:
    return word in log.read_text()


async def allowed(rig: SystemHarness, text: str) -> bool:
    return bool((await rig.ask("carol", text))["request"]["state"] == "done")


async def test_a_revoked_machine_is_off_at_the_next_look(rig: SystemHarness) -> None:
    """Its live link is closed, it gets nothing more, and its name may join anew."""
    assert REFRESH_SECONDS <= 5
    await rig.start_hub()
    agent = await rig.add_agent("web-1")
    await rig.hub("agent", "revoke", "web-1")
    await rig.wait_until(lambda: logged(agent.log, "link.refused"))
    assert not await rig.online("web-1")
    await agent.stop()
    _, out, _ = await rig.hub("token", "--agent", "web-1")
    await rig.run("agent", *out.split()[1:], "--state", str(rig.state_folder("web-1")), "--force")
    await rig.start_agent("web-1")
    assert await worked(rig)


async def test_a_removed_person_is_off_at_the_next_look(rig: SystemHarness) -> None:
    """Their live link is closed with the reason, their next command and their chat are refused."""
    await rig.start_hub()
    _, out, _ = await rig.hub("operator", "add", "bob", "--role", "approver")
    profile = str(rig.folder / "bob")
    await rig.run("tui", *out.split()[1:], "--profile", profile)
    watching = await rig.start("watch", "tui", "--profile", profile, "watch", "--after", "0")
    await rig.wait_until(lambda: logged(watching.log, "hub.created"), watching)
    await rig.hub("operator", "remove", "bob")
    async with asyncio.timeout(START_WITHIN):
        assert await watching.process.wait() == 1
    assert "the hub closed the link" in watching.tail(1)
    code, _, err = await rig.run("tui", "--profile", profile, "agents", check=False)
    assert code == 3
    assert "revoked" in err
    assert "may not" in (await rig.ask("bob", "machines"))["text"]


async def test_a_clock_that_is_off_is_told_at_the_join(rig: SystemHarness) -> None:
    """The hub tells its time to whoever asks for its authority; every answer without an upgrade has a date."""
    await rig.start_hub()
    connector = aiohttp.TCPConnector(ssl=False)
    async with aiohttp.ClientSession(connector=connector) as session:
        for path, status in (("ca", 200), ("nothing", 404), ("console", 403)):
            async with session.get(f"https://127.0.0.1:{rig.links}/{path}") as answer:
                assert answer.status == status
                assert answer.headers["Date"].endswith(" GMT")


async def test_health_and_metrics(rig: SystemHarness) -> None:
    """The pages that operators' tools look at: alive, ready, and the figures that the issue names."""
    await rig.start_hub()
    await rig.add_agent("web-1")
    await rig.ask("carol", "@web-1 true")
    assert rig.session is not None
    base = f"http://127.0.0.1:{rig.http}"
    async with rig.session.get(f"{base}/healthz") as answer:
        assert await answer.json() == {"ok": True, "storage": "normal"}
    async with rig.session.get(f"{base}/readyz") as answer:
        assert await answer.json() == {"ready": True, "reasons": [], "warnings": [], "storage": "normal"}
    async with rig.session.get(f"{base}/metrics") as answer:
        text = await answer.text()
    for line in (
        'answerback_messages_total{inlet="ops",result="accepted"} 1.0',
        'answerback_jobs{state="succeeded"} 1.0',
        'answerback_links{kind="agent"} 1.0',
        'answerback_stage_seconds_count{stage="total"} 1.0',
        "answerback_queue_age_seconds 0.0",
    ):
        assert line in text, line
