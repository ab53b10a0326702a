"""Known escapes, tried against policies that admit them and policies that do not."""

from __future__ import annotations

import tomllib
from importlib import resources

import pytest

from common.policy.check import Policy
from common.policy.escapes import find_escapes, knows_harm
from common.policy.file import load_policy_bytes, parse_policy

MACHINE = load_policy_bytes(
    resources.files("common").joinpath("defaults", "agent-trust-hub.toml").read_bytes(), "agent-trust-hub.toml"
)


def policy(*rules: str) -> Policy:
    tables = (f'[[rule]]\nid = "r{number}"\nabout = "x"\n{rule}\n' for number, rule in enumerate(rules))
    return parse_policy(tomllib.loads('default = "deny"\n' + "\n".join(tables)), "policy.toml")


@pytest.mark.parametrize(
    ("rule", "harms"),
    [
        ('program = "/usr/bin/find"\nverdict = "allow"\nstyle = "plain"\n'
         'arguments = [{ name = "X", type = "text", min = 0, max = 8 }]', set()),
        ('program = "/usr/bin/tee"\nverdict = "allow"\narguments = [{ name = "F", type = "path", beneath = ["/"] }]',
         {"writes"}),
        ('program = "/usr/bin/cat"\nverdict = "allow"\n'
         'arguments = [{ name = "F", type = "path", beneath = ["/etc"], secrets = true }]', {"reads"}),
        ('program = "/usr/bin/cat"\nverdict = "allow"\narguments = [{ name = "F", type = "path", beneath = ["/etc"] }]',
         set()),
        ('program = "/usr/bin/cat"\nverdict = "allow"\narguments = [{ name = "F", type = "path", beneath = ["/srv"] }]',
         set()),
        ('program = "/usr/bin/make"\nverdict = "ask"\napprovers = 1\n[rule.options]\n"-f" = "text"', {"runs"}),
        ('program = "/usr/bin/crontab"\nverdict = "deny"', set()),
    ],
)  # fmt: skip
def test_a_rule_that_lets_a_harmful_line_through(rule: str, harms: set[str]) -> None:
    """Lesson A4: of each harm the first line that gets through, and none of a rule that lets none through."""
    found = find_escapes(policy(rule))
    assert {one.harm for one in found} == harms
    assert all(one.rule == "r0" and one.argv[0].startswith("/usr/bin/") for one in found)


def test_a_rule_for_what_does_whatever_it_is_told_is_one() -> None:
    """Lesson A3, B1: shells, interpreters, wrappers, in any folder and version, whatever else their rule says."""
    for program in ("/usr/bin/python3.11", "/opt/bin/bash", "/usr/bin/env", "/usr/bin/xargs"):
        made = policy(f'program = "{program}"\nverdict = "allow"\nflags = ["--version"]')
        (found,) = find_escapes(made, runs_anything=MACHINE)
        assert (found.program, found.harm, found.verdict) == (program, "runs", "allow")
        assert find_escapes(made) == ()
    assert find_escapes(policy('program = "/usr/bin/uptime"\nverdict = "allow"'), runs_anything=MACHINE) == ()


def test_what_asks_is_told_apart() -> None:
    """A person sees it: shown, with its verdict."""
    (found,) = find_escapes(
        policy('program = "/bin/dd"\nverdict = "ask"\napprovers = 2\nstyle = "plain"\n'
               'arguments = [{ name = "X", type = "pattern", pattern = "of=/[a-z./]{1,40}", shape = "OF" }]')
    )  # fmt: skip
    assert (found.harm, found.verdict) == ("writes", "ask")


def test_the_default_policy_lets_no_known_escape_through() -> None:
    """Lesson A4: of the lines that this program knows none is allowed by what `init` writes; what prints a container's
    settings waits for a person's yes.
    """
    data = resources.files("hub").joinpath("defaults", "policy.toml").read_bytes()
    found = find_escapes(load_policy_bytes(data, "policy.toml"), runs_anything=MACHINE)
    assert {(one.rule, one.verdict) for one in found} == {("container-definition", "ask")}


@pytest.mark.parametrize(
    ("line", "known"),
    [
        ("/usr/bin/find /srv -delete", True),
        ("/usr/bin/find /srv -name x", False),
        ("/usr/bin/tee /srv/x", True),
        ("/usr/bin/docker exec db ls", True),
        ("/usr/bin/docker volume ls", False),
        ("/usr/bin/python3.11 --version", True),
        ("/opt/bin/bash", True),
        ("/usr/bin/sort --compress=x y", True),
        ("/usr/bin/sort -uo x y", True),
        ("/usr/bin/sort -u x", False),
        ("/usr/bin/make install", True),
        ("/usr/bin/tar xf y.tar", True),
        ("/usr/bin/uptime -p", False),
    ],
)
def test_what_is_known_of_a_vector(line: str, known: bool) -> None:
    """Lesson A4: programs, sub-commands and options, also in clusters, abbreviated, with other values."""
    assert knows_harm(line.split()) is known
