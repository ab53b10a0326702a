"""The types of values: what fits, what does not, and that none takes a word that could be an option."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.command.grammar import is_printable_text
from common.policy.types import (
    BUILT_IN_TYPES,
    ChoiceType,
    IntegerType,
    InvalidValue,
    ListType,
    NumberType,
    PathType,
    PatternType,
    UnionType,
    ValueType,
    display_word,
    is_beneath,
)
from tests.each import each_of

LOGS = PathType(
    beneath=("/var/log",), exactly=("/etc/hosts",), excluding=("/var/log/private",), endings=(".key", "secret")
)

FITS: list[tuple[ValueType, str]] = [
    (BUILT_IN_TYPES["word"], "nginx_1.2@x,y=z"),
    (BUILT_IN_TYPES["text"], "any text; | $ you like, 也可以"),
    (BUILT_IN_TYPES["host"], "db-1.example.org"),
    (BUILT_IN_TYPES["host"], "10.0.0.1"),
    (BUILT_IN_TYPES["host"], "fe80::1"),
    (BUILT_IN_TYPES["address"], "2001:db8::1"),
    (BUILT_IN_TYPES["network"], "10.0.0.0/8"),
    (BUILT_IN_TYPES["interface"], "eth0.100"),
    (BUILT_IN_TYPES["unit"], "getty@tty1.service"),
    (BUILT_IN_TYPES["unit-pattern"], "ssh*"),
    (BUILT_IN_TYPES["package"], "libstdc++6"),
    (BUILT_IN_TYPES["package-pattern"], "linux-image-*"),
    (BUILT_IN_TYPES["user"], "www-data"),
    (BUILT_IN_TYPES["user"], "1000"),
    (BUILT_IN_TYPES["signal"], "SIGTERM"),
    (BUILT_IN_TYPES["port"], "65535"),
    *(
        (BUILT_IN_TYPES["time"], word)
        for word in ("today", "2026-01-31", "2026-01-31 08:00:00", "-1h", "2 hours ago", "08:15")
    ),
    *(
        (BUILT_IN_TYPES["time"], word)
        for word in ("@1700000000", "yesterday 10:00", "1h 30min ago", "-90s", "3 days ago")
    ),
    *((BUILT_IN_TYPES["duration"], word) for word in ("10", "0.5", "5s", "2m", "1h", "1d")),
    *((BUILT_IN_TYPES["size"], word) for word in ("10", "10K", "1MiB", "4GB", "M", "1k")),
    *(
        (BUILT_IN_TYPES["revision"], word)
        for word in ("HEAD", "HEAD~2", "HEAD^", "main..feature/x", "v1.0...v1.1", "stash@{0}")
    ),
    (BUILT_IN_TYPES["object"], "HEAD:docs/index.md"),
    (BUILT_IN_TYPES["relative-path"], "docs/index.md"),
    (IntegerType(-5, 5), "-5"),
    (IntegerType(0, 9), "0"),
    (IntegerType(0, 9), "9"),
    (NumberType(0, 10), "0.25"),
    (NumberType(0.5, 10), "0.5"),
    (NumberType(0.5, 10), "10"),
    (ChoiceType(("a", "b")), "b"),
    (ListType(ChoiceType(("a", "b"))), "a,b,a"),
    (UnionType((IntegerType(1, 9), BUILT_IN_TYPES["user"])), "root"),
    (PatternType("[a-z]{1,3}"), "abc"),
    (LOGS, "/var/log"),
    (LOGS, "/var/log/nginx/access.log"),
    (LOGS, "/etc/hosts"),
]

MISFITS: list[tuple[ValueType, str]] = [
    *((BUILT_IN_TYPES["word"], word) for word in ("", "-a", "a b", "a/b", "a;b", "ä", "a" * 129)),
    *((BUILT_IN_TYPES["text"], word) for word in ("", "-x", "a\nb", "a\x1bb", "a\u200bb", "x" * 257)),
    *(
        (BUILT_IN_TYPES["host"], word)
        for word in ("-f", "a b", "a..b", "fe80::1%eth0", "a" * 64, "", ".", "a/b", "1:2")
    ),
    *((BUILT_IN_TYPES["address"], word) for word in ("10.0.0.256", "010.0.0.1", "localhost", "::1%lo", "1")),
    *((BUILT_IN_TYPES["network"], word) for word in ("10.0.0.0/x", "10.0.0.0/129", "/8", "10.0.0.0/08")),
    *((BUILT_IN_TYPES["interface"], word) for word in ("-all", "a/b", "a b", "a" * 33)),
    *((BUILT_IN_TYPES["unit"], word) for word in ("-H", "a/b", "*", "a?", "a b", "../x", "")),
    *((BUILT_IN_TYPES["unit-pattern"], word) for word in ("-H", "a/b", "a[b]")),
    *((BUILT_IN_TYPES["package"], word) for word in ("-o", "a/b", "*", "./x.deb", "a=b")),
    *((BUILT_IN_TYPES["user"], word) for word in ("-u", "Root", "a:b", "root root")),
    *((BUILT_IN_TYPES["signal"], word) for word in ("0", "term", "SIGFOO", "99", "-9")),
    *((BUILT_IN_TYPES["port"], word) for word in ("0", "65536", "080", "http", "+1")),
    *(
        (BUILT_IN_TYPES["time"], word)
        for word in ("", "1h;id", "--until", "2026-1-1", "now now", "-", "tomorrow at $(id)")
    ),
    *((BUILT_IN_TYPES["duration"], word) for word in ("", "-1", "1w", "1h30m", "inf", "1e9")),
    *((BUILT_IN_TYPES["size"], word) for word in ("", "-1", "K1", "1X", "1 K")),
    *(
        (BUILT_IN_TYPES["revision"], word)
        for word in ("-x", "/etc/shadow", "../x", "a/../../etc/shadow", "a//b", "a/", ":x", "a:b", "", "a b", ".git")
    ),
    *((BUILT_IN_TYPES["object"], word) for word in ("HEAD:/etc/shadow", "HEAD:../x", ":x", "HEAD:-x")),
    *(
        (BUILT_IN_TYPES["relative-path"], word)
        for word in ("/x", "../x", "a/../b", "-x", ":(glob)**", "", "a//b", "a\nb")
    ),
    *((IntegerType(1, 9), word) for word in ("0", "10", "+5", "05", "5.0", " 5", "", "५", "9" * 40)),
    (NumberType(0.5, 10), "0.4"),
    *((NumberType(0, 10), word) for word in ("-1", "11", "1e1", ".5", "1.", "nan", "inf", "01")),
    *((ChoiceType(("a",)), word) for word in ("A", "", "ab", "a ")),
    *((ListType(ChoiceType(("a",)), 2), word) for word in ("a,b", "a,a,a", "", "a,")),
    *((PatternType("[a-z]{1,3}"), word) for word in ("abcd", "", "ABC", "abc\n", "a\x00")),
    (PatternType("[a-z]*", 4), "abcde"),
]

OUTSIDE = [
    "/var/logs",
    "/var/log/../../etc/shadow",
    "/var/log/..",
    "/var",
    "/",
    "//var/log/../x",
    "/etc/hosts/x",
    "/etc/hosts.allow",
    "/var/log/private",
    "/var/log/private/x",
    "/var/log/./private/x",
    "/var/log//private/x",
    "/var/log/.ssh/id",
    "/var/log/a/.hidden",
    "/var/log/tls.key",
    "/var/log/x.secret/a",
    "/VAR/LOG",
    "/var/log\x00/x",
    "/var/log/a\nb",
    "/var/log/\u202ea",
    "log",
    "./log",
    "../var/log",
    "~/x",
    "",
    "-",
    "--files0-from=/x",
    "/proc/self/root/var/log",
    "/var/log/" + "a" * 5000,
]


@each_of(("kind", "word"), FITS)
def test_value_of_the_type_fits_as_it_is(kind: ValueType, word: str) -> None:
    """A value of its type is left as it is."""
    assert kind.normalize(word, "") == word


@each_of(("kind", "word"), MISFITS)
def test_other_value_is_refused_with_a_reason(kind: ValueType, word: str) -> None:
    """A value that is not of its type is refused, and the reason can be shown whatever the value holds."""
    with pytest.raises(InvalidValue) as caught:
        kind.normalize(word, "")
    for language in ("en", "zh"):
        assert is_printable_text(caught.value.sentence.render(language))


@each_of("word", OUTSIDE)
def test_b8_path_outside_its_roots_is_refused(word: str) -> None:
    """Traversal, exceptions, look-alike prefixes, hidden parts, secrets by ending, relative and unseen paths (B8)."""
    with pytest.raises(InvalidValue):
        LOGS.normalize(word, "")


def test_path_is_made_normal() -> None:
    """What runs is the shortest form of what was written."""
    assert LOGS.normalize("/var//log/./nginx/", "") == "/var/log/nginx"


def test_relative_path_lies_in_the_directory() -> None:
    """With a directory a relative path becomes absolute, and is judged as such."""
    assert LOGS.normalize("nginx/x", "/var/log") == "/var/log/nginx/x"
    assert LOGS.normalize(".", "/var/log") == "/var/log"
    for word in ("../lib", "private/x", "x.key"):
        with pytest.raises(InvalidValue):
            LOGS.normalize(word, "/var/log")
    with pytest.raises(InvalidValue):
        LOGS.normalize("shadow", "/etc")


def test_hidden_parts_are_open_where_the_type_says_so() -> None:
    """`hidden` opens parts that begin with a dot, and nothing else."""
    kind = PathType(beneath=("/srv",), hidden=True)
    assert kind.normalize("/srv/.config/x", "") == "/srv/.config/x"
    with pytest.raises(InvalidValue):
        kind.normalize("/srv/../etc", "")


def test_b8_secrets_are_open_where_the_type_says_so() -> None:
    """Trust: a secret by name or place is refused by every path type but one that says `secrets = true` (B8)."""
    for path in ("/etc/nginx/ssl/privkey.pem", "/etc/shadow", "/etc/x/btmp.1.gz"):
        with pytest.raises(InvalidValue) as caught:
            PathType(beneath=("/etc",)).normalize(path, "")
        assert caught.value.sentence.key == "policy_path_ending"
        assert PathType(beneath=("/etc",), secrets=True).normalize(path, "") == path


def test_beneath_goes_by_parts() -> None:
    """A folder is not a prefix of its name."""
    assert is_beneath("/a/b", "/a")
    assert is_beneath("/a", "/")
    assert not is_beneath("/ab", "/a")


def test_any_of_gives_the_last_reason() -> None:
    """Of several types that do not fit, the last one's reason is told."""
    with pytest.raises(InvalidValue) as caught:
        UnionType((IntegerType(1, 9), BUILT_IN_TYPES["user"])).normalize("-", "")
    assert caught.value.sentence.values["expected"].key == "policy_expected_user"


def test_hostile_words_are_shown_short_and_safe() -> None:
    """A reason holds at most 80 characters of a word, and no control character."""
    text = display_word("\x1b[2J" + "\u202e" + "x" * 10_000)
    assert len(text) <= 80
    assert is_printable_text(text)


@pytest.mark.parametrize("name", sorted(BUILT_IN_TYPES))
@given(word=st.one_of(st.text(max_size=12), st.from_regex(r"-{1,2}[ -~]{0,10}", fullmatch=True)))
@settings(max_examples=60, deadline=None)
def test_no_built_in_type_takes_an_option(name: str, word: str) -> None:
    """But for a time such as -1h no built-in type takes a word with a leading hyphen, and none an unseen character."""
    try:
        fitted = BUILT_IN_TYPES[name].normalize(word, "")
    except InvalidValue:
        return
    assert fitted == word
    assert is_printable_text(word)
    assert not word.startswith("-") or (name == "time" and word[1].isdigit())
