"""Policy files: what is understood, and that the unknown, contradictory and ambiguous is refused by name."""

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import UserError
from common.policy.check import check
from common.policy.file import load_policy_bytes, parse_policy, read_policy
from common.policy.rules import Argument, Option, Policy
from common.policy.types import (
    BUILT_IN_TYPES,
    ChoiceType,
    IntegerType,
    ListType,
    NumberType,
    PathType,
    PatternType,
    UnionType,
)
from tests.each import each_of

RULE = """
[[rule]]
id = "r"
about = "about"
program = "/usr/bin/tool"
verdict = "allow"
"""


def parse(text: str) -> Policy:
    return parse_policy(tomllib.loads('default = "deny"\n' + text), "policy.toml")


def test_whole_rule() -> None:
    """Every key of a rule ends where it belongs."""
    policy = parse("""
[types]
small = { type = "integer", minimum = 1, maximum = 9 }
both = { type = "any", of = ["small", "word"] }
names = { type = "list", of = "word", max_items = 3 }
half = { type = "number", minimum = 0, maximum = 0.5 }
mark = { type = "pattern", pattern = "[a-z]{1,3}", max_length = 3, shape = "MARK" }

[types.place]
type = "path"
beneath = ["/srv"]
exactly = ["/"]
except = ["/srv/keys"]
except_endings = [".key"]
hidden = true
shape = "PLACE"

[programs.tool]
path = "/usr/bin/tool"
names = ["tool", "t"]
style = "plain"
insert = ["-c", "x", "-c", "y"]
env = { B = "2" }
directory = "place"
flags = ["-4"]
[programs.tool.options]
"-C" = "place"

[environment]
LANG = { type = "choice", of = ["C"] }

[[rule]]
id = "r"
about = "about"
program = "tool"
verdict = "ask"
words = ["do make", "?it|them"]
insert = ["-q"]
flags = ["-a -all", "up"]
required = ["-a"]
anywhere = true
arguments = [
  { name = "N", type = "small" },
  { name = "M", type = "integer", minimum = 1, maximum = 5, min = 0, default = "2" },
]
rest = [{ name = "P", type = "place", max = 4 }]
env = { A = "1" }
approvers = 2
second_factor = true
own_approval = true
wake = true
idempotent = "approved"
roles = ["approver", "admin"]
agents = ["web-*"]
labels = { role = "web", env = "prod" }
time_limit = 90
output_cap = 4096
[rule.options]
"-n -number" = { type = "small", when = "next", default = "3" }
"-m" = "mark"

[[deny]]
id = "shells"
about = "no"
names = ["sh"]
programs = ["/opt/x"]
""")
    (rule,) = policy.rules
    small = IntegerType(1, 9)
    place = PathType(("/srv",), ("/",), ("/srv/keys",), (".key",), True, "PLACE")
    mark = PatternType("[a-z]{1,3}", 3, "MARK")
    assert (rule.program.path, rule.program.names, rule.program.style) == ("/usr/bin/tool", ("tool", "t"), "plain")
    assert rule.program.insert == ("-c", "x", "-c", "y")
    assert rule.program.global_options == (Option(("-4",)), Option(("-C",), place))
    assert rule.program.directory == place
    assert [word.choices for word in rule.words] == [(("do", "make"),), (("it",), ("them",))]
    assert [word.optional for word in rule.words] == [False, True]
    assert rule.options == (
        Option(("-a", "-all")),
        Option(("up",)),
        Option(("-n", "-number"), small, "next", "3"),
        Option(("-m",), mark),
    )
    assert rule.required == (("-a", "-all"),)
    assert rule.arguments == (Argument("N", small), Argument("M", IntegerType(1, 5), 0, 1, "2"))
    assert rule.rest == (Argument("P", place, 1, 4),)
    assert rule.env == (("A", "1"), ("B", "2"))
    assert (rule.verdict, rule.approvers, rule.second_factor, rule.own_approval) == ("ask", 2, True, True)
    assert rule.wake
    assert rule.idempotent == "approved"
    assert (rule.roles, rule.agents) == ({"approver", "admin"}, ("web-*",))
    assert rule.labels == (("env", "prod"), ("role", "web"))
    assert (rule.time_limit, rule.output_cap) == (90, 4096)
    assert policy.denies[0].names == {"sh"}
    assert policy.environment == {"LANG": ChoiceType(("C",))}


def test_types_by_table_and_name() -> None:
    """Types are named or written out; a named one may be used in a table too."""
    policy = parse(
        RULE
        + """
[rule.options]
"-a" = "port"
"-b" = { type = "host" }
"-c" = { type = "list", of = "word" }
"-d" = { type = "any", of = ["host", "port"] }
"-e" = { type = "number", minimum = 1, maximum = 2 }
"""
    )
    assert [option.value for option in policy.rules[0].options] == [
        BUILT_IN_TYPES["port"],
        BUILT_IN_TYPES["host"],
        ListType(BUILT_IN_TYPES["word"]),
        UnionType((BUILT_IN_TYPES["host"], BUILT_IN_TYPES["port"])),
        NumberType(1, 2),
    ]


def test_defaults_of_a_rule() -> None:
    """The name is the program's own, the role is operator, a verdict of allow asks nobody."""
    (rule,) = parse(RULE).rules
    assert rule.program.names == ("tool",)
    assert rule.roles == {"operator"}
    assert (rule.approvers, rule.time_limit, rule.arguments) == (0, None, ())


REFUSED = {
    "top: unknown key": ("rules = 1\n", "rules: unknown key: did you mean rule"),
    "top: bad default": (None, "default: 'maybe' is not known"),
    "rule: unknown key": (RULE + "optoins = 1\n", "rule r: optoins: unknown key: did you mean options"),
    "rule: no id": ('[[rule]]\nabout = "x"\n', "rule 1: id: missing"),
    "rule: no program": ('[[rule]]\nid = "r"\n', "rule r: program: missing"),
    "rule: relative program": (RULE.replace("/usr/bin/tool", "tool"), "'tool' is not absolute"),
    "rule: program not normal": (RULE.replace("/usr/bin/tool", "/usr/../bin/tool"), "not an absolute program"),
    "rule: bad verdict": (RULE.replace("allow", "yes"), "verdict: 'yes' is not known"),
    "rule: id twice": (RULE + RULE, "r: the id is taken"),
    "rule: id reserved": (RULE.replace('"r"', '"grammar"'), "grammar: the id is taken"),
    "rule: approvers with allow": (RULE + "approvers = 1\n", "approvers: means nothing with verdict allow"),
    "rule: own approval with allow": (RULE + "own_approval = true\n", "own_approval: means nothing"),
    "rule: a denial that wakes": (
        RULE.replace("allow", "deny") + "wake = true\n",
        "wake: means nothing with verdict deny",
    ),
    "rule: waking is no word": (RULE + 'wake = "yes"\n', "wake"),
    "rule: a denial twice": (RULE.replace("allow", "deny") + "idempotent = true\n", "idempotent: means nothing"),
    "rule: idempotent how": (RULE + 'idempotent = "yes"\n', "idempotent"),
    # Trust: what people sign with their own keys is good for one start
    "rule: critical twice": (
        RULE.replace("allow", "ask") + "critical = true\nidempotent = true\n",
        "idempotent: critical",
    ),
    "rule: no approvers": (RULE.replace("allow", "ask") + "approvers = 0\n", "whole number from 1 to 10"),
    "rule: bad role": (RULE + 'roles = ["root"]\n', "'root' is not a role"),
    "rule: nobody": (RULE + "roles = []\n", "nobody could run it"),
    "rule: nowhere": (RULE + "agents = []\n", "no machine could run it"),
    "rule: bad agent pattern": (RULE + 'agents = ["a*b*c*d*e"]\n', "not a name pattern"),
    "rule: agent regex": (RULE + 'agents = ["web-[0-9]"]\n', "not a name pattern"),
    "rule: bad label": (RULE + 'labels = { role = "a b" }\n', "not a label's value"),
    "rule: time limit": (RULE + "time_limit = 0\n", "time_limit: not a whole number"),
    "flag: cluster or long": (RULE + 'flags = ["-all"]\n', "could be read as a cluster"),
    "flag: bare word": (RULE + 'flags = ["all"]\n', "not the spelling of an option"),
    "flag: equals sign": (RULE + 'flags = ["--a=b"]\n', "not the spelling of an option"),
    "flag: only dashes": (RULE + 'flags = ["--"]\n', "not the spelling of an option"),
    "flag: three dashes": (RULE + 'flags = ["---a"]\n', "not the spelling of an option"),
    "flag: equals letter": (RULE + 'flags = ["-="]\n', "not the spelling of an option"),
    "flag: blank": (RULE + 'flags = [" "]\n', "not the spelling of an option"),
    "flag: twice": (RULE + 'flags = ["-a --all", "-a"]\n', "-a: stands there twice"),
    "flag and option": (RULE + 'flags = ["-a"]\n[rule.options]\n"-a --all" = "word"\n', "-a: stands there twice"),
    "option: unknown type": (RULE + '[rule.options]\n"-a" = "wrod"\n', "'wrod' is not a type"),
    "option: bad when": (RULE + '[rule.options]\n"-a" = { type = "word", when = "maybe" }\n', "when: 'maybe'"),
    "option: unknown parameter": (
        RULE + '[rule.options]\n"-a" = { type = "word", maximum = 3 }\n',
        "maximum: unknown key",
    ),
    "option: default does not fit": (
        RULE + '[rule.options]\n"-a" = { type = "port", default = "x" }\n',
        "default does not fit",
    ),
    "option: number is no integer": (RULE + '[rule.options]\n"-NUM" = "word"\n', "must be alone and an integer"),
    "option: number with others": (
        RULE + '[rule.options]\n"-n -NUM" = { type = "integer", minimum = 1, maximum = 2 }\n',
        "must be alone",
    ),
    "type: minimum above maximum": (
        '[types]\nx = { type = "integer", minimum = 2, maximum = 1 }\n',
        "maximum: not a whole",
    ),
    "type: no choices": ('[types]\nx = { type = "choice", of = [] }\n', "types: x: of"),
    "type: catastrophic pattern": ('[types]\nx = { type = "pattern", pattern = "(a+)+" }\n', "repeated group"),
    "type: anchored pattern": ('[types]\nx = { type = "pattern", pattern = "^a$" }\n', "dialect"),
    "type: taken name": ('[types]\nword = { type = "port" }\n', "built-in type of this name"),
    "type: path with dots": ('[types]\nx = { type = "path", beneath = ["/srv/../etc"] }\n', "not an absolute path"),
    "type: relative path": ('[types]\nx = { type = "path", beneath = ["srv"] }\n', "not an absolute path"),
    "type: path with slash": ('[types]\nx = { type = "path", beneath = ["/srv/"] }\n', "not an absolute path"),
    "type: path without root": ('[types]\nx = { type = "path" }\n', "beneath: missing"),
    "type: vain exception": (
        '[types]\nx = { type = "path", beneath = ["/srv"], except = ["/etc/shadow"] }\n',
        "lies beneath none",
    ),
    "words: option": (RULE + 'words = ["-a"]\n', "not a sub-command"),
    "words: empty": (RULE + 'words = ["a||b"]\n', "not a sub-command"),
    "words: twice": (RULE + 'words = ["a|b a"]\n', "has a word twice"),
    "words: optional in the middle": (RULE + 'words = ["?a", "b"]\n', "only the last sub-command"),
    "anywhere without words": (RULE + "anywhere = true\n", "means nothing without sub-commands"),
    "short without words": (RULE + 'short = "x"\n', "stands for sub-commands"),
    "short with a choice": (RULE + 'short = "x"\nwords = ["a|b"]\n', "stands for sub-commands"),
    "required: not an option": (RULE + 'required = ["-z"]\n', "-z is not an option"),
    "rest and end of options": (
        RULE + 'end_of_options = true\nrest = [{ name = "A", type = "word" }]\n',
        "cannot be told from",
    ),
    "arguments: two open ones": (
        RULE + 'arguments = [{ name = "A", type = "word", max = 3 }, { name = "B", type = "word", max = 3 }]\n',
        "two arguments of open number",
    ),
    "arguments: max below min": (RULE + 'arguments = [{ name = "A", type = "word", min = 3, max = 2 }]\n', "max"),
    "arguments: vain default": (RULE + 'arguments = [{ name = "A", type = "word", default = "x" }]\n', "must be given"),
    "arguments: no type": (RULE + 'arguments = [{ name = "A" }]\n', "type: missing"),
    "env: bad name": (RULE + 'env = { "A-B" = "x" }\n', "not an environment variable"),
    "env: twice": (
        '[programs.t]\npath = "/usr/bin/tool"\nenv = { A = "1" }\n'
        + RULE.replace("/usr/bin/tool", "t")
        + 'env = { A = "2" }\n',
        "env: A: the program sets it already",
    ),
    "program: style in the rule": (
        '[programs.t]\npath = "/usr/bin/tool"\n' + RULE.replace("/usr/bin/tool", "t") + 'style = "plain"\n',
        "style: belongs to \\[programs.t\\]",
    ),
    "program: options but no sub-command": (
        '[programs.t]\npath = "/usr/bin/tool"\nflags = ["-4"]\n' + RULE.replace("/usr/bin/tool", "t"),
        "words: missing",
    ),
    "name for two programs": (
        RULE + RULE.replace('"r"', '"s"').replace("/usr/bin/tool", "/opt/tool"),
        "tool: means more than one program",
    ),
    "name with a folder": (RULE + 'names = ["bin/tool"]\n', "has a folder"),
    "deny: nothing named": ('[[deny]]\nid = "d"\nabout = "x"\n', "deny d: names: missing"),
    "deny: upper case": ('[[deny]]\nid = "d"\nabout = "x"\nnames = ["Sh"]\n', "lower-case"),
    "deny: relative program": ('[[deny]]\nid = "d"\nabout = "x"\nprograms = ["sh"]\n', "not an absolute program"),
    "rule is no table": ("rule = 5\n", "rule: not a list of tables"),
    "environment: unknown type": ('[environment]\nA = "x"\n', "'x' is not a type"),
}


@each_of("case", REFUSED)
def test_slips_are_refused_by_name(case: str) -> None:
    """The refusal names the file, the rule, the key and a cure."""
    text, expected = REFUSED[case]
    data = {"default": "maybe"} if text is None else tomllib.loads('default = "deny"\n' + text)
    with pytest.raises(UserError, match=expected) as caught:
        parse_policy(data, "policy.toml")
    assert caught.value.problem.startswith("policy.toml: ")
    assert caught.value.cure


def test_default_must_be_said() -> None:
    """A file without `default` is refused: nobody should have to guess."""
    with pytest.raises(UserError, match="default: missing"):
        parse_policy({}, "policy.toml")


JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.text(max_size=8),
        st.sampled_from(["word", "/a", "-a"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(
                st.sampled_from(["id", "program", "type", "of", "flags", "options", "names"]), st.text(max_size=4)
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(["default", "rule", "deny", "types", "programs", "environment", "x"]), JSON, max_size=5
    )
)
@settings(max_examples=300, deadline=None)
def test_any_data_is_a_policy_or_a_user_error(data: dict[str, object]) -> None:
    """Whatever a file holds, it is a policy or a refusal with a cure, never another exception."""
    try:
        found: Policy | UserError = parse_policy(data, "policy.toml")
    except UserError as error:
        found = error
    assert isinstance(found, Policy) or found.cure


MANY = """
[[rule]]
id = "a"
abot = "x"
program = "/usr/bin/tool"
verdict = "alow"
time_limit = "never"
flags = ["-abc"]

[types]
bad = 7
[[rule]]
id = "uses-bad"
about = "x"
program = "/usr/bin/other"
verdict = "allow"
arguments = [{ name = "A", type = "bad" }]
[[deny]]
names = ["Rm"]
"""


def test_all_mistakes_are_told_at_once_with_their_lines() -> None:
    """Of one rule and of several, in the order of the file; what follows from another mistake is not told."""
    reading = read_policy(('default = "deny"' + MANY).encode(), "policy.toml")
    assert reading.policy is None
    lines = [int(problem.split(": ")[1].removeprefix("line ")) for problem in reading.problems]
    assert lines == sorted(lines)
    told = "\n".join(reading.problems)
    for line, words in (
        (4, "abot"),
        (2, "about"),
        (6, "alow"),
        (7, "time_limit"),
        (8, "-abc"),
        (11, "bad"),
        (19, "lower-case"),
    ):
        assert any(f"line {line}: " in problem and words in problem for problem in reading.problems), (line, words)
    assert "uses-bad" not in told
    with pytest.raises(UserError) as caught:
        load_policy_bytes(('default = "deny"' + MANY).encode(), "policy.toml")
    assert str(caught.value) == told


def test_a_denial_of_what_a_rule_lets_run_is_legal_and_counts() -> None:
    """It is what one writes in a hurry; the rule without effect is a note."""
    reading = read_policy(('default = "deny"\n' + RULE + 'deny = ["tool"]  # frozen\n').encode(), "policy.toml")
    assert (reading.problems, len(reading.notes)) == ((), 1)
    assert reading.policy is not None
    verdict = check(reading.policy, ["tool"], roles=("admin",), agent="a", labels={})
    assert (verdict.kind, verdict.rule) == ("deny", "deny-line-8")
    assert "frozen" in str(verdict.reason)


def test_problems_have_a_bound() -> None:
    """A file that is something else altogether does not fill the screen."""
    text = 'default = "deny"\n' + "".join(f"[[rule]]\nx{n} = 1\n" for n in range(300))
    assert len(read_policy(text.encode(), "policy.toml").problems) == 50
