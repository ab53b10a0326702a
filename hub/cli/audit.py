"""`answerback-hub audit`: verify, export, prove; the key and the witnesses.

The docstrings of commands are their help texts.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from common.audit.checkpoint import key_id, parse_key, read_witness
from common.audit.event import export_line
from common.audit.export import verify_export
from common.audit.verification import CURES, ChainBroken, Verification, VerificationReport, Witness
from common.audit.verifier import report_lines
from common.errors import UserError, WorkFailed
from hub.cli.admin import archive_of, audit_checkpoints, open_store, sign_changes
from hub.cli.audit_bundle import write_verifier
from hub.cli.audit_proof import prove
from hub.cli.options import config_file_option, config_option, read_config
from hub.config import HubConfig
from hub.core import audit_chain
from hub.identity.audit_keys import load_audit_keys, pins_text, read_pins, renew_audit_key
from hub.identity.authorities import load_authorities
from hub.identity.keys import HubKeys, load_keys
from hub.store.transaction import Txn
from hub.witness.file import WitnessFile
from hub.witness.signer import ANNOUNCED


def verify_store(
    config: HubConfig, witnesses: Iterable[Path], trusted: dict[str, bytes], now: float
) -> VerificationReport:
    """Archive and store against their checkpoints, the file beside them and other witnesses. Without `trusted`, this
    hub's keys.
    """
    keys = load_keys(config)
    places = [_own_witness(config, keys), *map(_witness, witnesses)]
    named = {**keys.job_keys, **keys.audit.pins}
    run = Verification(keys.hub_id, trusted or keys.audit_trusted, places, named=named, now=now)
    archive = archive_of(config, keys)
    with open_store(config, 0.0) as store:
        return store.read_now(lambda txn: run.run(archive.rows(txn), audit_checkpoints(txn)))


def verify_file(
    config: HubConfig | None, exported: Path, witnesses: Iterable[Path], trusted: dict[str, bytes]
) -> VerificationReport:
    """An export, with the keys given or this hub's; raises UserError."""
    if not trusted and config is not None:
        trusted = load_keys(config).audit_trusted
    try:
        return verify_export(exported, trusted or None, map(_witness, witnesses))
    except OSError as error:
        raise UserError(f"cannot read {exported} ({error.strerror})", "name a file that `audit export` wrote") from None


def _own_witness(config: HubConfig, keys: HubKeys) -> Witness:
    """The file in the hub's folder; it has to be there once there is a key for it."""
    path = config.audit.file
    found = _witness(path) if path.exists() else Witness(str(path))
    found.required = keys.audit.key is not None
    return found


def _witness(path: Path) -> Witness:
    try:
        return Witness(str(path), read_witness(path))
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror})", "name a file with notes of the audit") from None


def export_audit(config: HubConfig, write: Callable[[str], object], now: float) -> None:
    """Writes the export line by line from the archive and one snapshot of the store, after a checkpoint of all that is
    in it. Raises WorkFailed where a file of the archive is missing or changed.
    """
    keys = load_keys(config)
    with open_store(config, now) as store:
        sign_changes(store, config, now)

        def unit(txn: Txn) -> None:
            count, named = txn.audit_head()[0], {**keys.job_keys, **keys.audit.pins}
            rows = archive_of(config, keys).rows(txn)
            for line in audit_chain.export(rows, audit_checkpoints(txn), named, hub=keys.hub_id, count=count):
                write(line)

        try:
            store.read_now(unit)
        except ChainBroken as broken:
            raise WorkFailed(broken.problem, CURES[broken.code]) from None


def read_events(
    config: HubConfig, first: int, last: int | None, subject: str | None = None, kind: str | None = None
) -> list[str]:
    """The lines of events, as in an export. Raises WorkFailed where a file of the archive is missing or changed."""
    archive = archive_of(config, load_keys(config))

    def unit(txn: Txn) -> list[str]:
        found = []
        for row in archive.rows(txn, after=first - 1):
            if last is not None and row.seq > last:
                break
            if subject in (None, row.subject) and (kind is None or row.kind.startswith(kind)):
                found.append(export_line(row))
        return found

    with open_store(config, 0.0) as store:
        try:
            return store.read_now(unit)
        except ChainBroken as broken:
            raise WorkFailed(broken.problem, CURES[broken.code]) from None


def new_key(config: HubConfig, now: float) -> str:
    """Puts a new key in the place of the one that signs; returns its id. The old one's word on it is in the log, where
    it is still there. Raises UserError.
    """
    folder = config.folder
    hub = load_keys_without_audit(config)
    try:
        before, pins = load_audit_keys(folder, hub).key, dict(load_audit_keys(folder, hub).pins)
    except UserError:
        before, pins = None, read_pins(folder.audit_pins) if folder.audit_pins.exists() else {}
    key = renew_audit_key(folder, hub, pins)
    with open_store(config, now) as store:

        def unit(txn: Txn) -> None:
            data = audit_chain.succession_data(key, hub, before)
            if before is None and pins:
                data["before"] = list(pins)[-1]  # lost: it cannot say so
            txn.audit("audit.key", hub, "terminal", data, now)
            txn.put_meta(ANNOUNCED, key.id)

        store.write_now(unit)
    return key.id


def load_keys_without_audit(config: HubConfig) -> str:
    """The hub's id, whatever is wrong with the key of its audit."""
    return load_authorities(config.folder).hub


def _trusted(words: Iterable[str]) -> dict[str, bytes]:
    try:
        return {key_id(public): public for public in map(parse_key, words)}
    except ValueError:
        raise UserError("--key: that is no key of an audit", "give a line of `answerback-hub audit key`") from None


@click.group("audit")
def audit_group() -> None:
    """The signed record of everything: verify, export, prove."""


@audit_group.command("verify", short_help="Check every hash, signature and witness.")
@click.option(
    "--file", "--export", "exported", metavar="FILE", type=click.Path(path_type=Path), help="an export, not the store"
)
@click.option("--key", "keys", metavar="KEY", multiple=True, help="the public key that you trust, not what is here")
@click.option(
    "--witness", "witnesses", metavar="FILE", multiple=True, type=click.Path(path_type=Path), help="more notes of it"
)
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
@config_file_option
def audit_verify(
    config_file: str | None, exported: Path | None, keys: tuple[str, ...], witnesses: tuple[Path, ...], as_json: bool
) -> None:
    """Check every row, the chain, the tree, every signed checkpoint, and what witnesses outside have kept; says which
    is the first bad row, what was done, and what to do.

    \b
    answerback-hub audit verify
    answerback-hub audit verify --witness /var/log/auth.log     with the notes that syslog has
    answerback-hub audit verify --export audit.jsonl --key KEY  an export; needs no hub beside it
    Exit status: 0 it holds, 1 it does not.
    """
    trusted = _trusted(keys)
    if exported is None:
        report = verify_store(read_config(config_file), witnesses, trusted, time.time())
    else:
        report = verify_file(None if trusted else read_config(config_file), exported, witnesses, trusted)
    click.echo(json.dumps(report_json(report)) if as_json else "\n".join(report_lines(report)))
    if not report.ok:
        sys.exit(1)


def report_json(report: VerificationReport) -> dict[str, Any]:
    return {**asdict(report), "text": report_lines(report)[0]}


@audit_group.command("export", short_help="Write it as JSON lines.")
@click.option("--output", "-o", metavar="FILE", default="-", help="where to; - is standard output")
@config_option
def audit_export(config: HubConfig, output: str) -> None:
    """Write the audit as JSON lines that a stranger can verify offline.

    \b
    answerback-hub audit export -o audit.jsonl
    answerback-hub audit export | jq -c 'select(.kind == "job.started")'
    """
    try:
        with click.open_file(output, "w", encoding="utf-8") as target:
            export_audit(config, target.write, time.time())
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UserError(f"cannot write {output} ({error.strerror})", "name another file, or make room") from None


@audit_group.command("read", short_help="Print events, of the archive too.")
@click.option("--from", "first", metavar="SEQ", type=click.IntRange(1), default=1, help="the first one")
@click.option("--to", "last", metavar="SEQ", type=click.IntRange(1), help="the last one; left out: the newest")
@click.option("--subject", metavar="ID", help="of one request, job, machine or person")
@click.option("--kind", metavar="KIND", help='of one kind, or all whose names begin so: "job."')
@config_option
def audit_read(config: HubConfig, first: int, last: int | None, subject: str | None, kind: str | None) -> None:
    """Print events as JSON lines, oldest first, from the archive's files and the database as one. The console and
    `answerback audit` look into the database alone.

    \b
    answerback-hub audit read --subject web-1 --kind agent.
    answerback-hub audit read --from 4711 --to 4711
    """
    for line in read_events(config, first, last, subject, kind):
        click.echo(line, nl=False)


@audit_group.command("key", short_help="Print the public keys that verify it.")
@config_option
def audit_key(config: HubConfig) -> None:
    """Print the public keys that this audit is signed with, the newest last. Keep a copy away from the hub: it is what
    shows that the key was replaced.

    \b
    answerback-hub audit key > audit-key.txt
    """
    keys = load_keys(config)
    if keys.audit.key is None:
        raise UserError("there is no key for the audit yet", "start the hub once: it makes one")
    click.echo(pins_text(keys.hub_id, keys.audit.pins).decode().partition("\n")[2], nl=False)


@audit_group.command("new-key", short_help="Sign it with a new key from here on.")
@config_option
def audit_new_key(config: HubConfig) -> None:
    """Put a new key in the place of the one that signs the audit; a serving hub has to be started again. The old key
    says in the audit that it hands on; where it is lost, the audit says that, and who verifies has to be told why.

    \b
    sudo -u answerback answerback-hub audit new-key && systemctl restart answerback-hub
    """
    name = new_key(config, time.time())
    click.echo(f"the audit is signed with the key {name} from here on; start the hub again")
    click.echo("  next: answerback-hub audit key      and keep the last line away from here")


@audit_group.command("protect", short_help="Make the witness file append-only.")
@click.option("--off", is_flag=True, help="take it back, for moving the file")
@config_option
def audit_protect(config: HubConfig, off: bool) -> None:
    """Set the attribute with which not even its owner shortens, rewrites or removes the witness file (chattr +a). Takes
    root, and a disk that has such attributes.

    \b
    sudo answerback-hub audit protect
    """
    file = WitnessFile(config.audit.file, "")
    try:
        file.set_append_only(not off)
    except FileNotFoundError:
        raise UserError(f"{file.path} is not there", "start the hub once: it makes it") from None
    except PermissionError:
        raise UserError(f"{file.path}: this takes root", f"sudo chattr +a {file.path}") from None
    except OSError as error:
        cure = "its disk has no such attribute: keep a witness elsewhere too, see [audit] in hub.toml"
        raise WorkFailed(f"{file.path}: {error.strerror}", cure) from None
    click.echo(f"{file.path} " + ("can be rewritten again" if off else "can only be added to"))


@audit_group.command("prove", short_help="Prove one event, or that the log only grew.")
@click.argument("seq", type=click.IntRange(1))
@click.option("--grown", is_flag=True, help="that the log of the checkpoint at SEQ became today's")
@config_option
def audit_prove(config: HubConfig, seq: int, grown: bool) -> None:
    """Print a proof (RFC 6962) with its signed checkpoint, to be checked with the public key alone: that event SEQ is
    in the audit, without the rest of it; or that the log up to SEQ was not changed since.

    \b
    answerback-hub audit prove 4711 > proof.json
    python answerback-verify.pyz --proof proof.json --key KEY
    """
    keys = load_keys(config)
    archive = archive_of(config, keys)
    with open_store(config, time.time()) as store:
        sign_changes(store, config, time.time())
        try:
            proof = store.read_now(lambda txn: prove(txn, archive, keys, seq, grown=grown))
        except ChainBroken as broken:
            raise WorkFailed(broken.problem, CURES[broken.code]) from None
        click.echo(json.dumps(proof))


@audit_group.command("verifier", short_help="Write the verifier as one file.")
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    type=click.Path(path_type=Path),
    default=Path("answerback-verify.pyz"),
    show_default=True,
)
def audit_verifier(output: Path) -> None:
    """Write the verifier as one file for a stranger: Python and `cryptography` is all that it needs, and it can be read
    (unzip).

    \b
    answerback-hub audit verifier -o answerback-verify.pyz
    python answerback-verify.pyz audit.jsonl --key KEY --witness notes.txt
    """
    write_verifier(output)
    click.echo(f"wrote {output}: python {output} EXPORT --key KEY [--witness FILE]")
