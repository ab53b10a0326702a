"""make demo without a terminal: ends by itself with status 0, and its transcript holds every scene."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.xdist_group("demo")  # one run for all of them

Line = tuple[str, str]
"""Who said it, and what."""

SCENES: dict[str, list[Line]] = {
    "a hub of its own, and two machines that dial in": [
        ("hub", r"http://127\.0\.0\.1:\d+/webhook/ops, machines at wss://127\.0\.0\.1:\d+"),
        ("web-1", r"answerback-agent join wss://\S+ --token \*\*\* "),
        ("web-2", r"answerback-agent join wss://\S+ --token \*\*\* "),
    ],
    "a question, answered at once": [
        ("carol", r"@web-1 df -h /"),
        ("answerback", r"r\d+ .*df"),
        ("", r"web-1: done in"),
        ("", r"Filesystem"),
    ],
    "in Chinese, by a runbook: no model, no command to remember": [
        ("carol", r"web-2 的内存"),
        ("answerback", r"r\d+ .*free"),
        ("", r"web-2：已完成"),
        ("", r"Mem:"),
    ],
    "two machines at once": [
        ("carol", r"@role=web uptime"),
        ("answerback", r"r\d+ .*uptime"),
        ("", r"load average"),
    ],
    "a machine lets its hub look; what may change it is said on the machine": [
        ("web-1", r"read-only: .*edited: 1 rule more"),
    ],
    "a change waits for a second person, who approves exactly that plan": [
        ("carol", r"@web-1 truncate -s 0 /\S+/app\.log"),
        ("answerback", r"r\d+ waits for approval"),
        ("", r"/usr/bin/truncate -s 0 /\S+/app\.log"),
        ("", r"approve r\d+ [b-z]\d[b-z]\d"),
        ("carol", r"approve r\d+"),
        ("answerback", r"carol may not approve"),
        ("bob", r"approve r\d+"),
        ("answerback", r"approved by bob"),
        ("", r"web-1: done in"),
    ],
    "refused, with the reason": [
        ("carol", r"@web-1 rm -rf /var/lib"),
        ("answerback", r"refused.* no rule lets rm run"),
        ("carol", r"@web-1 cat /etc/hostname; reboot"),
        ("answerback", r"one after the other: @web-1 cat /etc/hostname; @web-1 reboot"),
    ],
    "cancelled while it runs": [
        ("carol", r"@web-2 sleep 300"),
        ("carol", r"cancel r\d+"),
        ("answerback", r"cancel asked for r\d+"),
        ("", r"web-2: cancelled by carol"),
    ],
    "a forged webhook is turned away": [("HTTP", r"401 +bad_signature")],
    "the record: hash-chained, signed, verified": [("the", r"audit holds: \d+ rows, every hash as it should be")],
}


@pytest.fixture(scope="module")
def transcript() -> subprocess.CompletedProcess[str]:
    """The demo's run, with nobody at a terminal."""
    return subprocess.run(
        [sys.executable, "tests/end_to_end/demo.py"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def scenes(text: str) -> dict[str, list[Line]]:
    """The transcript by title; a line that goes on with what was said before has nobody in front."""
    found: dict[str, list[Line]] = {}
    for part in re.split(r"^== ", text, flags=re.MULTILINE)[1:]:
        title, *lines = part.splitlines()
        told = [line for line in lines if line.startswith("  ")]
        found[title] = [
            ("", line.strip()) if line.startswith("   ") else (line.split()[0], line.strip().partition(" ")[2].strip())
            for line in told
        ]
    return found


def test_it_ends_by_itself(transcript: subprocess.CompletedProcess[str]) -> None:
    """Status 0, nothing on standard error, no colours, in half a minute."""
    assert transcript.returncode == 0, transcript.stderr
    assert transcript.stderr == ""
    assert "\x1b" not in transcript.stdout
    last = transcript.stdout.splitlines()[-1]
    match = re.fullmatch(r"(\d+) replies received and verified in ([\d.]+) s; nobody opened SSH\.", last)
    assert match is not None, last
    assert int(match[1]) >= 10


def test_every_scene_is_there(transcript: subprocess.CompletedProcess[str]) -> None:
    """All of them, in order."""
    assert list(scenes(transcript.stdout)) == list(SCENES)


@pytest.mark.parametrize("title", SCENES)
def test_a_scene_tells_its_story(title: str, transcript: subprocess.CompletedProcess[str]) -> None:
    """Who says what, in this order; other lines may stand between."""
    told = iter(scenes(transcript.stdout)[title])
    for who, pattern in SCENES[title]:
        assert any(who == speaker and re.search(pattern, text) for speaker, text in told), (who, pattern)


def test_no_secret_is_shown(transcript: subprocess.CompletedProcess[str]) -> None:
    """Not a join token, not a key."""
    assert "abt_" not in transcript.stdout
    assert "PRIVATE" not in transcript.stdout


def test_it_is_what_make_runs() -> None:
    """The recipe of `make demo` is this file, after the environment."""
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^demo: venv\n\t@\$\(BIN\)/python tests/end_to_end/demo\.py$", makefile, re.MULTILINE)
