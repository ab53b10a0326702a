"""Two machines under one identity: what proves it, and what does not."""

from __future__ import annotations

import pytest

from hub.core.copied_identity import MAX_PROCESSES, WINDOW, CopyDetector


def first_proof(order: str, gap: float = 1.0) -> int | None:
    """After how many links of these processes, one letter each, two machines are proven; None where they are not."""
    detector = CopyDetector()
    found = [at for at, process in enumerate(order, 1) if detector.note("web-1", process.strip("-"), at * gap)]
    return found[0] if found else None


@pytest.mark.parametrize(
    ("order", "proof"),
    [
        ("abab", 4),  # two that take the link from each other
        ("aabbaabb", 7),  # with breaks of the network between
        ("abaca", 5),  # the copy is restarted all the time
        ("abcabc", 5),  # three of them
        ("aaaa", None),  # one, on a bad line
        ("abcdefg", None),  # one, restarted again and again
        ("aba", None),  # put back to a snapshot of its memory
        ("abacd", None),  # and restarted since
        ("----", None),  # agents of a version that does not say
        ("a-a-a", None),
    ],
)
def test_what_proves_a_copy(order: str, proof: int | None) -> None:
    """A process that comes back after another one, twice."""
    assert first_proof(order) == proof


def test_what_is_long_ago_proves_nothing() -> None:
    """A snapshot that is put back every hour is no second machine."""
    assert first_proof("abababab", WINDOW + 1) is None


def test_machines_are_told_apart_and_what_is_remembered_is_bounded() -> None:
    """One machine's processes say nothing of another's; the oldest of very many are forgotten."""
    detector = CopyDetector()
    for at, (name, process) in enumerate([("web-1", "a"), ("web-2", "b"), ("web-1", "b"), ("web-2", "a")] * 2):
        assert detector.note(name, process, float(at)) is (at in (6, 7))
    many = CopyDetector()
    for number in range(5 * MAX_PROCESSES):
        assert not many.note("web-1", f"p{number}", float(number))
    assert not many.note("web-1", "p0", 0.0)
    assert not many.note("web-1", "p1", 0.0)
    many.forget("web-1")
    assert not many.note("web-1", "p0", 0.0)
