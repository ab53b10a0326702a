"""agent.runner.walk"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from agent.runner import walk
from agent.runner.walk import LeadsNowhere, Place, open_exactly


def found(path: object, **options: bool) -> Place:
    """The place, whose descriptor must be the file that the path names for the kernel too."""
    place = walk.walk(str(path), **options)
    if place.descriptor >= 0:
        assert place.status is not None
        assert os.path.samestat(os.fstat(place.descriptor), os.stat(place.path, follow_symlinks=False))
        os.close(place.descriptor)
    return place


def test_links_are_followed_as_the_kernel_follows_them(tmp_path: Path) -> None:
    """Relative and absolute ones, through folders, upwards, one behind the other: always where realpath ends too."""
    home = tmp_path.resolve()
    (home / "a/b").mkdir(parents=True)
    (home / "a/b/file").write_text("x")
    for name, target in {
        "short": "a/b",
        "full": f"{home}/a",
        "up": "a/b/../b/./file",
        "chain": "full/b/../../short/file",
        "a/b/back": "../..",
    }.items():
        (home / name).symlink_to(target)
    before = len(os.listdir("/proc/self/fd"))
    for path in ("a/b/file", "short/file", "full/b/file", "up", "chain", "short/back/full/b", "a//b/./file", "a/b/.."):
        assert found(home / path).path == os.path.realpath(home / path), path
    assert len(os.listdir("/proc/self/fd")) == before


def test_every_folder_and_every_link_is_shown_to_the_judge(tmp_path: Path) -> None:
    """Trust: each is shown before a name in it is looked up, so what decides where the way goes on is known."""
    home = tmp_path.resolve()
    (home / "one").mkdir()
    (home / "two").mkdir()
    (home / "two/tool").write_text("x")
    (home / "one/link").symlink_to("../two/tool")
    seen: list[str] = []
    os.close(walk.walk(str(home / "one/link"), lambda place, status: seen.append(place)).descriptor)
    assert seen[-5:] == [str(home / "one"), str(home / "one/link"), str(home / "one"), str(home), str(home / "two")]
    assert seen[0] == "/"


def test_what_is_not_there_is_told_or_taken_as_written(tmp_path: Path) -> None:
    """The missing part is named where somebody asks for a file; where it is only judged, the rest is text."""
    home = tmp_path.resolve()
    (home / "nowhere").symlink_to("gone/deeper")
    (home / "file").write_text("x")
    for path, missing in (("nowhere", "gone"), ("x/y", "x"), ("file/y", "file/y")):
        with pytest.raises(LeadsNowhere) as caught:
            walk.walk(str(home / path))
        assert caught.value.filename == str(home / missing)
    for path, place in (("nowhere/z", "gone/deeper/z"), ("x/../y", "y"), ("file/y", "file/y")):
        assert found(home / path, missing=True) == Place(str(home / place), -1, None)


def test_a_way_without_end_is_ended(tmp_path: Path) -> None:
    """A loop, one link too many, names without number: an error each, and no descriptor is left open."""
    home = tmp_path.resolve()
    (home / "loop").symlink_to("loop")
    (home / "l0").symlink_to("/")
    for index in range(1, 41):
        (home / f"l{index}").symlink_to(f"l{index - 1}")
    assert found(home / "l39").path == "/"
    before = len(os.listdir("/proc/self/fd"))
    for path in ("loop", "l40"):
        with pytest.raises(OSError, match="symbolic links"):
            walk.walk(str(home / path))
    with pytest.raises(OSError, match="too long"):
        walk.walk("/.." * (walk.MAX_PARTS + 1))
    with pytest.raises(ValueError, match="null"):
        walk.walk("/tmp/\0")
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("number", [0, errno.ENOSYS, errno.EPERM])
def test_an_exact_path_has_no_link_in_any_part(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust: with openat2, and name by name where a kernel or a sandbox has none; the same answers."""
    if number:

        def refuse(path: str) -> int:
            raise OSError(number, "none here")

        monkeypatch.setattr(walk, "_openat2", refuse)
    home = tmp_path.resolve()
    (home / "deep").mkdir()
    (home / "deep/file").write_text("x")
    (home / "link").symlink_to("deep")
    (home / "deep/last").symlink_to("file")
    before = len(os.listdir("/proc/self/fd"))
    descriptor = open_exactly(str(home / "deep/file"))
    assert os.path.samestat(os.fstat(descriptor), os.stat(home / "deep/file"))
    os.close(descriptor)
    for path in ("link/file", "deep/last"):
        with pytest.raises(OSError, match="symbolic links") as caught:
            open_exactly(str(home / path))
        assert caught.value.errno == errno.ELOOP
    with pytest.raises(FileNotFoundError):
        open_exactly(str(home / "deep/none"))
    assert len(os.listdir("/proc/self/fd")) == before
