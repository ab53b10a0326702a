"""kill -9 of the agent's two halves while a command runs: what ran on is reported whole, what nobody can know is
unknown.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil

from tests.end_to_end.system import SystemHarness

SLOW_COUNT = """
echo started >> {folder}/starts
i=0
while [ $i -lt 40 ]; do i=$((i+1)); echo line $i; sleep 0.05; done
exit 7
"""


async def started(rig: SystemHarness, count: int = 1) -> bool:
    file = rig.folder / "starts"
    return file.exists() and len(file.read_text().splitlines()) >= count


async def test_a_job_outlives_its_uplink(rig: SystemHarness) -> None:
    """Uplink killed while the command runs, and started again: the command ran on, its whole output and exit status
    are reported, and it ran once."""
    rig.add_program("slow-count", SLOW_COUNT.format(folder=rig.folder))
    await rig.start_hub()
    agent = await rig.add_agent("web-1")
    event, _, _ = await rig.post("carol", "@web-1 slow-count")
    await rig.wait_until(lambda: started(rig))
    os.kill(agent.pid, signal.SIGKILL)
    await agent.process.wait()
    await rig.start_agent("web-1")
    reply = await rig.receiver.wait_final(event)
    (job,) = reply["jobs"]
    assert (job["state"], job["exit_code"]) == ("failed", 7)
    assert job["output"].splitlines() == [f"line {number}" for number in range(1, 41)]
    assert (rig.folder / "starts").read_text() == "started\n"


async def test_a_cancel_reaches_a_job_whose_uplink_was_killed(rig: SystemHarness) -> None:
    """The same again, with a cancel after the restart: the command is stopped, and said to be cancelled only then."""
    rig.add_program("slow-count", SLOW_COUNT.format(folder=rig.folder).replace("-lt 40", "-lt 4000"))
    await rig.start_hub()
    agent = await rig.add_agent("web-1")
    event, _, answer = await rig.post("carol", "@web-1 slow-count")
    await rig.wait_until(lambda: started(rig))
    os.kill(agent.pid, signal.SIGKILL)
    await agent.process.wait()
    await rig.start_agent("web-1")
    await rig.ask("carol", f"cancel r{answer['number']}")
    reply = await rig.receiver.wait_final(event)
    (job,) = reply["jobs"]
    assert job["state"] == "cancelled"
    assert job["output"].startswith("line 1\nline 2\n")
    assert (rig.folder / "starts").read_text() == "started\n"


async def test_a_cancel_while_the_uplink_is_away_is_not_forgotten(rig: SystemHarness) -> None:
    """Cancel is a fact on the job: asked while the machine is unreachable, it is told with the next report."""
    rig.add_program("slow-count", SLOW_COUNT.format(folder=rig.folder).replace("-lt 40", "-lt 4000"))
    await rig.start_hub()
    agent = await rig.add_agent("web-1")
    event, _, answer = await rig.post("carol", "@web-1 slow-count")
    await rig.wait_until(lambda: started(rig))
    os.kill(agent.pid, signal.SIGKILL)
    await agent.process.wait()
    said = await rig.ask("carol", f"cancel r{answer['number']}")
    assert "cancel asked" in said["text"]
    await rig.start_agent("web-1")
    reply = await rig.receiver.wait_final(event)
    assert reply["jobs"][0]["state"] == "cancelled"


async def test_a_killed_runner_makes_the_outcome_unknown_and_nothing_runs_twice(rig: SystemHarness) -> None:
    """Both halves killed while the command runs: unknown, said so in chat, the machine takes new work, no second start;
    a person's word settles it."""
    rig.add_program("slow-count", SLOW_COUNT.format(folder=rig.folder).replace("-lt 40", "-lt 4000"))
    await rig.start_hub()
    agent = await rig.add_agent("web-1")
    event, _, _ = await rig.post("carol", "@web-1 slow-count")
    await rig.wait_until(lambda: started(rig))
    runner = rig.runner_pid("web-1")
    assert runner is not None
    children = psutil.Process(runner).children(recursive=True)
    os.kill(agent.pid, signal.SIGKILL)
    os.kill(runner, signal.SIGKILL)
    await agent.process.wait()
    await rig.start_agent("web-1")
    reply = await rig.receiver.wait_final(event)
    (job,) = reply["jobs"]
    assert job["state"] == "unknown"
    assert "unknown" in reply["text"]
    again = await rig.ask("carol", "@web-1 true")
    assert again["jobs"][0]["state"] == "succeeded"
    assert (rig.folder / "starts").read_text() == "started\n"
    await rig.operator("settle", job["id"], "failed")
    late = await rig.receiver.wait_for(lambda: next((r for r in rig.receiver.replies if r["kind"] == "late"), None))
    assert late["jobs"][0]["state"] == "failed"
    for child in children:
        if child.is_running():
            child.kill()


async def test_a_job_waits_for_a_machine_that_is_away(rig: SystemHarness) -> None:
    """Offline: chat hears until when it waits, and the job runs when the machine is back."""
    await rig.start_hub()
    await rig.join("web-1")
    event, _, _ = await rig.post("carol", "@web-1 echo hello")
    waiting = await rig.receiver.wait_for(
        lambda: next((r for r in rig.receiver.replies if r["in_reply_to"] == event and r["kind"] == "progress"), None)
    )
    assert waiting["jobs"][0]["state"] == "queued"
    await rig.start_agent("web-1")
    reply = await rig.receiver.wait_final(event)
    assert reply["jobs"][0]["output"] == "hello\n"


def test_the_rig_lives_under_one_folder(tmp_path: Path) -> None:
    """Whatever a rig makes is below the folder it was given."""
    rig = SystemHarness(tmp_path)
    assert tmp_path in rig.config.parents
    assert tmp_path in rig.state_folder("x").parents


SERVICE = """
setsid sh -c 'echo $$ > {folder}/pid
  while [ ! -e {folder}/go ]; do sleep 0.01; done
  i=0; while [ $i -lt 3000 ]; do echo {line}; i=$((i+1)); done
  touch {folder}/done' &
while [ ! -s {folder}/pid ]; do sleep 0.01; done
"""


async def test_a_service_that_a_command_starts_is_told_and_lives_on(rig: SystemHarness) -> None:
    """Chat names it and what to do. It keeps the output and writes more than any pipe holds, and nothing kills it."""
    rig.add_program("start-service", SERVICE.format(folder=rig.folder, line="x" * 60))
    await rig.start_hub()
    await rig.add_agent("web-1")
    reply = await rig.ask("carol", "@web-1 start-service")
    pid = (rig.folder / "pid").read_text().strip()
    assert "web-1: done" in reply["text"]
    assert f"Left running: {pid} sh" in reply["text"]
    assert "not recorded" in reply["text"]
    assert reply["jobs"][0]["notes"] == [f"left {pid} sh", "unrecorded"]
    (rig.folder / "go").touch()

    async def has_ended() -> bool:
        return (rig.folder / "done").exists()

    await rig.wait_until(has_ended)
