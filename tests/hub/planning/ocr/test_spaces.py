"""Spaces that the picture shows and the recogniser left out."""

from __future__ import annotations

from hub.planning.ocr.spaces import HAN_USUAL, Glyph, is_han, is_wide, restore_spaces, usual_han_gap


def typed(text: str, cell: float, ink: float, *, dropped: bool = True) -> list[Glyph]:
    """Characters of a fixed-width face: Han over two cells, `ink` of the room filled; spaces lost where `dropped`."""
    line: list[Glyph] = []
    at, end, spaced = 0.0, 0.0, False
    for char in text:
        width = cell * (2 if ord(char) > 0x2E80 else 1)
        if char == " ":
            spaced = True
        else:
            side = (width - width * ink) / 2
            gap = at + side - end if line else 0.0
            line.append(Glyph(char, at + width / 2, spaced and not dropped, gap))
            end, spaced = at + width - side, False
        at += width
    return line


def test_spaces_between_han_and_latin_come_back() -> None:
    """In a terminal, where Han characters stand wide apart anyway."""
    text = "重试第 3 次，等待 5 秒后运行 df -h 命令"
    line = typed(text, 0.6, 0.75)
    assert restore_spaces(line, usual_han_gap([line])) == text


def test_spaces_between_latin_words_come_back() -> None:
    """By the pitch of the face."""
    text = "checkout-7d9c 0/1 CrashLoopBackOff 14 52m"
    assert restore_spaces(typed(text, 0.6, 0.7)) == text


def test_no_space_is_made_where_none_is() -> None:
    """Neither in names, nor in Han text, nor beside full-width punctuation."""
    for text in ("/etc/nginx/sites-enabled/shop.example.com.conf", "服务即将退出，退出码（十）", "日志.txt的内容"):
        line = typed(text, 0.6, 0.7)
        assert restore_spaces(line, usual_han_gap([line])) == text


def test_wide_gaps_of_a_fixed_width_face_are_no_spaces() -> None:
    """Thin signs leave most of their cell blank."""
    line = typed("systemd[1]:failed(1.2.3)", 0.6, 0.75)
    thin = [Glyph(glyph.char, glyph.at, glyph.spaced, glyph.gap + 0.2 * (glyph.char in ".:()[]1")) for glyph in line]
    assert restore_spaces(thin) == "systemd[1]:failed(1.2.3)"


def test_what_the_recogniser_spaced_stays_spaced() -> None:
    """Its own spaces are believed."""
    text = "ls -l 目录"
    assert restore_spaces(typed(text, 0.6, 0.99, dropped=False)) == text


def test_a_date_and_a_time_are_two_words() -> None:
    """Whatever the gap; a longer number is left alone."""
    assert restore_spaces([Glyph(char, 0.0) for char in "2026-11-1721:08:33"]) == "2026-11-17 21:08:33"
    assert restore_spaces([Glyph(char, 0.0) for char in "92026-11-1721:08"]) == "92026-11-1721:08"
    assert restore_spaces([]) == ""


def test_characters_are_told_apart() -> None:
    """Ideographs, and what takes two columns."""
    assert all(map(is_han, "中文々〇"))
    assert not any(map(is_han, "a，（1"))
    assert all(map(is_wide, "，：（）【】“”中"))
    assert not any(map(is_wide, ",:(a"))
    two = [Glyph("中", 0.0), Glyph("文", 0.9, gap=0.3)]
    assert usual_han_gap([two]) == HAN_USUAL
    assert usual_han_gap([[*two, Glyph("a", 2.0, gap=0.4)]] * 3) == 0.3
