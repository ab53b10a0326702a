"""hub.chat.platforms.registry: which platforms there are, and files of people's own."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from common.errors import UserError
from hub.chat.platforms.registry import built_in, find_platform, implementation, table_of
from hub.cli.main import main
from hub.core.inlet_table import InletTable
from tests.run_main import run_main
from tests.sources import GROUP, ROOT, parsed

OURS = ("generic", "standard")
KEYS = ("card", "buttons", "outbound", "files")
OWN = ROOT / "tests" / "end_to_end" / "own_platform.py"


def test_every_platform_keeps_to_the_interface(tmp_path: Path) -> None:
    """Found by its module; its name is the module's; its table has the keys of every inlet."""
    assert {"generic", "standard"} <= set(built_in())
    for name, kind in built_in().items():
        assert re.fullmatch(r"[a-z0-9]+", name)
        assert find_platform(name, tmp_path) is kind
        assert issubclass(table_of(name, tmp_path), InletTable)
        assert (ROOT / "hub" / "chat" / "platforms" / f"{name}.py").exists()
        assert implementation(kind) is not None, "what it can is known before there is an inlet"
        assert kind.setup, f"{name} says how it is set up"
        assert all(english and chinese for english, chinese in kind.setup)


@pytest.mark.xdist_group(GROUP)
def test_no_other_module_names_a_platform() -> None:
    """As a value: whoever adds a platform adds one file. `init` alone picks one for the first inlet, and the demo's
    inlets are called after chats.
    """
    names = set(built_in()) - {"generic", "standard"}
    for path, tree in parsed().items():
        if path.parent.name not in ("platforms", "demo"):
            values = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
            assert not names & values, path


def test_a_file_of_ones_own_is_a_platform(tmp_path: Path) -> None:
    """By its path from the folder of hub.toml; changed, it is read again."""
    file = tmp_path / "chats" / "own.py"
    file.parent.mkdir()
    file.write_text(OWN.read_text())
    kind = find_platform("chats/own.py", tmp_path)
    assert (kind.name, kind.title) == ("own", "A chat of our own")
    assert find_platform("chats/own.py", tmp_path) is kind
    file.write_text(OWN.read_text().replace('"own", "A chat of our own"', '"own", "Another"'))
    assert find_platform("chats/own.py", tmp_path).title == "Another"


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    """A name nobody knows, a file that is not there, open to others, without a platform, or broken."""
    with pytest.raises(UserError, match=r'"telepathy" is not known here') as caught:
        find_platform("telepathy", tmp_path)
    assert '"generic", ' in caught.value.cure
    with pytest.raises(UserError, match="No such file"):
        find_platform("gone.py", tmp_path)
    file = tmp_path / "odd.py"
    file.write_text("x = 1\n")
    with pytest.raises(UserError, match="has no PLATFORM"):
        find_platform("odd.py", tmp_path)
    file.write_text("raise ValueError('no')\n")
    with pytest.raises(UserError, match="ValueError: no"):
        find_platform("odd.py", tmp_path)
    file.chmod(0o666)
    with pytest.raises(UserError, match="can be written by others"):
        find_platform("odd.py", tmp_path)


def test_the_docs_name_the_chats_whose_pictures_are_read() -> None:
    """Those that fetch them after the commit, and Matrix, whose pictures come with its messages."""
    text = (ROOT / "docs" / "chat" / "README.md").read_text()
    named = re.search(r"^Pictures are read in ([\w, ]+), where", text, re.MULTILINE)
    assert named is not None
    folder = ROOT / "hub" / "chat" / "platforms"
    fetching = {file.stem.removesuffix("_files") for file in folder.glob("*_files.py")}
    assert re.split(", | and ", named[1]) == sorted({*fetching, "matrix"})


def test_the_table_of_the_docs_is_that_of_the_code() -> None:
    """Each platform has its page, and what it can is what `inlet platforms` says."""
    table = (ROOT / "docs" / "chat" / "README.md").read_text()
    rows = re.findall(r"^\| \[(\w+)\]\((\w+)\.md\) \| (\S+) \| (\S+) \| (\S+) \| (\S+) \|", table, re.MULTILINE)
    marks = {True: "yes", False: "-"}
    found = [one for one in run_main(main, "inlet", "platforms", "--json").json if one["name"] not in OURS]
    assert rows == [(one["name"],) * 2 + tuple(marks[one[key]] for key in KEYS) for one in found]
    for name, _, *_ in rows:
        assert (ROOT / "docs" / "chat" / f"{name}.md").exists()
