from __future__ import annotations

import asyncio
import json
import random
import time
from typing import Any

import pytest

from hub.planning.llm_servers.pool import RECOVERY_WAIT, Pool, PoolLimits
from hub.planning.llm_servers.types import ModelCompletion, ModelRequest, NoAnswer
from tests.hub.planning.llm_servers.rig import pooled, running
from tests.hub.planning.llm_servers.servers import ANSWER, Behaviour, OllamaServer, OpenAIServer, Server
from tests.hub.planning.llm_servers.wires import ask


def echo(body: dict[str, Any]) -> str:
    return json.dumps({"say": body["messages"][-1]["content"]})


async def together(pool: Pool, asks: list[ModelRequest]) -> list[ModelCompletion | NoAnswer]:
    """All at once; what came of each."""

    async def one(asked: ModelRequest) -> ModelCompletion | NoAnswer:
        try:
            return await pool.complete(asked)
        except NoAnswer as none:
            return none

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(asked)) for asked in asks]
    return [task.result() for task in tasks]


@pytest.mark.parametrize("kind", [OpenAIServer, OllamaServer])
async def test_one_node_answers(kind: type[Server]) -> None:
    """Text, node, model, digest, counted tokens, times in their order."""
    async with pooled([kind("m")]) as pool:
        got = await pool.complete(ask())
        (view,) = pool.node_statuses()
    assert (got.text, got.node, got.model, got.shared) == (ANSWER, "a", "m", False)
    assert got.digest == view.digest != ""
    assert (got.tokens.prompt, got.tokens.output, got.tokens.counted) == (11, 4, True)
    assert 0 <= got.timings.queued <= got.timings.first <= got.timings.total < 5
    assert [(one.node, one.result) for one in got.attempts] == [("a", "ok")]
    assert (view.running, view.load, view.stats.results) == (0, 0, {"ok": 1})


async def test_slow_dying_and_wrong_key() -> None:
    """Three nodes of which each fails in its way, and one of them only slowly: every request is answered."""
    slow = OpenAIServer("m", behaviour=Behaviour(delay=0.3, answer=echo))
    dying = OllamaServer("m", behaviour=Behaviour(die_after=2, answer=echo))
    locked = OpenAIServer("m", keys=("k",))
    async with pooled([slow, dying, locked], checked=False) as pool:
        asks = [ask(f"message {number}") for number in range(24)]
        got = await together(pool, asks)
        views = {view.spec.name: view for view in pool.node_statuses()}
    assert [one.text if isinstance(one, ModelCompletion) else str(one) for one in got] == [
        json.dumps({"say": asked.messages[0].text}) for asked in asks
    ]
    assert views["b"].stats.results["gone"] >= 1
    assert views["b"].breaker == "open"
    assert not views["c"].up
    assert len(dying.asked) <= 12


async def test_identical_requests_make_one_call() -> None:
    """A hundred at once, one call; each is told whether the answer was another's."""
    gate = asyncio.Event()
    server = OpenAIServer("m", behaviour=Behaviour(gate=gate))
    async with pooled([server]) as pool, asyncio.TaskGroup() as group:
        asked = ask()
        tasks = [group.create_task(pool.complete(asked)) for _ in range(100)]
        await server.until(lambda: server.running == 1)
        gate.set()
        got = await asyncio.gather(*tasks)
    assert len(server.asked) == 1
    assert sum(not one.shared for one in got) == 1


async def test_the_leaders_leaving_does_not_end_the_flight() -> None:
    """Who asked first gives up; who asked second gets the answer. When the last one leaves, the call ends."""
    gate = asyncio.Event()
    server = OpenAIServer("m", behaviour=Behaviour(gate=gate))
    async with pooled([server], bounds=PoolLimits(hedge=False)) as pool, asyncio.TaskGroup() as group:
        asked = ask()
        first = group.create_task(pool.complete(asked))
        await server.until(lambda: server.running == 1)
        second = group.create_task(pool.complete(asked))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait({first})
        gate.set()
        assert (await second).shared
        gate.clear()
        third = group.create_task(pool.complete(asked))
        await server.until(lambda: server.running == 1)
        third.cancel()
        await server.until(lambda: server.hung_up == 1)
    assert len(server.asked) == 2


async def test_a_burst_is_packed_to_the_slots() -> None:
    """Never more at a node than it has slots, all of them used, oldest first."""
    servers = [OpenAIServer("m", behaviour=Behaviour(delay=0.01, answer=echo)) for _ in range(2)]
    async with pooled(servers, parallel=[3, 1], bounds=PoolLimits(hedge=False)) as pool:
        got = await together(pool, [ask(f"{number}") for number in range(40)])
    assert all(isinstance(one, ModelCompletion) for one in got)
    assert [server.most_running for server in servers] == [3, 1]


async def test_a_second_node_is_asked_where_the_first_is_slow() -> None:
    """After what nineteen of twenty take elsewhere; the first whole answer wins and the other call ends."""
    servers = [OpenAIServer("m", behaviour=Behaviour(answer=echo)) for _ in range(2)]
    async with pooled(servers, parallel=4) as pool:
        for number in range(20):
            await together(pool, [ask(f"{number}.{side}") for side in range(4)])
        servers[0].behaviour = Behaviour(gate=asyncio.Event())
        servers[1].behaviour = Behaviour(answer=echo)
        for batch in range(8):  # on a busy machine the first ones may all go to the other node
            got = await together(pool, [ask(f"late {batch}.{number}") for number in range(4)])
            hedged = [one for one in got if isinstance(one, ModelCompletion) and len(one.attempts) == 2]
            if hedged:
                break
        assert hedged
        assert all([(x.node, x.result) for x in one.attempts] == [("b", "ok"), ("a", "hedged")] for one in hedged)
        assert all(isinstance(one, ModelCompletion) and one.timings.total < 10 for one in got)
        await servers[0].until(lambda: servers[0].hung_up == len(hedged))


async def test_a_node_goes_and_comes_back() -> None:
    """While it is down requests are answered elsewhere; when it is back, it is asked again."""
    servers = [OpenAIServer("m") for _ in range(2)]
    async with pooled(servers, priority=[1, 2]) as pool:
        assert (await pool.complete(ask("0"))).node == "a"
        await servers[0].stop()
        assert (await pool.complete(ask("1"))).node == "b"
        async with asyncio.timeout(45):
            while pool.node_statuses()[0].up:
                await asyncio.sleep(0.01)
        await servers[0].start()
        async with asyncio.timeout(45):
            while not pool.node_statuses()[0].up:
                await asyncio.sleep(0.01)
        assert (await pool.complete(ask("2"))).node == "a"


async def test_the_only_node_is_asked_again() -> None:
    """One node that dies in the middle once: the second attempt there succeeds."""
    server = OpenAIServer("m")
    lives = iter([Behaviour(die_after=1), Behaviour()])
    server.behaviour = next(lives)
    original = server._behave

    async def behave(writer: asyncio.StreamWriter, asked: dict[str, Any]) -> None:
        try:
            await original(writer, asked)
        finally:
            server.behaviour = next(lives, server.behaviour)

    server._behave = behave  # type: ignore[method-assign]
    async with pooled([server]) as pool:
        got = await pool.complete(ask())
    assert [one.result for one in got.attempts] == ["gone", "ok"]


@pytest.mark.parametrize(
    ("behaviour", "results"),
    [
        (Behaviour(answer=lambda body: "not JSON"), ["nonsense", "nonsense"]),
        (Behaviour(cut=True), ["cut", "cut"]),
        (Behaviour(status=400), ["refused", "refused"]),
        (Behaviour(status=500), ["gone"] * 5),
    ],
)
async def test_a_request_that_fails_everywhere_ends(behaviour: Behaviour, results: list[str]) -> None:
    """Twice where the request may be the cause, five times where it is the nodes; with who was asked."""
    async with pooled([OpenAIServer("m", behaviour=behaviour) for _ in range(3)]) as pool:
        with pytest.raises(NoAnswer) as caught:
            await pool.complete(ask())
        standings = [view.breaker for view in pool.node_statuses()]
    assert caught.value.reason == "failed"
    assert [one.result for one in caught.value.attempts] == results
    assert results[0] not in ("cut", "refused") or standings == ["closed"] * 3


async def test_nobody_there_is_told_at_once() -> None:
    """All nodes known to be down: no waiting. No nodes at all: off."""
    server = OpenAIServer("m", keys=("k",))
    async with pooled([server]) as pool:
        began = time.monotonic()
        with pytest.raises(NoAnswer) as caught:
            await pool.complete(ask())
        assert caught.value.reason == "down"
        assert time.monotonic() - began < RECOVERY_WAIT
        assert pool.node_statuses()[0].problem == "unauthorised: HTTP 401: the key is not taken"
    async with running(Pool([], PoolLimits(), time.monotonic)) as empty:
        with pytest.raises(NoAnswer) as caught:
            await empty.complete(ask())
        assert caught.value.reason == "off"


async def test_deadlines_hold_for_each_who_asks() -> None:
    """In a call, in the line, and for one who joined another's call with less time or with more."""
    gate = asyncio.Event()
    server = OpenAIServer("m", behaviour=Behaviour(gate=gate))
    async with pooled([server], parallel=1, bounds=PoolLimits(hedge=False)) as pool:

        def within(text: str, seconds: float) -> ModelRequest:
            return ask(text, deadline=time.monotonic() + seconds)

        began = time.monotonic()
        got = await together(pool, [within("x", 0.2), within("y", 0.2), within("z", -1)])
        assert [one.reason for one in got if isinstance(one, NoAnswer)] == ["late"] * 3
        assert time.monotonic() - began < 10  # not the gate's: nobody opens it
        long, short = within("x", 20), within("x", 0.2)
        async with asyncio.TaskGroup() as group:
            first = group.create_task(together(pool, [short]))
            await server.until(lambda: server.running == 1)
            second = group.create_task(pool.complete(long))
            (late,) = await first
            assert isinstance(late, NoAnswer)
            gate.set()
            assert (await second).text == ANSWER
    assert server.most_running == 1


async def test_the_line_is_bounded() -> None:
    """One is under way, two wait, the fourth is turned away; when all have left, nothing is kept."""
    gate = asyncio.Event()
    server = OpenAIServer("m", behaviour=Behaviour(gate=gate))
    async with pooled([server], parallel=1, bounds=PoolLimits(queue=2, hedge=False)) as pool:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(together(pool, [ask(f"{number}")])) for number in range(4)]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            assert pool.waiting == 2
            gate.set()
        reasons = [one.reason for task in tasks for one in task.result() if isinstance(one, NoAnswer)]
        assert reasons == ["busy"]
        assert (pool.waiting, pool.node_statuses()[0].running) == (0, 0)


async def test_who_leaves_the_line_gives_nothing_up_for_others() -> None:
    """Cancelled while waiting or on being called, a request keeps no slot."""
    gate = asyncio.Event()
    server = OpenAIServer("m", behaviour=Behaviour(gate=gate, answer=echo))
    async with pooled([server], parallel=1, bounds=PoolLimits(hedge=False)) as pool, asyncio.TaskGroup() as group:
        first = group.create_task(pool.complete(ask("1")))
        await server.until(lambda: server.running == 1)
        waiting = [group.create_task(pool.complete(ask(f"w{number}"))) for number in range(3)]
        while pool.waiting < 3:
            await asyncio.sleep(0)
        waiting[0].cancel()
        gate.set()
        await first
        waiting[1].cancel()
        await asyncio.wait(waiting)
        assert (await waiting[2]).text == '{"say": "w2"}'
        assert (await pool.complete(ask("last"))).text == '{"say": "last"}'
        assert pool.node_statuses()[0].running == 0


async def test_what_fits_nowhere_is_refused() -> None:
    """A prompt beyond every node's context; one that fits one node goes there."""
    servers = [OpenAIServer("m"), OpenAIServer("m")]
    async with pooled(servers, context=[600, 4_000]) as pool:
        assert (await pool.complete(ask("x" * 3_000))).node == "b"
        with pytest.raises(NoAnswer) as caught:
            await pool.complete(ask("x" * 30_000))
    assert caught.value.reason == "too_long"


async def test_a_person_has_a_budget() -> None:
    """Beyond it a request is refused with the time until it is not; a shared call costs once; others have their own."""
    server = OpenAIServer("m")
    async with pooled([server], bounds=PoolLimits(person_minute=120)) as pool:
        asks = [ask("same", person="alice") for _ in range(10)]
        assert all(isinstance(one, ModelCompletion) for one in await together(pool, asks))
        got = [*(await together(pool, [ask(f"{n}", person="alice") for n in range(4)]))]
        refused = [one for one in got if isinstance(one, NoAnswer)]
        assert refused
        assert all(one.reason == "budget" and 0 < (one.retry_after or 0) <= 60 for one in refused)
        assert isinstance((await together(pool, [ask("x", person="bob")]))[0], ModelCompletion)
        assert isinstance((await together(pool, [ask("x")]))[0], ModelCompletion)


async def test_short_messages_of_one_person_share_a_call() -> None:
    """Where it is switched on, and only while they wait; each gets its own answer; nobody's mixes with another's."""

    def answer(body: dict[str, Any]) -> str:
        text = body["messages"][-1]["content"]
        if not text.startswith("Below"):
            return echo(body)
        return json.dumps({"answers": [{"say": one} for one in json.loads(text.split("\n")[1])]})

    gate = asyncio.Event()
    server = OpenAIServer("m", behaviour=Behaviour(gate=gate, answer=answer))
    bounds = PoolLimits(merge=4, hedge=False)
    async with pooled([server], parallel=1, bounds=bounds) as pool, asyncio.TaskGroup() as group:
        names = [("alice", f"a{n}") for n in range(5)] + [("bob", f"b{n}") for n in range(3)]
        tasks = [group.create_task(pool.complete(ask(text, person=who, batchable=True))) for who, text in names]
        await server.until(lambda: server.running == 1)
        while pool.waiting < 7:
            await asyncio.sleep(0)
        gate.set()
        got = await asyncio.gather(*tasks)
    assert [json.loads(one.text)["say"] for one in got] == [text for _, text in names]
    sent = [body["messages"][-1]["content"] for body in server.asked]
    assert len(sent) == 3
    assert not any("a1" in text and "b1" in text for text in sent)


async def test_a_shared_call_that_fails_is_made_for_each() -> None:
    """An answer that is not one for each message, or none: everybody is asked for alone."""
    gate = asyncio.Event()
    server = OpenAIServer("m", behaviour=Behaviour(gate=gate, answer=lambda body: '{"answers": [1]}'))
    bounds = PoolLimits(merge=4, hedge=False)
    async with pooled([server], parallel=1, bounds=bounds) as pool, asyncio.TaskGroup() as group:
        tasks = [group.create_task(pool.complete(ask(f"{n}", person="a", batchable=True))) for n in range(4)]
        await server.until(lambda: server.running == 1)
        while pool.waiting < 3:
            await asyncio.sleep(0)
        gate.set()
        got = await asyncio.gather(*tasks)
    assert len(got) == 4
    assert len(server.asked) == 5


async def test_nodes_are_warmed_up() -> None:
    """Each gets the prompt with a bound of one token, once; a node that comes back gets it again."""
    servers: list[Server] = [OpenAIServer("m"), OllamaServer("m")]
    async with pooled(servers) as pool:
        pool.warm("the long prompt")
        for server in servers:
            await server.until(lambda server=server: len(server.asked) == 1)  # type: ignore[misc]
            assert server.asked[0]["messages"][0]["content"] == "the long prompt"
            assert server.asked[0].get("max_tokens", server.asked[0].get("options", {}).get("num_predict")) == 1


async def test_the_digest_stays_while_a_node_is_down() -> None:
    """It stands for the models: a plan of before is found again while a node is away."""
    servers = [OpenAIServer("m"), OllamaServer("m")]
    async with pooled(servers) as pool:
        before = pool.digest
        await servers[1].stop()
        await pool.complete(ask())
        assert pool.digest == before
    async with pooled([OpenAIServer("other"), OllamaServer("m")]) as pool:
        assert pool.digest != before


async def test_ending_ends_what_is_under_way() -> None:
    """Those who wait are told, and the connections are closed."""
    server = OpenAIServer("m", behaviour=Behaviour(gate=asyncio.Event()))
    async with asyncio.TaskGroup() as group:
        async with pooled([server]) as pool:
            task = group.create_task(together(pool, [ask()]))
            await server.until(lambda: server.running == 1)
        (got,) = await task
    assert isinstance(got, NoAnswer)
    assert got.reason == "off"


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_nothing_is_kept(seed: int) -> None:
    """Servers that die, stall, refuse, talk nonsense and come and go, people who leave and deadlines that pass: each
    who stays gets an answer of its own or a reason, and in the end no slot is taken and nobody is in the line.
    """
    chance = random.Random(seed)
    kinds = [
        Behaviour(answer=echo),
        Behaviour(answer=echo, per_token=0.002),
        Behaviour(answer=echo, die_after=2),
        Behaviour(answer=echo, error_after=1),
        Behaviour(status=503, headers={"retry-after": "0"}),
        Behaviour(raw=b"\x00\r\n\r\n"),
        Behaviour(answer=lambda body: "?"),
        Behaviour(delay=0.4, answer=echo),
    ]
    servers: list[Server] = [OpenAIServer("m"), OllamaServer("m"), OpenAIServer("m")]
    for server in servers:
        behave = server._behave

        async def moody(
            writer: asyncio.StreamWriter, asked: dict[str, Any], server: Server = server, behave: Any = behave
        ) -> None:
            server.behaviour = chance.choice(kinds)
            await behave(writer, asked)

        server._behave = moody  # type: ignore[method-assign]

    async def answers(pool: Pool) -> bool:
        """Whether it still does its work, once the servers do theirs again: some are left alone for a while first."""
        try:
            got = await pool.complete(ask("after all", deadline=time.monotonic() + 5.0))
        except NoAnswer:
            await asyncio.sleep(0.05)
            return False
        return bool(json.loads(got.text) == {"say": "after all"})

    async def person(pool: Pool, number: int) -> None:
        text = f"{number % 40}"
        patience = chance.choice([0.05, 0.5, 5.0])
        asked = ask(text, deadline=time.monotonic() + patience, person=chance.choice(["", "a", "b"]), batchable=True)
        try:
            async with asyncio.timeout(chance.choice([0.02, 0.3, 30.0])):
                got = await pool.complete(asked)
            assert json.loads(got.text) == {"say": text}
        except (NoAnswer, TimeoutError):
            pass

    bounds = PoolLimits(queue=30, person_minute=50_000, merge=3)
    async with pooled(servers, bounds=bounds, parallel=2, timeout=1.0) as pool:
        async with asyncio.TaskGroup() as group:
            for number in range(150):
                group.create_task(person(pool, number))
                if number == 75:
                    await servers[2].stop()
                if number == 110:
                    await servers[2].start()
                await asyncio.sleep(chance.choice([0, 0, 0.005]))
        assert pool._flights is not None
        async with asyncio.timeout(45):
            while len(pool._flights) or pool.waiting or any(view.running for view in pool.node_statuses()):
                await asyncio.sleep(0.01)
        assert [(view.running, view.load) for view in pool.node_statuses()] == [(0, 0)] * 3
        kinds[:] = [Behaviour(answer=echo)]
        async with asyncio.timeout(60):
            while not await answers(pool):
                pass
