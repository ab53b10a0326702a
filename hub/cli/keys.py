"""`answerback-hub keys`: the keys that seal the store; what they do is in `key_rotation` beside this.

The docstrings of commands are their help texts.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict

import click

from common.errors import WorkFailed
from common.times import format_moment, local_zone
from hub.cli import key_rotation
from hub.cli.options import config_file_option, config_option, table_lines
from hub.config import HubConfig


@click.group("keys", short_help="The keys that seal the store: list, rotate, retire.")
@config_file_option
@click.pass_context
def keys_group(context: click.Context, config_file: str | None) -> None:
    """The keys that seal what people and machines said, in the store. They are told by their ids, never shown.

    \b
    answerback-hub keys list                     which there are, what each wraps, when it was last used
    answerback-hub keys rotate                   a new key seals from now on; the hub may serve meanwhile
    answerback-hub keys retire 3f9c0a7be1d35566  an old one goes, once nothing needs it
    docs/at-rest.md says what is sealed, and what stays plain.
    """
    context.obj = config_file


@keys_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
@config_option
def list_command(config: HubConfig, as_json: bool) -> None:
    """Show the keys by id, what each one wraps, and whether everything of before is sealed.

    \b
    answerback-hub keys list --json | jq -r '.keys[] | select(.state == "decrypt") | .id'
    """
    report = key_rotation.list_keys(config, time.time())
    if as_json:
        click.echo(json.dumps(report.to_json()))
        return
    rows = [["KEY", "STATE", "LAST USED", "WRAPS"]]
    for row in report.keys:
        used = format_moment(row.key.used_at, None, local_zone) if row.key.used_at is not None else "not noted yet"
        state = row.key.state if row.in_ring or row.key.state == "retired" else f"{row.key.state}, not in the ring"
        wraps = ", ".join(f"{count} {kind}" for kind, count in row.wraps.items()) or "nothing"
        rows.append([row.key.id, state, used, wraps])
    click.echo("\n".join(table_lines(rows)))
    if report.unsealed:
        click.echo(f"rows of before are being sealed while the hub serves; left: {', '.join(report.unsealed)}")
    elif not report.pages_clean:
        click.echo("all rows are sealed; the file's old pages are not clean: answerback-hub keys clean")


@keys_group.command("rotate")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
@config_option
def rotate_command(config: HubConfig, as_json: bool) -> None:
    """Seal under a new key from now on, and wrap again what is under the old ones. The hub may serve meanwhile.

    \b
    answerback-hub keys rotate
    Where the ring is a file the key is made here; of a credential or a command put it in front yourself, first.
    Interrupted, it goes on when it is run again. Old keys open until they are retired. A backup from before needs
    the key of its time: keep that one apart before you retire it.
    """
    done = key_rotation.rotate(config, time.time())
    if as_json:
        click.echo(json.dumps(asdict(done)))
    else:
        what = "finished a rotation that was interrupted" if done.finished else f"instead of {done.before}"
        click.echo(f"sealed under {done.primary} from now on ({what})")
        click.echo(f"  wrapped again {done.rewrapped}, opened with the new key alone {done.verified}")
        if done.hub:
            click.echo(
                "  the serving hub has the new ring" if done.hub == "yes" else "  the serving hub has it NOT yet"
            )
        for problem in done.problems:
            click.echo(f"  does not open, left as it is: {problem.place}: {problem.problem}", err=True)
    if done.problems:
        raise WorkFailed(f"{len(done.problems)} values do not open", "put back the key they are under, or a backup")


@keys_group.command("retire")
@click.argument("identifier", metavar="ID")
@config_option
def retire_command(config: HubConfig, identifier: str) -> None:
    """Take an old key out of the ring, which is refused while anything is under it.

    \b
    answerback-hub keys retire 3f9c0a7be1d35566
    Backups from before the rotation need it: keep a copy apart, where the backups are not.
    """
    key = key_rotation.retire(config, identifier, time.time())
    click.echo(f"{key.id} is out of the ring")


@keys_group.command("clean")
@config_option
def clean_command(config: HubConfig) -> None:
    """Write the database anew, without the pages that have what values were before they were sealed.

    \b
    answerback-hub keys clean
    A serving hub does this by itself where the file is below 256 MiB; writers wait meanwhile.
    """
    key_rotation.clean(config, time.time())
    click.echo("clean")


@keys_group.command("seal")
@config_option
def seal_command(config: HubConfig) -> None:
    """Seal all rows of before at once, which a serving hub does a few at a time.

    \b
    answerback-hub keys seal
    """
    click.echo(f"sealed {key_rotation.seal_rows(config, time.time())} values")
