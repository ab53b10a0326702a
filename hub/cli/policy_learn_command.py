"""The command `answerback-hub policy learn`."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path

import click

from common.errors import UserError
from common.files import write_file
from common.policy.file import load_policy_bytes
from common.text import clean
from hub.cli.options import config_option, table_lines
from hub.cli.policy_diff import Asked, changes
from hub.cli.policy_learn import (
    History,
    PolicyFile,
    apply,
    file_diff,
    propose,
    read_history,
    read_policy_file,
    with_proposal,
)
from hub.config import HubConfig
from hub.core.learning.proposal import Learned, Proposal, Terms

MAX_SHOWN = 30


@click.command("learn", short_help="Rules proposed from what was asked and approved, for you to review.")
@click.option("--last", default=5_000, show_default=True, type=click.IntRange(1, 50_000), help="how many requests back")
@click.option("--asked", default=5, show_default=True, type=click.IntRange(2, 1_000), help="requests that are enough")
@click.option("--people", default=2, show_default=True, type=click.IntRange(1, 100), help="different people among them")
@click.option("--program", "programs", multiple=True, metavar="NAME=PATH", help="where a program is that people name")
@click.option("--reads", multiple=True, metavar="RULE", help="you know that this rule lets through what only reads")
@click.option("--with-models", is_flag=True, help="count what models planned, and what strange text took part in")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="write the proposals there")
@click.option("--apply", "rule", metavar="ID", help="put this one into policy.toml, after showing what changes")
@click.option("--yes", is_flag=True, help="with --apply: do not ask")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
@config_option
def policy_learn(
    config: HubConfig,
    last: int,
    asked: int,
    people: int,
    programs: tuple[str, ...],
    reads: tuple[str, ...],
    with_models: bool,
    out: Path | None,
    rule: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Look at what was asked of this hub lately, and propose narrow rules for what keeps coming back.

    \b
    answerback-hub policy learn                        TOML with the evidence of each rule above it
    answerback-hub policy learn --out learned.toml
    answerback-hub policy learn --apply learned-nginx-1a2b3c4d

    \b
    allow   is proposed for what a rule asks about, where that many requests were approved, each
            command by that many people who had not asked for it, and none was rejected; and only
            for what reads: the machines' profile read-only has it, or --reads RULE says so.
    ask     is proposed for what no rule is about: with the options and values that were seen,
            on the machines that were named. A denial is never worked around.

    Nothing changes by itself. --apply writes one rule, shows before which commands get another verdict and asks; the
    file from before is kept as policy.toml.before. Read the manual of a program before you let it run.
    """
    file = read_policy_file(config.policy.file)
    terms = Terms(asked, people, _programs(programs), frozenset(reads))
    history = read_history(config, last, with_models=with_models, progress=_show_progress)
    if sys.stderr.isatty():
        click.echo(err=True)
    learned = propose(file, history, terms)
    if rule is not None:
        _apply(config, file, history, _find(learned, rule), yes=yes)
    elif as_json:
        _write(out, json.dumps(_to_json(learned, history)) + "\n")
    else:
        _write(out, _to_toml(learned, history))


def _show_progress(done: int) -> None:
    """On one line of a terminal; nothing where standard error is none."""
    if sys.stderr.isatty():
        click.echo(f"\r{done} requests read", nl=False, err=True)


def _programs(given: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in given:
        name, equals, path = one.partition("=")
        if not equals or not name or "/" in name or not path.startswith("/"):
            raise UserError(
                f"--program {clean(one, limit=80)} is not NAME=PATH", "as in --program certbot=/usr/bin/certbot"
            )
        found[name] = path
    return found


def _find(learned: Learned, rule: str) -> Proposal:
    for one in learned.proposals:
        if one.id == rule:
            return one
    raise UserError(
        f"{rule[:80]} is not among what is proposed now", "look again, with the same options: evidence may have changed"
    )


def _apply(config: HubConfig, file: PolicyFile, history: History, proposal: Proposal, *, yes: bool) -> None:
    text = with_proposal(file.text, proposal)
    for line in file_diff(file, text):
        click.echo(clean(line, limit=2_000))
    asked = Counter(Asked(row.argv, row.person, row.roles, row.agent, row.labels, row.cwd) for row in history.evidence)
    found = changes(file.content.policy.widest, load_policy_bytes(text.encode(), str(file.path)).widest, asked)
    rows = [(f"{one.was} -> {one.now}", one.person, one.agent or "-", f"{one.count}x", one.command) for one in found]
    if rows:
        for line in table_lines([("VERDICT", "WHO", "MACHINE", "ASKED", "COMMAND"), *rows[:MAX_SHOWN]]):
            click.echo(clean(line))
    click.echo(f"{len(rows)} of {len(asked)} different commands get another verdict")
    if not yes:
        if not sys.stdin.isatty():
            raise UserError("there is no terminal to ask at, and nothing was written", "read the above, then add --yes")
        if not click.confirm(f"add rule {proposal.id} to {file.path}?"):
            raise UserError("nothing was written", "")
    kept = apply(config, file, proposal, time.time())
    click.echo(f"written; the file from before is {kept}")


def _write(out: Path | None, text: str) -> None:
    if out is None:
        click.echo(text, nl=False)
    else:
        write_file(out, text.encode(), 0o600)
        click.echo(f"written to {out}", err=True)


def _to_toml(learned: Learned, history: History) -> str:
    """Valid TOML: the proposals, and as comments what they come from and what is not proposed."""
    lines = [
        f"# {len(learned.proposals)} rules proposed from {_read(history)}.",
        "# Review each; put one in: answerback-hub policy learn --apply ID (with the options of this run)",
        "",
    ]
    for one in learned.proposals:
        where = f"to stand before rule {one.before}" if one.before else "anywhere"
        lines += [f"# {one.id}: {one.verdict}, {where}", one.to_toml()]
    if learned.skipped:
        lines.append("# Not proposed:")
    for skipped in learned.skipped[:MAX_SHOWN]:
        lines.append(f"#   {skipped.requests}x {clean(skipped.command, limit=80)}: {clean(skipped.why, limit=200)}")
    if len(learned.skipped) > MAX_SHOWN:
        lines.append(f"#   and {len(learned.skipped) - MAX_SHOWN} more kinds (--json has all)")
    return "\n".join(lines) + "\n"


def _read(history: History) -> str:
    more = "" if history.complete else ", the newest of them: there were more commands than are looked at"
    models = f"; {history.of_models} more were planned by models (--with-models)" if history.of_models else ""
    return f"{history.requests} requests{more}{models}"


def _to_json(learned: Learned, history: History) -> dict[str, object]:
    return {
        "requests": history.requests,
        "complete": history.complete,
        "of_models": history.of_models,
        "proposals": [one.to_json() for one in learned.proposals],
        "skipped": [{"command": one.command, "requests": one.requests, "why": one.why} for one in learned.skipped],
    }
