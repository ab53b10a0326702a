"""agent.runner.repository: in which checkouts git is started, by their files; with git itself in tests/canaries."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.runner import repository
from agent.runner.programs import CannotRun
from agent.runner.repository import config_problem, folder_of, verify_repository
from common.policy.rules import REPOSITORY
from tests.each import each_of

CONFIG = '[core]\n\trepositoryformatversion = 0\n\tbare = false\n[remote "origin"]\n\turl = https://example.org/x.git\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return make(tmp_path / "checkout")


def make(folder: Path) -> Path:
    for name in ("info", "objects/info", "refs"):
        folder.joinpath(".git", name).mkdir(parents=True)
    folder.joinpath(".git/HEAD").write_text("ref: refs/heads/main\n")
    folder.joinpath(".git/config").write_text(CONFIG)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def refusal(folder: Path | str) -> str:
    """Why git is not started in the folder; "" where it is."""
    try:
        verify_repository(("/usr/bin/git", "status"), (REPOSITORY,), str(folder), os.geteuid())
    except CannotRun as refused:
        return str(refused)
    return ""


def test_a_trusted_checkout_is_entered_and_nothing_else(checkout: Path, tmp_path: Path) -> None:
    """Trust: git runs in a checkout and in folders beneath it, never where there is none: it would compare files."""
    (checkout / "src").mkdir(mode=0o755)
    assert refusal(checkout) == refusal(checkout / "src") == ""
    assert "lies in no git checkout" in refusal(tmp_path)
    assert "lies in no git checkout" in refusal("/")
    assert "no such file" in refusal(tmp_path / "none")
    (tmp_path / "link").symlink_to(checkout)
    assert "symbolic link" in refusal(tmp_path / "link")


def test_only_an_order_that_asks_for_it_is_looked_at() -> None:
    """Without the variable of the policy nothing is asked: a team's own rule for git decides for itself."""
    verify_repository(("/usr/bin/git", "status"), (("A", "1"),), "/", os.geteuid())
    with pytest.raises(CannotRun):
        verify_repository(("/usr/bin/git", "status"), (("A", "1"), REPOSITORY), "/", os.geteuid())


def test_where_git_is_told_to_go() -> None:
    """The last -C, else the job's directory; an option that names other files, or no folder at all, is refused."""
    git = "/usr/bin/git"
    assert folder_of((git, "-c", "a=b", "--no-pager", "-C", "/a", "-C", "/b", "log", "-C"), "/c") == "/b"
    assert folder_of((git, "status"), "/c") == "/c"
    for words in (
        ("--git-dir=/x", "log"),
        ("-C/x", "log"),
        ("--work-tree", "/x"),
        ("-C",),
        ("-C", "x"),
        ("--exec-path=/x",),
    ):
        with pytest.raises(CannotRun):
            folder_of((git, *words), "")


REFUSED = {
    "filter": '[filter "x"]\n\tclean = /tmp/x',
    "filter, one line": '[filter "x"] smudge = /tmp/x',
    "filter behind a section": '[core][filter "x"] process = /tmp/x',
    "filter, other case": '[FILTER "x"]\n\tClEaN = x',
    "filter, old form": "[filter.x]\n\tclean = x",
    "filter behind a continued line": '[core]\n\tx = a\\\n[filter "x"]\n\tclean = x',
    "include": "[include]\n\tpath = x",
    "conditional include": '[includeIf "gitdir:/"]\n\tpath = x',
    "include, windows lines": "[include]\r\n\tpath = x\r\n",
    "partial clone": "[extensions]\n\tpartialClone = origin",
    "promisor": '[remote "origin"]\n\tpromisor',
    "attributes elsewhere": "[core]\n\tattributesFile = /root/.ssh/id_rsa",
    "excludes at home": '[core]\n\texcludesFile = "~/x"',
    "names above": "[mailmap]\n\tfile = ../../x",
    "a file behind a comment": "[blame]\n\tignoreRevsFile = x ; y",
    "a file in quotes": '[diff]\n\torderFile = "a\\tb"',
    "no configuration": "what is this",
    "not a section": "[core\n\tx = y",
}


@each_of("name", REFUSED)
def test_b4_what_a_configuration_must_not_name(name: str) -> None:
    """Trust: programs and files that no option turns off keep git from being started, however they are written (B4)."""
    assert config_problem(CONFIG + REFUSED[name])


def test_an_ordinary_configuration_is_none_of_them() -> None:
    """What git itself, its users and their tools write; what the policy's options overrule is no problem either."""
    assert not config_problem("\ufeff" + CONFIG)
    for text in (
        "# x\n; y\n\n[user]\n\tname = A # b\n",
        '[branch "main"]\n\tremote = origin\n\tmerge = refs/heads/main\n',
        "[core]\n\thooksPath = .husky\n\tpager = less\n\tfsmonitor = true\n",
        "[blame]\n\tignoreRevsFile = .git-blame-ignore-revs\n",
        "[core]\n\texcludesFile = .ignore\n",
        '[alias]\n\tx = "!a \\\n  b c" \n\tstatus = log\n',
        '[submodule "a b"]\n\tactive\n',
        '[filter "lfs"]\n\trequired = true\n',
    ):
        assert not config_problem(CONFIG + text), text


def _config(text: str) -> Callable[[Path], object]:
    return lambda git: git.joinpath("config").write_text(CONFIG + text)


def _link(name: str) -> Callable[[Path], object]:
    def act(git: Path) -> None:
        git.joinpath(name).parent.mkdir(exist_ok=True)
        git.joinpath(name).unlink(missing_ok=True)
        git.joinpath(name).symlink_to("/etc/hostname")

    return act


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "another work tree": (_config("[core]\n\tworktree = /root/.ssh\n"), "core.worktree"),
    "a filter": (_config('[filter "x"]\n\tclean = x\n'), "filter.x.clean"),
    "its own configuration of the work tree": (
        lambda git: git.joinpath("config.worktree").write_text("[include]\n\tpath = x\n"),
        "include.path",
    ),
    "a configuration without end": (_config("# x\n" * (1 << 19)), "larger than"),
    "a configuration that others write": (lambda git: git.joinpath("config").chmod(0o646), "can be written by others"),
    "a repository that others write": (lambda git: git.chmod(0o777), "can be written by others"),
    "other objects": (lambda git: git.joinpath("objects/info/alternates").write_text("/x\n"), "another repository"),
    **{
        f"a link: {name}": (_link(name), "is a link")
        for name in ("packed-refs", "shallow", "info/attributes", "info/grafts", "config", "rebase-merge/done")
    },
    "a pipe": (lambda git: os.mkfifo(git / "packed-refs"), "no plain file"),
}  # fmt: skip


@each_of("name", HOSTILE)
def test_b8_a_hostile_repository_is_refused(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Trust: links, foreign writers, other work trees and object stores in a repository keep git from it (B8)."""
    act, reason = HOSTILE[name]
    folder = make(tmp_path_factory.mktemp("hostile") / "checkout")
    assert refusal(folder) == ""
    act(folder / ".git")
    assert reason in refusal(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_foreign_owner_is_refused(checkout: Path) -> None:
    """Trust: a checkout, its repository or its configuration that belongs to somebody else is refused."""
    for path in (checkout / ".git/config", checkout / ".git", checkout):
        os.chown(path, 1001, 1001)
        assert "belongs to user 1001" in refusal(checkout)
        os.chown(path, 0, 0)
    assert refusal(checkout) == ""


def test_a_file_that_a_configuration_names_is_no_link(checkout: Path) -> None:
    """Trust: git quotes such a file where it is not as it should be, and its name may come with a commit."""
    checkout.joinpath(".git/config").write_text(CONFIG + "[blame]\n\tignoreRevsFile = .ignored\n")
    assert refusal(checkout) == ""
    checkout.joinpath(".ignored").write_text("")
    assert refusal(checkout) == ""
    checkout.joinpath(".ignored").unlink()
    checkout.joinpath(".ignored").symlink_to("/etc/hostname")
    assert "blame.ignoreRevsFile" in refusal(checkout)


def test_linked_checkouts_and_submodules(checkout: Path) -> None:
    """Where `.git` is a file, the repository that it names is looked at, and must name this very folder."""
    worktree, submodule = checkout.parent / "linked", checkout / "sub"
    inner, module = checkout / ".git/worktrees/linked", checkout / ".git/modules/sub"
    for folder in (worktree, submodule, inner, module):
        folder.mkdir(parents=True)
    worktree.joinpath(".git").write_text(f"gitdir: {inner}\n")
    inner.joinpath("commondir").write_text("../..\n")
    submodule.joinpath(".git").write_text("gitdir: ../.git/modules/sub\n")
    module.joinpath("config").write_text("[core]\n\tworktree = ../../../sub\n")
    assert refusal(worktree) == refusal(submodule) == ""
    module.joinpath("config").write_text("[core]\n\tworktree = ../../..\n")
    assert "core.worktree" in refusal(submodule)
    checkout.joinpath(".git/config").write_text('[filter "x"]\n\tclean = x\n')
    assert "filter.x.clean" in refusal(worktree)
    worktree.joinpath(".git").write_text("nonsense\n")
    assert "does not say" in refusal(worktree)
    worktree.joinpath(".git").write_text(f"gitdir: {checkout.parent / 'nowhere'}\n")
    assert "no such file" in refusal(worktree)


def test_a_repository_without_a_checkout_is_refused(tmp_path: Path) -> None:
    """Git takes a folder with these three for a repository: one could be pushed into a checkout as files."""
    for name in ("objects", "refs"):
        (tmp_path / name).mkdir()
    (tmp_path / "HEAD").write_text("ref: refs/heads/main\n")
    assert "without a checkout" in refusal(tmp_path)


def test_a_repository_of_too_many_files_is_refused(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look is bounded."""
    monkeypatch.setattr(repository, "MAX_ENTRIES", 5)
    assert "too many files" in refusal(checkout)
