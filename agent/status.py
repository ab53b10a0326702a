"""What `answerback-agent status` prints: read from the state folder, without disturbing runner or uplink.

What this user may not see is said, with the cure, and never guessed: None means "cannot tell". A job whose process is
gone without a result is unknown, not running.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agent.holder import read_holder
from agent.link_report import LinkReport, read_report
from agent.lock import is_locked
from agent.place import moved_error
from agent.state import StateFolder, version_file
from agent.upgrade_report import read_upgrade
from common.errors import EXIT_FAILED, EXIT_OK, UserError
from common.ids import is_ulid
from common.read_file import read_bytes
from common.text import clean
from common.times import format_moment, local_zone
from common.version import VERSION


@dataclass(frozen=True, slots=True)
class Status:
    """None, "" and 0 stand for what this user may not see; `hidden` says where that is."""

    version: str
    state: str
    joined: bool | None
    name: str = ""
    hub: str = ""
    url: str = ""
    generation: int = 0
    certificate_until: float = 0.0  # seconds since the epoch
    certificate_left: float = 0.0  # seconds
    uplink: bool | None = None
    runner: bool | None = None
    uplink_version: str = ""  # of what runs
    runner_version: str = ""
    upgrade: str = ""  # why the last request to go on as the installed version was refused
    runner_down_since: float = 0.0  # as the uplink knows it; seconds since the epoch
    runner_next_start: float = 0.0
    runner_end: str = ""
    linked: bool | None = None
    link_since: float = 0.0  # when it was linked, or when the link was lost
    link_state: str = ""  # linked, away, refused
    link_reason: str = ""
    link_cure: str = ""
    holder: str = ""  # its journal, the runner's life, the link; or why it is a copy
    moved: bool = False
    policy: str = ""  # of the machine's own policy: profile, and what was added
    policy_profile: str = ""
    policy_usable: bool | None = None
    approvers: str = ""  # whose own signatures count here, and by which kind of key
    job_user: str = ""  # as whom jobs run, in words
    running_jobs: list[str] | None = None
    unknown_jobs: list[str] | None = None
    hidden: tuple[str, ...] = ()

    @property
    def expired(self) -> bool:
        return bool(self.certificate_until) and self.certificate_left <= 0

    @property
    def exit_status(self) -> int:
        """0 where this machine is at work, or this user cannot tell; 1 where it is known not to be."""
        down = False in (self.uplink, self.runner, self.linked, self.policy_usable)
        return EXIT_FAILED if down or self.expired or self.moved or self.link_state == "refused" else EXIT_OK

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"certificate_expired": self.expired}

    def to_text(self) -> str:
        machine = f"{self.name} of hub {self.hub} at {self.url}" if self.name else "cannot tell"
        lines = [
            f"machine      {machine}",
            f"certificate  {self._certificate_text()}",
            f"link         {self._link_text()}",
            f"uplink       {_state_text(self.uplink)}{self._version_text(self.uplink, self.uplink_version)}",
            f"runner       {self._runner_text()}",
            f"holder       {self.holder or 'cannot tell'}",
            f"policy       {self.policy or 'cannot tell'}",
            f"jobs run as  {self.job_user or 'cannot tell'}",
            *([f"approvers    {self.approvers}"] if self.approvers else []),
            f"running      {_jobs_text(self.running_jobs)}",
            *([f"upgrade      REFUSED: {self.upgrade}"] if self.upgrade else []),
        ]
        if self.unknown_jobs:
            lines.append(f"unknown      {_jobs_text(self.unknown_jobs)} (they ended, or were left behind, unwatched)")
        lines.append(f"state        {self.state}")
        if self.moved:
            lines.append(f"what to do   {moved_error(Path(self.state), '').cure}")
        elif self.link_cure and self.linked is not True:
            lines.append(f"what to do   {self.link_cure}")
        if self.hidden:
            lines.append(
                f"not seen     {', '.join(self.hidden)}: not readable by user {os.geteuid()};"
                " `sudo answerback-agent status` sees all"
            )
        return "\n".join(lines)

    def _runner_text(self) -> str:
        """Of one that is down also since when, why, and when it is started again, as the uplink knows."""
        if self.runner is not False or not self.runner_down_since:
            return _state_text(self.runner) + self._version_text(self.runner, self.runner_version)
        text = f"NOT RUNNING since {format_moment(self.runner_down_since, None, local_zone)}"
        if self.runner_next_start:
            text += f", next start at {format_moment(self.runner_next_start, None, local_zone)}"
        return f"{text} ({self.runner_end})" if self.runner_end else text

    def _version_text(self, up: bool | None, version: str) -> str:
        """Of what runs, with what to do where another version is installed."""
        if not up or not version:
            return ""
        cure = "" if version == self.version else f"; {self.version} is installed: `answerback-agent upgrade`"
        return f", version {version}{cure}"

    def _certificate_text(self) -> str:
        if not self.certificate_until:
            return "cannot tell"
        until = format_moment(self.certificate_until, None, local_zone, seconds=False)
        left = f"{self.certificate_left / 3600:.0f} h left"
        if self.expired:
            left = "EXPIRED; `answerback-agent doctor` says what to do"
        return f"generation {self.generation}, until {until} ({left})"

    def _link_text(self) -> str:
        since = f" since {format_moment(self.link_since, None, local_zone)}" if self.link_since else ""
        why = f": {self.link_reason}" if self.link_reason else ""
        if self.linked:
            return f"linked{since}"
        if self.linked is None:
            return "cannot tell"
        if self.uplink is False:
            return f"NOT LINKED: the uplink does not run{f'; it last knew: {self.link_state}{since}' if since else ''}"
        return f"{'REFUSED by the hub' if self.link_state == 'refused' else 'NOT LINKED'}{since}{why}"


def read_status(state: StateFolder, now: float) -> Status:
    """Raises UserError where the folder has not joined."""
    hidden = tuple(str(folder) for folder in (state.uplink, state.runner) if not _may_look(folder))
    base: dict[str, Any] = {"version": VERSION, "state": str(state.path), "hidden": hidden}
    base |= {"uplink": is_locked(state.lock), "runner": is_locked(state.runner_lock)}
    base["running_jobs"], base["unknown_jobs"] = find_jobs(state.runner / "jobs")
    if str(state.runner) not in hidden and state.runner.is_dir():
        base |= _policy_fields(state)
    if str(state.uplink) in hidden:
        return Status(joined=None, **base)
    base["upgrade"] = refused_upgrade(state)
    settings, validity = state.settings(), state.credential.validity()
    report, holder = _read_report(state), read_holder(state)
    return Status(
        joined=True,
        name=settings.name,
        hub=settings.hub,
        url=settings.url,
        generation=validity.generation,
        certificate_until=validity.not_after,
        certificate_left=validity.not_after - now,
        linked=_is_linked(base["uplink"], report),
        holder="" if holder is None else str(holder),
        moved=holder is not None and bool(holder.moved),
        **base,
        **_link_fields(report),
        runner_version=runner_version(state, report),
    )


def runner_version(state: StateFolder, report: LinkReport | None) -> str:
    """Of the runner that runs, as it says beside its socket; where that is elsewhere, as its uplink knew it last."""
    try:
        said = read_bytes(version_file(state.socket), 80).decode("ascii", "replace").strip()
    except UserError:
        said = ""
    return clean(said) or (report.runner_version if report is not None else "")


def refused_upgrade(state: StateFolder) -> str:
    """Why runner or uplink did not go on as the program that was installed when that was asked for last."""
    found = (read_upgrade(folder) for folder in (state.runner, state.uplink))
    refused = [report for report in found if report is not None and report.state == "refused"]
    return "; ".join(f"{clean(report.reason)} ({clean(report.before)} went on)" for report in refused)


def _policy_fields(state: StateFolder) -> dict[str, Any]:
    from agent.machine_policy import summarize  # not for whom the folder keeps out: status needs little to run

    found = summarize(state.policy)
    policy = {"policy": found.text, "policy_profile": found.profile, "policy_usable": found.usable}
    return {**policy, "approvers": _approvers_text(state), "job_user": _job_user_text(state)}


def _job_user_text(state: StateFolder) -> str:
    """As whom jobs run, as the runner that was started last has said."""
    try:
        return clean(read_bytes(state.job_user, 1_000).decode("utf-8", "replace"))
    except UserError:
        return ""


def _approvers_text(state: StateFolder) -> str:
    """Whose own signatures count where a rule is critical; with what that rests on, where it is a passkey."""
    if not state.approvers.exists():
        return ""
    from agent.approvers import PASSKEY_TRUST, load_approvers, with_passkeys  # as above

    try:
        people = load_approvers(state.approvers)
    except UserError as error:
        return f"none, what is critical is refused: {error.problem}"
    by_passkey = with_passkeys(people)
    note = f" ({', '.join(by_passkey)}: {PASSKEY_TRUST})" if by_passkey else ""
    return f"{', '.join(sorted(people))}{note}"


def _may_look(folder: Path) -> bool:
    """False where the folder is there, or may be, and this user cannot read it."""
    try:
        os.listdir(folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _read_report(state: StateFolder) -> LinkReport | None:
    try:
        return read_report(state.link_report)
    except PermissionError:
        return None


def _is_linked(uplink: bool | None, report: LinkReport | None) -> bool | None:
    """A report counts while the uplink lives; without one an uplink that lives has not said."""
    if not uplink:
        return uplink
    return None if report is None else report.state == "linked"


def _link_fields(report: LinkReport | None) -> dict[str, Any]:
    if report is None:
        return {}
    return {
        "link_since": report.since,
        "link_state": report.state,
        "link_reason": report.reason,
        "link_cure": report.cure,
        "uplink_version": report.version,
        "runner_down_since": report.runner_down_since,
        "runner_next_start": report.runner_next_start,
        "runner_end": report.runner_end,
    }


def find_jobs(folder: Path) -> tuple[list[str] | None, list[str] | None]:
    """The jobs with a start marker and no result (agent/runner/evidence.py), in order of their ids: those whose process
    runs, and those of which nobody can say. None where this user may not look.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return [], []
    except OSError:
        return None, None
    from agent.runner.evidence import Evidence  # not for whom the above keeps out: status needs little to run
    from agent.runner.process import is_alive

    try:
        names = set(os.listdir(descriptor))
        evidence = Evidence(descriptor)
        open_jobs = sorted(
            job
            for job in (name.removesuffix(".started") for name in names if name.endswith(".started"))
            if is_ulid(job) and f"{job}.result" not in names
        )
        markers = {job: evidence.read_marker(job) for job in open_jobs}
        running = [job for job, found in markers.items() if found is not None and is_alive(found.pid, found.since_boot)]
    finally:
        os.close(descriptor)
    return running, [job for job in open_jobs if job not in running]


def _state_text(up: bool | None) -> str:
    return "cannot tell" if up is None else "up" if up else "down"


def _jobs_text(jobs: list[str] | None) -> str:
    return "cannot tell" if jobs is None else ", ".join(jobs) or "none"
