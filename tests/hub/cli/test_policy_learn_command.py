"""`answerback-hub policy learn`: what it prints, and what it asks before it writes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import hub.cli.main
from tests.hub.cli.test_policy_learn import approved
from tests.hub.hub_harness import HubHarness
from tests.run_main import CommandResult, run_main

READS = ("--asked", "2", "--reads", "show-sensitive-file")


def learn(harness: HubHarness, *argv: str) -> CommandResult:
    return run_main(hub.cli.main.main, "policy", "learn", *argv, "--config", str(harness.folder / "hub.toml"))


async def test_proposals_are_toml_with_their_evidence(harness: HubHarness, tmp_path: Path) -> None:
    """To standard output, to a file, or as JSON; nothing is changed by looking."""
    for by in ("bob", "ann"):
        await approved(harness, by=by)
    await harness.submit("@web-1 nosuchprogram x")
    before = harness.config.policy.file.read_bytes()
    told = learn(harness, *READS)
    assert told.code == 0, told.err
    assert "# learned: asked for 2 times by 1 person (carol); approved by 2 people (ann, bob)" in told.text
    assert "1x nosuchprogram" in told.text
    assert len(tomllib.loads(told.text)["rule"]) == 1
    assert learn(harness, *READS, "--out", str(tmp_path / "learned.toml")).text == ""
    assert (tmp_path / "learned.toml").read_text() == told.text
    found = learn(harness, *READS, "--json").json
    assert (found["requests"], len(found["proposals"]), found["proposals"][0]["verdict"]) == (5, 1, "allow")
    assert harness.config.policy.file.read_bytes() == before


async def test_one_is_applied_after_what_changes_was_shown(harness: HubHarness) -> None:
    """Trust: without a terminal and without --yes nothing is written; an id of something else is refused."""
    for by in ("bob", "ann"):
        await approved(harness, by=by)
    before = harness.config.policy.file.read_bytes()
    rule = learn(harness, *READS, "--json").json["proposals"][0]["id"]
    refused = learn(harness, *READS, "--apply", rule)
    assert refused.code == 2
    assert "nothing was written" in refused.err
    assert "ask (1 yes) -> allow" in refused.text
    assert f'+id = "{rule}"' in refused.text
    assert learn(harness, "--apply", rule).code == 2
    assert harness.config.policy.file.read_bytes() == before
    done = learn(harness, *READS, "--apply", rule, "--yes")
    assert done.code == 0, done.err
    assert "written; the file from before is" in done.text
    assert learn(harness, *READS, "--json").json["proposals"] == []


@pytest.mark.parametrize("wrong", ["certbot", "certbot=certbot", "=/usr/bin/x", "a/b=/usr/bin/x"])
def test_a_program_is_name_and_path(harness_folder: Path, wrong: str) -> None:
    """Told with an example."""
    told = run_main(
        hub.cli.main.main, "policy", "learn", "--program", wrong, "--config", str(harness_folder / "hub.toml")
    )
    assert (told.code, "certbot=/usr/bin/certbot" in told.err) == (2, True)


@pytest.fixture(scope="module")
def harness_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub; no test changes its files."""
    made = tmp_path_factory.mktemp("learn") / "hub"
    assert run_main(hub.cli.main.main, "init", str(made), "--admin", "alice").code == 0
    return made
