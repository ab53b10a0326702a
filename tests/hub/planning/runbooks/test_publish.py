"""runbooks.toml with one runbook more: every byte of its own stays, and nothing wrong is ever in it for long."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from common.errors import UserError
from common.read_file import MAX_FILE
from hub.planning.runbooks import publish
from hub.planning.runbooks.file import default_text, read_runbooks

MORE = '[runbooks.frob]\ntitle = { en = "frob" }\nsteps = [["frob"]]\nexamples.en = ["frobnicate {machine}"]\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "runbooks.toml"
    made.write_text(default_text(), encoding="utf-8")
    made.chmod(0o640)
    return made


def test_the_files_own_text_stays(file: Path) -> None:
    """Comments, order, spaces; the new table is behind a blank line; the mode is as it was."""
    text, body = publish.read_with_text(file)
    assert "disk" in body["runbooks"]
    publish.publish(file, text, f"# from r1\n{MORE}")
    assert file.read_text(encoding="utf-8") == f"{text}\n# from r1\n{MORE}"
    assert file.stat().st_mode & 0o777 == 0o640
    assert "frob" in {runbook.name for runbook in read_runbooks(file).runbooks}
    assert sorted(entry.name for entry in file.parent.iterdir()) == ["runbooks.toml"]


@pytest.mark.parametrize(("text", "whole"), [("", "x"), ("a", "a\n\nx"), ("a\n", "a\n\nx"), ("a\n\n\n", "a\n\n\nx")])
def test_one_blank_line_between(text: str, whole: str) -> None:
    """Or what the file had there already."""
    assert publish.append_text(text, "x") == whole


@pytest.mark.parametrize(
    ("addition", "told"),
    [
        (MORE.replace("frobnicate", "disk on"), "disk"),
        (MORE.replace("runbooks.frob", "runbooks.disk"), "is there a runbook of this name already"),
        (MORE.replace("{machine}", ""), "machine"),
        ("[runbooks.frob", "TOML|runbooks.toml"),
        (f"# {'x' * MAX_FILE}\n", "larger than"),
    ],
)
def test_what_does_not_hold_together_is_refused(file: Path, addition: str, told: str) -> None:
    """By the file's own reader, with what is wrong; the file is not touched by trying."""
    text, _ = publish.read_with_text(file)
    with pytest.raises(UserError, match=told):
        publish.parse_with(text, addition, file)
    assert file.read_text(encoding="utf-8") == text


def test_a_wrong_text_is_put_back(file: Path) -> None:
    """Should the reader refuse what was written, the file is as it was."""
    text, _ = publish.read_with_text(file)
    with pytest.raises(UserError):
        publish.publish(file, text, MORE.replace("frobnicate", "disk on"))
    assert file.read_text(encoding="utf-8") == text


def test_what_somebody_wrote_meanwhile_is_not_lost(file: Path) -> None:
    """The editor of a person wins; the draft is to be accepted again."""
    text, _ = publish.read_with_text(file)
    file.write_text(f"{text}# mine\n", encoding="utf-8")
    with pytest.raises(UserError, match="changed at this moment"):
        publish.publish(file, text, MORE)
    assert file.read_text(encoding="utf-8").endswith("# mine\n")


def test_a_link_stays_a_link(file: Path, tmp_path: Path) -> None:
    """What it points to is written."""
    link = tmp_path / "linked.toml"
    os.symlink(file, link)
    text, _ = publish.read_with_text(link)
    publish.publish(link, text, MORE)
    assert link.is_symlink()
    assert file.read_text(encoding="utf-8").endswith(MORE)


def test_a_file_that_does_not_read_is_said(tmp_path: Path) -> None:
    """Missing, or no TOML."""
    with pytest.raises(UserError):
        publish.read_with_text(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("[", encoding="utf-8")
    with pytest.raises(UserError):
        publish.read_with_text(broken)


def test_where_the_file_lies_is_not_told(file: Path) -> None:
    """Only its name."""
    text, _ = publish.read_with_text(file)
    with pytest.raises(UserError) as error:
        publish.parse_with(text, MORE.replace("frobnicate", "disk on"), file)
    told = publish.describe_error(error.value, file)
    assert str(file.parent) not in told
    assert "runbooks.frob" in told
