"""agent.machine_policy: policy.toml and the profile it begins with."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.machine_policy import (
    PROFILES,
    READ_ONLY,
    TRUST_HUB,
    load_machine_policy,
    new_file,
    profile_policy,
    profile_text,
    read_machine_policy,
    summarize,
    use_profile,
)
from common.errors import UserError
from common.policy.check import Policy, check
from common.roles import ROLES
from tests.hub.planning.defaults import default_policy
from tests.update_read_only import SOURCE, TARGET, read_only

RULE = """
[[rule]]
id = "restart-web"
about = "restarts the web server"
program = "/usr/bin/systemctl"
verdict = "allow"
words = ["restart"]
arguments = [{ name = "UNIT", type = "unit" }]
"""


def kind(policy: Policy, *argv: str, env: tuple[tuple[str, str], ...] = ()) -> str:
    return check(policy, argv, roles=ROLES, agent="web-1", labels={}, env=env).kind


def test_the_read_only_profile_is_the_hub_s_default_less_what_asks() -> None:
    """Trust: one source of truth. Exactly the rules that the hub's default policy allows without a yes, to the letter:
    `python tests/update_read_only.py` writes them again.
    """
    assert TARGET.read_text(encoding="utf-8") == read_only(SOURCE.read_text(encoding="utf-8"))
    allowed = [rule for rule in default_policy().rules if rule.verdict == "allow"]
    assert list(profile_policy(READ_ONLY).rules) == allowed
    assert profile_policy(READ_ONLY).denies == default_policy().denies
    assert profile_policy(READ_ONLY).default == "deny"


def test_a_rule_for_some_machines_cannot_become_one_for_all() -> None:
    """Roles, agents and labels are the hub's: cutting such a rule out would widen it."""
    policy = 'default = "deny"\n\n[[rule]]\nid = "x"\nprogram = "/usr/bin/x"\nverdict = "allow"\nroles = ["admin"]\n'
    with pytest.raises(ValueError, match="for some people"):
        read_only(policy)


def test_what_a_machine_joins_with_only_reads() -> None:
    """Trust: the agent's own default is deny; the hub's signature alone starts no change."""
    policy = read_machine_policy(new_file(READ_ONLY)).policy
    for argv in (["/usr/bin/df", "-h"], ["/usr/bin/uptime"], ["/usr/bin/systemctl", "--no-pager", "status", "nginx"]):
        resolved = check(default_policy(), argv, roles=ROLES, agent="a", labels={})
        assert resolved.kind == "allow", argv
        assert check(policy, resolved.argv, roles=ROLES, agent="a", labels={}, env=resolved.env).argv == resolved.argv
    for argv in (
        ["/usr/bin/systemctl", "restart", "--no-ask-password", "nginx"],
        ["/usr/bin/touch", "/tmp/x"],
        ["/usr/bin/bash", "-c", "id"],
        ["/usr/bin/kill", "-9", "1"],
        ["/usr/local/bin/anything"],
    ):
        assert kind(policy, *argv) == "deny", argv


def test_trust_hub_lets_absolute_programs_run_and_nothing_that_runs_what_it_is_told() -> None:
    """Nor a variable that is a program."""
    policy = read_machine_policy(new_file(TRUST_HUB)).policy
    assert kind(policy, "/usr/bin/df", "-h") == "allow"
    assert kind(policy, "/usr/bin/git", "status", env=(("GIT_CONFIG_NOSYSTEM", "1"),)) == "allow"
    assert kind(policy, "df") == "deny"
    for name in [
        "bash",
        "busybox",
        "python3.11",
        "perl",
        "env",
        "sudo",
        "timeout",
        "xargs",
        "vim.basic",
        "less",
        "nc",
        "ssh",
    ]:
        assert kind(policy, f"/usr/bin/{name}", "x") == "deny"
    for variable in ("LD_PRELOAD", "PATH", "PAGER", "GIT_SSH_COMMAND", "BASH_ENV", "PYTHONPATH", "HOME", "IFS"):
        assert kind(policy, "/usr/bin/git", "status", env=((variable, "x"),)) == "deny"


def test_a_file_adds_to_its_profile() -> None:
    """Own rules come first and use the profile's types, own denials count, and the line tells of both."""
    text = new_file(READ_ONLY) + RULE.encode()
    found = read_machine_policy(text + b'\n[types]\nmine = { type = "choice", of = ["a"] }\ndeny = ["df"]  # frozen\n')
    assert (found.profile, found.own_rules, found.own_denials) == (READ_ONLY, 1, 1)
    assert found.describe().endswith("edited: 1 rule and 1 denial more")
    assert found.policy.rules[0].id == "restart-web"
    assert kind(found.policy, "/usr/bin/systemctl", "restart", "nginx.service") == "allow"
    assert kind(found.policy, "/usr/bin/df", "-h") == "deny"
    assert kind(found.policy, "/usr/bin/uptime") == "allow"
    used = RULE.replace('"unit"', '"readable"')
    assert read_machine_policy(new_file(READ_ONLY) + used.encode()).own_rules == 1


def test_a_file_without_a_profile_is_a_whole_policy() -> None:
    """Compatibility: machines of version 0.1.0 keep their file, and its meaning."""
    old = profile_text(TRUST_HUB)
    found = read_machine_policy(old)
    assert (found.profile, found.policy.default) == ("", "allow")
    assert found.describe() == 'a file of its own, default = "allow", 5 denials'
    assert kind(found.policy, "/usr/bin/touch", "/tmp/x") == "allow"
    with pytest.raises(UserError):
        read_machine_policy(b"")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'profile = "lax"\n', "line 1: profile: 'lax' is none: there are read-only and trust-hub"),
        (b"profile = 3\n", "profile: 3 is none"),
        (b'profile = "read-only"\ndefault = "allow"\n', "line 2: default: the profile has one"),
        (b'profile = "read-only"\nsurprise = 1\n', "surprise"),
        (b'profile = "read-only"\ntypes = 3\n', "types"),
        (b'profile = "read-only"\n[[rule]]\nid = "x"\n', "line 2"),
    ],
)
def test_a_wrong_file_is_told_with_line_and_cure(text: bytes, said: str) -> None:
    """A profile never takes a mistake away: what cannot be read refuses everything."""
    with pytest.raises(UserError) as caught:
        read_machine_policy(text, "policy.toml")
    assert said in caught.value.problem


def test_using_a_profile_keeps_what_was_written(tmp_path: Path) -> None:
    """Own rules stay; a whole policy is kept beside it, however often; an unknown name changes nothing."""
    path = tmp_path / "policy.toml"
    path.write_bytes(new_file(READ_ONLY) + RULE.encode())
    assert use_profile(path, TRUST_HUB) is None
    found = load_machine_policy(path)
    assert (found.profile, found.own_rules) == (TRUST_HUB, 1)
    assert path.read_bytes() == new_file(TRUST_HUB) + RULE.encode()
    with pytest.raises(UserError, match="there is no profile"):
        use_profile(path, "lax")
    assert load_machine_policy(path).profile == TRUST_HUB
    for number in (1, 2):
        old = f'default = "allow"  # {number}\n[environment]\nprofile = {{ type = "word" }}\n'
        path.write_text(old)
        kept = use_profile(path, READ_ONLY)
        assert kept == tmp_path / f"policy.toml.{number}"
        assert kept.read_text() == old
        assert path.read_bytes() == new_file(READ_ONLY)


def test_one_line_says_what_holds(tmp_path: Path) -> None:
    """Also where the file is broken, gone, or another's to write."""
    path = tmp_path / "policy.toml"
    for profile, meaning in PROFILES.items():
        path.write_bytes(new_file(profile))
        found = summarize(path)
        assert (found.text, found.profile, found.usable) == (f"{profile}: {meaning}", profile, True)
    path.chmod(0o666)
    assert not summarize(path).usable
    path.unlink()
    assert summarize(path).text.startswith("CANNOT BE USED, every order is refused: ")
