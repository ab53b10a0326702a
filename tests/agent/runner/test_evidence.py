"""agent.runner.evidence"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.runner.evidence import (
    OUTPUT_SUFFIX,
    RESULT_SUFFIX,
    STARTED_SUFFIX,
    AlreadyStarted,
    Evidence,
    Marker,
    write_marker,
)
from common.link.messages import Ended

JOB = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
OTHER = "01BX5ZZKBKACTAV9WEVGEMMVRZ"
MARKER = Marker("boot", 42, 1_000.5, 7.25)
ENDED = Ended(JOB, "failed", None, 9, "why", 3, 10, "ab" * 32, True, 1.0, 2.0, 0.1, 0.2, 4096)


@pytest.fixture
def evidence(tmp_path: Path) -> Iterator[Evidence]:
    folder = os.open(tmp_path, os.O_RDONLY)
    yield Evidence(folder)
    os.close(folder)


def test_a_job_is_marked_once(evidence: Evidence, tmp_path: Path) -> None:
    """The second marking fails whatever became of the first: this is what keeps a program from starting twice."""
    os.close(evidence.create_marker(JOB))
    with pytest.raises(AlreadyStarted):
        evidence.create_marker(JOB)
    os.close(evidence.create_marker(OTHER))
    assert (tmp_path / f"{JOB}{STARTED_SUFFIX}").stat().st_mode & 0o777 == 0o600


def test_a_link_in_the_markers_place_is_a_marker(evidence: Evidence, tmp_path: Path) -> None:
    """Exclusive creation does not follow links, so a planted one cannot make the fence open elsewhere."""
    (tmp_path / f"{JOB}{STARTED_SUFFIX}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AlreadyStarted):
        evidence.create_marker(JOB)
    assert not (tmp_path / "elsewhere").exists()


def test_a_marker_tells_what_was_started(evidence: Evidence) -> None:
    """What was filled in is read back; an empty marker is still a marker, but tells nothing."""
    file = evidence.create_marker(JOB)
    assert evidence.read_marker(JOB) is None
    write_marker(file, MARKER)
    os.close(file)
    assert evidence.read_marker(JOB) == MARKER
    assert evidence.read_marker(OTHER) is None


def test_a_result_comes_back_whole(evidence: Evidence) -> None:
    """What was saved is what is read, and nothing temporary stays."""
    evidence.save_result(ENDED)
    assert evidence.read_result(JOB) == ENDED
    assert evidence.jobs() == {JOB: {RESULT_SUFFIX}}


@pytest.mark.parametrize("length", [0, 3, 4, 10, -1])
def test_half_a_result_is_none(evidence: Evidence, tmp_path: Path, length: int) -> None:
    """What a crash of the machine left of a file is not taken for the truth."""
    evidence.save_result(ENDED)
    path = tmp_path / f"{JOB}{RESULT_SUFFIX}"
    path.write_bytes(path.read_bytes()[:length])
    assert evidence.read_result(JOB) is None


def test_a_result_of_another_job_is_none(evidence: Evidence, tmp_path: Path) -> None:
    """A file that was copied proves nothing about the job in its name."""
    evidence.save_result(ENDED)
    (tmp_path / f"{JOB}{RESULT_SUFFIX}").rename(tmp_path / f"{OTHER}{RESULT_SUFFIX}")
    assert evidence.read_result(OTHER) is None


def test_removing_takes_every_file_of_the_job_and_no_other(evidence: Evidence, tmp_path: Path) -> None:
    """After a job is forgotten nothing of it is left; what is not there does not matter."""
    os.close(evidence.create_marker(JOB))
    os.close(evidence.create(JOB, OUTPUT_SUFFIX))
    evidence.save_result(ENDED)
    os.close(evidence.create_marker(OTHER))
    (tmp_path / "README").touch()
    evidence.remove(JOB)
    evidence.remove(JOB)
    assert evidence.jobs() == {OTHER: {STARTED_SUFFIX}}
    assert (tmp_path / "README").exists()


@pytest.mark.parametrize("job", ["", "..", "../x", "a/b", JOB.lower(), JOB + "\n", JOB + "/../x"])
def test_no_path_is_made_of_what_is_no_id(evidence: Evidence, job: str) -> None:
    """An id that came from outside cannot lead out of the folder."""
    with pytest.raises(ValueError, match="not a job id"):
        evidence.create_marker(job)
    with pytest.raises(ValueError, match="not a job id"):
        evidence.remove(job)


def test_a_file_is_opened_again_with_what_it_holds(tmp_path: Path) -> None:
    """And is not made where there is none."""
    folder = os.open(tmp_path, os.O_RDONLY)
    evidence = Evidence(folder)
    with pytest.raises(FileNotFoundError):
        evidence.open_again(JOB, OUTPUT_SUFFIX)
    file = evidence.create(JOB, OUTPUT_SUFFIX)
    os.write(file, b"abc")
    os.close(file)
    file = evidence.open_again(JOB, OUTPUT_SUFFIX)
    os.pwrite(file, b"d", 3)
    os.close(file)
    os.close(folder)
    assert (tmp_path / f"{JOB}.out").read_bytes() == b"abcd"
    assert Evidence(os.open(tmp_path, os.O_RDONLY)).output_size(JOB) == 4
