"""`answerback-agent doctor`: what keeps this machine from its hub, or soon will, and what to do about it.

It looks at files, the clock and the hub's link port, and changes nothing: it does not attach to the runner and does not
dial the hub as this machine, either of which would end the link that it is asked about.
"""

from __future__ import annotations

import os
import platform
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from agent.approvers import ADD_HINT, load_approvers
from agent.holder import read_holder
from agent.link_report import LinkReport, read_report
from agent.lock import is_locked
from agent.machine_policy import load_machine_policy
from agent.place import moved_error
from agent.runner.job_user import EVERYTHING, MAKE_HINT, NOBODY
from agent.state import AgentSettings, StateFolder
from agent.status import refused_upgrade, runner_version
from common.doctor.findings import (
    Finding,
    judge_certificate,
    judge_mode,
    judge_proxies,
    judge_skew,
    program_version,
)
from common.doctor.machine_checks import check_clock_kept, check_name, check_space
from common.errors import UserError
from common.identity.tls import compute_pin
from common.identity.trust import has_pin
from common.link.enrolment import MAX_CLOCK_SKEW, fetch_authority
from common.read_file import read_bytes
from common.text import clean
from common.times import format_moment, local_zone
from common.values import parse_url
from common.version import VERSION

UPGRADE: Final = "answerback-agent upgrade: jobs run on meanwhile"
JOIN: Final = "join it: paste the command that `answerback-hub token --agent NAME` prints on the hub"


async def examine(state: StateFolder, environment: Mapping[str, str], now: float) -> list[Finding]:
    """All checks, in the order in which one would look."""
    seen = _what_is_hidden(state)
    settings, found = _settings(state)
    report = _report(state)
    running = report.version if report is not None and is_locked(state.lock) else ""
    own = program_version("answerback-agent", VERSION, platform.python_version(), running, cure=UPGRADE)
    findings = [own, *seen, found]
    findings += _permissions(state)
    findings.append(_holder(state))
    findings.append(check_space(state.path))
    if settings is not None:
        findings.append(_certificate(state, now))
    findings += [_policy(state), *_job_user(state)]
    findings.append(check_clock_kept())
    findings.append(judge_proxies(dict(environment)))
    if settings is not None:
        findings += await _hub(settings, state, now)
    uplink = is_locked(state.lock)
    version = runner_version(state, report if uplink else None)
    findings += [_runner(version, is_locked(state.runner_lock)), _process("uplink", uplink)]
    findings += _upgrade(state)
    findings.append(_link(report, uplink))
    return findings


def _what_is_hidden(state: StateFolder) -> list[Finding]:
    hidden = [str(folder) for folder in (state.uplink, state.runner) if _is_hidden(folder)]
    if not hidden:
        return []
    return [Finding("rights", "unknown", f"{' and '.join(hidden)} may not be read by this user", "run this with sudo")]


def _is_hidden(folder: Path) -> bool:
    try:
        return folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK)
    except OSError:
        return True  # a folder above it keeps us out


def _settings(state: StateFolder) -> tuple[AgentSettings | None, Finding]:
    try:
        settings = state.settings()
    except PermissionError:
        return None, Finding("joined", "unknown", f"{state.settings_file} may not be read", "run this with sudo")
    except UserError as error:
        hidden = _is_hidden(state.uplink)
        if hidden:
            return None, Finding("joined", "unknown", error.problem, "run this with sudo")
        return None, Finding("joined", "bad", error.problem, JOIN if not state.is_joined() else error.cure)
    return settings, Finding("joined", "ok", f"{settings.name} of hub {settings.hub} at {settings.url}")


def _report(state: StateFolder) -> LinkReport | None:
    try:
        return read_report(state.link_report)
    except PermissionError:
        return None


def _permissions(state: StateFolder) -> list[Finding]:
    """Each file is its folder's owner's, and what is secret nobody else's."""
    bad: list[Finding] = []
    looked = False
    for folder in (state.uplink, state.runner):
        try:
            owner = folder.stat().st_uid
            entries = [entry for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False)]
            looked = True
            for entry in entries:
                found = entry.stat(follow_symlinks=False)
                secret = entry.name.startswith("key.pem")
                judged = judge_mode(entry.path, stat.S_IMODE(found.st_mode), found.st_uid, owner, secret=secret)
                bad += [judged] if judged is not None else []
        except OSError:
            continue
    if bad:
        return bad[:10]
    return [Finding("permissions", "ok", "files belong to their folders' owners")] if looked else []


def _holder(state: StateFolder) -> Finding:
    holder = read_holder(state)
    if holder is None:
        return Finding("holder", "unknown", "its journal and links are not this user's to see", "run this with sudo")
    if not holder.moved:
        return Finding("holder", "ok", str(holder))
    error = moved_error(state.path, holder.moved)
    return Finding("holder", "bad", error.problem, error.cure)


def _certificate(state: StateFolder, now: float) -> Finding:
    try:
        state.credential.check_key()
        validity = state.credential.validity()
    except UserError as error:
        return Finding("certificate of this machine", "bad", error.problem, error.cure)
    when = format_moment(validity.not_after, None, local_zone, seconds=False)
    cure = "let it reach its hub, which renews it; if the hub says no, join again with a new token"
    return judge_certificate("this machine", validity.not_before, validity.not_after, now, when, cure)


def _policy(state: StateFolder) -> Finding:
    """This machine's own policy; a file that cannot be read refuses every order."""
    if _is_hidden(state.runner):
        return Finding("policy", "unknown", f"{state.policy} may not be read", "run this with sudo")
    try:
        policy = load_machine_policy(state.policy)
    except UserError as error:
        return Finding("policy", "bad", f"every order is refused: {error.problem}", error.cure)
    try:
        known = load_approvers(state.approvers)
    except UserError as error:
        return Finding("policy", "bad", f"what is critical is refused: {error.problem}", error.cure)
    if not known and any(rule.critical for rule in policy.policy.rules):
        return Finding("policy", "warn", "rules are critical, and nobody's own signature is known here", ADD_HINT)
    return Finding("policy", "ok", f"{state.policy}: {policy.describe()}")


def _job_user(state: StateFolder) -> list[Finding]:
    """As whom jobs run, as the runner that was started last has said; nothing where it has not."""
    try:
        said = clean(read_bytes(state.job_user, 1_000).decode("utf-8", "replace"))
    except UserError:
        return []
    if NOBODY in said:
        return [Finding("jobs", "bad", f"those that need no root are refused: {NOBODY} for them", MAKE_HINT)]
    if EVERYTHING in said:
        cure = f"give it a user for what needs no root: {MAKE_HINT}"
        return [Finding("jobs", "warn", "all of them run as root, also those that no rule says it of", cure)]
    return [Finding("jobs", "ok", f"they run as {said}")]


def _judge_authority(trusted: bytes, shown: str) -> Finding:
    try:
        if has_pin(trusted, compute_pin(shown)):
            return Finding("authority", "ok", "the hub has an authority that this machine trusts")
    except ValueError:
        pass
    return Finding(
        "authority",
        "bad",
        "the hub shows another authority than this machine trusts",
        "someone may be in between; or the hub was set up anew or its authority replaced while this machine was away,"
        " and it must join again",
    )


async def _hub(settings: AgentSettings, state: StateFolder, now: float) -> list[Finding]:
    """Name, port, authority and clock of the hub, by a request that anyone may make."""
    place = parse_url(settings.url)
    name = await check_name(place.host, "see /etc/hosts and /etc/resolv.conf, or join again with an address")
    if name.state != "ok":
        return [name]
    try:
        fetched = await fetch_authority(place, "agent")
    except UserError as error:
        return [name, Finding("port", "bad", error.problem, error.cure)]
    found = [name, Finding("port", "ok", f"a hub's link port answers at {place}")]
    try:
        known = read_bytes(state.credential.authority)
    except UserError as error:
        found.append(Finding("authority", "bad", error.problem, error.cure))
    else:
        found.append(_judge_authority(known, fetched.pem))
    if fetched.date is not None:
        found.append(judge_skew(now - fetched.date, MAX_CLOCK_SKEW))
    return found


def _process(name: str, up: bool | None) -> Finding:
    if up is None:
        return Finding(name, "unknown", "not this user's to see", "run this with sudo")
    if up:
        return Finding(name, "ok", "it runs")
    service = "answerback-runner" if name == "runner" else "answerback-agent"
    return Finding(name, "bad", "it does not run", f"systemctl start {service}, or answerback-agent run")


def _runner(version: str, up: bool | None) -> Finding:
    """Whether it runs, and as which version: it goes on as another one only when it is asked to."""
    if not up or not version:
        return _process("runner", up)
    if version != VERSION:
        return Finding("runner", "warn", f"version {version} runs, {VERSION} is installed", UPGRADE)
    return Finding("runner", "ok", f"it runs, version {version}")


def _upgrade(state: StateFolder) -> list[Finding]:
    """What was refused when it was asked for last; nothing where it went well, or was never asked for."""
    refused = refused_upgrade(state)
    return [Finding("upgrade", "warn", f"refused: {refused}", UPGRADE)] if refused else []


def _link(report: LinkReport | None, up: bool | None) -> Finding:
    if up is None:
        return Finding("link", "unknown", "not this user's to see", "run this with sudo")
    if not up:
        return Finding("link", "bad", "there is none, since the uplink does not run", "start it")
    if report is None:
        return Finding("link", "unknown", "the uplink has not said", "see its log")
    since = format_moment(report.since, None, local_zone)
    if report.state == "linked":
        return Finding("link", "ok", f"linked since {since}")
    word = "refused by the hub" if report.state == "refused" else "not linked"
    return Finding("link", "bad", f"{word} since {since}: {report.reason}", report.cure)
