"""common.policy.machine_checks: what a verdict asks of the machine, and its way through an order."""

from __future__ import annotations

import json
from typing import Any

import pytest

from common.plan import MAX_CHECKS, BadPlan
from common.policy.check import check
from common.policy.file import PolicyErrors, load_policy_bytes
from common.policy.machine_checks import (
    MAX_DENIED,
    MAX_PATHS,
    NO_CHECKS,
    DeniedPrograms,
    MachineChecks,
    PathCheck,
    find_paths,
    read_checks,
    write_checks,
)
from common.policy.types import BUILT_IN_TYPES, ListType, PathType, UnionType

LOGS = PathType(beneath=("/var/log",), excluding=("/var/log/private",), endings=(".key",))
SHARE = PathType(beneath=("/usr/share",), exactly=("/etc/motd",), hidden=True, shape="FILE")
DIGEST = "ab" * 32
FULL = MachineChecks(
    DeniedPrograms(frozenset({"sh", "vim"}), frozenset({"/opt/x"})),
    frozenset({"mawk"}),
    frozenset({DIGEST, "01" * 32}),
    (PathCheck("/var/log/x", (LOGS, SHARE)), PathCheck("/etc/motd", (SHARE,))),
    "single",
)

POLICY = f"""
default = "deny"
deny = ["rm", "/usr/bin/dd"]
real_names = ["busybox"]

[types]
logs = {{ type = "path", beneath = ["/var/log"] }}
either = {{ type = "any", of = ["interface", "logs"] }}

[programs.tool]
path = "/usr/bin/tool"
real_names = ["tool-ng"]
sha256 = "{DIGEST}"

[[rule]]
id = "read"
about = "x"
program = "tool"
verdict = "allow"
by_descriptor = true
end_of_options = true
arguments = [{{ name = "FILE", type = "logs", max = 4 }}]
[rule.options]
"-c" = {{ type = "list", of = "logs" }}
"-i" = "either"

[[rule]]
id = "other"
about = "x"
program = "/usr/bin/other"
verdict = "allow"
sha256 = ["{DIGEST}", "{"0" * 64}"]
by_descriptor = "single"

[[rule]]
program = "/usr/bin/mkfs"
verdict = "deny"
"""


def checks(policy: str, *argv: str) -> MachineChecks:
    found = check(
        load_policy_bytes(policy.encode(), "policy.toml"), argv, roles=("admin",), agent="a", labels={}, cwd="/var/log"
    )
    assert found.kind == "allow", found.reason
    return found.checks


def test_a_verdict_names_what_the_machine_has_to_look_at() -> None:
    """Every path in the vector, wherever it stands, in normal form; the denials; names and digests of the program."""
    policy = POLICY.replace('path = "/usr/bin/tool"', 'path = "/usr/bin/tool"\ndirectory = "logs"')
    found = checks(policy, "tool", "a//b", "-c", "/var/log/c,d", "-ieth0", "-i", "e/./f")
    assert [path.path for path in found.paths] == [f"/var/log/{one}" for one in ("c", "d", "e/f", "a/b")]
    assert found.denied == DeniedPrograms(frozenset({"rm"}), frozenset({"/usr/bin/dd", "/bin/dd", "/usr/bin/mkfs"}))
    assert (found.real_names, found.sha256) == ({"busybox", "tool-ng"}, {DIGEST})
    assert found.by_descriptor == "always"
    other = checks(POLICY.replace('"/usr/bin/other"\n', '"/usr/bin/other"\ndirectory = "logs"\n'), "other")
    assert (other.real_names, len(other.sha256), other.by_descriptor) == ({"busybox"}, 2, "single")
    by_default = POLICY.replace('default = "deny"', 'default = "allow"')
    with_directory = by_default + '[programs.x]\npath = "/bin/x"\n'
    assert check(
        load_policy_bytes(with_directory.encode(), "p"), ("/bin/y",), roles=("admin",), agent="a", labels={}
    ).checks == MachineChecks(found.denied, frozenset({"busybox"}))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('sha256 = "ABC"', "no SHA-256"),
        (f'sha256 = ["{"AB" * 32}"]', "no SHA-256"),
        ("sha256 = []", "not a list"),
        ('real_names = ["a/b"]', "neither a name nor"),
        ('by_descriptor = "often"', "by_descriptor"),
        ("by_descriptor = 1", "by_descriptor"),
        ('run_as = "bob"', "run_as"),
        ("run_as = 0", "run_as"),
    ],
)
def test_a_slip_in_the_new_keys_is_told(line: str, problem: str) -> None:
    """Key and cure; with the verdict deny they mean nothing."""
    rule = '[[rule]]\nid = "r"\nabout = "x"\nprogram = "/bin/x"\nverdict = "allow"\n'
    with pytest.raises(PolicyErrors, match=problem):
        load_policy_bytes((rule + line).encode(), "policy.toml")
    with pytest.raises(PolicyErrors, match=f"{problem}|verdict deny"):
        load_policy_bytes((rule.replace("allow", "deny") + line).encode(), "policy.toml")


def test_root_and_the_people_s_own_keys_are_asked_for_by_a_rule() -> None:
    """Trust: as many signatures of people as approvals; a rule that lets without a yes cannot be critical."""
    rule = 'default = "deny"\n[[rule]]\nid = "r"\nabout = "x"\nprogram = "/bin/x"\nverdict = "ask"\napprovers = 2\n'
    policy = load_policy_bytes((rule + 'critical = true\nrun_as = "root"').encode(), "policy.toml")
    found = check(policy, ["/bin/x"], roles=("admin",), agent="a", labels={})
    assert (found.checks.persons, found.checks.run_as) == (2, "root")
    plain = load_policy_bytes(rule.encode(), "policy.toml")
    assert check(plain, ["/bin/x"], roles=("admin",), agent="a", labels={}).checks.persons == 0
    with pytest.raises(PolicyErrors, match="critical"):
        load_policy_bytes(rule.replace('"ask"\napprovers = 2', '"allow"\ncritical = true').encode(), "policy.toml")


def test_more_denials_than_an_order_can_carry_are_no_policy() -> None:
    """The bound of what travels in every order."""
    lists = [", ".join(f'"n{start + index}"' for index in range(300)) for start in range(0, MAX_DENIED + 300, 300)]
    text = "\n".join(f'[[deny]]\nid = "d{index}"\nnames = [{names}]' for index, names in enumerate(lists))
    with pytest.raises(PolicyErrors, match=f"more than {MAX_DENIED}"):
        load_policy_bytes(text.encode(), "policy.toml")


def test_paths_are_found_in_lists_and_among_several_types() -> None:
    """A word that is no path is none; all the path types that take a word go along."""
    either = UnionType((BUILT_IN_TYPES["word"], LOGS, PathType(beneath=("/var",))))
    assert list(find_paths(either, "eth0")) == []
    assert [len(one.types) for one in find_paths(either, "/var/log/x")] == [2]
    assert [len(one.types) for one in find_paths(either, "/var/x")] == [1]
    assert [one.path for one in find_paths(ListType(either), "eth0,/var/log/x,/var/y")] == ["/var/log/x", "/var/y"]
    assert list(find_paths(BUILT_IN_TYPES["relative-path"], "a/b")) == []


def test_checks_come_back_as_they_were() -> None:
    """Nothing is written for nothing; what is written reads the same, in one spelling."""
    assert write_checks(NO_CHECKS) == ""
    assert read_checks("") == NO_CHECKS
    lately = MachineChecks(run_as="root", persons=2)
    for found in (FULL, MachineChecks(paths=FULL.paths), MachineChecks(FULL.denied), lately):
        text = write_checks(found)
        assert read_checks(text) == found
        assert write_checks(read_checks(text)) == text
        assert set(json.loads(text)) == {key for key in json.loads(text) if json.loads(text)[key]}


def body(**changes: Any) -> str:
    return json.dumps(json.loads(write_checks(FULL)) | changes)


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "[]",
        "[" * 5_000,
        " " * (MAX_CHECKS + 1),
        body(newer=1),
        body(denied=[]),
        body(denied={"users": []}),
        body(denied={"names": ["x"] * (MAX_DENIED + 1)}),
        body(sha256=["x"]),
        body(sha256=[1]),
        body(real_names="x"),
        body(by_descriptor=True),
        body(run_as="bob"),
        body(run_as=0),
        body(persons=True),
        body(persons=-1),
        body(persons=11),
        body(persons="2"),
        body(paths=[["/x", [2]]]),
        body(paths=[["/x", [True]]]),
        body(paths=[["x", [0]]]),
        body(paths=[["/x", []]]),
        body(paths=[["/x", [0], 1]]),
        body(paths=[["/x", [0]]] * (MAX_PATHS + 1)),
        body(types=[1]),
        body(types=[{"newer": True}]),
        body(types=[{"beneath": "/x"}]),
        body(types=[{"hidden": 1}, {}]),
    ],
)
def test_what_is_not_understood_is_no_order(text: str) -> None:
    """Trust: a check that this version does not know, or that is not whole, is never left out: the order is refused."""
    with pytest.raises(BadPlan, match="checks: "):
        read_checks(text)
