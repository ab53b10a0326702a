"""The verifier as one file: a Python zip application of `common.audit`, whose source can be read in it."""

from __future__ import annotations

import zipfile
from importlib import resources
from pathlib import Path
from typing import Final

from common.errors import UserError

_MAIN: Final = "import sys\nfrom common.audit.verifier import main\nsys.exit(main())\n"
_DATE: Final = (1980, 1, 1, 0, 0, 0)  # the same bytes every time


def write_verifier(path: Path) -> None:
    """Raises UserError where it cannot be written, or there is a file already."""
    files = {"__main__.py": _MAIN, "common/__init__.py": ""}
    for entry in sorted(resources.files("common.audit").iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".py"):
            files[f"common/audit/{entry.name}"] = entry.read_text(encoding="utf-8")
    try:
        with open(path, "xb") as file, zipfile.ZipFile(file, "w") as bundle:
            for name, text in files.items():
                bundle.writestr(zipfile.ZipInfo(name, _DATE), text)
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror})", "name another file with --output") from None
