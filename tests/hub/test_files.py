"""policy.toml and runbooks.toml while the hub runs: what is right is taken, what is wrong changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from common.errors import UserError
from common.policy import Policy, check
from hub.files import Watched, read_chain, read_policy
from hub.plan.outcome import Cannot, Context, Planned
from tests.hub.house import House

RULE = '[[rule]]\nid = "test-{0}"\nabout = "a test\'s own"\nprogram = "/opt/tests/{0}"\nverdict = "allow"\n'
GREET = """
[runbooks.greet]
title = { en = "a greeting", zh = "问候" }
steps = [["uptime"]]
examples.en = ["greet {machine}"]
examples.zh = ["问候 {machine}"]
"""


def words(path: Path) -> list[str]:
    """A reader as the real ones are: what it cannot read is a UserError."""
    text = path.read_text()
    if "wrong" in text:
        raise UserError(f"{path}: line 1 is wrong", "write it right")
    return text.split()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "words"
    path.write_text("one two")
    return path


def replaced(path: Path, text: str) -> None:
    """As editors save: a new file in the place of the old one."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    os.replace(fresh, path)


def test_a_changed_file_is_taken(file: Path) -> None:
    """With the next look, and not before."""
    watched = Watched(file, words)
    assert watched.value == ["one", "two"]
    replaced(file, "three")
    assert watched.value == ["one", "two"]
    assert watched.look() == ""
    assert watched.value == ["three"]


def test_an_unchanged_file_is_not_read_again(file: Path) -> None:
    """A look costs one stat."""
    reads: list[Path] = []

    def read(path: Path) -> list[str]:
        reads.append(path)
        return words(path)

    watched = Watched(file, read)
    for _ in range(3):
        assert watched.look() == ""
    assert reads == [file]


def test_the_same_size_at_the_same_time_is_a_change_all_the_same(file: Path) -> None:
    """Another file in its place has another inode: a clock too coarse for two saves hides none of them."""
    watched = Watched(file, words)
    before = file.stat()
    fresh = file.with_suffix(".new")
    fresh.write_text("two one")
    os.utime(fresh, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(fresh, file)
    watched.look()
    assert watched.value == ["two", "one"]


def test_a_wrong_file_keeps_the_old_value_and_is_complained_of_once(file: Path) -> None:
    """The complaint names the file and the cure; set right, it is taken."""
    watched = Watched(file, words)
    replaced(file, "wrong")
    problem = watched.look()
    assert str(file) in problem
    assert "write it right" in problem
    assert watched.look() == ""
    assert watched.value == ["one", "two"]
    replaced(file, "right again")
    assert watched.look() == ""
    assert watched.value == ["right", "again"]


def test_a_file_that_is_wrong_at_the_start_stops_the_start(file: Path) -> None:
    """There is no old value to keep."""
    file.write_text("wrong")
    with pytest.raises(UserError):
        Watched(file, words)


def verdict(watched: Watched[Policy], program: str) -> str:
    return check(watched.value, [program], roles=("operator",), agent="web-1", labels={}).kind


async def test_the_policy_is_taken_while_the_hub_runs(inside: House) -> None:
    """A rule more lets its program through; a broken file, an empty one or none at all leaves the rules in force."""
    path = inside.config.policy.file
    first = path.read_text()
    watched = Watched(path, read_policy)
    assert verdict(watched, "/opt/tests/one") == "deny"
    replaced(path, first + RULE.format("one"))
    assert watched.look() == ""
    assert verdict(watched, "/opt/tests/one") == "allow"
    for broken in (first + "[[rule]\n", first + '[[rule]]\nid = "half"\n', "default = 7\n"):
        replaced(path, broken)
        assert str(path) in watched.look()
        assert verdict(watched, "/opt/tests/one") == "allow"
    path.unlink()
    assert str(path) in watched.look()
    assert watched.look() == ""
    assert verdict(watched, "/opt/tests/one") == "allow"


async def test_the_runbooks_are_taken_while_the_hub_runs(inside: House) -> None:
    """A new runbook answers its example; a broken file leaves the old ones."""
    path = inside.config.runbooks.file
    watched = Watched(path, read_chain)
    context = Context("greet web-1", "en", "carol", ("operator",), inside.fleet.inventory, 0.0)
    assert isinstance(watched.value.plan(context), Cannot)
    replaced(path, f"{path.read_text()}\n{GREET}")
    assert watched.look() == ""
    outcome = watched.value.plan(context)
    assert isinstance(outcome, Planned)
    assert outcome.plan.steps[0].argv == ("uptime",)
    replaced(path, f"{path.read_text()}\n[runbooks\n")
    assert str(path) in watched.look()
    assert isinstance(watched.value.plan(context), Planned)
