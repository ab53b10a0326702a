"""hub.chat.markup: our replies as blocks, and how they are cut."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from hub.chat.markup import Block, Code, Line, Span, fit_blocks, split_blocks
from hub.core.chat_text import code_block


def plain(blocks: Sequence[Block]) -> str:
    return "\n".join(
        f"[{block.text}]" if isinstance(block, Code) else "".join(span.text for span in block.spans) for block in blocks
    )


def test_text_code_and_quotes_are_told_apart() -> None:
    """Three marks and no others."""
    text = "\n".join(("r1: `df -h` on *web-1*", code_block("a\nb `c`"), "> a model's words", "end"))
    assert split_blocks(text) == (
        Line((Span("r1: "), Span("df -h", code=True), Span(" on *web-1*"))),
        Code("a\nb `c`"),
        Line((Span("a model's words"),), quote=True),
        Line((Span("end"),)),
    )


def test_a_block_that_is_not_closed_ends_with_the_text() -> None:
    """Text is never lost."""
    assert split_blocks("a\n```\nb") == (Line((Span("a"),)), Code("b"))


@given(st.text(st.characters(exclude_characters="`"), max_size=200))
def test_a_code_block_comes_back_as_it_was(output: str) -> None:
    """Whatever output looks like, it stays inside its block."""
    assert split_blocks(code_block(output)) == (Code(output),)


def test_code_is_cut_before_text_and_from_its_end() -> None:
    """The sentences stay; the longest block loses its last lines; that it did is said."""
    blocks = split_blocks("\n".join(("head", code_block("1\n2"), code_block("\n".join(["x" * 10] * 100)), "tail")))
    text, cut = fit_blocks(blocks, plain, len, 200, "the rest: more r1")
    assert cut
    assert len(text) <= 200
    assert text.startswith("head\n[1\n2]\n[xxxxxxxxxx\n")
    assert text.endswith("]\ntail\nthe rest: more r1")
    assert fit_blocks(blocks, plain, len, 10_000, "note") == (plain(blocks), False)


@given(st.lists(st.text(max_size=60), max_size=8), st.integers(20, 200))
def test_it_always_fits(lines: list[str], limit: int) -> None:
    """By whatever the platform counts, here bytes."""
    blocks = split_blocks("\n".join(line.replace("\n", " ") for line in lines))
    text, _ = fit_blocks(blocks, plain, lambda text: len(text.encode()), limit, "cut")
    assert len(text.encode("utf-8", "surrogatepass")) <= limit
