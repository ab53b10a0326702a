"""agent.init, as process 1 of a process namespace of its own"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HEAD = """
import os, signal, sys, time
from agent.init import split
split((GRACE, GRACE))
"""
ORPHAN = """
def orphan(*steps):
    # a grandchild whose parent is gone: process 1 inherits it
    if os.fork() == 0:
        if os.fork() == 0:
            os.setsid()
            for step in steps:
                step()
            os._exit(0)
        os._exit(0)
    os.wait()
"""


def as_process_1(script: str, *, grace: float = 5.0) -> subprocess.Popen[str]:
    """Python as process 1; what `script` does is done by its child."""
    code = HEAD.replace("GRACE", str(grace)) + ORPHAN + script
    inside = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"]
    return subprocess.Popen(
        [*inside, sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )


def output_of(process: subprocess.Popen[str]) -> str:
    out, _ = process.communicate(timeout=60)
    if out.startswith("unshare:"):
        pytest.skip("this machine lets nobody make namespaces")
    return out


def test_orphans_are_reaped_and_the_exit_status_is_the_childs() -> None:
    """No zombie is left of ten orphans; process 1 ends as the program did."""
    script = """
for number in range(10):
    orphan()
children = lambda: open("/proc/1/task/1/children").read().split()
while children() != [str(os.getpid())]:
    time.sleep(0.01)
print("reaped", os.getppid(), flush=True)
os._exit(7)
"""
    process = as_process_1(script)
    assert output_of(process) == "reaped 1\n"
    assert process.returncode == 7


def test_signals_are_passed_on(tmp_path: Path) -> None:
    """A stop of the container reaches the program, once, and its death by a signal is told as a shell tells it."""
    script = """
def once(*_):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # first: whoever reads "term" sends the next one at once
    print("term", flush=True)
signal.signal(signal.SIGTERM, once)
print("ready", flush=True)
while True:
    signal.pause()
"""
    with as_process_1(script) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if line.startswith("unshare:"):
                pytest.skip("this machine lets nobody make namespaces")
            assert line == "ready\n"
            (init,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            os.kill(int(init), signal.SIGTERM)
            assert process.stdout.readline() == "term\n"
            os.kill(int(init), signal.SIGTERM)
            assert process.wait(60) == 128 + signal.SIGTERM
        finally:
            process.kill()


def test_what_is_left_is_asked_to_end_before_all_is_killed(tmp_path: Path) -> None:
    """A runner outlives its uplink: it is asked twice, so that it stops its jobs and writes down how they ended."""
    script = f"""
def runner():
    asked = []
    def on_term(*_):
        asked.append(1)
        if len(asked) == 2:
            print("written down", flush=True)
            os._exit(0)
    signal.signal(signal.SIGTERM, on_term)
    open({str(tmp_path / "up")!r}, "w").close()
    while True:
        signal.pause()
orphan(runner)
while not os.path.exists({str(tmp_path / "up")!r}):
    time.sleep(0.01)
os._exit(0)
"""
    process = as_process_1(script, grace=0.3)
    assert output_of(process) == "written down\n"
    assert process.returncode == 0
