"""What a doctor finds: checks with a state, a sentence and a cure; how they are shown, and the exit status. Pure.

ok        as it should be
warn      it works, and something wants looking at
bad       it does not work, or will not for long; `cure` says what to do
unknown   this user, or this machine, cannot tell; `cure` says who can
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from common.errors import EXIT_FAILED, EXIT_OK
from common.text import clean

FindingState = Literal["ok", "warn", "bad", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    state: FindingState
    found: str
    cure: str = ""


def finding_lines(findings: Sequence[Finding]) -> list[str]:
    """A line a finding, its cure on a line of its own; at the end how many want something."""
    width = max((len(finding.check) for finding in findings), default=0)
    lines = []
    for finding in findings:
        lines.append(f"{finding.state:<8} {finding.check:<{width}}  {clean(finding.found, limit=600)}")
        if finding.cure:
            lines.append(f"{'':<{width + 11}}-> {clean(finding.cure, limit=600)}")
    bad, warn, unknown = (sum(found.state == state for found in findings) for state in ("bad", "warn", "unknown"))
    told = [f"{count} {word}" for count, word in ((bad, "bad"), (warn, "to look at"), (unknown, "unknown")) if count]
    lines.append(f"{len(findings)} checks: {', '.join(told) or 'all is well'}")
    return lines


def findings_json(findings: Sequence[Finding]) -> dict[str, Any]:
    return {"ok": exit_status(findings) == EXIT_OK, "checks": [asdict(finding) for finding in findings]}


def exit_status(findings: Sequence[Finding]) -> int:
    """1 where something is bad; what wants looking at or cannot be told is no failure."""
    return EXIT_FAILED if any(finding.state == "bad" for finding in findings) else EXIT_OK


# ---- judgements that both programs make


def judge_space(path: str, free: float, total: float, files_free: int, files: int) -> Finding:
    """Room on the file system of `path`, in bytes and files."""
    mib = free / 2**20
    text = f"{mib:,.0f} MiB free of {total / 2**20:,.0f} MiB at {path}"
    if files and not files_free:
        return Finding(
            "disk", "bad", f"no file can be made at {path}: it has no inode free", "delete small files there"
        )
    if mib < 16:
        return Finding("disk", "bad", text, "make room: with a full disk nothing can be recorded, so nothing starts")
    if mib < 256 or free < total * 0.02:
        return Finding("disk", "warn", text, "make room before it is full")
    return Finding("disk", "ok", text)


def judge_mode(path: str, mode: int, owner: int, user: int, *, secret: bool) -> Finding | None:
    """None where the file is as it should be: a secret is its owner's alone, and the owner is whom it serves."""
    if secret and mode & 0o027:
        return Finding(
            "permissions", "bad", f"{path}: mode {mode & 0o777:04o} lets others at a secret", f"chmod 600 {path}"
        )
    if owner != user:
        return Finding(
            "permissions",
            "bad",
            f"{path} belongs to user {owner}, the rest of its folder to user {user}",
            f"chown {user} {path}",
        )
    return None


def judge_certificate(what: str, not_before: float, not_after: float, now: float, when: str, cure: str) -> Finding:
    """A certificate's validity; `when` is its end as people read it."""
    check = f"certificate of {what}"
    if now < not_before:
        return Finding(
            check, "bad", "it is not valid yet: this clock is behind", "set the clock: timedatectl set-ntp true"
        )
    if now >= not_after:
        return Finding(check, "bad", f"it ran out at {when}", cure)
    left = not_after - now
    text = f"good until {when} ({left / 3600:.0f} h left)" if left < 3 * 86_400 else f"good until {when}"
    short = left < 0.1 * (not_after - not_before)
    return Finding(check, "warn" if short else "ok", text, cure if short else "")


def judge_skew(seconds: float, bound: float) -> Finding:
    """How far this clock is from the hub's."""
    if abs(seconds) <= bound:
        return Finding("clock", "ok", f"within {max(1.0, abs(seconds)):.0f} s of the hub's")
    way = "ahead of" if seconds > 0 else "behind"
    return Finding("clock", "bad", f"{abs(seconds):.0f} s {way} the hub's", "set it: timedatectl set-ntp true")


def judge_proxies(environment: dict[str, str]) -> Finding:
    """Links go straight to the hub; a proxy in the environment changes nothing, and people expect that it does."""
    names = sorted(
        name for name in environment if name.lower() in ("http_proxy", "https_proxy", "all_proxy") and environment[name]
    )
    if not names:
        return Finding("proxy", "ok", "none is set; links go straight to the hub")
    return Finding(
        "proxy",
        "warn",
        f"{', '.join(names)} is set, and links do not use it",
        "let the hub's link port be reached directly; nothing on the way may end its TLS",
    )


def program_version(
    name: str, version: str, python: str, running: str = "", cure: str = "restart what runs"
) -> Finding:
    if running and running != version:
        return Finding("version", "warn", f"{name} {version} is installed, {running} runs (Python {python})", cure)
    return Finding("version", "ok", f"{name} {version} on Python {python}")
