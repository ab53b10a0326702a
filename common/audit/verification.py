"""The walk over a log: events, checkpoints and witnesses' notes against one another; what is wrong is named."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from common.audit.checkpoint import Checkpoint, fork_bytes, is_signed, key_hint, key_id, succession_bytes
from common.audit.event import GENESIS_HASH, Row, event_bytes
from common.audit.tree import Tree

UNSIGNED_SECONDS: Final = 120.0
"""How long an event may wait for its checkpoint."""
UNSIGNED_ROWS: Final = 200_000
UNWITNESSED_SECONDS: Final = 900.0
"""How long an event may wait for a note outside."""
CLOCK_SKEW: Final = 300.0

CURES: Final = {
    "edited": "compare with a backup or an earlier export: that row, or the one before it, is not what was written",
    "deleted": "compare with a backup or an earlier export: rows were taken out",
    "moved": "compare with a backup or an earlier export: rows were put in another order",
    "inserted": "compare with a backup or an earlier export: a row was put in",
    "unreadable": "look at the disk, then compare with a backup: the row cannot be read",
    "rewritten": "the rows were changed and linked anew: compare with a backup of before, row by row",
    "cut": "the newest rows are gone, or an old backup is in place; if it was restored: answerback-hub recover",
    "checkpoint_replaced": "a checkpoint is not of this log's key: compare with a backup or a witness",
    "checkpoint_missing": "checkpoints were taken out: compare with a backup; the rows around are unvouched for",
    "no_checkpoint": "start the hub, which signs one at once; if it had signed some, they were taken out",
    "stale": "is a hub serving? see its log for audit.*; rows that nobody signed may have been added by anybody",
    "key_replaced": "compare the key with the copy that you took away; a lost one: answerback-hub audit new-key",
    "other_hub": "this is another hub's log or witness: put the right one in its place",
    "witness_missing": "find out who took it away; a witness elsewhere (syslog, chat, S3) still tells: --witness FILE",
    "witness_stale": "nothing arrives at this witness: answerback-hub check, and see the log for audit.*",
    "witness_bad": "that line was changed or is not the hub's: compare with another witness",
    "archive_missing": "put the file back from a copy or a backup; its events are nowhere else on this hub",
    "archive_changed": "put the file back from a copy or a backup, and find out who changed it",
    "file": "make the export again, or name the folder that has the files",
}
"""What is wrong, by its code, and what to do."""


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """`first_bad_seq` where it is a row; `problem` in words, `code` of CURES; `remarks` what else should be known."""

    ok: bool
    checked: int  # events found good, from the first
    signed_to: int  # the last seq that a good checkpoint vouches for
    first_bad_seq: int | None = None
    problem: str = ""
    code: str = ""
    cure: str = ""
    root: str = ""  # of the tree over all events, hex
    signed_at: float = 0.0  # when the last good checkpoint was made: the log is whole as of then
    witnessed_to: int = 0  # the last seq that a note outside vouches for
    remarks: tuple[str, ...] = ()


class ChainBroken(Exception):
    """What is wrong, and the first bad row where it is a row."""

    def __init__(self, problem: str, seq: int | None = None, code: str = "file") -> None:
        super().__init__(problem, seq)
        self.problem, self.seq, self.code = problem, seq, code


@dataclass(slots=True)
class Witness:
    """One place with notes. `required`: it is the hub's own, and must be there and current."""

    name: str
    notes: list[tuple[str, Checkpoint]] = field(default_factory=list)
    required: bool = False


class Verification:
    """Rows, checkpoints and notes against one another, in one pass. `now` is given for a live store: then whatever a
    witness knows beyond its end is missing, and the last rows must have been signed lately.
    """

    def __init__(
        self,
        hub: str,
        keys: Mapping[str, bytes],
        witnesses: Iterable[Witness] = (),
        *,
        named: Mapping[str, bytes] | None = None,
        now: float | None = None,
        strict: bool = True,
    ) -> None:
        """`keys` are trusted, by id; `named` others that the log itself names: they count only if it proves them.
        Not `strict`: as before there were recent checkpoints, as for a piece of a log.
        """
        self.hub, self.now, self.strict = hub, now, strict
        self.trusted = dict(keys)
        self.known = {**(named or {}), **keys}
        self.witnesses = list(witnesses)
        self.tree, self.head = Tree(), GENESIS_HASH
        self.signed_to, self.signed_at, self.witnessed_to = 0, 0.0, 0
        self.last_at, self.unsigned_since, self.unwitnessed_since = 0.0, 0.0, 0.0
        self.remarks: list[str] = []
        self._trouble: ChainBroken | None = None  # of a checkpoint: told after those of rows
        self._used: dict[str, list[int]] = {}  # key id -> first and last seq that it signed
        self._successions: list[tuple[int, dict[str, Any]]] = []
        self._named: set[str] = set()  # keys that signed notes and forks
        self._forks: list[tuple[int, float, int]] = []  # kept, at, seq
        self._agreeing: set[str] = set()  # names of witnesses with a note that fits
        self._marked: set[int] = set()  # sizes of notes that the log's own checkpoints have too
        self._contradictions: list[tuple[str, Checkpoint]] = []
        self._notes = self._sorted_notes()

    def run(self, rows: Iterable[Row], checkpoints: Iterable[Checkpoint]) -> VerificationReport:
        try:
            self._walk(iter(rows), _Peekable(checkpoints))
            self._check_notes()
            self._check_keys()
            if self.strict:
                self._check_recent()
        except ChainBroken as broken:
            cure = CURES[broken.code]
            return self._report(False, first_bad_seq=broken.seq, problem=broken.problem, code=broken.code, cure=cure)
        return self._report(True)

    def _report(self, ok: bool, **more: Any) -> VerificationReport:
        return VerificationReport(
            ok,
            self.tree.size,
            self.signed_to,
            root=self.tree.root(),
            signed_at=self.signed_at,
            witnessed_to=self.witnessed_to,
            remarks=tuple(self.remarks),
            **more,
        )

    def _walk(self, rows: Iterator[Row], marks: _Peekable) -> None:
        tree, sha256 = self.tree, hashlib.sha256
        next_mark, next_note = self._due(marks), self._notes[0][1].seq if self._notes else sys.maxsize
        for row in rows:
            try:
                body = event_bytes(row)
            except (TypeError, ValueError, RecursionError):
                raise ChainBroken(f"event {tree.size + 1} cannot be read", tree.size + 1, "unreadable") from None
            if row[0] != tree.size + 1 or row[6] != self.head or row[7] != sha256(body).hexdigest():
                raise self._bad_row(row, body, rows)
            self.head, self.last_at = row[7], row[1]
            tree.append(body)
            if self.strict and row[0] == 1 and row[2] == "hub.created" and row[3] != self.hub:
                raise ChainBroken(f"this is the log of {_plain(row[3])}, not of {self.hub}", 1, "other_hub")
            self.unsigned_since = self.unsigned_since or row[1]
            self.unwitnessed_since = self.unwitnessed_since or row[1]
            if row[2] in ("audit.key", "audit.forked"):
                self._learn(row)
            if tree.size >= next_mark:
                next_mark = self._meet_checkpoints(marks)
            if tree.size >= next_note:
                next_note = self._meet_notes()
        if self._trouble is None and (left := marks.peek()) is not None:
            self._check_place(left)
            problem = f"the chain ends at {tree.size}, a checkpoint was signed at {left.seq}: cut off"
            self._trouble = self._trouble or ChainBroken(problem, tree.size + 1, "cut")
        if self._trouble is not None:
            raise self._trouble

    def _bad_row(self, row: Row, body: bytes, rows: Iterator[Row]) -> ChainBroken:
        seq, found = self.tree.size + 1, row[0]
        if type(found) is not int:
            return ChainBroken(f"event {seq} cannot be read", seq, "unreadable")
        if found > seq:
            try:
                after = next(rows, None)
            except ChainBroken:
                after = None
            if after is not None and after[0] == seq:
                return ChainBroken(f"events {seq} and {found} changed places", seq, "moved")
            gone = f"event {seq} is" if found == seq + 1 else f"events {seq} to {found - 1} are"
            return ChainBroken(f"{gone} not in place: deleted; {found} follows {seq - 1}", seq, "deleted")
        if found < seq:
            return ChainBroken(f"event {seq} is not in its place: {found} stands there again", seq, "inserted")
        if row[7] != hashlib.sha256(body).hexdigest():
            return ChainBroken(f"event {seq} is not what its hash says: it was edited", seq, "edited")
        problem = f"event {seq} does not follow the event before it: one of the two was written anew"
        return ChainBroken(problem, seq, "edited")

    # ---- checkpoints

    def _due(self, marks: _Peekable) -> int:
        """The seq of the next checkpoint; beyond all where there is none, or one was bad."""
        mark = marks.peek() if self._trouble is None else None
        if isinstance(marks.broken, ChainBroken):
            self._trouble = self._trouble or marks.broken
        return sys.maxsize if mark is None else mark.seq

    def _meet_checkpoints(self, marks: _Peekable) -> int:
        """Those up to here; returns when the next is due."""
        while self._due(marks) <= self.tree.size:
            mark = marks.take()
            self._check_place(mark)
            if self._trouble is not None:
                break
            if mark.hash != self.head or (mark.root and mark.root != self.tree.root()):
                problem = f"a checkpoint at {mark.seq} signed another chain: linked anew since"
                raise ChainBroken(problem, max(self.signed_to, self.witnessed_to) + 1, "rewritten")
            self.signed_to, self.signed_at, self.unsigned_since = mark.seq, mark.at, 0.0
            self._marked.add(mark.seq)
            self._used.setdefault(mark.key, [mark.seq, mark.seq])[1] = mark.seq
        return self._due(marks)

    def _check_place(self, mark: Checkpoint) -> None:
        """Whether a checkpoint follows the one before and is signed; notes the trouble where not."""
        key = self.known.get(mark.key)
        if mark.seq <= self.signed_to:
            self._trouble = ChainBroken(
                f"the checkpoint at {mark.seq} is not in its place", None, "checkpoint_replaced"
            )
        elif key is None:
            problem = f"the checkpoint at {mark.seq} is signed with a key that is not trusted: {_plain(mark.key)}"
            self._trouble = ChainBroken(problem, None, "key_replaced")
        elif not mark.is_by(self.hub, key):
            problem = f"the checkpoint at {mark.seq} has a bad signature: it was replaced, or is of another hub"
            self._trouble = ChainBroken(problem, None, "checkpoint_replaced")
        elif mark.root and mark.previous != self.signed_to:
            problem = f"a checkpoint is missing between {self.signed_to} and {mark.seq}: the one at {mark.previous}"
            self._trouble = ChainBroken(problem, self.signed_to + 1, "checkpoint_missing")

    # ---- what the log says of itself

    def _learn(self, row: Row) -> None:
        """Successions of keys, and forks; whether they are proven is seen at the end."""
        try:
            data = json.loads(row.data)
            if row.kind == "audit.key":
                self._successions.append((row.seq, data))
                self.known.setdefault(key_id(bytes.fromhex(data["public"])), bytes.fromhex(data["public"]))
            elif type(data["kept"]) is int and data["kept"] < row.seq:
                public = self.known[data["key"]]
                word = fork_bytes(self.hub, data["kept"], data["at"])
                if not is_signed(public, word, bytes.fromhex(data["signature"])):
                    raise ValueError
                self._forks.append((data["kept"], float(data["at"]), row.seq))
                self._named.add(data["key"])
        except (KeyError, TypeError, ValueError, RecursionError):
            self.remarks.append(f"event {row.seq} ({row.kind}) proves nothing: it is not signed as it should be")

    def _check_keys(self) -> None:
        """Every key that signed is trusted, or follows from trusted ones, and signed in its own time alone."""
        trusted, ends = self._succession()
        for name in self._named - trusted - set(self._used):
            problem = f"notes are signed with a key that is not trusted, {name}"
            raise ChainBroken(f"{problem}; no event hands the log on to it", None, "key_replaced")
        for name, (first, last) in self._used.items():
            if name not in trusted:
                problem = f"the checkpoint at {first} is signed with a key that is not trusted: {_plain(name)}"
                raise ChainBroken(f"{problem}; no event hands the log on to it", None, "key_replaced")
            if last >= ends.get(name, sys.maxsize):
                problem = f"the key {name} signed at {last}, though another took its place at {ends[name]}"
                raise ChainBroken(problem, ends[name], "key_replaced")

    def _succession(self) -> tuple[set[str], dict[str, int]]:
        """The trusted keys with those that follow from them, and where each was succeeded: the first heir counts, so
        that a key which is stolen later cannot name another.
        """
        trusted, ends, proven = set(self.trusted), {}, []
        for seq, data in self._successions:
            after, old = str(data.get("key")), str(data.get("before", ""))
            is_proven = self._is_handed_on(old, data)
            if old and old != after and old not in ends and (is_proven or after in self.trusted):
                ends[old] = seq
                proven += [(old, after)] if is_proven else []
        for old, after in proven:
            trusted |= {after} if old in trusted else set()
        for old, after in reversed(proven):
            trusted |= {old} if after in trusted else set()
        return trusted, ends

    def _is_handed_on(self, before: str, data: Mapping[str, Any]) -> bool:
        try:
            public, old = bytes.fromhex(data["public"]), self.known.get(before)
            if old is None:
                old = bytes.fromhex(data["before_public"])
                self.known[before] = old
            signature = bytes.fromhex(data["signature"])
        except (KeyError, TypeError, ValueError):
            return False
        return (
            key_id(old) == before
            and key_id(public) == data["key"]
            and is_signed(old, succession_bytes(self.hub, before, public), signature)
        )

    # ---- notes

    def _sorted_notes(self) -> list[tuple[str, Checkpoint]]:
        """All witnesses' notes of this hub by size, the next one first."""
        found = [(place.name, mark) for place in self.witnesses for hub, mark in place.notes if hub in ("", self.hub)]
        return sorted(found, key=lambda one: one[1].seq)

    def _meet_notes(self) -> int:
        """Those up to here; returns when the next is due."""
        taken = 0
        for name, mark in self._notes:
            if mark.seq > self.tree.size:
                break
            taken += 1
            if mark.hash == self.head and mark.root in ("", self.tree.root()):
                self._check_signed(name, mark)
                self.witnessed_to, self.unwitnessed_since = mark.seq, 0.0
                self._agreeing.add(name)
                if self.strict and mark.seq not in self._marked and self._trouble is None:
                    problem = f"the checkpoint at {mark.seq}, which {name} has a copy of, is not in the log"
                    self._trouble = ChainBroken(problem, None, "checkpoint_missing")
            else:
                self._contradictions.append((name, mark))
        del self._notes[:taken]
        return self._notes[0][1].seq if self._notes else sys.maxsize

    def _check_signed(self, name: str, mark: Checkpoint) -> None:
        """Notes the trouble where a note is not this log's."""
        hinted = False
        for key, public in self.known.items():
            if mark.key in (key, key_hint(self.hub, public).hex()):
                hinted = True
                if mark.is_by(self.hub, public):
                    self._named.add(key)
                    return
        what = (
            "is not signed as it should be: it was changed" if hinted else "is signed with a key that is not this log's"
        )
        code = "witness_bad" if hinted else "key_replaced"
        self._trouble = self._trouble or ChainBroken(f"the note at {mark.seq} in {name} {what}", None, code)

    def _check_notes(self) -> None:
        for place in self.witnesses:
            for hub, _ in place.notes:
                if hub not in ("", self.hub):
                    raise ChainBroken(f"{place.name} is of {_plain(hub)}, this is {self.hub}", None, "other_hub")
        later = 0
        for name, mark in [*self._contradictions, *self._notes]:
            self._check_signed(name, mark)
            if self._trouble is not None:
                raise self._trouble
            if self._is_abandoned(mark):
                continue
            if mark.seq <= self.tree.size:
                problem = f"{name} has a note at {mark.seq} that says another history: rewritten since"
                raise ChainBroken(problem, self.witnessed_to + 1, "rewritten")
            if self.now is not None or mark.at <= self.signed_at:
                problem = (
                    f"the log ends at {self.tree.size}, {name} has seen it at {mark.seq}: cut off, or an old backup"
                )
                raise ChainBroken(problem, self.tree.size + 1, "cut")
            later = max(later, mark.seq)
        if later:
            self.remarks.append(f"the witnesses have seen the log at {later} since: this is its state of before")

    def _is_abandoned(self, mark: Checkpoint) -> bool:
        for kept, at, seq in self._forks:
            if mark.seq > kept and mark.at <= at:
                remark = f"a backup was restored: event {seq} says that what followed {kept} was given up"
                if not any(line.startswith(remark) for line in self.remarks):
                    self.remarks.append(f"{remark} (a witness had seen the log at {mark.seq})")
                return True
        return False

    # ---- how recent

    def _check_recent(self) -> None:
        count, moment = self.tree.size, self.last_at if self.now is None else self.now
        if count and not self.signed_to:
            raise ChainBroken("no checkpoint vouches for anything here", 1, "no_checkpoint")
        if count > self.signed_to:
            waited = moment - self.unsigned_since
            if not -CLOCK_SKEW <= waited <= UNSIGNED_SECONDS or count - self.signed_to > UNSIGNED_ROWS:
                problem = f"events from {self.signed_to + 1} on have no recent checkpoint ({_age(waited)})"
                raise ChainBroken(problem, self.signed_to + 1, "stale")
        for place in self.witnesses:
            if place.required and count and place.name not in self._agreeing:
                raise ChainBroken(f"{place.name} has no note of this log", None, "witness_missing")
            if place.required and count > self.witnessed_to:
                waited = moment - self.unwitnessed_since
                if not -CLOCK_SKEW <= waited <= UNWITNESSED_SECONDS:
                    problem = f"events from {self.witnessed_to + 1} on are in no note of {place.name} ({_age(waited)})"
                    raise ChainBroken(problem, self.witnessed_to + 1, "witness_stale")


def _plain(word: object) -> str:
    """A word of a stranger's, for a sentence."""
    return ascii(str(word)[:64])[1:-1]


def _age(seconds: float) -> str:
    return f"for {seconds:.0f} s" if seconds >= 0 else "their time is in the future"


class _Peekable:
    """Checkpoints one at a time; where reading them fails the reason is in `broken`."""

    def __init__(self, marks: Iterable[Checkpoint]) -> None:
        self._marks = iter(marks)
        self._next: Checkpoint | None = None
        self.broken: ChainBroken | None = None

    def peek(self) -> Checkpoint | None:
        if self._next is None and self.broken is None:
            try:
                self._next = next(self._marks, None)
            except ChainBroken as broken:
                self.broken = broken
        return self._next

    def take(self) -> Checkpoint:
        mark, self._next = self.peek(), None
        assert mark is not None  # noqa: S101 - the caller has peeked
        return mark
