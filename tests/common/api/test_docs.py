"""docs/api.md is what the declarations say."""

from __future__ import annotations

import re

from common.api.docs import FILE, document, shapes
from common.api.verbs import VERBS


def test_the_document_is_current() -> None:
    """Else: python -m common.api.docs"""
    assert FILE.read_text(encoding="utf-8") == document()


def test_every_verb_and_shape_is_there_and_every_reference_leads_somewhere() -> None:
    """A heading for each."""
    text = document()
    headings = {
        re.sub(r"[^a-z0-9_-]", "", line[4:].lower().replace(" ", "-"))
        for line in text.splitlines()
        if line[:4] == "### "
    }
    assert {f"{name}-{verb.kind}" for name, verb in VERBS.items()} <= headings
    assert {kind.__name__.lower() for kind in shapes()} <= headings
    assert set(re.findall(r"\]\(#([^)]*)\)", text)) <= headings


def test_units_bounds_and_defaults_are_told() -> None:
    """With the field that has them."""
    text = document()
    assert (
        "| `hold` | number or null | default null; seconds in which `take_back` undoes it; a number from 0 to 60 |"
        in text
    )
    assert "| `duration` | number or null | seconds; as the machine measured |" in text
    assert "| `priority` | whole number | needed; 9 first; a whole number from 0 to 9 |" in text
