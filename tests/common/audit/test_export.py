"""An export verified by a stranger, with witnesses and earlier exports beside it."""

from __future__ import annotations

from pathlib import Path

from common.audit.checkpoint import read_witness
from common.audit.export import verify_export
from common.audit.verification import Witness
from hub.core.audit_chain import export
from tests.common.audit.logs import HUB, Log, a_log


def written(path: Path, log: Log) -> Path:
    path.write_text("".join(export(log.rows, log.marks, log.keys, hub=HUB, count=len(log.rows))))
    return path


def test_an_export_is_as_of_its_last_checkpoint(tmp_path: Path) -> None:
    """What a witness has seen since is no alarm; what it saw before and is not there is one."""
    log = a_log()
    old = written(tmp_path / "old", log.cut(7))
    seen = Witness("notes", log.notes())
    report = verify_export(old, log.keys, [seen])
    assert (report.ok, report.signed_at) == (True, log.marks[1].at), report.problem
    assert report.remarks == ("the witnesses have seen the log at 9 since: this is its state of before",)
    cut = log.cut(7)
    cut.marks = cut.marks[:1]
    cut.rows.pop()
    report = verify_export(written(tmp_path / "cut", cut), log.keys, [Witness("notes", log.notes()[:2])])
    assert report.ok  # an older state, and it says as of when
    assert report.signed_to == 3


def test_one_export_is_the_witness_of_the_next(tmp_path: Path) -> None:
    """Trust: A7, consistency between exports: a history that was rewritten in between is found."""
    log = a_log()
    earlier = Witness("earlier", read_witness(written(tmp_path / "earlier", log.cut(7))))
    assert len(earlier.notes) == 2
    assert verify_export(written(tmp_path / "later", log), log.keys, [earlier]).witnessed_to == 7
    forged = Log().add(9, kind="job.forged").mark()
    assert verify_export(written(tmp_path / "forged", forged), log.keys).ok  # by the key's holder
    report = verify_export(written(tmp_path / "forged", forged), log.keys, [earlier])
    assert (report.ok, report.code) == (False, "rewritten")


def test_an_unsigned_tail_is_as_old_as_the_file_says(tmp_path: Path) -> None:
    """Trust: A7, an export without a recent checkpoint does not hold."""
    log = a_log(marked=())
    assert verify_export(written(tmp_path / "none", log), log.keys).code == "no_checkpoint"
    log = a_log(marked=(3,))
    log.rows.pop()
    log.begun += 1_000
    report = verify_export(written(tmp_path / "late", log.add()), log.keys)
    assert (report.code, report.first_bad_seq) == ("stale", 4)
