"""When each place gets a note, what becomes of those that do not take it, and that nothing waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from common.audit.verification import Verification, Witness
from common.identity.signing import CHECKPOINT_PURPOSE, SigningKey
from hub.core.audit_chain import Checkpoint, checkpoint_bytes
from hub.store.transaction import Txn
from hub.witness import service as module
from hub.witness.file import WitnessFile
from hub.witness.places import FilePlace, Signed, WitnessFailed
from hub.witness.service import FIRST_RETRY, LAST_RETRY, NEAR_EVERY, PATIENCE, PlaceState, Witnesses
from hub.witness.signer import CheckpointSigner
from tests.common.audit.logs import a_log
from tests.hub.hub_harness import HubHarness

MARK = a_log().marks[2]


class Place:
    """Takes notes, or does not."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.notes: list[Checkpoint] = []
        self.fails: Exception | None = None
        self.waits: asyncio.Event | None = None
        self.tries = 0

    async def put(self, mark: Checkpoint, now: float) -> None:
        self.tries += 1
        if self.waits is not None:
            await self.waits.wait()
        if self.fails is not None:
            raise self.fails
        self.notes.append(mark)


class Bench:
    def __init__(self, harness: HubHarness) -> None:
        key = harness.keys.audit.key
        assert key is not None
        self.inside, self.key, self.hub = harness, key, harness.keys.hub_id
        self.near, self.far, self.slow = Place("syslog"), Place("webhook"), Place("s3")
        self.file = WitnessFile(harness.config.audit.file, self.hub)
        self.witnesses = self.made(key)

    def made(self, key: SigningKey) -> Witnesses:
        return Witnesses(
            store=self.inside.store,
            signer=CheckpointSigner(key, self.hub, self.file.last),
            before=self.inside.keys.job_key,
            near=[FilePlace(self.file, Signed(self.hub, key)), self.near],
            far=[self.far, self.slow],
            every=600.0,
            clock=self.inside.clock,
        )

    def add(self) -> None:
        self.inside.write(lambda txn: txn.audit("test.row", "r", "t", {}, self.inside.clock.now))

    async def step(self, seconds: float = 0.0) -> None:
        self.inside.clock.advance(seconds)
        self.add()
        await self.witnesses.checkpoint()
        await self.witnesses.tick()

    def state(self, name: str) -> PlaceState:
        return next(state for state in self.witnesses.states() if state.name == name)


@pytest.fixture
async def bench(harness: HubHarness) -> Bench:
    return Bench(harness)


async def test_the_near_ones_get_one_a_minute_and_the_others_less_often(bench: Bench) -> None:
    """A note stands for all before it: what is between is not sent. Nothing new: nothing sent."""
    await bench.step()
    first = [len(place.notes) for place in (bench.near, bench.far)]
    for _ in range(5):
        await bench.step(10.0)
    assert [len(place.notes) for place in (bench.near, bench.far)] == first == [1, 1]
    assert len(bench.inside.read(lambda txn: txn.checkpoints())) == 6
    await bench.step(NEAR_EVERY)
    assert [len(place.notes) for place in (bench.near, bench.far)] == [2, 1]
    await bench.step(600.0)
    assert [len(place.notes) for place in (bench.near, bench.far)] == [3, 2]
    bench.inside.clock.advance(10_000.0)
    await bench.witnesses.checkpoint()
    await bench.witnesses.tick()
    assert [len(place.notes) for place in (bench.near, bench.far)] == [3, 2]
    last = bench.file.last()
    assert last is not None
    assert last.seq == bench.near.notes[-1].seq


async def test_a_place_that_fails_is_tried_again_less_and_less_often(bench: Bench) -> None:
    """It is told; after long a person is asked; then it gets the newest alone."""
    bench.far.fails = WitnessFailed("it answers 503")
    await bench.step()
    assert (bench.state("webhook").problem, bench.state("s3").problem) == ("it answers 503", "")
    assert len(bench.slow.notes) == 1
    await bench.step(FIRST_RETRY - 1)
    assert bench.far.tries == 1
    await bench.step(1)
    await bench.step(FIRST_RETRY)
    assert bench.far.tries == 2
    for _ in range(40):
        await bench.step(100.0)
    assert bench.far.tries <= 14
    assert bench.state("webhook").needs_person(bench.inside.clock.now)
    assert bench.state("webhook").next_at - bench.inside.clock.now <= LAST_RETRY
    bench.far.fails = None
    await bench.step(LAST_RETRY)
    assert len(bench.far.notes) == 1
    assert bench.state("webhook").problem == ""


async def test_an_error_nobody_thought_of_stops_nothing(bench: Bench) -> None:
    bench.far.fails = RuntimeError("odd")
    await bench.step()
    assert bench.state("webhook").problem == "RuntimeError"
    assert len(bench.slow.notes) == 1


async def test_a_place_that_hangs_holds_nobody_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer, the signature and the near places go on while it hangs; in the end it counts as failed."""
    monkeypatch.setattr(module, "PUT_SECONDS", -4.9)  # 0.1 s in all
    bench.far.waits = asyncio.Event()
    bench.add()
    await bench.witnesses.checkpoint()
    async with asyncio.TaskGroup() as tasks:
        hung = tasks.create_task(bench.witnesses.tick())
        await asyncio.sleep(0)
        bench.inside.clock.advance(NEAR_EVERY)
        bench.add()
        await bench.witnesses.checkpoint()
        assert len(bench.near.notes) == 2
        await hung
    assert bench.state("webhook").problem == "no answer in time"


async def test_what_changed_is_not_signed_and_a_person_is_asked(bench: Bench) -> None:
    """Trust: A7, the hub says that the past has changed, at once, and goes on serving."""
    await bench.step()
    stranger = bench.made(SigningKey.generate())
    await stranger.checkpoint()
    state = stranger.states()[0]
    assert state.needs_person(bench.inside.clock.now)
    assert "was handed to the key" in state.problem
    bench.add()
    await bench.witnesses.checkpoint()
    assert not bench.state("checkpoint").problem


async def test_a_hub_that_stops_signs_what_is_there(bench: Bench) -> None:
    """Trust: A7, and tells it everywhere that answers, whenever it was told last; it then verifies as stopped."""
    await bench.step()
    bench.inside.clock.advance(1.0)
    bench.add()
    await bench.witnesses.close()
    head = bench.inside.read(lambda txn: txn.audit_head())
    assert [place.notes[-1].seq for place in (bench.near, bench.far, bench.slow)] == [head.seq] * 3
    own = Witness("file", [(bench.hub, note) for note in bench.near.notes], True)

    def verified(txn: object) -> str:
        run = Verification(bench.hub, bench.inside.keys.audit_trusted, [own], now=bench.inside.clock.now + 10**7)
        return run.run(iter(txn.chain(limit=1_000)), txn.checkpoints()).problem  # type: ignore[attr-defined]

    assert bench.inside.read(verified) == ""


@pytest.mark.parametrize("when", [lambda s: s.failed("x", 100.0), lambda s: s.took(MARK, 100.0)])
def test_a_state_says_since_when(when: Callable[[PlaceState], None]) -> None:
    """How long it fails, not how long ago it failed last."""
    state = PlaceState("s3", 600.0)
    state.failed("x", 50.0)
    when(state)
    if state.problem:
        assert (state.failing_since, state.needs_person(50.0 + PATIENCE)) == (50.0, True)
    else:
        assert (state.failing_since, state.failures, state.seq) == (0.0, 0, MARK.seq)


async def test_a_hub_of_before_goes_on(bench: Bench) -> None:
    """Trust: A7, checkpoints of the job key, as earlier versions signed them, stay good up to where the audit's own key
    takes over, and no further; who has the new key needs no other.
    """
    job_key = bench.inside.keys.job_key

    def old_mark(txn: Txn) -> None:
        head = txn.audit_head()
        signature = job_key.sign(CHECKPOINT_PURPOSE, checkpoint_bytes(bench.hub, head.seq, head.hash, 5.0))
        txn.add_checkpoint(Checkpoint(head.seq, head.hash, signature, job_key.id, 5.0))

    def verified(txn: Txn) -> tuple[str, int]:
        keys, named = bench.inside.keys.audit_trusted, bench.inside.keys.job_keys
        run = Verification(bench.hub, keys, named=named, now=bench.inside.clock.now)
        report = run.run(iter(txn.chain(limit=1_000)), txn.checkpoints())
        return report.code, report.signed_to

    bench.add()
    bench.inside.write(old_mark)
    await bench.step()
    head = bench.inside.read(lambda txn: txn.audit_head().seq)
    assert bench.inside.read(verified) == ("", head)
    bench.add()
    bench.inside.write(old_mark)
    assert bench.inside.read(verified)[0] == "key_replaced"
