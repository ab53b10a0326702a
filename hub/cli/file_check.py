"""`check`, and `policy check` without a command: every file of the hub, to its end, and all that is wrong at once."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from common.errors import EXIT_USAGE, UserError
from common.policy.file import read_policy
from common.read_file import read_bytes
from hub.chat.inlets import build_inlets, load_config
from hub.cli.audit_check import examine_witnesses
from hub.config import HubConfig, PolicyTable, RunbooksTable
from hub.identity.keys import load_keys
from hub.planning.watched_files import load_chain, load_policy


@dataclass(slots=True)
class FilesReport:
    """What was found; `problems` each with file, line or key, and cure."""

    facts: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # not wrong, but good to know

    def look(self, what: Callable[[], None]) -> None:
        try:
            what()
        except UserError as error:
            self.problems += getattr(error, "problems", ()) or (str(error),)

    def to_json(self) -> dict[str, Any]:
        return {"ok": not self.problems, **self.facts, "problems": self.problems, "notes": self.notes}


def check_all(config_file: Path) -> FilesReport:
    """hub.toml and every file that it names; where it cannot be read itself, those of the names that `init` gives."""
    report = FilesReport()
    found: list[HubConfig] = []
    report.look(lambda: found.append(load_config(config_file)))
    if not found and not config_file.exists():
        return report
    folder = config_file.absolute().parent
    policy, runbooks = folder / PolicyTable().file, folder / RunbooksTable().file
    for config in found:
        policy, runbooks = config.policy.file, config.runbooks.file
        inlets, people = sorted(config.inlets), sorted(config.people)
        report.facts |= {"config": str(config.path), "inlets": inlets, "people": people}
        names = f"inlets {', '.join(inlets) or 'none'}; people {', '.join(people) or 'none'}"
        report.lines.append(f"ok  {config.path}: {names}")
    report.look(lambda: _policy(report, policy))
    report.look(lambda: _runbooks(report, runbooks))
    for config in found:
        for inlet in config.inlets:
            report.look(lambda config=config, inlet=inlet: _inlet(config, inlet))  # type: ignore[misc]
        report.look(lambda config=config: _keys(report, config))  # type: ignore[misc]
        report.look(lambda config=config: _witnesses(report, config))  # type: ignore[misc]
    report.problems = list(dict.fromkeys(report.problems))
    return report


def check_policy(file: Path) -> FilesReport:
    report = FilesReport()
    report.look(lambda: _policy(report, file))
    return report


def _policy(report: FilesReport, file: Path) -> None:
    policy = load_policy(file)
    report.notes += read_policy(read_bytes(file), str(file)).notes
    if not policy.rules and policy.default == "deny":
        report.notes.append(f"{file}: no rule lets anything run")
    report.facts["rules"] = len(policy.rules)
    report.lines.append(f"ok  {file}: {len(policy.rules)} rules")


def _runbooks(report: FilesReport, file: Path) -> None:
    chain = load_chain(file)
    report.facts["runbooks"] = len(chain.runbooks)
    report.lines.append(f"ok  {file}: {len(chain.runbooks)} runbooks")


def _inlet(config: HubConfig, name: str) -> None:
    build_inlets(replace(config, inlets={name: config.inlets[name]}))


def _witnesses(report: FilesReport, config: HubConfig) -> None:
    """The audit's witnesses; none is called: `doctor` does what can be done without harm."""
    found = examine_witnesses(config)
    report.problems += [f"{one.found}; {one.cure}" for one in found if one.state == "bad"]
    named = [name for name in ("syslog", "chat", "webhook", "s3") if getattr(config.audit, name) is not None]
    report.lines.append(f"ok  witnesses of the audit: {', '.join(['file', *named])}")


def _keys(report: FilesReport, config: HubConfig) -> None:
    load_keys(config)
    report.lines.append(f"ok  keys and authority in {config.folder.path}")


def show_report(report: FilesReport, as_json: bool) -> None:
    """On the terminal; ends the program where something is wrong."""
    if as_json:
        click.echo(json.dumps(report.to_json()))
    else:
        for line in report.lines:
            click.echo(line)
        for note in report.notes:
            click.echo(f"note  {note}")
        for problem in report.problems:
            click.echo(f"answerback-hub: {problem}", err=True)
    if report.problems:
        sys.exit(EXIT_USAGE)
