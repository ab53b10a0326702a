"""The table of controls is current: each control is where it says, and the tests beside it are there and say `Trust`,
or which lesson they hold.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.bench.trust_controls import CONTROLS

ROOT = Path(__file__).resolve().parents[2]
NAMES = re.compile(r"Trust|Lesson|lesson|\b[ABFS][0-9]{1,2}\b|security|test_[abf][0-9]")


def test_every_control_is_where_the_table_says() -> None:
    """Once, so that taking it away takes away that and nothing else."""
    wrong = [
        f"{one.says}: {found} times in {one.fault.file}"
        for one in CONTROLS
        if (found := (ROOT / one.fault.file).read_text(encoding="utf-8").count(one.fault.old)) != 1
    ]
    assert not wrong, "\n".join(wrong)


def test_the_tests_of_a_control_are_there_and_name_a_lesson() -> None:
    """Whoever reads one learns why it is there."""
    for one in CONTROLS:
        texts = [(ROOT / name).read_text(encoding="utf-8") for name in one.fault.tests.split()]
        assert any(NAMES.search(text) for text in texts), one.says


def test_no_control_stands_twice() -> None:
    """One line a control."""
    assert len({one.says for one in CONTROLS}) == len(CONTROLS)
    assert len({(one.fault.file, one.fault.old) for one in CONTROLS}) == len(CONTROLS)
