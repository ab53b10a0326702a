"""One rule against argument vectors: the forms of options, sub-commands, arguments, and what would run."""

import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st

from common.command.grammar import is_printable_text
from common.policy.file import parse_policy
from common.policy.match import RuleMatch, RuleMismatch, match_rule, read_rule
from common.policy.rules import Rule
from tests.each import each_of


def rule(text: str) -> Rule:
    head = 'default = "deny"\n[[rule]]\nid = "r"\nabout = "about"\nverdict = "allow"\n'
    return parse_policy(tomllib.loads(head + text), "policy.toml").rules[0]


GNU = rule("""
program = "/usr/bin/tool"
flags = ["-a --all", "-l", "-h --human-readable", "--hidden"]
end_of_options = true
arguments = [{ name = "PATH", type = "path", beneath = ["/var"], min = 0, max = 3 }]
directory = { type = "path", beneath = ["/var"] }
[rule.options]
"-n --lines" = { type = "integer", minimum = 1, maximum = 99 }
"-t --type" = "word"
"-c --color" = { type = "choice", of = ["never", "always"], when = "glued" }
"-b --boot" = { type = "pattern", pattern = '-?[0-9]{1,2}', when = "next" }
"-NUM" = { type = "integer", minimum = 1, maximum = 500 }
""")

GNU_ACCEPTED = {
    "tool": "",
    "tool -a": "-a",
    "tool -alh": "-alh",
    "tool --all --hidden": "--all --hidden",
    "tool -n 5": "-n 5",
    "tool -n5": "-n5",
    "tool -aln5": "-aln5",
    "tool -aln 5": "-aln 5",
    "tool --lines=5": "--lines=5",
    "tool --lines 5": "--lines 5",
    "tool -20": "-20",
    "tool -c": "-c",
    "tool -cnever": "-cnever",
    "tool --color=always -a": "--color=always -a",
    "tool -b -1": "-b -1",
    "tool -b-1": "-b-1",
    "tool -ab 3": "-ab 3",
    "tool --boot -1 -a": "--boot -1 -a",
    "tool --boot": "--boot",
    "tool -b /var": "-b -- /var",
    "tool /var -a /var/log": "-a -- /var /var/log",
    "tool -a -- /var": "-a -- /var",
    "tool --": "",
    "tool /var//log/": "-- /var/log",
    "tool log -a": "-a -- /var/log",
    "/usr/bin/tool -a": "-a",
}

# line -> (words after the program that were let through, sentence)
GNU_REFUSED = {
    "tool -x": (0, "policy_option_unknown"),
    "tool -ax": (0, "policy_letter_unknown"),
    "tool -a -lx": (1, "policy_letter_unknown"),
    "tool --unknown": (0, "policy_option_unknown"),
    "tool --al": (0, "policy_option_abbreviated"),
    "tool --a": (0, "policy_option_abbreviated"),
    "tool --line=5": (0, "policy_option_abbreviated"),
    "tool --human": (0, "policy_option_abbreviated"),
    "tool --ALL": (0, "policy_option_unknown"),
    "tool --all=yes": (0, "policy_option_no_value"),
    "tool --all=": (0, "policy_option_no_value"),
    "tool -n": (1, "policy_option_value_missing"),
    "tool --lines": (1, "policy_option_value_missing"),
    "tool -n 0": (1, "policy_value_integer"),
    "tool -n x": (1, "policy_value_integer"),
    "tool -n=5": (0, "policy_value_integer"),
    "tool --lines=": (0, "policy_value_integer"),
    "tool -n --": (1, "policy_value_integer"),
    "tool -t -a": (1, "policy_value_misfit"),
    "tool -calways2": (0, "policy_value_choice"),
    "tool -c always": (2, "policy_path_relative"),
    "tool -501": (0, "policy_value_integer"),
    "tool -5a": (0, "policy_letter_unknown"),
    "tool -": (1, "policy_argument_dash"),
    "tool -- -a": (2, "policy_argument_dash"),
    "tool -- --": (2, "policy_argument_dash"),
    "tool /etc": (1, "policy_path_outside"),
    "tool /var/../etc": (1, "policy_path_up"),
    "tool /var /var /var /var": (4, "policy_argument_surplus"),
    "tool ''": (1, "policy_value_misfit"),
}


@each_of(("line", "run"), GNU_ACCEPTED.items())
def test_gnu_options(line: str, run: str) -> None:
    """Long and short options, clusters, glued and separate values; arguments behind an inserted `--`."""
    found = match_rule(GNU, line.split(), "/var")
    assert found == RuleMatch(("/usr/bin/tool", *run.split()))


@each_of(("line", "why"), GNU_REFUSED.items())
def test_b9_everything_else_is_refused(line: str, why: tuple[int, str]) -> None:
    """Abbreviations, unknown letters in clusters, values of flags, options where a value belongs (B9)."""
    words = [word.replace("''", "") for word in line.split(" ")]
    found = match_rule(GNU, words)
    assert isinstance(found, RuleMismatch)
    assert (found.progress, found.reason.key) == why


PLAIN = rule("""
program = "find-it"
words = ["address addr a|link l", "?show list"]
flags = ["up", "-noout", "-type=MX", "(", ")"]
insert = ["-quiet"]
required = ["-noout -in"]
arguments = [
  { name = "NAME", type = "word", min = 0 },
  { name = "COUNT", type = "integer", minimum = 1, maximum = 9, min = 0, default = "3" },
]
[rule.options]
"-in" = "word"
"dev" = "word"
[programs.find-it]
path = "/usr/bin/it"
names = ["it"]
style = "plain"
insert = ["-c", "safe=1"]
flags = ["-4", "-br -brief"]
[programs.find-it.options]
"-f" = { type = "choice", of = ["inet"] }
""")

PLAIN_ACCEPTED = {
    "it a -noout": "-c safe=1 address show -quiet -noout",
    "it -br -f inet link list -noout up": "-c safe=1 -br -f inet link show -quiet -noout up",
    "it addr show -in x eth0": "-c safe=1 address show -quiet -in x eth0 3",
    "it addr show eth0 5 -in x dev y": "-c safe=1 address show -quiet eth0 5 -in x dev y",
    "it l show -noout ( up )": "-c safe=1 link show -quiet -noout ( up )",
    "it l show -noout -type=MX": "-c safe=1 link show -quiet -noout -type=MX",
    "it -c safe=1 address show -quiet -noout": "-c safe=1 address show -quiet -noout",
}
PLAIN_REFUSED = {
    "it": "policy_sub_command_missing",
    "it flush": "policy_sub_command_unknown",
    "it addr flush -noout": "policy_sub_command_unknown",
    "it addr -noout flush": "policy_sub_command_unknown",
    "it ad -noout": "policy_sub_command_unknown",
    "it addr show": "policy_option_missing",
    "it -4br addr -noout": "policy_option_unknown",
    "it -b addr -noout": "policy_option_unknown",
    "it -noout addr": "policy_option_unknown",
    "it addr show -noout -4": "policy_option_unknown",
    "it addr show -noo": "policy_option_unknown",
    "it addr show -in=x": "policy_option_unknown",
    "it addr show -noout -type=TXT": "policy_option_unknown",
    "it -c safe=0 addr -noout": "policy_option_unknown",
    "it addr show -noout a 3 b": "policy_argument_surplus",
    "it addr show -noout -- up": "policy_option_unknown",  # dropping it would turn an argument into a keyword
    "it -f inet6 addr -noout": "policy_value_choice",
}


@each_of(("line", "run"), PLAIN_ACCEPTED.items())
def test_plain_options_and_sub_commands(line: str, run: str) -> None:
    """Whole-word options, keywords, spellings of sub-commands, what is inserted, defaults of arguments."""
    assert match_rule(PLAIN, line.split()) == RuleMatch(("/usr/bin/it", *run.split()))


@each_of(("line", "key"), PLAIN_REFUSED.items())
def test_plain_refusals(line: str, key: str) -> None:
    """No clusters, no abbreviations, no argument where a sub-command was left out."""
    found = match_rule(PLAIN, line.split())
    assert isinstance(found, RuleMismatch)
    assert found.reason.key == key


def test_default_options_give_way_to_typed_ones() -> None:
    """What the rule would insert is left out where the person says it."""
    bounded = rule("""
program = "/usr/bin/ping"
arguments = [{ name = "HOST", type = "host" }]
[rule.options]
"-c" = { type = "integer", minimum = 1, maximum = 20, default = "4" }
"-n --lines" = { type = "integer", minimum = 1, maximum = 20, default = "9" }
""")
    assert match_rule(bounded, ["ping", "web-1"]) == RuleMatch(("/usr/bin/ping", "-c", "4", "--lines=9", "web-1"))
    assert match_rule(bounded, ["ping", "web-1", "-c2", "-n", "1"]) == RuleMatch(
        ("/usr/bin/ping", "web-1", "-c2", "-n", "1")
    )


def test_typed_end_of_options_is_kept_where_it_has_a_meaning() -> None:
    """`git log main -- file` keeps its `--`, and what stands behind it has types of its own."""
    log = rule("""
program = "/usr/bin/git"
words = ["log"]
arguments = [{ name = "REVISION", type = "revision", min = 0 }]
rest = [{ name = "PATH", type = "relative-path", max = 2 }]
""")
    assert match_rule(log, ["git", "log", "main", "--", "a", "b"]) == RuleMatch(
        ("/usr/bin/git", "log", "main", "--", "a", "b")
    )
    assert match_rule(log, ["git", "log", "--"]) == RuleMatch(("/usr/bin/git", "log"))
    for line in ("git log -- /etc/shadow", "git log -- a b c", "git log -- -p", "git log main a"):
        assert isinstance(match_rule(log, line.split()), RuleMismatch)


def test_short_word_stands_for_program_and_sub_command() -> None:
    """`reboot` is `systemctl reboot`."""
    reboot = rule(
        'program = "/usr/bin/systemctl"\nwords = ["reboot"]\nshort = "reboot"\ninsert = ["--no-ask-password"]'
    )
    for line in (["reboot"], ["systemctl", "reboot"]):
        assert match_rule(reboot, line) == RuleMatch(("/usr/bin/systemctl", "reboot", "--no-ask-password"))
    assert isinstance(match_rule(reboot, ["reboot", "now"]), RuleMismatch)


CANONICAL = parse_policy(
    tomllib.loads("""
default = "deny"
[programs.ps]
path = "/usr/bin/ps"
style = "plain"
canonical = true
[[rule]]
id = "r"
about = "about"
verdict = "allow"
program = "ps"
flags = ["-A -e", "-Af -ef", "--forest"]
exclusive = ["-Af -o", "-A -Af"]
[rule.options]
"--user -u" = "user"
"-o" = "word"
"-NUM" = { type = "integer", minimum = 1, maximum = 9 }
"""),
    "policy.toml",
).rules[0]


def test_b9_options_run_in_their_first_spelling() -> None:
    """Trust: `canonical` writes what has a second meaning to a program in the spelling that has none; and settles."""
    for line, runs in {
        "ps -e": "-A",
        "ps -ef --forest": "-Af --forest",
        "ps -u eve -o pid": "--user=eve -o pid",
        "ps --user=eve": "--user=eve",
        "ps --user eve -5": "--user=eve -5",
    }.items():
        found = match_rule(CANONICAL, line.split())
        assert found == RuleMatch(("/usr/bin/ps", *runs.split())), line
        assert match_rule(CANONICAL, found.argv) == found


def test_b9_options_that_exclude_one_another_are_refused_together() -> None:
    """Trust: conflicting options, on which a program falls back to another reading, are refused, repeats with them."""
    for line in ("ps -ef -o pid", "ps -o pid -ef", "ps -o pid -o user", "ps -ef -ef", "ps -ef -Af", "ps -e -ef"):
        found = match_rule(CANONICAL, line.split())
        assert isinstance(found, RuleMismatch), line
        assert found.reason.key == "policy_option_exclusive"
    for line in ("ps -e -o pid", "ps --forest --forest", "ps -5 -5"):
        assert isinstance(match_rule(CANONICAL, line.split()), RuleMatch), line


@each_of("line", [*GNU_ACCEPTED, *PLAIN_ACCEPTED])
def test_b7_what_runs_matches_again_with_the_same_result(line: str) -> None:
    """The machine checks the resolved vector and gets the same one (B7)."""
    found = match_rule(GNU if "tool" in line else PLAIN, line.split(), "/var")
    assert isinstance(found, RuleMatch)
    assert match_rule(GNU if "tool" in line else PLAIN, found.argv) == found


WORDS = st.sampled_from(
    [
        "-a",
        "-l",
        "-al",
        "--all",
        "-n",
        "5",
        "-n5",
        "--lines=7",
        "--",
        "-",
        "/var",
        "/var/log/",
        "x",
        "-b",
        "-1",
        "-20",
        "--al",
    ]
)


@given(st.lists(st.one_of(WORDS, st.text(max_size=6)), max_size=8))
@settings(max_examples=500, deadline=None)
def test_any_vector_matches_or_misses_with_a_reason(words: list[str]) -> None:
    """Matching never raises, is deterministic, and settles: what would run is a fixed point of matching."""
    found = match_rule(GNU, ["tool", *words])
    assert found == match_rule(GNU, ["tool", *words])
    if isinstance(found, RuleMatch):
        assert match_rule(GNU, found.argv) == found
    else:
        assert 0 <= found.progress <= len(words)
        assert is_printable_text(found.reason.render("en"))


def test_a_rule_tells_how_it_reads_what_it_lets_through() -> None:
    """Sub-commands, options with their values, arguments slot by slot; of a vector as it runs, and of no other."""
    made = rule("""
    program = "/usr/bin/tool"
    words = ["show list"]
    flags = ["-l --long", "-a"]
    arguments = [{ name = "A", type = "word" }, { name = "B", type = "word", min = 0, max = 2 }]
    rest = [{ name = "C", type = "word" }]
    [rule.options]
    "-n --lines" = { type = "integer", minimum = 1, maximum = 9 }
    "-NUM" = { type = "integer", minimum = 0, maximum = 99 }
    """)
    found = read_rule(made, ["/usr/bin/tool", "show", "-la", "-n", "3", "-20", "--lines=4", "x", "y", "--", "z"])
    assert found is not None
    assert found.words == ("show",)
    read = [(option.spellings[0], value) for option, value in found.options]
    assert read == [("-l", None), ("-a", None), ("-n", "3"), ("-NUM", "20"), ("-n", "4")]
    assert (found.arguments, found.rest) == ((("x",), ("y",)), (("z",),))
    assert read_rule(made, ["/usr/bin/tool", "list", "x"]) is None  # runs as show
    assert read_rule(made, ["/usr/bin/tool", "show"]) is None
