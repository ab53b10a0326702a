"""tui.renewal: an operator's next certificate, over real TLS, whole at every point."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.certificate import prepare_renewal, take_certificate
from common.credential import Validity
from common.errors import UserError, WorkFailed
from common.identity import DAY, identity_in, request_key
from common.messages import Call, Refuse, Renew, Renewed
from tests.common.scripted import HubEnd, ScriptedHub
from tests.tui.scripted import profile_at
from tui.client import Client, connect
from tui.profile import Profile
from tui.renewal import context_of, is_due, locked, renew

WEEK = 7 * DAY


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[ScriptedHub]:
    """A hub that serves."""
    async with ScriptedHub(tmp_path / "hub").serving() as hub:
        yield hub


@pytest.fixture
def due(hub: ScriptedHub, tmp_path: Path) -> Profile:
    """A profile whose certificate is past two thirds of its life."""
    return profile_at(hub, tmp_path / "profile", now=time.time() - 5 * DAY)


def answer(hub: ScriptedHub, asked: Renew, name: str = "alice") -> Renewed:
    return Renewed(hub.issue(asked.request, name, kind="operator"), asked.generation + 1)


async def at_the_hub(hub: ScriptedHub, reply: Refuse | None = None) -> tuple[HubEnd, Renew]:
    """Plays the hub's side of a connection that renews."""
    end = await hub.arrival()
    asked = await end.expect(Renew)
    await end.send(reply or answer(hub, asked))
    return end, asked


def test_it_is_due_when_two_thirds_are_over() -> None:
    """Not before; and of course once it has expired."""
    validity = Validity(1, 0.0, 90.0)
    assert [is_due(validity, now) for now in (0.0, 59.9, 60.0, 100.0)] == [False, False, True, True]


async def test_whoever_connects_renews(hub: ScriptedHub, due: Profile) -> None:
    """Over the same link and before the first call: new key, new certificate, next generation; the link goes on."""
    old_key = due.credential.key.read_bytes()
    async with asyncio.TaskGroup() as tasks:
        playing = tasks.create_task(at_the_hub(hub))
        async with connect(due) as client:
            end, asked = await playing
            calling = tasks.create_task(client.call("whoami"))
            assert (await end.expect(Call)).verb == "whoami"
            calling.cancel()
    assert (asked.generation, client.warning) == (1, "")
    assert due.credential.key.read_bytes() != old_key
    assert due.credential.validity().generation == 2
    assert due.credential.validity().not_after == pytest.approx(time.time() + WEEK, abs=60)
    assert identity_in(due.credential.certificate.read_bytes(), time.time(), "operator").name == "alice"
    assert not list(due.path.glob("*.next"))
    async with connect(due):  # with what was renewed
        assert (await hub.arrival()).identity.fingerprint != end.identity.fingerprint


async def test_a_young_certificate_is_left_alone(hub: ScriptedHub, tmp_path: Path) -> None:
    """Nothing is asked, and nothing is made."""
    young = profile_at(hub, tmp_path / "young", now=time.time() - 4 * DAY)
    async with asyncio.TaskGroup() as tasks, connect(young) as client:
        end = await hub.arrival()
        calling = tasks.create_task(client.call("whoami"))
        assert isinstance(await end.receive(), Call)
        calling.cancel()
    assert not list(young.path.glob("*.next"))


async def test_a_refusal_is_a_warning(hub: ScriptedHub, due: Profile) -> None:
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


async def test_an_answer_that_is_not_ours_is_a_warning(hub: ScriptedHub, due: Profile) -> None:
    """A certificate for another name does not come into use."""
    before = due.credential.certificate.read_bytes()
    async with asyncio.TaskGroup() as tasks:

        async def play() -> None:
            end = await hub.arrival()
            await end.send(answer(hub, await end.expect(Renew), "mallory"))

        tasks.create_task(play())
        async with connect(due) as client:
            assert "another name" in client.warning
    assert due.credential.certificate.read_bytes() == before
    assert not due.credential.next_certificate.exists()


async def test_no_answer_is_a_warning(hub: ScriptedHub, due: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub that does not answer in time does not hold up the work."""
    monkeypatch.setattr("tui.client.RENEW_WITHIN", 0.1)
    async with connect(due) as client:
        assert "did not answer" in client.warning
    assert due.credential.next_request.exists()  # the same is asked again


async def test_a_lost_answer_is_asked_for_with_the_same_key(hub: ScriptedHub, due: Profile) -> None:
    """The link ends between question and answer; the next connection sends the same request."""

    async def lose() -> Renew:
        end = await hub.arrival()
        asked = await end.expect(Renew)
        end.cut()
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


async def test_two_programs_that_renew_at_once_end_with_one_certificate(hub: ScriptedHub, due: Profile) -> None:
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
    now = time.time()
    async with asyncio.TaskGroup() as tasks:
        one = tasks.create_task(renew(due, first, now))
        two = tasks.create_task(renew(due, second, now))
        await second_has_asked.wait()
        first_may_go.set()
        assert await one
        kept = due.credential.certificate.read_bytes()
        first_done.set()
        assert not await two
    assert request_key(asked[0].request) == request_key(asked[1].request)
    assert due.credential.certificate.read_bytes() == kept
    context_of(due)  # key and certificate are a pair


async def test_an_answer_for_somebody_who_was_here_before_is_dropped(hub: ScriptedHub, due: Profile) -> None:
    """A login with --force while the question is under way: its key and certificate stay."""

    async def ask(message: Renew) -> Renewed:
        profile_at(hub, due.path, "bob")
        return answer(hub, message)

    assert not await renew(due, ask, time.time())
    assert identity_in(due.credential.certificate.read_bytes(), time.time(), "operator").name == "bob"


class Crash(Exception):
    pass


@pytest.mark.parametrize("steps", range(5))
def test_after_a_crash_in_the_middle_the_next_connection_has_a_pair(
    steps: int, hub: ScriptedHub, due: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever rename was the last, key and certificate that are loaded belong together and are the new ones."""
    ours = due.credential
    prepare_renewal(ours, "operator", "alice")
    certificate = hub.issue(ours.next_request.read_bytes(), "alice", kind="operator")
    take_certificate(ours, "operator", "alice", certificate, 2, time.time())
    real, left = os.replace, [steps]

    def replace(source: Path, target: Path) -> None:
        if not left[0]:
            raise Crash
        left[0] -= 1
        real(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", replace)
        try:
            ours.settle()
        except Crash:
            pass
    context_of(due)
    assert ours.certificate.read_bytes() == certificate
    assert ours.validity().generation == 2


def test_a_renewal_that_was_only_begun_changes_nothing(due: Profile) -> None:
    """Key and request of the next certificate are there; the old pair is what is used."""
    before = due.credential.key.read_bytes()
    prepare_renewal(due.credential, "operator", "alice")
    context_of(due)
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
    context_of(due)

    async def ask(message: Renew) -> Renewed:
        raise AssertionError("nothing is asked")

    assert not await renew(due, ask, time.time())


async def test_an_expired_certificate_is_named(hub: ScriptedHub, tmp_path: Path) -> None:
    """The hub only hangs up; the day and the way back are told here."""
    old = profile_at(hub, tmp_path / "old", now=time.time() - 8 * DAY)
    with pytest.raises(UserError, match=r"certificate of alice expired on 20.*operator add") as raised:
        async with connect(old):
            pass
    assert raised.value.exit_code == 2


async def test_renewals_need_a_link(hub: ScriptedHub, due: Profile) -> None:
    """Asking on a connection that has ended says so."""
    async with asyncio.TaskGroup() as tasks:
        playing = tasks.create_task(at_the_hub(hub))
        async with connect(due) as client:
            end, _ = await playing
            end.cut()
            await until_ended(client)
            with pytest.raises(WorkFailed, match="closed the link"):
                await client.renew(Renew(b"x", 1))


async def until_ended(client: Client) -> None:
    """The next thing that is said on a dead link is that it is dead."""
    with pytest.raises(WorkFailed):
        await client.call("whoami")
