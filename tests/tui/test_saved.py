"""Views saved by name: what is kept, what a file that people wrote may hold, and where they are used."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import UserError
from tests.tui.scripted_source import ScriptedSource, job_row, staged
from tui.cli_base import Context, saved_view
from tui.saved import FILE, MAX_FILTER, MAX_VIEWS, Saved, View, read_views, to_toml

SLOW = View("slow", "jobs", 'state:running age>10m "git pull" !user:张三', "-age")


def test_what_is_saved_is_there_for_the_next_program(tmp_path: Path) -> None:
    """In a private file of the profile; the same name again replaces it, and it can be removed."""
    Saved(tmp_path).put(SLOW)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert Saved(tmp_path).get("slow") == SLOW
    other = View("slow", "requests", "state:asking")
    Saved(tmp_path).put(other)
    assert Saved(tmp_path).read() == {"slow": other}
    assert other.screen == "approve"
    Saved(tmp_path).remove("slow")
    assert Saved(tmp_path).read() == {}


def test_a_view_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    """Without a folder, as in the demo, views last as long as the console."""
    saved = Saved()
    saved.put(SLOW)
    with pytest.raises(UserError, match="slow"):
        saved.get("fast")
    with pytest.raises(UserError, match="no saved view fast"):
        saved.remove("fast")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "view",
    [
        View("", "jobs", ""),
        View("../x", "jobs", ""),
        View("n" * 33, "jobs", ""),
        View("ok", "machines", ""),
        View("ok", "jobs", "nosuch:1"),
        View("ok", "jobs", "x" * (MAX_FILTER + 1)),
        View("ok", "jobs", "", "s" * 41),
    ],
)
def test_what_is_no_view(view: View, tmp_path: Path) -> None:
    """Is refused before anything is written."""
    with pytest.raises(UserError):
        Saved(tmp_path).put(view)
    assert not (tmp_path / FILE).exists()


def test_views_have_a_bound(tmp_path: Path) -> None:
    """One more than that is refused, and a file that has more is not read."""
    many = {f"v{number}": View(f"v{number}", "jobs", "") for number in range(MAX_VIEWS)}
    (tmp_path / FILE).write_text(to_toml(many))
    with pytest.raises(UserError, match="already"):
        Saved(tmp_path).put(SLOW)
    (tmp_path / FILE).write_text(to_toml({**many, "slow": SLOW}))
    with pytest.raises(UserError, match="at most"):
        Saved(tmp_path).read()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\n", "x"),
        ('[a]\nlist = "jobs"\ncolour = "red"\n', "a: not a view"),
        ('[a]\nlist = "jobs"\nfilter = 7\n', "texts"),
        ('[a]\nlist = "jobs"\nfilter = "nosuch:1"\n', "nosuch"),
        ("[a\n", FILE),
    ],
)
def test_a_file_that_is_wrong_is_named(text: str, words: str, tmp_path: Path) -> None:
    """With the view and what is off, never a traceback."""
    (tmp_path / FILE).write_text(text)
    with pytest.raises(UserError, match=words):
        Saved(tmp_path).read()


@given(st.text(max_size=60).filter(lambda text: not set(map(ord, text)) & set(range(0xD800, 0xE000))))
def test_any_text_comes_back_from_the_file(text: str) -> None:
    """Quotes, control characters, what is beyond the BMP: TOML that is written is the TOML that is read."""
    import tomllib

    found = tomllib.loads(to_toml({"v": View("v", "jobs", text, text)}))
    assert found == {"v": {"list": "jobs", "filter": text, **({"sort": text} if text else {})}}


def test_the_command_line_uses_them(tmp_path: Path) -> None:
    """As a filter and an order; a view of another list names the command that shows it."""
    Saved(tmp_path).put(SLOW)
    context = Context(tmp_path)
    assert saved_view(context, "slow", "jobs") == ([SLOW.filter], "-age")
    assert saved_view(context, "", "jobs") == ([], "")
    with pytest.raises(UserError, match="answerback jobs --view slow"):
        saved_view(context, "slow", "agents")


def test_reading_what_is_not_there(tmp_path: Path) -> None:
    """Is no views, not an error."""
    assert read_views(tmp_path / FILE) == {}


async def test_the_console_saves_and_shows_them() -> None:
    """`:w NAME` on a list, `:view NAME` from anywhere: the same filter and order again."""
    source = ScriptedSource()
    source.rows["jobs"] = [job_row(1)]
    async with staged(source, "jobs") as stage:
        screen = stage.app._screen()
        screen.set_filter("state:running")
        screen.sort_by("age")
        await stage.settle()
        stage.app.saved_view("save", "mine")
        assert stage.console.saved.get("mine") == View("mine", "jobs", "state:running", "age")
        screen.set_filter("")
        screen.sort_by("")
        stage.app.go("overview")
        await stage.until(lambda: stage.app.current_mode == "overview")
        stage.app.saved_view("view", "mine")
        await stage.until(lambda: stage.app.current_mode == "jobs")
        await stage.until(lambda: screen.live.query.filter == "state:running")
        assert screen.live.query.sort == "age"
        stage.app.saved_view("save", "no name")
        assert "no name" in stage.said
        stage.app.saved_view("forget", "mine")
        assert stage.console.saved.read() == {}
