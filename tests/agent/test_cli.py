"""agent.cli: the commands as processes, against a scripted hub and the real runner."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.cli import main
from agent.detach import child_environment
from agent.link_report import read_report
from agent.state import StateFolder
from common.identity.signing import ORDER_PURPOSE, SigningKey
from common.link.messages import Accepted, Bye, Dispatch, Ended, Forget, Join, Joined, Report, Resync, Started
from common.plan import Order, Plan, Step, plan_hash, step_hashes, targets_hash
from common.version import VERSION
from tests.agent.fake_peers import AgentFakeHub, FakeRunner, HubPeer

JOB = "01J00000000000000000000000"
MIB = 1024 * 1024


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[AgentFakeHub]:
    """A hub that serves."""
    async with AgentFakeHub(tmp_path / "hub").serving() as hub:
        yield hub


@pytest.fixture
def key() -> SigningKey:
    """What the hub signs orders with."""
    return SigningKey.generate()


@pytest.fixture
def state(hub: AgentFakeHub, key: SigningKey, tmp_path: Path) -> Iterator[StateFolder]:
    """A joined folder whose runner trusts `key` and allows everything; its runner is ended with the test."""
    state = hub.create_joined_state(tmp_path / "s")
    trust = {"name": "web-1", "hub": "h1", "job_keys": {key.id: key.public.hex()}}
    state.trust.write_text(json.dumps(trust))
    state.policy.write_text('default = "allow"\n')
    yield state
    if pid := runner_pid(state):
        os.kill(pid, signal.SIGKILL)


def runner_pid(state: StateFolder) -> int:
    """The process that holds the runner's lock, 0 where it is gone."""
    try:
        pid = int(state.runner_lock.read_text())
        os.kill(pid, 0)
    except (OSError, ValueError):
        return 0
    return pid


@asynccontextmanager
async def command(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`answerback-agent …` as a process, killed at the end if need be."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "agent",
        *arguments,
        env=child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def dispatch(key: SigningKey, *argv: str) -> Dispatch:
    step = Step(argv=argv, targets=("web-1",))
    plan = Plan((step,))
    order = Order(
        job=JOB,
        request="01J0000000000000000000000R",
        agent="web-1",
        argv=step.argv,
        cwd=step.cwd,
        env=step.env,
        time_limit=step.time_limit,
        output_cap=step.output_cap,
        targets=targets_hash(step.targets),
        steps=step_hashes(plan),
        step=0,
        ttl=plan.ttl,
        plan_hash=plan_hash(plan),
        not_after=time.time() + 60,
        epoch=1,
        person="alice",
    )
    return Dispatch(order.to_bytes(), key.sign(ORDER_PURPOSE, order.to_bytes()), key.id)


async def reported(hub: AgentFakeHub) -> tuple[HubPeer, Report]:
    link = await hub.next_link()
    return link, await link.expect(Report)


async def test_a_job_outlives_a_killed_run(hub: AgentFakeHub, key: SigningKey, state: StateFolder) -> None:
    """Killed with -9, `run` leaves its runner and job alone; the next `run` finds both and tells the end."""
    async with command("run", "--state", str(state.path)) as first:
        link, report = await reported(hub)
        assert report.open == {}
        await link.send(Resync({}))
        gate = state.path / "gate"
        os.mkfifo(gate)
        await link.send(dispatch(key, "/bin/cat", str(gate)))
        await link.expect(Accepted)
        started = await link.expect(Started)
        runner = runner_pid(state)
        assert os.getsid(runner) == runner != os.getsid(0)
        first.kill()
        await first.wait()
    os.kill(started.pid, 0)
    hub.session = None
    async with command("run", "--state", str(state.path)):
        link, report = await reported(hub)
        assert report.open == {JOB: "started"}
        assert runner_pid(state) == runner
        await link.send(Resync({JOB: 1}))
        await asyncio.to_thread(gate.write_bytes, b"")  # the job ends
        while not isinstance(message := await link.receive(), Ended):
            assert isinstance(message, (Accepted, Started))
        assert (message.job, message.outcome, message.exit_code) == (JOB, "succeeded", 0)
        await link.send(Forget(JOB))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stopped_run_says_goodbye(number: signal.Signals, hub: AgentFakeHub, state: StateFolder) -> None:
    """TERM and INT: goodbye to the hub, exit code 0, no traceback; the runner stays for now."""
    async with command("run", "--state", str(state.path)) as process:
        link, _ = await reported(hub)
        process.send_signal(number)
        assert await link.expect(Bye) == Bye("stopping")
        _, errors = await process.communicate()
    assert process.returncode == 0
    assert b"Traceback" not in errors
    assert b"event=uplink.stopped" in errors
    assert runner_pid(state)


async def test_a_second_run_of_the_same_folder_is_refused(hub: AgentFakeHub, state: StateFolder) -> None:
    """It says who is there, and the first keeps its link."""
    async with command("run", "--state", str(state.path)) as first:
        link, _ = await reported(hub)
        async with command("run", "--state", str(state.path)) as second:
            _, errors = await second.communicate()
        assert second.returncode == 2
        assert f"another uplink (process {first.pid})" in errors.decode()
        await link.send(Resync({}))
        assert first.returncode is None


async def test_a_runner_that_cannot_start_is_told_and_tried_again(hub: AgentFakeHub, state: StateFolder) -> None:
    """A folder that others can write to is the runner's reason; `run` and `status` say it, and once it is mended the
    machine links by itself.
    """
    state.runner.chmod(0o777)
    async with command("run", "--state", str(state.path)) as process:
        async with asyncio.timeout(30):
            while (found := read_report(state.link_report)) is None or not found.runner_down_since:
                await asyncio.sleep(0.05)
        assert "the runner ended with status 2" in found.runner_end
        assert f"chmod 700 {state.runner}" in found.runner_end
        assert "it is started again by itself" in found.reason
        state.runner.chmod(0o700)
        await reported(hub)
        assert process.returncode is None


async def test_the_uplink_is_small_and_loads_no_cryptography(
    hub: AgentFakeHub, state: StateFolder, tmp_path: Path
) -> None:
    """Linked and idle it stays below 32 MiB, and the library that makes keys is not in its memory."""
    async with FakeRunner(tmp_path / "r.sock").serving():
        async with command("uplink", "--state", str(state.path), "--socket", str(tmp_path / "r.sock")) as process:
            link, _ = await reported(hub)
            await link.send(Resync({}))
            while not link.heartbeats:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(link.receive(), 0.2)
            status = Path(f"/proc/{process.pid}/status").read_text()
            maps = Path(f"/proc/{process.pid}/maps").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    resident = int(found[1]) * 1024
    print(f"uplink: {resident / MIB:.1f} MiB resident")
    assert resident < 32 * MIB
    assert "cryptography" not in maps


async def test_join_at_the_command_line(hub: AgentFakeHub, key: SigningKey, tmp_path: Path) -> None:
    """The token comes from the environment, so it is in no process list; the answer says what to do next."""

    async def let_in(message: Join) -> Joined:
        assert message.token == "web-1.canary"
        certificate = hub.issue(message.request, message.name)
        return Joined(message.name, certificate, hub.authority.certificate, {key.id: key.public}, "h1")

    hub.join = let_in
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "agent",
            "join",
            hub.url,
            "--ca-pin",
            hub.authority.pin,
            "--state",
            str(tmp_path / "s"),
        ),
        env=child_environment() | {"ANSWERBACK_TOKEN": "web-1.canary"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, errors
    assert b"joined as web-1 to hub h1" in out
    assert f"answerback-agent run --state {tmp_path / 's'}" in out.decode()
    assert b"canary" not in out + errors
    assert StateFolder(tmp_path / "s").settings().name == "web-1"


Ended_ = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ended(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ended_:
    """Runs a command in this process; gives exit code, output and errors."""
    monkeypatch.delenv("ANSWERBACK_TOKEN", raising=False)
    monkeypatch.delenv("ANSWERBACK_STATE", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as raised:
            main(arguments)
        captured = capsys.readouterr()
        code = raised.value.code
        return code if isinstance(code, int) else -1, captured.out, captured.err

    return run


def test_help_teaches(ended: Ended_) -> None:
    """Every command with its purpose, and whole examples; what the agent calls itself is not listed."""
    code, out, _ = ended("--help")
    assert code == 0
    for words in ("join", "run", "runner", "uplink", "status", "examples:", "--ca-pin sha256:", "exit codes: 0 done"):
        assert words in out
    assert "make-request" not in out
    assert "take-certificate" not in out


def test_the_version_is_the_one(ended: Ended_) -> None:
    """--version tells the distribution's version."""
    assert ended("--version") == (0, f"answerback-agent {VERSION}\n", "")


@pytest.mark.parametrize(
    "arguments", [(), ("dance",), ("join",), ("join", "wss://hub:1", "--token", "x.y"), ("run", "--log-level", "loud")]
)
def test_wrong_usage_ends_with_two(arguments: tuple[str, ...], ended: Ended_) -> None:
    """Missing or unknown arguments, the pin among them, are told with the usage."""
    code, out, errors = ended(*arguments)
    assert code == 2
    assert out == ""
    assert "usage: answerback-agent" in errors


@pytest.mark.parametrize("name", ["run", "uplink", "status"])
def test_a_machine_that_has_not_joined_is_told_to(name: str, ended: Ended_, tmp_path: Path) -> None:
    """Exit code 2, one line, the file and the cure."""
    code, _, errors = ended(name, "--state", str(tmp_path))
    assert code == 2
    assert errors.strip().endswith("agent.toml is missing: run `answerback-agent join` first")
    assert "Traceback" not in errors


def test_joining_without_a_token_is_told_how_to_give_one(ended: Ended_, tmp_path: Path) -> None:
    """All three ways are named."""
    code, _, errors = ended(
        "join", "wss://127.0.0.1:1", "--ca-pin", "sha256:" + "0" * 64, "--state", str(tmp_path / "s")
    )
    assert code == 2
    assert "--token, --token - (standard input) or $ANSWERBACK_TOKEN" in errors


def test_a_hub_that_is_not_there_ends_with_one(ended: Ended_, tmp_path: Path) -> None:
    """The work failed: 1, and one line that says why."""
    arguments = ("join", "wss://127.0.0.1:1", "--token", "web-1.x", "--ca-pin", "sha256:" + "0" * 64)
    code, _, errors = ended(*arguments, "--state", str(tmp_path / "s"))
    assert code == 1
    assert errors.startswith("answerback-agent: nobody listens at 127.0.0.1:1")


def test_an_unknown_user_is_named(ended: Ended_, tmp_path: Path) -> None:
    """--uplink-user must exist."""
    code, _, errors = ended("runner", "--state", str(tmp_path), "--uplink-user", "no-such-user")
    assert code == 2
    assert "there is no user no-such-user" in errors


async def test_status_tells_what_is_there(hub: AgentFakeHub, state: StateFolder, ended: Ended_) -> None:
    """Name, hub, certificate, and who is at work, for people and as JSON."""
    (state.runner / "jobs").mkdir()
    (state.runner / "jobs" / f"{JOB}.started").touch()
    lock = state.acquire_lock()
    try:
        code, out, _ = ended("status", "--state", str(state.path), "--json")
    finally:
        os.close(lock)
    found = json.loads(out)
    assert code == 1, "the runner is down"
    assert (found["name"], found["hub"], found["joined"], found["generation"]) == ("web-1", "h1", True, 1)
    assert (found["uplink"], found["runner"], found["running_jobs"]) == (True, False, [])
    assert (found["unknown_jobs"], found["linked"], found["hidden"]) == ([JOB], None, [])
    assert 23 < found["certificate_left"] / 3600 <= 24
    code, out, _ = ended("status", "--state", str(state.path))
    assert code == 1
    assert "machine      web-1 of hub h1" in out
    assert "link         NOT LINKED: the uplink does not run" in out
    assert "uplink       down" in out
    assert f"unknown      {JOB}" in out


async def test_a_linked_machine_says_so(hub: AgentFakeHub, state: StateFolder, ended: Ended_) -> None:
    """`status`: linked, since when, and 0. When the uplink is gone: not linked, and 1."""
    began = time.time()
    async with command("run", "--state", str(state.path)) as process:
        await reported(hub)
        async with asyncio.timeout(45):
            while (report := read_report(state.link_report)) is None or report.state != "linked":
                await asyncio.sleep(0.02)
        code, out, _ = await asyncio.to_thread(ended, "status", "--state", str(state.path), "--json")
        found = json.loads(out)
        assert (code, found["linked"], found["runner"], found["link_state"]) == (0, True, True, "linked")
        assert began - 1 <= found["link_since"] <= time.time()
        process.kill()
        await process.wait()
    code, out, _ = ended("status", "--state", str(state.path))
    assert code == 1
    assert "NOT LINKED: the uplink does not run; it last knew: linked since" in out


def test_the_doctor_looks_at_everything(state: StateFolder, ended: Ended_) -> None:
    """A joined machine that is not at work: what is well, what is not and what to do; status 1; and as JSON."""
    code, out, _ = ended("doctor", "--state", str(state.path))
    assert code == 1
    for words in ("ok       joined", "disk", "time service", "proxy", "policy", "bad      uplink", "systemctl start"):
        assert words in out
    code, out, _ = ended("doctor", "--state", str(state.path), "--json")
    found = json.loads(out)
    assert (code, found["ok"]) == (1, False)
    assert {"version", "joined", "disk", "policy", "link"} <= {check["check"] for check in found["checks"]}
