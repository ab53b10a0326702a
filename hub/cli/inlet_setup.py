"""A new inlet, from what a person gave to its table in hub.toml and its secret files: whole or not at all.

The new hub.toml is read, with everything it names, before it takes the old one's place, and a secret's file is made
only for it; where anything is wrong, or Ctrl-C comes, hub.toml is the old one and no file is left.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, Field, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, get_origin

from common.catalogue import Language
from common.config import ConfigError, build, config_fields, field_types, unwrap_optional
from common.errors import UserError
from common.files import create_folder, write_file
from common.ids import is_name
from common.read_file import MAX_SECRET, read_bytes, suggest_key
from common.text import toml_string
from hub.chat.inlets import build_inlets, load_config
from hub.chat.platforms.base import PlatformKind
from hub.cli.config_edit import add_table, remove_table
from hub.config import HubConfig
from hub.core.inlet_table import InletTable, inlet_secret_files

SECRETS: Final = Path("secrets")
MAX_LINES: Final = 10  # secrets in one file
_SECRET: Final = "secret_file"  # noqa: S105 - a key's name
_TRUTH: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class InletKey:
    """A key of a platform's inlets, as it is asked for."""

    name: str
    doc: str
    secret: bool  # it names a file, and what is asked for is what stands in it
    needed: bool

    @property
    def label(self) -> str:
        return self.name.removesuffix("_file") if self.secret else self.name


def keys_of(kind: PlatformKind) -> list[InletKey]:
    """Those that a person is asked for: what is required, every secret, and what one of several ways needs."""
    hints = field_types(kind.table)
    found = []
    for entry in config_fields(kind.table):
        secret = entry.name.endswith("_file") and unwrap_optional(hints[entry.name]) is Path
        needed = entry.default is MISSING and entry.default_factory is MISSING
        if entry.name != "platform" and (secret or needed or entry.metadata.get("ask")):
            found.append(InletKey(entry.name, entry.metadata["doc"], secret, needed))
    return found


@dataclass(slots=True)
class InletAnswers:
    """What was given for a new inlet; secrets are bytes until their files are written."""

    kind: PlatformKind
    platform: str  # as hub.toml names it
    name: str
    values: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, bytes] = field(default_factory=dict, repr=False)
    made: tuple[str, ...] = ()  # keys of secrets that were made here

    def set(self, key: str, text: str) -> None:
        """A value as it is typed; raises UserError."""
        self.values[key] = _value(self.kind.table, key, text)

    def set_secret(self, key: str, data: bytes) -> None:
        known = [entry.name for entry in keys_of(self.kind) if entry.secret]
        if key not in known:
            raise UserError(f"{key} is no secret of {self.kind.title}", f"secrets here: {', '.join(known) or 'none'}")
        if not _lines(data):
            raise UserError(f"{key}: nothing stands there", "give the secret itself, one a line")
        if len(data) > MAX_SECRET or len(_lines(data)) > MAX_LINES:
            raise UserError(f"{key}: that is more than {MAX_LINES} secrets", "give one, or a few, one a line")
        self.secrets[key] = b"\n".join(_lines(data)) + b"\n"

    def file(self, key: str) -> Path:
        """Where a secret will stand, from the folder of hub.toml."""
        return SECRETS / (self.name if key == _SECRET else f"{self.name}.{key.removesuffix('_file')}")

    def missing(self) -> list[InletKey]:
        given = self.values.keys() | self.secrets.keys()
        return [key for key in keys_of(self.kind) if key.needed and key.name not in given]

    def table(self) -> str:
        """The table of hub.toml."""
        title = f'"{self.name}"' if "." in self.name else self.name
        lines = [f"# {self.kind.title}; `answerback-hub inlet add` wrote it.", f"[inlets.{title}]"]
        lines.append(f"platform = {toml_string(self.platform)}")
        lines += [f"{key} = {toml_string(str(self.file(key)))}" for key in self.secrets]
        lines += [f"{key} = {_toml(value)}" for key, value in self.values.items()]
        return "\n".join(lines) + "\n"


def check_answers(config: HubConfig, answers: InletAnswers) -> None:
    """Whether an inlet can be made of what was given, before anything is written; raises UserError."""
    body = {"platform": answers.platform, **{key: str(answers.file(key)) for key in answers.secrets}, **answers.values}
    # The kind is known already: `build` is told its class.
    choose = {"inlets": ("platform", lambda _: answers.kind.table)}
    built = build({"inlets": {answers.name: body}}, HubConfig, config.path, choose)
    secrets = {key: tuple(_lines(data)) for key, data in answers.secrets.items()}
    table = replace(built.inlets[answers.name], secrets=secrets.pop(_SECRET, ()), other_secrets=secrets)
    build_inlets(replace(built, inlets={answers.name: table}, path=config.path, http=config.http))


def new_name(config: HubConfig, name: str) -> None:
    """Raises UserError where no inlet can be called so."""
    if not is_name(name):
        raise UserError(f'"{name[:64]}" is not a name', "use 1 to 64 letters, digits, dots, dashes or underscores")
    if name in config.inlets:
        raise UserError(f"there is an inlet {name} already", "choose another name, or change its table in hub.toml")


def write_inlet(config: HubConfig, answers: InletAnswers) -> list[Path]:
    """Writes the secrets and the table; returns the files of the secrets. Raises UserError, and then nothing is."""
    folder = config.folder.path
    files = {folder / answers.file(key): data for key, data in answers.secrets.items()}
    for path in files:
        if os.path.lexists(path):
            raise UserError(f"{path} exists already", "move it away, or choose another name for the inlet")
    with _removed_on_error() as made:
        for path, data in files.items():
            create_folder(path.parent)
            made.append(path)
            write_file(path, data)
        _change(config, lambda text: add_table(text, "inlets", answers.name, answers.table()))
    return list(files)


def take_out(config: HubConfig, name: str) -> tuple[str, list[Path]]:
    """Takes an inlet's table out of hub.toml; returns the text of it, and the secret files that nothing names now.

    Raises UserError where somebody of hub.toml is known there: that would be a chat user of no inlet.
    """
    users = [f'"{identity}" of {person}' for person, table in config.people.items() for identity in table.chat
             if identity.startswith(f"{name}:")]  # fmt: skip
    if name in config.inlets and users:
        raise UserError(
            f"people of hub.toml are known in {name}: {', '.join(users[:5])}",
            "take that out of `chat` under [people] first",
        )
    taken: list[str] = []

    def change(text: str) -> str:
        left, removed = remove_table(text, "inlets", name)
        taken.append(removed)
        return left

    _change(config, change)
    others = {path for other, table in config.inlets.items() if other != name for _, path in inlet_secret_files(table)}
    files = [path for _, path in inlet_secret_files(config.inlets[name])]
    return taken[0], [path for path in files if path not in others]


def setup_steps(kind: PlatformKind, url: str, language: Language) -> list[str]:
    """How the platform is set up, with the webhook's URL."""
    return [(chinese if language == "zh" else english).replace("{url}", url) for english, chinese in kind.setup]


def terminal_language(environment: Mapping[str, str]) -> Language:
    """Chinese where the locale is (POSIX: LC_ALL before LANG), else English."""
    locale = environment.get("LC_ALL") or environment.get("LC_MESSAGES") or environment.get("LANG") or ""
    return "zh" if locale.lower().startswith("zh") else "en"


# ---- files


def _change(config: HubConfig, change: Any) -> None:
    """hub.toml as `change` makes it of its text, once that reads; raises UserError."""
    path = config.path.resolve()
    before = read_bytes(path)
    mark, text = (b"\xef\xbb\xbf", before[3:]) if before.startswith(b"\xef\xbb\xbf") else (b"", before)
    after = mark + change(text.decode("utf-8")).encode()
    candidate = config.folder.path / f".hub.toml.{os.urandom(8).hex()}"  # beside it: paths in it are relative
    try:
        write_file(candidate, after)
        build_inlets(load_config(candidate))
    except UserError as error:
        problems = getattr(error, "problems", ()) or (str(error),)
        raise ConfigError(problem.replace(str(candidate), str(config.path)) for problem in problems) from None
    finally:
        candidate.unlink(missing_ok=True)
    if read_bytes(path) != before:
        raise UserError(f"{config.path} was changed meanwhile", "nothing was written; do it again")
    write_file(path, after, stat.S_IMODE(path.stat().st_mode))


@contextmanager
def _removed_on_error() -> Iterator[list[Path]]:
    made: list[Path] = []
    try:
        yield made
    except BaseException:
        for path in made:
            path.unlink(missing_ok=True)
        raise


def _lines(data: bytes) -> list[bytes]:
    return [line.strip() for line in data.splitlines() if line.strip()]


# ---- values


def _value(table: type[InletTable], key: str, text: str) -> Any:
    """A value of TOML from what was typed for a key; whether it fits is found when the table is read."""
    known: dict[str, Field[Any]] = {entry.name: entry for entry in config_fields(table) if entry.name != "platform"}
    if key not in known:
        raise UserError(f"{key[:64]} is no key of such an inlet", suggest_key(key, known))
    if key.endswith("_file"):
        raise UserError(f"{key} is a secret", f"give its file: --secret-file {key}=PATH")
    hint = unwrap_optional(field_types(table)[key])
    if get_origin(hint) is tuple:
        return [item.strip() for item in text.split(",") if item.strip()]
    if hint is bool:
        return _TRUTH.get(text.strip().lower(), text)
    if hint is int and text.strip().isdecimal():
        return int(text)
    return text.strip()


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(toml_string, value))}]"
    return toml_string(value) if isinstance(value, str) else json.dumps(value)


def pairs_of(option: str, given: Sequence[str]) -> list[tuple[str, str]]:
    """KEY=VALUE as they are given to an option; raises UserError, which does not show the value."""
    found = []
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UserError(f"{option}: that is not KEY=VALUE", f"write {option} KEY=VALUE")
        found.append((key, value))
    return found
