"""common.policy.runs_anything: one list of what runs whatever it is told, and the profile that denies it."""

from __future__ import annotations

import tomllib
from importlib import resources

from common.policy.real_names import plain_names
from common.policy.runs_anything import FAMILIES, KINDS, NAMES


def test_the_profile_that_trusts_its_hub_denies_this_very_list() -> None:
    """Trust: what a machine denies by name and what it takes for dangerous behind a link is the same. Where this fails,
    correct common/defaults/agent-trust-hub.toml: its [[deny]] tables have the ids, reasons and names of KINDS.
    """
    text = resources.files("common").joinpath("defaults", "agent-trust-hub.toml").read_text(encoding="utf-8")
    denials = {one["id"]: one for one in tomllib.loads(text)["deny"]}
    assert list(denials) == [kind.id for kind in KINDS]
    for kind in KINDS:
        assert set(denials[kind.id]["names"]) ^ kind.names == set(), f"differ in [[deny]] {kind.id}"
        assert denials[kind.id]["about"] == kind.about
        assert denials[kind.id]["names"] == sorted(kind.names)


def test_every_name_is_in_one_family() -> None:
    """Else two families would object to one another's programs."""
    assert sum(map(len, FAMILIES)) == len(NAMES)
    assert frozenset().union(*FAMILIES) == NAMES


def test_a_flavour_of_a_program_is_in_its_family() -> None:
    """`vim.basic` behind `vi` is as meant as `vim` behind it."""
    for family in FAMILIES:
        for name in family:
            assert plain_names(name) & NAMES <= family, name
