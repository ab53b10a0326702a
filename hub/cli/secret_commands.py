"""`rotate`, `secrets` and `retire`: the same three commands for the secrets of inlets and the keys of models."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import click

from common.errors import UserError
from common.times import format_moment, local_zone
from hub.cli.options import config_option, table_lines
from hub.cli.rotation import SecretFile, choose, listing, new_line, read_new, retire, rotate
from hub.config import HubConfig

FilesOf = Callable[[HubConfig, str], list[SecretFile]]
json_option: Final = click.option("--json", "as_json", is_flag=True, help="one JSON document")


def add_secret_commands(group: click.Group, word: str, files_of: FilesOf, reload: str) -> None:
    """Adds the three to a group that is called `word`; `reload` is what makes the hub take a changed file."""
    _add_rotate(group, word, files_of, reload)
    _add_list(group, word, files_of)
    _add_retire(group, word, files_of, reload)


def _add_rotate(group: click.Group, word: str, files_of: FilesOf, reload: str) -> None:
    @click.argument("name")
    @click.option("--secret", "key", metavar="KEY", default="", help="which one, where there are several: a key_file")
    @click.option("--secret-file", "given", metavar="PATH", help="the new one, from a file; - is standard input")
    @json_option
    @config_option
    def command(config: HubConfig, name: str, key: str, given: str | None, as_json: bool) -> None:
        file = choose(files_of(config, name), key)
        line, made = _new(file, given, asks=sys.stdin.isatty() and not as_json)
        now = time.time()
        old = [entry["fingerprint"] for entry in listing(config, [file], now)]
        mark = rotate(config, file, line, now)
        shown = line.decode() if made else None
        if as_json:
            click.echo(json.dumps({"name": name, "key": file.key, "fingerprint": mark, "old": old, "secret": shown}))
            return
        click.echo(f"{name}: {file.key} has a new secret, {mark}; {', '.join(old)} still holds", err=True)
        steps = [reload] if reload else []
        steps.append("give the new one to the other side" + ("; it is shown this once:" if made else ""))
        later = [f"answerback-hub {word} secrets {name}   shows which is in use"]
        later += [f"answerback-hub {word} retire {name} {one}   once it is not" for one in old]
        for number, step in enumerate(steps, start=1):
            click.echo(f"  {number}. {step}", err=True)
        if shown is not None:
            click.echo(shown)
        for number, step in enumerate(later, start=len(steps) + 1):
            click.echo(f"  {number}. {step}", err=True)

    command.__doc__ = f"""Put a new secret before the old ones, which go on to hold: nothing is refused meanwhile.

    \b
    answerback-hub {word} rotate NAME                         made here, where it is ours to choose
    answerback-hub {word} rotate NAME --secret-file -         from standard input
    A secret that is made is printed this once, on standard output. None is ever an argument: every process sees those.
    """
    group.command("rotate", short_help="A new secret; the old one holds until it is retired.")(command)


def _new(file: SecretFile, given: str | None, *, asks: bool) -> tuple[bytes, bool]:
    """The new secret, and whether it was made here; raises UserError."""
    if given is not None:
        return read_new(given, sys.stdin.buffer.read), False
    if file.make is not None:
        return file.make().encode(), True
    if not asks:
        raise UserError(f"{file.key} is made on the other side", "give the new one: --secret-file PATH, or - for stdin")
    return new_line(str(click.prompt(f"the new {file.key} (it is not shown)", hide_input=True)).encode()), False


def _add_list(group: click.Group, word: str, files_of: FilesOf) -> None:
    @click.argument("name")
    @json_option
    @config_option
    def command(config: HubConfig, name: str, as_json: bool) -> None:
        found = listing(config, files_of(config, name), time.time())
        if as_json:
            click.echo(json.dumps(found))
            return
        rows = [("KEY", "PLACE", "FINGERPRINT", "SINCE", "LAST USE")]
        rows += [
            (one["key"], str(one["place"]), one["fingerprint"], _moment(one["since"]), _moment(one["last_used"]))
            for one in found
        ]
        for line in table_lines(rows):
            click.echo(line)

    command.__doc__ = f"""Which secrets hold, by fingerprint (8 hex digits of the SHA-256), and when each was used last.

    \b
    answerback-hub {word} secrets NAME
    A serving hub writes uses within half a minute. - where nobody knows: what is only sent, such as a bot's token.
    """
    group.command("secrets", short_help="Fingerprints, since when, last use.")(command)


def _moment(at: Any) -> str:
    return format_moment(at, None, local_zone, seconds=True) if isinstance(at, float) else "-"


def _add_retire(group: click.Group, word: str, files_of: FilesOf, reload: str) -> None:
    @click.argument("name")
    @click.argument("fingerprint")
    @click.option("--force", is_flag=True, help="also while it is in use: who still has it is refused from then on")
    @json_option
    @config_option
    def command(config: HubConfig, name: str, fingerprint: str, force: bool, as_json: bool) -> None:
        file = retire(config, files_of(config, name), fingerprint, time.time(), force=force)
        if as_json:
            click.echo(json.dumps({"name": name, "key": file.key, "retired": fingerprint}))
            return
        click.echo(f"{name}: {fingerprint} of {file.key} is retired" + (f"; next: {reload}" if reload else ""))

    command.__doc__ = f"""Take an old secret out. Refused for the only one, and while it is in use: within the last
    hour, or where none of the others was used since.

    \b
    answerback-hub {word} retire NAME FINGERPRINT
    """
    group.command("retire", short_help="End an old secret.")(command)
