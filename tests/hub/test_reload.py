"""hub.toml read again: what takes effect, what waits for the next start, and what a mistake changes."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from hub.base import build_base
from hub.chat.inlets import load_config
from hub.files import Files
from hub.parts import Parts, build
from hub.reload import LIVE, Reloader, changed_keys, is_live
from hub.status import file_warnings
from tests.hub.hub_harness import HubHarness

MODEL = '\n[models.local]\nurl = "http://127.0.0.1:9"\nmodel = "tiny"\n'


@pytest.fixture
async def parts(harness: HubHarness) -> Parts:
    files = Files.of(harness.config, harness.clock)
    made = build(
        build_base(harness.config, harness.hub_clock, harness.keys, files, harness.store, harness.engine.epoch)
    )
    await made.base.people.refresh()
    return made


def edit(harness: HubHarness, pattern: str, text: str) -> None:
    path = harness.config.path
    changed, count = re.subn(pattern, text, path.read_text(), count=1, flags=re.M)
    assert count == 1, pattern
    path.write_text(changed)


async def test_people_inlets_secrets_and_limits_take_effect(harness: HubHarness, parts: Parts) -> None:
    """A demotion, a chat name, an inlet that came and one that went, another secret, a limit: at once, all together."""
    reloader = Reloader(parts)
    edit(harness, r"^\[queue\]$", "[queue]\nmax_person = 3")
    edit(harness, r'^\[people.bob\]\nroles = \["approver"\]', '[people.bob]\nroles = ["viewer"]')
    edit(harness, r"^\[inlets.quiet\]", "[inlets.loud]")
    edit(harness, r'"quiet:kim"', '"loud:kim"')
    (harness.folder / "secrets" / "ops").write_text("another-secret-of-some-length\n")
    await reloader.reload()
    assert parts.base.people.roles("bob") == ("viewer",)
    assert parts.base.people.find_by_chat("loud", "kim") == "kim"
    assert sorted(parts.inlets) == ["loud", "ops"]
    assert parts.web.state.webhook._rates.keys() == parts.inlets.keys()
    assert parts.delivery._inlets is parts.inlets
    assert parts.engine.intake._config.queue.max_person == 3
    assert parts.base.files.problems() == []
    assert parts.base.files.hub.waiting == ()
    (row,) = harness.events("hub.reloaded")
    assert {"people.bob", "inlets.ops", "inlets.loud", "queue.max_person"} <= set(row.data["changed"])
    assert "another-secret" not in str(row.data)


async def test_what_waits_for_the_next_start_is_said_by_name(harness: HubHarness, parts: Parts) -> None:
    """Ports and the store: told each time until they are as they were; what is live in the same file takes effect."""
    reloader = Reloader(parts)
    before = harness.config.path.read_text()
    edit(harness, r"^listen = .*$", 'listen = "127.0.0.1:1"')
    edit(harness, r'^\[people.bob\]\nroles = \["approver"\]', '[people.bob]\nroles = ["viewer"]')
    for _ in range(2):
        await reloader.reload()
        assert parts.base.files.hub.waiting == ("http.listen",)
        assert any("http.listen" in text for text in file_warnings([], parts.base.files.hub.waiting))
    assert parts.base.people.roles("bob") == ("viewer",)
    harness.config.path.write_text(before)
    await reloader.reload()
    assert parts.base.files.hub.waiting == ()
    assert parts.base.people.roles("bob") == ("approver",)


@pytest.mark.parametrize("text", ["nonsense", '[people.eve]\nroles = ["king"]\n', "[inlets.x]\n", "[htp]\n"])
async def test_a_mistake_changes_nothing_and_is_told(text: str, harness: HubHarness, parts: Parts) -> None:
    """What was there before holds, and the problem stays until the file reads again."""
    reloader = Reloader(parts)
    good = harness.config.path.read_text()
    harness.config.path.write_text(good + "\n[people.zoe]\nroles = ['admin']\n" + text)
    await reloader.reload()
    (problem,) = parts.base.files.problems()
    assert (problem.name, problem.looks) == ("hub", 2)
    assert parts.base.people.roles("zoe") == ()
    harness.config.path.write_text(good)
    await reloader.reload()
    assert parts.base.files.problems() == []


async def test_who_loses_something_in_a_file_with_a_mistake_loses_it_at_once(harness: HubHarness, parts: Parts) -> None:
    """A demotion and a removal hold although another line does not read; nobody gains; the mended file counts whole."""
    reloader = Reloader(parts)
    good = harness.config.path.read_text()
    edit(harness, r'^\[people.bob\]\nroles = \["approver"\]', '[people.bob]\nroles = ["viewer"]\nnonsense = 1')
    edit(harness, r'"quiet:kim"', '"ops:kim"')
    edited = harness.config.path.read_text()
    assert "nonsense" in edited
    await reloader.reload()
    assert parts.base.people.roles("bob") == ("viewer",)
    assert parts.base.people.find_by_chat("quiet", "kim") == ""
    assert parts.base.people.find_by_chat("ops", "kim") == ""
    assert parts.base.files.problems() != []
    assert {"people.bob", "people.kim"} <= set(harness.events("hub.reloaded")[-1].data["changed"])
    harness.config.path.write_text("")
    await reloader.reload()
    assert parts.base.people.roles("bob") == ()
    harness.config.path.write_text(good)
    await reloader.reload()
    assert parts.base.people.roles("bob") == ("approver",)
    assert parts.base.people.find_by_chat("quiet", "kim") == "kim"


async def test_policy_and_runbooks_are_read_from_where_they_are_now(harness: HubHarness, parts: Parts) -> None:
    """Another file of the same table, without a restart."""
    other = Path(harness.folder / "other.toml")
    other.write_text('default = "deny"\n')
    edit(harness, r"^\[policy\]$", f'[policy]\nfile = "{other}"')
    await Reloader(parts).reload()
    assert (parts.base.files.policy.path, parts.base.files.policy.value.rules) == (other, ())


async def test_models_come_and_go(harness: HubHarness, parts: Parts) -> None:
    """The planner asks them from the next message on, and the verb that shows them is there."""
    reloader = Reloader(parts)
    before = harness.config.path.read_text()
    assert "models" not in parts.verb_table.verbs
    async with asyncio.TaskGroup() as group:
        task = group.create_task(reloader.run())
        harness.config.path.write_text(before + MODEL)
        await reloader.reload()
        current = parts.planning.models.current
        assert current is not None
        assert parts.planning.service._model is current.planner
        assert "models" in parts.verb_table.verbs
        harness.config.path.write_text(before + MODEL.replace("tiny", "other"))
        await reloader.reload()
        assert parts.planning.models.current is not current
        harness.config.path.write_text(before)
        await reloader.reload()
        assert parts.planning.service._model is None
        task.cancel()


def test_every_live_key_is_one_of_the_file(harness: HubHarness) -> None:
    """A slip in the list of what is live would keep a change waiting for a restart."""
    config = load_config(harness.config.path)
    for key in LIVE:
        value: object = config
        for name in key.split("."):
            value = getattr(value, name)
    assert changed_keys(config, config) == []
    assert not is_live("store.url")
    assert is_live("people.bob")
