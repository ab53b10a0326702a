"""make transcript: plain words to a real model, plan, policy, approval, a machine and the reply, with stage latencies.

Once through OpenAI's protocol and once through the real `ollama` client with another project's Ollama front before the
same model. The model is SmolLM2 135M: what it plans is of the form and hardly ever wise, which is the point of
everything that comes after it. Each message goes through a real hub process, a real agent and real signed webhooks.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.end_to_end.system import SystemHarness  # after the path is set: this is run as a file
from tests.models.real import MISSING, Running, installed, ollama_front, openai_server

MESSAGES: Final = (
    "how is the memory of web-1 holding up these days, roughly",
    "is anything odd going on with the network of web-1 at the moment",
    "web-1 最近运行得怎么样，帮我看看有没有什么问题",
)
WITHIN: Final = 240.0
STAGE: Final = re.compile(r'answerback_stage_seconds_(sum|count)\{stage="(\w+)"\} ([0-9.e+-]+)')
STAGES: Final = (
    "wait",
    "prompt",
    "recall",
    "line",
    "first",
    "answer",
    "think",
    "approve",
    "queue",
    "start",
    "run",
    "total",
)


class Stages:
    """Stage times from `/metrics`, as what was added since the last look."""

    def __init__(self, rig: SystemHarness) -> None:
        self._rig = rig
        self._before: dict[tuple[str, str], float] = {}

    async def since(self) -> dict[str, float]:
        """Seconds by stage, mean of what was observed since the last call."""
        assert self._rig.session is not None
        async with self._rig.session.get(f"http://127.0.0.1:{self._rig.http}/metrics") as answer:
            text = await answer.text()
        now = {(kind, stage): float(value) for kind, stage, value in STAGE.findall(text)}
        more = {key: value - self._before.get(key, 0.0) for key, value in now.items()}
        self._before = now
        return {stage: more["sum", stage] / count for (kind, stage), count in more.items() if kind == "count" and count}


def told(text: str) -> str:
    return "\n".join(f"    | {line}" for line in text.splitlines())


async def answered(rig: SystemHarness, event: str) -> dict[str, Any]:
    """The final reply, or the question where there is one."""
    found = await rig.receiver.wait_for(
        lambda: next((r for r in rig.receiver.replies if r["in_reply_to"] == event and r["kind"] != "progress"), None),
        WITHIN,
    )
    return dict(found)


async def converse(rig: SystemHarness, text: str, stages: Stages) -> dict[str, Any]:
    """One message to its end: asked, approved where it has to be, answered; printed as it goes."""
    begun = time.perf_counter()
    print(f"\n  carol> {text}")
    event, status, answer = await rig.post("carol", text)
    assert status == 200, answer
    reply = await answered(rig, event)
    print(told(reply["text"]))
    if reply["kind"] == "question":
        print(f"  bob> approve r{answer['number']}")
        said = await rig.ask("bob", f"approve r{answer['number']}")
        print(told(said["text"]))
        reply = await rig.receiver.wait_final(event, 60)
        print(told(reply["text"][:900]))
    took = time.perf_counter() - begun
    spent = await stages.since()
    print("    " + "  ".join(f"{stage} {1000 * spent[stage]:.1f} ms" for stage in STAGES if stage in spent))
    print(f"    {reply['request']['state']}, {took:.2f} s from webhook to reply")
    return reply


def with_model(rig: SystemHarness, kind: str, at: Running) -> None:
    key = ""
    if at.key:
        file = rig.hub_dir / "secrets" / "model"
        file.write_text(at.key + "\n")
        file.chmod(0o600)
        key = f'key_file = "{file}"\n'
    node = f'kind = "{kind}"\nurl = "{at.url}"\nmodel = "{at.model}"\n{key}context = 4096\ntimeout = "4m"\n'
    text = f"{rig.config.read_text()}\n[models.real]\n{node}"
    assert "[planning]" in text
    rig.config.write_text(
        text.replace("[planning]\n", '[planning]\nprompt_tokens = 1500\nmax_tokens = 400\ndeadline = "4m"\n', 1)
    )


async def through(kind: str, at: Running) -> list[dict[str, Any]]:
    print(f"\n== {kind}: {at.model} at {at.url}, key {'yes' if at.key else 'no'}")
    with tempfile.TemporaryDirectory() as folder:
        async with SystemHarness(Path(folder), forks=False) as rig:
            await rig.init()
            with_model(rig, kind, at)
            await rig.start_hub()
            await rig.add_agent("web-1", "role=web")
            stages = Stages(rig)
            await stages.since()
            replies = [await converse(rig, text, stages) for text in MESSAGES]
            print("\n  -- the first one again, from the cache")
            replies.append(await converse(rig, MESSAGES[0], stages))
            kinds = [event["kind"] for event in rig.events() if event["kind"].startswith("model.")]
            print(f"\n  audit: {kinds.count('model.prompt')} prompts, {kinds.count('model.answer')} answers, sealed")
            return replies


async def main() -> int:
    if installed() is None:
        print(MISSING)
        return 1
    async with openai_server(slots=2, threads=2) as server, ollama_front(server) as front:
        replies = await through("openai", server) + await through("ollama", front)
    ran = sum(bool(reply["jobs"]) for reply in replies)
    states = [reply["request"]["state"] for reply in replies]
    print(f"\n{len(replies)} messages, {ran} ran on a machine; ended {', '.join(states)}")
    return 0 if ran else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
