"""agent.runner.used_approvals"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import agent.runner.used_approvals as module
from agent.runner.used_approvals import UsedApprovals
from common.approval_proof import PERSON, ApprovalProof
from tests.agent.runner.test_verify import order

PROOF = ApprovalProof("bob", 1.0, False, 1_000.0, "console", PERSON + "0" * 16)
MADE = replace(order(), proofs=(PROOF,))
OTHER = replace(MADE, request="01ARZ3NDEKTSV4RRFFQ69G5FAW")


def test_what_is_signed_is_good_for_one_start(tmp_path: Path) -> None:
    """Trust: another job of the same step finds it used, after a restart and after a line that was half written too."""
    path = tmp_path / "critical-started"
    used = UsedApprovals(path)
    assert not used.is_used(MADE)
    used.use(MADE, 10.0)
    for found in (used, UsedApprovals(path)):
        assert found.is_used(replace(MADE, job="01ARZ3NDEKTSV4RRFFQ69G5FAX"))
        assert not found.is_used(OTHER)
        assert not found.is_used(replace(MADE, step=1))
    with path.open("ab") as file:
        file.write(b"01ARZ3NDEKTSV4")
    again = UsedApprovals(path)
    again.use(OTHER, 10.0)
    assert UsedApprovals(path).is_used(OTHER)
    assert UsedApprovals(path).is_used(MADE)


def test_what_can_count_no_more_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file does not grow for ever; where too many are still good the next start is refused, none is forgotten."""
    path = tmp_path / "critical-started"
    used = UsedApprovals(path)
    used.use(MADE, 10.0)
    used.use(OTHER, 1_000.0 + 86_401.0)
    assert not UsedApprovals(path).is_used(MADE)
    assert len(path.read_text().split()) == 3
    monkeypatch.setattr(module, "MAX_LINES", 1)
    with pytest.raises(OSError, match="remembered already"):
        used.use(MADE, 11.0)


def test_where_it_cannot_be_written_down_it_is_not_used(tmp_path: Path) -> None:
    """The caller does not start what could be started again."""
    path = tmp_path / "gone" / "critical-started"
    with pytest.raises(OSError, match="No such file"):
        UsedApprovals(path).use(MADE, 10.0)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"[Ll]ink"):
        UsedApprovals(tmp_path / "link").use(MADE, 10.0)
