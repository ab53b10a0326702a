"""The position outside the database."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.link.marks import Mark
from hub.store.watermark import NAME, Watermark

MARK = Mark(4, "9f0c2a7be1d35566", 1042, 45)


def test_a_position_is_kept(tmp_path: Path) -> None:
    """Written in place, however long the one before was; private; a reader needs no writer."""
    file = Watermark(tmp_path / NAME)
    assert file.read() is None
    for mark in (Mark(10**14, "f" * 16, 10**14, 10**14), MARK):
        file.write(mark)
        assert Watermark(tmp_path / NAME).read() == mark
    file.close()
    file.close()
    assert Watermark(tmp_path / NAME).read() == MARK
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
    file.write(MARK)
    file.close()


@pytest.mark.parametrize("at", range(0, 60, 7))
def test_a_damaged_file_counts_as_missing(tmp_path: Path, at: int) -> None:
    file = Watermark(tmp_path / NAME)
    file.write(MARK)
    file.close()
    data = bytearray((tmp_path / NAME).read_bytes())
    if data[at : at + 1].isspace():
        return
    data[at] ^= 0x01
    (tmp_path / NAME).write_bytes(data)
    assert file.read() is None
    (tmp_path / NAME).write_bytes(b"\xff\x00")
    assert file.read() is None


def test_a_folder_that_cannot_be_written_does_not_stop_the_hub(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = Watermark(tmp_path / "nowhere" / NAME)
    file.write(MARK)
    file.write(MARK)
    assert file.read() is None
    file.close()
