"""The arguments of operators' calls: they come from outside, so each is checked and bounded. What the rooms of verbs
(`hub.desk_…`) stand on: who may, whom a call means, what an act's answer looks like.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from common.catalogue import LANGUAGES, Language, Sentence
from common.errors import Refused
from common.filter import BadFilter, Filter, me, parse
from common.filter_fields import View
from hub.acts import Acts, By, Done
from hub.authority import authorize
from hub.change import Change
from hub.consoles import BadCall, Caller
from hub.engine import Engine
from hub.fleet import Fleet
from hub.people import People
from hub.records import Job, Request
from hub.store.engine import Store
from hub.store.verbs import Txn

MAX_TEXT: Final = 2_000
MAX_LIMIT: Final = 500
MAX_WORDS: Final = 4_096
Args = Mapping[str, Any]


class BadFilterCall(BadCall):
    """A filter that does not read; the reason begins with the position."""

    code = "filter"


@dataclass(frozen=True, slots=True)
class Office:
    """What every room needs."""

    store: Store
    engine: Engine
    acts: Acts
    fleet: Fleet
    people: People
    hub_id: str
    clock: Callable[[], float]

    def allow(self, caller: Caller, verb: str) -> By:
        """Raises Refused where the caller may not."""
        authorize(caller.person, self.people.roles(caller.person), verb)
        return By(caller.person, "console", remote=caller.link.remote)

    async def act(
        self,
        caller: Caller,
        args: Args,
        verb: str,
        unit: Callable[[Change, By], Done],
        *,
        right: str = "",
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Does an act in one transaction and tells what became of it: {"code": "ok" or why not, "text", …}. It raises
        for a call that is none, never for a no. What was done is an audit row, with who and from where; a dry run does
        nothing, and so has none.
        """
        language = language_of(args)
        try:
            by = self.allow(caller, right or verb)
        except Refused as error:
            return {"code": "no_right", "text": str(error)}
        told: list[Done] = []

        def whole(change: Change) -> None:
            told[:] = [unit(change, by)]
            if not told[0].code and not dry_run:
                data = {"verb": verb, "via": by.via, "from": by.remote}
                change.txn.audit("act.done", told[0].subject or by.person, by.person, data, change.now)

        await self.engine.write(whole)
        return answer(told[0], language)


def answer(done: Done, language: Language) -> dict[str, Any]:
    return {"code": done.code or "ok", "text": done.sentence.say(language), **done.more}


# ---- values


def text(args: Args, key: str, limit: int = MAX_TEXT) -> str:
    value = args.get(key, "")
    if not isinstance(value, str) or len(value) > limit:
        raise BadCall(f"{key}: text of at most {limit} characters is expected")
    return value


def integer(args: Args, key: str, low: int = -(2**53), high: int = 2**53) -> int | None:
    value = args.get(key)
    if value is None:
        return None
    if type(value) is not int or not low <= value <= high:
        bounds = f" from {low} to {high}" if abs(low) < 2**53 and high < 2**53 else ""
        raise BadCall(f"{key}: a whole number{bounds} is expected")
    return value


def number(args: Args, key: str, low: float, high: float) -> float | None:
    value = args.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise BadCall(f"{key}: a number from {low:g} to {high:g} is expected")
    return float(value)


def flag(args: Args, key: str, default: bool | None = None) -> bool:
    value = args.get(key, default)
    if not isinstance(value, bool):
        raise BadCall(f"{key}: true or false is expected")
    return value


def limit_of(args: Args) -> int:
    value = integer(args, "limit")
    return 100 if value is None else max(1, min(value, MAX_LIMIT))


def words(args: Args, key: str, most: int = MAX_WORDS) -> list[str]:
    value = args.get(key)
    if not isinstance(value, list) or not value or not all(isinstance(word, str) for word in value):
        raise BadCall(f"{key}: a list of words is expected")
    if len(value) > most:
        raise BadCall(f"{key}: at most {most} are taken at once")
    return value


def states(args: Args, kind: Any) -> Any:
    value = args.get("states")
    if value is None:
        return None
    names = {state.value: state for state in kind}
    if not isinstance(value, list) or not value or not all(isinstance(name, str) and name in names for name in value):
        raise BadCall(f"states: some of {', '.join(names)} are expected")
    return tuple(names[name] for name in value)


def language_of(args: Args) -> Language:
    value = args.get("language")
    return next((language for language in LANGUAGES if language == value), "en")


def filter_of(args: Args, view: View, person: str) -> Filter:
    """The filter of a call, as this person means it."""
    try:
        return me(parse(view, text(args, "filter")), person)
    except BadFilter as error:
        raise BadFilterCall(f"{error.position}: {error.sentence.say(language_of(args))}") from None


# ---- records


def request_of(txn: Txn, args: Args) -> Request:
    wanted, identity = integer(args, "number"), text(args, "id")
    found = txn.request_by_number(wanted) if wanted is not None else txn.request(identity)
    if found is None:
        raise BadCall(str(Sentence("no_request", {"what": f"r{wanted}" if wanted is not None else identity or "?"})))
    return found


def job_of(txn: Txn, part: str) -> Job:
    found = txn.find_jobs(part) if len(part) >= 4 else []
    if not found:
        raise BadCall(str(Sentence("no_job", {"what": part})))
    if len(found) > 1:
        raise BadCall(str(Sentence("job_ambiguous", {"what": part})))
    return found[0]
