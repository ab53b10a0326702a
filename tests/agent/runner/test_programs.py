"""agent.runner.programs"""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from agent.runner import programs
from agent.runner.programs import CannotRun, find_program, open_program
from common.policy.machine_checks import DeniedPrograms, MachineChecks

ROOT = os.geteuid() == 0


def test_a_program_is_found_behind_its_links(tmp_path: Path) -> None:
    """What is given back is the file itself."""
    link = tmp_path / "link"
    link.symlink_to("/bin/true")
    assert find_program(str(link), os.geteuid()) == os.path.realpath("/bin/true")


def test_a_link_that_leads_nowhere_is_told_with_its_end(tmp_path: Path) -> None:
    """The link is there: what is missing is named, so that nobody looks in the wrong place."""
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "gone")
    with pytest.raises(CannotRun, match=rf"link: no such file or directory \({tmp_path}/gone, to which it leads\)"):
        find_program(str(link), os.geteuid())
    with pytest.raises(CannotRun, match=r"missing: no such file or directory$"):
        find_program(str(tmp_path / "missing"), os.geteuid())


def _file(path: Path, mode: int = 0o755) -> Path:
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


def test_a_program_of_our_own_passes(tmp_path: Path) -> None:
    """Root's files and the runner's own user's, which nobody else can write."""
    assert find_program(str(_file(tmp_path / "good")), os.geteuid())


@pytest.mark.parametrize(
    ("name", "mode", "why"),
    [
        ("missing", None, "no such file"),
        ("plain", 0o644, "not executable"),
        ("group", 0o775, "written by others"),
        ("world", 0o757, "written by others"),
    ],
)
def test_a_program_that_others_can_write_or_nobody_can_run_is_refused(
    tmp_path: Path, name: str, mode: int | None, why: str
) -> None:
    """The reason names the file and what is wrong with it."""
    path = tmp_path / name
    if mode is not None:
        _file(path, mode)
    with pytest.raises(CannotRun, match=why) as caught:
        find_program(str(path), os.geteuid())
    assert str(path) in str(caught.value)


def test_folders_relative_names_and_nul_are_no_programs(tmp_path: Path) -> None:
    """Only an absolute path to a file is a program."""
    for name in (str(tmp_path), "true", "bin/true", "/bin/true\0", "/bin/true/x"):
        with pytest.raises(CannotRun):
            find_program(name, os.geteuid())


def test_a_folder_that_others_can_write_makes_its_programs_theirs(tmp_path: Path) -> None:
    """Whoever can rename the file can put another in its place; a sticky folder keeps them from it."""
    folder = tmp_path / "open"
    folder.mkdir()
    path = _file(folder / "tool")
    folder.chmod(0o777)
    with pytest.raises(CannotRun, match="on the way"):
        find_program(str(path), os.geteuid())
    folder.chmod(0o1777)
    assert find_program(str(path), os.geteuid())


@pytest.mark.skipif(not ROOT, reason="only root can give files away")
def test_a_program_of_another_user_is_refused(tmp_path: Path) -> None:
    """The owner of a file can write it whatever its mode says; the same goes for the folder it is in."""
    path = _file(tmp_path / "theirs")
    os.chown(path, 12_345, 0)
    with pytest.raises(CannotRun, match="belongs to user 12345"):
        find_program(str(path), os.geteuid())
    os.chown(path, 0, 0)
    folder = tmp_path / "folder"
    folder.mkdir()
    inner = _file(folder / "tool")
    os.chown(folder, 12_345, 0)
    with pytest.raises(CannotRun, match="on the way"):
        find_program(str(inner), os.geteuid())


# ---- the chain of links


def test_a_link_in_a_folder_that_others_can_write_is_refused(tmp_path: Path) -> None:
    """Trust: the file may be root's own; whoever can turn the link decides what runs. The folder is named."""
    folder = tmp_path.resolve() / "shared"
    folder.mkdir()
    tool, way = folder / "tool", tmp_path / "way"
    tool.symlink_to("/bin/true")
    way.symlink_to(tool)
    assert find_program(str(way), os.geteuid())
    folder.chmod(0o777)
    for path in (tool, way):
        with pytest.raises(CannotRun, match=f"{folder}, on the way to {path}, can be written by others"):
            find_program(str(path), os.geteuid())


@pytest.mark.skipif(not ROOT, reason="only root can give files away")
def test_a_link_or_a_folder_of_the_chain_that_is_another_users_is_refused(tmp_path: Path) -> None:
    """Trust: a link in a sticky folder is its owner's to turn, wherever in the chain it stands."""
    home = tmp_path.resolve()
    sticky, theirs = home / "sticky", home / "theirs"
    sticky.mkdir()
    sticky.chmod(0o1777)
    theirs.mkdir()
    for folder in (sticky, theirs):
        (folder / "tool").symlink_to("/bin/true")
        (home / f"by-{folder.name}").symlink_to(folder / "tool")
    os.lchown(sticky / "tool", 12_345, 0)
    os.chown(theirs, 12_345, 0)
    for path, why in (
        (sticky / "tool", f"the link {sticky}/tool, on the way"),
        (home / "by-sticky", f"the link {sticky}/tool, on the way"),
        (home / "by-theirs", f"{theirs}, on the way"),
    ):
        with pytest.raises(CannotRun, match=f"{why} to {path}, belongs to user 12345"):
            find_program(str(path), 0)


@pytest.mark.skipif(not ROOT, reason="only root can give files away")
def test_the_interpreter_of_a_script_is_judged_like_the_script(tmp_path: Path) -> None:
    """Trust: a script of root's runs whatever its first line names; one that is missing is for the start to tell."""
    interpreter = tmp_path.resolve() / "sh"
    interpreter.symlink_to("/bin/sh")
    script = tmp_path / "script"
    script.write_text(f"#! {interpreter} -e\n")
    script.chmod(0o755)
    assert open_program(str(script), 0).is_script
    os.lchown(interpreter, 12_345, 0)
    with pytest.raises(CannotRun, match=f"{script} runs by {interpreter}: the link .* belongs to user 12345"):
        find_program(str(script), 0)
    script.write_text("#!/missing/interpreter\n")
    assert find_program(str(script), 0)


# ---- the real name


def checks(denied: str = "", real: str = "", sha256: str = "", policy: str = "p") -> tuple[str, MachineChecks]:
    words = denied.split()
    names = frozenset(word for word in words if "/" not in word)
    found = DeniedPrograms(names, frozenset(words) - names)
    return policy, MachineChecks(found, frozenset(real.split()), frozenset(sha256.split()))


def test_the_real_name_is_judged_by_the_denials_of_both_policies(tmp_path: Path) -> None:
    """Trust: a tool's link turned to a shell, an editor or a binary of many programs, whoever denies it; the sentence
    says what it is and how to permit it.
    """
    home = tmp_path.resolve()
    tool, box, plain = home / "tool", home / "busybox", home / "vim.basic"
    for path in (box, plain):
        _file(path)
    uid = os.geteuid()
    for target, given, why in (
        ("/bin/bash", (), "runs whatever it is told"),
        (str(box), (), "many programs"),
        (str(plain), (checks("vim"),), r"denies \(vim\)"),
        (str(plain), (checks(), checks("vim", real="other", policy="mine")), r"mine denies \(vim\)"),
        (str(plain), (checks(str(plain)),), "denies"),
    ):
        tool.unlink(missing_ok=True)
        tool.symlink_to(target)
        with pytest.raises(CannotRun, match=f"{tool} is really .*{why}.* real_names = "):
            open_program(str(tool), uid, given)
        name = os.path.basename(os.path.realpath(target))
        permitting = tuple((policy, replace(one, real_names=frozenset({name}))) for policy, one in given)
        open_program(str(tool), uid, permitting or (checks(real=name),)).close()


# ---- the digest


def test_a_file_with_another_digest_is_refused(tmp_path: Path) -> None:
    """Trust: what is expected and what was found is told; the checks of hub and machine must both hold."""
    tool, uid = _file(tmp_path / "tool"), os.geteuid()
    good, bad = hashlib.sha256(tool.read_bytes()).hexdigest(), "0" * 64
    for given in ((checks(sha256=good),), (checks(sha256=f"{good} {bad}"), checks()), (checks(sha256=good),) * 2):
        program = open_program(str(tool), uid, given)
        assert program.pinned
        program.close()
    for given in ((checks(sha256=bad),), (checks(sha256=good), checks(sha256=bad))):
        with pytest.raises(CannotRun, match=f"begins with {good[:12]}, the rule wants 000000000000"):
            open_program(str(tool), uid, given)
    with pytest.raises(CannotRun, match="or 1 more"):
        open_program(str(tool), uid, (checks(sha256=" ".join(digit * 64 for digit in "0123")),))


def test_a_known_digest_is_not_taken_for_a_changed_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust: the same size, the modification time set back: the time of change tells. What is as before is not read."""
    monkeypatch.setattr(programs, "_SETTLED", -1.0)
    tool, uid = _file(tmp_path / "tool"), os.geteuid()
    given = (checks(sha256=hashlib.sha256(tool.read_bytes()).hexdigest()),)
    reads: list[int] = []
    read = os.pread

    def counted(descriptor: int, count: int, offset: int) -> bytes:
        reads.append(count)
        return read(descriptor, count, offset)

    open_program(str(tool), uid, given).close()
    monkeypatch.setattr(os, "pread", counted)
    open_program(str(tool), uid, given).close()
    assert programs._READ not in reads
    old = tool.stat()
    while tool.stat().st_ctime_ns == old.st_ctime_ns:
        tool.write_text("#!/bin/SH\n")
        os.utime(tool, ns=(old.st_atime_ns, old.st_mtime_ns))
    assert tool.stat().st_mtime_ns == old.st_mtime_ns
    with pytest.raises(CannotRun, match="is not the file"):
        open_program(str(tool), uid, given)


def test_a_file_too_large_or_unreadable_for_a_digest_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound of what is read, and no descriptor is left open."""
    tool = _file(tmp_path / "tool")
    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(programs, "MAX_DIGEST_BYTES", tool.stat().st_size - 1)
    with pytest.raises(CannotRun, match="larger than the 0 MiB"):
        open_program(str(tool), os.geteuid(), (checks(sha256="0" * 64),))
    assert len(os.listdir("/proc/self/fd")) == before
