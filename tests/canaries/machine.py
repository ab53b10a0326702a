"""The canary machine from outside: which invocations are tried on it, and what came of them.

`Machine.try_all` asks the policy, runs what it allows as the runner of an agent would (root, the same environment), and
gives back one `Tried` an invocation. `missing()` says what this computer lacks for that.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from common.policy.check import Policy, Rule, Verdict, check
from common.policy.machine_checks import write_checks
from tests.canaries import world
from tests.canaries.trace import Acts, read_trace
from tests.canaries.words import Words

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 60.0
"""Seconds after which an invocation hangs: numbers are drawn small, so that all end by themselves long before."""
LOCALES = ("C.UTF-8", "C.UTF-8", "C", "zh_CN.GB18030", "tr_TR.UTF-8", "en_US.ISO-8859-1")
"""Jobs run in the first; the others must make no difference."""


@dataclass(frozen=True)
class Invocation:
    """An argument vector, the directory it is asked for in, and what the policy says to it."""

    argv: tuple[str, ...]
    cwd: str
    verdict: Verdict
    rule: str = ""  # from whose grammar it was made


@dataclass(frozen=True)
class Tried:
    """What came of one invocation that the policy allows. `refused` is why the machine did not start it."""

    made: Invocation
    refused: str = ""
    leak: str = ""  # what stands around the first canary in its output
    hung: bool = False
    acts: Acts = field(default_factory=Acts)
    head: str = ""  # the beginning of its output
    code: int = 0
    seconds: float = 0.0

    @property
    def rule(self) -> str:
        return self.made.verdict.rule

    def __str__(self) -> str:
        where = f" in {self.made.cwd}" if self.made.cwd else ""
        return f"{self.rule}: {' '.join(self.made.argv)}{where}"


def ask(policy: Policy, argv: Sequence[str], cwd: str = "", rule: str = "") -> Invocation:
    verdict = check(policy, argv, roles=("operator",), agent="web-1", labels={"role": "web"}, cwd=cwd)
    return Invocation(tuple(argv), cwd, verdict, rule or verdict.rule)


@cache
def missing() -> str:
    """Why the machine cannot be built here; "" where it can."""
    if os.geteuid() != 0:
        return "not root: mounts and users of its own cannot be made"
    for program in ("unshare", "mount", "strace"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    with tempfile.TemporaryDirectory() as folder:
        command = ["unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "sh", "-c",
                   f"mount -t tmpfs x {folder} && mkdir {folder}/u {folder}/w {folder}/m && "
                   f"mount -t overlay -o lowerdir=/usr,upperdir={folder}/u,workdir={folder}/w overlay {folder}/m && "
                   "exec strace -qq -f --seccomp-bpf -e trace=execve -o /dev/null true"]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"no namespaces, mounts or tracing here: {done.stderr.strip()[:200]}"


def absent(policy: Policy) -> list[str]:
    """Programs that the policy allows and that are not installed here."""
    paths = {rule.program.path for rule in policy.rules if rule.verdict == "allow"}
    return sorted(path for path in paths if not os.access(path, os.X_OK))


def made_for(policy: Policy, rule: Rule, count: int, seed: int) -> list[Invocation]:
    """Different invocations from the rule's grammar, until the policy has allowed `count` of them; all of them."""
    words = Words(random.Random(f"{seed} {rule.id}"), world.paths(), world.folders())
    made: dict[tuple[tuple[str, ...], str], Invocation] = {}
    allowed = 0
    for _ in range(12 * count):
        argv, cwd = words.vector(rule)
        if (argv, cwd) not in made and all(argv):
            made[argv, cwd] = ask(policy, argv, cwd, rule.id)
            allowed += made[argv, cwd].verdict.kind == "allow"
        if allowed >= count:
            break
    return list(made.values())


def try_all(
    invocations: Iterable[Invocation], together: int = 4, locales: Sequence[str] = LOCALES, verify: bool = True
) -> list[Tried]:
    """Runs those that the policy allows and whose program is here, `together` at a time, the locales by turns. Without
    `verify` the machine does not look at checkouts first.
    """
    chosen = [made for made in invocations if made.verdict.kind == "allow" and os.access(made.verdict.argv[0], os.X_OK)]
    if not chosen:
        return []
    items = [
        {
            "argv": made.verdict.argv,
            "env": made.verdict.env,
            "cwd": made.cwd,
            "checks": write_checks(made.verdict.checks),
            "locale": locales[index % len(locales)],
        }
        for index, made in enumerate(chosen)
    ]
    asked = {"items": items, "deadline": DEADLINE, "together": together, "verify": verify}
    with tempfile.TemporaryDirectory(prefix="canaries") as folder:
        done = subprocess.run(
            ["unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child",
             sys.executable, "-m", "tests.canaries.room", folder],
            input=json.dumps(asked), capture_output=True, text=True, check=False, cwd=ROOT,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == len(chosen), f"the machine ended early: {done.stderr[-2000:]}"
    return [_tried(made, row) for made, row in zip(chosen, rows, strict=True)]


def _tried(made: Invocation, row: dict[str, Any]) -> Tried:
    acts = read_trace(row.pop("trace", ""))
    return Tried(made, acts=acts, **row)
