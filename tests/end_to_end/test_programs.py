"""What the hub's policy says of programs, scripts and paths, decided on the machine: a real hub, a real runner."""

from __future__ import annotations

import hashlib
import os
import sys

from common.script import script_digest
from tests.end_to_end.system import SystemHarness

SCRIPT = "import sys\nprint('shipped', sys.argv[1:])\n"

RULES = """
[programs.kept-python]
path = "{python}"
names = ["kept-python"]
insert = ["-I"]

[[rule]]
id = "test-shipped"
about = "a script of the hub"
program = "kept-python"
verdict = "allow"
words = ["shipped.py"]
script = "{digest}"
flags = ["--full"]

[[rule]]
id = "test-pinned"
about = "a program by its digest"
program = "{tool}"
names = ["pinned"]
verdict = "allow"
sha256 = "{sha256}"

[[rule]]
id = "test-turned"
about = "a link"
program = "{link}"
names = ["turned"]
verdict = "allow"

[[rule]]
id = "test-show"
about = "a file beneath a root"
program = "/bin/cat"
names = ["show"]
verdict = "allow"
by_descriptor = true
arguments = [{{ name = "FILE", type = "path", beneath = ["{root}"] }}]
"""


async def test_what_runs_is_what_was_judged(rig: SystemHarness) -> None:
    """Trust: through chat, hub, link and runner: a script runs by its content alone, and only where the machine's own
    policy names it too; a program with another digest, a link turned to an editor and a path that leads out are refused
    by the machine, with the reason in chat.
    """
    base = rig.folder.resolve()
    tool, link, root = base / "tool", base / "turned", base / "root"
    tool.write_text("#!/bin/sh\necho pinned\n")
    tool.chmod(0o755)
    editor = base / "vim.basic"
    editor.write_text("#!/bin/sh\n")
    editor.chmod(0o755)
    link.symlink_to(tool)
    root.mkdir()
    (root / "plain").write_text("plain text\n")
    (root / "out").symlink_to("../secret")
    (base / "secret").write_text("CANARY\n")
    (rig.hub_dir / "scripts").mkdir()
    (rig.hub_dir / "scripts/shipped.py").write_text(SCRIPT)
    rules = RULES.format(
        python=os.path.realpath(sys.executable),
        digest=script_digest(SCRIPT),
        tool=tool,
        link=link,
        root=root,
        sha256=hashlib.sha256(tool.read_bytes()).hexdigest(),
    )
    policy = rig.hub_dir / "policy.toml"
    policy.write_text(policy.read_text() + rules)
    await rig.start_hub()
    await rig.join("web-1")
    own = rig.state_folder("web-1") / "runner/policy.toml"
    before = own.read_text()
    await rig.start_agent("web-1")

    async def told(line: str) -> str:
        return str((await rig.ask("carol", f"@web-1 {line}"))["text"])

    assert "interpreter" in await told("shipped.py --full")  # the machine denies python by name
    head, _, _ = rules.partition('[[rule]]\nid = "test-pinned"')
    own.write_text(before + head)
    assert "shipped ['--full']" in await told("shipped.py --full")
    assert "pinned" in await told("pinned")
    assert "pinned" in await told("turned")
    assert "plain text" in await told("show " + str(root / "plain"))
    out = await told("show " + str(root / "out"))
    assert f"leads to {base}/secret" in out
    assert "CANARY" not in out
    link.unlink()
    link.symlink_to(editor)
    assert "the hub's policy denies (vim)" in await told("turned")
    tool.write_text("#!/bin/sh\necho another\n")
    assert "is not the file that the rule names" in await told("pinned")
    rig.check_at_most_once()
