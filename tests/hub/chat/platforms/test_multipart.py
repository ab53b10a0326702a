"""Forms with files, read by the standard library's parser of MIME."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import HTTP

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.chat.platforms.multipart import Part, multipart
from tests.each import each_of
from tests.hub.chat.platforms.uploading import form_of


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=300) | st.just(b"\r\n--answerback-\r\n--"), min_size=1, max_size=4))
def test_what_went_in_comes_out(contents: list[bytes]) -> None:
    """Bytes of any kind, whole, each under its name."""
    parts = [Part(f"files[{at}]", data, f"f{at}.txt", "text/plain") for at, data in enumerate(contents)]
    body, kind = multipart(parts)
    found = form_of(kind, body)
    assert {name: (one.filename, one.data) for name, one in found.items()} == {
        part.name: (part.filename, part.data) for part in parts
    }


def test_each_part_says_what_it_is() -> None:
    """Type, file name and what a platform wants besides; the same parts make the same body."""
    parts = [Part("payload_json", b"{}", content_type="application/json"), Part("media", b"x", "r1-output.txt")]
    more = Part("more", b"", "a.txt", "text/plain; charset=utf-8", (("filelength", 12),))
    body, kind = multipart([*parts, more])
    assert multipart([*parts, more]) == (body, kind)
    assert b'name="payload_json"\r\nContent-Type: application/json\r\n\r\n{}\r\n' in body
    assert b'name="media"; filename="r1-output.txt"\r\n\r\nx\r\n' in body
    assert b'filename="a.txt"; filelength=12\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\r\n--' in body
    assert not message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body, policy=HTTP).defects


def test_nothing_in_a_file_foretells_the_boundary() -> None:
    """A file that has the boundary of an earlier body in it gets another one."""
    _, kind = multipart([Part("file", b"x", "x.txt")])
    inner = b"\r\n--" + kind.partition("boundary=")[2].encode() + b"--\r\n"
    body, other = multipart([Part("file", b"x" + inner, "x.txt")])
    assert other != kind
    assert form_of(other, body)["file"].data == b"x" + inner


@each_of(
    "part",
    [
        Part('a"; filename="b', b""),
        Part("a\r\nX-Evil: 1", b""),
        Part("file", b"", 'a".txt'),
        Part("file", b"", "a\n.txt"),
        Part("file", b"", "报告.txt"),
        Part("file", b"", "a/../b"),
        Part("file", b"", "x" * 101),
        Part("", b""),
        Part("file", b"", "a.txt", "text/plain\r\nX-Evil: 1"),
        Part("file", b"", "a.txt", "text"),
        Part("file", b"", "a.txt", "text/plain", (("a=1; b", 2),)),
    ],
)
def test_no_name_can_end_its_header(part: Part) -> None:
    with pytest.raises(ValueError, match="part's"):
        multipart([part])
