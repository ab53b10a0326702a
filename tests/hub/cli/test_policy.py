"""`policy test`, `diff` and `lint` as commands: what they print, and their exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

import hub.cli.main
from tests.run_main import CommandResult, run_main

ALLOW_CAT = """
[[rule]]
id = "show-anything"
about = "x"
program = "/usr/bin/cat"
verdict = "allow"
arguments = [{ name = "F", type = "path", beneath = ["/"], secrets = true }]
"""
ONLY_DF = """
default = "deny"
[[rule]]
id = "disk"
about = "x"
program = "/usr/bin/df"
verdict = "ask"
approvers = 1
flags = ["-h"]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub; no test of this module changes its files."""
    made = tmp_path_factory.mktemp("policy") / "hub"
    assert run_main(hub.cli.main.main, "init", str(made), "--admin", "alice").code == 0
    return made


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return tmp_path / "other.toml"


def policy(folder: Path, *argv: str) -> CommandResult:
    return run_main(hub.cli.main.main, "policy", *argv, "--config", str(folder / "hub.toml"))


def test_expectations_that_hold_and_that_do_not(folder: Path, other: Path) -> None:
    """Each that does not is told with what it is, why, by which rule, for whom and in which table."""
    other.write_text("""
[expect.disks]
verdict = "allow"
commands = ["df -h", "df -i /var"]
rule = "disk-free"

[expect.no-shell]
verdict = "deny"
person = "admin"
commands = ["bash -c id", "cat /etc/shadow", "a | b"]
""")
    fine = policy(folder, "test", str(other))
    assert (fine.code, fine.text.strip()) == (0, "5 of 5 commands are as expected")
    other.write_text(other.read_text().replace('rule = "disk-free"', 'rule = "uptime"').replace('"deny"', '"ask"'))
    wrong = policy(folder, "test", str(other))
    assert wrong.code == 1
    assert "expected allow by rule uptime, and it is allow" in wrong.text
    assert "(rule grammar, as admin, in [expect.no-shell])" in wrong.text
    assert "0 of 5 commands are as expected" in wrong.text
    told = policy(folder, "test", str(other), "--json").json
    assert (told["ok"], told["commands"], len(told["unmet"])) == (False, 5, 5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it expects nothing"),
        ('[expect.x]\nverdict = "perhaps"\ncommands = ["x"]', "verdict"),
        ('[expect.x]\nverdict = "allow"\ncommands = ["df"]\nperson = "nobody-here"', "nobody-here"),
        ('[expect.x]\nverdict = "allow"\ncommands = ["df"]\nagent = "no-machine"', "there is no machine no-machine"),
        ('[expect.x]\nverdict = "allow"\ncommands = ["df"]\nlabels = ["web"]', "KEY=VALUE"),
        ("[[", "not TOML"),
    ],
)
def test_a_file_of_expectations_that_is_none(folder: Path, other: Path, text: str, words: str) -> None:
    """Named with its cure; an empty one would always pass, and is refused too."""
    other.write_text(text)
    ended = policy(folder, "test", str(other))
    assert ended.code == 2
    assert words in ended.err


def test_what_another_policy_would_change(folder: Path, other: Path, tmp_path: Path) -> None:
    """Commands whose verdict differs, or what an ask asks for; none where the policies say the same."""
    lines = tmp_path / "lines"
    lines.write_text("df -h\ndf -h\nuptime\nrm -rf /\na | b\n")
    mine = str(folder / "policy.toml")
    same = policy(folder, "diff", mine, mine, "--lines", str(lines))
    assert (same.code, same.text.strip()) == (0, "0 of 3 different commands get another verdict")
    other.write_text(ONLY_DF)
    found = policy(folder, "diff", str(other), "--lines", str(lines))
    assert found.code == 1
    assert "allow -> ask (1 yes)  operator  -        2x     df -h" in found.text
    assert "allow -> deny" in found.text
    told = policy(folder, "diff", mine, str(other), "--lines", str(lines), "--json").json
    assert [(row["command"], row["was"], row["now"], row["count"]) for row in told["changed"]] == [
        ("df -h", "allow", "ask (1 yes)", 2),
        ("uptime", "allow", "deny", 1),
    ]


def test_rules_that_let_escapes_through_are_shown_with_the_escape(folder: Path, other: Path) -> None:
    """Exit 1 where one is allowed; what asks is shown beside."""
    other.write_text('default = "deny"\n' + ALLOW_CAT + ONLY_DF.replace('default = "deny"', ""))
    found = policy(folder, "lint", str(other))
    assert found.code == 1
    assert "allow  rule show-anything: /usr/bin/cat /etc/shadow" in found.text
    assert "2 rules; 1 known escapes are allowed, 0 wait for a yes" in found.text
    told = policy(folder, "lint", str(other), "--json").json
    assert told["escapes"][0]["harm"] == "reads"
    other.write_text(ONLY_DF)
    assert policy(folder, "lint", str(other)).code == 0


HOURS = ONLY_DF.replace(
    'verdict = "ask"\napprovers = 1', 'verdict = "allow"\nwhen = "mon-fri 08:00-18:00 Europe/Berlin"'
)


def test_a_moment_can_be_asked_about(tmp_path: Path) -> None:
    """`check --at`, `at` in expectations, `diff --at`; lint and a wrong moment."""
    made = tmp_path / "hub"
    assert run_main(hub.cli.main.main, "init", str(made), "--admin", "alice").code == 0
    before = (made / "policy.toml").read_text()
    (made / "policy.toml").write_text(HOURS)
    week, weekend = "2026-12-04T10:12+01:00", "2026-12-05T09:12"
    assert policy(made, "check", "--at", week, "df -h").code == 0
    closed = policy(made, "check", "--at", weekend, "df -h")
    assert closed.code == 3
    assert "rule disk holds mon-fri 08:00-18:00 Europe/Berlin only; now it is sat 10:12 CET" in closed.text
    wrong = policy(made, "check", "--at", "noon", "df -h")
    assert (wrong.code, "is no moment" in wrong.err) == (2, True)
    expectations = tmp_path / "expect.toml"
    expectations.write_text(
        f'[expect.day]\nverdict = "allow"\ncommands = ["df -h"]\nat = "{week}"\n'
        f'[expect.weekend]\nverdict = "deny"\ncommands = ["df -h"]\nat = "{weekend}"\nrule = "disk"\n'
    )
    assert policy(made, "test", str(expectations)).text.strip() == "2 of 2 commands are as expected"
    lines = tmp_path / "lines"
    lines.write_text("df -h\n")
    old = tmp_path / "old.toml"
    old.write_text(before)
    assert policy(made, "diff", str(old), "--lines", str(lines), "--at", week).code == 0
    assert policy(made, "diff", str(old), "--lines", str(lines), "--at", weekend).code == 1
    (made / "policy.toml").write_text(
        HOURS
        + '[[rule]]\nid = "t"\nabout = "x"\nprogram = "/usr/bin/tee"\nverdict = "allow"\nwhen = "sun 01:00-01:01"\n'
        'arguments = [{ name = "F", type = "path", beneath = ["/etc"] }]\n'
    )
    assert "allow  rule t: /usr/bin/tee /etc/cron.d/x" in policy(made, "lint").text
