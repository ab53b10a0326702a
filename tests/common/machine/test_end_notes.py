"""common.machine.end_notes"""

from __future__ import annotations

from common.machine.end_notes import (
    LOSSES,
    MAX_NOTE,
    MAX_NOTES,
    are_valid_notes,
    clean_notes,
    fold_notes,
    has_code,
    make_note,
    note_sentences,
)
from tests.each import each_of

EVERY = ("disk", "memory", "unrecorded", "left 4711 python3, 4712 sh", "dropped", "filtered 9", "lost 12345")


def test_losses_come_first_and_each_says_what_it_is() -> None:
    """In both languages, with the machine, the size, the processes, and in chat the message that looks closer."""
    english = [str(sentence) for sentence in note_sentences(EVERY, "web-1", chat=True)]
    assert [text.split(" ", 1)[0] for text in english] == ["Lost:", "Lines", "Output", "Left", "It", "It", "The"]
    assert "12.1 KiB" in english[0]
    assert "4711 python3, 4712 sh" in english[3]
    assert "@web-1 ps -f -p 4711" in english[3]
    assert len([*note_sentences(EVERY, "web-1")]) == len(EVERY)
    assert all("web-1" in sentence.render("zh") for sentence in note_sentences(("lost 1", "left 1 sh"), "web-1"))


@each_of(
    "note",
    [
        "lost",
        "lost many",
        "lost -5",
        "lost ١٢",
        "lost " + "9" * 290,
        "left " + "9" * 290,
        "left",
        "left x",
        "left 12",
        "of-a-later-version 7",
        "",
    ],
)
def test_odd_details_are_no_error(note: str) -> None:
    """A machine may send anything; what is not known is not shown."""
    for sentence in note_sentences((note,), "web-1", chat=True):
        assert str(sentence)
    assert bool([*note_sentences((note,), "web-1")]) == note.startswith(("lost", "left"))


def test_names_from_the_machine_are_made_safe() -> None:
    """A process may be called anything; the caller says what is fit for its screen."""
    (sentence,) = note_sentences(("left 1 `*x*`",), "web-1", lambda text: text.replace("`", "'"))
    assert "`" not in str(sentence)


def test_notes_from_outside_are_bounded() -> None:
    """Few, short, one line each: they are stored as lines."""
    cleaned = clean_notes(["a\nb\x1b[31m", "", "x" * 9_999, *(["y"] * 99)])
    assert cleaned[0] == "a?b?[31m"
    assert len(cleaned) == MAX_NOTES
    assert len(cleaned[1]) == MAX_NOTE
    assert are_valid_notes(cleaned)
    assert not are_valid_notes(["x"] * (MAX_NOTES + 1))
    assert not are_valid_notes(["x" * (MAX_NOTE + 1)])
    assert not are_valid_notes([""])
    assert are_valid_notes([make_note("left", "x" * 9_999)])


def test_codes_are_whole_words() -> None:
    assert has_code(("lost 5",), LOSSES)
    assert not has_code(("losts 5", "left 1 lost"), LOSSES)


def test_for_an_older_hub_notes_are_words_of_the_reason() -> None:
    """It knows no notes, and shows the reason."""
    folded = fold_notes("the runner was stopped", ("unrecorded",))
    assert folded.startswith("the runner was stopped; It keeps the output open")
    assert fold_notes("", ()) == ""
