"""What a person may ask for: the rules of their roles, on machines that there are, the same in every process."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from common.policy.check import Policy
from common.policy.file import parse_policy
from common.policy.rules import DenyRule
from hub.core.inventory import Inventory, Machine
from hub.planning.llm.permissions import fingerprint, permissions_for
from hub.planning.watched_files import load_policy

ROOT = Path(__file__).resolve().parents[4]
DEFAULT = ROOT / "hub" / "defaults" / "policy.toml"
FLEET = Inventory({"web-1": Machine("web-1", {"role": "web"}), "db-1": Machine("db-1", {"role": "db"})})


def rule(name: str, **more: object) -> dict[str, object]:
    return {"id": name, "about": f"about {name}", "program": f"/usr/bin/{name}", "verdict": "allow", **more}


def policy(*rules: dict[str, object], **more: object) -> Policy:
    return parse_policy({"default": "deny", "rule": list(rules), **more}, "test")


def names(rules: Policy, *roles: str) -> list[str]:
    return [right.program for right in permissions_for(rules, roles, FLEET).rules]


def test_rules_are_those_of_the_roles() -> None:
    """A viewer's are fewer than an operator's, nobody's are none."""
    made = policy(rule("one", roles=["viewer"]), rule("two"), rule("three", roles=["admin"]))
    assert names(made, "viewer") == ["one"]
    assert names(made, "operator") == ["one", "two"]
    assert names(made, "admin") == ["one", "two", "three"]
    assert names(made) == []


def test_what_is_denied_is_left_out() -> None:
    """By a rule's verdict, and by a deny over a rule that would allow."""
    made = policy(rule("one", verdict="deny"), rule("two"), rule("three", verdict="ask"))
    made = replace(made, denies=(DenyRule("no-two", "never", names=frozenset({"two"})),))
    found = permissions_for(made, ["operator"], FLEET)
    assert [(right.program, right.asks) for right in found.rules] == [("three", True)]
    assert found.programs == ("three",)


def test_a_rule_tells_which_machines_it_is_for() -> None:
    """By pattern and label; one that is for no machine there is left out."""
    made = policy(
        rule("one", agents=["web-*"]),
        rule("two", labels={"role": "db"}),
        rule("three", agents=["gone-*"]),
        rule("four"),
    )
    found = permissions_for(made, ["operator"], FLEET)
    assert [(right.program, right.scope) for right in found.rules] == [
        ("one", "web-*"),
        ("two", "role=db"),
        ("four", ""),
    ]


def test_a_policy_that_allows_by_default_leaves_every_path() -> None:
    """Then a program is any absolute path, and policy says what it says."""
    assert permissions_for(policy(default="allow"), ["operator"], FLEET).any_path
    assert not permissions_for(policy(), ["operator"], FLEET).any_path


def test_a_policys_digest_is_the_same_in_every_process() -> None:
    """Whatever the order of its sets there; and another one for another policy."""
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from pathlib import Path; "
        "from hub.planning.watched_files import load_policy; "
        f"from hub.planning.llm.permissions import fingerprint; print(fingerprint(load_policy(Path({str(DEFAULT)!r}))))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert told == {fingerprint(load_policy(DEFAULT))}
    assert fingerprint(policy(rule("one"))) != fingerprint(policy(rule("one", roles=["viewer"])))


def test_ten_thousand_machines_cost_little() -> None:
    """The work grows with the rules: a scope is looked for once, and a rule without one looks at no machine."""
    machines = {f"web-{n}": Machine(f"web-{n}", {"role": "web"}) for n in range(10_000)}
    made = load_policy(DEFAULT)
    begun = time.process_time()
    found = permissions_for(made, ["operator"], Inventory(machines))
    assert time.process_time() - begun < 0.25
    assert len(found.rules) > 100
