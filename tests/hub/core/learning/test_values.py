"""The narrowest type for the values that were seen, and what none is learned from."""

from __future__ import annotations

from typing import Any

import pytest

from common.policy.types import ChoiceType, PathType, UnionType
from hub.core.learning.values import MAX_CHOICES, MAX_EXACT, NotLearned, exact_type, general_type

MANY = range(20, 20 + MAX_CHOICES + 1)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["web", "db", "web"], {"type": "choice", "of": ["db", "web"]}),
        ([str(n) for n in MANY], {"type": "integer", "minimum": 20, "maximum": 20 + MAX_CHOICES}),
        ([f"app{n}.service" for n in MANY], {"type": "unit"}),
        (["/srv/app/a", "/srv/b"], {"type": "path", "exactly": ["/srv/app/a", "/srv/b"]}),
        ([f"/srv/app/logs-{n}/x" for n in MANY], {"type": "path", "beneath": ["/srv/app"]}),
        ([f"/srv/app{n}/x/y" for n in MANY], None),  # /srv/app is no component's end, and /srv one folder deep
        ([f"/{n}" for n in MANY], None),
        ([f"/var/lib/x{n}/y" for n in MANY], {"type": "path", "beneath": ["/var/lib"]}),
        ([str(n * 1000) for n in MANY], None),
        ([f"name{n}" for n in MANY], None),
        (["/etc/shadow"], None),
        (["/srv/.ssh/x"], None),
        (["/srv/../etc/passwd"], None),
        (["relative/path"], None),
        (["if=/etc/passwd"], None),
        (["https://example.org/x"], None),
        (["/srv/x", "word"], None),
        (["bash"], None),
        (["python3.11"], None),
        (["a;b"], None),
        (["x y"], None),
        (["-x"], None),
        ([""], None),
        (["a\nb"], None),
    ],
)
def test_what_is_learned_from_values(values: list[str], kind: dict[str, Any] | None) -> None:
    """Lesson A4: a kind only where the values are many and alike; never free text, secrets or what runs what it is
    told.
    """
    if kind is not None:
        assert general_type(values) == kind
        return
    with pytest.raises(NotLearned):
        general_type(values)


def test_values_of_a_rule_stay_what_they_were_and_paths_stay_paths() -> None:
    """A path goes on being looked at by the machine, with what the rule refuses of it."""
    path = PathType(("/srv",), endings=(".key",), hidden=True)
    assert exact_type(["/srv/a"], path) == {
        "type": "path",
        "exactly": ["/srv/a"],
        "except_endings": [".key"],
        "hidden": True,
    }
    assert exact_type(["/srv/a"], UnionType((ChoiceType(("x",)), path)))["type"] == "path"
    assert exact_type(["a b"], ChoiceType(("a b",))) == {"type": "choice", "of": ["a b"]}
    for values in ([f"v{n}" for n in range(MAX_EXACT + 1)], ["bash"]):
        with pytest.raises(NotLearned):
            exact_type(values, ChoiceType(tuple(values)))
    with pytest.raises(NotLearned):
        exact_type(["/srv/a", "b"], UnionType((ChoiceType(("b",)), path)))
