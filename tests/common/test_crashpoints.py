"""common.crashpoints"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common import crashpoints
from common.crashpoints import FILE_VARIABLE, TEST_VARIABLE, crashpoint, crashpoints_of, write_order

PASSES = """
import sys
from common.crashpoints import crashpoint, crashpoints_of
for line in sys.stdin:
    crashpoint(line.strip())
    crashpoints_of(["job.ended", 1], "committed")
    print(line.strip(), flush=True)
"""


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    crashpoints.configure(os.environ)


def passing(file: Path, *places: str, flag: str = "1") -> tuple[list[str], int]:
    """Which places a process has passed, and how it ended."""
    environment = os.environ | {FILE_VARIABLE: str(file), TEST_VARIABLE: flag}
    ran = subprocess.run(
        [sys.executable, "-c", PASSES], input="\n".join(places), env=environment, capture_output=True, text=True
    )
    return ran.stdout.split(), ran.returncode


def test_a_process_ends_at_the_place_that_is_asked_for_once(tmp_path: Path) -> None:
    """Not before it, not at another; and one that is started with the same file afterwards goes on."""
    file = tmp_path / "point"
    assert passing(file, "a", "b") == (["a", "b"], 0)
    write_order(file, "b")
    assert passing(file, "a", "b", "c") == (["a"], -signal.SIGKILL)
    assert file.read_text().split()[:2] == ["hit", "b"]
    assert passing(file, "a", "b", "c") == (["a", "b", "c"], 0)


def test_places_are_passed_over_first(tmp_path: Path) -> None:
    """The third time that it is reached; of a stage, the thing that was named, or the type of it."""
    file = tmp_path / "point"
    write_order(file, "a", skip=2)
    assert passing(file, "a", "b", "a", "a") == (["a", "b", "a"], -signal.SIGKILL)
    for name in ("job.ended.committed", "int.committed"):
        write_order(file, name, skip=1)
        assert passing(file, "a", "b") == (["a"], -signal.SIGKILL)


def test_a_process_is_held_at_its_place(tmp_path: Path) -> None:
    """Until whoever asked lets it go on; the order may be written while it runs."""
    file = tmp_path / "point"
    process = subprocess.Popen(
        [sys.executable, "-c", PASSES],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {FILE_VARIABLE: str(file), TEST_VARIABLE: "1"},
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write("a\n")
        process.stdin.flush()
        assert process.stdout.readline() == "a\n"
        write_order(file, "a", "stop")
        process.stdin.write("a\n")
        process.stdin.flush()
        deadline = time.monotonic() + 20
        while Path(f"/proc/{process.pid}/stat").read_text().split()[2] != "T":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert file.read_text() == f"hit a {process.pid}"
        process.send_signal(signal.SIGCONT)
        assert process.stdout.readline() == "a\n"
    finally:
        process.kill()
        process.communicate()


def test_in_service_no_order_is_looked_at(tmp_path: Path) -> None:
    """Without the test's own variable a file that is named in the environment ends nothing; nor do odd lines."""
    file = tmp_path / "point"
    write_order(file, "a")
    assert passing(file, "a", flag="") == (["a"], 0)
    for line in ("a", "a explode 0", "a kill", ""):
        file.write_text(line)
        assert passing(file, "a") == (["a"], 0)
    crashpoints.configure({FILE_VARIABLE: str(file)})
    write_order(file, "a")
    crashpoint("a")
    crashpoints_of(["a"], "b")
