"""`answerback-hub doctor`: what keeps this hub from working, or soon will, and what to do about it.

It reads files, asks the ports and the store, and changes nothing: it brings no schema up to date and issues no
certificate.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import ssl
import stat
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click
import sqlalchemy as sa

from common.doctor.findings import (
    Finding,
    exit_status,
    finding_lines,
    findings_json,
    judge_certificate,
    judge_mode,
    judge_proxies,
    program_version,
)
from common.doctor.machine_checks import check_clock_kept, check_name, check_space
from common.errors import UserError
from common.identity.certificates import BadIdentity
from common.identity.credential import CredentialFiles
from common.identity.tls import unverified_context
from common.read_file import read_bytes
from common.text import clean
from common.times import format_moment, local_zone
from common.values import Address
from common.version import VERSION
from hub.cli.audit_check import examine_witnesses
from hub.cli.file_check import check_all
from hub.cli.options import config_file_option, local_address, read_config, webhook_context
from hub.config import HubConfig
from hub.identity.authorities import load_authorities
from hub.store.database import Database
from hub.store.migrate import HEAD

ASK_TIMEOUT: Final = 5.0
MAX_ANSWER: Final = 16 * 1024
MAX_INLETS: Final = 20
"""Inlets in trouble that are told of."""
_RUN_AS: Final = "run this as the hub's user, or as root"


async def examine(config: HubConfig, environment: Mapping[str, str], now: float) -> list[Finding]:
    """All checks of a hub whose hub.toml reads, in the order in which one would look."""
    findings = [program_version("answerback-hub", VERSION, platform.python_version())]
    findings.append(Finding("configuration", "ok", f"{config.path}"))
    findings += _files(config)
    findings += _permissions(config)
    findings.append(check_space(_store_folder(config)))
    findings.append(await asyncio.to_thread(_store, config))
    findings += _certificates(config, now)
    findings.append(check_clock_kept())
    findings.append(judge_proxies(dict(environment)))
    findings.append(
        await check_name(config.links.dial_address.host, "set [links] public in hub.toml to what machines can reach")
    )
    findings += await _http_port(config)
    findings.append(await _links_port(config))
    findings.append(_replies(config))
    findings += examine_witnesses(config)
    return findings


def _files(config: HubConfig) -> list[Finding]:
    """policy.toml, runbooks.toml, secrets, keys: all that is wrong."""
    report = check_all(config.path)
    if report.problems:
        return [Finding("files", "bad", problem, "see answerback-hub check") for problem in report.problems[:20]]
    return [Finding("files", "ok", "; ".join(line.removeprefix("ok  ") for line in report.lines[1:]))]


def _permissions(config: HubConfig) -> list[Finding]:
    """Everything belongs to the owner of hub.toml, and what is secret to nobody else: a command that was run as another
    user leaves files that the hub cannot write.
    """
    root = config.path.parent
    try:
        owner = config.path.stat().st_uid
    except OSError as error:
        return [Finding("permissions", "unknown", f"{config.path}: {error.strerror}", _RUN_AS)]
    bad: list[Finding] = []
    unseen: list[OSError] = []
    for folder, names, files in os.walk(root, onerror=unseen.append):
        names[:] = [name for name in names if name != "profile"]
        for name in files:
            path = Path(folder, name)
            try:
                status = path.lstat()
            except OSError:
                continue
            secret = path.parent.name in ("secrets", "keys") or path.suffix == ".key"
            judged = judge_mode(str(path), stat.S_IMODE(status.st_mode), status.st_uid, owner, secret=secret)
            bad += [judged] if judged is not None else []
    bad += map(_unseen, unseen)
    found = bad[:10] or [Finding("permissions", "ok", f"all of {root} is user {owner}'s, secrets are its alone")]
    if owner == 0:
        cure = "useradd a user for it, and chown -R its folder to that user: systemd/README.md"
        found.append(Finding("user", "warn", f"{root} is root's, so the hub runs as root, which it need not", cure))
    return found


def _unseen(error: OSError) -> Finding:
    return Finding("permissions", "unknown", f"{error.filename}: {error.strerror}", _RUN_AS)


def _store_folder(config: HubConfig) -> Path:
    if config.store.url.startswith("sqlite:///"):
        return Path(config.store.url.removeprefix("sqlite:///")).parent
    return config.path.parent


def _store(config: HubConfig) -> Finding:
    """Whether it opens, and of which schema it is; asked without changing it."""
    try:
        database = Database(config.store.url, config.path.parent)
        if database.path is not None and not os.path.lexists(database.path):
            return Finding("store", "bad", f"{database.name} is not there", "answerback-hub serve makes an empty one")
        with database.translating_errors(), database.engine.connect() as connection:
            found = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    except (UserError, OSError) as error:
        return Finding("store", "bad", str(error), _RUN_AS)
    except sa.exc.SQLAlchemyError:
        return Finding("store", "bad", f"store {database.name}: no store of ours is in it", "see [store] url")
    if found == HEAD:
        return Finding("store", "ok", f"{database.name}, schema {found}")
    if str(found) > HEAD:
        return Finding(
            "store", "bad", f"{database.name} has schema {found}, newer than {HEAD}", "install the newer version"
        )
    return Finding("store", "warn", f"{database.name} has schema {found}", f"the next start brings it to {HEAD}")


def _certificates(config: HubConfig, now: float) -> list[Finding]:
    """The authority, the hub's own certificate, and the profile that `init` made, while it is here."""
    folder, found = config.folder, []
    for what, file, cure in (
        (
            "the authority",
            folder.ca_certificate,
            "replace it, without a restart and without a join: answerback-hub ca rotate",
        ),
        ("the hub", folder.certificate, "a serving hub renews it by itself: start it"),
    ):
        try:
            validity = _validity(file, now)
        except (UserError, BadIdentity, ValueError) as error:
            bad = Finding(f"certificate of {what}", "bad", f"{file}: {error}", "restore it from a backup")
            found.append(bad)
            continue
        when = format_moment(validity[1], None, local_zone, seconds=False)
        found.append(judge_certificate(what, *validity, now, when, cure))
    if os.access(folder.profile / "certificate.json", os.R_OK):
        hint = "`answerback-hub operator add NAME --role admin` prints a new login"
        kept = CredentialFiles(folder.profile, hint).validity()
        when = format_moment(kept.not_after, None, local_zone, seconds=False)
        found.append(judge_certificate("the admin", kept.not_before, kept.not_after, now, when, hint))
    found += _ca_rotation(config)
    return found


def _ca_rotation(config: HubConfig) -> list[Finding]:
    """A replacement of the CA that stands half-way."""
    try:
        authorities = load_authorities(config.folder)
    except UserError as error:
        return [Finding("rotation of the CA", "bad", error.problem, error.cure)]
    if authorities.phase == "standby":
        return []
    since = format_moment(authorities.since, None, local_zone, seconds=False)
    found = f"it stands at {authorities.phase} since {since}"
    return [
        Finding("rotation of the CA", "warn", found, "answerback-hub ca status says who is not through, and what next")
    ]


def _validity(file: Path, now: float) -> tuple[float, float]:
    from cryptography import x509

    certificate = x509.load_pem_x509_certificate(read_bytes(file))
    return certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()


async def _http_port(config: HubConfig) -> list[Finding]:
    """Whether a hub serves webhooks there, and is ready; what it warns of its inlets."""
    listen = local_address(config.http.listen)
    context = webhook_context(config)
    answer = await ask(listen, b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", context)
    if answer is None:
        cure = "start it: answerback-hub serve, or systemctl start answerback-hub"
        return [Finding("webhooks", "warn", f"nobody serves {listen}", cure)]
    try:
        told = json.loads(answer.partition(b"\r\n\r\n")[2])
        ready, reasons = bool(told["ready"]), "; ".join(map(str, told.get("reasons", ())))
        warnings = [clean(str(line), limit=300) for line in list(told.get("warnings", ()))]
    except (ValueError, KeyError, TypeError, RecursionError):
        return [Finding("webhooks", "bad", f"what answers at {listen} is no hub", "stop it, or change [http] listen")]
    # Files are looked at by a check of their own.
    inlets = [line for line in warnings if line.startswith("inlet ")][:MAX_INLETS]
    found = [Finding("running inlets", "warn", line, "`answerback inlets` shows all of them") for line in inlets]
    audit = [line for line in warnings if line.startswith("audit ")]
    found += [Finding("running audit", "bad", line, "answerback-hub audit verify; see docs/audit.md") for line in audit]
    store = [line for line in warnings if line.startswith("store: ")]
    found += [Finding("running store", "bad", line, "restore a backup; see docs/at-rest.md") for line in store]
    budget = [line for line in warnings if line.startswith("disk budget: ")]
    found += [Finding("disk budget", "warn", line, "see docs/retention.md") for line in budget]
    if ready:
        return [Finding("webhooks", "ok", f"a hub serves {listen} and is ready"), *found]
    why = f"the hub at {listen} is not ready: {clean(reasons, limit=300)}"
    return [Finding("webhooks", "bad", why, "see its log"), *found]


async def _links_port(config: HubConfig) -> Finding:
    """Whether this hub's authority answers there."""
    listen = local_address(config.links.listen)
    answer = await ask(
        listen, b"GET /ca HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", unverified_context()
    )
    if answer is None:
        return Finding("links", "warn", f"nobody serves {listen}", "start the hub")
    try:
        own = read_bytes(config.folder.ca_certificate)
    except UserError as error:
        return Finding("links", "bad", error.problem, error.cure)
    if answer.partition(b"\r\n\r\n")[2].split() == own.split():
        return Finding("links", "ok", f"this hub serves {listen}; machines are told {config.links.dial_address}")
    return Finding("links", "bad", f"what answers at {listen} is not this hub", "stop it, or change [links] listen")


async def ask(place: Address, request: bytes, context: ssl.SSLContext | None, limit: int = MAX_ANSWER) -> bytes | None:
    """The answer to one HTTP request; None where nobody listens."""
    try:
        async with asyncio.timeout(ASK_TIMEOUT):
            reader, writer = await asyncio.open_connection(place.host, place.port, ssl=context)
            try:
                writer.write(request)
                answer = b""
                while len(answer) < limit and (part := await reader.read(limit)):
                    answer += part
            finally:
                writer.transport.abort()
    except ConnectionRefusedError:
        return None
    except (OSError, TimeoutError):
        return b""
    return answer


def _replies(config: HubConfig) -> Finding:
    """Inlets whose answers go nowhere."""
    silent = sorted(name for name, inlet in config.inlets.items() if not inlet.reply_hosts)
    if not config.inlets:
        return Finding("inlets", "warn", "there is none: no chat reaches this hub", "add [inlets.NAME] to hub.toml")
    if silent:
        return Finding("inlets", "warn", f"{', '.join(silent)}: no answer is posted", "set reply_hosts in hub.toml")
    return Finding("inlets", "ok", f"{', '.join(sorted(config.inlets))}: answers go to the hosts that are listed")


@click.command("doctor", short_help="Look for what is wrong, and say what to do.")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
@config_file_option
def doctor_command(config_file: str | None, as_json: bool) -> None:
    """Check configuration, files, permissions, disk, store, certificates, clock, proxy, names and ports of this hub,
    and say what to do. Changes nothing.

    \b
    sudo answerback-hub doctor
    answerback-hub doctor --json | jq '.checks[] | select(.state != "ok")'
    Exit status: 0, or 1 where something is bad.
    """
    try:
        config = read_config(config_file)
    except UserError as error:
        version = program_version("answerback-hub", VERSION, platform.python_version())
        findings = [version, Finding("configuration", "bad", error.problem, error.cure)]
    else:
        findings = asyncio.run(examine(config, os.environ, time.time()))
    if as_json:
        click.echo(json.dumps(findings_json(findings), indent=1))
    else:
        click.echo("\n".join(finding_lines(findings)))
    sys.exit(exit_status(findings))
