"""answerback chat: on a real hub with two machines, by the way of a real chat."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import sys
import time
from pathlib import Path

import pytest

from tests.end_to_end.system import ROOT
from tests.tui.live_hub import LiveHub

pytestmark = pytest.mark.xdist_group("live")


def test_a_line_from_a_pipe_is_answered(answerback: LiveHub) -> None:
    """The answer with the output, and 0; refused is 3."""
    ended = answerback("chat", stdin=b"@web-1 hello\n")
    assert (ended.code, ended.err) == (0, "")
    assert "out" in ended.text
    ended = answerback("chat", stdin=b"@web-1 rm -rf /\nhelp")
    assert ended.code == 3
    assert "rm" in ended.text


def test_each_reply_as_json(answerback: LiveHub) -> None:
    """One document a line, as a platform would get them."""
    ended = answerback("chat", "--json", stdin=b"@web-2 seven\n")
    assert ended.code == 1
    replies = [json.loads(line) for line in ended.text.splitlines()]
    assert replies[-1]["kind"] == "final"
    assert replies[-1]["jobs"][0]["exit_code"] == 7


def test_two_people_and_a_choice_by_number(answerback: LiveHub) -> None:
    """carol asks, bob takes the first choice, and it runs; a script that ends on the approval ends with its status."""
    ended = answerback("chat", "--as", "carol", stdin=b"@web-1 ask-me\n/as bob\n1\n")
    assert re.search(r"\[1\] approve r\d+.*\[2\] reject r\d+", ended.text)
    assert "you are bob" in ended.text
    ran = Path(answerback.rig.folder) / "ask-me.ran"
    answerback.wait_until(lambda: ran.exists() and ran.read_text())


@pytest.mark.parametrize(
    ("argv", "stdin", "code", "told"),
    [
        (["--inlet", "none"], b"", 2, "there is no inlet none"),
        (["--config", "/none/hub.toml"], b"", 2, "/none/hub.toml: there is no such file"),
        ([], b"/picture /none.png\n", 2, "/none.png: there is no such file"),
        ([], b"x" * 9_000 + b"\n", 0, ""),
        ([], b"x" * 200_000, 2, "a line of more than"),
        (["--as", "nobody"], b"@web-1 hello\n", 3, ""),
    ],
)
def test_what_comes_to_nothing(argv: list[str], stdin: bytes, code: int, told: str, answerback: LiveHub) -> None:
    """A sentence with the cure, and the status; a person whom the hub does not know is refused by it."""
    ended = answerback("chat", *argv, stdin=stdin)
    assert (ended.code, told in ended.err) == (code, True), (ended.text, ended.err)


def test_a_hub_that_posts_no_replies_here(answerback: LiveHub, tmp_path: Path) -> None:
    """Status 1 where nobody listens at the address of that hub.toml."""
    text = answerback.rig.config.read_text()
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "ops").write_bytes(answerback.rig.secret)
    (tmp_path / "secrets" / "ops").chmod(0o600)
    (tmp_path / "hub.toml").write_text(
        re.sub(r'(?m)^listen = "127.0.0.1:\d+"', 'listen = "127.0.0.1:1"', text, count=1)
    )
    ended = answerback("chat", "--config", str(tmp_path / "hub.toml"), stdin=b"help\n")
    assert (ended.code, "no hub takes messages at 127.0.0.1:1" in ended.err) == (1, True)


def test_at_a_terminal(answerback: LiveHub) -> None:
    """A prompt with the person's name, the reply as it comes, and Ctrl-D ends it with 0."""
    profile = str(answerback.profile("alice"))
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(ROOT)
        os.execv(sys.executable, [sys.executable, "-m", "tui", "--profile", profile, "chat"])  # noqa: S606
    shown = b""

    def until(words: bytes) -> None:
        nonlocal shown
        deadline = time.monotonic() + 30
        while words not in shown:
            assert time.monotonic() < deadline, shown
            if select.select([terminal], [], [], 1)[0]:
                shown += os.read(terminal, 65_536)

    try:
        until(b"alice> ")
        os.write(terminal, b"@web-1 hello\n")
        until(b"answerback: ")
        until(b"out")
        os.write(terminal, b"\x04")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    finally:
        os.close(terminal)
    assert b"Traceback" not in shown
