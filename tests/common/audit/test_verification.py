"""Whatever is done to a log, its checkpoints or its key: found, and named by what was done, the row and the cure.

The controls here, each with its test: recency, notes of witnesses, the tree's root, the chain of checkpoints, the
succession of keys, declared forks.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from common.audit.checkpoint import Checkpoint
from common.audit.event import Row
from common.audit.verification import (
    CURES,
    UNSIGNED_SECONDS,
    UNWITNESSED_SECONDS,
    Verification,
    VerificationReport,
    Witness,
)
from common.identity.signing import SigningKey
from hub.core.audit_chain import GENESIS, ChainHead, extend, sign_checkpoint
from tests.common.audit.logs import HUB, NOW, Log, a_log, verified, witness

OTHER = SigningKey.generate()


def linked_anew(log: Log, at: int, actor: str = "mallory") -> Log:
    """The log with event `at` changed and everything behind it hashed again; the checkpoints as they were."""
    rows = list(log.rows[: at - 1])
    for row in log.rows[at - 1 :]:
        head = ChainHead(rows[-1].seq, rows[-1].hash) if rows else GENESIS
        changed = row._replace(actor=actor) if row.seq == at else row
        data = {"number": row.seq} if row.seq == at else {"number": row.seq - 1, "text": "héllo"}
        rows.append(extend(head, changed.at, changed.kind, changed.subject, changed.actor, data))
    return replace_rows(log, rows)


def replace_rows(log: Log, rows: list[Row], marks: list[Checkpoint] | None = None) -> Log:
    return Log(log.key, log.hub, rows, log.marks if marks is None else marks, log.begun)


def told(report: VerificationReport) -> tuple[bool, str, int | None]:
    return report.ok, report.code, report.first_bad_seq


def test_a_whole_log_holds() -> None:
    """With how far it is signed and seen, the root, and when it was signed last."""
    log = a_log()
    report = verified(log, witness(log))
    assert told(report) == (True, "", None), report.problem
    assert (report.checked, report.signed_to, report.witnessed_to) == (9, 9, 9)
    assert (report.root, report.signed_at) == (log.marks[-1].root, log.marks[-1].at)
    assert verified(Log()).ok


def edit(rows: list[Row], at: int) -> list[Row]:
    return [*rows[: at - 1], rows[at - 1]._replace(data='{"number":0}'), *rows[at:]]


SPOILT: dict[str, tuple[Callable[[Log], Log], str, int | None]] = {
    "edited": (lambda log: replace_rows(log, edit(log.rows, 4)), "edited", 4),
    "hash put right": (
        lambda log: replace_rows(log, [*linked_anew(log, 4).rows[:4], *log.rows[4:]]),
        "edited",
        5,
    ),
    "deleted": (lambda log: replace_rows(log, [*log.rows[:3], *log.rows[4:]]), "deleted", 4),
    "three deleted": (lambda log: replace_rows(log, [*log.rows[:3], *log.rows[6:]]), "deleted", 4),
    "swapped": (
        lambda log: replace_rows(log, [*log.rows[:3], log.rows[4], log.rows[3], *log.rows[5:]]),
        "moved",
        4,
    ),
    "inserted": (lambda log: replace_rows(log, [*log.rows[:4], log.rows[1], *log.rows[4:]]), "inserted", 5),
    "unreadable": (
        lambda log: replace_rows(log, [*log.rows[:3], log.rows[3]._replace(data=b"x"), *log.rows[4:]]),  # type: ignore[arg-type]
        "unreadable",
        4,
    ),
    "number gone": (
        lambda log: replace_rows(log, [*log.rows[:3], log.rows[3]._replace(seq="4"), *log.rows[4:]]),  # type: ignore[arg-type]
        "unreadable",
        4,
    ),
    "rewritten": (lambda log: linked_anew(log, 5), "rewritten", 4),
    "cut, checkpoints left": (lambda log: replace_rows(log, log.rows[:8]), "cut", 9),
    "checkpoint replaced": (
        lambda log: replace_rows(log, log.rows, [log.marks[0], replace(log.marks[1], at=1.0), log.marks[2]]),
        "checkpoint_replaced",
        None,
    ),
    "checkpoints in another order": (
        lambda log: replace_rows(log, log.rows, [log.marks[0], log.marks[0], *log.marks[1:]]),
        "checkpoint_replaced",
        None,
    ),
    "checkpoint deleted": (
        lambda log: replace_rows(log, log.rows, [log.marks[0], log.marks[2]]),
        "checkpoint_missing",
        4,
    ),
    "checkpoints deleted": (lambda log: replace_rows(log, log.rows, []), "no_checkpoint", 1),
    "signed by another": (
        lambda log: Log(log.key, log.hub, log.rows, [], log.begun).mark(OTHER),
        "key_replaced",
        None,
    ),
}


def test_each_kind_is_found_and_named() -> None:
    """Trust: A7, edits, reorder, deletion, truncation, replaced and deleted checkpoints, by name, row and cure."""
    for name, (spoil, code, seq) in SPOILT.items():
        report = verified(spoil(a_log()))
        assert told(report) == (False, code, seq), f"{name}: {report}"
        assert report.cure == CURES[code], name


def test_a_total_rewrite_without_checkpoints_does_not_hold() -> None:
    """Trust: A7, the case that held before: all rows written anew and the checkpoints deleted. Without a witness it is
    the missing checkpoint that tells, with one it is what that has seen; and nothing else makes it hold.
    """
    log = a_log()
    forged = linked_anew(log, 1)
    forged.marks = []
    assert told(verified(forged)) == (False, "no_checkpoint", 1)
    assert told(verified(forged, witness(log))) == (False, "rewritten", 1)
    signed = Log(OTHER, rows=forged.rows).mark()
    assert verified(signed, keys=log.keys).code == "key_replaced"
    assert told(verified(signed, witness(log), keys={OTHER.id: OTHER.public})) == (False, "rewritten", 1)


def test_what_only_a_witness_tells() -> None:
    """Trust: A7, with rows and checkpoints both taken back to an earlier state, or signed anew with the stolen key."""
    log = a_log()
    old = log.cut(7)
    assert verified(old).ok
    assert told(verified(old, witness(log))) == (False, "cut", 8)
    stolen = linked_anew(log, 5)
    stolen.marks = log.cut(3).marks
    stolen.mark()
    assert verified(stolen).ok
    report = verified(stolen, witness(log))
    assert told(report) == (False, "rewritten", 4)
    assert "file has a note at 7" in report.problem


def test_checkpoints_that_a_witness_has_are_in_the_log() -> None:
    """Trust: A7, deleted checkpoints that later ones do not tell of."""
    log = a_log()
    fewer = replace_rows(log, log.rows, log.marks[:1])
    fewer.mark()
    report = verified(fewer, witness(log))
    assert told(report) == (False, "checkpoint_missing", None)
    assert "at 7" in report.problem


def test_a_checkpoint_has_to_be_recent() -> None:
    """Trust: A7, by time and by events, and rows dated into the future do not pass as recent."""
    log = a_log().add(2)
    last = log.rows[9].at
    assert verified(log, now=last + UNSIGNED_SECONDS - 1).ok
    assert told(verified(log, now=last + UNSIGNED_SECONDS + 1)) == (False, "stale", 10)
    assert told(verified(log, now=last - 301)) == (False, "stale", 10)


def test_a_checkpoint_has_to_be_recent_by_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.audit.verification.UNSIGNED_ROWS", 3)
    assert verified(a_log().add(3)).ok
    assert told(verified(a_log().add(4))) == (False, "stale", 10)


def test_the_own_witness_has_to_be_there_and_current() -> None:
    """Trust: A7, a witness that was emptied or that nothing reaches any more."""
    log = a_log()
    assert told(verified(log, Witness("file", [], True))) == (False, "witness_missing", None)
    assert verified(log, Witness("a chat", [])).ok
    behind = Witness("file", log.notes()[:1], True)
    since = log.rows[3].at
    assert verified(log, behind, now=since + UNWITNESSED_SECONDS - 1).ok
    assert told(verified(log, behind, now=since + UNWITNESSED_SECONDS + 1)) == (False, "witness_stale", 4)


def test_a_note_that_was_changed_or_is_not_ours_is_named() -> None:
    log, other = a_log(), Log(OTHER, "hub-2").add(9).mark()
    changed = [(HUB, replace(log.marks[1], at=5.0))]
    assert verified(log, Witness("file", changed, True)).code == "witness_bad"
    foreign = Log(OTHER).add(9).mark()
    assert verified(log, Witness("file", foreign.notes(), True)).code == "key_replaced"
    report = verified(log, Witness("file", [*log.notes(), *other.notes()], True))
    assert (report.code, "hub-2" in report.problem) == ("other_hub", True)


def test_a_swapped_database_is_named() -> None:
    """Trust: A7, another hub's database in the place of this one's, with that hub's own good checkpoints."""
    log, other = a_log(), Log(OTHER, "hub-2").add(12, kind="job.other").mark()
    assert verified(other, keys=log.keys).code == "checkpoint_replaced"
    named = Log(OTHER, "hub-2", [extend(GENESIS, NOW, "hub.created", "hub-2", "terminal", {})]).add(3)
    assert told(verified(named, keys=log.keys)) == (False, "other_hub", 1)
    with_key = Log(log.key, "hub-2").add(12).mark()
    assert verified(with_key, keys=log.keys).code == "checkpoint_replaced"
    unsigned = replace_rows(other, other.rows, [])
    assert told(verified(unsigned, witness(log), keys=log.keys)) == (False, "rewritten", 1)


# ---- keys


def handed_on() -> tuple[Log, SigningKey]:
    log, old = a_log(), a_log().key
    return log.hand_on(OTHER).mark().add(3).mark(), old


def test_a_key_hands_on_to_the_next() -> None:
    """Who trusts either of the two trusts the log of both, each in its own time; notes of both count."""
    log, old = handed_on()
    for keys in ({old.id: old.public}, {OTHER.id: OTHER.public}):
        report = verified(log, witness(log), keys=keys)
        assert told(report) == (True, "", None), report.problem


def test_a_key_that_was_not_handed_on_is_named() -> None:
    """Trust: A7, the key was replaced: without the old key's word, or the old one goes on signing."""
    old = a_log().key
    unsigned = a_log().hand_on(OTHER, signed=False).mark()
    for keys in ({old.id: old.public}, {OTHER.id: OTHER.public}):
        assert verified(unsigned, keys=keys).code == "key_replaced"
    assert verified(unsigned, keys={old.id: old.public, OTHER.id: OTHER.public}).ok
    late = a_log().hand_on(OTHER).mark().add()
    late.mark(old)
    assert told(verified(late, keys={OTHER.id: OTHER.public})) == (False, "key_replaced", 10)


def test_a_key_cannot_hand_on_twice() -> None:
    """Trust: A7, an old key that was stolen later names another heir: the first heir is the one."""
    thief = SigningKey.generate()
    log, old = handed_on()
    log.key = old
    log.hand_on(thief).mark()
    assert verified(log, keys={OTHER.id: OTHER.public}).code == "key_replaced"
    assert verified(log, keys={old.id: old.public}).code == "key_replaced"


def test_a_key_that_the_file_names_itself_proves_nothing() -> None:
    log = Log(OTHER).add(4).mark()
    run = Verification(HUB, a_log().keys, named={OTHER.id: OTHER.public}, now=log.rows[-1].at)
    assert run.run(log.rows, log.marks).code == "key_replaced"


# ---- forks


def restored() -> tuple[Log, Log]:
    """A log, and the one that went on from a backup of its event 7."""
    log = a_log()
    after = log.cut(7)
    after.begun = NOW + 1_000.0
    return log, after.add(2)


def test_a_declared_restore_is_no_alarm() -> None:
    """Trust: A7, what the witness saw beyond the backup was given up by an admin: it holds, and says so."""
    log, after = restored()
    after.mark()
    assert told(verified(after, witness(log))) == (False, "rewritten", 8)
    log, after = restored()
    after.fork(7, NOW + 1_005.0).mark()
    seen = Witness("file", [*log.notes(), *after.notes()], True)
    report = verified(after, seen)
    assert told(report) == (True, "", None), report.problem
    assert report.remarks == (
        "a backup was restored: event 10 says that what followed 7 was given up (a witness had seen the log at 9)",
    )


def test_a_fork_excuses_nothing_else() -> None:
    """Trust: A7, not what was kept, not what was signed later, not with another's word or none."""
    log, after = restored()
    after.fork(8, NOW + 1_005.0).mark()
    assert verified(after, witness(log)).ok
    last = log.marks[-1]
    late = sign_checkpoint(log.key, HUB, ChainHead(9, last.hash), last.root, NOW + 2_000.0, 7)
    report = verified(after, Witness("file", [*after.notes(), (HUB, late)], True))
    assert (report.code, "at 9" in report.problem) == ("rewritten", True)
    log, after = restored()
    after.fork(5, NOW + 1_005.0).mark()
    forged = linked_anew(log, 2)
    assert not verified(replace_rows(forged, forged.rows, []), witness(log)).ok
    for key, code in ((OTHER, "rewritten"), (None, "rewritten")):
        log, after = restored()
        own = after.key
        after.key = key or own
        after.fork(7, NOW + 1_005.0)
        if key is None:
            after.rows.pop()
            after.add(kind="audit.forked", data={"kept": 7, "at": NOW + 1_005.0, "key": own.id, "signature": "00"})
        after.key = own
        after.mark()
        assert verified(after, witness(log)).code == code


def test_a_fork_cannot_be_signed_by_who_is_not_trusted() -> None:
    """Trust: A7, a key that an event names without proof declares no fork."""
    log, after = restored()
    own = after.key
    after.hand_on(OTHER, signed=False).fork(7, NOW + 1_005.0)
    after.key = own
    after.mark()
    assert verified(after, witness(log), keys=log.keys).code == "key_replaced"


# ---- many


def test_random_edits_and_rewrites_are_all_found() -> None:
    """Trust: A7, a bounded share of the thousand edits and hundred rewrites that tests/bench/audit.py does."""
    rng, log = random.Random(4), a_log()
    seen = witness(log)
    for _ in range(60):
        at, rows = rng.randint(1, 9), list(log.rows)
        field = rng.choice(["at", "kind", "subject", "actor", "data", "previous", "hash"])
        old = getattr(rows[at - 1], field)
        new = old + 1 if isinstance(old, float) else old.replace(old[-1], "x" if old[-1] != "x" else "y")
        rows[at - 1] = rows[at - 1]._replace(**{field: new})
        report = verified(replace_rows(log, rows))
        assert (report.ok, report.first_bad_seq) == (False, at), field
    for at in range(1, 10):
        forged = linked_anew(log, at, f"m{rng.random()}")
        assert not verified(forged).ok
        forged.marks = log.cut(at - 1).marks
        assert not verified(forged.mark(), seen).ok


def test_a_checkpoint_whose_tree_is_another_is_found() -> None:
    """Trust: A7, right chain, wrong root, properly signed: by a hub whose kept tree was spoilt."""
    log = a_log(marked=(3,))
    head = ChainHead(9, log.rows[-1].hash)
    log.marks.append(sign_checkpoint(log.key, HUB, head, log.marks[0].root, log.rows[-1].at, 3))
    assert told(verified(log)) == (False, "rewritten", 4)
