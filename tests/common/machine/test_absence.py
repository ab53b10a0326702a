"""common.machine.absence: a few words for each reason, in both languages."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from common.catalogue import LANGUAGES
from common.machine.absence import CODES, NEEDS_PERSON, Absence, absence_column, absence_text, clock_text


def moment(at: float) -> str:
    return f"<{at:.0f}>"


@pytest.mark.parametrize("code", sorted(CODES))
def test_each_reason_has_words(code: str) -> None:
    """In both languages, with the moment where one is known and without where it is not, short enough for a phone."""
    for language in LANGUAGES:
        bare = absence_text(Absence(code, None, 7_200.0), moment, language)
        since = absence_text(Absence(code, 5.0, 7_200.0), moment, language)
        assert 0 < len(bare) <= 60
        assert len(since) <= 80
        assert ("<5>" in since) == (code != "clock")


@pytest.mark.parametrize(
    ("absence", "words"),
    [
        (Absence("expired", 5.0), "certificate expired since <5>"),
        (Absence("clock", 5.0, 7_200.0), "clock is off: 2 h ahead"),
        (Absence("epoch"), "refused: older epoch"),
        (Absence("never_joined", 5.0), "never joined: its token of <5> was not used"),
        (Absence("silent", 5.0), "not heard since <5>"),
        (Absence("something a newer hub says"), "refused: see the audit"),
    ],
)
def test_the_words(absence: Absence, words: str) -> None:
    """As operators read them; a reason that is not known here is a refusal."""
    assert absence_text(absence, moment, "en") == words


def test_how_far_a_clock_is_off() -> None:
    """In the two largest units, and in which direction."""
    assert clock_text(-5_400.4, "en") == "clock is off: 1 h 30 m behind"
    assert clock_text(90_000.0, "zh") == "时钟偏差：快 1 d 1 h"


@pytest.mark.parametrize("code", sorted(CODES))
def test_each_reason_fits_a_column(code: str) -> None:
    """22 cells, with a time of day."""
    for language in LANGUAGES:
        assert 0 < cell_len(absence_column(Absence(code, 5.0, 7_500.0), "07:55", language)) <= 22


def test_the_words_of_a_column() -> None:
    """Of a clock the largest unit; of silence since when."""
    for absence, words in (
        (Absence("expired", 5.0), "expired"),
        (Absence("clock", 5.0, -7_500.0), "clock off by 2 h"),
        (Absence("epoch", 5.0), "older epoch"),
        (Absence("silent", 5.0), "not heard since 07:55"),
        (Absence("silent"), "not heard"),
        (Absence("something a newer hub says"), "refused: see audit"),
    ):
        assert absence_column(absence, "07:55", "en") == words
    assert absence_column(Absence("silent", 5.0), "07:55", "zh") == "自 07:55 无消息"


def test_what_passes_by_itself_needs_nobody() -> None:
    """A machine that is off, revoked, or new is no alarm."""
    assert {"revoked", "never_joined", "never_linked", "silent"} == CODES - NEEDS_PERSON
