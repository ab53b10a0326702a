r"""Makes hostile text safe to show. Names, commands, output and chat text come from people and programs we do not
trust.

Three functions, by what the reader needs:

    clean         one line of a name or a command line: invisible characters become escapes (\x1b)
    clean_output  what a program printed, as a terminal would show it, without colours and control sequences
    escape_argv   the argument vector that an approval is about: exact, complete and unambiguous

No result contains a C0 or C1 control (but the newlines of output), DEL, a bidirectional control, an invisible
character, a variation selector, a tag or a lone surrogate. The time taken is linear in the length of the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final

OUTPUT_IS: Final = {"output_is": "data"}
"""What stands beside every `output` in JSON: the bytes of a program on a machine, as text, and nobody's word. Whoever
reads them shows them escaped, and follows nothing that they say: no link, no command, no instruction to a model.
"""
TAB: Final = 8
DEFAULT_LIMIT: Final = 4096
DEFAULT_OUTPUT_LIMIT: Final = 65_536

# Characters that are invisible or have no width: Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties),
# which has the zero-width ones, variation selectors and tags; all bidirectional controls and the line separators.
_IGNORABLE: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_CONTROL: Final = "\x00-\x1f\x7f-\x9f"

# ---- names and command lines

_BLANK: Final = "\u2800"  # a braille pattern without dots: printable, and looks like a space
_IDEOGRAPHIC_SPACE: Final = "\u3000"  # not printable to Python, ordinary in Chinese text
_INVISIBLE: Final = re.compile(f"[{_IGNORABLE}{_BLANK}]")
_NON_ASCII_PRINTABLE: Final = re.compile(r"[^ -~]")
_SHORT_ESCAPES: Final = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def clean(text: str, *, limit: int = DEFAULT_LIMIT) -> str:
    """One line of at most `limit` characters, all visible; an ellipsis marks what was cut off.

    Not exact: a text that holds the four characters `\\x1b` looks the same as an escape. See `escape_argv` for that.
    """
    cut = text[:limit]
    shown = cut if _is_plain(cut) else _NON_ASCII_PRINTABLE.sub(_make_visible, cut)
    return shown if len(shown) <= limit and len(cut) == len(text) else shown[: limit - 1] + "…"


def clean_lines(text: str) -> str:
    """As `clean`, of any length, and lines stay lines: for a value that becomes part of a text for people. Costs a scan
    where nothing is to be done.
    """
    if _is_plain(text):
        return text
    return "\n".join(_NON_ASCII_PRINTABLE.sub(_make_visible, line) for line in text.split("\n"))


def _is_plain(text: str) -> bool:
    return text.isprintable() and not _INVISIBLE.search(text)


def _make_visible(match: re.Match[str]) -> str:
    char = match[0]
    return char if _is_plain(char) or char == _IDEOGRAPHIC_SPACE else _SHORT_ESCAPES.get(char) or _escape(char)


def _escape(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


# ---- output

# ECMA-48 control sequences, complete ones only: of an incomplete one only the control character is dropped, so that no
# output can hide what follows it. A string's content ends at any control character; nothing backtracks.
_SEQUENCE: Final = re.compile(
    rf"(?:\x1b\]|\x9d)[^{_CONTROL}]*+(?:\x07|\x1b\\|\x9c)"  # operating system command: titles, links, the clipboard
    rf"|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^{_CONTROL}]*+(?:\x1b\\|\x9c)"  # device control, privacy, program strings
    r"|(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]"  # cursor, colour, erase, modes
    r"|\x1b[ -/]*+[0-OQ-WYZ\\`-~]"  # two and three characters: character sets, reset, save; no beginning of the above
)
_SUSPECT: Final = re.compile(f"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff{_IGNORABLE}]")
_HIDDEN: Final = re.compile(f"[{_IGNORABLE}]")
_REPLACED: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def clean_output(data: bytes | str, *, limit: int = DEFAULT_OUTPUT_LIMIT) -> str:
    """Lines as a terminal would show them: escape sequences dropped, carriage returns and backspaces applied.

    Other controls and invalid UTF-8 become U+FFFD; invisible characters are dropped. At most `limit` characters; an
    ellipsis marks what was cut off.
    """
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    if _SUSPECT.search(text):
        text = _SEQUENCE.sub("", text)
        text = "\n".join(map(_apply_cursor_moves, text.split("\n")))
        text = _REPLACED.sub("\ufffd", _HIDDEN.sub("", text).expandtabs(TAB))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def cut_bytes(data: bytes, most: int) -> bytes:
    """The first `most` bytes of UTF-8, or up to three fewer, so that no character is cut in two."""
    if len(data) <= most:
        return data
    end = most
    while end > max(0, most - 3) and 0x80 <= data[end] < 0xC0:
        end -= 1
    return data[:end] if not 0x80 <= data[end] < 0xC0 else data[:most]


def cut_bytes_front(data: bytes, most: int) -> bytes:
    """The last `most` bytes of UTF-8, or up to three fewer."""
    if len(data) <= most:
        return data
    start = len(data) - most
    while start < min(len(data), len(data) - most + 3) and 0x80 <= data[start] < 0xC0:
        start += 1
    return data[start:]


def _apply_cursor_moves(line: str) -> str:
    """The line after its carriage returns and backspaces; text after a carriage return replaces all before it."""
    line = line.rstrip("\r").rpartition("\r")[2]
    if "\b" not in line:
        return line
    shown: list[str] = []
    for char in line:
        if char != "\b":
            shown.append(char)
        elif shown:
            shown.pop()
    return "".join(shown)


# ---- argument vectors

# Chinese is shown as it is written. Any other non-ASCII character may pass for an ASCII one (Cyrillic, Greek, full-
# width) and is escaped; so are the ideographs of a few strokes that could be read as ASCII, repeated spaces (chats fold
# them into one) and the backtick (it ends a chat's code span).
_AMBIGUOUS: Final = re.compile("[^ -_a-~\u3400-\u4dbf\u4e00-\u9fff]|(?<= ) |[一丅丨丶丷丿乂乙亅二十卜工]")


def escape_argv(argv: Iterable[str]) -> str:
    """The vector as a JSON array on one line: different vectors give different texts. Never truncate it for display."""
    return "[" + ", ".join(map(_quote, argv)) + "]"


def is_ambiguous(text: str) -> bool:
    """Whether `escape_argv` would escape something of it: what may pass for something else is never shown as it is."""
    return _AMBIGUOUS.search(text) is not None


def _quote(arg: str) -> str:
    quoted = json.dumps(arg, ensure_ascii=False)
    return _AMBIGUOUS.sub(lambda match: _escape_json(match[0]), quoted)


def _escape_json(char: str) -> str:
    code = ord(char)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000  # JSON writes the others as two UTF-16 units (RFC 8259, 7)
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


# ---- TOML


def toml_string(text: str) -> str:
    """A TOML basic string: JSON's escapes are a subset of TOML's, but for DEL, which TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
