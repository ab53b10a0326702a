"""What may come next in a filter that is being written."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from common.filter.complete import MAX_CANDIDATES, complete
from common.filter.fields import FIELDS, FIELDS_BY_NAME, VIEWS, ViewName
from common.filter.parser import parse

VALUES = {
    "agent": [f"web-{number}" for number in range(200)] + ["db-1", 'odd "name", here'],
    "user": ["me", "alice", "bob"],
    "label": ["env=prod", "role=web"],
    "rb": ["runbook:disk", "runbook:disk-free", "explicit"],
}


def known(field: str) -> Iterable[str]:
    return VALUES.get(field, [])


def texts(text: str, view: ViewName = "jobs", cursor: int | None = None) -> tuple[str, ...]:
    return complete(view, text, len(text) if cursor is None else cursor, known).texts


def test_fields_at_the_beginning_of_a_term() -> None:
    """All of them where nothing is written, then those that begin so; an alias where no own name does."""
    assert len(texts("")) == len(FIELDS["jobs"])
    assert texts("state:running ag") == ("agent:", "age:")
    assert texts("mach") == ("machine:",)
    assert texts("!us") == ("user:",)
    assert texts("zzz") == ()


def test_values_behind_a_field() -> None:
    """Closed sets from the language, others from what the hub knows; what begins with the letters comes first."""
    assert texts("state:run") == ("running",)
    assert texts("state:running,qu") == ("queued",)
    assert texts("is:") == ("open", "ended", "bad", "stuck", "held", "cancelling")
    assert texts("user:b") == ("bob",)
    assert texts("user:ALI") == ("alice",)
    assert texts("machine:b-19") == tuple(f"web-{number}" for number in (19, *range(190, 200)))
    assert texts("rb:disk-f") == ("disk-free",)
    assert texts("rb:di") == ("disk", "disk-free")
    assert texts("age:") == (">1m", "<1h", "<1d")
    assert texts("nofield:x") == ()


def test_they_replace_what_is_being_written() -> None:
    """From the beginning of the word to the cursor; what stands behind the cursor is left alone."""
    found = complete("jobs", "user:al state:x", 7, known)
    assert (found.start, found.end, found.texts) == (5, 7, ("alice",))


def test_there_are_not_too_many() -> None:
    """Ten thousand machines are not sent to a console."""
    assert len(texts("agent:web-")) == MAX_CANDIDATES


def test_odd_values_come_in_quotes() -> None:
    """What the language would take apart is written so that it means the value."""
    (odd,) = texts("agent:odd")
    (term,) = parse("jobs", f"agent:{odd}").terms
    assert 'odd "name", here' in str(term.predicate)


def test_nothing_inside_quotes() -> None:
    """There is no way to tell what is meant."""
    assert texts('agent:"we') == ()


@given(st.sampled_from(VIEWS), st.text(alphabet='abst:,!"* 0', max_size=30), st.integers(-5, 40))
def test_any_text_and_cursor(view: ViewName, text: str, cursor: int) -> None:
    """Nothing is raised, the place lies within the text, and a candidate put there never breaks a filter that reads."""
    found = complete(view, text, cursor, known)
    assert 0 <= found.start <= found.end <= len(text)
    for candidate in found.texts:
        if candidate.endswith(":"):
            assert candidate[:-1] in FIELDS_BY_NAME[view]


@given(
    st.sampled_from(["agent:", "!user:", "label:", "rb:", "state:", "age:"]),
    st.text(alphabet='abdegorw0123"', max_size=3),
)
def test_every_candidate_reads(begun: str, letters: str) -> None:
    """A value put where it belongs makes a filter."""
    for candidate in texts(begun + letters):
        parse("jobs", begun + candidate)
