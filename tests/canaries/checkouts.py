"""Git checkouts for the canary machine, each hostile in one way; made by git itself, with the machine as root folder.

Whatever a checkout's own files can name that git would run or read is tried once: programs in its configuration, other
folders as its work tree or object store, and links in place of its files.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.canaries.world import ALICE, REPOSITORIES

SPY = "/srv/git/spy"
"""A program that must never run: it writes /tmp/spied. Runs as what a hostile checkout names."""
KEY = "/root/.token"
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/nonexistent",
    "LANG": "C.UTF-8",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "ann@example.org",
    "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "ann@example.org",
    "GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z",
    "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z",
}


def git(folder: str, *words: str) -> str:
    done = subprocess.run(
        ["/usr/bin/git", "-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main", "-C", folder, *words],
        env=ENVIRONMENT, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.stdout


def make() -> None:
    """All of them. To be called where `/` is the machine."""
    Path("/srv/git").mkdir(parents=True)
    Path(SPY).write_text("#!/bin/sh\necho CNRYspy; echo CNRYspy >>/tmp/spied; cat\n", encoding="ascii")
    Path(SPY).chmod(0o755)
    for name in REPOSITORIES:
        folder = f"/srv/git/{name}"
        _plain(folder)
        if name in _HOSTILE:
            _HOSTILE[name](folder)


def _plain(folder: str) -> None:
    Path(folder).mkdir()
    git(folder, "init", "-q")
    for path, text in {
        "tracked.txt": "one\ntwo\n",
        "app.bin": "bin\n",
        "keys/id_rsa": "public part\n",
        "linked/id_rsa": "x\n",
    }.items():
        Path(folder, path).parent.mkdir(exist_ok=True)
        Path(folder, path).write_text(text, encoding="utf-8")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    git(folder, "tag", "v1")
    Path(folder, "tracked.txt").write_text("one\nzwei\n", encoding="utf-8")
    git(folder, "commit", "-qam", "second")
    git(folder, "remote", "add", "origin", "https://u:CNRYremote@git.example.org/x.git")
    Path(folder, "tracked.txt").write_text("one\ndrei\n", encoding="utf-8")
    git(folder, "stash", "-q")
    Path(folder, "tracked.txt").write_text("one\nvier\n", encoding="utf-8")
    Path(folder, "name with blanks.txt").write_text("x\n", encoding="utf-8")
    os.utime(Path(folder, "app.bin"), (1, 1))


def _set(folder: str, **values: str) -> None:
    for key, value in values.items():
        git(folder, "config", key.replace("__", "."), value)


def _filters(folder: str) -> None:
    Path(folder, ".gitattributes").write_text("* filter=evil diff=evil\n", encoding="ascii")
    _set(
        folder,
        filter__evil__clean=SPY,
        filter__evil__smudge=SPY,
        filter__evil__process=SPY,
        filter__evil__required="true",
    )


def _monitor(folder: str) -> None:
    hooks = Path(folder, ".git", "hooks")
    hooks.mkdir(exist_ok=True)
    for name in ("post-index-change", "fsmonitor-watchman", "reference-transaction", "pre-auto-gc"):
        hooks.joinpath(name).write_text(f"#!/bin/sh\n{SPY} </dev/null\n", encoding="ascii")
        hooks.joinpath(name).chmod(0o755)
    for key in ("core.fsmonitor", "core.pager", "core.editor", "core.sshCommand", "core.askPass", "core.gitProxy",
    "pager.log",
                "pager.diff", "pager.status", "alias.log", "alias.status", "credential.helper",
                "core.alternateRefsCommand",
                "gpg.program", "interactive.diffFilter", "trailer.x.command", "sequence.editor"):  # fmt: skip
        git(folder, "config", key, SPY)
    _set(folder, log__showSignature="true", protocol__ext__allow="always", core__hooksPath=str(hooks))
    git(folder, "config", "remote.origin.url", f"ext::{SPY}")


def _differ(folder: str) -> None:
    Path(folder, ".gitattributes").write_text("* diff=evil\n", encoding="ascii")
    git(folder, "add", ".gitattributes")
    git(folder, "commit", "-qm", "attributes")
    for key in ("diff.external", "diff.evil.command", "diff.evil.textconv", "diff.tool", "difftool.x.cmd"):
        git(folder, "config", key, SPY)
    _set(folder, diff__evil__cachetextconv="true")


def _worktree(folder: str) -> None:
    """Another folder as its work tree: root's own, with the key listed as a file of the checkout."""
    text = git(folder, "hash-object", "-w", "keys/id_rsa").strip()
    git(folder, "update-index", "--add", "--cacheinfo", f"100644,{text},id_rsa")
    _set(folder, core__worktree="/root/.ssh")


def _include(folder: str) -> None:
    Path(folder, "more").write_text(
        f'[core]\n\tfsmonitor = {SPY}\n[filter "evil"]\n\tclean = {SPY}\n', encoding="ascii"
    )
    Path(folder, ".gitattributes").write_text("* filter=evil\n", encoding="ascii")
    git(folder, "config", "include.path", "../more")


def _partial(folder: str) -> None:
    """An object is missing, and the remote that has it is a program."""
    blob = git(folder, "rev-parse", "HEAD~1:tracked.txt").strip()
    Path(folder, ".git", "objects", blob[:2], blob[2:]).unlink()
    _set(folder, core__repositoryformatversion="1", extensions__partialClone="origin", remote__origin__promisor="true",
         remote__origin__partialclonefilter="blob:none", protocol__ext__allow="always")  # fmt: skip
    git(folder, "config", "remote.origin.url", f"ext::{SPY}")


def _submodule(folder: str) -> None:
    git(folder, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "/srv/git/plain", "sub")
    git(folder, "commit", "-qm", "submodule")
    inner = f"{folder}/sub"
    for key in ("core.fsmonitor", "diff.external", "core.pager"):
        git(inner, "config", key, SPY)
    Path(inner, "tracked.txt").write_text("changed\n", encoding="ascii")
    _set(
        folder,
        status__submoduleSummary="true",
        diff__submodule="log",
        submodule__recurse="true",
        diff__ignoreSubmodules="none",
    )


def _summary(folder: str) -> None:
    _submodule(folder)
    _set(folder, fetch__recurseSubmodules="true", push__recurseSubmodules="check")


def _links(folder: str) -> None:
    """Folders of the work tree that have become links to other ones."""
    for path in Path(folder, "linked").iterdir():
        path.unlink()
    Path(folder, "linked").rmdir()
    Path(folder, "linked").symlink_to("/root/.ssh")
    Path(folder, "link").symlink_to(KEY)
    for name in (".gitattributes", ".gitignore", ".mailmap"):
        Path(folder, name).symlink_to(KEY)


def _alternates(folder: str) -> None:
    """Objects of another repository, which only root may read."""
    Path("/root/repository").mkdir(exist_ok=True)
    git("/root/repository", "init", "-q")
    Path("/root/repository/x").write_text("CNRYalternate\n", encoding="ascii")
    git("/root/repository", "add", "x")
    git("/root/repository", "commit", "-qm", "CNRYalternate")
    Path(folder, ".git/objects/info/alternates").write_text("/root/repository/.git/objects\n", encoding="ascii")
    Path(folder, ".git/refs/heads/other").write_text(git("/root/repository", "rev-parse", "HEAD"), encoding="ascii")
    Path(folder, ".git/refs/heads/main").write_text(git("/root/repository", "rev-parse", "HEAD"), encoding="ascii")


def _rebase(folder: str) -> None:
    """`git status` prints what a rebase is about to do, out of its files."""
    state = Path(folder, ".git", "rebase-merge")
    state.mkdir()
    for name in ("head-name", "onto", "orig-head", "msgnum", "end", "interactive"):
        state.joinpath(name).write_text("1\n", encoding="ascii")
    for name in ("git-rebase-todo", "done"):
        state.joinpath(name).symlink_to(KEY)
    Path(folder, ".git", "BISECT_START").symlink_to(KEY)
    Path(folder, ".git", "BISECT_LOG").write_text("", encoding="ascii")


def _packed(folder: str) -> None:
    Path(folder, ".git", "packed-refs").symlink_to(KEY)


def _shallow(folder: str) -> None:
    Path(folder, ".git", "shallow").symlink_to(KEY)
    Path(folder, ".git", "info").mkdir(exist_ok=True)
    Path(folder, ".git", "info", "grafts").symlink_to(KEY)


def _attributes(folder: str) -> None:
    info = Path(folder, ".git", "info")
    info.mkdir(exist_ok=True)
    for name in ("attributes", "exclude"):
        info.joinpath(name).unlink(missing_ok=True)
        info.joinpath(name).symlink_to(KEY)
    _set(
        folder,
        core__attributesFile=KEY,
        core__excludesFile=KEY,
        mailmap__file=KEY,
        commit__template=KEY,
        diff__orderFile=KEY,
    )


def _format(folder: str) -> None:
    _set(
        folder,
        format__pretty="%G? %GK %GS %h",
        gpg__program=SPY,
        gpg__ssh__program=SPY,
        log__mailmap="true",
        log__date="iso",
    )


def _ignorerevs(folder: str) -> None:
    _set(folder, blame__ignoreRevsFile=KEY)


def _foreign(folder: str) -> None:
    for path in (Path(folder), *Path(folder).rglob("*")):
        os.chown(path, ALICE, ALICE, follow_symlinks=False)
    _set_foreign(folder)


def _set_foreign(folder: str) -> None:
    config = Path(folder, ".git", "config")
    config.write_text(config.read_text(encoding="utf-8") + f"[core]\n\tfsmonitor = {SPY}\n", encoding="utf-8")
    os.chown(config, ALICE, ALICE)


def _inner(folder: str) -> None:
    """A bare repository within a checkout: git would take it for one where it is entered."""
    git("/srv/git", "clone", "-q", "--bare", "/srv/git/plain", f"{folder}/keys/inner")
    git(f"{folder}/keys/inner", "config", "core.fsmonitor", SPY)


_HOSTILE: dict[str, Callable[[str], None]] = {
    "filters": _filters, "monitor": _monitor, "differ": _differ, "worktree": _worktree, "include": _include,
    "partial": _partial, "submodule": _submodule, "summary": _summary, "links": _links, "alternates": _alternates,
    "rebase": _rebase, "packed": _packed, "shallow": _shallow, "attributes": _attributes, "format": _format,
    "ignorerevs": _ignorerevs, "foreign": _foreign, "inner": _inner,
}  # fmt: skip
