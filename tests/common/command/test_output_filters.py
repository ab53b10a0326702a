"""Filters behind `|`: which there are, their one spelling, and what each refusal names."""

import pytest

from common.command.output_filters import (
    MAX_COUNT,
    MAX_FIELD,
    MAX_FILTERS,
    MAX_WORD,
    MAX_WORDS,
    BadFilter,
    check_filters,
    parse_filter,
    parse_filters,
)
from tests.each import each_of

SPELLINGS = {
    "grep error": "grep error",
    "grep -i -v error": "grep -i -v error",
    "grep -vi error": "grep -i -v error",
    "grep error -i": "grep -i error",
    "grep -e a -e b": "grep -e a -e b",
    "grep -E a|b": "grep -e a -e b",
    "grep -iE a|b|a": "grep -i -e a -e b",
    r"grep a\|b": "grep -e a -e b",
    "grep -e a": "grep a",
    "grep -- -x": "grep -e -x",
    "grep -e -e": "grep -e -e",
    "grep ^Mem": "grep ^Mem",
    "grep failed$": "grep failed$",
    "grep 10.0.0.1": "grep 10.0.0.1",
    "grep -F a.*b": "grep -F a.*b",
    "grep -F a|b": "grep -F a|b",
    "grep -cw 错误": "grep -w -c 错误",
    "head": "head -n 10",
    "head -5": "head -n 5",
    "head -n5": "head -n 5",
    "head -n 05": "head -n 5",
    "head --lines=7": "head -n 7",
    "tail -n +3": "tail -n +3",
    "tail -20": "tail -n 20",
    "wc -l": "wc -l",
    "sort": "sort",
    "sort -rn": "sort -n -r",
    "sort -n -r -u": "sort -n -r -u",
    "sort -k 3": "sort -k 3",
    "sort -k3nr": "sort -n -r -k 3",
    "sort -nrk3": "sort -n -r -k 3",
    "sort -k2,2n": "sort -n -k 2",
    "sort -hr": "sort -h -r",
    "uniq": "uniq",
    "uniq -c": "uniq -c",
    "uniq -cd": "uniq -c -d",
}
REFUSED = {
    "": "filter_nothing",
    "awk {print}": "filter_unknown",
    "xargs rm": "filter_unknown",
    "less": "filter_unknown",
    "grep": "filter_grep_word",
    "grep -i": "filter_grep_word",
    "grep -e": "filter_grep_word",
    "grep ^": "filter_grep_word",
    "grep -E a|": "filter_grep_word",
    "grep a b": "filter_file",
    "grep -r a": "filter_option",
    "grep --color a": "filter_option",
    "grep a.*b": "filter_grep_pattern",
    "grep [ab]": "filter_grep_pattern",
    "grep a+": "filter_grep_pattern",
    r"grep \d": "filter_grep_pattern",
    "grep a\u200bb": "filter_grep_control",
    "grep -F a\x1b": "filter_grep_control",
    "grep " + MAX_WORD * "a" + "a": "filter_grep_long",
    "grep " + " ".join(f"-e {word}" for word in range(MAX_WORDS + 1)): "filter_grep_words",
    "head -0": "filter_count",
    f"head -n {MAX_COUNT + 1}": "filter_count",
    "head 5": "filter_file",
    "head /etc/passwd": "filter_lines",
    "head -n +3": "filter_lines",
    "head -c 5": "filter_lines",
    "tail -f": "filter_follow",
    "tail -n 5 -f": "filter_follow",
    "tail -F": "filter_follow",
    "tail --follow=name": "filter_follow",
    "tail -n ٣": "filter_lines",
    "wc": "filter_wc",
    "wc -lw": "filter_wc",
    "wc -l file": "filter_file",
    "wc -L": "filter_option",
    "sort -nh": "filter_option",
    "sort -t: -k 2": "filter_option",
    "sort -o out": "filter_option",
    "sort file": "filter_file",
    "sort -k 0": "filter_field",
    f"sort -k {MAX_FIELD + 1}": "filter_field",
    "uniq -ud": "filter_option",
    "uniq -i": "filter_option",
    "uniq file": "filter_file",
}


def words_of(line: str) -> tuple[str, ...]:
    return tuple(line.split(" ")) if line else ()


@each_of(("line", "spelt"), SPELLINGS.items())
def test_each_filter_has_one_spelling(line: str, spelt: str) -> None:
    found = parse_filter(words_of(line))
    assert found == words_of(spelt)
    assert parse_filter(found) == found


@each_of(("line", "key"), REFUSED.items())
def test_what_is_no_filter_is_refused_by_name(line: str, key: str) -> None:
    with pytest.raises(BadFilter) as error:
        parse_filter(words_of(line))
    assert error.value.sentence.key == key
    assert error.value.sentence.render("zh") != str(error.value)


def test_their_number_is_bounded() -> None:
    assert len(parse_filters([("sort",)] * MAX_FILTERS)) == MAX_FILTERS
    with pytest.raises(BadFilter) as error:
        parse_filters([("sort",)] * (MAX_FILTERS + 1))
    assert error.value.sentence.key == "filter_too_many"


@each_of("other", [("head", "-5"), ("grep", "-e", "a"), ("sort", "-r", "-n")])
def test_another_spelling_is_no_filter_of_a_plan(other: tuple[str, ...]) -> None:
    check_filters((("head", "-n", "5"), ("grep", "a")))
    with pytest.raises(BadFilter):
        check_filters((other,))
