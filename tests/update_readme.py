"""Draws the two lifecycles of `common.lifecycle` into README.md: `python tests/update_readme.py [FILE]`.

A picture stands in a fenced block behind its marker; `tests/common/test_lifecycle.py` compares it with the table.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # run as a script
    sys.path.insert(0, str(ROOT))

from common.lifecycle import JOB_TRANSITIONS, REQUEST_TRANSITIONS, diagram

PICTURES = {"request": diagram(REQUEST_TRANSITIONS), "job": diagram(JOB_TRANSITIONS)}


def picture(readme: str, name: str) -> str | None:
    """The diagram in the fenced block behind the marker of lifecycle `name`; None where there is none."""
    found = _block(name).search(readme)
    return found["picture"] if found else None


def updated(readme: str) -> str:
    """The text with both pictures drawn anew; raises ValueError where a marker with its block is missing."""
    for name, drawn in PICTURES.items():
        readme, count = _block(name).subn(lambda match, drawn=drawn: f"{match['head']}{drawn}\n```", readme)
        if count != 1:
            raise ValueError(f"{count} blocks behind <!-- {name} lifecycle -->: there must be one, fenced as mermaid")
    return readme


def _block(name: str) -> re.Pattern[str]:
    return re.compile(
        rf"(?P<head><!-- {name} lifecycle -->\s*```mermaid\n)(?P<picture>(?:(?!```).)*?)\n?```", re.DOTALL
    )


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "README.md"
    path.write_text(updated(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
