"""The commands of `answerback-hub policy`: check, test, diff, lint, upgrade, learn. None runs what it judges."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from common.errors import EXIT_FAILED, EXIT_REFUSED, UserError
from common.policy.escapes import Escape, find_escapes
from common.text import clean
from hub.cli import admin, register
from hub.cli.file_check import check_policy, show_report
from hub.cli.options import config_option, table_lines
from hub.cli.policy_check import check_lines, parse_moment
from hub.cli.policy_diff import Change, changes, recent_commands
from hub.cli.policy_learn_command import policy_learn
from hub.cli.policy_test import read_expectations, unmet
from hub.cli.policy_upgrade import Upgrade, apply, plan_upgrade
from hub.config import HubConfig
from hub.planning.watched_files import load_policy

_HARM = {
    "runs": "runs another program",
    "writes": "writes",
    "reads": "prints what is secret",
    "connects": "connects to where it is told",
}


@click.group("policy")
def policy_group() -> None:
    """What may run: try commands, and changes of policy.toml."""


@policy_group.command(
    "check", short_help="Verdict, reason and rule for commands.", context_settings={"ignore_unknown_options": True}
)
@click.option("--as", "person", metavar="PERSON", help="a person (operator list); else a plain operator")
@click.option("--agent", metavar="NAME", default="", help="the machine; else one without labels")
@click.option("--at", metavar="TIME", help="at which moment, for rules with `when`: 2026-12-05T10:12+01:00; else now")
@click.option("--json", "as_json", is_flag=True, help="one JSON object a command")
@click.option("--lines", metavar="FILE", help="a file of commands, one a line; - is standard input")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@config_option
def policy_check(
    config: HubConfig,
    person: str | None,
    agent: str,
    at: str | None,
    as_json: bool,
    lines: str | None,
    command: tuple[str, ...],
) -> None:
    """Say verdict, reason and rule for a command, without running anything.

    \b
    answerback-hub policy check -- df -h
    answerback-hub policy check --as bob --agent web-1 -- systemctl restart nginx
    answerback-hub policy check --at 2026-12-05T10:12 -- systemctl restart nginx      (UTC, else say +01:00)
    answerback-hub policy check --json --lines commands.txt
    answerback-hub policy check                     (the file itself: every problem with its line and cure)
    Exit status for one command: 0 allow or ask, 3 deny; 2 where the file does not read.
    """
    if lines is None and not command:
        show_report(check_policy(config.policy.file), as_json)
        return
    if lines is not None and command:
        raise UserError("policy check takes one command after --, or --lines FILE", "see policy check --help")
    policy = load_policy(config.policy.file)
    roles = ("operator",) if person is None else register.roles_of(config, person)
    labels = admin.labels_of(config, agent) if agent else {}
    source = [admin.join_words(command)] if lines is None else admin.read_lines(lines)
    denied = False
    now = time.time() if at is None else parse_moment(at)
    for row in check_lines(policy, source, roles, agent, labels, now):
        denied = denied or row["verdict"] == "deny"
        if as_json or lines is not None:
            click.echo(json.dumps(row, ensure_ascii=True))
        else:
            click.echo(f"{row['verdict']}: {row['reason']}" + (f"  (rule {row['rule']})" if row["rule"] else ""))
    if denied and lines is None:
        sys.exit(EXIT_REFUSED)


@policy_group.command("test", short_help="A team's own expectations, held against policy.toml.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
@config_option
def policy_test(config: HubConfig, file: Path, as_json: bool) -> None:
    """Hold FILE's expectations against policy.toml; nothing runs.

    \b
    [expect.disks]                   # as many as you like, with names of your own
    verdict = "allow"                # allow | ask | deny
    commands = ["df -h", "df -i /var"]
    person = "viewer"                # a role, or the name of a person; left out: operator
    agent = "web-1"                  # left out: a machine without labels
    labels = ["role=web"]            # instead of those that the machine has
    rule = "disk-free"               # also that this rule decides
    at = "2026-12-05T10:12+01:00"    # at that moment, for rules with `when`; left out: now

    \b
    answerback-hub policy test expectations.toml

    Keep such a file beside policy.toml, and run this before a change of policy goes live.
    Exit status: 0 all as expected, 1 not, 2 where a file does not read.
    """
    expected = read_expectations(file)
    wrong = unmet(config, load_policy(config.policy.file), expected, time.time())
    count = sum(len(one.commands) for one in expected)
    if as_json:
        click.echo(json.dumps({"ok": not wrong, "commands": count, "unmet": wrong}))
    else:
        for row in wrong:
            click.echo(
                f"{row['command']}\n    expected {row['expected']}, and it is {row['verdict']}: {row['reason']}"
                f"  (rule {row['rule']}, as {row['as']}, in [expect.{row['test']}])"
            )
        click.echo(f"{count - len(wrong)} of {count} commands are as expected")
    if wrong:
        sys.exit(EXIT_FAILED)


@policy_group.command("diff", short_help="Which commands would get another verdict from another policy.")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path), required=False)
@click.option("--lines", metavar="FILE", help="commands, one a line, as an operator says them; - is standard input")
@click.option("--last", default=2_000, show_default=True, type=click.IntRange(1, 50_000), help="how many requests back")
@click.option("--at", metavar="TIME", help="at which moment, for rules with `when`; else now")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
@config_option
def policy_diff(
    config: HubConfig, old: Path, new: Path | None, lines: str | None, last: int, at: str | None, as_json: bool
) -> None:
    """Judge what was asked of this hub lately, by two policies, and show what differs.

    \b
    answerback-hub policy diff policy.toml.new          from the policy in force to that one
    answerback-hub policy diff OLD NEW
    answerback-hub policy diff OLD NEW --lines commands.txt

    Each command counts for whoever said it and for its machine, with the roles and labels that they have now.
    Exit status: 0 no verdict differs, 1 some do, 2 where a file does not read.
    """
    before, after = (load_policy(config.policy.file), load_policy(old)) if new is None else map(load_policy, (old, new))
    asked = recent_commands(config, last, admin.read_lines(lines) if lines is not None else None)
    found = changes(before, after, asked, time.time() if at is None else parse_moment(at))
    if as_json:
        rows = [one.to_json() for one in found]
        click.echo(json.dumps({"commands": len(asked), "changed": rows}))
    else:
        _show_changes(found, len(asked))
    if found:
        sys.exit(EXIT_FAILED)


def _show_changes(found: Iterable[Change], asked: int) -> None:
    rows = [(f"{one.was} -> {one.now}", one.person, one.agent or "-", f"{one.count}x", one.command) for one in found]
    if rows:
        for line in table_lines([("VERDICT", "WHO", "MACHINE", "ASKED", "COMMAND"), *rows]):
            click.echo(clean(line))
    click.echo(f"{len(rows)} of {asked} different commands get another verdict")


@policy_group.command("upgrade", short_help="Merge this version's default rules into policy.toml.")
@click.option("--write", is_flag=True, help="do it; without it the changes are shown")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
@config_option
def policy_upgrade(config: HubConfig, write: bool, as_json: bool) -> None:
    """Merge the default rules of this version into policy.toml, table by table: what nobody touched gets the new text,
    what people changed or took out stays as they have it, and what both changed is shown to decide.

    \b
    answerback-hub policy upgrade             the diff, and what would be left to decide
    answerback-hub policy upgrade --write     the file from before is kept as policy.toml.before

    See what it would mean before: answerback-hub policy diff policy.toml.before after it, or --write in a copy.
    Exit status: 0 all of it merges, 1 something is left to decide, 2 where a file does not read.
    """
    upgrade = plan_upgrade(config.policy.file)
    kept = apply(upgrade) if write else None
    if as_json:
        click.echo(json.dumps({**upgrade.to_json(), "written": write}))
    else:
        _show_upgrade(upgrade, kept)
    if upgrade.merged.conflicts:
        sys.exit(EXIT_FAILED)


def _show_upgrade(upgrade: Upgrade, kept: Path | None) -> None:
    merged = upgrade.merged
    if kept is None:
        for line in upgrade.diff():
            click.echo(clean(line))
    for what, names in (("new text", merged.updated), ("added", merged.added), ("taken out", merged.removed)):
        if names:
            click.echo(f"{what}: {', '.join(names)}")
    for one in merged.conflicts:
        how = "you took it out, and it changed" if not one.mine else "you changed it, and so did the defaults"
        how = how if upgrade.has_base else "it differs from the defaults"
        click.echo(f"left as it is, to decide: {one.name} ({how})")
    if kept is not None:
        click.echo(f"written; the file from before is {kept}")
    elif upgrade.changes:
        click.echo("nothing is written yet: answerback-hub policy upgrade --write")
    else:
        click.echo("nothing to merge")


@policy_group.command("lint", short_help="Rules that let known escapes through, with the escape.")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
@config_option
def policy_lint(config: HubConfig, file: Path | None, as_json: bool) -> None:
    """Try command lines that are known to run other programs, to write, to print secrets or to connect, against every
    rule of policy.toml (or FILE), and show those that get through. Nothing runs.

    \b
    answerback-hub policy lint
    answerback-hub policy lint policy.toml.new --json

    What asks for a person's yes is shown too, and is no mistake by itself. Rules with `when` are tried as in their
    windows, and a denial with one as outside of it.
    Exit status: 0 none is allowed, 1 some are, 2 where the file does not read.
    """
    policy = load_policy(file or config.policy.file)
    found = find_escapes(policy, runs_anything=admin.default_agent_policy())
    allowed = [one for one in found if one.verdict == "allow"]
    if as_json:
        rows = [_escape_json(one) for one in found]
        click.echo(json.dumps({"ok": not allowed, "rules": len(policy.rules), "escapes": rows}))
    else:
        for one in sorted(found, key=lambda one: one.verdict):
            click.echo(f"{one.verdict}  rule {one.rule}: {shlex.join(one.argv)}\n       {_HARM[one.harm]}")
        asking = len(found) - len(allowed)
        click.echo(f"{len(policy.rules)} rules; {len(allowed)} known escapes are allowed, {asking} wait for a yes")
    if allowed:
        sys.exit(EXIT_FAILED)


def _escape_json(one: Escape) -> dict[str, Any]:
    return {"rule": one.rule, "command": shlex.join(one.argv), "harm": one.harm, "verdict": one.verdict}


policy_group.add_command(policy_learn)
