from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import pytest

from common.errors import UserError
from hub.planning.llm_servers.transport import (
    MAX_KEYS,
    ApiKeyAuth,
    BoundedTransport,
    ResponseTooLarge,
    _authorities,
    client_options,
    failure_of_error,
    failure_of_status,
    log_excerpt,
    read_api_keys,
)
from tests.each import each_of
from tests.hub.planning.llm_servers.servers import OpenAIServer, serving


def key_file(folder: Path, *keys: str) -> Path:
    file = folder / "key"
    file.write_text("\n".join(keys) + "\n")
    file.chmod(0o600)
    return file


async def get(server: OpenAIServer, keys: ApiKeyAuth) -> int:
    async with httpx.AsyncClient(auth=keys, trust_env=False) as client:
        return (await client.get(server.url + "/v1/models")).status_code


async def test_the_next_key_is_tried_where_one_is_refused(tmp_path: Path) -> None:
    """A file with the old key and the new one works before, during and after the change; the one that works is kept."""
    server = OpenAIServer("m", keys=("new",))
    used: list[bytes] = []
    keys = ApiKeyAuth(key_file(tmp_path, "old", "new"), used.append)
    async with serving(server):
        assert await get(server, keys) == 200
        assert await get(server, keys) == 200
    assert used == [b"new", b"new"]
    assert server.authorizations == ["Bearer old", "Bearer new", "Bearer new"]


async def test_a_key_that_was_replaced_works_with_the_next_request(tmp_path: Path) -> None:
    """Without a restart, and without a request that fails; a file that does not read leaves the keys that were."""
    server = OpenAIServer("m", keys=("old", "new"))
    keys = ApiKeyAuth(key_file(tmp_path, "old"))
    async with serving(server):
        assert await get(server, keys) == 200
        key_file(tmp_path, "fresh-and-new", "new")
        server.keys = ("new",)
        assert await get(server, keys) == 200
        (tmp_path / "key").chmod(0o644)
        (tmp_path / "key").write_text("readable by all")
        assert await get(server, keys) == 200
    assert server.authorizations == ["Bearer old", "Bearer fresh-and-new", "Bearer new", "Bearer new"]


async def test_who_is_trusted_is_read_once_for_all_nodes(tmp_path: Path) -> None:
    """The clients of two nodes check their servers, and the authorities are read for the first alone."""
    _authorities.cache_clear()
    for _ in range(2):
        options = client_options(ApiKeyAuth(key_file(tmp_path, "k")), 1.0, 1)
        await options["transport"].aclose()
    assert (_authorities.cache_info().misses, _authorities.cache_info().hits) == (1, 1)
    assert (_authorities().verify_mode, _authorities().check_hostname) == (ssl.CERT_REQUIRED, True)


async def test_without_a_key_none_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even one that a library took from the environment."""
    server = OpenAIServer("m")
    async with (
        serving(server),
        httpx.AsyncClient(auth=ApiKeyAuth(None), headers={"authorization": "Bearer env"}) as client,
    ):
        await client.get(server.url + "/v1/models")
    assert server.authorizations == [""]


def test_key_files_are_checked(tmp_path: Path) -> None:
    """Mode, number, characters: each is told by the file's name and never with the key."""
    assert read_api_keys(key_file(tmp_path, "  one", "", "two ")) == ("one", "two")
    for bad in (["k"] * (MAX_KEYS + 1), ["a canary b"], ["canary\u00e9"], ["canary\x07"]):
        with pytest.raises(UserError) as caught:
            read_api_keys(key_file(tmp_path, *bad))
        assert "canary" not in str(caught.value)
    key_file(tmp_path, "k").chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        read_api_keys(tmp_path / "key")
    assert "k" not in repr(ApiKeyAuth(None)).removeprefix("Keys")


async def test_an_endless_answer_ends_at_the_bound() -> None:
    """A response of more than the bound is an error while it is read, and one at the bound is none."""

    async def body() -> object:
        for _ in range(10):
            yield b"x" * 100

    inner = httpx.MockTransport(lambda request: httpx.Response(200, content=body()))
    for limit in (1_000, 999):
        async with httpx.AsyncClient(transport=BoundedTransport(inner, limit)) as client:
            if limit == 1_000:
                assert len((await client.get("http://h/")).content) == 1_000
            else:
                with pytest.raises(ResponseTooLarge):
                    await client.get("http://h/")


async def test_a_compressed_answer_is_refused() -> None:
    """It was not asked for, and what it unfolds to has no bound."""
    packed = httpx.MockTransport(lambda request: httpx.Response(200, headers={"content-encoding": "gzip"}, content=b""))
    async with httpx.AsyncClient(transport=BoundedTransport(packed, 10)) as client:
        with pytest.raises(ResponseTooLarge):
            await client.get("http://h/")


@each_of(
    ("status", "kind"),
    [
        (401, "unauthorised"),
        (403, "unauthorised"),
        (429, "overloaded"),
        (503, "overloaded"),
        (408, "slow"),
        (504, "slow"),
        (400, "refused"),
        (413, "refused"),
        (422, "refused"),
        (404, "gone"),
        (500, "gone"),
        (302, "gone"),
    ],
)
def test_statuses_have_their_kind(status: int, kind: str) -> None:
    """What a server says by its status; a refused key is not repeated, since some servers do."""
    failed = failure_of_status(status, "you sent sk-canary\x1b[2J", "7")
    assert failed.kind == kind
    assert failed.retry_after == (7.0 if kind == "overloaded" else None)
    assert "\x1b" not in failed.detail
    assert kind != "unauthorised" or "canary" not in failed.detail


def test_errors_have_their_kind() -> None:
    """Timeouts, lost connections, nonsense."""
    assert failure_of_error(httpx.ReadTimeout("")).kind == "slow"
    assert failure_of_error(httpx.ConnectTimeout("")).kind == "gone"
    assert failure_of_error(httpx.ConnectError("refused")).kind == "gone"
    assert failure_of_error(httpx.RemoteProtocolError("cut")).kind == "gone"
    assert failure_of_error(ResponseTooLarge("much")).kind == "nonsense"
    assert failure_of_error(ValueError("the answer itself")).kind == "nonsense"
    assert "answer" not in failure_of_error(ValueError("the answer itself")).detail


def test_a_servers_words_are_bounded_and_printable() -> None:
    """One line, three hundred characters."""
    assert log_excerpt("a\r\n\x00b") == "a b"
    assert len(log_excerpt("x" * 100_000)) == 300
    assert failure_of_status(503, "", "Wed, 21 Oct 2026 07:28:00 GMT").retry_after is None
    assert failure_of_status(503, "", "9" * 40).retry_after is None
