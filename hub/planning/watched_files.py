"""The files that people change while the hub serves: reloaded when they change, and never open by mistake.

    reads                 it is in force
    does not read         what was in force before stays; of a policy, what the readable part forbids comes on top of it
    empty or gone         a policy denies everything, no runbook is known; also after that, until a file reads again

A problem stays in `problem` until the file reads again: readiness, metrics, audit, console and chat tell it
(`hub.engine.file_notices`). It is told from the second look on, so that an editor that empties a file before it fills
it raises no alarm; what is denied is denied from the first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Generic, Literal, TypeVar

from common.catalogue import Sentence
from common.errors import UserError
from common.policy.check import Policy, Rule
from common.policy.file import read_policy, whole_policy, with_denials
from common.read_file import parse_toml, read_bytes
from common.script import MAX_SCRIPT, BadScript, script_digest
from hub.planning.chain import PlannerChain
from hub.planning.runbooks.file import parse_runbooks, read_runbooks

T = TypeVar("T")
SCRIPTS: Final = "scripts"
"""The folder beside policy.toml that its scripts are in."""
FileName = Literal["hub", "policy", "runbooks"]
FILE_NAMES: Final[tuple[FileName, ...]] = ("hub", "policy", "runbooks")


@dataclass(frozen=True, slots=True)
class FileProblem:
    """Why what is in force is not what the file says."""

    name: FileName
    path: Path
    problems: tuple[str, ...]  # each with line and cure
    closed: bool = False  # the file is empty or gone, and nothing of it is in force
    since: float = 0.0  # when it was found first
    looks: int = 1  # how often it was found so

    @property
    def sentence(self) -> Sentence:
        """For people: what is wrong, what is in force meanwhile, and what to do."""
        first = self.problems[0].removeprefix(f"{self.path}: ")[:300]
        values = {"file": self.path.name, "count": len(self.problems), "first": first}
        return Sentence(f"file_closed_{self.name}" if self.closed else f"file_broken_{self.name}", values)

    @property
    def summary(self) -> str:
        """For pages that anybody may read: nothing of what stands in the file."""
        if self.closed:
            return f"{self.path.name} is empty or gone: nothing of it is in force"
        count = len(self.problems)
        return (
            f"{self.path.name} does not read ({count} problem{'s' if count != 1 else ''}): what was there before holds"
        )


class WatchedFile(Generic[T]):
    """A file and its parsed value. `reload_if_changed` costs one stat where nothing changed.

    `read` raises UserError. `fallback` gives what is in force instead: it is given the path, the problem and the value
    that a good file gave last, and returns the value in force and whether that is all there is from now on.
    """

    def __init__(
        self,
        path: Path,
        read: Callable[[Path], T],
        *,
        name: FileName = "policy",
        reread: Callable[[Path], T] | None = None,
        fallback: Callable[[Path, UserError, T], tuple[T, bool]] | None = None,
        clock: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._clock = clock
        self.path = path
        self.name: FileName = name
        self.problem: FileProblem | None = None
        self._read = reread or read
        self._fallback = fallback or (lambda path, error, good: (good, False))
        self._stamp = self._stat()
        self.value: T = read(path)
        self._good = self.value

    def reload_if_changed(self) -> str:
        """Reads the file again if it changed; returns the problem, or "". A wrong file is reported once a change."""
        stamp = self._stat()
        if stamp == self._stamp:
            if self.problem is not None:
                self.problem = _seen_again(self.problem)
            return ""
        self._stamp = stamp
        return self.reload()

    def reload(self, path: Path | None = None) -> str:
        """Reads it whether it changed or not, from another place where one is given."""
        if path is not None and path != self.path:
            self.path = path
        self._stamp = self._stat()
        try:
            self.value = self._good = self._read(self.path)
        except UserError as error:
            return self._refuse(error)
        self.problem = None
        return ""

    def _refuse(self, error: UserError) -> str:
        self.value, closed = self._fallback(self.path, error, self._good)
        if closed:
            self._good = self.value
        problems = getattr(error, "problems", ()) or (str(error),)
        found = FileProblem(self.name, self.path, tuple(problems), closed, self._clock())
        before = self.problem
        if before is not None and (before.problems, before.closed) == (found.problems, found.closed):
            found = _seen_again(before)
        self.problem = found
        return str(error)

    def _stat(self) -> tuple[int, int, int]:
        try:
            found = self.path.stat()
        except OSError:
            return (0, 0, 0)
        return (found.st_mtime_ns, found.st_size, found.st_ino)


def _seen_again(problem: FileProblem) -> FileProblem:
    if problem.looks > 1:
        return problem
    return replace(problem, looks=problem.looks + 1)


# ---- policy


def watch_policy(path: Path, clock: Callable[[], float]) -> WatchedFile[Policy]:
    return WatchedFile(path, load_policy, name="policy", fallback=_denying, clock=clock)


def load_policy(path: Path) -> Policy:
    reading = read_policy(read_bytes(path, trusted=True), str(path))
    if reading.empty:
        raise UserError(f"{path}: empty", "write rules into it, or put the file back from a copy")
    return with_scripts(whole_policy(reading), path)


def with_scripts(policy: Policy, path: Path) -> Policy:
    """The policy with the text of its scripts, from the folder `scripts` beside it; raises UserError where one is not
    what the rule names by its digest.
    """
    return replace(policy, rules=tuple(_with_script(rule, path.parent / SCRIPTS) for rule in policy.rules))


def _with_script(rule: Rule, folder: Path) -> Rule:
    if rule.script is None:
        return rule
    file = folder / rule.script.name
    try:
        text = read_bytes(file, limit=MAX_SCRIPT, trusted=True).decode()
        found = script_digest(text)
    except UnicodeDecodeError:
        raise UserError(f"rule {rule.id}: {file} is not a text", "save it as UTF-8") from None
    except BadScript as error:
        raise UserError(f"rule {rule.id}: {file}: {error}", "write a shorter one") from None
    if found != rule.script.use.sha256:
        wanted = rule.script.use.sha256[:12]
        problem = f"rule {rule.id}: {file} is another script: its SHA-256 begins with {found[:12]}, not {wanted}"
        raise UserError(problem, f'look at what changed; if that is meant, write script = "{found}"')
    return replace(rule, script=replace(rule.script, text=text))


def _denying(path: Path, error: UserError, good: Policy) -> tuple[Policy, bool]:
    """Nothing runs where the file is gone or empty; else what was allowed before and is not forbidden now."""
    if not path.exists():
        return Policy(closed=Sentence("policy_closed_missing", {"file": path.name})), True
    try:
        reading = read_policy(read_bytes(path), str(path))
    except UserError:
        return good, False  # it is there, and this user may not read it
    if reading.empty:
        return Policy(closed=Sentence("policy_closed_empty", {"file": path.name})), True
    return with_denials(good, reading.denied), False


# ---- runbooks


def watch_chain(path: Path, clock: Callable[[], float]) -> WatchedFile[PlannerChain]:
    """A hub may start without runbooks; a file that becomes empty while it serves is told all the same."""
    return WatchedFile(path, load_chain, name="runbooks", reread=_reload_chain, fallback=_without_runbooks, clock=clock)


def load_chain(path: Path) -> PlannerChain:
    return PlannerChain(read_runbooks(path))


def _reload_chain(path: Path) -> PlannerChain:
    if _is_blank(path):
        raise UserError(f"{path}: empty", "write runbooks into it, or put the file back from a copy")
    return load_chain(path)


def _without_runbooks(path: Path, error: UserError, good: PlannerChain) -> tuple[PlannerChain, bool]:
    if path.exists() and not _is_blank(path):
        return good, False
    return PlannerChain(parse_runbooks({}, path)), True


def _is_blank(path: Path) -> bool:
    """Nothing but white space and comments."""
    try:
        return not parse_toml(read_bytes(path), path)
    except UserError:
        return False
