"""The verifier as a program: `python -m common.audit.verifier EXPORT --key KEY [--witness FILE]...`, or `--archive
FOLDER` in the place of an export.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from common.audit.archive import verify_archive
from common.audit.checkpoint import key_id, parse_key, read_witness
from common.audit.event import MAX_LINE
from common.audit.export import verify_export
from common.audit.proof import ProofFailed, check_proof
from common.audit.verification import VerificationReport, Witness


def report_lines(report: VerificationReport) -> list[str]:
    """For people."""
    if not report.ok:
        row = f" at row {report.first_bad_seq}" if report.first_bad_seq is not None else ""
        cure = [f"  {report.code}: {report.cure}"] if report.cure else []
        return [f"the audit does NOT hold{row}: {report.problem}", *cure, *(f"  note: {one}" for one in report.remarks)]
    as_of = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(report.signed_at)) + " UTC"
    signed = f"signed up to row {report.signed_to}, as of {as_of}" if report.signed_to else "no checkpoint yet"
    seen = f", seen outside up to row {report.witnessed_to}" if report.witnessed_to else ", compared with no witness"
    lines = [f"the audit holds: {report.checked} rows, every hash as it should be, {signed}{seen}"]
    return [*lines, f"  root: {report.root}", *(f"  note: {one}" for one in report.remarks)]


def _prove(path: Path, keys: dict[str, bytes]) -> int:
    with path.open("rb") as file:
        text = file.read(MAX_LINE + 65_536).decode("utf-8", "replace")
    try:
        sys.stdout.write(f"proven: {check_proof(text, keys)}\n")
    except ProofFailed as failed:
        sys.stdout.write(f"NOT proven: {failed}\n")
        return 1
    return 0


def main(words: list[str] | None = None) -> int:
    """Exit status 0: it holds; 1: it does not; 2: the question was wrong."""
    parser = argparse.ArgumentParser(description="Verifies an export of Answerback's audit with a public key alone.")
    parser.add_argument("export", nargs="?", type=Path, help="what `answerback-hub audit export` wrote")
    parser.add_argument("--key", action="append", default=[], help="the key you trust: `answerback-hub audit key`")
    parser.add_argument("--witness", action="append", default=[], type=Path, help="a file with notes, or an export")
    parser.add_argument("--proof", type=Path, help="instead of an export: what `answerback-hub audit prove` wrote")
    parser.add_argument("--archive", type=Path, help="instead of an export: the folder of the hub's archive files")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    asked = parser.parse_args(words)
    try:
        keys = {key_id(public): public for public in map(parse_key, asked.key)}
        if asked.proof is not None:
            return _prove(asked.proof, keys)
        witnesses = [Witness(str(path), read_witness(path)) for path in asked.witness]
        if asked.archive is not None:
            if not keys:
                parser.error("an archive is verified with the key you trust: --key KEY")
            report = verify_archive(asked.archive, keys, witnesses)
        elif asked.export is not None:
            report = verify_export(asked.export, keys or None, witnesses)
        else:
            parser.error("name an export, an archive with --archive, or a proof with --proof")
    except (OSError, ValueError) as error:
        sys.stderr.write(f"verifier: {error}\n")
        return 2
    own = [] if keys else ["  note: no --key was given: the file's own keys prove nothing about who wrote it"]
    told = [json.dumps(asdict(report))] if asked.json else [*report_lines(report), *own]
    sys.stdout.write("\n".join(told) + "\n")
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
