"""Who calls, what they may, and what this hub has."""

from __future__ import annotations

from common.api.verbs import VERBS
from common.api.versions import VIEW_VERSIONS
from tests.hub.api_harness import ApiHarness
from tests.hub.hub_harness import HubHarness


async def test_versions_of_lists_and_pushes(harness: HubHarness) -> None:
    """So that a console knows before it follows one whether it can read it."""
    told = await ApiHarness(harness).call("vera", "whoami")
    assert told["views"] == VIEW_VERSIONS


async def test_each_verb_with_the_right_that_it_takes(harness: HubHarness) -> None:
    """As it is declared, for who calls."""
    told = (await ApiHarness(harness).call("carol", "whoami"))["verbs"]
    for name, entry in told.items():
        if name != "kill":
            assert entry == {"may": VERBS[name].may(["operator"]), "role": VERBS[name].right.role}
    assert (told["accept_draft"]["may"], told["reject_draft"]["may"]) == (False, True)
