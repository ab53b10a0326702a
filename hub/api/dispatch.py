"""How a call reaches its handler: the right, the arguments, the right that these arguments take, the handler, the
result.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic

from common.api.codec import encode
from common.api.constraints import BadValue
from common.api.outcome import Outcome
from common.api.rights import Right
from common.api.verb import A, R, Verb
from common.errors import Denied
from hub.core.authorization import authorize
from hub.identity.people import PeopleDirectory
from hub.links.console import Caller, InvalidArguments

Handler = Callable[[Caller, A], Awaitable[R]]


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[A, R]):
    """A verb with its handler, as `hub.links.console.VerbTable` has it: from a call's map to the answer's data."""

    verb: Verb[A, R]
    handler: Handler[A, R]
    people: PeopleDirectory

    async def __call__(self, caller: Caller, data: Mapping[str, Any]) -> Any:
        """Raises Denied, or for an action answers no_right; raises InvalidArguments.

        Who has not even the least right that the verb takes is refused before the arguments are read.
        """
        try:
            self._authorize(caller, self.verb.right)
            args = self._decode(data)
            self._authorize(caller, self.verb.needs(args))
        except Denied as error:
            if self.verb.kind != "action":
                raise
            return encode(Outcome(code="no_right", text=str(error)))
        return self.verb.encode_result(await self.handler(caller, args))

    def _authorize(self, caller: Caller, right: Right) -> None:
        authorize(caller.person, self.people.roles(caller.person), right.name, self.people.holders)

    def _decode(self, data: Mapping[str, Any]) -> A:
        try:
            return self.verb.decode_args(data)
        except BadValue as error:
            raise InvalidArguments(str(error)) from None
