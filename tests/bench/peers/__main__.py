"""See the package. Prints each row when it has ended; exit status 1 where one could not be measured."""

from __future__ import annotations

import argparse
import asyncio
import compileall
import json
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from tests.bench.peers import __doc__ as what
from tests.bench.peers.chart import draw
from tests.bench.peers.machine import ROOT, describe
from tests.bench.peers.rows import ROWS, Found


def as_installed() -> None:
    """What is measured runs from bytecode: else each process compiles itself, which takes longer than its work."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for name in ("common", "hub", "agent", "tui"):
        compileall.compile_dir(ROOT / name, quiet=2)


def show(name: str, found: Found) -> None:
    print(f"\n{name}: {ROWS[name].__doc__} ({found['unit']})")
    for label, value in found["bars"].items():
        times = found.get("times", {}).get(label, {})
        text = f"  {label:<36} {value:>10g}" + (f"   p99 {times['p99_ms']:g} ms, n {times['n']}" if times else "")
        cpu = found.get("cpu_ms", {}).get(label)
        print(text + (f", processor {cpu:g} ms" if cpu is not None else ""))
    for label, ratio in found["ratios"].items():
        print(f"  {label:<48} {ratio['is']:>8g}   goal {ratio['goal']}")


def write(found: dict[str, Any], json_file: Path | None, chart: Path | None) -> None:
    if json_file is not None:
        json_file.write_text(json.dumps(found, indent=1) + "\n")
    if chart is not None:
        chart.write_text(draw(found, {name: str(row.__doc__).partition(".")[0] for name, row in ROWS.items()}))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="tests.bench.peers", description=what, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}  [default: all]")
    parser.add_argument("--json", type=Path, help="writes all that was found; rows that are not run stay")
    parser.add_argument("--chart", type=Path, help="writes an SVG")
    parser.add_argument("--scale", type=float, default=1.0, help="fewer of everything: 0.1 is a quick look")
    chosen = parser.parse_args()
    for name in chosen.rows:
        if name not in ROWS:
            parser.error(f"there is no row {name}; there are {', '.join(ROWS)}")
    as_installed()
    rows = json.loads(chosen.json.read_text())["rows"] if chosen.json is not None and chosen.json.exists() else {}
    machine, failed = describe(), 0
    print(json.dumps(machine))
    for name in chosen.rows or ROWS:
        try:
            with tempfile.TemporaryDirectory(prefix="ab-peers-") as folder:
                Path(folder).chmod(0o755)  # whom ssh logs in as reads its keys there
                found = asyncio.run(ROWS[name](Path(folder), chosen.scale))
        except Exception:
            failed += 1
            print(f"\n{name}: could not be measured", flush=True)
            traceback.print_exc()
            continue
        show(name, found)
        rows[name] = {"scale": chosen.scale, "commit": machine["commit"], **found}
        ordered = {one: rows[one] for one in ROWS if one in rows}
        write({"machine": machine, "rows": ordered}, chosen.json, chosen.chart)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
