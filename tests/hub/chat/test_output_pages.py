"""All of an output in pages that fit a phone."""

from hub.chat.output_pages import MAX_LINE, MAX_PAGES, PAGE_CHARS, page_text
from tests.hub.chat.test_reply_text import request_of

LINES = "\n".join(f"line {number}" for number in range(1_000))


def pages(outputs: list[tuple[str, str]]) -> list[str]:
    return [page_text(request_of(), outputs, page, "en") for page in range(1, 60)]


def test_every_line_stands_on_one_page_and_each_names_the_next() -> None:
    found = [text for text in pages([("web-1", LINES)]) if "```" in text]
    said = [line for text in found for line in text.split("```")[1].strip("\n").split("\n")]
    assert said == LINES.split("\n")
    assert all(len(text) < PAGE_CHARS + 200 for text in found)
    assert "more r42 2" in found[0]
    assert "That is all" in found[-1]


def test_a_chat_that_takes_files_is_told_of_one() -> None:
    """Where there is a next page, and where there is more than all pages hold."""
    huge = "\n".join(["y" * 400] * 1_000)
    assert "as a file: file r42" in page_text(request_of(), [("web-1", huge)], 1, "en", files=True)
    assert page_text(request_of(), [("web-1", huge)], MAX_PAGES, "en", files=True).endswith("as a file: file r42")
    assert "文件 r42" in page_text(request_of(), [("web-1", huge)], 1, "zh", files=True)
    assert "file r42" not in page_text(request_of(), [("web-1", huge)], 1, "en")
    assert "file r42" not in page_text(request_of(), [("web-1", "short")], 1, "en", files=True)


def test_machines_are_named_where_there_are_several() -> None:
    text = page_text(request_of(), [("web-1", "a\n"), ("web-2", ""), ("db-1", "b")], 1, "zh")
    assert text.split("```")[1] == "\nweb-1:\na\ndb-1:\nb\n"


def test_what_is_not_there_is_said() -> None:
    assert "printed nothing" in page_text(request_of(), [("web-1", "\n")], 1, "en")
    assert "has 1 page(s)" in page_text(request_of(), [("web-1", "x")], 2, "en")


def test_pages_and_lines_are_bounded() -> None:
    """A line of a megabyte is cut; beyond the last page there is another way to look."""
    assert len(page_text(request_of(), [("web-1", "x" * 1_000_000)], 1, "en")) < MAX_LINE + 200
    found = pages([("web-1", "\n".join(["y" * 400] * 1_000))])
    assert "answerback job" in found[MAX_PAGES - 1]
    assert "```" not in found[MAX_PAGES]
