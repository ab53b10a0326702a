"""agent.doctor: what is wrong is found, what is well is called well, and nothing is touched."""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.approvers import add_approver
from agent.doctor import examine
from agent.link_report import LinkReporter
from agent.lock import acquire_lock
from agent.runner.job_user import JobUser, JobUsers
from agent.state import StateFolder
from agent.upgrade_report import UpgradeReport, write_upgrade
from agent.uplink.link_chain import LinkChain
from common.doctor.findings import Finding
from common.version import VERSION
from tests.agent.fake_peers import AgentFakeHub


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[AgentFakeHub]:
    """A hub that serves."""
    async with AgentFakeHub(tmp_path / "hub").serving() as hub:
        yield hub


@pytest.fixture
def state(hub: AgentFakeHub, tmp_path: Path) -> StateFolder:
    """A joined folder with a policy."""
    state = hub.create_joined_state(tmp_path / "s")
    state.policy.write_text('default = "allow"\n')
    return state


async def checks(state: StateFolder, now: float = 0.0, **environment: str) -> dict[str, Finding]:
    found = await examine(state, environment, now or time.time())
    return {finding.check: finding for finding in found}


async def test_a_machine_at_work(state: StateFolder) -> None:
    """With a live uplink that is linked, nothing but the missing runner is bad."""
    lock = state.acquire_lock()
    LinkReporter(state.link_report, VERSION).tell("linked", time.time())
    try:
        found = await checks(state)
    finally:
        os.close(lock)
    assert [name for name, finding in found.items() if finding.state == "bad"] == ["runner"]
    assert found["link"].found.startswith("linked since ")
    assert found["joined"].found.startswith("web-1 of hub h1")
    assert found["authority"].state == "ok"
    assert (found["holder"].state, found["holder"].found) == ("ok", "none yet")
    assert found["policy"].found.endswith('policy.toml: a file of its own, default = "allow"')


async def test_a_critical_rule_without_anybody_s_key_is_told(state: StateFolder) -> None:
    """Trust: it refuses everything it names until the machine knows a person's key."""
    rule = '[[rule]]\nid = "x"\nabout = "x"\nprogram = "/bin/x"\nverdict = "ask"\ncritical = true\n'
    state.policy.write_text(f'profile = "read-only"\n{rule}')
    found = (await checks(state))["policy"]
    assert (found.state, "approvers add" in found.cure) == ("warn", True)
    add_approver(state.approvers, "bob", "ab" * 32)
    assert (await checks(state))["policy"].state == "ok"
    state.approvers.write_text("nonsense")
    assert (await checks(state))["policy"].state == "bad"


async def test_as_whom_jobs_run(state: StateFolder) -> None:
    """As the runner that was started last has said: where that is nobody, or root for all, with what to do."""
    assert "jobs" not in await checks(state)
    own, other = JobUser("root", 0, 0, (), "/root"), JobUser("nobody", 65534, 65534, (), "/")
    for users, word, told in (
        (JobUsers(own, other), "ok", "they run as nobody; root where"),
        (JobUsers(own, own), "warn", "also those that no rule says it of"),
        (JobUsers(own, None), "bad", "are refused"),
        (JobUsers(other, other), "ok", "they run as nobody, all of them"),
    ):
        state.job_user.write_text(users.describe())
        found = (await checks(state))["jobs"]
        assert (found.state, told in found.found) == (word, True), found
    state.job_user.write_text(JobUsers(own, None).describe())
    assert "useradd" in (await checks(state))["jobs"].cure


async def test_what_is_wrong_is_named(state: StateFolder) -> None:
    """A policy that does not read, a key that others can read, an old uplink, a proxy, a wrong clock."""
    state.policy.write_text("default = \n")
    state.credential.key.chmod(0o644)
    lock = state.acquire_lock()
    LinkReporter(state.link_report, "0.0.1").tell("refused", time.time(), reason="revoked", cure="join again")
    try:
        found = await checks(state, https_proxy="http://p:3128")
    finally:
        os.close(lock)
    assert found["policy"].state == "bad"
    assert "every order is refused" in found["policy"].found
    assert found["permissions"].cure == f"chmod 600 {state.credential.key}"
    assert "0.0.1 runs" in found["version"].found
    assert found["proxy"].state == "warn"
    assert (found["link"].state, found["link"].cure) == ("bad", "join again")
    later = await checks(state, time.time() + 5 * 86_400)
    assert later["certificate of this machine"].state == "bad"


@pytest.mark.parametrize(
    ("runner", "word", "found", "cure"),
    [
        (VERSION, "ok", f"it runs, version {VERSION}", ""),
        ("0.0.9", "warn", f"version 0.0.9 runs, {VERSION} is installed", "answerback-agent upgrade"),
        ("9.0.10", "warn", f"version 9.0.10 runs, {VERSION} is installed", "answerback-agent upgrade"),
        ("", "ok", "it runs", ""),
    ],
)
async def test_a_runner_of_another_version(state: StateFolder, runner: str, word: str, found: str, cure: str) -> None:
    """It outlives an upgrade as long as jobs run; what to do is said."""
    locks = [state.acquire_lock(), acquire_lock(state.runner_lock, "runner", state.path, "")]
    LinkReporter(state.link_report, VERSION, lambda: runner).tell("linked", time.time())
    try:
        finding = (await checks(state))["runner"]
    finally:
        for lock in locks:
            os.close(lock)
    assert (finding.state, finding.found) == (word, found)
    assert cure in finding.cure


async def test_an_upgrade_that_was_refused_is_told(state: StateFolder) -> None:
    """With its reason, until one succeeds."""
    report = UpgradeReport("refused", 5.0, 7, "0.0.9", reason="no_such_library is not installed here")
    write_upgrade(state.runner, report)
    found = (await checks(state))["upgrade"]
    assert (found.state, "no_such_library" in found.found, "0.0.9 went on" in found.found) == ("warn", True, True)
    write_upgrade(state.runner, replace(report, state="done"))
    assert "upgrade" not in await checks(state)


async def test_another_hub_at_the_address(state: StateFolder, tmp_path: Path) -> None:
    """An authority that is not the one of the join is bad; a hub that is away is named with its address."""
    state.credential.authority.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert "shows another authority" in (await checks(state))["authority"].found
    state.settings_file.write_text('url = "wss://127.0.0.1:1"\nname = "web-1"\nhub = "h1"\n')
    assert "nobody listens at 127.0.0.1:1" in (await checks(state))["port"].found
    state.settings_file.write_text('url = "wss://no-such-host.invalid:1"\nname = "web-1"\nhub = "h1"\n')
    found = await checks(state)
    assert (found["name"].state, "port" in found) == ("bad", False)


async def test_a_folder_that_has_not_joined(tmp_path: Path) -> None:
    """It is said how to join."""
    found = await checks(StateFolder(tmp_path))
    assert (found["joined"].state, "token --agent NAME" in found["joined"].cure) == ("bad", True)


async def test_a_copied_folder_is_named_with_both_ways_out(state: StateFolder) -> None:
    """Trust: one holder of a name."""
    LinkChain(state).next_link()
    body = json.loads(state.links.read_bytes())
    body["place"][1] += 1
    state.links.write_text(json.dumps(body))
    holder = (await checks(state))["holder"]
    assert holder.state == "bad"
    assert "is a copy, or was moved" in holder.found
    assert "take-over" in holder.cure
    assert "token --agent NAME" in holder.cure
