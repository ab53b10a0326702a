"""Libraries are loaded without what they never use here."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from common.process.lean import without
from tests.end_to_end.system import ROOT

AS_UPLINK = """
from common.process.lean import WEBSOCKETS, without
with without(hollow=WEBSOCKETS):
    import websockets.asyncio.client
import agent.uplink.app
"""
AS_RUNNER = """
import sys
sys.modules["ssl"] = None
import agent.runner.app
"""
AS_HUB = "import hub.app, hub.cli.main; hub.cli.main.hub.main(['serve', '--help'], standalone_mode=False)"


def test_what_is_left_out_can_be_imported_afterwards() -> None:
    """A module in the block has nothing in it or is not there; what is loaded already is itself."""
    sys.modules.pop("this", None)
    with without("json", "antigravity", hollow={"this": ["d"]}):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("antigravity")
        assert vars(importlib.import_module("this"))["d"] is None
        assert hasattr(importlib.import_module("json"), "dumps")
    assert "this" not in sys.modules
    assert "antigravity" not in sys.modules


def test_a_failure_inside_leaves_no_stand_in() -> None:
    with pytest.raises(KeyError), without("antigravity", hollow={"this": ["d"]}):
        raise KeyError
    assert not {"this", "antigravity"} & set(sys.modules)


@pytest.mark.parametrize(
    ("code", "never"),
    [
        (
            AS_UPLINK,
            "cryptography sqlite3 pydantic aiohttp httpx click zipfile lzma difflib common.api.verbs",
        ),
        (AS_RUNNER, "_ssl websockets psutil zoneinfo difflib tempfile lzma sqlite3 pydantic importlib.resources"),
        (AS_HUB, "rich pygments httpx pydantic alembic textual sqlalchemy.dialects.postgresql tarfile hub.cli.people"),
    ],
    ids=["uplink", "runner", "hub"],
)
def test_what_a_serving_process_never_loads(code: str, never: str) -> None:
    """Each of these costs it a megabyte, or is what it must not have."""
    ended = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*(n for n, m in sys.modules.items() if m is not None))"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not set(never.split()) & set(ended.stdout.split())
