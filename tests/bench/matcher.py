"""make bench-matcher: how well plain words are understood, and what that costs, in one run.

    python tests/bench/matcher.py [--errors] [--held-out]

Precision and recall on `tests/hub/plan/phrasings`, the half that the matcher was tuned with and the one held out; then
the time a message takes with 200 runbooks, beside the comparison word for word alone, worst cases included.
`--errors` prints what is planned wrongly or missed of the first half, `--held-out` of the second too.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import tomllib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from hub.core.inventory import Inventory, Machine
from hub.core.outcome import PlanningContext
from hub.planning.runbooks.file import default_text, parse_runbooks
from hub.planning.runbooks.matcher import RunbookMatcher
from tests.hub.planning.runbooks import phrasing_set

RUNBOOKS: Final = 200
MACHINES: Final = 1_000
ROUNDS: Final = 5

WORST: Final = {
    "4,000 characters": "disk on web-1 and " * 230,
    "one word again and again": "disk " * 79,
    "a list of machines": "web-1 和 " * 48 + "web-2",
    "forty slips": "memmory dsik " * 20,
    "nothing known": " ".join(f"zq{index}x" for index in range(60)),
    "all that is known": "disk memory load ports logs services kernel users time route cpu swap container dns " * 4,
    "Chinese, no blanks": "磁盘内存负载端口日志服务内核用户时间路由" * 19,
    "signs": "web-1, " * 57,
    "labels": "disk on " + ", ".join(f"role=r{index}" for index in range(40)),
}


def many() -> RunbookMatcher:
    """The default runbooks, and made-up ones for 200 in all, each with twelve examples in two languages."""
    body: dict[str, Any] = tomllib.loads(default_text())
    for index in range(RUNBOOKS - len(body["runbooks"])):
        name, number = f"queue-{index}", f"topic{chr(97 + index // 26)}{chr(97 + index % 26)}"
        english = ["{x} of {n} on {m}", "how is the {x} of {n} on {m}", "{m} {n} {x}", "last {k} {x} of {n} on {m}"]
        english += ["which {n} have {x} on {m}", "{n} {x} of {u} on {m}"]
        chinese = ["{m} 的 {n} {z}", "{m} 上 {n} 有多少{z}", "看 {m} 上最近 {k} 条 {n} {z}", "{n} 在 {m} 上的{z}"]
        chinese += ["{m} 上哪些 {n} 有{z}", "{m} 上 {u} 的 {n} {z}"]
        fill = {"x": "backlog", "z": "积压", "n": number, "m": "{machine}", "k": "{count}", "u": "{unit}"}
        body["runbooks"][name] = {
            "title": {"en": name},
            "steps": [["echo", "{unit}", "{count}"]],
            "slots": {"unit": {"type": "unit", "default": "cron"}, "count": {"type": "int", "default": "10"}},
            "examples": {
                "en": [one.format(**fill) for one in english],
                "zh": [one.format(**fill) for one in chinese],
            },
        }
    return parse_runbooks(body, Path("runbooks.toml"))


def timed(act: Callable[[], object]) -> float:
    """Milliseconds, the best of some rounds: what other processes take is not the matcher's."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        act()
        best = min(best, time.perf_counter() - began)
    return best * 1000


def line(name: str, times: Sequence[float]) -> str:
    ordered = sorted(times)
    return f"{name:<44}{statistics.median(ordered):>9.3f}{ordered[int(len(ordered) * 0.99)]:>9.3f}{ordered[-1]:>9.3f}"


def speed() -> str:
    began = time.perf_counter()
    runbooks = many()
    loaded = time.perf_counter() - began
    names = [*phrasing_set.ROLES, *(f"node-{index}" for index in range(MACHINES - len(phrasing_set.ROLES)))]
    fleet = Inventory({name: Machine(name, {"role": phrasing_set.ROLES.get(name, "node")}, True) for name in names})
    texts = [one.text for one in phrasing_set.read()]

    def context(text: str) -> PlanningContext:
        return phrasing_set.context(text, fleet)

    def times(act: Callable[[PlanningContext], object], chosen: Sequence[str]) -> list[float]:
        return [timed(partial(act, made)) for made in map(context, chosen)]

    def near(made: PlanningContext) -> object:
        return runbooks.suggest(made.text, made.language, "web-1")

    examples = sum(len(some) for runbook in runbooks.runbooks for some in runbook.examples.values())
    lines = [
        f"{len(runbooks)} runbooks, {examples} examples, read and tried out in {loaded:.2f} s; {MACHINES} machines",
        f"{'milliseconds a message':<44}{'p50':>9}{'p99':>9}{'max':>9}",
        line(f"word for word, {len(texts)} phrasings", times(runbooks.plan_exactly, texts)),
        line("the matcher", times(runbooks.plan, texts)),
        line("what may have been meant", times(near, texts)),
    ]
    lines += [
        f"  {name:<26}{len(text):>5} characters {times(runbooks.plan, [text])[0]:>8.3f} planning"
        f"{times(near, [text])[0]:>8.3f} near"
        for name, text in WORST.items()
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="How well plain words are understood, and how fast.")
    parser.add_argument("--errors", action="store_true", help="print what goes wrong in the half tuned with")
    parser.add_argument("--held-out", action="store_true", help="and in the other half")
    given = parser.parse_args()
    runbooks = parse_runbooks(tomllib.loads(default_text()), Path("runbooks.toml"))
    phrasings = phrasing_set.read()
    print(f"{len(runbooks)} default runbooks, {len(phrasings)} phrasings")
    print(phrasing_set.table(runbooks, phrasings))
    if given.errors or given.held_out:
        shown = phrasing_set.score(runbooks, [one for one in phrasings if given.held_out or not one.held_out])
        for name, texts in (("wrong", shown.wrong), ("missed", shown.missed), ("not asked back", shown.unasked)):
            print(f"\n{name}:", *texts, sep="\n  ")
    print()
    print(speed())


if __name__ == "__main__":
    main()
