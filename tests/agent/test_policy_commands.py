"""agent.policy_commands: what `answerback-agent policy` prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.cli import main
from agent.machine_policy import new_file
from agent.policy_commands import EXIT_DENIED
from agent.state import StateFolder
from common.files import create_folder


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    """A folder with the policy that `join` writes."""
    state = StateFolder(tmp_path / "s")
    create_folder(state.runner)
    state.policy.write_bytes(new_file("read-only"))
    return state


def run(capsys: pytest.CaptureFixture[str], state: StateFolder, *words: str) -> tuple[int, str]:
    """`answerback-agent policy …`: status and what it printed."""
    before, dash, after = words, (), ()
    if "--" in words:
        cut = words.index("--")
        before, dash, after = words[:cut], ("--",), words[cut + 1 :]
    with pytest.raises(SystemExit) as ended:
        main(["policy", "--state", str(state.path), *before, *dash, *after])
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out + captured.err


def test_show_use_check(capsys: pytest.CaptureFixture[str], state: StateFolder) -> None:
    """Trust: allowing more is an explicit choice on the machine, tried before and seen after."""
    status, out = run(capsys, state, "show")
    assert status == 0
    assert "read-only: what only reads" in out.splitlines()[1]
    assert "allow disk-free" in out
    assert "whatever no rule names: denied" in out
    status, out = run(capsys, state, "check", "--", "df", "-h")
    assert (status, out.split(":")[0]) == (0, "allow")
    for command in (["systemctl", "restart", "nginx"], ["touch /tmp/x"], ["no-such-program"]):
        status, out = run(capsys, state, "check", "--", *command)
        assert (status, out.split(":")[0]) == (EXIT_DENIED, "deny"), command
    status, out = run(capsys, state, "use", "trust-hub")
    assert status == 0
    assert "trust-hub: whatever the hub has signed" in out
    assert run(capsys, state, "check", "--", "systemctl", "restart", "nginx")[0] == 0
    assert run(capsys, state, "check", "--", "bash", "-c", "id")[0] == EXIT_DENIED
    assert "whatever no rule names: allowed" in run(capsys, state, "show")[1]


def test_json_for_scripts(capsys: pytest.CaptureFixture[str], state: StateFolder) -> None:
    """One object each."""
    shown = json.loads(run(capsys, state, "show", "--json")[1])
    assert (shown["profile"], shown["default"], shown["own_rules"]) == ("read-only", "deny", 0)
    assert {"id", "about", "verdict", "program", "usage", "own"} == shown["rules"][0].keys()
    with pytest.raises(SystemExit) as ended:
        main(["policy", "show", "--json", "--state", str(state.path)])  # behind the action it means the same
    assert (ended.value.code, json.loads(capsys.readouterr().out)) == (0, shown)
    status, out = run(capsys, state, "check", "--json", "--", "reboot")
    assert (status, json.loads(out)["verdict"]) == (EXIT_DENIED, "deny")
    used = json.loads(run(capsys, state, "use", "trust-hub", "--json")[1])
    assert (used["profile"], used["kept"]) == ("trust-hub", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("use", "lax"), "there is no profile 'lax': there are read-only and trust-hub"),
        (("check",), "no command: answerback-agent policy check -- df -h"),
        (("check", "--", "df 'x"), "--"),
        (("dance",), "invalid choice"),
        ((), "ACTION"),
    ],
)
def test_a_mistake_is_told_with_its_cure(
    capsys: pytest.CaptureFixture[str], state: StateFolder, words: tuple[str, ...], said: str
) -> None:
    """Status 2, no traceback, and the file is as it was."""
    status, out = run(capsys, state, *words)
    assert status == 2
    assert said in out
    assert "Traceback" not in out
    assert state.policy.read_bytes() == new_file("read-only")


def test_own_rules_are_told_first(capsys: pytest.CaptureFixture[str], state: StateFolder) -> None:
    """What somebody has added is what one looks for; a broken file is named with its line."""
    rule = '\n[[rule]]\nid = "mine"\nabout = "x"\nprogram = "/opt/mine"\nverdict = "ask"\napprovers = 2\n'
    state.policy.write_bytes(new_file("read-only") + rule.encode())
    out = run(capsys, state, "show")[1]
    assert out.index("ask   mine") < out.index("allow disk-free")
    assert "edited: 1 rule more" in out
    status, out = run(capsys, state, "check", "--", "/opt/mine")
    assert (status, "ask: " in out, "(2 in the order)" in out) == (0, True, True)
    state.policy.write_bytes(new_file("read-only") + b"nonsense\n")
    status, out = run(capsys, state, "show")
    assert status == 2
    assert str(state.policy) in out
