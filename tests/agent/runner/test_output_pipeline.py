"""Filters applied to bytes, beside the programs whose names they have."""

import shlex
import subprocess
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.runner.output_pipeline import MAX_KEPT, MAX_LINE, OutputPipeline
from common.command.line import parse_command
from tests.each import each_of

SAMPLE = """\
Mem:  1.5G  used
Swap: 200M  used
error: disk sda1 full
Error: disk sdb1 ok
error: disk sda1 full
error: disk sda1 full

   30 nginx
    4 sshd
  100 Nginx worker
-7 below
4 twice
错误 磁盘
no end"""
ALIKE = (
    "grep error",
    "grep -i error",
    "grep -v error",
    "grep -c error",
    "grep -ic error",
    "grep -n disk",
    "grep -w sda",
    "grep -w disk",
    "grep -e nginx -e ssh",
    "grep ^Mem",
    "grep 'full$'",
    "grep -F .",
    "grep 错误",
    "grep nothing-at-all",
    "head -n 3",
    "head -n 100",
    "tail -n 3",
    "tail -n 100",
    "tail -n +4",
    "wc -l",
    "wc -w",
    "wc -c",
    "sort",
    "sort -r",
    "sort -n",
    "sort -u",
    "sort -n -r",
    "sort -h",
    "sort -k 2",
    "uniq",
    "uniq -c",
    "uniq -d",
    "uniq -u",
    "sort | uniq -c | sort -n -r | head -n 4",
    "grep -v ^x | tail -n 2 | grep -c n",
    "grep disk | sort -u | wc -l",
)


def run(line: str, data: bytes, step: int = 7) -> bytes:
    pipeline = OutputPipeline(parse_command(f"x | {line}")[1])
    out = [pipeline.feed(data[at : at + step]) for at in range(0, len(data), step)]
    return b"".join([*out, pipeline.finish()])


def real(line: str, data: bytes) -> bytes:
    """What the machine's own programs make of it."""
    shell = " | ".join(shlex.join(words) for words in parse_command(f"x | {line}")[1])
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    return subprocess.run(["/bin/sh", "-c", shell], input=data, capture_output=True, env=environment).stdout


@each_of("line", ALIKE)
def test_they_do_what_the_programs_of_their_names_do(line: str) -> None:
    assert _ended(run(line, SAMPLE.encode())) == _ended(real(line, SAMPLE.encode()))


def _ended(out: bytes) -> list[bytes]:
    """By lines: coreutils end a last line that has no end in some programs and not in others."""
    return out.split(b"\n") if not out.endswith(b"\n") else out[:-1].split(b"\n")


@settings(max_examples=25)
@given(
    lines=st.lists(st.sampled_from(["a", "b", "a b", "10", "9", "-1", "", "1.5", " 10", "B"]), max_size=12),
    line=st.sampled_from(["sort -n", "sort", "uniq -c", "sort -u", "tail -n 2", "head -n 2", "sort -r", "grep -v a"]),
    step=st.integers(1, 9),
)
def test_wherever_the_output_is_cut(lines: list[str], line: str, step: int) -> None:
    data = "".join(f"{one}\n" for one in lines).encode()
    assert run(line, data, step) == real(line, data)


def test_bytes_that_are_no_text_pass() -> None:
    data = b"\xff\xfe error \x00\nplain\n\xe9rror\n"
    assert run("grep error", data) == b"\xff\xfe error \x00\n"
    assert run("sort -r", data) == b"\xff\xfe error \x00\n\xe9rror\nplain\n"


@each_of(("words", "kept"), [(("sort",), 4096), (("tail", "-n", "9999"), 4096), (("tail", "-n", "10"), 10)])
def test_memory_is_bounded_and_loss_is_told(words: tuple[str, ...], kept: int) -> None:
    line = b"x" * 1023 + b"\n"
    pipeline = OutputPipeline([words])
    for _ in range(2 * MAX_KEPT // len(line)):
        assert pipeline.feed(line) == b""
    assert pipeline.finish().count(b"\n") == kept
    assert pipeline.lost_bytes == (MAX_KEPT if kept > 10 else 0)


def test_a_line_without_end_counts_as_several() -> None:
    pipeline = OutputPipeline([("wc", "-c"), ("head", "-n", "1")])
    for _ in range(100):
        pipeline.feed(b"y" * 65_536)
        assert len(pipeline._begun) <= MAX_LINE
    assert pipeline.finish() == b"6553600\n"


EVERY = [
    ("grep", "-n", "a"),
    ("grep", "-c", "-v", "a"),
    ("head", "-n", "3"),
    ("tail", "-n", "3"),
    ("tail", "-n", "+3"),
    ("wc", "-l"),
    ("wc", "-w"),
    ("wc", "-c"),
    ("sort", "-r"),
    ("uniq", "-c"),
]


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
@pytest.mark.parametrize("at", [0, 1, 7, 12, 30])
def test_another_process_goes_on_where_one_stopped(words: tuple[str, ...], at: int) -> None:
    """Through msgpack, in the middle of a line and of a run of equal ones: the result is that of one process."""
    data = b"aa\naa\nb c\naa\nlast a\nlast a\nz"
    filters = (words, ("uniq", "-c"), ("tail", "-n", "4"))
    whole = OutputPipeline(filters)
    wanted = whole.feed(data) + whole.finish()
    first, second = OutputPipeline(filters), OutputPipeline(filters)
    out = first.feed(data[:at])
    second.restore(msgpack.unpackb(msgpack.packb(first.state())))
    assert out + second.feed(data[at:]) + second.finish() == wanted
    assert second.lost_bytes == whole.lost_bytes


@pytest.mark.parametrize("state", [(), (b"",), ("", (1,)), (b"", ("x",)), (b"", (1, 2)), (b"", (1,), (1,))])
def test_what_is_no_state_of_these_filters_is_refused(state: Any) -> None:
    """Nothing is guessed."""
    with pytest.raises((ValueError, TypeError)):
        OutputPipeline((("head", "-n", "3"),)).restore(state)
