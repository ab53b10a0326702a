"""common.doctor.findings: judgements of values, how they are told, and the exit status."""

from __future__ import annotations

from common.doctor.findings import (
    Finding,
    exit_status,
    finding_lines,
    findings_json,
    judge_certificate,
    judge_mode,
    judge_proxies,
    judge_skew,
    judge_space,
    program_version,
)
from tests.each import each_of

MIB = 2**20


@each_of(
    ("finding", "state", "words"),
    [
        (judge_space("/s", 900 * MIB, 2000 * MIB, 5, 10), "ok", "900 MiB free of 2,000 MiB at /s"),
        (judge_space("/s", 200 * MIB, 2000 * MIB, 5, 10), "warn", "200 MiB"),
        (judge_space("/s", 900 * MIB, 90_000 * MIB, 5, 10), "warn", "900 MiB"),
        (judge_space("/s", 15 * MIB, 2000 * MIB, 5, 10), "bad", "15 MiB"),
        (judge_space("/s", 900 * MIB, 2000 * MIB, 0, 10), "bad", "no inode free"),
        (judge_space("/s", 900 * MIB, 2000 * MIB, 0, 0), "ok", "900 MiB"),  # btrfs counts none
        (judge_certificate("it", 0, 100_000, 50_000, "T", "renew"), "ok", "good until T (14 h left)"),
        (judge_certificate("it", 0, 100_000, 95_000, "T", "renew"), "warn", "(1 h left)"),
        (judge_certificate("it", 0, 1e7, 10, "T", "renew"), "ok", "good until T"),
        (judge_certificate("it", 0, 100_000, 100_000, "T", "renew"), "bad", "it ran out at T"),
        (judge_certificate("it", 10, 100_000, 0, "T", "renew"), "bad", "clock is behind"),
        (judge_skew(0.2, 300), "ok", "within 1 s"),
        (judge_skew(301, 300), "bad", "301 s ahead of the hub's"),
        (judge_skew(-7200, 300), "bad", "7200 s behind the hub's"),
        (judge_proxies({"HTTPS_PROXY": "", "PATH": "x"}), "ok", "none is set"),
        (judge_proxies({"https_proxy": "http://p"}), "warn", "https_proxy is set"),
        (program_version("p", "1", "3.11"), "ok", "p 1 on Python 3.11"),
        (program_version("p", "2", "3.11", "1"), "warn", "p 2 is installed, 1 runs"),
        (judge_mode("/k", 0o640, 5, 5, secret=True), None, ""),
        (judge_mode("/k", 0o644, 5, 5, secret=True), "bad", "lets others at a secret"),
        (judge_mode("/k", 0o644, 0, 5, secret=False), "bad", "belongs to user 0, the rest of its folder to user 5"),
    ],
)
def test_judgements(finding: Finding | None, state: str | None, words: str) -> None:
    """Each bound on both of its sides; what is not well has a cure."""
    assert (finding.state if finding else None) == state
    if finding is not None:
        assert words in finding.found
        assert bool(finding.cure) == (finding.state != "ok")


def test_how_it_is_told() -> None:
    """A line each, the cure below, a sum; control characters do nothing; 1 only where something is bad."""
    well, odd = Finding("disk", "ok", "room"), Finding("clock", "unknown", "no\x1b[2J", "see it")
    bad = Finding("name", "bad", "h: not known", "see /etc/hosts")
    lines = finding_lines([well, odd, bad])
    assert lines[0].split() == ["ok", "disk", "room"]
    assert all(line.isprintable() for line in lines)
    assert lines[-2].strip() == "-> see /etc/hosts"
    assert lines[-1] == "3 checks: 1 bad, 1 unknown"
    assert finding_lines([well])[-1] == "1 checks: all is well"
    assert (exit_status([well, odd]), exit_status([well, bad])) == (0, 1)
    assert findings_json([bad]) == {
        "ok": False,
        "checks": [{"check": "name", "state": "bad", "found": "h: not known", "cure": "see /etc/hosts"}],
    }
