"""make demo: a real hub, two real machines that joined with tokens, real signed webhooks, a real receiver of the
replies.

Prints the conversation as it happens. Without a terminal it ends with status 0 by itself; with one it offers the live
system.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.end_to_end.system import (
    ROOT,
    HarnessError,
    SystemHarness,  # after the path is set: the demo is run as a file
)

DEMO_RULE = """
# Added by the demo: a change that needs a second person.
[[rule]]
id = "demo-empty-log"
about = "empty a log file of the demo"
program = "/usr/bin/truncate"
verdict = "ask"
approvers = 1
required = ["-s"]
[rule.options]
"-s" = {{ type = "choice", of = ["0"] }}
[[rule.arguments]]
name = "FILE"
type = "path"
beneath = ["{folder}"]
"""

COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def paint(code: str, text: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if COLOUR else text


def print_heading(title: str) -> None:
    print(f"\n{paint('1', '== ' + title)}", flush=True)


def print_message(who: str, text: str) -> None:
    print(f"  {paint('36', who):<10} {text}", flush=True)


def print_reply(reply: dict[str, Any]) -> None:
    """A reply as the chat would show it."""
    lines = reply["text"].splitlines()
    print(f"  {paint('32', 'answerback')} {lines[0] if lines else ''}")
    for line in lines[1:]:
        print(textwrap.indent(line, "             "))
    sys.stdout.flush()


def expect(condition: bool, what: str) -> None:
    if not condition:
        raise HarnessError(f"the demo expected: {what}")


async def ask(rig: SystemHarness, who: str, text: str) -> dict[str, Any]:
    print_message(who, text)
    reply = await rig.ask(who, text)
    print_reply(reply)
    return reply


async def run_scenes(rig: SystemHarness) -> None:
    """The scenes, in order; each checks what it shows."""
    began = time.monotonic()
    print_heading("a hub of its own, and two machines that dial in")
    await rig.init()
    log = rig.folder / "app.log"
    log.write_text("something old\n" * 1000)
    policy = rig.hub_dir / "policy.toml"
    policy.write_text(policy.read_text() + DEMO_RULE.format(folder=rig.folder))
    await rig.start_hub()
    print(f"  hub        http://127.0.0.1:{rig.http}/webhook/ops, machines at wss://127.0.0.1:{rig.links}")
    for name, label in (("web-1", "role=web"), ("web-2", "role=web")):
        command = await rig.join(name, label, profile="read-only")
        await rig.start_agent(name)
        print(f"  {name}      {command.split(' --token')[0]} --token *** --ca-pin sha256:…  (key made there)")

    print_heading("a question, answered at once")
    reply = await ask(rig, "carol", "@web-1 df -h /")
    expect(reply["jobs"][0]["exit_code"] == 0, "df to succeed on web-1")

    print_heading("in Chinese, by a runbook: no model, no command to remember")
    reply = await ask(rig, "carol", "web-2 的内存")
    expect(reply["jobs"][0]["exit_code"] == 0, "the memory runbook to succeed on web-2")

    print_heading("two machines at once")
    reply = await ask(rig, "carol", "@role=web uptime")
    expect([job["agent"] for job in reply["jobs"]] == ["web-1", "web-2"], "both machines to answer")

    print_heading("a machine lets its hub look; what may change it is said on the machine")
    own = rig.state_folder("web-1") / "runner" / "policy.toml"
    own.write_text(own.read_text() + DEMO_RULE.format(folder=rig.folder))
    _, out, _ = await rig.run("agent", "policy", "show", "--state", str(rig.state_folder("web-1")))
    print(f"  web-1      {out.splitlines()[1].strip()}")

    print_heading("a change waits for a second person, who approves exactly that plan")
    text = f"@web-1 truncate -s 0 {log}"
    print_message("carol", text)
    event, _, answer = await rig.post("carol", text)
    print_reply(await rig.receiver.wait_question(event))
    await ask(rig, "carol", f"approve r{answer['number']}")
    expect(log.stat().st_size > 0, "nothing to run on the asker's own approval")
    await ask(rig, "bob", f"approve r{answer['number']}")
    print_reply(await rig.receiver.wait_final(event))
    expect(log.stat().st_size == 0, "the log to be empty after bob's approval")

    print_heading("refused, with the reason")
    reply = await ask(rig, "carol", "@web-1 rm -rf /var/lib")
    expect(reply["request"]["state"] == "refused", "rm to be refused")
    reply = await ask(rig, "carol", "@web-1 cat /etc/hostname; reboot")
    expect(reply["request"]["state"] == "refused", "a shell line to be refused")

    print_heading("cancelled while it runs")
    print_message("carol", "@web-2 sleep 300")
    event, _, answer = await rig.post("carol", "@web-2 sleep 300")
    await rig.wait_until(lambda: has_running_job(rig, answer["number"]))
    await ask(rig, "carol", f"cancel r{answer['number']}")
    reply = await rig.receiver.wait_final(event)
    print_reply(reply)
    expect(reply["jobs"][0]["state"] == "cancelled", "sleep to be cancelled")

    print_heading("a forged webhook is turned away")
    _, status, answer = await rig.post("carol", "@web-1 uptime", signature="0" * 64)
    print(f"  HTTP {status}   {answer['error']}: {answer['message']}")
    expect(status == 401, "a forged webhook to be answered 401")

    print_heading("the record: hash-chained, signed, verified")
    _, out, _ = await rig.hub("audit", "verify")
    print(f"  {out.strip()}")
    took = time.monotonic() - began
    print(f"\n{len(rig.receiver.replies)} replies received and verified in {took:.1f} s; nobody opened SSH.")


async def has_running_job(rig: SystemHarness, number: int) -> bool:
    import json

    _, out, _ = await rig.operator("jobs", "--json", "--state", "running")
    return any(job["number"] == number for job in json.loads(out))


OFFER = "[c]onsole, c[h]at with it, [w]atch what happens, [a]gents, [j]obs, [Enter] to end: "


async def offer_console(rig: SystemHarness) -> None:
    """The live system, for whoever sits at the terminal."""
    profile = rig.hub_dir / "profile"
    command = [sys.executable, "-m", "tui", "--profile", str(profile)]
    print(f"\nIt is still running, and you are its admin:\n\n  {' '.join(command)} agents\n")
    print("In the chat you are alice, and bob after `/as bob`: ask as one, approve as the other.\n")
    loop = asyncio.get_running_loop()
    while True:
        answer = await loop.run_in_executor(None, input, OFFER)
        word = {"c": "console", "h": "chat", "w": "watch", "a": "agents", "j": "jobs"}.get(answer.strip()[:1].lower())
        if word is None:
            return
        try:
            await asyncio.to_thread(subprocess.run, [*command, word], cwd=ROOT, check=False)
        except KeyboardInterrupt:
            continue


async def main() -> int:
    with tempfile.TemporaryDirectory(prefix="answerback-demo-") as folder:
        async with SystemHarness(Path(folder), forks=False) as rig:
            try:
                await run_scenes(rig)
                if sys.stdin.isatty() and sys.stdout.isatty():
                    await offer_console(rig)
            except (HarnessError, TimeoutError) as error:
                print(f"\nthe demo failed: {error or 'something took too long'}", file=sys.stderr)
                for program in rig.programs.values():
                    print(f"\n--- {program.name}\n{program.tail()}", file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except (KeyboardInterrupt, EOFError):
        sys.exit(130)
