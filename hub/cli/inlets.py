"""`answerback-hub inlet …`: the chats that the hub takes messages from."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any, Final

import click

from common.catalogue import Language
from common.doctor.findings import exit_status, finding_lines, findings_json
from common.errors import UserError
from common.read_file import MAX_SECRET, read_bytes
from common.times import format_moment, local_zone
from hub.chat.inlets import build_inlets
from hub.chat.platforms.base import PlatformKind
from hub.chat.platforms.outbound import outbound_mode
from hub.chat.platforms.registry import built_in, find_platform, implementation
from hub.chat.platforms.uploads import Uploads
from hub.chat.recorder import MAX_COUNT
from hub.cli import register
from hub.cli.doctor import ask
from hub.cli.inlet_record import begin_recording
from hub.cli.inlet_setup import (
    InletAnswers,
    InletKey,
    check_answers,
    keys_of,
    new_name,
    pairs_of,
    setup_steps,
    take_out,
    terminal_language,
    write_inlet,
)
from hub.cli.options import RELOAD, config_option, local_address, table_lines, webhook_context
from hub.cli.rotation import inlet_files
from hub.cli.secret_commands import add_secret_commands
from hub.config import HubConfig

json_option = click.option("--json", "as_json", is_flag=True, help="one JSON document")
_STDIN: Final = "-"
MAX_METRICS: Final = 4 * 1024 * 1024
_GAUGE: Final = re.compile(
    r'^answerback_inlet_(heard_timestamp_seconds|recording)\{inlet="([^"\\]+)"\} ([0-9.e+]{1,30})$', re.MULTILINE
)


@click.group("inlet", short_help="Chats: platforms, list, add, test, record, rotate, remove.")
def inlet_group() -> None:
    """The chats that messages come from: each is a table [inlets.NAME] of hub.toml, and a URL /webhook/NAME.

    \b
    answerback-hub inlet platforms
    answerback-hub inlet add PLATFORM NAME      step by step; then have the hub read hub.toml again, without a restart
    answerback-hub inlet test NAME
    """


@inlet_group.command("platforms", short_help="Which chats there are, and what they can.")
@json_option
def inlet_platforms(as_json: bool) -> None:
    """Which chats there are. CARD: a request is one message that moves with it; BUTTONS: decisions by a click;
    OUTBOUND: a way in for which the hub opens no port; FILES: long output as a file.

    \b
    answerback-hub inlet platforms
    """
    found = [_about(kind) for kind in built_in().values()]
    if as_json:
        click.echo(json.dumps(found))
        return
    rows = [("PLATFORM", "CARD", "BUTTONS", "OUTBOUND", "FILES", "TITLE")]
    marks = {True: "yes", False: "-", None: "?"}
    can = ("card", "buttons", "outbound", "files")
    rows += [(one["name"], *(marks[one[key]] for key in can), one["title"]) for one in found]
    for line in table_lines(rows):
        click.echo(line)
    click.echo("a file of your own is a platform too: docs/chat/own-platform.md", err=True)


def _about(kind: PlatformKind) -> dict[str, Any]:
    made = implementation(kind)
    can = {"card": getattr(made, "can_update", None), "buttons": getattr(made, "can_buttons", None)}
    known = {name: value if isinstance(value, bool) else None for name, value in can.items()}
    keys = [{"key": key.name, "secret": key.secret, "needed": key.needed, "doc": key.doc} for key in keys_of(kind)]
    files = made is not None and issubclass(made, Uploads)
    return {"name": kind.name, "title": kind.title, **known, "outbound": _may_ask(made), "files": files, "keys": keys}


def _may_ask(made: type[Any] | None) -> bool:
    """Whether the class has an outbound mode in some inlets."""
    return any(
        "outbound" in {**vars(one), **vars(one).get("__annotations__", {})} for one in getattr(made, "__mro__", ())
    )


@inlet_group.command("list", short_help="The inlets of hub.toml.")
@json_option
@config_option
def inlet_list(config: HubConfig, as_json: bool) -> None:
    """The inlets of hub.toml: their platform, what they answer, and where their chat posts to.

    \b
    answerback-hub inlet list
    """
    inlets, gauges = build_inlets(config), asyncio.run(_gauges(config))
    heard, recording = gauges or ({}, {})
    found = [
        {
            "name": name,
            "platform": table.platform,
            "answer": table.answer,
            "last_delivery": heard.get(name, 0.0) or None,
            "recording": int(recording.get(name, 0)),
            "reply_hosts": table.reply_hosts,
            "url": "" if outbound_mode(inlets[name].platform) is not None else config.http.webhook_url(name),
        }
        for name, table in sorted(config.inlets.items())
    ]
    if as_json:
        click.echo(json.dumps(found))
        return
    rows = [("NAME", "PLATFORM", "ANSWERS", "LAST DELIVERY", "WEBHOOK")]
    for one in found:
        at = one["last_delivery"]
        last = format_moment(at, None, local_zone, seconds=False) if isinstance(at, float) else "-"
        rows.append((str(one["name"]), str(one["platform"]), str(one["answer"]), last, str(one["url"] or "outbound")))
    for line in table_lines(rows):
        click.echo(line)
    for one in found:
        if one["recording"]:
            click.echo(f"{one['name']} is being recorded: the next {one['recording']} deliveries, redacted")
    if gauges is None:
        click.echo("no hub answers here, so nobody knows of deliveries", err=True)
    _explain_proxy(config)


async def _gauges(config: HubConfig) -> tuple[dict[str, float], dict[str, float]] | None:
    """When the running hub heard of each inlet last, and how many deliveries it still records, by its metrics; None
    where no hub answers.
    """
    request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = await ask(local_address(config.http.listen), request, webhook_context(config), MAX_METRICS)
    if not answer:
        return None
    told = [match.groups() for match in _GAUGE.finditer(answer.decode("utf-8", "replace"))]
    heard = {name: float(value) for gauge, name, value in told if gauge != "recording"}
    return heard, {name: float(value) for gauge, name, value in told if gauge == "recording"}


def _explain_proxy(config: HubConfig) -> None:
    if config.http.public_url is None and config.http.certificate_file is None:
        near = f"http://{local_address(config.http.listen)}"
        click.echo(
            f"PROXY: the HTTPS proxy in front of {near}; public_url of [http] in hub.toml says its name", err=True
        )


@inlet_group.command("add", short_help="Set up a chat, step by step.")
@click.argument("platform")
@click.argument("name")
@click.option("--set", "values", multiple=True, metavar="KEY=VALUE", help="a key of its table; a list with commas")
@click.option(
    "--secret-file", "secret_files", multiple=True, metavar="KEY=PATH", help="a secret, from a file; - standard input"
)
@json_option
@config_option
def inlet_add(
    config: HubConfig, platform: str, name: str, values: tuple[str, ...], secret_files: tuple[str, ...], as_json: bool
) -> None:
    """Set up a chat: says which page and what to paste where, asks for what its table needs, and writes it to hub.toml,
    with secrets in files of their own. Nothing is written before all of it is right.

    \b
    answerback-hub inlet add generic monitoring
    answerback-hub inlet add PLATFORM NAME --set bot=opsbot --secret-file secret_file=PATH     for scripts
    Secrets are asked for, or read from a file: never an argument, which every process can see.
    """
    kind = find_platform(platform, config.folder.path)
    new_name(config, name)
    answers = InletAnswers(kind, platform, name)
    for key, text in pairs_of("--set", values):
        answers.set(key, text)
    for key, path in pairs_of("--secret-file", secret_files):
        answers.set_secret(key, _read_secret(path))
    language, asks = terminal_language(os.environ), sys.stdin.isatty() and not as_json
    if asks:
        _show_steps(kind, config.http.webhook_url(name), language)
        _explain_proxy(config)
        _ask_until_right(config, answers)
    else:
        _make_secret(answers)
        _check_complete(answers)
        check_answers(config, answers)
    files = write_inlet(config, answers)
    url = config.http.webhook_url(name)
    if as_json:
        steps = setup_steps(kind, url, language)
        told = {"name": name, "platform": platform, "url": url, "secret_files": list(map(str, files)), "setup": steps}
        click.echo(json.dumps(told))
        return
    if not asks:
        _show_steps(kind, url, language)
        _explain_proxy(config)
    click.echo(f"added [inlets.{name}] to {config.path}" + (", with its secrets in:" if files else ""))
    for key, file in zip(answers.secrets, files, strict=True):
        click.echo(f"  {file}" + ("   made just now: the sender needs it" if key in answers.made else ""))
    click.echo(f"next: {RELOAD}; no restart is needed")
    click.echo(f"      answerback-hub inlet test {name}")


def _read_secret(path: str) -> bytes:
    if path == _STDIN:
        return sys.stdin.buffer.read(MAX_SECRET + 1)
    return read_bytes(Path(path), MAX_SECRET)


def _show_steps(kind: PlatformKind, url: str, language: Language) -> None:
    click.echo(f"{kind.title}: {url}")
    for number, step in enumerate(setup_steps(kind, url, language), start=1):
        click.echo(f"  {number}. {step}")


def _make_secret(answers: InletAnswers) -> None:
    """The secret that is ours to choose, where none was given."""
    if answers.kind.new_secret is not None and "secret_file" not in answers.secrets:
        answers.set_secret("secret_file", answers.kind.new_secret().encode())
        answers.made = ("secret_file",)


def _check_complete(answers: InletAnswers) -> None:
    missing = answers.missing()
    if missing:
        options = " ".join(
            f"--secret-file {key.name}=PATH" if key.secret else f"--set {key.name}=VALUE" for key in missing
        )
        names = ", ".join(key.name for key in missing)
        raise UserError(f"{answers.kind.title} needs {names}", f"add {options}, or do it at a terminal, which asks")


def _ask_until_right(config: HubConfig, answers: InletAnswers) -> None:
    """Asks for what was not given; what does not fit is said, and asked for again with what was typed before."""
    keys = [key for key in keys_of(answers.kind) if key.name not in (*answers.values, *answers.secrets)]
    while True:
        for key in keys:
            _ask(answers, key)
        try:
            _make_secret(answers)
            _check_complete(answers)
            check_answers(config, answers)
        except UserError as error:
            click.echo(f"not yet: {error}", err=True)
            if not keys:
                raise
        else:
            return


def _ask(answers: InletAnswers, key: InletKey) -> None:
    known = key.name in answers.secrets if key.secret else key.name in answers.values
    made = key.name == "secret_file" and answers.kind.new_secret is not None
    may = "empty: as before" if known else "empty: one is made" if made else "" if key.needed else "empty: none"
    told = (may, "it is not shown") if key.secret else ("" if known else may,)
    notes = "; ".join(note for note in told if note)
    default = "" if key.secret else str(answers.values.get(key.name, ""))
    click.echo(f"\n{key.doc}")
    while True:
        question = f"{key.label} ({notes})" if notes else key.label
        text = str(click.prompt(question, default=default, show_default=bool(default), hide_input=key.secret)).strip()
        if not text and may:
            return
        try:
            answers.set_secret(key.name, text.encode()) if key.secret else answers.set(key.name, text)
        except UserError as error:
            click.echo(str(error), err=True)
        else:
            answers.made = tuple(name for name in answers.made if name != key.name)
            return


@inlet_group.command("test", short_help="Prove that an inlet works.")
@click.argument("name")
@json_option
@config_option
def inlet_test(config: HubConfig, name: str, as_json: bool) -> None:
    """Prove an inlet: its keys, a delivery signed as its chat would sign it and taken by the running hub, and the
    chat's own answer to "who am I?". What the chat does not let anybody prove is left out.

    \b
    answerback-hub inlet test ops
    Exit status: 0, or 1 where something is bad.
    """
    from hub.cli.inlet_proof import prove  # loads aiohttp

    findings = asyncio.run(prove(config, name, time.time()))
    click.echo(json.dumps(findings_json(findings)) if as_json else "\n".join(finding_lines(findings)))
    sys.exit(exit_status(findings))


@inlet_group.command("record", short_help="Keep the next deliveries as fixtures, redacted.")
@click.argument("name")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="a folder for the files")
@click.option("--count", default=5, show_default=True, type=click.IntRange(1, MAX_COUNT), help="deliveries")
@json_option
@config_option
def inlet_record(config: HubConfig, name: str, out: Path | None, count: int, as_json: bool) -> None:
    """Keep the next deliveries of an inlet as files, 0600, for tests of its platform: headers and body as they came,
    with names, texts, ids, tokens and signatures replaced by others of the same shape. What is encrypted is not kept.
    Ends after so many, after an hour, or with Ctrl-C; the audit has when it began and ended.

    \b
    answerback-hub inlet record ops --count 3 --out fixtures
    """
    if asyncio.run(_gauges(config)) is None:
        raise UserError("no hub answers here", "start it: answerback-hub serve, or systemctl start answerback-hub")
    run = begin_recording(config, name, count, out)
    if not as_json:
        click.echo(f"write {count} messages to {name} now; it ends by itself within an hour, or with Ctrl-C", err=True)
    files = []
    for file in run.files():
        files.append(str(file))
        if not as_json:
            click.echo(file)
    if as_json:
        click.echo(json.dumps(files))


@inlet_group.command("remove", short_help="Take an inlet out of hub.toml.")
@click.argument("name")
@json_option
@config_option
def inlet_remove(config: HubConfig, name: str, as_json: bool) -> None:
    """Take an inlet out of hub.toml, and who was known there by command. Secret files stay until you delete them.

    \b
    answerback-hub inlet remove monitoring
    """
    table, files = take_out(config, name)
    unlinked = register.unlink_inlet(config, name, time.time())
    if as_json:
        told = {"name": name, "table": table, "secret_files": list(map(str, files)), "unlinked": unlinked}
        click.echo(json.dumps(told))
        return
    click.echo(f"took out of {config.path}:\n\n{table}")
    for identity in unlinked:
        click.echo(f"  {identity} is nobody any more")
    for file in files:
        click.echo(f"  nothing names {file} any more: delete it when you can")
    click.echo(f"next: {RELOAD}; no restart is needed")


add_secret_commands(inlet_group, "inlet", inlet_files, RELOAD)
