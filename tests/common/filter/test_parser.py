"""The filter language: what is written, what it means, and what is said where it means nothing."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.filter.fields import FIELDS, FIELDS_BY_NAME, VIEWS, ViewName
from common.filter.parser import (
    MAX_FUZZY,
    MAX_STARS,
    MAX_TERMS,
    MAX_TEXT,
    MAX_VALUE,
    MAX_VALUES,
    BadFilter,
    Compare,
    Contains,
    Filter,
    Fuzzy,
    HasFlag,
    HasLabel,
    MatchesAny,
    Predicate,
    parse,
    pattern_regex,
    resolve_me,
    subsequence_regex,
)
from common.lifecycle import JobState
from tests.each import each_of


def only(text: str, view: ViewName = "jobs") -> Predicate:
    """The one test of a filter of one term that is not negated."""
    (term,) = parse(view, text).terms
    assert not term.negated
    return term.predicate


def bad(text: str, view: ViewName = "jobs") -> BadFilter:
    with pytest.raises(BadFilter) as caught:
        parse(view, text)
    error = caught.value
    assert 0 <= error.position <= error.end <= len(text)
    assert str(error)
    assert error.sentence.render("zh")
    return error


def test_the_whole_language_at_once() -> None:
    """Every form of a term in one filter; each knows where it was written."""
    text = (
        'state:running,queued agent:web-eu-* age>10s exit:!=0 label:env=prod "free text" !user:cron rb:disk -f ngx word'
    )
    found = parse("jobs", text)
    tests = [term.predicate for term in found.terms]
    assert isinstance(tests[0], MatchesAny)
    assert tests[0].patterns == ("running", "queued")
    assert isinstance(tests[1], MatchesAny)
    assert tests[1].patterns == ("web-eu-*",)
    assert isinstance(tests[2], Compare)
    assert tests[2].tests == ((">", 10.0),)
    assert isinstance(tests[3], Compare)
    assert tests[3].tests == (("!=", 0.0),)
    assert tests[4] == HasLabel("env", "prod")
    assert tests[5] == Contains("free text")
    assert [term.negated for term in found.terms] == [False] * 6 + [True] + [False] * 3
    assert isinstance(tests[7], MatchesAny)
    assert tests[7].patterns == ("runbook:disk",)
    assert tests[8:] == [Fuzzy("ngx"), Contains("word")]
    assert [text[term.start : term.end] for term in found.terms][:2] == ["state:running,queued", "agent:web-eu-*"]
    assert text[found.terms[6].start : found.terms[6].end] == "!user:cron"


def test_the_empty_text_is_a_filter_that_fits_all() -> None:
    """Blanks say nothing."""
    assert parse("jobs", "") == parse("jobs", " \t\n ") == Filter("jobs")


TIMES = {
    "10": 10,
    "10s": 10,
    "250ms": 0.25,
    "5m": 300,
    "2h": 7_200,
    "1d": 86_400,
    "1w": 604_800,
    "1h30m": 5_400,
    "1.5h": 5_400,
}


@pytest.mark.parametrize(("text", "seconds"), TIMES.items())
def test_times(text: str, seconds: float) -> None:
    """A number alone is seconds; units may follow one another."""
    found = only(f"age>{text}")
    assert isinstance(found, Compare)
    assert found.tests == ((">", pytest.approx(seconds)),)


@each_of(("text", "size"), [("512", 512), ("10k", 10_240), ("1M", 2**20), ("2GiB", 2**31), ("1.5KB", 1536)])
def test_sizes(text: str, size: float) -> None:
    """Of 1024, however it is written."""
    found = only(f"output>={text}")
    assert isinstance(found, Compare)
    assert found.tests == ((">=", size),)


def test_a_comparison_may_stand_for_the_colon_or_behind_it() -> None:
    """`exit!=0`, `exit:!=0`, `exit:0,>100`; a request's number may begin with r."""
    assert only("exit!=0") == only("exit:!=0")
    found = only("exit:0,>100,-1")
    assert isinstance(found, Compare)
    assert found.tests == (("=", 0.0), (">", 100.0), ("=", -1.0))
    assert only("r:r42,#43") == only("r:42,43")


def test_choices_are_patterns_over_what_there_is() -> None:
    """Case does not matter for a state; a star means several."""
    found = only("state:*ED,Running")
    assert isinstance(found, MatchesAny)
    assert set(found.patterns) == {state.value for state in JobState if state.value.endswith("ed")} | {"running"}


def test_an_id_is_given_by_its_end() -> None:
    """As lists show it and people copy it, in either case; a name is a name."""
    found = only("id:ab12")
    assert isinstance(found, MatchesAny)
    assert found.patterns == ("ab12", "*AB12")
    subject = only("subject:web-1", "audit")
    assert isinstance(subject, MatchesAny)
    assert subject.patterns == ("web-1",)
    starred = only("id:01J*")
    assert isinstance(starred, MatchesAny)
    assert starred.patterns == ("01J*",)


def test_labels() -> None:
    """The k9s form is the same; a label may be asked for with any value, or by a value's beginning."""
    assert only("-l env=prod") == only("label:env=prod") == only("label=env=prod") == HasLabel("env", "prod")
    assert only("label:env") == only("label:env=*") == HasLabel("env", "*")
    assert only("label:env=pr*") == HasLabel("env", "pr*")


def test_quotes_hold_anything() -> None:
    """Blanks, commas, quotes and backslashes are themselves in them; what looks like a field is text in them."""
    assert only(r'"a \"b\" c\\d"') == Contains(r'a "b" c\d')
    assert only('"state:x"') == Contains("state:x")
    found = only('user:"a b","c,d"')
    assert isinstance(found, MatchesAny)
    assert found.patterns == ("a b", "c,d")


def test_full_width_punctuation_is_taken() -> None:
    """What a Chinese keyboard gives for `:`, `,` and `!`."""
    assert only("state：running，queued") == only("state:running,queued")
    (term,) = parse("jobs", "！user：cron").terms
    assert term.negated


def test_me_is_whoever_asks() -> None:
    """`user:me` becomes the person's own name, in every view that has people."""
    found = resolve_me(parse("jobs", "!user:me,bob agent:me"), "alice")
    tests = [term.predicate for term in found.terms]
    assert isinstance(tests[0], MatchesAny)
    assert isinstance(tests[1], MatchesAny)
    assert (tests[0].patterns, tests[1].patterns) == (("alice", "bob"), ("me",))
    assert found.terms[0].negated


def test_what_depends_on_the_time() -> None:
    """Ages and named conditions that time alone makes true; the rest does not."""
    assert parse("jobs", "age>10s").is_time_dependent
    assert parse("requests", "left<2m").is_time_dependent
    assert parse("jobs", "is:stuck").is_time_dependent
    assert not parse("jobs", "state:running took>10s is:bad web").is_time_dependent


@each_of(
    ("text", "where", "words"),
    [
        ("agent:web stat:running", (10, 14), "did you mean state?"),
        ("nonsense:1", (0, 8), "there are state, is, agent"),
        ("env=prod", (0, 3), "label:env=VALUE"),
        ("state:runing", (6, 12), "state is never runing"),
        ("is:tired", (3, 8), "is is never tired"),
        ("agent>5", (5, 6), "cannot be more or less"),
        ("age>soon", (3, 8), "no time for age"),
        ("age>10x", (3, 7), "no time for age"),
        ("exit:zero", (5, 9), "no number for exit"),
        ("output>many", (6, 11), "no size for output"),
        ("label:env=pr*d", (6, 14), "no label"),
        ("label:=x", (6, 8), "no label"),
        ("agent:", (6, 6), "a value is missing"),
        ("agent:a,", (8, 8), "a value is missing"),
        ('agent:""', (6, 8), "a value is missing"),
        ('"open', (0, 5), "not closed"),
        ('"a"b', (3, 4), "a blank is missing"),
        ("!", (0, 1), "what must not be"),
        ("a ! b", (2, 3), "what must not be"),
        ("a\0b", (1, 2), "NUL"),
    ],
)
def test_what_is_wrong_is_pointed_at(text: str, where: tuple[int, int], words: str) -> None:
    """The place in the text, and the cure in words."""
    error = bad(text)
    assert (error.position, error.end) == where
    assert words in str(error)


def test_events_have_no_labels() -> None:
    """A field of another view is none of this one."""
    assert "has no labels" in str(bad("-l env=prod", "audit"))
    assert "there is no field exit" in str(bad("exit:0", "requests"))


@each_of(
    "text",
    [
        "x" * (MAX_TEXT + 1),
        "a " * (MAX_TERMS + 1),
        "agent:" + ",".join(["a"] * (MAX_VALUES + 1)),
        "exit:" + ",".join(["1"] * (MAX_VALUES + 1)),
        "agent:" + "x" * (MAX_VALUE + 1),
        "agent:" + "*a" * (MAX_STARS + 1),
        "-f " + "x" * (MAX_FUZZY + 1),
    ],
)
def test_every_bound_is_held(text: str) -> None:
    """One more than each bound is refused, and says the bound."""
    assert any(char.isdigit() for char in str(bad(text)))


def test_just_within_the_bounds() -> None:
    """And the bounds themselves are taken."""
    assert len(parse("jobs", "a " * MAX_TERMS).terms) == MAX_TERMS
    parse("jobs", "agent:" + ",".join(["a"] * MAX_VALUES))
    parse("jobs", "agent:" + "x" * MAX_VALUE)
    parse("jobs", "-f " + "x" * MAX_FUZZY)


ALPHABET = st.sampled_from(
    [*'abz019:,!"\\*?<>=-_ .fl\0', "state", "age", "label", "-f ", "-l ", "is:", "：", "，", "状态", "\n"]
)


@given(st.sampled_from(VIEWS), st.lists(ALPHABET, max_size=60).map("".join))
def test_any_text_is_a_filter_or_a_reason(view: ViewName, text: str) -> None:
    """Nothing else comes out, and the place lies within the text."""
    found, error = tried(view, text)
    if error is not None:
        assert 0 <= error.position <= error.end <= max(len(text), error.position)
        assert str(error)
    if found is not None:
        assert found.view == view
        assert all(text[term.start : term.end].strip() for term in found.terms)


def tried(view: ViewName, text: str) -> tuple[Filter | None, BadFilter | None]:
    try:
        return parse(view, text), None
    except BadFilter as error:
        return None, error


@given(st.text(alphabet="ab*?", max_size=12), st.text(alphabet="abc", max_size=12))
def test_patterns_are_those_of_shells(pattern: str, text: str) -> None:
    """The same as fnmatch says, which has no other wild characters than these here."""
    assert (pattern_regex(pattern).fullmatch(text) is not None) == fnmatch.fnmatchcase(text, pattern)


def test_patterns_do_not_backtrack() -> None:
    """The worst pattern that the bounds let through, on the longest text, is a matter of milliseconds."""
    pattern = "*a" * MAX_STARS
    assert pattern_regex(pattern).fullmatch("a" * 20_000 + "b") is None
    assert subsequence_regex("a" * MAX_FUZZY).match("a" * 20_000 + "b") is not None
    assert subsequence_regex("ab" * (MAX_FUZZY // 2)).match("a" * 20_000) is None


def test_the_fields_are_in_order() -> None:
    """No name means two fields of one view, flags and choices have choices, and nothing else has."""
    for view in VIEWS:
        names = [name for field in FIELDS[view] for name in (field.name, *field.aliases)]
        assert len(names) == len(set(names))
        assert set(names) == set(FIELDS_BY_NAME[view])
        for field in FIELDS[view]:
            assert bool(field.choices) == (field.kind in ("choice", "flag"))
            if field.kind == "flag":
                assert isinstance(only(f"{field.name}:{field.choices[0]}", view), HasFlag)
