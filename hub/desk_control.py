"""The room for machines and the queue: pause, resume, drain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from common.catalogue import Sentence
from common.errors import Refused
from hub import acts_machines as machines
from hub.acts import By, Done
from hub.change import Change, Effects
from hub.consoles import BadCall, Caller
from hub.desk_args import Args, Office, answer, integer, language_of, number, text
from hub.machines import NoTarget, resolve

MAX_SELECTION: Final = 10_000
MAX_PAUSE: Final = 30 * 86_400.0
MAX_CANCEL_AFTER: Final = 7 * 86_400.0


class ControlRoom:
    def __init__(self, office: Office) -> None:
        self._office = office

    async def pause(self, caller: Caller, args: Args) -> Any:
        """Hands out nothing new to a machine, to a selection of them, or ("") to any. `until` is when it goes on by
        itself; `expect` as in `run`.
        """
        reason, until = text(args, "reason"), number(args, "until", 0.0, 2.0**53)
        now = self._office.clock()
        if until is not None and not now < until <= now + MAX_PAUSE:
            return answer(Done(Sentence("pause_past"), "too_late"), language_of(args))

        def queue(change: Change, by: By) -> Done:
            return machines.pause_queue(change, by, reason, until)

        def some(change: Change, by: By, names: Sequence[str]) -> int:
            return machines.pause(change, by, names, reason, until)

        return await self._for_all(caller, args, "pause", queue, some)

    async def resume(self, caller: Caller, args: Args) -> Any:
        def queue(change: Change, by: By) -> Done:
            return machines.resume_queue(change, by, [agent.name for agent in self._office.fleet.agents()])

        return await self._for_all(caller, args, "resume", queue, machines.resume)

    async def _for_all(
        self,
        caller: Caller,
        args: Args,
        verb: str,
        queue: Callable[[Change, By], Done],
        some: Callable[[Change, By, Sequence[str]], int],
    ) -> dict[str, Any]:
        office, language = self._office, language_of(args)
        selection = text(args, "selector", 8_192) or text(args, "agent")
        if not selection:
            return await office.act(caller, args, verb, queue)  # what is woken, the act says itself
        try:
            by = office.allow(caller, verb)
        except Refused as error:
            return {"code": "no_right", "text": str(error)}
        try:
            names = resolve(selection, office.fleet.inventory, MAX_SELECTION)
        except NoTarget as error:
            return answer(Done(error.sentence, "unknown"), language)
        expect = integer(args, "expect", 1, MAX_SELECTION)
        if expect is not None and expect != len(names):
            changed = Sentence("selection_changed", {"count": len(names), "expected": expect})
            done = Done(changed, "selection_changed", {"count": len(names)})
            return answer(done, language)
        count = 0
        for first in range(0, len(names), machines.SHARE):  # one transaction each: nobody waits for ten thousand
            count += await self._some(by, names[first : first + machines.SHARE], some)
        await office.engine.write(lambda change: _done(change, by, verb, selection, names, count))
        await office.fleet.refresh()
        if verb == "resume":
            office.engine.after(Effects(wake=set(names)))
        values = {"what": names[0], "count": count}
        one = "paused_now" if verb == "pause" else "resumed_now"
        many = "paused_some" if verb == "pause" else "resumed_some"
        return answer(Done(Sentence(one if len(names) == 1 else many, values), "", {"count": count}), language)

    async def _some(self, by: By, names: Sequence[str], act: Callable[[Change, By, Sequence[str]], int]) -> int:
        counted: list[int] = []
        await self._office.engine.write(lambda change: counted.append(act(change, by, names)))
        return counted[-1]

    async def drain(self, caller: Caller, args: Args) -> Any:
        """Nothing new for a machine; what it has finishes, or is cancelled after `cancel_after` seconds."""
        agent, cancel_after = text(args, "agent"), number(args, "cancel_after", 0.0, MAX_CANCEL_AFTER)
        if not agent:
            raise BadCall("agent: the machine to drain is expected")
        told = await self._office.act(
            caller, args, "drain", lambda change, by: machines.drain(change, by, agent, cancel_after)
        )
        await self._office.fleet.refresh()
        return told

    async def undrain(self, caller: Caller, args: Args) -> Any:
        agent = text(args, "agent")
        told = await self._office.act(caller, args, "undrain", lambda change, by: machines.undrain(change, by, agent))
        await self._office.fleet.refresh()
        if told["code"] == "ok":  # again: it was woken by the act, maybe before the fleet knew
            self._office.engine.after(Effects(wake={agent}))
        return told


def _done(change: Change, by: By, verb: str, selection: str, names: Sequence[str], count: int) -> None:
    """The row of an act on a selection, as every act has one; each machine's own row says what became of it."""
    data = {"verb": verb, "selector": selection, "count": count, "via": by.via, "from": by.remote}
    subject = names[0] if len(names) == 1 else "queue"
    change.txn.audit("act.done", subject, by.person, data, change.now)
