"""Letters that look alike become words, and names are left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.ocr.words import mended


@pytest.mark.parametrize(
    ("read", "meant"),
    [
        ("INF0 started", "INFO started"),
        ("0ut of memory", "Out of memory"),
        ("CrashLoopBack0ff", "CrashLoopBackOff"),
        ("I/0 error, dev sdb", "I/O error, dev sdb"),
        ("mysq1 is down", "mysql is down"),
        ("c0nnection refu5ed", "connection refused"),
        ("ERR0R: time0ut", "ERROR: timeout"),
        ("1s: 无法打开目录", "ls: 无法打开目录"),
        ("ops@web:~$ 1s /data", "ops@web:~$ ls /data"),
        ("cat：日志.txt：没有", "cat: 日志.txt: 没有"),
        ("无法创建 ‘/etc/nginx'", "无法创建 '/etc/nginx'"),
    ],
)
def test_look_alikes_become_words(read: str, meant: str) -> None:
    """In the case that their neighbours have."""
    assert mended(read) == meant


@pytest.mark.parametrize(
    "line",
    [
        "/dev/nvme0n1p2 98G",
        "web01 db10 node5 eth0 md0 s3 ipv4 h264 x2lqz",
        "took 1s, 10s and 1500ms",
        "sha 8e41b7c90f3d2a65",
        "version 1.10.0-rc1",
        "10.0.0.15:5432",
        "错误代码：0x80070070",
        "he said ‘no’ and “yes”",
        "load_1 on_10 in0_to5",
    ],
)
def test_names_and_numbers_are_left_alone(line: str) -> None:
    """Nothing that is no word of the list changes."""
    assert mended(line) == line


@given(st.text(max_size=60))
def test_mending_twice_changes_nothing_more(line: str) -> None:
    """And never more than it did at first."""
    once = mended(line)
    assert mended(once) == once
