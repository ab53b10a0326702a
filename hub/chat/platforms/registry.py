"""The platforms that there are: every module of this package that has a `PLATFORM`, and files of people's own.

    platform = "slack"             a module here
    platform = "chats/irc.py"      a file beside hub.toml, or anywhere, with a `PLATFORM` of its own

No other module names a platform: `hub.toml` learns its keys from here, and so does `answerback-hub inlet`.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.abc
import importlib.util
import pkgutil
import stat
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import CodeType, ModuleType

from common.errors import UserError
from hub.chat import platforms as package
from hub.chat.platforms.base import Platform, PlatformKind
from hub.core.inlet_table import InletTable


@cache
def built_in() -> Mapping[str, PlatformKind]:
    """The platforms of this package, by name, sorted."""
    found: dict[str, PlatformKind] = {}
    for entry in pkgutil.iter_modules(package.__path__):
        kind = getattr(importlib.import_module(f"{package.__name__}.{entry.name}"), "PLATFORM", None)
        if isinstance(kind, PlatformKind):
            found[kind.name] = kind
    return dict(sorted(found.items()))


def _built_in(name: str) -> PlatformKind | None:
    """The platform of this name, without those that nobody asks for: a hub that has one of them has not loaded all. Its
    module is of the same name.
    """
    if not name.isidentifier() or name not in {entry.name for entry in pkgutil.iter_modules(package.__path__)}:
        return None
    kind = getattr(importlib.import_module(f"{package.__name__}.{name}"), "PLATFORM", None)
    return kind if isinstance(kind, PlatformKind) and kind.name == name else None


def find_platform(name: str, folder: Path) -> PlatformKind:
    """The platform of this name, or the one in this file; `folder` is that of hub.toml. Raises UserError."""
    if name.endswith(".py"):
        return _from_file(folder / name)
    kind = _built_in(name)
    if kind is None:
        known = ", ".join(f'"{known}"' for known in built_in())
        raise UserError(f'"{name}" is not known here', f"use one of {known}, or the path of a file of your own")
    return kind


def implementation(kind: PlatformKind) -> type[Platform] | None:
    """The class of a platform, which says what it can before there is an inlet; None where it cannot be told. One of
    the platform's own module goes before one of another that it has for some of its inlets.
    """
    module = sys.modules.get(getattr(kind.create, "__module__", ""))
    classes = [value for value in vars(module).values() if isinstance(value, type)] if module is not None else []
    found = [one for one in classes if getattr(one, "kind", None) == kind.name]
    own = [one for one in found if module is not None and one.__module__ == module.__name__]
    return next(iter(own or found), None)


def table_of(name: str, folder: Path) -> type[InletTable]:
    """The keys of its inlets in hub.toml; raises UserError."""
    return find_platform(name, folder).table


def _from_file(path: Path) -> PlatformKind:
    """Its code runs as the hub, so nobody else may be able to write it."""
    cure = "name a Python file that has PLATFORM = PlatformKind(...); docs/chat/own-platform.md has one"
    try:
        mode = path.stat().st_mode
        text = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}", cure) from None
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UserError(f"{path} can be written by others than its owner", f"chmod go-w {path}")
    kind = getattr(_module(path.resolve(), text), "PLATFORM", None)
    if not isinstance(kind, PlatformKind):
        raise UserError(f"{path} has no PLATFORM", cure)
    return kind


class _Checked(importlib.abc.InspectLoader):
    """Runs the very bytes that were checked, and leaves no bytecode beside them."""

    def __init__(self, path: Path, text: bytes) -> None:
        self._path = path
        self._text = text

    def get_source(self, fullname: str) -> str:
        return importlib.util.decode_source(self._text)

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self._text, str(self._path))


@cache
def _module(path: Path, text: bytes) -> ModuleType:
    """The module of this file; read again where its text has changed."""
    name = f"answerback_platform_{hashlib.sha256(text).hexdigest()[:16]}"
    spec = importlib.util.spec_from_loader(name, _Checked(path, text), origin=str(path))
    if spec is None or spec.loader is None:
        raise UserError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise UserError(f"{path}: {type(error).__name__}: {error}", "mend the file") from error
    return module
