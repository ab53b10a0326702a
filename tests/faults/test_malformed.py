"""tests.faults.malformed: some of the flood with every test run, and that its report can say no."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.malformed import Report, faults_in, flood

GOOD = Report({"bodies": 9}, {"400": 9}, 1.0, [100 << 20] * 9, [0.02] * 50, [0.03] * 50, [], False)


@pytest.mark.timeout(300)
async def test_a_hub_is_not_moved_by_what_makes_no_sense(tmp_path: Path) -> None:
    """Bodies, heads, frames of machines and of an operator: it lives, and logs no fault of its own."""
    report = await flood(tmp_path, 1_500, machines=2, quiet=3)
    assert report.violations == []
    assert {"bodies", "forged", "agent frames", "console frames"} <= report.sent.keys()
    assert sum(report.sent.values()) >= 1_500
    assert report.answers["400"] > 500
    assert report.answers["401"] > 20
    assert report.answers["frames"] > 10  # a link's last answer says that all before it was read
    assert "link not read to its end" not in report.answers


def test_what_does_not_hold_is_told(tmp_path: Path) -> None:
    """A hub that ended, grew, logged a fault, or let somebody honest wait."""
    assert GOOD.violations == []
    assert replace(GOOD, ended=True).violations == ["the hub has ended"]
    assert replace(GOOD, memory=[100 << 20] * 8 + [140 << 20]).violations == ["the hub has grown by 40.0 MiB"]
    assert "took 90 ms at p99, and 20 ms before" in replace(GOOD, flooded=[0.09] * 50).violations[0]
    assert replace(GOOD, flooded=[0.09] * 50, judged=False).violations == []
    log = tmp_path / "log"
    log.write_text('{"event": "hub.ready", "level": "info"}\n{"event": "link.fault", "level": "error"}\n')
    assert len(faults_in(log)) == 1
    assert "9 in 1 s (9 a second)" in GOOD.markdown()
