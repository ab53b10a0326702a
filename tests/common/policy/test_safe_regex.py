"""The dialect of regular expressions: nothing in it can blow up."""

import re
import time

import pytest

from common.policy.safe_regex import BadPattern, check_pattern
from tests.each import each_of

GOOD = (
    "[a-z]{1,8}",
    "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}",
    r"\+[ -~]{0,127}",
    "v[0-9]+",
    r"[0-9]+\.[0-9]+",
    "(?:ab){0,30}",
    "now|today|[0-9]{2}:[0-9]{2}(?::[0-9]{2})?",
    "[^a-c]{1,9}",
    "a?b?c?",
    r"\d{4}-\d{2}-\d{2}",
)
BAD = {
    "(a+)+": "repeated group",
    "([a-z]+)*": "repeated group",
    "(a*)*": "repeated group",
    "(a|a)*": "repeated group",
    "(a|ab)*c": "repeated group",
    "(?:a{1,9}){2}": "repeated group",
    "(?:a?){30}": "repeated group",
    "((a)|b)+": "repeated group",
    ".*.*.*": "too many ways",
    "[a-z]*[a-z]*[a-z]*x": "too many ways",
    "a?" * 25 + "a" * 25: "too many ways",
    "(?:a|a)" * 25: "too many ways",
    "a*?": "follows another",
    "a*+": "follows another",
    "a{2}{3}": "follows another",
    r"(a)\1": "not part of the dialect",
    "(?=a)b": "extension",
    "(?!a)b": "extension",
    "(?<=a)b": "extension",
    "(?P<n>a)": "extension",
    "(?i)a": "extension",
    "^a$": "not part of the dialect",
    r"\Aa\Z": "not part of the dialect",
    r"a\b": "not part of the dialect",
    "a)": "not part of the dialect",
    "(a": "not closed",
    "[a": "not part of the dialect",
    "[a[b]]": "not part of the dialect",
    "[a&&b]": "doubles a character",
    "*a": "not part of the dialect",
    "a{3,1}": "min repeat",
    "ü": "not part of the dialect",
    "(" * 9 + "a" + ")" * 9: "nested",
}


@each_of("pattern", GOOD)
def test_plain_patterns_pass(pattern: str) -> None:
    """What people need for names, numbers and dates is in the dialect."""
    check_pattern(pattern, 256)
    re.compile(pattern)


@each_of(("pattern", "why"), BAD.items())
def test_b11_ambiguous_patterns_are_refused_at_load(pattern: str, why: str) -> None:
    """Nested and overlapping repetitions, look-around, references and anchors are refused (B11)."""
    with pytest.raises(BadPattern, match=why):
        check_pattern(pattern, 256)


@pytest.mark.parametrize(
    ("pattern", "maximum"),
    [(".*.*", 1000), ("[a-z]+[a-z]+x", 1000), ("a{0,99}a{0,99}a{0,99}b", 256), ("a?" * 19 + "b", 64)],
)
def test_the_slowest_accepted_patterns_are_fast(pattern: str, maximum: int) -> None:
    """At the bound of the dialect a value that just does not match is turned away in a moment."""
    check_pattern(pattern, maximum)
    compiled = re.compile(pattern, re.ASCII)
    start = time.process_time()
    compiled.fullmatch("a" * (maximum - 1) + "!")
    assert time.process_time() - start < 2
