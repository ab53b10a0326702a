"""What the fields of a dataclass are."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from common.api.actions import ApproveArgs, StepEdit
from common.api.hints import bare, default_of, hints_of, is_arguments, is_union, marks_of
from common.api.jobs import JobView
from common.api.lists import Delta, Snapshot


def test_type_arguments_are_put_in() -> None:
    """Where there are none the variable stays."""
    assert hints_of(Snapshot[JobView])["rows"] == tuple[JobView, ...]
    assert bare(hints_of(Delta[JobView])["gone"]) == tuple[str, ...]
    assert hints_of(Snapshot)["rows"] != tuple[JobView, ...]
    assert list(hints_of(Snapshot[JobView])) == ["seq", "total", "all", "lo", "rows", "version"]


def test_marks_and_types() -> None:
    """An Annotated is taken apart, anything else is itself."""
    hint = hints_of(JobView)["argv"]
    assert is_union(bare(hint))
    assert marks_of(hint)
    assert (marks_of(int), bare(int), is_union(Mapping[str, Any])) == ((), int, False)


def test_defaults_and_arguments() -> None:
    """A field without a default is missing one; steps of an edit are arguments too."""
    fields = {field.name: field for field in dataclasses.fields(ApproveArgs)}
    assert default_of(fields["code"]) == ""
    assert default_of(next(iter(dataclasses.fields(JobView)))) is dataclasses.MISSING
    assert [is_arguments(kind) for kind in (ApproveArgs, StepEdit, JobView, Snapshot[JobView])] == [
        True,
        True,
        False,
        False,
    ]
