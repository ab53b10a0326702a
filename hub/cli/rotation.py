"""Secrets of inlets and keys of models, one a line of a file: a new one comes first, old ones hold until they go.

The file is written whole, in the transaction that has its audit row, so that neither is there without the other. No
secret is in an error, the audit or the store: those have fingerprints (`hub.core.secret_uses`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from common.errors import UserError
from common.files import write_file
from common.read_file import MAX_SECRET, read_bytes, read_secret
from hub.chat.inlets import build_inlets
from hub.chat.platforms.registry import find_platform
from hub.cli.admin import open_store
from hub.config import MAX_SECRETS, HubConfig
from hub.core.inlet_table import inlet_secret_files
from hub.core.secret_uses import SecretTimes, fingerprint, retire_problem
from hub.identity.secret_times import put_change, read_book
from hub.store.transaction import Txn

SECRET_KEY: Final = "secret_file"  # noqa: S105 - a key's name


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A secret file that a table of hub.toml names. `check` raises UserError where the lines would not do."""

    owner: str  # inlets.NAME or models.NAME
    key: str
    path: Path
    check: Callable[[Sequence[bytes]], None]
    make: Callable[[], str] | None = None  # makes a secret, where it is ours to choose

    def lines(self) -> list[bytes]:
        return _lines(read_secret(self.path))


def inlet_files(config: HubConfig, name: str) -> list[SecretFile]:
    """The secret files of an inlet; raises UserError."""
    if name not in config.inlets:
        known = ", ".join(sorted(config.inlets)) or "none"
        raise UserError(f"there is no inlet {name[:64]}", f"there are: {known} (answerback-hub inlet list)")
    table = config.inlets[name]
    new = find_platform(table.platform, config.folder.path).new_secret

    def checker(key: str) -> Callable[[Sequence[bytes]], None]:
        def check(lines: Sequence[bytes]) -> None:
            if key == SECRET_KEY:
                changed = replace(table, secrets=tuple(lines))
            else:
                changed = replace(table, other_secrets={**table.other_secrets, key: tuple(lines)})
            build_inlets(replace(config, inlets={name: changed}))

        return check

    return [
        SecretFile(f"inlets.{name}", key, path, checker(key), new if key == SECRET_KEY else None)
        for key, path in inlet_secret_files(table)
    ]


def model_files(config: HubConfig, name: str) -> list[SecretFile]:
    """The key file of a model's server; raises UserError."""
    if name not in config.models:
        known = ", ".join(sorted(config.models)) or "none"
        raise UserError(f"there is no model {name[:64]}", f"there are: {known}")
    path = config.models[name].key_file
    if path is None:
        raise UserError(f"[models.{name}] has no key_file", "name one there, mode 0600, then rotate it")

    def check(lines: Sequence[bytes]) -> None:
        if any(not line.isascii() or not line.decode("ascii").isprintable() or b" " in line for line in lines):
            raise UserError("a key has a space, or what no header can carry", "copy the key alone, as one line")

    return [SecretFile(f"models.{name}", "key_file", path, check)]


def choose(files: Sequence[SecretFile], key: str) -> SecretFile:
    """The file that is meant; raises UserError. Without a key: the only one, else `secret_file`."""
    known = {file.key: file for file in files}
    if not known:
        raise UserError("it has no secret file", "there is nothing to rotate")
    found = known.get(key or (next(iter(known)) if len(known) == 1 else SECRET_KEY))
    if found is None:
        raise UserError(f"there is no secret {key[:64]}" if key else "which one?", f"say one of: {', '.join(known)}")
    return found


def new_line(data: bytes) -> bytes:
    """The one secret that was given; raises UserError, which does not show it."""
    lines = _lines(data[: MAX_SECRET + 1])
    if len(lines) != 1 or len(data) > MAX_SECRET:
        raise UserError("that is not one secret on one line", "give the new one alone; the old ones stay")
    return lines[0]


def rotate(config: HubConfig, file: SecretFile, line: bytes, now: float) -> str:
    """Puts a new secret before those that hold; returns its fingerprint. Raises UserError, and then nothing is."""
    before = read_secret(file.path)
    lines = _lines(before)
    if line in lines:
        raise UserError("that secret stands there already", "make or take a new one")
    if len(lines) >= MAX_SECRETS:
        raise UserError(f"{file.path} has {len(lines)} secrets, the most there may be", "retire one that is not used")
    after = [line, *lines]
    file.check(after)
    _change(config, file, before, after, "secret.rotated", mark := fingerprint(line), now)
    return mark


def retire(config: HubConfig, files: Sequence[SecretFile], mark: str, now: float, *, force: bool) -> SecretFile:
    """Takes a secret out of its file; raises UserError where it is unknown, the last one, or still in use."""
    for file in files:
        before = read_secret(file.path)
        lines = _lines(before)
        after = [line for line in lines if fingerprint(line) != mark]
        if len(after) == len(lines):
            continue
        if not after:
            raise UserError(f"{mark} is the only secret of {file.key}", "rotate it first")
        problem = retire_problem(mark, [fingerprint(one) for one in after], _times(config, file.owner, now), now)
        if problem and not force:
            raise UserError(
                f"{mark} is still needed: {problem}",
                "give the new one to the sender and wait an hour; --force ends it now, and who still has it is refused",
            )
        file.check(after)
        _change(config, file, before, after, "secret.retired", mark, now)
        return file
    raise UserError(f"no secret has the fingerprint {mark[:64]}", "the list of secrets has them")


def listing(config: HubConfig, files: Sequence[SecretFile], now: float) -> list[dict[str, Any]]:
    """Every secret, in the order of its file, without itself: fingerprint, since when, last use."""
    found = []
    for file in files:
        times = _times(config, file.owner, now)
        for place, line in enumerate(file.lines(), start=1):
            one = times.get(mark := fingerprint(line), SecretTimes())
            entry = {"key": file.key, "place": place, "fingerprint": mark}
            found.append({**entry, "since": one.since or None, "last_used": one.used or None})
    return found


def _times(config: HubConfig, owner: str, now: float) -> dict[str, SecretTimes]:
    with open_store(config, now) as store:
        return store.read_now(read_book).get(owner, {})


def _change(
    config: HubConfig, file: SecretFile, before: bytes, after: Sequence[bytes], kind: str, mark: str, now: float
) -> None:
    """The file, the times and the audit row together; raises UserError where the file is not `before` any more."""
    others = [line for other in _all_files(config, file.owner) if other.key != file.key for line in other.lines()]
    marks = {fingerprint(line) for line in (*others, *after)}
    data = {"key": file.key, "fingerprint": mark, "secrets": len(after)}

    def unit(txn: Txn) -> None:
        put_change(txn, file.owner, marks, mark if kind == "secret.rotated" else "", now)
        txn.audit(kind, file.owner, "terminal", data, now)
        if read_secret(file.path) != before:
            raise UserError(f"{file.path} was changed meanwhile", "nothing was written; do it again")
        write_file(file.path.resolve(), b"\n".join(after) + b"\n")

    with open_store(config, now) as store:
        store.write_now(unit)


def _all_files(config: HubConfig, owner: str) -> list[SecretFile]:
    kind, _, name = owner.partition(".")
    return inlet_files(config, name) if kind == "inlets" else model_files(config, name)


def read_new(path: str, stdin: Callable[[int], bytes]) -> bytes:
    """The secret in a file, or from standard input where that is "-"; raises UserError."""
    return new_line(stdin(MAX_SECRET + 1) if path == "-" else read_bytes(Path(path), MAX_SECRET))


def _lines(data: bytes) -> list[bytes]:
    return [line.strip() for line in data.splitlines() if line.strip()]
