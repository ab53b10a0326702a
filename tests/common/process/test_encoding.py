"""common.process.encoding: what a terminal can show, told from its locale."""

from __future__ import annotations

import pytest

from common.process.encoding import FALLBACK, SIGNS, UNSET, UTF_8, can_encode, register_fallback, terminal_encoding


@pytest.mark.parametrize(
    ("environment", "stream", "assumed", "expected"),
    [
        ({"LANG": "C.UTF-8"}, "utf-8", False, UTF_8),
        ({"LANG": "en_US.UTF-8"}, "utf-8", True, UTF_8),  # not installed here
        ({"LANG": "en_US.utf8"}, "UTF-8", False, UTF_8),
        ({"LANG": "de_DE.ISO-8859-1", "LC_CTYPE": "C.UTF-8"}, "utf-8", True, "iso8859-1"),  # LC_CTYPE by Python itself
        ({"LANG": "de_DE.ISO-8859-1"}, "iso-8859-1", False, "iso8859-1"),
        ({"LANG": "de_DE"}, "iso-8859-1", False, "iso8859-1"),
        ({"LANG": "de_DE"}, "utf-8", True, "ascii"),
        ({"LANG": "de_DE"}, "utf-8", False, UTF_8),
        ({"LANG": "zh_CN.GB18030"}, "utf-8", True, "gb18030"),
        ({"LANG": "ru_RU.KOI8-R@x"}, "utf-8", True, "koi8-r"),
        ({"LANG": "xx_XX.KLINGON"}, "utf-8", True, "ascii"),
        ({"LC_ALL": "C.UTF-8", "LANG": "de_DE.ISO-8859-1"}, "utf-8", False, UTF_8),
        ({"LC_ALL": "", "LC_CTYPE": "", "LANG": "C.UTF-8"}, "utf-8", False, UTF_8),
        ({"LC_ALL": "POSIX"}, "utf-8", True, UNSET),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, "utf-8", True, UNSET),
        ({}, "utf-8", True, UNSET),
        ({"LC_CTYPE": "C.UTF-8"}, "utf-8", False, UTF_8),  # by the user
        ({"PYTHONUTF8": "1", "LANG": "C"}, "utf-8", True, UTF_8),
        ({"LANG": "C.UTF-8"}, "latin-1", False, "iso8859-1"),  # PYTHONIOENCODING
        ({"LANG": "C.UTF-8"}, None, False, UTF_8),
    ],
)
def test_the_encoding_of_a_terminal(environment: dict[str, str], stream: str, assumed: bool, expected: str) -> None:
    """The stream's where it is not UTF-8, else the locale's; what nobody knows is told apart."""
    assert terminal_encoding(environment, stream, assumed=assumed) == expected


def test_what_an_encoding_has_not_becomes_a_plain_sign() -> None:
    """Ours have a sign each, all else is a question mark; what it has stays."""
    register_fallback()
    assert "caf\u00e9 \u2026 \u2192 \u6c49\u5b57\ud800".encode("latin-1", FALLBACK) == b"caf\xe9 ... -> ???"
    assert "a\u2026".encode("ascii", FALLBACK) == b"a..."
    assert all(can_encode(sign, "ascii") for sign in SIGNS.values())
