from __future__ import annotations

import socket
from pathlib import Path

import pytest

from common.config import ConfigError
from common.errors import UserError
from common.values import Address
from hub.chat.inlets import load_config
from hub.config import MAX_SECRETS, PersonTable
from hub.core.inlet_table import InletTable

GOOD = """
[http]
listen = "127.0.0.1:8080"
[links]
listen = "127.0.0.1:8443"
[inlets.ops]
platform = "generic"
secret_file = "secrets/ops"
[people.alice]
roles = ["admin"]
chat = ["ops:alice"]
"""


def save(folder: Path, text: str) -> Path:
    """A hub's folder with the files that hub.toml names."""
    (folder / "secrets").mkdir(exist_ok=True)
    for name, mode in (("secrets/ops", 0o600), ("policy.toml", 0o644), ("runbooks.toml", 0o644)):
        file = folder / name
        if not file.exists():
            file.write_text("secret")
        file.chmod(mode)
    path = folder / "hub.toml"
    path.write_text(text)
    return path


def problems(folder: Path, text: str) -> list[str]:
    path = save(folder, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert all(problem.startswith(f"{path}: ") for problem in caught.value.problems)
    return [problem.removeprefix(f"{path}: ") for problem in caught.value.problems]


def test_a_small_file_and_its_defaults(tmp_path: Path) -> None:
    """What is left out has the documented default; paths are of the file's folder, the store's URL is absolute."""
    config = load_config(save(tmp_path, GOOD))
    assert config.http.listen == Address("127.0.0.1", 8080)
    assert (config.http.body_limit, config.http.rate, config.http.burst) == (262_144, 500, 2_000)
    assert (config.links.heartbeat, config.links.window, config.links.dial_address) == (15.0, 64, config.links.listen)
    assert config.store.url == f"sqlite:///{tmp_path}/data/answerback.sqlite"
    assert (config.store.retention, config.store.seal_key_file) == (90 * 86_400, tmp_path / "secrets" / "seal.key")
    assert (config.queue.max_total, config.queue.max_person, config.queue.max_agent) == (20_000, 5_000, 5_000)
    assert (config.queue.ttl, config.queue.decide_within) == (600.0, 1_800.0)
    assert config.inlets == {"ops": InletTable("generic", tmp_path / "secrets" / "ops", secrets=(b"secret",))}
    assert config.people == {"alice": PersonTable(("admin",), ("ops:alice",))}
    assert (config.policy.file, config.runbooks.file) == (tmp_path / "policy.toml", tmp_path / "runbooks.toml")
    assert (config.log.level, config.log.format, config.hub.name, config.models) == ("info", "json", None, {})
    assert (config.path, config.folder.ca_key) == (tmp_path / "hub.toml", tmp_path / "ca" / "ca.key")


def test_a_relative_name_of_the_file_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--config hub.toml` in the folder itself: paths are absolute all the same."""
    save(tmp_path, GOOD)
    monkeypatch.chdir(tmp_path)
    assert load_config(Path("hub.toml")) == load_config(tmp_path / "hub.toml")


def test_an_inlet_has_the_rates_of_http_unless_it_says_otherwise(tmp_path: Path) -> None:
    """`rate` and `body_limit` of an inlet go before those of [http]."""
    more = '[inlets.img]\nplatform = "standard"\nsecret_file = "secrets/ops"\nrate = 5\nbody_limit = "8MiB"\n'
    config = load_config(save(tmp_path, GOOD + more))
    assert (config.rate("ops"), config.body_limit("ops")) == (500, 262_144)
    assert (config.rate("img"), config.body_limit("img")) == (5, 8 << 20)


def test_several_secrets_hold_while_they_change(tmp_path: Path) -> None:
    """One secret a line, the first signs; ten at most."""
    path = save(tmp_path, GOOD)
    (tmp_path / "secrets" / "ops").write_text("new\r\n\n  old\n")
    assert load_config(path).inlets["ops"].secrets == (b"new", b"old")
    (tmp_path / "secrets" / "ops").write_text("x\n" * (MAX_SECRETS + 1))
    with pytest.raises(ConfigError, match="11 secrets"):
        load_config(path)


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    """A configuration that gets into a log holds neither an inlet's secret nor the store's password."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "ops").write_text("canary-secret")
    text = GOOD + '[store]\nurl = "postgresql://hub:canary-password@db/answerback"\n'
    config = load_config(save(tmp_path, text))
    assert config.store.url == "postgresql://hub:canary-password@db/answerback"
    assert "canary" not in repr(config)


def test_a_store_url_that_cannot_be(tmp_path: Path) -> None:
    """Neither SQLite nor PostgreSQL, or no path: told without the URL, which may hold a password."""
    for url in (
        "mysql://u:canary@h/d",
        "sqlite://",
        "sqlite:///",
        "sqlite:///a?mode=ro",
        "postgresql://u:canary@h",
        "x",
    ):
        (found,) = problems(tmp_path, GOOD + f'[store]\nurl = "{url}"\n')
        assert found.startswith("[store] url: ")
        assert "canary" not in found


def test_listening_everywhere_is_reached_by_the_machines_name(tmp_path: Path) -> None:
    """0.0.0.0 is no address to dial: join commands have the host's name, or what `public` says."""
    everywhere = GOOD.replace("127.0.0.1:8443", "0.0.0.0:8443")
    assert load_config(save(tmp_path, everywhere)).links.dial_address == Address(socket.gethostname(), 8443)
    public = everywhere.replace("[links]\n", '[links]\npublic = "hub.example.org:443"\n')
    assert load_config(save(tmp_path, public)).links.dial_address == Address("hub.example.org", 443)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('"127.0.0.1:8443"', '"127.0.0.1:8080"'), "[links] listen: the port 8080 is [http] listen's already"),
        (('"127.0.0.1:8443"', '"0.0.0.0:8080"'), "[links] listen: the port 8080 is [http] listen's already"),
        (("[links]\n", '[links]\npublic = "h:0"\n'), "[links] public: the port 0"),
        (
            ('"generic"', '"slac"'),
            '[inlets.ops] platform: "slac" is not known here: use one of ',
        ),
        (('"secrets/ops"', '"secrets/none"'), "[inlets.ops] secret_file: "),
        (
            ('["ops:alice"]', '["dev:alice"]'),
            '[people.alice] chat: "dev:alice": there is no [inlets.dev]; inlets here: ops',
        ),
        (('["ops:alice"]', '["alice"]'), '[people.alice] chat: "alice" is not "INLET:USER"'),
        (('["ops:alice"]', '["ops:"]'), '[people.alice] chat: "ops:" is not "INLET:USER"'),
        (('["admin"]', '["root"]'), '[people.alice] roles: "root" is no role; the roles are viewer, operator'),
        (("[links]", "[linsk]"), "linsk: unknown table; did you mean links?"),
        (('roles = ["admin"]\n', ""), "[people.alice] roles: missing; it is needed here: What this person may do."),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    """Ports, platforms, files, chat identities, roles, tables: where, what, and what to do."""
    assert change[0] in GOOD
    found = problems(tmp_path, GOOD.replace(*change))
    assert found[0].startswith(told)


def test_one_chat_user_is_one_person(tmp_path: Path) -> None:
    """Two people with the same chat identity: which of them may what could not be said."""
    found = problems(tmp_path, GOOD + '[people.bob]\nroles = ["viewer"]\nchat = ["ops:bob", "ops:alice"]\n')
    assert found == ['[people.bob] chat: "ops:alice" is alice already; one chat user is one person']


@pytest.mark.parametrize("host", ["http://a/b", "a/b", "a:0", "a:b", "*", "*.example.org", "", "::1", "a b", "1.2.3"])
def test_reply_hosts_are_hosts(tmp_path: Path, host: str) -> None:
    """URLs, wildcards and bare IPv6 addresses are told how a host is written."""
    assert "reply_hosts" in problems(tmp_path, GOOD.replace("[people", f'reply_hosts = ["{host}"]\n[people'))[0]


def test_reply_hosts_with_and_without_port(tmp_path: Path) -> None:
    """Names, addresses, brackets, ports."""
    hosts = ["chat.example.org", "127.0.0.1:9000", "[::1]", "[::1]:443", "localhost"]
    config = load_config(save(tmp_path, GOOD.replace("[people", f"reply_hosts = {hosts}\n[people")))
    assert config.inlets["ops"].reply_hosts == tuple(hosts)


def test_a_secret_for_all_to_read(tmp_path: Path) -> None:
    """A secret's mode is checked before anything is served, and the cure is the command."""
    path = save(tmp_path, GOOD)
    secret = tmp_path / "secrets" / "ops"
    secret.chmod(0o644)
    with pytest.raises(ConfigError, match=f"chmod 600 {secret}"):
        load_config(path)
    secret.chmod(0o600)
    secret.write_text("\n")
    with pytest.raises(ConfigError, match="empty"):
        load_config(path)


def test_missing_policy_and_runbooks(tmp_path: Path) -> None:
    """Both are named at once."""
    path = save(tmp_path, GOOD)
    (tmp_path / "policy.toml").unlink()
    (tmp_path / "runbooks.toml").unlink()
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert len(caught.value.problems) == 2
    assert "[policy] file" in str(caught.value)
    assert "[runbooks] file" in str(caught.value)


def test_models_have_their_defaults_and_keys(tmp_path: Path) -> None:
    """A model's table is read and checked; its key's file is of the folder, and must be one."""
    text = GOOD + '[models.local]\nurl = "http://127.0.0.1:11434"\nmodel = "qwen"\n'
    local = load_config(save(tmp_path, text)).models["local"]
    assert (local.kind, local.parallel, local.timeout, local.priority, local.key_file) == ("ollama", 2, 60.0, 1, None)
    keyed = load_config(save(tmp_path, text + 'kind = "openai"\nkey_file = "secrets/ops"\n')).models["local"]
    assert keyed.key_file == tmp_path / "secrets" / "ops"
    (found,) = problems(tmp_path, text + 'key_file = "secrets/none"\n')
    assert found.startswith("[models.local] key_file: ")
    assert problems(tmp_path, text.replace('model = "qwen"\n', ""))[0].startswith("[models.local] model: missing")
    assert problems(tmp_path, text + 'kind = "gemini"\n')[0].startswith(
        '[models.local] kind: one of "ollama", "openai"'
    )


@pytest.mark.parametrize(
    "url",
    ["ftp://h", "http://", "http:///x", "http://u:canary@h", "https://h/v1?key=canary", "https://h#canary", "h:1"],
)
def test_a_models_url_holds_no_key(tmp_path: Path, url: str) -> None:
    """A host and maybe a path: user, query and fragment are where keys get into logs. Told without the URL."""
    (found,) = problems(tmp_path, GOOD + f'[models.x]\nurl = "{url}"\nmodel = "m"\n')
    assert found.startswith("[models.x] url: ")
    assert "canary" not in found


def test_planning_is_of_the_folder_and_within_bounds(tmp_path: Path) -> None:
    """Plans are kept under the hub's folder; a budget below nothing is refused."""
    assert load_config(save(tmp_path, GOOD)).planning.cache_folder == tmp_path / "data" / "plans"
    assert load_config(save(tmp_path, GOOD + '[planning]\ncache_disk = "0B"\n')).planning.cache_disk == 0
    assert problems(tmp_path, GOOD + "[planning]\nperson_day = -1\n")[0].startswith("[planning] person_day: ")


def test_a_hub_without_a_file_is_told_how_to_make_one(tmp_path: Path) -> None:
    """No hub.toml: the cure is `init`."""
    with pytest.raises(UserError, match="answerback-hub init"):
        load_config(tmp_path / "hub.toml")
