"""A sample of faults put into the product one at a time: does the suite notice each?

    python tests/bench/mutants.py [--controls] [--only WORD] [--list] [--root FOLDER] [--jobs N]

The tree is copied to a temporary folder, one text in one file is replaced, and the tests named beside it are run until
the first failure. A mutant that no test notices survived. A text that is not found exactly once is an error: the code
moved on, and the sample has to follow it. Ends with 0 where all were noticed. `--root` measures another checkout.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import cache_from_source
from pathlib import Path
from queue import SimpleQueue
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.mutant_sample import MUTANTS, Mutant
from tests.bench.trust_controls import CONTROLS

ROOT: Final = Path(__file__).resolve().parents[2]
PYTEST: Final = ("-q", "-n", "0", "-p", "no:cacheprovider", "-k", "not postgresql")
WITHIN: Final = 600.0  # seconds for one mutant: one that hangs has been noticed
NOT_COPIED: Final = (".git", ".venv", ".models", "__pycache__", "*.egg-info", ".*_cache", ".hypothesis")


def copy_tree(root: Path, to: Path) -> None:
    shutil.copytree(root, to, ignore=shutil.ignore_patterns(*NOT_COPIED), dirs_exist_ok=True)


def mutate(tree: Path, mutant: Mutant) -> str:
    """Puts the fault in; returns the file's text from before. Raises ValueError or OSError where there is no such
    place, or a test that should notice is gone.
    """
    file = tree / mutant.file
    text = file.read_text(encoding="utf-8")
    for name in mutant.tests.split():
        (tree / name).stat()
    if (found := text.count(mutant.old)) != 1:
        raise ValueError(f"{mutant.file}: {found} times in it: {mutant.old!r}")
    file.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    return text


def run_tests(tree: Path, *arguments: str) -> tuple[int, list[str]]:
    """pytest's exit status (-1: it took too long) and the lines that say what failed."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, "-m", "pytest", *PYTEST, *arguments]
    try:
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=WITHIN)
    except subprocess.TimeoutExpired:
        return -1, ["timed out"]
    said = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return done.returncode, said or done.stdout.splitlines()[-1:]


def failing(tree: Path, mutants: list[Mutant]) -> list[str]:
    """The options that leave out what fails without any fault, and would count as having noticed one."""
    files = sorted({name for mutant in mutants for name in mutant.tests.split()})
    status, said = run_tests(tree, "--timeout", "60", *files)
    if status not in (0, 1):
        raise SystemExit(f"the tests do not run ({status}): {said}")
    names = [line.split()[1] for line in said] if status else []
    if names:
        print("fail without any fault, and are left out:", *names, sep="\n  ", flush=True)
    return [part for name in names for part in ("--deselect", name)]


def judge(tree: Path, mutant: Mutant, left_out: list[str]) -> tuple[str, str]:
    """killed, survived or error, and by what."""
    try:
        before = mutate(tree, mutant)
    except (OSError, ValueError) as error:
        return "error", str(error)
    try:
        status, said = run_tests(tree, "-x", *left_out, *mutant.tests.split())
    finally:
        (tree / mutant.file).write_text(before, encoding="utf-8")
        # Its bytecode goes by second and size, which the next fault in this file may share.
        Path(cache_from_source(str(tree / mutant.file))).unlink(missing_ok=True)
    if status == 0:
        return "survived", ""
    line = said[0][:150] if said else ""
    return ("killed", line) if status in (-1, 1, 2) else ("error", f"pytest ended with {status}: {line}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="mutants whose file or text has this word")
    parser.add_argument("--list", action="store_true", help="only look whether every text is there")
    parser.add_argument("--controls", action="store_true", help="the controls of trust, each taken away")
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout to measure")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time")
    chosen = parser.parse_args()
    sample = [one.fault for one in CONTROLS] if chosen.controls else MUTANTS
    mutants = [mutant for mutant in sample if chosen.only in mutant.file + mutant.old]
    counts = {"killed": 0, "survived": 0, "error": 0}
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="answerback-mutants-") as folder:
        trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(1 if chosen.list else chosen.jobs):
            tree = Path(folder, str(number))
            tree.mkdir()
            copy_tree(chosen.root, tree)
            trees.put(tree)

        def one(mutant: Mutant) -> tuple[str, str]:
            tree = trees.get()
            try:
                if chosen.list:
                    (tree / mutant.file).write_text(mutate(tree, mutant), encoding="utf-8")
                    return "survived", "its place is there"
                return judge(tree, mutant, left_out)
            except (OSError, ValueError) as error:
                return "error", str(error)
            finally:
                trees.put(tree)

        left_out = [] if chosen.list else failing(tree, mutants)
        with ThreadPoolExecutor(1 if chosen.list else chosen.jobs) as pool:
            for mutant, (result, said) in zip(mutants, pool.map(one, mutants), strict=True):
                counts[result] += 1
                print(
                    f"{result:9}{mutant.file}: {' '.join(mutant.new.split())[:60] or 'taken out'}  {said}", flush=True
                )
    total = ", ".join(f"{count} {name}" for name, count in counts.items())
    print(f"{len(mutants)} mutants: {total}, in {time.monotonic() - started:.0f} s")
    return 0 if chosen.list or counts["killed"] == len(mutants) else 1


if __name__ == "__main__":
    sys.exit(main())
