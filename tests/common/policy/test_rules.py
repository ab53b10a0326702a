"""What a policy is made of, and how a rule is shown in one line."""

from common.policy.rules import NUMERIC_OPTION, Argument, DenyRule, Option, Policy, Program, Rule, SubCommand, usage
from common.policy.types import BUILT_IN_TYPES, IntegerType

LS = Program("/usr/bin/ls", ("ls",))
COUNT = IntegerType(0, 9)


def rule(program: Program = LS, **parts: object) -> Rule:
    return Rule(id="r", about="about", program=program, verdict="allow", **parts)  # type: ignore[arg-type]


def test_usage_shows_letters_together_and_values_by_shape() -> None:
    """Short flags stand in one bracket, options with their value, arguments in capitals."""
    shown = rule(
        options=(
            Option(("-a", "--all")),
            Option(("-l",)),
            Option(("--total",)),
            Option(("-n", "--lines"), COUNT),
            Option(("--color",), BUILT_IN_TYPES["word"], "glued"),
            Option((NUMERIC_OPTION,), COUNT),
        ),
        arguments=(Argument("PATTERN", BUILT_IN_TYPES["text"]), Argument("PATH", BUILT_IN_TYPES["text"], 0, 8)),
    )
    assert usage(shown) == "ls [-al] [--total] [-n N] [--color[=WORD]] [-NUM] PATTERN [PATH…]"


def test_usage_shows_sub_commands_and_what_must_be_given() -> None:
    """Choices of sub-commands, optional ones in brackets, required options without, arguments after `--`."""
    git = Program("/usr/bin/git", ("git",), global_options=(Option(("-C",), BUILT_IN_TYPES["text"]),))
    shown = rule(
        git,
        words=(SubCommand((("stash",), ("reflog", "rl"))), SubCommand((("list", "ls"),), optional=True)),
        options=(Option(("-p",), COUNT), Option(("-q",)), Option(("-v",))),
        required=(("-p", "-q"),),
        rest=(Argument("PATH", BUILT_IN_TYPES["text"], 0, 3),),
    )
    assert usage(shown) == "git [-C TEXT] stash|reflog [list] (-p N|-q) [-v] [-- [PATH…]]"


def test_usage_is_bounded() -> None:
    """However many options a rule has, its line has at most 240 characters."""
    shown = usage(rule(options=tuple(Option((f"--option-{number}",)) for number in range(100))))
    assert len(shown) == 240
    assert shown.endswith("…")


def test_sub_command_is_known_by_all_its_spellings() -> None:
    """Each choice has one canonical spelling."""
    word = SubCommand((("address", "addr", "a"), ("link", "l")))
    assert [word.canonical(each) for each in ("a", "addr", "link", "l", "ad", None)] == [
        "address",
        "address",
        "link",
        "link",
        None,
        None,
    ]
    assert word.first == "address"


def test_rules_are_found_by_name_path_and_short_word() -> None:
    """What may stand first in a command finds its rules, in their order."""
    first, second = (
        rule(),
        rule(Program("/usr/bin/systemctl", ("systemctl",)), words=(SubCommand((("reboot",),)),), short="reboot"),
    )
    third = rule(words=(SubCommand((("x",),)),))
    policy = Policy(rules=(first, second, third))
    assert policy.by_name["ls"] == policy.by_name["/usr/bin/ls"] == (first, third)
    assert policy.by_name["reboot"] == policy.by_name["systemctl"] == (second,)
    assert "/bin/ls" not in policy.by_name


def test_everything_is_refused_by_an_empty_policy() -> None:
    """The default of defaults is deny."""
    assert Policy().default == "deny"
    assert DenyRule("d", "about").programs == DenyRule("d", "about").names == frozenset()


def test_options_before_the_sub_command() -> None:
    """`anywhere` lets the rule's own options stand before the sub-command, and the program's own keep their meaning."""
    own, shared = Option(("-a",)), Option(("-C",), COUNT)
    program = Program("/usr/bin/x", ("x",), global_options=(shared,))
    assert set(rule(program, options=(own,), words=(SubCommand((("w",),)),)).global_option_table) == {"-C"}
    assert set(rule(program, options=(own,), words=(SubCommand((("w",),)),), anywhere=True).global_option_table) == {
        "-a",
        "-C",
    }
