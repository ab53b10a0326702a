"""agent.runner.real_paths"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from agent.runner import real_paths
from agent.runner.programs import CannotRun
from agent.runner.real_paths import CheckedPaths, PathRefused, check_paths
from common.policy.machine_checks import ByDescriptor, MachineChecks, PathCheck
from common.policy.types import PathType

ROOT = os.geteuid() == 0


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A root with files and links, a secret beside it, and a link to the root."""
    home = tmp_path.resolve()
    for folder in ("logs/app", "logs/private", "logs/.hidden", "secret", "other"):
        (home / folder).mkdir(parents=True)
    for file in ("logs/app/log", "logs/private/x", "logs/.hidden/x", "logs/a.key", "secret/id_rsa", "other/file"):
        (home / file).write_text(file)
    for name, target in {
        "logs/in": "app/log",
        "logs/full": f"{home}/logs/app",
        "logs/out": f"{home}/secret/id_rsa",
        "logs/up": "../secret",
        "logs/chain": "full/../up",
        "logs/app/to-private": "../private/x",
        "logs/app/to-hidden": "../.hidden",
        "logs/app/to-key": "../a.key",
        "logs/app/nowhere": f"{home}/secret/gone",
        "logs/app/soon": "later",
        "logs/app/to-other": f"{home}/other/file",
        "root": "logs",
    }.items():
        (home / name).symlink_to(target)
    return home


def logs(home: Path, **changes: object) -> PathType:
    found = PathType(beneath=(f"{home}/logs",), excluding=(f"{home}/logs/private",), endings=(".key",))
    return replace(found, **changes)  # type: ignore[arg-type]


def check(*paths: object, kind: PathType, by_descriptor: ByDescriptor = "", argv: tuple[str, ...] = ()) -> CheckedPaths:
    checks = tuple(PathCheck(str(path), (kind,)) for path in paths)
    words = argv or ("/bin/cat", *map(str, paths))
    return check_paths(words, (("p", MachineChecks(paths=checks, by_descriptor=by_descriptor)),), os.geteuid())


@pytest.mark.parametrize("path", ["app/log", "in", "full/log", "full", "app/soon", "none", "app/log/x", ""])
def test_what_lies_beneath_the_root_is_taken(home: Path, path: str) -> None:
    """Plain files, links that stay beneath the root, and what is not there but would be."""
    place = f"{home}/logs/{path}".rstrip("/")
    assert check(place, kind=logs(home)).argv == ("/bin/cat", place)


@pytest.mark.parametrize(
    ("path", "end"),
    [
        ("out", "secret/id_rsa"),
        ("up/id_rsa", "secret/id_rsa"),
        ("chain/id_rsa", "secret/id_rsa"),
        ("up/none", "secret/none"),
        ("app/nowhere", "secret/gone"),
        ("app/to-private", "logs/private/x"),
        ("app/to-hidden/x", "logs/.hidden/x"),
        ("app/to-key", "logs/a.key"),
        ("app/to-other", "other/file"),
    ],
)
def test_what_leads_out_is_refused_with_where_it_leads(home: Path, path: str, end: str) -> None:
    """Trust: *beneath a root* is decided on the machine: out of it, to an exception, a hidden part, an ending, and also
    where the end does not exist yet.
    """
    place = f"{home}/logs/{path}"
    with pytest.raises(PathRefused) as caught:
        check(place, kind=logs(home))
    assert f"{place} leads to {home}/{end}" in str(caught.value)


def test_one_of_several_types_is_enough(home: Path) -> None:
    """A word that fits two types of a rule may lead to where either wants it."""
    path, other = f"{home}/logs/app/to-other", PathType(beneath=(f"{home}/other", f"{home}/logs"))
    checks = MachineChecks(paths=(PathCheck(path, (logs(home), other)),))
    assert check_paths(("/bin/cat", path), (("p", checks),), os.geteuid()).argv == ("/bin/cat", path)
    narrow = MachineChecks(paths=(PathCheck(path, (logs(home),)),))
    with pytest.raises(CannotRun):  # the other policy has its say too
        check_paths(("/bin/cat", path), (("p", checks), ("q", narrow)), os.geteuid())


def test_a_root_may_be_a_link_itself(home: Path) -> None:
    """Beneath /srv/data is beneath the disk that it leads to; what is excepted is so in both forms."""
    kind = PathType(
        beneath=(f"{home}/root",), exactly=(f"{home}/logs/out",), excluding=(f"{home}/root/private",), hidden=False
    )
    for path in ("root/app/log", "root/in", "root", "logs/out"):
        assert check(f"{home}/{path}", kind=kind).argv[1] == f"{home}/{path}"
    for path in ("root/app/to-private", "root/up/id_rsa", "root/.hidden/x", "root/app/to-hidden"):
        with pytest.raises(PathRefused):
            check(f"{home}/{path}", kind=kind)
    plain = PathType(beneath=(f"{home}/logs",), excluding=(f"{home}/root/private",))
    with pytest.raises(PathRefused, match="excepts"):  # no link on the way: the exception is the link
        check(f"{home}/logs/private/x", kind=plain)


@pytest.mark.skipif(not ROOT, reason="only root can give files away")
def test_a_root_that_another_user_can_turn_is_not_followed(home: Path) -> None:
    """Trust: a link to the root's place that somebody else owns leads where he likes."""
    kind = PathType(beneath=(f"{home}/root",))
    check(f"{home}/root/app/log", kind=kind)
    os.lchown(home / "root", 12_345, 0)
    with pytest.raises(PathRefused, match=f"leads to {home}/logs/app/log"):
        check(f"{home}/root/app/log", kind=kind)


def test_a_loop_and_a_name_of_no_use_are_told(home: Path) -> None:
    """Errors of the walk are refusals with the path's name; nothing stays open."""
    (home / "logs/loop").symlink_to("loop")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(PathRefused, match="logs/loop: too many levels"):
        check(f"{home}/logs/app/log", f"{home}/logs/loop", kind=logs(home), by_descriptor="always")
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_program_may_get_the_descriptor_that_was_judged(home: Path) -> None:
    """Trust: whatever the name leads to by then. What is not there, or in /proc, keeps its name."""
    kind = logs(home, beneath=(f"{home}/logs", "/proc"))
    paths = (f"{home}/logs/in", f"{home}/logs/none", "/proc/uptime")
    found = check(*paths, kind=kind, by_descriptor="always")
    assert found.argv == ("/bin/cat", f"/proc/self/fd/{found.descriptors[0]}", *paths[1:])
    (home / "logs/in").unlink()
    (home / "logs/in").symlink_to("../secret/id_rsa")
    assert Path(found.argv[1]).read_text() == "logs/app/log"
    found.close()


def test_one_path_alone_is_given_as_a_descriptor_where_the_rule_says_so(home: Path) -> None:
    """`single`: a program that shows names as soon as there are two gets names then."""
    one, two = f"{home}/logs/app/log", f"{home}/logs/in"
    found = check(one, kind=logs(home), by_descriptor="single", argv=("/bin/tail", "-n5", "--", one))
    assert found.argv == ("/bin/tail", "-n5", "--", f"/proc/self/fd/{found.descriptors[0]}")
    found.close()
    assert check(one, two, kind=logs(home), by_descriptor="single").argv == ("/bin/cat", one, two)
    assert check(one, kind=logs(home), argv=("/bin/x", f"--file={one}"), by_descriptor="always").descriptors == ()


def test_a_way_that_changes_between_look_and_opening_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust: what is opened has no link in its path, so a folder that became one since is noticed."""
    judged = real_paths._PathJudge.real_path

    def turn(judge: real_paths._PathJudge, path: PathCheck) -> str:
        place = judged(judge, path)
        (home / "logs/app").rename(home / "logs/app2")
        (home / "logs/app").symlink_to("../secret")
        (home / "secret/log").write_text("x")
        return place

    monkeypatch.setattr(real_paths._PathJudge, "real_path", turn)
    with pytest.raises(PathRefused, match="changed while it was looked at"):
        check(f"{home}/logs/app/log", kind=logs(home), by_descriptor="always")
