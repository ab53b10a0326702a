"""What people install: the wheel alone is the agent and nothing else; with its extras the README's set-up works word
for word.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest

from common.version import VERSION
from tests.wheels import ROOT, build, fill, installed, required, run

pytestmark = pytest.mark.xdist_group("wheel")

AGENT = {"websockets", "msgpack", "psutil", "cryptography"}
THEIRS = {"cffi", "pycparser"}
"""What those four need themselves."""
DATA = {
    "common/py.typed",
    "hub/py.typed",
    "agent/py.typed",
    "tui/py.typed",
    "common/defaults/agent-policy.toml",
    "common/defaults/agent-read-only.toml",
    "common/defaults/agent-trust-hub.toml",
    "hub/chat/passkey.js",
    "hub/defaults/policy.toml",
    "hub/defaults/runbooks.toml",
    "hub/store/migrations/env.py",
    "hub/store/migrations/script.py.mako",
    "hub/store/migrations/versions/0001_first.py",
    "tui/tui.tcss",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the sources."""
    return build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel alone, as `pip install answerback` makes it."""
    environment = tmp_path_factory.mktemp("base") / "env"
    run(sys.executable, "-m", "venv", "--without-pip", environment)
    fill(environment, wheel)
    run(sys.executable, "-m", "pip", "--python", environment, "install", wheel)
    return environment


def test_every_file_is_in_the_wheel(wheel: Path) -> None:
    """Whatever lies in the packages, code or data, but pictures, and nothing else: no tests, no leftovers."""
    with zipfile.ZipFile(wheel) as file:
        names = {name for name in file.namelist() if ".dist-info/" not in name}
    beside = {name for name in names if f"answerback-{VERSION}.data/data/share/answerback/systemd/" in name}
    assert {name.rpartition("/")[2] for name in beside} == {path.name for path in (ROOT / "systemd").iterdir()}
    names -= beside
    source = wheel.parent / "source"
    ours = {
        str(path.relative_to(source))
        for package in ("common", "hub", "agent", "tui")
        for path in (source / package).rglob("*")
        if path.is_file() and path.suffix != ".svg"
    }
    assert names == ours
    assert names >= DATA
    assert {name for name in names if name.startswith("common/sentences/") and name.endswith(".toml")}


def test_the_metadata_is_in_order(wheel: Path) -> None:
    """Name, version, licence, readme, and three commands."""
    with zipfile.ZipFile(wheel) as file:
        info = f"answerback-{VERSION}.dist-info"
        told = file.read(f"{info}/METADATA").decode()
        commands = file.read(f"{info}/entry_points.txt").decode()
        assert f"{info}/licenses/LICENSE" in file.namelist()
    assert "Name: answerback\n" in told
    assert "License-Expression: Apache-2.0\n" in told
    assert "# Answerback" in told
    assert re.findall(r"^(\S+) = ", commands, re.MULTILINE) == ["answerback", "answerback-agent", "answerback-hub"]


def test_the_base_install_is_the_agent_alone(wheel: Path, base: Path) -> None:
    """Four libraries and what they need; no web framework, no console, no model's client."""
    assert {requirement.name for requirement in required(wheel)} == AGENT
    assert installed(base) == {"answerback"} | AGENT | THEIRS


def test_the_agent_works_from_it(base: Path, tmp_path: Path) -> None:
    """Help, version, a clear word where it has not joined; each of its modules loads, and the data beside them."""
    agent = base / "bin" / "answerback-agent"
    assert "answerback-agent join wss://" in run(agent, "--help")
    assert run(agent, "--version").split() == ["answerback-agent", VERSION]
    ended = subprocess.run([agent, "status", "--state", tmp_path], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "answerback-agent join" in ended.stderr
    program = """
        import importlib, pkgutil, agent, common
        from importlib import resources
        for package in (common, agent):
            for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
                if module.name != "common.process.click_program":  # the hub's and the console's
                    importlib.import_module(module.name)
        from common.catalogue import Sentence
        assert "r9" in Sentence("no_request", {"what": "r9"}).render("zh")
        assert resources.files("common").joinpath("defaults", "agent-policy.toml").read_text()
        assert agent.__file__.startswith(__import__("sys").prefix)
    """
    run(base / "bin" / "python", "-I", "-W", "error", "-c", textwrap.dedent(program))


@pytest.mark.parametrize(("command", "extra"), [("answerback-hub", "hub"), ("answerback", "console")])
def test_what_is_an_extra_says_so(command: str, extra: str, base: Path) -> None:
    """The other two commands are there, and name what to install; no traceback."""
    ended = subprocess.run([base / "bin" / command, "--help"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"pip install 'answerback[{extra}]'" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


# ---- the README's five minutes


def blocks() -> list[str]:
    """The shell blocks of the set-up: hub, machine, back on the hub, chat."""
    text = (ROOT / "README.md").read_text()
    chapter = text.split("## Five minutes")[1].split("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```$", chapter, re.MULTILINE | re.DOTALL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def replaced(text: str, before: str, after: str) -> str:
    """Every occurrence; there must be one."""
    assert before in text, f"the README no longer says {before!r}:\n{text}"
    return text.replace(before, after)


def script(wheel: Path, folder: Path, http: int, links: int) -> str:
    """The blocks as one script: names, ports and paths are another machine's, the rest is the README's.

    What people do between the lines is added: pasting the printed command, waiting for what they see happen.
    """
    hub, machine, back, chat = blocks()
    fill_in = f"{sys.executable} -m tests.wheels"
    here = f"cd {ROOT} &&"

    def common(text: str, environment: str) -> str:
        text = text.replace("/opt/answerback", str(folder / environment)).replace(
            "/etc/answerback", str(folder / "etc")
        )
        return text.replace("hub.example.org", "127.0.0.1").replace(":8443", f":{links}").replace(":8080", f":{http}")

    hub = common(hub, "hub-env")
    venv = f"python3 -m venv {folder}/hub-env\n"
    hub = replaced(hub, venv, f"{venv}({here} {fill_in} {folder}/hub-env {wheel} hub)\n")
    hub = replaced(hub, "'answerback[hub]'", f"'{wheel}[hub]'")
    waiting = f'until curl -sf http://127.0.0.1:{http}/readyz >/dev/null; do kill -0 "$served"; sleep 0.1; done\n'
    hub = replaced(
        hub, "serve &\n", f"serve >{folder}/hub.log 2>&1 &\nserved=$!; echo $served >>{folder}/pids\n{waiting}"
    )
    token = "answerback-hub token --agent web-1 --label role=web\n"
    hub = replaced(hub, token, f"{token.strip()} | tee {folder}/printed\n")

    machine = common(machine, "agent-env")
    venv = f"python3 -m venv {folder}/agent-env\n"
    machine = replaced(machine, venv, f"{venv}({here} {fill_in} {folder}/agent-env {wheel})\n")
    machine = replaced(machine, "pip install answerback\n", f"pip install {wheel}\n")
    (paste,) = re.findall(r"^answerback-agent join .*…$", machine, re.MULTILINE)
    machine = replaced(machine, paste, f"sh {folder}/printed")
    machine = replaced(
        machine, "answerback-agent run\n", f"answerback-agent run >{folder}/agent.log 2>&1 &\necho $! >>{folder}/pids\n"
    )
    online = f"until answerback --profile {folder}/etc/profile agents | grep -q online; do sleep 0.1; done\n"
    chat = common(chat, "hub-env")
    curl = next(line for line in chat.splitlines() if line.startswith("curl "))
    done = f"until answerback --profile {folder}/etc/profile requests | grep -q 'r2.*done'; do sleep 0.1; done\n"
    chat = replaced(chat, f"{curl}\n", f"{curl}\necho\n{done}")
    path = f"export PATH={folder}/hub-env/bin:$PATH\n"
    parts = [f"({hub})", f"({machine})", f"{path}{online}{common(back, 'hub-env')}", chat]
    return "set -eux\n" + "\n".join(parts)


@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("openssl")), reason="the README uses curl and openssl")
def test_the_five_minutes_of_the_readme(wheel: Path, tmp_path: Path) -> None:
    """Its commands, word for word: a hub, a machine that joins, a command from the terminal, a signed one from chat."""
    http, links = free_port(), free_port()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(sys.executable)
    text = script(wheel, tmp_path, http, links)
    environment = {
        "PATH": f"{tmp_path}/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "PIP_NO_INDEX": "1",
        "ANSWERBACK_CONFIG": str(tmp_path / "etc" / "hub.toml"),  # the paths that are defaults
        "ANSWERBACK_STATE": str(tmp_path / "state"),
    }
    try:
        ended = subprocess.run(
            ["/bin/bash", "-c", text],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        logs = "".join(file.read_text() for file in tmp_path.glob("*.log"))
        assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}\n{logs}"
    finally:
        pids = [*(tmp_path / "pids").read_text().split()] if (tmp_path / "pids").exists() else []
        runner = tmp_path / "state" / "runner" / "lock"
        pids += [runner.read_text().strip()] if runner.exists() else []
        for pid in filter(None, pids):
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGTERM)
    told = ended.stdout
    for words in (
        "made ",
        f"wss://127.0.0.1:{links}",
        "ok  ",
        f"answerback-agent join wss://127.0.0.1:{links} --token web-1.",
        "joined as web-1",
        "Mounted on",
    ):
        assert words in told, words
    assert re.search(r"^web-1 +online .*role=web$", told, re.MULTILINE)
    answer = json.loads(next(line for line in told.splitlines() if line.startswith('{"')))
    assert answer["ok"] is True
    assert re.search(r"^r2 +done .*alice +ops .*disk on web-1$", told, re.MULTILINE)
