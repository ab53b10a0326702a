r"""Text: hostile names, output and argument vectors, made safe to show."""

from __future__ import annotations

import json
import re
import time
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from common.plan import MAX_ARG_CHARS
from common.text import clean, clean_output, cut_bytes, cut_bytes_front, escape_argv
from tests.each import each_of

# Written out here a second time, by what it does and not by how common.text finds it.
BIDI = {"\u061c", "\u200e", "\u200f", *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}
ZERO_WIDTH = {"\u00ad", "\u034f", "\u180e", "\u200b", "\u200c", "\u200d", "\u2060", "\u2061", "\u2064", "\ufeff"}
FILLERS = {"\u115f", "\u1160", "\u3164", "\uffa0", "\u17b4", "\u17b5"}
LINES = {"\u2028", "\u2029"}


def is_safe(char: str) -> bool:
    code = ord(char)
    control = code < 0x20 or 0x7F <= code < 0xA0
    surrogate = 0xD800 <= code < 0xE000
    variation = 0xFE00 <= code < 0xFE10 or 0xE0100 <= code < 0xE01F0 or 0x180B <= code <= 0x180F
    tag = 0xE0000 <= code < 0xE0080
    return not (control or surrogate or variation or tag or char in BIDI | ZERO_WIDTH | FILLERS | LINES)


PIECES = st.sampled_from(
    [
        *(
            "\x00",
            "\x07",
            "\b",
            "\t",
            "\n",
            "\v",
            "\f",
            "\r",
            "\x1b",
            "\x7f",
            "\x80",
            "\x90",
            "\x9b",
            "\x9c",
            "\x9d",
            "\x9f",
        ),
        *(
            "\x1b[",
            "\x1b]",
            "\x1bP",
            "\x1b_",
            "\x1b\\",
            "\x1b(",
            "\x1bc",
            "31m",
            "0;title",
            "2J",
            ";",
            "?25l",
            "\\",
            " ",
        ),
        *(
            "a",
            "b",
            "\u00e9",
            "\u6587\u4ef6",
            "\u202e",
            "\u2066",
            "\u200b",
            "\u200d",
            "\ufe0f",
            "\U000e0041",
            "\U000e0100",
        ),
        *(
            "\ud800",
            "\udc80",
            "\udfff",
            "\u3164",
            "\u2800",
            "\u3000",
            "\u00a0",
            "\ufeff",
            "\U0001f600",
            "\u0430",
            "\ufffe",
        ),
    ]
)
HOSTILE = st.lists(PIECES, max_size=40).map("".join) | st.text(st.characters(), max_size=60)


# ---- names and command lines


@given(HOSTILE, st.integers(1, 50))
@example("\udfff" * 9, 3)
def test_a_clean_line_holds_nothing_that_cannot_be_seen(text: str, limit: int) -> None:
    """No control, newline, bidirectional, zero-width or tag character, no surrogate; and at most `limit` characters."""
    shown = clean(text, limit=limit)
    assert all(map(is_safe, shown))
    assert shown.encode("utf-8").decode() == shown
    assert len(shown) <= limit


@given(HOSTILE)
def test_a_clean_line_hides_nothing(text: str) -> None:
    """What cannot be seen becomes an escape: undoing the escapes gives the text back."""
    shown = clean(text.replace("\\", ""), limit=10_000)
    undone = re.sub(
        r"\\(?:x(..)|u(....)|U(.{8})|(.))",
        lambda m: {"n": "\n", "r": "\r", "t": "\t"}[m[4]] if m[4] else chr(int(m[1] or m[2] or m[3], 16)),
        shown,
    )
    assert undone == text.replace("\\", "")


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)) | st.text("部署完成，重启服务。磁盘\u3000é ñ–€😀"))
def test_ordinary_text_is_left_alone(text: str) -> None:
    """English, Chinese with its punctuation and wide space, accents and pictures stay as they are."""
    assert clean(text) == text


@each_of(
    ("text", "shown"),
    [
        ("web-1\x1b[2J", r"web-1\x1b[2J"),
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        ("\x00\x7f\x9b", r"\x00\x7f\x9b"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("pass\u200bword", r"pass\u200bword"),
        ("✔\ufe0f", r"✔\ufe0f"),
        ("a\U000e0041", r"a\U000e0041"),
        ("\ud83d", r"\ud83d"),
        ("a\u00a0b\u2003c", r"a\xa0b\u2003c"),
        ("\u3164\u2800", r"\u3164\u2800"),
        ("\ue000\ufffe", r"\ue000\ufffe"),
    ],
)
def test_what_cannot_be_seen_becomes_an_escape(text: str, shown: str) -> None:
    """Terminal controls, direction overrides, zero-width characters, fillers, odd spaces, private and unassigned."""
    assert clean(text) == shown


def test_a_long_line_is_cut_with_an_ellipsis() -> None:
    """At most `limit` characters, the ellipsis among them; also where only the escapes make it too long."""
    assert clean("x" * 10, limit=10) == "x" * 10
    assert clean("x" * 11, limit=10) == "x" * 9 + "…"
    assert clean("\x1b" * 3, limit=10) == r"\x1b\x1b\…"
    assert len(clean("x" * 100_000)) == 4096


# ---- output


@given(HOSTILE | st.binary(max_size=80), st.integers(1, 60))
def test_clean_output_holds_nothing_that_acts(data: str | bytes, limit: int) -> None:
    """Newlines are the only controls that stay, whatever a program prints, as bytes or as text."""
    shown = clean_output(data, limit=limit)
    assert all(char == "\n" or is_safe(char) for char in shown)
    assert shown.encode("utf-8").decode() == shown
    assert len(shown) <= limit


@given(HOSTILE)
def test_output_is_cleaned_once_and_for_all(text: str) -> None:
    """Cleaning what is clean changes nothing."""
    shown = clean_output(text)
    assert clean_output(shown) == shown


@given(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"], max_codepoint=0x2FFF), max_size=50))
def test_what_is_printed_plainly_is_kept(text: str) -> None:
    """Text and line breaks without controls come through, but for the invisible characters among them."""
    plain = "".join(filter(is_safe, text)) + "\nnext line\n"
    assert clean_output(plain) == plain
    assert clean_output(plain.encode()) == plain


@each_of(
    ("data", "shown"),
    [
        (b"\x1b[31mred\x1b[0m plain", "red plain"),
        (b"\x1b[38;5;196mx\x1b[m", "x"),
        (b"\x1b[?25l\x1b[2J\x1b[H", ""),
        (b"\x1b]0;title\x07text", "text"),
        (b"\x1b]8;;https://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"\x1b]52;c;ZXZpbA==\x07", ""),
        (b"\x1bP1$r0m\x1b\\x", "x"),
        (b"\x1b_apc\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\x", "x"),
        (b"\x1b(B\x1b=\x1b7\x1bMx", "x"),
        ("\u009b31mx\u009d0;t\u009cy", "xy"),
        (b"10%\r20%\r100%\n", "100%\n"),
        (b"10%\r\x1b[K20%\r", "20%"),
        (b"dos\r\nlines\r\r\n", "dos\nlines\n"),
        (b"N\bNA\bAM\bME\bE", "NAME"),
        (b"\b\b\bab\b\b\bc", "c"),
        (b"a\tb", "a       b"),
        (b"\x00\x07\x7f", "\ufffd\ufffd\ufffd"),
        (b"caf\xe9 \xff\xfe", "caf\ufffd \ufffd\ufffd"),
        ("a\u202eb\u200bc\ufe0fd\U000e0041", "abcd"),
        ("\ud800x", "\ufffdx"),
        ("部署\t完成".encode(), "部署      完成"),
        (b"", ""),
    ],
)
def test_output_reads_as_a_terminal_would_leave_it(data: bytes | str, shown: str) -> None:
    """Colours, titles, links, clipboard are gone; progress bars end at their last word; man pages are readable."""
    assert clean_output(data) == shown


@each_of("opening", ["\x1b]0;", "\x1bP", "\x1b_", "\x1b[", "\x1b[31", "\x9d", "\x1b", "\x1b]8;;x\n"])
def test_an_unfinished_sequence_hides_nothing(opening: str) -> None:
    """Where a sequence never ends, what follows it is shown: output cannot swallow the lines after it."""
    shown = clean_output(opening + "\nrm -rf /important\n")
    assert "rm -rf /important\n" in shown


@each_of("opening", ["\x1b]0;", "\x1b]8;;", "\x1bP", "\x1b_", "\x9d", "\x90"])
def test_a_string_that_runs_to_the_end_is_shown(opening: str) -> None:
    """Also the last line cannot hide behind the beginning of a title."""
    assert clean_output(opening + "rm -rf /important").endswith("rm -rf /important")


def test_sequences_put_together_by_removal_do_not_act() -> None:
    """Taking one sequence out of the middle of another leaves text, not a control."""
    assert clean_output("\x1b\x1b[31m[31mx") == "\ufffd[31mx"
    assert clean_output("\x1b\u200b[31mx") == "\ufffd[31mx"


def test_long_output_is_cut_with_an_ellipsis() -> None:
    """At most `limit` characters are left, after cleaning."""
    assert clean_output("x" * 11, limit=10) == "x" * 9 + "…"
    assert clean_output("\x1b[31m" * 100 + "x" * 10, limit=10) == "x" * 10


SLOW = {
    "escapes": "\x1b" * 200_000,
    "titles begun": "\x1b]" * 100_000,
    "8-bit titles begun": "\x9d" * 200_000,
    "one title begun": "\x1b]" + "x" * 200_000,
    "one colour begun": "\x1b[" + "1" * 200_000 + " " * 200_000,
    "colours begun": "\x1b[1;1;1" * 30_000,
    "device strings begun": "\x1bP\x1b" * 70_000,
    "backspaces": "\b" * 200_000,
    "letters, then backspaces": "x" * 100_000 + "\b" * 100_000,
    "carriage returns": "x\r" * 100_000,
    "returns at the end": "\r" * 200_000 + "x" + "\r" * 200_000,
    "newlines": "\r\n" * 100_000,
    "zero-width": "\u200b" * 200_000,
    "surrogates": "\ud800" * 200_000,
}


@pytest.mark.parametrize("text", SLOW.values(), ids=SLOW.keys())
def test_the_time_is_linear(text: str) -> None:
    """A quadratic step would take minutes on any of these; linear, they take a fraction of a second."""
    begun = time.process_time()
    clean_output(text)
    clean(text)
    assert time.process_time() - begun < 2.0


# ---- argument vectors

ARGS = st.lists(HOSTILE | st.text(st.characters(codec="utf-8"), max_size=30), max_size=6)


@given(ARGS)
def test_an_escaped_vector_holds_ascii_and_chinese_only(argv: list[str]) -> None:
    """Nothing that cannot be seen, and nothing that passes for something else."""
    shown = escape_argv(argv)
    assert all(" " <= char <= "~" or unicodedata.name(char, "").startswith("CJK UNIFIED IDEOGRAPH") for char in shown)
    assert "`" not in shown
    assert "  " not in shown


@given(
    st.lists(
        st.text(st.characters(codec="utf-8"), max_size=40)
        | HOSTILE.map(lambda t: t.encode("utf-8", "replace").decode())
    )
)
def test_an_escaped_vector_is_json_and_gives_the_vector_back(argv: list[str]) -> None:
    """It is exact: no two vectors look the same, and a program can read it."""
    assert json.loads(escape_argv(argv)) == argv


@each_of(
    ("argv", "shown"),
    [
        ([], "[]"),
        (["/bin/ls", "-l"], '["/bin/ls", "-l"]'),
        (["a b", "a  b", "a "], r'["a b", "a \u0020b", "a "]'),
        (["say", 'x", "y'], r'["say", "x\", \"y"]'),
        (["a\nb\x1b[2J"], r'["a\nb\u001b[2J"]'),
        (["C:\\x", "\\u0041"], r'["C:\\x", "\\u0041"]'),
        (["/日志/部署.log"], '["/日志/部署.log"]'),
        (["раypal"], r'["\u0440\u0430ypal"]'),
        (["ｒｍ", "－rf"], r'["\uff52\uff4d", "\uff0drf"]'),
        (
            ["x\u202ey", "z\u200b", "\u3164", "\u2800", "\u3000"],
            r'["x\u202ey", "z\u200b", "\u3164", "\u2800", "\u3000"]',
        ),
        (["😀"], r'["\ud83d\ude00"]'),
        (["\ud800"], r'["\ud800"]'),
        (["一", "丨", "人"], r'["\u4e00", "\u4e28", "人"]'),
        (["`id`", "\x7f", "é"], r'["\u0060id\u0060", "\u007f", "\u00e9"]'),
    ],
)
def test_a_vector_is_shown_without_doubt(argv: list[str], shown: str) -> None:
    """Quotes, blanks, look-alikes, direction overrides, code-span ends: each is told apart (security lesson B6)."""
    assert escape_argv(argv) == shown


def test_a_vector_is_never_cut() -> None:
    """A long command is shown to its end: what is not shown is not approved (security lesson B6)."""
    argv = ["/bin/echo", "x" * MAX_ARG_CHARS, "; rm -rf /"]
    shown = escape_argv(argv)
    assert shown.endswith('"; rm -rf /"]')
    assert len(shown) > MAX_ARG_CHARS


def test_bytes_are_cut_between_characters() -> None:
    """However long a character is, at either end; what is no UTF-8 is cut where it was asked."""
    text = "aé中🙂" * 9
    data = text.encode()
    for most in range(len(data) + 2):
        head, tail = cut_bytes(data, most), cut_bytes_front(data, most)
        assert data.startswith(head)
        assert data.endswith(tail)
        assert text.startswith(head.decode())
        assert text.endswith(tail.decode())
        assert most - 3 <= len(head) <= most or head == data
        assert most - 3 <= len(tail) <= most or tail == data
    assert len(cut_bytes(b"\x80" * 50, 20)) >= 17
    assert len(cut_bytes_front(b"\x80" * 50, 20)) >= 17
