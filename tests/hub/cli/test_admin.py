"""What the hub's small commands do beside a serving hub."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from common.errors import UserError
from hub.chat.inlets import load_config
from hub.cli import admin
from hub.cli.init import init
from hub.config import HubConfig
from hub.core.records import Agent

NOW = time.time()


@pytest.fixture
def config(tmp_path: Path) -> HubConfig:
    """A hub made by `init`, with its admin in the store."""
    summary = init(tmp_path / "hub", now=NOW, admin="alice", record=lambda made: admin.record_init(made, NOW))
    return load_config(summary.folder.config)


def kinds(config: HubConfig) -> list[str]:
    with admin.open_store(config, NOW) as store:
        return [event.kind for event in store.read_now(lambda txn: txn.events())]


def test_the_admin_of_init_is_known_to_the_store(config: HubConfig) -> None:
    """A person, a certificate, and the first audit row."""
    with admin.open_store(config, NOW) as store:
        person = store.read_now(lambda txn: txn.person("alice"))
        (credential,) = store.read_now(lambda txn: txn.credentials("operator", "alice"))
    assert person is not None
    assert person.roles == ("admin",)
    assert credential.revoked_at is None
    assert kinds(config)[0] == "hub.created"


def test_an_invitation_is_a_whole_command_and_only_its_digest_is_kept(config: HubConfig) -> None:
    """The command holds address, token and pin; the token's text is nowhere in the store's files."""
    made = admin.invite_agent(config, "web-1", ["role=web"], 600, NOW)
    assert made["command"].startswith("answerback-agent join wss://")
    assert made["token"] in made["command"]
    assert made["ca_pin"] in made["command"]
    secret = made["token"].rpartition(".")[2].encode()
    assert not any(secret in file.read_bytes() for file in (config.folder.path / "data").iterdir())
    with admin.open_store(config, NOW) as store:
        (event,) = store.read_now(lambda txn: txn.events(kind_prefix="token."))
    assert event.data["labels"] == {"role": "web"}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("active", "the join replaces its certificates, and keeps its labels (env=prod)"),
        ("locked", "replaces its certificates and unlocks it, and keeps its labels (env=prod)"),
        (
            "revoked",
            "was revoked: who joins now gets the name, with the labels it had (env=prod), and nothing else of it",
        ),
    ],
)
def test_an_invitation_of_a_known_machine_says_what_it_replaces(config: HubConfig, state: str, words: str) -> None:
    """One command on the hub, whatever the machine's state; a new name replaces nothing."""
    assert admin.invite_agent(config, "web-1", [], 600, NOW)["replaces"] == ""
    with admin.open_store(config, NOW) as store:
        store.write_now(lambda txn: txn.add_agent(Agent("web-1", {"env": "prod"}, state, NOW)))
    assert words in admin.invite_agent(config, "web-1", [], 600, NOW)["replaces"]


@pytest.mark.parametrize(
    ("name", "labels", "ttl", "word"),
    [
        ("../x", [], 600, "../x"),
        ("", [], 600, "name"),
        ("web-1", ["role"], 600, "role"),
        ("web-1", ["role=a b"], 600, "role=a b"),
        ("web-1", [], 0.5, "--ttl"),
        ("web-1", [], 30 * 86_400, "--ttl"),
    ],
)
def test_what_cannot_be_invited(config: HubConfig, name: str, labels: list[str], ttl: float, word: str) -> None:
    """Names, labels and times out of bounds are refused by name, with the cure."""
    with pytest.raises(UserError, match=word.replace(".", r"\.")):
        admin.invite_agent(config, name, labels, ttl, NOW)


def test_revoking_is_counted_and_unknown_names_are_refused(config: HubConfig) -> None:
    """The admin's one certificate; nobody's none."""
    assert admin.revoke(config, "operator", "alice", NOW) == 1
    with pytest.raises(UserError, match="nobody"):
        admin.revoke(config, "agent", "nobody", NOW)


def test_the_labels_of_a_machine_that_is_not_known(config: HubConfig) -> None:
    """Refused, with what else to do."""
    with pytest.raises(UserError, match="web-9"):
        admin.labels_of(config, "web-9")


def test_words_of_a_command_line_are_one_line() -> None:
    """One word is a line as typed; several are quoted again."""
    assert admin.join_words(["df -h"]) == "df -h"
    assert admin.join_words(["echo", "a b"]) == "echo 'a b'"


def test_lines_of_any_bytes_are_read(tmp_path: Path) -> None:
    """What is not UTF-8 becomes lone surrogates, which the grammar refuses; a file that is not there is named."""
    file = tmp_path / "lines"
    file.write_bytes(b"df -h\n\xff\xfe\n\nlast\n")
    assert list(admin.read_lines(str(file))) == ["df -h", "\udcff\udcfe", "", "last"]
    with pytest.raises(UserError, match="nothing-there"):
        list(admin.read_lines(str(tmp_path / "nothing-there")))
