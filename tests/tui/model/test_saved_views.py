"""Views saved by name: what is kept, what a file that people wrote may hold, and where they are used."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import UserError
from tests.tui.fake_source import FakeSource, console_driver, job_row
from tui.cli.context import CliContext, load_saved_view
from tui.model.saved_views import MAX_FILTER, MAX_VIEWS, VIEWS_FILE, SavedView, SavedViews, read_views, to_toml

SLOW = SavedView("slow", "jobs", 'state:running age>10m "git pull" !user:张三', "-age")


def test_what_is_saved_is_there_for_the_next_program(tmp_path: Path) -> None:
    """In a private file of the profile; the same name again replaces it, and it can be removed."""
    SavedViews(tmp_path).put(SLOW)
    assert (tmp_path / VIEWS_FILE).stat().st_mode & 0o777 == 0o600
    assert SavedViews(tmp_path).get("slow") == SLOW
    other = SavedView("slow", "requests", "state:asking")
    SavedViews(tmp_path).put(other)
    assert SavedViews(tmp_path).read() == {"slow": other}
    assert other.screen == "approve"
    SavedViews(tmp_path).remove("slow")
    assert SavedViews(tmp_path).read() == {}


def test_a_view_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    """Without a folder, as in the demo, views last as long as the console."""
    saved = SavedViews()
    saved.put(SLOW)
    with pytest.raises(UserError, match="slow"):
        saved.get("fast")
    with pytest.raises(UserError, match="no saved view fast"):
        saved.remove("fast")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "view",
    [
        SavedView("", "jobs", ""),
        SavedView("../x", "jobs", ""),
        SavedView("n" * 33, "jobs", ""),
        SavedView("ok", "machines", ""),
        SavedView("ok", "jobs", "nosuch:1"),
        SavedView("ok", "jobs", "x" * (MAX_FILTER + 1)),
        SavedView("ok", "jobs", "", "s" * 41),
    ],
)
def test_what_is_no_view(view: SavedView, tmp_path: Path) -> None:
    """Is refused before anything is written."""
    with pytest.raises(UserError):
        SavedViews(tmp_path).put(view)
    assert not (tmp_path / VIEWS_FILE).exists()


def test_views_have_a_bound(tmp_path: Path) -> None:
    """One more than that is refused, and a file that has more is not read."""
    many = {f"v{number}": SavedView(f"v{number}", "jobs", "") for number in range(MAX_VIEWS)}
    (tmp_path / VIEWS_FILE).write_text(to_toml(many))
    with pytest.raises(UserError, match="already"):
        SavedViews(tmp_path).put(SLOW)
    (tmp_path / VIEWS_FILE).write_text(to_toml({**many, "slow": SLOW}))
    with pytest.raises(UserError, match="at most"):
        SavedViews(tmp_path).read()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\n", "x"),
        ('[a]\nlist = "jobs"\ncolour = "red"\n', "a: not a view"),
        ('[a]\nlist = "jobs"\nfilter = 7\n', "texts"),
        ('[a]\nlist = "jobs"\nfilter = "nosuch:1"\n', "nosuch"),
        ("[a\n", VIEWS_FILE),
    ],
)
def test_a_file_that_is_wrong_is_named(text: str, words: str, tmp_path: Path) -> None:
    """With the view and what is off, never a traceback."""
    (tmp_path / VIEWS_FILE).write_text(text)
    with pytest.raises(UserError, match=words):
        SavedViews(tmp_path).read()


@given(st.text(max_size=60).filter(lambda text: not set(map(ord, text)) & set(range(0xD800, 0xE000))))
def test_any_text_comes_back_from_the_file(text: str) -> None:
    """Quotes, control characters, what is beyond the BMP: TOML that is written is the TOML that is read."""
    import tomllib

    found = tomllib.loads(to_toml({"v": SavedView("v", "jobs", text, text)}))
    assert found == {"v": {"list": "jobs", "filter": text, **({"sort": text} if text else {})}}


def test_the_command_line_uses_them(tmp_path: Path) -> None:
    """As a filter and an order; a view of another list names the command that shows it."""
    SavedViews(tmp_path).put(SLOW)
    context = CliContext(tmp_path)
    assert load_saved_view(context, "slow", "jobs") == ([SLOW.filter], "-age")
    assert load_saved_view(context, "", "jobs") == ([], "")
    with pytest.raises(UserError, match="answerback jobs --view slow"):
        load_saved_view(context, "slow", "agents")


def test_reading_what_is_not_there(tmp_path: Path) -> None:
    """Is no views, not an error."""
    assert read_views(tmp_path / VIEWS_FILE) == {}


async def test_the_console_saves_and_shows_them() -> None:
    """`:w NAME` on a list, `:view NAME` from anywhere: the same filter and order again."""
    source = FakeSource()
    source.rows["jobs"] = [job_row(1)]
    async with console_driver(source, "jobs") as stage:
        screen = stage.app._mode_screen()
        screen.set_filter("state:running")
        screen.sort_by("age")
        await stage.flush()
        stage.app.run_view_command("save", "mine")
        assert stage.console.saved_views.get("mine") == SavedView("mine", "jobs", "state:running", "age")
        screen.set_filter("")
        screen.sort_by("")
        stage.app.navigate("overview")
        await stage.wait_until(lambda: stage.app.current_mode == "overview")
        stage.app.run_view_command("view", "mine")
        await stage.wait_until(lambda: stage.app.current_mode == "jobs")
        await stage.wait_until(lambda: screen.live_view.query.filter == "state:running")
        assert screen.live_view.query.sort == "age"
        stage.app.run_view_command("save", "no name")
        assert "no name" in stage.status_line
        stage.app.run_view_command("forget", "mine")
        assert stage.console.saved_views.read() == {}
