"""Views saved by name: a list with its filter and order, kept in the profile for the console and the command line.

views.toml in the profile's folder, which people may write too:

    [slow]
    list = "jobs"                  # jobs | requests | agents | audit
    filter = "state:running age>10m"
    sort = "-age"                  # may be left out
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from common.catalogue import Language
from common.errors import UserError
from common.files import write_file
from common.ids import is_name
from common.read_file import read_toml
from common.text import clean
from tui.model.filter_text import check_filter

VIEWS_FILE: Final = "views.toml"
LISTS: Final = ("jobs", "requests", "agents", "audit")
SCREEN_LISTS: Final = {"approve": "requests"}
"""Screens whose list has another name."""
MAX_VIEWS: Final = 100
MAX_NAME: Final = 32
MAX_FILTER: Final = 1_000
MAX_SORT: Final = 40


@dataclass(frozen=True, slots=True)
class SavedView:
    name: str
    list: str
    filter: str
    sort: str = ""

    @property
    def screen(self) -> str:
        """The console's screen that shows it."""
        return next((screen for screen, name in SCREEN_LISTS.items() if name == self.list), self.list)


class SavedViews:
    """The views of a profile; without a folder (the demo) they last as long as the console."""

    def __init__(self, folder: Path | None = None) -> None:
        self._file = None if folder is None else folder / VIEWS_FILE
        self._views: dict[str, SavedView] = {}

    def read(self) -> dict[str, SavedView]:
        """By name; another program may have written them meanwhile. Raises UserError that names what is wrong."""
        if self._file is not None:
            self._views = read_views(self._file)
        return self._views

    def get(self, name: str) -> SavedView:
        """Raises UserError with the names that there are."""
        views = self.read()
        if name not in views:
            there = ", ".join(sorted(views)) or "none yet"
            raise UserError(f"there is no saved view {clean(name, limit=40)}", f"there are: {there}")
        return views[name]

    def put(self, view: SavedView) -> None:
        """Adds or replaces one; raises UserError."""
        views = {**self.read(), view.name: check_view(view, self._file)}
        if len(views) > MAX_VIEWS:
            raise UserError(f"there are {MAX_VIEWS} saved views already", "remove one first")
        self._write(views)

    def remove(self, name: str) -> None:
        """Raises UserError where there is none of that name."""
        gone = self.get(name)
        self._write({key: view for key, view in self._views.items() if view != gone})

    def _write(self, views: dict[str, SavedView]) -> None:
        if self._file is not None:
            write_file(self._file, to_toml(views).encode())
        self._views = views


def read_views(file: Path) -> dict[str, SavedView]:
    if not file.exists():
        return {}
    found = read_toml(file)
    if len(found) > MAX_VIEWS:
        raise UserError(f"{file}: {len(found)} views, at most {MAX_VIEWS}", "remove some")
    views = {}
    for name, told in found.items():
        if not isinstance(told, dict) or told.keys() - {"list", "filter", "sort"}:
            raise UserError(f"{file}: {clean(name, limit=40)}: not a view", "a view has list, filter and sort")
        values: dict[str, Any] = {"list": "", "filter": "", "sort": "", **told}
        if not all(isinstance(value, str) for value in values.values()):
            raise UserError(f"{file}: {clean(name, limit=40)}: list, filter and sort are texts", "put them in quotes")
        views[name] = check_view(SavedView(name, values["list"], values["filter"], values["sort"]), file)
    return views


def check_view(view: SavedView, file: Path | None = None, language: Language = "en") -> SavedView:
    """The view, where it can be one; raises UserError."""
    where = f"{file}: " if file is not None else ""
    if not is_name(view.name) or len(view.name) > MAX_NAME:
        raise UserError(
            f"{where}{clean(view.name, limit=60)} is no name for a view",
            f"letters, digits, - and _, at most {MAX_NAME} of them",
        )
    if view.list not in LISTS:
        raise UserError(f"{where}{view.name}: list is none of {', '.join(LISTS)}", "name one of them")
    if len(view.filter) > MAX_FILTER or len(view.sort) > MAX_SORT:
        raise UserError(f"{where}{view.name}: filter or sort is too long", "make it shorter")
    problem = check_filter(view.list, view.filter, language)
    if problem is not None:
        raise UserError(f"{where}{view.name}: filter: {problem.text}", "mend the filter")
    return view


def to_toml(views: dict[str, SavedView]) -> str:
    """A TOML basic string is a JSON string for all that a filter may hold: ASCII, the rest escaped."""
    parts = []
    for name, view in sorted(views.items()):
        lines = [f"[{json.dumps(name)}]", f"list = {json.dumps(view.list)}", f"filter = {_quoted(view.filter)}"]
        parts.append("\n".join([*lines, *([f"sort = {_quoted(view.sort)}"] if view.sort else [])]) + "\n")
    return "\n".join(parts)


def _quoted(text: str) -> str:
    """JSON writes what is beyond the BMP as two surrogates, which TOML does not take: there it stands as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
