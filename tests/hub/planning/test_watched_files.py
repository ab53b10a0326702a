"""policy.toml and runbooks.toml while the hub runs: what is right is taken, what is wrong changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from common.errors import UserError
from common.policy.check import Policy, Verdict, check
from common.script import script_digest
from hub.core.outcome import CannotPlan, Planned, PlanningContext
from hub.planning.watched_files import FileProblem, WatchedFile, load_chain, load_policy, watch_chain, watch_policy
from tests.each import each_of
from tests.hub.hub_harness import HubHarness
from tests.hub.planning.defaults import FOLDER

NOW = 1_790_000_000.0
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
    watched = WatchedFile(file, words)
    assert watched.value == ["one", "two"]
    replaced(file, "three")
    assert watched.value == ["one", "two"]
    assert watched.reload_if_changed() == ""
    assert watched.value == ["three"]


def test_an_unchanged_file_is_not_read_again(file: Path) -> None:
    """A look costs one stat."""
    reads: list[Path] = []

    def read(path: Path) -> list[str]:
        reads.append(path)
        return words(path)

    watched = WatchedFile(file, read)
    for _ in range(3):
        assert watched.reload_if_changed() == ""
    assert reads == [file]


def test_the_same_size_at_the_same_time_is_a_change_all_the_same(file: Path) -> None:
    """Another file in its place has another inode: a clock too coarse for two saves hides none of them."""
    watched = WatchedFile(file, words)
    before = file.stat()
    fresh = file.with_suffix(".new")
    fresh.write_text("two one")
    os.utime(fresh, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(fresh, file)
    watched.reload_if_changed()
    assert watched.value == ["two", "one"]


def test_a_wrong_file_keeps_the_old_value_and_is_complained_of_once(file: Path) -> None:
    """The complaint names the file and the cure; set right, it is taken."""
    watched = WatchedFile(file, words)
    replaced(file, "wrong")
    problem = watched.reload_if_changed()
    assert str(file) in problem
    assert "write it right" in problem
    assert watched.reload_if_changed() == ""
    assert watched.value == ["one", "two"]
    replaced(file, "right again")
    assert watched.reload_if_changed() == ""
    assert watched.value == ["right", "again"]


def test_a_file_that_is_wrong_at_the_start_stops_the_start(file: Path) -> None:
    """There is no old value to keep."""
    file.write_text("wrong")
    with pytest.raises(UserError):
        WatchedFile(file, words)


def verdict(watched: WatchedFile[Policy], program: str) -> str:
    return check(watched.value, [program], roles=("operator",), agent="web-1", labels={}).kind


async def test_the_policy_is_taken_while_the_hub_runs(harness: HubHarness) -> None:
    """A rule more lets its program through; a broken file leaves what was allowed, and lets nothing more."""
    path = harness.config.policy.file
    first = path.read_text()
    watched = watch_policy(path, harness.clock)
    assert verdict(watched, "/opt/tests/one") == "deny"
    replaced(path, first + RULE.format("one"))
    assert watched.reload_if_changed() == ""
    assert verdict(watched, "/opt/tests/one") == "allow"
    for broken in (first + "[[rule]\n", first + '[[rule]]\nid = "half"\n', RULE.format("two") + "default = 7\n"):
        replaced(path, broken)
        assert str(path) in watched.reload_if_changed()
        assert verdict(watched, "/opt/tests/one") == "allow"
        assert verdict(watched, "/opt/tests/two") == "deny"
        assert watched.problem is not None
    replaced(path, first)
    assert watched.reload_if_changed() == ""
    assert watched.problem is None
    assert verdict(watched, "/opt/tests/one") == "deny"


BROKEN = "[[rule]]\nid = 'half'\n"


@each_of(
    "change",
    [
        'deny = ["one"]\n',
        'deny = "one"  # for the incident\n',
        'deny = ["/opt/tests/one"]\n',
        '[[deny]]\nnames = ["one"]\n',
        '[[deny]]\nid = "freeze"\nabout = "frozen\nnames = ["one"]\n',
        '[[deny]]\nnames = ["one", 7]\n',
        '[[deny]]\nnames = ["One"]\n',
        '[[rule]]\nprogram = "/opt/tests/one"\nverdict = "deny"\n',
        '[[rule]]\nprogram = "/opt/tests/one"\nverdict = "deny"\nwordz = ["x"]\n',
        BROKEN + 'deny = ["one"]\n',
        BROKEN + "not toml\n[[deny]]\nnames = ['one']\n",
        'x = """\ndeny = ["one"]\n',
    ],
)
def test_what_a_changed_file_denies_holds_at_once(change: str, tmp_path: Path) -> None:
    """Appended to the file in a hurry: the program is denied, whether the file reads or not, and the rest goes on."""
    path = tmp_path / "policy.toml"
    good = 'default = "deny"\n' + RULE.format("one") + RULE.format("two")
    path.write_text(good)
    watched = watch_policy(path, lambda: NOW)
    replaced(path, good + change)
    watched.reload_if_changed()
    assert (verdict(watched, "/opt/tests/one"), verdict(watched, "one")) == ("deny", "deny")
    assert verdict(watched, "/opt/tests/two") == "allow"


@pytest.mark.parametrize("content", [None, "", "# nothing\n", "\n\n"])
def test_a_policy_that_is_empty_or_gone_denies_everything(content: str | None, tmp_path: Path) -> None:
    """At once, with a reason for people; told from the second look on. A broken file after it opens nothing again."""
    path = tmp_path / "policy.toml"
    good = 'default = "deny"\n' + RULE.format("one")
    path.write_text(good)
    watched = watch_policy(path, lambda: NOW)
    path.unlink()
    if content is not None:
        path.write_text(content)
    assert str(path) in watched.reload_if_changed()
    assert verdict(watched, "/opt/tests/one") == "deny"
    assert "admin" in str(check(watched.value, ["one"], roles=("admin",), agent="a", labels={}).reason)
    assert watched.problem is not None
    assert (watched.problem.closed, watched.problem.looks, watched.problem.since) == (True, 1, NOW)
    assert watched.reload_if_changed() == ""
    assert watched.problem.looks == 2
    replaced(path, good + BROKEN)
    watched.reload_if_changed()
    assert verdict(watched, "/opt/tests/one") == "deny"
    replaced(path, good)
    watched.reload_if_changed()
    assert (verdict(watched, "/opt/tests/one"), watched.problem) == ("allow", None)


def test_the_default_text_that_others_could_have_written_is_refused(tmp_path: Path) -> None:
    """Trust: who may write policy or runbooks decides what may run. Also of the texts that tests parse only once."""
    for name, load in (("policy.toml", load_policy), ("runbooks.toml", load_chain)):
        file = tmp_path / name
        file.write_bytes((FOLDER / name).read_bytes())
        file.chmod(0o600)
        load(file)
        file.chmod(0o602)
        with pytest.raises(UserError, match=name):
            load(file)


def test_what_is_told_to_everybody_shows_nothing_of_the_file(tmp_path: Path) -> None:
    """The page for monitoring names the file and how many problems; people who may know are told the first."""
    problem = FileProblem("policy", tmp_path / "policy.toml", ("policy.toml: line 3: secret-rule", "another"))
    assert "secret-rule" not in problem.summary
    assert "policy.toml does not read (2 problems)" in problem.summary
    assert "secret-rule" in str(problem.sentence)


async def test_the_runbooks_are_taken_while_the_hub_runs(harness: HubHarness) -> None:
    """A new runbook answers its example; a broken file leaves the old ones."""
    path = harness.config.runbooks.file
    watched = watch_chain(path, harness.clock)
    context = PlanningContext("greet web-1", "en", "carol", ("operator",), harness.fleet.inventory, 0.0)
    assert isinstance(watched.value.plan(context), CannotPlan)
    replaced(path, f"{path.read_text()}\n{GREET}")
    assert watched.reload_if_changed() == ""
    outcome = watched.value.plan(context)
    assert isinstance(outcome, Planned)
    assert outcome.plan.steps[0].argv == ("uptime",)
    replaced(path, f"{path.read_text()}\n[runbooks\n")
    assert str(path) in watched.reload_if_changed()
    assert isinstance(watched.value.plan(context), Planned)
    for closing in ("", None):
        if closing is None:
            path.unlink()
        else:
            replaced(path, closing)
        assert str(path) in watched.reload_if_changed()
        assert watched.problem is not None
        assert watched.problem.closed
        assert isinstance(watched.value.plan(context), CannotPlan)


SCRIPT = 'print("x")\n'


def script_policy(tmp_path: Path, digest: str = "") -> Path:
    """A policy with one script, whose interpreter it denies by name."""
    (tmp_path / "scripts").mkdir(exist_ok=True)
    (tmp_path / "scripts/hello.py").write_text(SCRIPT)
    path = tmp_path / "policy.toml"
    path.write_text(
        'default = "deny"\ndeny = ["python", "python3"]\n'
        '[programs.python]\npath = "/usr/bin/python3"\nnames = ["python", "python3"]\ninsert = ["-I"]\n'
        '[[rule]]\nid = "hello"\nabout = "says hello"\nprogram = "python"\nverdict = "allow"\nwords = ["hello.py"]\n'
        f'flags = ["--full"]\nscript = "{digest or script_digest(SCRIPT)}"\n'
    )
    return path


def test_a_script_is_typed_by_its_name_and_carries_its_text(tmp_path: Path) -> None:
    """`hello.py --full` and `python hello.py --full` are the same exact command; nothing else of the interpreter is
    let through.
    """
    policy = watch_policy(script_policy(tmp_path), lambda: NOW).value

    def verdict_of(line: str) -> Verdict:
        return check(policy, line.split(), roles=("operator",), agent="a", labels={})

    for line in ("hello.py --full", "python hello.py --full", "python3 -I hello.py --full"):
        found = verdict_of(line)
        assert (found.kind, found.argv) == ("allow", ("/usr/bin/python3", "-I", "hello.py", "--full"))
        assert found.script is not None
        assert (found.script.text, found.script.use.word) == (SCRIPT, 2)
        assert check(policy, found.argv, roles=("operator",), agent="a", labels={}) == found
    for line in (
        "python",
        "python -c pass",
        "python other.py",
        "python -m hello.py",
        "python hello.py x",
        "hello.py x",
    ):
        assert verdict_of(line).kind == "deny", line


@pytest.mark.parametrize("denied", ["hello.py", "/usr/bin/python3"])
def test_a_script_is_stopped_by_its_name_or_its_programs_path(denied: str, tmp_path: Path) -> None:
    """Trust: a denial of the interpreter's name is not about it, one of these is."""
    path = script_policy(tmp_path)
    path.write_text(path.read_text().replace('deny = ["python"', f'deny = ["{denied}", "python"'))
    policy = watch_policy(path, lambda: NOW).value
    assert check(policy, ("hello.py",), roles=("operator",), agent="a", labels={}).kind == "deny"


def test_a_script_that_is_not_the_one_of_its_rule_is_told(tmp_path: Path) -> None:
    """Trust: changed on the hub's disk, gone, too long, or open to others: the policy does not read, with the cure."""
    with pytest.raises(UserError, match=r"begins with .*, not 000000000000"):
        watch_policy(script_policy(tmp_path, "0" * 64), lambda: NOW)
    file = tmp_path / "scripts/hello.py"
    path = script_policy(tmp_path)
    for spoil in (lambda: file.write_text("y" * 70_000), lambda: file.write_bytes(b"\xff"), lambda: file.chmod(0o666)):
        path = script_policy(tmp_path)
        spoil()
        with pytest.raises(UserError, match=r"hello\.py"):
            watch_policy(path, lambda: NOW)
    file.chmod(0o600)
    watched = watch_policy(script_policy(tmp_path), lambda: NOW)
    file.unlink()
    replaced(path, path.read_text() + "\n")
    assert "hello.py" in watched.reload_if_changed()
    assert watched.value.rules[0].script is not None
    assert watched.value.rules[0].script.text == SCRIPT
