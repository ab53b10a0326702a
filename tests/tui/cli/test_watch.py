"""answerback watch: what happens, as it happens, to people, to scripts and without a screen."""

from __future__ import annotations

import json
import signal

import pytest

from common.api.events import EventView
from tests.tui.live_hub import LiveHub
from tui.cli.watch import event_line

pytestmark = pytest.mark.xdist_group("live")


def test_watch_tells_what_happens_until_it_is_interrupted(answerback: LiveHub) -> None:
    """One event a line as it happens; Ctrl-C ends it without noise."""
    with answerback.process("watch", "--json", "--after", "0") as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert (first["seq"], first["kind"]) == (1, "hub.created")
        assert answerback("run", "web-1", "--", "rm", "-rf", "/").code == 3
        for line in process.stdout:
            event = json.loads(line)
            if event["kind"] == "plan.judged" and event["data"].get("verdict") == "deny":
                break
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=15)
        assert (process.returncode, err.strip()) == (130, b"")


def test_watch_for_people(answerback: LiveHub) -> None:
    """Time, kind, what it is about, and what happened in words."""
    with answerback.process("watch", "--after", "0") as process:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
    assert line.split()[3] == "hub.created"  # behind date, time and zone
    assert "alice is its first admin" in line


def test_an_event_is_one_safe_line() -> None:
    """Whatever chat put into it, and however much."""
    event = EventView(seq=1, at=0.0, kind="message.accepted", subject="s", actor="a\x1b[2J", data={"text": "x\n" * 500})
    line = event_line(event)
    assert line.isprintable()
    assert len(line) <= 500
    assert "a\\x1b[2J" in line


def test_plain_says_what_a_screen_would_show(answerback: LiveHub) -> None:
    """The link first, then what needs a person, what happens, and that it needs one no longer; words and no codes."""
    number = f"r{answerback.create_asking_request()['number']}"
    with answerback.process("watch", "--plain", "--language", "en") as process:
        assert process.stdout is not None
        said: list[str] = []

        def until(*words: str) -> None:
            while not said or not all(word in said[-1] for word in words):
                said.append(process.stdout.readline().decode())  # type: ignore[union-attr]
                assert said[-1], said

        until("link to hub-", "alice")
        until("NEEDS YOU", "APPROVE", number, "ask-me")
        answerback.run_as("bob", "reject", number, "no")
        until("needs you no longer", number)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=15)
    assert process.returncode == 130
    assert errors.strip() == b""
    text = "".join(said) + rest.decode()
    assert all(line.isprintable() for line in text.splitlines())
    assert any("bob" in line and "reject" in line for line in text.splitlines())


def test_plain_goes_alone(answerback: LiveHub) -> None:
    """JSON and a place to begin are of the other form."""
    ended = answerback("watch", "--plain", "--json")
    assert ended.code == 2
    assert "--plain" in ended.err
