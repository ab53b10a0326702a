"""`policy check`, and the default policy: what it lets through, what it refuses, and that no trick widens it."""

import functools
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from common.command.grammar import is_printable_text, tokenize
from common.policy.check import Policy, Rule, Verdict, check, usage
from common.policy.file import parse_policy
from common.policy.protections import GIT_CONFIG, GIT_VARIABLES
from common.policy.rules import NUMERIC_OPTION, REPOSITORY
from common.policy.secrets import SECRET_FOLDERS, SECRET_NAMES
from hub.cli.policy_check import check_lines
from hub.planning.runbooks.slots import DEFAULT_SAMPLES
from tests.each import each_of
from tests.hub.planning.defaults import default_chain

DEFAULTS = resources.files("hub").joinpath("defaults")
POLICY = parse_policy(tomllib.loads(DEFAULTS.joinpath("policy.toml").read_text(encoding="utf-8")), "policy.toml")


def lines_of(name: str) -> list[str]:
    text = (Path(__file__).parent / "lines" / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("# ")]


BENIGN, HOSTILE = lines_of("benign.txt"), lines_of("hostile.txt")


def verdict_on(*argv: str, roles: tuple[str, ...] = ("operator",), policy: Policy = POLICY) -> Verdict:
    return check(policy, argv, roles=roles, agent="web-1", labels={"role": "web"})


def row(line: str, roles: tuple[str, ...] = ("operator",)) -> dict[str, str]:
    return next(check_lines(POLICY, [line], roles, "web-1", {}))


# ---- rows


def test_row_has_exactly_command_verdict_reason_and_rule() -> None:
    """One row a line, in order, with the four keys that scripts rely on."""
    found = list(
        check_lines(POLICY, ["df -h", "df -h | sh", "rm -rf /", "systemctl restart nginx"], ("operator",), "web-1", {})
    )
    assert [list(each) for each in found] == [["command", "verdict", "reason", "rule"]] * 4
    assert [each["command"] for each in found] == ["df -h", "df -h | sh", "rm -rf /", "systemctl restart nginx"]
    assert [each["verdict"] for each in found] == ["allow", "deny", "deny", "ask"]
    assert [each["rule"] for each in found] == ["disk-free", "grammar", "default", "service-control"]


def test_rows_are_made_one_by_one() -> None:
    """A file of a million lines needs no memory for a million rows."""

    def endless() -> Iterator[str]:
        while True:
            yield "df"

    made = check_lines(POLICY, endless(), ("operator",), "", {})
    assert next(made)["verdict"] == next(made)["verdict"] == "allow"


@each_of(
    "line",
    [
        "",
        " ",
        "\0",
        "\n",
        "df\r",
        "\ud800",
        "df \udfff",
        "x" * 3_000_000,
        "df " * 100_000,
        "'" * 9_999,
        "\\",
        "—",
        "\x1b]0;x\x07",
    ],
)
def test_no_line_raises(line: str) -> None:
    """Nothing, NUL, lone surrogates and megabytes are denied with a reason, and the row can be written as JSON."""
    found = row(line)
    assert (found["verdict"], found["rule"], found["command"]) == ("deny", "grammar", line)
    assert is_printable_text(found["reason"])
    json.dumps(found).encode("ascii")


@given(st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_line_has_a_verdict_and_a_reason(line: str) -> None:
    """Whatever the line, there is a verdict, and a reason that can be shown."""
    found = row(line)
    assert found["verdict"] in ("allow", "ask", "deny")
    assert found["reason"]
    assert is_printable_text(found["reason"])


# ---- the default policy: benign and hostile lines


def test_lines_for_looking_around_are_allowed() -> None:
    """At least nine of ten lines that only look are allowed; every other one has its reason."""
    found = {line: row(line) for line in BENIGN}
    counts = Counter(each["verdict"] for each in found.values())
    ratio = counts["allow"] / len(found)
    print(f"benign: {counts['allow']} of {len(found)} allowed, {ratio:.1%}")
    for line, each in found.items():
        if each["verdict"] != "allow":
            print(f"  {each['verdict']}: {line}: {each['reason']}")
    assert len(found) >= 150
    assert ratio >= 0.9
    assert all(each["reason"] for each in found.values())


@each_of("line", HOSTILE)
def test_b1_b2_b3_b9_b10_hostile_line_is_denied(line: str) -> None:
    """Programs that start others, options that read, write or run, odd paths of programs: never, for no role."""
    for roles in (("operator",), ("admin",)):
        found = row(line, roles)
        assert found["verdict"] == "deny"
        assert found["reason"]


def test_hostile_lines_are_many_and_reach_the_policy() -> None:
    """The list is not a handful, and most of it is stopped by rules and not by quoting."""
    reached = [line for line in HOSTILE if row(line)["rule"] != "grammar"]
    assert len(HOSTILE) >= 500
    assert len(reached) >= 0.95 * len(HOSTILE)


INJECTIONS = (
    "; id",
    "| id",
    "|| id",
    "& id",
    "&& id",
    "\n id",
    "\r\nid",
    "`id`",
    "$(id)",
    "${IFS}id",
    "$IFS$9id",
    "<(id)",
    ">(id)",
    "> /tmp/x",
    "< /etc/shadow",
    ">> /tmp/x",
    "2>&1",
    "%0aid",
    "';id;'",
    '";id;"',
    "';id",
    '"|id',
    "\\;id",
    "$(`id`)",
    "{id,x}",
    "() { :;}; id",
    "|&id",
    "\x00id",
    "\x1bid",
    "\tid",
    "\u2028id",
    "!id",
    "~/x",
    "*",
    "/etc/pass?d",
    "[a-z]*",
    "#",
    "$@",
    "$((1+1))",
    "$'\\x41'",
    "<<<x",
    "%00",
    "../../etc/shadow",
    "/etc/shadow",
    "--files0-from=/etc/shadow",
    "-o /tmp/x",
    "--output=/tmp/x",
    "-exec id ;",
    "--help",
    "@x;id",
)


@functools.cache
def allowed_lines() -> list[str]:
    return [line for line in BENIGN if row(line)["verdict"] == "allow"]


@each_of("injection", INJECTIONS)
def test_s1_nothing_rides_on_an_allowed_line(injection: str) -> None:
    """Behind an allowed line an injected end is refused, or is but a quoted or plain word of the same program (S1)."""
    for line in allowed_lines():
        for joint in (" ", ""):
            after = row(line + joint + injection)
            if after["verdict"] == "deny":
                continue
            resolved = verdict_on(*tokenize(line + joint + injection))
            assert resolved.argv[0] == verdict_on(*tokenize(line)).argv[0]
            assert not set(injection) & set(";|&`$()<>{}\n\r\x00\x1b*?[]") or set(injection) & set("'\"\\")


# ---- the default policy: properties over all its rules


@functools.cache
def decided() -> dict[str, list[list[str]]]:
    """Rules by id: the benign lines that each decides, as words."""
    found: dict[str, list[list[str]]] = {rule.id: [] for rule in POLICY.rules}
    for line in BENIGN:
        words = list(tokenize(line))
        found.setdefault(verdict_on(*words, roles=("admin",)).rule, []).append(words)
    return found


def shortest(rule: Rule) -> list[list[str]]:
    """Benign lines that this rule decides, as words."""
    return decided()[rule.id]


LONG = sorted(
    {
        (rule.program.names[0], *(word.first for word in rule.words), spelling)
        for rule in POLICY.rules
        for option in (*rule.options, *rule.program.global_options)
        for spelling in option.spellings
        if spelling.startswith("--")
    }
)


def spellings_of(program: str) -> set[str]:
    return {
        spelling
        for rule in POLICY.by_name[program]
        for option in (*rule.options, *rule.program.global_options)
        for spelling in option.spellings
    }


def test_b9_no_long_option_may_be_abbreviated() -> None:
    """Every beginning of every long option of every rule is refused, alone and with a value (B9)."""
    tried = 0
    for *start, spelling in LONG:
        known = spellings_of(start[0])
        for end in range(3, len(spelling)):
            short = spelling[:end]
            if short in known:
                continue
            tried += 1
            for words in ([*start, short], [*start, short + "=1"], [*start, short, "1"], [start[0], short, *start[1:]]):
                assert verdict_on(*words, roles=("admin",)).kind == "deny", words
    assert tried > 1_000


@each_of("rule", POLICY.rules)
def test_unlisted_option_is_denied_wherever_it_stands(rule: Rule) -> None:
    """An option that no rule of the program lists is refused, at every place of every line that the rule decides."""
    letters = [f"-{letter}" for letter in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0"]
    known = spellings_of(rule.program.names[0])
    unlisted = [letter for letter in letters if letter not in known][:6]
    unlisted += ["--no-such-option", "--output-file=/tmp/x", "-", "--="]
    for words in shortest(rule):
        if "--" in words:
            words = words[: words.index("--")]
        for option in unlisted:
            for place in range(1, len(words) + 1):
                changed = [*words[:place], option, *words[place:]]
                assert verdict_on(*changed, roles=("admin",)).kind == "deny", changed


@each_of("rule", POLICY.rules)
def test_rule_is_documented_and_resolves_to_itself(rule: Rule) -> None:
    """Each rule has a line for people, a usage line, a time limit; what it resolves gets the same verdict (B7)."""
    assert rule.about
    assert usage(rule).startswith(rule.program.names[0])
    assert rule.time_limit is not None
    for words in shortest(rule):
        verdict = verdict_on(*words, roles=("admin",))
        again = check(POLICY, verdict.argv, roles=("admin",), agent="web-1", labels={"role": "web"}, env=verdict.env)
        assert again == verdict


def test_every_program_is_absolute_and_inserts_first() -> None:
    """What runs begins with the rule's program, and with what its table inserts."""
    for line in BENIGN:
        verdict = verdict_on(*tokenize(line), roles=("admin",))
        if verdict.kind == "deny":
            continue
        rule = next(rule for rule in POLICY.rules if rule.id == verdict.rule)
        inserted = rule.program.insert
        assert verdict.argv[: 1 + len(inserted)] == (rule.program.path, *inserted)


def test_b4_environment_holds_no_program() -> None:
    """What rules set in the environment turns pagers and configuration off, and nothing on (B4)."""
    pairs = {pair for rule in POLICY.rules for pair in rule.env} - GIT_VARIABLES
    assert {name for name, _ in pairs} == {
        "ANSWERBACK_REQUIRES",
        "DEBIAN_FRONTEND",
        "GIT_ALLOW_PROTOCOL",
        "GIT_ATTR_NOSYSTEM",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_NO_LAZY_FETCH",
        "GIT_OPTIONAL_LOCKS",
        "GIT_TERMINAL_PROMPT",
        "SYSTEMD_PAGER",
        "XDG_CONFIG_HOME",
    }
    assert not POLICY.environment
    for name in ("LD_PRELOAD", "PATH", "GIT_EXTERNAL_DIFF", "GIT_EXEC_PATH", "PS4", "BASH_ENV", "PAGER", "HOME"):
        verdict = check(POLICY, ["df"], roles=("admin",), agent="a", labels={}, env=((name, "x"),))
        assert verdict.kind == "deny"


def test_git_never_runs_what_a_checkout_names() -> None:
    """Every git rule turns monitor, hooks, pager, signature checkers and inner repositories off."""
    for rule in POLICY.by_name["git"]:
        if rule.id == "git-version":
            continue
        required = [choice[0] for choice in rule.required]
        names = ["x"] * sum(slot.minimum for slot in rule.arguments)
        verdict = verdict_on("git", *(word.first for word in rule.words), *required, *names)
        assert verdict.kind != "deny", (rule.id, str(verdict.reason))
        for setting in (
            ("core.fsmonitor", "false"),
            ("core.hooksPath", "/dev/null"),
            ("core.pager", "cat"),
            ("gpg.program", "/bin/false"),
            ("safe.bareRepository", "explicit"),
            ("protocol.allow", "never"),
            ("status.submoduleSummary", "false"),
        ):
            assert setting in GIT_CONFIG
        assert set(verdict.env) >= GIT_VARIABLES
        assert "-c" not in verdict.argv[:2]
        assert {("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_ALLOW_PROTOCOL", "none"), REPOSITORY} <= set(verdict.env)
    for command in ("log", "show", "diff"):
        assert {"--no-ext-diff", "--no-textconv"} <= set(verdict_on("git", command).argv)


NOT_FOR_EVERYONE = (
    # private keys, keys of private networks, lists of repositories, failed logins, what installers were told
    *("cat /etc/nginx/ssl/privkey.pem", "head /etc/nginx/site.key.bak", "tail /etc/systemd/network/wg0.netdev"),
    *("cat /etc/apt/sources.list", "grep x /etc/yum.repos.d/a.repo", "cat /var/log/btmp.2",
      "cat /var/log/btmp-20260101.gz"),
    *("cat /var/log/cloud-init-output.log.1", "cat /etc/cron.d/backup", "md5sum /srv/app/id_rsa",
      "file /srv/app/prod.env"),
    *("grep -r x /var/log/private", "cat /etc/systemd/system/app.service", "cat /var/log/.hidden",
      "cat /var/log/a/.x/y"),
    # environments, by their programs' other readings and by what services and crashed programs leave
    *("ps -ef -o args", "ps -o args -ef", "ps -eux", "ps axe", "ps -C xe -f -o pid", "ps -eF -l", "ps -o environ -p 1"),
    *("systemctl show app -p Environment", "systemctl show app -P Environment", "systemctl show -p Id,Environment app"),
    *("systemctl show --property=SetCredential app", "systemctl cat app", "systemctl status app -o verbose"),
    *("journalctl -F COREDUMP_ENVIRON", "journalctl -n 5 -o json --output-fields=COREDUMP_ENVIRON",
      "docker logs --details web"),
    # what connects where it should not, runs another program, or never ends
    *("lspci -q", "dig -p 80 example.com", "dig +https example.com", "dig +tls @10.0.0.1 x.org", "ss -r", "last -d",
      "host -w x.org"),
    *("rpm -qa --last", "docker info", "git -C /srv/app describe --dirty", "sysctl -a -r key"),
)  # fmt: skip


@each_of("line", NOT_FOR_EVERYONE)
def test_b8_b9_what_reads_secrets_is_not_allowed(line: str) -> None:
    """Trust: secrets by pattern and place, second readings of a program, other programs and servers (B8, B9)."""
    found = row(line)
    assert found["verdict"] in ("ask", "deny")
    assert found["reason"]


def test_what_may_hold_a_password_asks_someone_else() -> None:
    """Trust: lists of repositories, services' variables and cron's lines are shown once another person has agreed."""
    for line in ("cat /etc/apt/sources.list", "tail -5 /etc/crontab", "grep -i env /etc/systemd/system/app.service"):
        verdict = verdict_on(*tokenize(line))
        assert (verdict.kind, verdict.approvers, verdict.own_approval) == ("ask", 1, False), line
    assert verdict_on("cat", "/etc/systemd/network/wg0.netdev").kind == "deny"


def test_what_is_put_in_keeps_programs_from_more_than_reading() -> None:
    """Trust: each program gets the options that keep it to reading: of one repository, without scripts or names."""
    for line, words in {
        "ps -ef": ("-Af",),
        "ps -u eve -f": ("--user=eve",),
        "rpm -V bash": ("--noscripts", "--dbpath=/var/lib/rpm"),
        "git -C /srv/app diff -- a": ("--no-show-signature",),
        "git -C /srv/app blame a": ("HEAD", "a"),
        "dig example.com": ("-r",),
        "lsof -i": ("-n",),
        "netstat -a": ("--numeric-hosts",),
        "du -sh /": ("--exclude=/proc",),
        "apt list": ("-oDir::Cache::pkgcache=",),
    }.items():
        assert set(words) <= set(verdict_on(*tokenize(line)).argv), line
    for line in ("systemctl show app", "journalctl -n 5 -o verbose", "journalctl -o json-pretty"):
        (fields,) = [
            word for word in verdict_on(*tokenize(line)).argv if word.startswith(("--property=", "--output-fields="))
        ]
        assert not {"Environment", "COREDUMP_ENVIRON"} & set(fields.partition("=")[2].split(","))
    assert verdict_on(*tokenize("systemctl show app -p MainPID --value")).kind == "allow"


def test_b8_a_search_through_logs_passes_over_what_may_not_be_shown() -> None:
    """Trust: what `grep -r` leaves out covers every name and folder of a secret, renamed ones too (B8)."""
    words = verdict_on("grep", "-r", "x", "/var/log").argv
    files = [word.partition("=")[2] for word in words if word.startswith("--exclude=")]
    folders = [word.partition("=")[2] for word in words if word.startswith("--exclude-dir=")]
    for pattern in SECRET_NAMES:
        name = re.sub(r"\[(.)[^]]*\]", r"\1", pattern).replace("*", "x")
        for written in (name, f"{name}.1.gz", f"{name}~", f"{name}-20260101"):
            assert any(fnmatchcase(written, one) for one in files), (pattern, written)
    for folder in SECRET_FOLDERS - {"ssl.key", "system-connections", "auth.conf.d"}:
        assert any(fnmatchcase(folder, one) for one in folders), folder


def test_b8_no_path_reaches_a_secret() -> None:
    """No rule takes a path to a secret, however it is written, in any of its options and arguments (B8)."""
    secrets = [
        "/etc/shadow",
        "/etc/gshadow",
        "/etc/sudoers",
        "/root/.ssh/id_rsa",
        "/home/a/.ssh/id_rsa",
        "/home/a/.aws/credentials",
        "/srv/app/.env",
        "/etc/ssl/private/x.pem",
        "/proc/1/environ",
        "/proc/self/environ",
        "/proc/1/root/etc/shadow",
        "/var/lib/answerback-agent/runner/trust.json",
    ]
    openers = ["cat", "head", "tail", "wc", "file", "md5sum", "sha256sum", "cksum", "grep x", "grep -r x", "grep -e x"]
    for opener in [
        *openers,
        "openssl x509 -noout -in",
        "git blame",
        "git diff",
        "git -C",
        "journalctl",
        "grep -f",
        "sysctl -p",
    ]:
        for secret in secrets:
            ways = ["/var/log/.." + secret, "/" + secret, secret.replace("/", "//"), "/." + secret]
            for written in [secret, *ways]:
                assert verdict_on(*opener.split(), written).kind == "deny", (opener, written)


def test_b11_names_are_compared_as_they_are() -> None:
    """No case folding, no wildcard, no trailing blank or newline in a name, sub-command or choice (B11)."""
    for words in (
        ["DF"],
        ["df\n"],
        ["df "],
        ["d?"],
        ["git", "STATUS"],
        ["git", "status\n"],
        ["systemctl", "Status", "x"],
        ["ip", "ADDR"],
    ):
        assert verdict_on(*words, roles=("admin",)).kind == "deny"


def test_what_changes_a_machine_asks() -> None:
    """Starting, stopping, upgrading and signals ask someone else; restarting the machine a second factor too."""
    for line, factor in {
        "systemctl restart nginx": False,
        "systemctl stop nginx ssh": False,
        "systemctl enable --now nginx": False,
        "systemctl daemon-reload": False,
        "docker restart web": False,
        "apt-get update": False,
        "kill -TERM 123": False,
        "kill 123 456": False,
        "apt-get upgrade -y": True,
        "reboot": True,
        "systemctl reboot": True,
        "shutdown -r +5": True,
    }.items():
        verdict = verdict_on(*tokenize(line))
        assert (verdict.kind, verdict.approvers, verdict.own_approval) == ("ask", 1, False), line
        assert verdict.second_factor is factor, line
    assert verdict_on("poweroff").kind == "deny"
    assert verdict_on("poweroff", roles=("approver",)).kind == "ask"


def test_viewers_run_nothing() -> None:
    """The default policy lists no viewer."""
    assert all(row(line, ("viewer",))["verdict"] == "deny" for line in BENIGN)


def test_runbooks_pass_the_default_policy() -> None:
    """What the default runbooks plan, the default policy lets through or asks about."""
    for runbook in default_chain().runbooks.runbooks:
        words = {
            name: slot.sample or slot.default or DEFAULT_SAMPLES[slot.type] for name, slot in runbook.slots.items()
        }
        values = {name: runbook.slots[name].convert(word) or word for name, word in words.items()}
        for step in runbook.plan(values, ("web-1",), "en").steps:
            verdict = verdict_on(*step.argv)
            assert verdict.kind != "deny", (runbook.name, str(verdict.reason))


def test_tightening_a_rule_is_enough() -> None:
    """A rule for one machine alone does not help on another one."""
    rules = tuple(replace(rule, agents=("db-*",)) for rule in POLICY.rules)
    assert verdict_on("df", policy=replace(POLICY, rules=rules)).kind == "deny"


def test_number_options_are_bounded() -> None:
    """`-NUM` takes what its rule allows, and no more digits than that."""
    for rule in POLICY.rules:
        if NUMERIC_OPTION in rule.option_table:
            assert verdict_on(rule.program.names[0], *(word.first for word in rule.words), "-999999999").kind == "deny"
