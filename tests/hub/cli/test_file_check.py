"""Every file of a hub, and all that is wrong at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.values import Address
from hub.cli.file_check import check_all, check_policy
from hub.cli.init import init


@pytest.fixture
def config(tmp_path: Path) -> Path:
    made = init(
        tmp_path / "hub",
        now=1_790_000_000.0,
        admin="",
        http=Address("127.0.0.1", 1),
        links=Address("127.0.0.1", 2),
        public=None,
        record=lambda created: None,
    )
    return made.folder.config


def test_a_new_hub_is_in_order(config: Path) -> None:
    """Rules, runbooks, keys."""
    report = check_all(config)
    assert (report.problems, report.notes) == ([], [])
    assert report.facts["rules"] > 50
    assert report.facts["runbooks"] > 12
    assert report.to_json()["ok"] is True


def test_everything_wrong_is_told_at_once(config: Path) -> None:
    """Several keys of hub.toml, several rules, a runbook and a key: none hides another; each has its file and cure."""
    folder = config.parent
    with config.open("a") as file:
        file.write('\n[people.bob]\nroles = ["king"]\nchat = ["nowhere:bob"]\n')
    with (folder / "policy.toml").open("a") as file:
        file.write('[[rule]]\nid = "a"\n[[rule]]\nprogram = "x"\nverdict = "maybe"\n[[deny]]\nnames = ["Rm"]\n')
    (folder / "runbooks.toml").write_text("[runbooks.x]\nsteps = []\n")
    report = check_all(config)
    text = "\n".join(report.problems)
    for told in ("king", "nowhere", "rule a", "maybe", "lower-case", "runbooks.toml", "steps"):
        assert told in text
    assert all(": " in problem for problem in report.problems)
    assert not report.to_json()["ok"]


def test_a_file_that_is_not_there_is_the_only_problem(tmp_path: Path) -> None:
    """Nothing is guessed about the others."""
    report = check_all(tmp_path / "hub.toml")
    assert len(report.problems) == 1


def test_a_rule_without_effect_is_a_note(config: Path) -> None:
    """A denial that takes the effect of a rule is legal, and told; so is a policy that lets nothing run."""
    policy = config.parent / "policy.toml"
    with policy.open("a") as file:
        file.write('deny = ["uptime"]\n')
    report = check_policy(policy)
    assert report.problems == []
    assert any("rule uptime lets nothing run" in note for note in report.notes)
    policy.write_text('default = "deny"\n')
    assert check_policy(policy).notes == [f"{policy}: no rule lets anything run"]
