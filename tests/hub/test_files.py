"""The files that people may change while the hub serves."""

from __future__ import annotations

from hub.files import Files
from tests.hub.hub_harness import HubHarness


async def test_files_give_the_filter_its_choices(harness: HubHarness) -> None:
    """Inlets and runbooks by name; nothing for a field that no file knows."""
    files = Files.of(harness.config, harness.clock)
    assert files.filter_choices(harness.config, "src") == [*harness.config.inlets, "console"]
    assert all(choice.startswith("runbook:") for choice in files.filter_choices(harness.config, "rb"))
    assert files.filter_choices(harness.config, "agent") == []


async def test_a_file_that_does_not_read_is_a_problem(harness: HubHarness) -> None:
    """It is named until it reads again, beside a hub.toml that was refused."""
    files = Files.of(harness.config, harness.clock)
    assert files.problems() == []
    policy = harness.config.policy.file
    before = policy.read_text()
    policy.write_text("this is no policy\n")
    for _ in range(3):
        harness.clock.advance(60)
        files.reload()
    assert [problem.path for problem in files.problems()] == [policy]
    policy.write_text(before)
    for _ in range(3):
        harness.clock.advance(60)
        files.reload()
    assert files.problems() == []
