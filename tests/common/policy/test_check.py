"""The verdict: which rule decides, for whom, where, with what demands; and the reason when none does."""

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from common.catalogue import Sentence
from common.command.grammar import is_printable_text
from common.policy.check import DEFAULT_RULE, Policy, Verdict, check, merge_verdicts
from common.policy.file import parse_policy
from tests.each import each_of

POLICY = parse_policy(
    tomllib.loads("""
default = "deny"

[environment]
LANG = { type = "choice", of = ["C", "C.UTF-8"] }

[[rule]]
id = "disk-free"
about = "how full the disks are"
program = "/usr/bin/df"
verdict = "allow"
roles = ["viewer"]
flags = ["-h --human-readable"]
arguments = [{ name = "PATH", type = "path", beneath = ["/var"], min = 0, max = 2 }]
end_of_options = true
time_limit = 30
output_cap = 1000

[programs.systemctl]
path = "/usr/bin/systemctl"
insert = ["--no-pager"]
env = { SYSTEMD_PAGER = "cat" }

[[rule]]
id = "status"
about = "how services are"
program = "systemctl"
verdict = "allow"
words = ["status"]
arguments = [{ name = "UNIT", type = "unit" }]

[[rule]]
id = "restart-web"
about = "restarts the web server where it is ours"
program = "systemctl"
verdict = "allow"
words = ["restart"]
labels = { role = "web", site = "a" }
arguments = [{ name = "UNIT", type = "choice", of = ["nginx"] }]

[[rule]]
id = "restart-database"
about = "databases are not restarted from chat"
program = "systemctl"
verdict = "deny"
words = ["restart"]
arguments = [{ name = "UNIT", type = "choice", of = ["postgresql"] }]

[[rule]]
id = "restart"
about = "restarts a service"
program = "systemctl"
verdict = "ask"
approvers = 2
words = ["restart"]
arguments = [{ name = "UNIT", type = "unit" }]
time_limit = 120

[[rule]]
id = "reboot"
about = "restarts the machine"
program = "systemctl"
verdict = "ask"
words = ["reboot"]
short = "reboot"
second_factor = true
own_approval = true
roles = ["approver"]
agents = ["test-*", "lab"]

[[rule]]
id = "checkout"
about = "what has changed"
program = "/usr/bin/git"
verdict = "allow"
words = ["status"]
directory = { type = "path", beneath = ["/srv"] }

[[deny]]
id = "shells"
about = "a shell runs anything"
names = ["sh", "python"]
programs = ["/opt/tools/run"]
"""),
    "policy.toml",
)


def judge(
    line: str,
    roles: Collection[str] = ("operator",),
    agent: str = "web-1",
    labels: Mapping[str, str] = {},
    policy: Policy = POLICY,
    **more: object,
) -> Verdict:
    return check(policy, line.split(), roles=roles, agent=agent, labels=labels, **more)  # type: ignore[arg-type]


def test_allowed_command_is_resolved() -> None:
    """The verdict carries what would run and the rule's limits."""
    verdict = judge("df -h /var/")
    assert verdict.kind == "allow"
    assert verdict.rule == "disk-free"
    assert verdict.argv == ("/usr/bin/df", "-h", "--", "/var")
    assert (verdict.time_limit, verdict.output_cap, verdict.approvers) == (30, 1000, 0)
    assert "how full the disks are" in str(verdict.reason)


def test_inserted_options_and_environment() -> None:
    """What the program's table sets is part of the verdict."""
    verdict = judge("systemctl status nginx")
    assert verdict.argv == ("/usr/bin/systemctl", "--no-pager", "status", "nginx")
    assert verdict.env == (("SYSTEMD_PAGER", "cat"),)


def test_ask_tells_why_and_how_many() -> None:
    """An `ask` carries its demands and says them, in both languages."""
    verdict = judge("systemctl restart ssh")
    assert (verdict.kind, verdict.approvers, verdict.second_factor, verdict.own_approval) == ("ask", 2, False, False)
    assert "not the requester's own" in str(verdict.reason)
    assert "2" in verdict.reason.render("zh")
    own = judge("reboot", roles=("approver",), agent="lab")
    assert (own.kind, own.approvers, own.second_factor, own.own_approval) == ("ask", 1, True, True)
    assert own.argv == ("/usr/bin/systemctl", "--no-pager", "reboot")
    assert "second factor" in str(own.reason)


def test_first_rule_that_lets_through_decides() -> None:
    """Order matters, labels choose, and a rule may deny."""
    assert judge("systemctl restart nginx", labels={"role": "web", "site": "a", "x": "y"}).rule == "restart-web"
    assert judge("systemctl restart nginx", labels={"role": "web"}).rule == "restart"
    denied = judge("systemctl restart postgresql")
    assert (denied.kind, denied.rule, denied.argv) == ("deny", "restart-database", ())
    assert "not restarted from chat" in str(denied.reason)


@each_of(
    ("line", "roles", "kind"),
    [
        ("df", (), "deny"),
        ("df", ("nobody", "root"), "deny"),
        ("df", ("viewer",), "allow"),
        ("df", ("admin",), "allow"),
        ("systemctl status x", ("viewer",), "deny"),
        ("systemctl status x", ("operator",), "allow"),
        ("systemctl status x", ("viewer", "approver"), "allow"),
        ("reboot", ("operator",), "deny"),
        ("reboot", ("approver",), "ask"),
        ("reboot", ("admin",), "ask"),
    ],
)
def test_roles_hold_what_lower_ones_hold(line: str, roles: tuple[str, ...], kind: str) -> None:
    """Viewers run nothing but what lists them; without `roles` a rule is for operators and above."""
    verdict = judge(line, roles=roles, agent="lab")
    assert verdict.kind == kind
    if kind == "deny":
        assert verdict.reason.values["why"].key == "policy_role"


def test_of_several_roles_the_least_will_do() -> None:
    """A rule that lists more than one role is for whoever has the lowest of them, or a higher one."""
    rule = next(rule for rule in POLICY.rules if rule.id == "disk-free")
    several = replace(POLICY, rules=(replace(rule, roles=("admin", "operator")),))
    line = rule.program.names[0]
    assert judge(line, policy=several, roles=("operator",)).kind == rule.verdict
    assert judge(line, policy=several, roles=("viewer",)).kind == "deny"


@each_of(
    ("agent", "kind"),
    [
        ("test-1", "ask"),
        ("lab", "ask"),
        ("lab-1", "deny"),
        ("a-test-1", "deny"),
        ("TEST-1", "deny"),
        ("", "deny"),
        ("test-\n", "deny"),
    ],
)
def test_agents_are_chosen_by_name(agent: str, kind: str) -> None:
    """A pattern is matched as a whole, case and all."""
    assert judge("reboot", roles=("admin",), agent=agent).kind == kind


@each_of(
    ("line", "nearest", "key"),
    [
        ("df --human", "disk-free", "policy_option_abbreviated"),
        ("df /etc", "disk-free", "policy_path_outside"),
        ("/bin/df", "disk-free", "policy_program_other_path"),
        ("./df", "disk-free", "policy_program_other_path"),
        ("dff", "disk-free", "policy_program_unknown"),
        ("systemctl stop nginx", "status", "policy_sub_command_unknown"),
        ("systemctl restart --now nginx", "restart-web", "policy_option_unknown"),
        ("restart nginx", "restart-web", "policy_program_unknown"),
        ("sytemctl status nginx", "status", "policy_program_unknown"),
    ],
)
def test_denial_tells_the_nearest_rule(line: str, nearest: str, key: str) -> None:
    """By program, by sub-command, by spelling; with the rule's shape."""
    verdict = judge(line)
    assert (verdict.kind, verdict.rule) == ("deny", DEFAULT_RULE)
    assert verdict.reason.key == "policy_nearest"
    assert verdict.reason.values["rule"] == nearest
    assert verdict.reason.values["why"].key == key
    assert nearest in str(verdict.reason)


@each_of("line", ["rm -rf /", "zzzz", "/", "''", "curl https://x"])
def test_denial_without_a_near_rule_still_has_a_reason(line: str) -> None:
    """The reason names the program."""
    assert judge(line).reason.key == "policy_program_unknown"


@each_of("program", ["sh", "/bin/sh", "./sh", "SH", "python", "/usr/bin/python3.11", "python3", "/opt/tools/run"])
def test_b2_b10_denied_programs(program: str) -> None:
    """A deny names a program in whatever folder, case and version, or by its path (B2, B10)."""
    verdict = judge(program + " -c id")
    assert (verdict.kind, verdict.rule) == ("deny", "shells")
    assert "a shell runs anything" in str(verdict.reason)


def test_b10_only_the_exact_path_counts() -> None:
    """A program of the same name elsewhere is another program, and PATH is never asked (B10)."""
    assert judge("/usr/bin/df").kind == "allow"
    for program in ("/usr/local/bin/df", "/usr/bin/../bin/df", "//usr/bin/df", "bin/df", "df ", "/usr/bin/df/", "Df"):
        assert check(POLICY, [program], roles=("admin",), agent="a", labels={}).kind == "deny"


def test_tainted_plans_need_a_person() -> None:
    """Text that no person wrote took part: never allow, and never the requester's own yes."""
    verdict = judge("df", tainted=True)
    assert (verdict.kind, verdict.approvers, verdict.own_approval) == ("ask", 1, False)
    assert "no person wrote" in str(verdict.reason)
    stern = judge("reboot", roles=("admin",), agent="lab", tainted=True)
    assert (stern.kind, stern.approvers, stern.second_factor, stern.own_approval) == ("ask", 1, True, False)
    assert judge("systemctl restart x", tainted=True).approvers == 2
    assert judge("rm x", tainted=True).kind == "deny"


def test_b4_environment_is_what_rules_name() -> None:
    """A step sets nothing but what its rule sets anyway and what the environment table lists, with its values (B4)."""
    assert judge("systemctl status x", env=(("SYSTEMD_PAGER", "cat"),)).kind == "allow"
    assert judge("df", env=(("LANG", "C"),)).env == (("LANG", "C"),)
    for pair in (
        ("LANG", "$(id)"),
        ("LD_PRELOAD", "/tmp/x.so"),
        ("PATH", "/tmp"),
        ("GIT_EXTERNAL_DIFF", "id"),
        ("BASH_ENV", "/tmp/x"),
        ("lang", "C"),
        ("", ""),
    ):
        assert judge("df", env=(pair,)).kind == "deny"
    assert judge("systemctl status x", env=(("SYSTEMD_PAGER", "less"),)).kind == "deny"
    assert judge("df", env=(("LANG", "C"), ("LANG", "C.UTF-8"))).kind == "deny"


def test_directory_is_refused_unless_the_rule_has_one() -> None:
    """A step may only be in a folder of the rule's type, written in its shortest form."""
    assert judge("git status", cwd="/srv/app").kind == "allow"
    assert judge("git status").kind == "allow"
    for cwd in ("/etc", "/srv/app/", "/srv/../etc", "srv", "/srv/.git"):
        assert judge("git status", cwd=cwd).kind == "deny"
    assert judge("df", cwd="/var").kind == "deny"


def test_resolved_vector_gets_the_same_verdict() -> None:
    """What the hub resolved, the machine's check of the same rules lets through unchanged."""
    for line in ("df -h /var", "systemctl status nginx", "systemctl restart ssh"):
        verdict = judge(line)
        assert check(POLICY, verdict.argv, roles=("operator",), agent="web-1", labels={}, env=verdict.env) == verdict


def test_b12_verdict_knows_no_files() -> None:
    """A path that is there and one that is not get the same verdict (B12)."""
    assert judge("df /var/log").kind == judge("df /var/no-such-thing-anywhere").kind == "allow"


@each_of("argv", [[], [""], ["df", "a\0b"], ["df", "\ud800"], ["df"] * 257, ["df", "x" * 9_000]])
def test_impossible_vectors_are_denied(argv: list[str]) -> None:
    """Empty, oversized and unencodable vectors get a reason, not an exception."""
    verdict = check(POLICY, argv, roles=("admin",), agent="a", labels={})
    assert (verdict.kind, verdict.reason.key) == ("deny", "policy_bad_argv")


LOCAL = parse_policy(
    tomllib.loads("""
default = "allow"
[environment]
LANG = "word"
[[rule]]
id = "disk-free"
about = "how full the disks are"
program = "/usr/bin/df"
verdict = "allow"
flags = ["-h"]
[[rule]]
id = "restart"
about = "two people's approval here"
program = "/usr/bin/systemctl"
verdict = "ask"
approvers = 2
words = ["restart"]
arguments = [{ name = "UNIT", type = "unit" }]
[[deny]]
id = "shells"
about = "no"
names = ["bash"]
"""),
    "local.toml",
)


@each_of(
    ("line", "kind"),
    [
        ("/usr/bin/uptime -p", "allow"),
        ("uptime", "deny"),
        ("./uptime", "deny"),
        ("/usr/../bin/uptime", "deny"),
        ("//bin/uptime", "deny"),
        ("/usr/bin/df -h", "allow"),
        ("/usr/bin/df -i", "deny"),
        ("/usr/bin/systemctl restart x", "ask"),
        ("/usr/bin/systemctl stop x", "deny"),
        ("/usr/local/bin/bash -c id", "deny"),
        ("/bin/bash5.2", "deny"),
    ],
)
def test_machines_own_policy(line: str, kind: str) -> None:
    """With default allow: absolute programs only, denied ones never, and a program with rules only as they say."""
    verdict = judge(line, policy=LOCAL, roles=("admin",))
    assert verdict.kind == kind
    if kind == "allow":
        assert verdict.argv == tuple(line.split())


def test_machines_own_policy_holds_environment_and_directory() -> None:
    """Default allow is not for variables and odd directories."""
    assert judge("/bin/x", policy=LOCAL, env=(("LANG", "C"),)).env == (("LANG", "C"),)
    assert judge("/bin/x", policy=LOCAL, env=(("LD_PRELOAD", "x"),)).kind == "deny"
    assert judge("/bin/x", policy=LOCAL, cwd="/srv/app").kind == "allow"
    for cwd in ("srv", "/srv/../etc", "/srv/", "//srv"):
        assert judge("/bin/x", policy=LOCAL, cwd=cwd).kind == "deny"
    assert judge("/bin/x", policy=LOCAL, tainted=True).kind == "ask"


ALLOW = Verdict("allow", Sentence("policy_allowed", {"rule": "a", "about": "x"}), "a", ("/bin/a",), time_limit=30)
ASK = Verdict(
    "ask",
    Sentence("policy_asks", {"rule": "b", "approvers": 1}),
    "b",
    ("/bin/b",),
    approvers=1,
    own_approval=True,
    output_cap=5,
)
FACTOR = replace(ASK, rule="c", approvers=2, second_factor=True, own_approval=False, time_limit=60)
DENY = Verdict("deny", Sentence("policy_program_unknown", {"program": "x"}), DEFAULT_RULE)


def test_stricter_takes_every_demand() -> None:
    """Deny before ask before allow; of two asks the demands of both, and the tighter limits."""
    assert merge_verdicts(ALLOW, DENY) == merge_verdicts(DENY, ALLOW) == merge_verdicts(DENY, FACTOR) == DENY
    both = merge_verdicts(ALLOW, ASK)
    assert (both.kind, both.rule, both.time_limit, both.output_cap, both.own_approval) == ("ask", "b", 30, 5, True)
    both = merge_verdicts(ASK, FACTOR)
    assert (both.approvers, both.second_factor, both.own_approval) == (2, True, False)
    assert (both.time_limit, both.output_cap, both.rule) == (60, 5, "c")
    mixed = merge_verdicts(replace(ASK, approvers=3), FACTOR)
    assert (mixed.approvers, mixed.second_factor, mixed.own_approval) == (3, True, False)
    assert mixed.reason.key == "policy_asks_factor"
    assert mixed.reason.values["approvers"] == 3
    assert merge_verdicts(ALLOW, ALLOW) == ALLOW


VERDICTS = st.sampled_from([ALLOW, ASK, FACTOR, DENY, replace(ASK, approvers=3, time_limit=1)])


@given(VERDICTS, VERDICTS, VERDICTS)
def test_stricter_is_fair(a: Verdict, b: Verdict, c: Verdict) -> None:
    """The demands do not depend on the order in which steps and machines are looked at."""

    def demands(verdict: Verdict) -> tuple[object, ...]:
        ask = (verdict.approvers, verdict.second_factor, verdict.own_approval, verdict.time_limit, verdict.output_cap)
        return ("deny",) if verdict.kind == "deny" else (verdict.kind, *ask)

    assert demands(merge_verdicts(a, b)) == demands(merge_verdicts(b, a))
    assert demands(merge_verdicts(merge_verdicts(a, b), c)) == demands(merge_verdicts(a, merge_verdicts(b, c)))
    assert demands(merge_verdicts(a, a)) == demands(a)


WORD = st.one_of(
    st.sampled_from(["df", "systemctl", "restart", "status", "-h", "/var", "nginx", "sh", "--"]), st.text(max_size=8)
)


@given(st.lists(WORD, max_size=6), st.booleans())
@settings(max_examples=400, deadline=None)
def test_verdict_is_deterministic_and_has_a_showable_reason(argv: list[str], tainted: bool) -> None:
    """No vector raises, the same one gets the same verdict, and the reason can be shown in both languages."""
    verdict = check(POLICY, argv, roles=("operator",), agent="web-1", labels={}, tainted=tainted)
    assert verdict == check(POLICY, argv, roles=("operator",), agent="web-1", labels={}, tainted=tainted)
    assert is_printable_text(verdict.reason.render("en"))
    assert is_printable_text(verdict.reason.render("zh"))
    assert (verdict.kind == "deny") == (verdict.argv == ())
    assert verdict.kind != "allow" or not tainted


# ---- windows

WINDOWED = """
default = "deny"
[[rule]]
id = "restart"
about = "x"
program = "/usr/bin/restart"
verdict = "{first}"
{terms}
insert = ["--now"]
when = ["mon-fri 08:00-18:00 Europe/Berlin"]
arguments = [{{ name = "UNIT", type = "unit" }}]
"""
LATER = """
[[rule]]
id = "later"
about = "x"
program = "/usr/bin/restart"
verdict = "{verdict}"
{terms}
flags = ["--now"]
arguments = [{{ name = "UNIT", type = "unit" }}]
"""
FRIDAY = 1_796_342_400.0  # 2026-12-04T00:00Z
INSIDE, OUTSIDE = FRIDAY + 10 * 3600.0, FRIDAY + 86_400.0 + 9 * 3600.0 + 720.0


def windowed(first: str = "allow", terms: str = "", later: str = "", later_terms: str = "") -> Policy:
    text = WINDOWED.format(first=first, terms=terms)
    return parse_policy(tomllib.loads(text + (LATER.format(verdict=later, terms=later_terms) if later else "")), "p")


def at_moment(policy: Policy, now: float | None, *argv: str) -> Verdict:
    words = argv or ("restart", "nginx")
    return check(policy, words, roles=("operator",), agent="web-1", labels={}, now=now)


def test_a_rule_holds_within_its_windows_and_says_so_outside() -> None:
    """Also of the vector as it runs; without a moment it permits nothing."""
    policy = windowed()
    assert at_moment(policy, INSIDE).argv == ("/usr/bin/restart", "--now", "nginx")
    for argv in (("restart", "nginx"), ("/usr/bin/restart", "--now", "nginx")):
        denied = at_moment(policy, OUTSIDE, *argv)
        assert (denied.kind, denied.rule) == ("deny", "restart")
        assert str(denied.reason) == (
            "rule restart holds mon-fri 08:00-18:00 Europe/Berlin only; now it is sat 10:12 CET"
        )
        assert at_moment(policy, None, *argv).kind == "deny"
    assert at_moment(policy.widest, None).kind == "allow"


def test_outside_a_later_rule_takes_over_if_it_asks_for_as_much() -> None:
    """Allowed by day, asked about by night: what people write two rules for."""
    assert [at_moment(windowed(later="ask"), now).kind for now in (INSIDE, OUTSIDE)] == ["allow", "ask"]
    assert at_moment(windowed(later="allow"), OUTSIDE).rule == "later"
    terms = "approvers = 2\nsecond_factor = true"
    assert at_moment(windowed("ask", "approvers = 2", "ask", terms), OUTSIDE).rule == "later"


@each_of(
    "case",
    [
        ("ask", "", "allow", ""),
        ("ask", "approvers = 2", "ask", ""),
        ("ask", "second_factor = true", "ask", ""),
        ("ask", "", "ask", "own_approval = true"),
        ("ask", "critical = true", "ask", ""),
    ],
)
def test_outside_nothing_easier_takes_its_place(case: tuple[str, str, str, str]) -> None:
    """Trust: waiting for the night makes no command easier, typed or as it runs."""
    policy = windowed(*case)
    assert at_moment(policy, INSIDE).kind == "ask"
    for argv in (("restart", "nginx"), ("/usr/bin/restart", "--now", "nginx")):
        assert at_moment(policy, OUTSIDE, *argv).rule == "restart"
        assert at_moment(policy, OUTSIDE, *argv).kind == "deny"


def test_a_denial_with_windows_is_a_freeze() -> None:
    """It forbids within them, and without a moment."""
    freeze = '[[rule]]\nid = "freeze"\nabout = "x"\nprogram = "/usr/bin/restart"\nverdict = "deny"\nwhen = "{}"\n'
    policy = parse_policy(
        tomllib.loads(
            'default = "deny"\n' + LATER.format(verdict="allow", terms="") + freeze.format("sat 00:00-24:00")
        ),
        "p",
    )
    assert [at_moment(policy, now).kind for now in (INSIDE, OUTSIDE, None)] == ["allow", "deny", "deny"]
    assert at_moment(policy, OUTSIDE).rule == "freeze"
    assert at_moment(policy, INSIDE).until == FRIDAY + 86_400.0  # when it begins
    assert at_moment(policy.widest, OUTSIDE).kind == "allow"


def test_a_verdict_says_until_when_it_holds() -> None:
    """The end of the rule's window; of rules without, nothing is looked at."""
    assert at_moment(windowed(), INSIDE).until == FRIDAY + 17 * 3600.0
    assert at_moment(windowed(later="ask"), OUTSIDE).until is None
    assert not POLICY.has_windows
    assert POLICY.widest is POLICY
    merged = merge_verdicts(at_moment(windowed(), INSIDE), at_moment(windowed(later="ask"), OUTSIDE))
    assert merged.until == FRIDAY + 17 * 3600.0
