"""tui.client.renewal: an operator's next certificate, over real TLS, whole at every point."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.api import verbs
from common.api.arguments import NoArgs
from common.errors import Denied, WorkFailed
from common.identity.certificates import DAY, identity_from_pem, request_key
from common.identity.credential import Validity
from common.identity.csr import prepare_renewal, stage_renewal
from common.link.messages import Call, Refuse, Renew, Renewed
from tests.common.fake_hub import FakeHub, HubPeer
from tests.tui.profiles import create_profile
from tui.client.client import Client, connect
from tui.client.profile import Profile
from tui.client.renewal import is_due, locked, renew, ssl_context

WEEK = 7 * DAY


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[FakeHub]:
    """A hub that serves."""
    async with FakeHub(tmp_path / "hub").serving() as hub:
        yield hub


@pytest.fixture
def due(hub: FakeHub, tmp_path: Path) -> Profile:
    """A profile whose certificate is past the middle of its life."""
    return create_profile(hub, tmp_path / "profile", now=time.time() - 5 * DAY)


def answer(hub: FakeHub, asked: Renew, name: str = "alice") -> Renewed:
    return Renewed(hub.issue(asked.request, name, kind="operator"), asked.generation + 1)


async def at_the_hub(hub: FakeHub, reply: Refuse | None = None) -> tuple[HubPeer, Renew]:
    """Plays the hub's side of a connection that renews."""
    end = await hub.next_link()
    asked = await end.expect(Renew)
    await end.send(reply or answer(hub, asked))
    return end, asked


def test_it_is_due_when_half_is_over() -> None:
    """Not before; and of course once it has expired."""
    validity = Validity(1, 0.0, 90.0)
    assert [is_due(validity, now) for now in (0.0, 44.9, 45.0, 100.0)] == [False, False, True, True]


async def test_whoever_connects_renews(hub: FakeHub, due: Profile) -> None:
    """Over the same link and before the first call: new key, new certificate, next generation; the link goes on."""
    old_key = due.credential.key.read_bytes()
    async with asyncio.TaskGroup() as tasks:
        playing = tasks.create_task(at_the_hub(hub))
        async with connect(due) as client:
            end, asked = await playing
            calling = tasks.create_task(client.call(verbs.WHOAMI, NoArgs()))
            assert (await end.expect(Call)).verb == "whoami"
            calling.cancel()
    assert (asked.generation, client.warning) == (1, "")
    assert due.credential.key.read_bytes() != old_key
    assert due.credential.validity().generation == 2
    assert due.credential.validity().not_after == pytest.approx(time.time() + WEEK, abs=60)
    assert identity_from_pem(due.credential.certificate.read_bytes(), time.time(), "operator").name == "alice"
    assert not list(due.path.glob("*.next"))
    async with connect(due):  # with what was renewed
        assert (await hub.next_link()).identity.fingerprint != end.identity.fingerprint


async def test_a_young_certificate_is_left_alone(hub: FakeHub, tmp_path: Path) -> None:
    """Nothing is asked, and nothing is made."""
    young = create_profile(hub, tmp_path / "young", now=time.time() - 3 * DAY)
    async with asyncio.TaskGroup() as tasks, connect(young) as client:
        end = await hub.next_link()
        calling = tasks.create_task(client.call(verbs.WHOAMI, NoArgs()))
        assert isinstance(await end.receive(), Call)
        calling.cancel()
    assert not list(young.path.glob("*.next"))


async def test_a_refusal_is_a_warning(hub: FakeHub, due: Profile) -> None:
    """The old certificate still works: the person is told why and what to do, and the work goes on."""
    before = due.credential.certificate.read_bytes()
    async with asyncio.TaskGroup() as tasks:
        playing = tasks.create_task(at_the_hub(hub, Refuse("bad_request", "not\x1b today")))
        async with connect(due) as client:
            await playing
            assert "could not be renewed (not\\x1b today)" in client.warning
            assert "operator add" in client.warning
    assert due.credential.certificate.read_bytes() == before
    assert due.credential.validity().generation == 1


async def test_an_answer_that_is_not_ours_is_a_warning(hub: FakeHub, due: Profile) -> None:
    """A certificate for another name does not come into use."""
    before = due.credential.certificate.read_bytes()
    async with asyncio.TaskGroup() as tasks:

        async def play() -> None:
            end = await hub.next_link()
            await end.send(answer(hub, await end.expect(Renew), "mallory"))

        tasks.create_task(play())
        async with connect(due) as client:
            assert "another name" in client.warning
    assert due.credential.certificate.read_bytes() == before
    assert not due.credential.next_certificate.exists()


async def test_no_answer_is_a_warning(hub: FakeHub, due: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub that does not answer in time does not hold up the work."""
    monkeypatch.setattr("tui.client.client.RENEWAL_TIMEOUT", 0.1)
    async with connect(due) as client:
        assert "did not answer" in client.warning
    assert due.credential.next_request.exists()  # the same is asked again


async def test_a_lost_answer_is_asked_for_with_the_same_key(hub: FakeHub, due: Profile) -> None:
    """The link ends between question and answer; the next connection sends the same request."""

    async def lose() -> Renew:
        end = await hub.next_link()
        asked = await end.expect(Renew)
        end.abort()
        return asked

    async with asyncio.TaskGroup() as tasks:
        losing = tasks.create_task(lose())
        async with connect(due) as client:
            assert client.warning
        playing = tasks.create_task(at_the_hub(hub))
        async with connect(due):
            pass
    first, (_, second) = losing.result(), playing.result()
    assert first == second
    assert due.credential.validity().generation == 2


async def test_two_programs_that_renew_at_once_end_with_one_certificate(hub: FakeHub, due: Profile) -> None:
    """Both ask with the same key; who comes second finds it done and changes nothing."""
    asked: list[Renew] = []
    first_may_go, second_has_asked = asyncio.Event(), asyncio.Event()

    async def first(message: Renew) -> Renewed:
        asked.append(message)
        await first_may_go.wait()
        return answer(hub, message)

    async def second(message: Renew) -> Renewed:
        asked.append(message)
        second_has_asked.set()
        await first_done.wait()
        return answer(hub, message)

    first_done = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        one = tasks.create_task(renew(due, first, time.time))
        two = tasks.create_task(renew(due, second, time.time))
        await second_has_asked.wait()
        first_may_go.set()
        assert await one
        kept = due.credential.certificate.read_bytes()
        first_done.set()
        assert not await two
    assert request_key(asked[0].request) == request_key(asked[1].request)
    assert due.credential.certificate.read_bytes() == kept
    ssl_context(due)  # key and certificate are a pair


async def test_an_answer_for_somebody_who_was_here_before_is_dropped(hub: FakeHub, due: Profile) -> None:
    """A login with --force while the question is under way: its key and certificate stay."""

    async def ask(message: Renew) -> Renewed:
        create_profile(hub, due.path, "bob")
        return answer(hub, message)

    assert not await renew(due, ask, time.time)
    assert identity_from_pem(due.credential.certificate.read_bytes(), time.time(), "operator").name == "bob"


class Crash(Exception):
    pass


@pytest.mark.parametrize("steps", range(5))
def test_after_a_crash_in_the_middle_the_next_connection_has_a_pair(
    steps: int, hub: FakeHub, due: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever rename was the last, key and certificate that are loaded belong together and are the new ones."""
    ours = due.credential
    prepare_renewal(ours, "operator", "alice")
    certificate = hub.issue(ours.next_request.read_bytes(), "alice", kind="operator")
    stage_renewal(ours, "operator", "alice", certificate, 2, time.time())
    real, left = os.replace, [steps]

    def replace(source: Path, target: Path) -> None:
        if not left[0]:
            raise Crash
        left[0] -= 1
        real(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", replace)
        try:
            ours.activate_renewal()
        except Crash:
            pass
    ssl_context(due)
    assert ours.certificate.read_bytes() == certificate
    assert ours.validity().generation == 2


def test_a_renewal_that_was_only_begun_changes_nothing(due: Profile) -> None:
    """Key and request of the next certificate are there; the old pair is what is used."""
    before = due.credential.key.read_bytes()
    prepare_renewal(due.credential, "operator", "alice")
    ssl_context(due)
    assert due.credential.key.read_bytes() == before


def test_the_lock_is_held_and_let_go(due: Profile) -> None:
    """While one holds it nobody else gets it."""
    with locked(due) as writable:
        assert writable
        with due.lock.open() as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with due.lock.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


async def test_a_profile_that_cannot_be_written_is_used_as_it_is(due: Profile) -> None:
    """No lock, no renewal, and a context all the same."""
    due.lock.mkdir()  # cannot be opened for writing, whoever asks
    ssl_context(due)

    async def ask(message: Renew) -> Renewed:
        raise AssertionError("nothing is asked")

    assert not await renew(due, ask, time.time)


async def test_who_was_away_for_weeks_is_renewed_by_the_next_command(hub: FakeHub, tmp_path: Path) -> None:
    """The hub says "expired", its renewal entrance gives the successor, and the link is there; nothing is asked of the
    person."""
    old = create_profile(hub, tmp_path / "old", now=time.time() - 20 * DAY)
    hub.renewal = lambda identity, asked: answer(hub, asked, identity.name)
    async with connect(old) as client:
        assert client.warning == ""
    assert old.credential.validity().generation == 2
    assert not list(old.path.glob("*.next"))


async def test_who_was_away_for_too_long_is_told_the_one_command(hub: FakeHub, tmp_path: Path) -> None:
    """In the hub's words, once, and nothing is changed."""
    old = create_profile(hub, tmp_path / "old", now=time.time() - 40 * DAY)
    before = old.credential.certificate.read_bytes()
    cure = "run `answerback-hub operator add alice --role admin` on the hub, and the command that it prints"
    hub.renewal = lambda identity, asked: Refuse("expired", f"the certificate of alice expired; {cure}")
    with pytest.raises(Denied) as raised:
        async with connect(old):
            pass
    assert str(raised.value).count("operator add") == 1
    assert str(raised.value).endswith(cure)
    assert old.credential.certificate.read_bytes() == before


async def test_renewals_need_a_link(hub: FakeHub, due: Profile) -> None:
    """Asking on a connection that has ended says so."""
    async with asyncio.TaskGroup() as tasks:
        playing = tasks.create_task(at_the_hub(hub))
        async with connect(due) as client:
            end, _ = await playing
            end.abort()
            await until_ended(client)
            with pytest.raises(WorkFailed, match="closed the link"):
                await client.renew(Renew(b"x", 1))


async def until_ended(client: Client) -> None:
    """The next thing that is said on a dead link is that it is dead."""
    with pytest.raises(WorkFailed):
        await client.call(verbs.WHOAMI, NoArgs())
