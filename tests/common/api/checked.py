"""The hub's verbs as they are, each call and push held against its declaration."""

from __future__ import annotations

from typing import Any

import msgpack

from common.api.codec import encode
from common.api.verbs import VERBS
from common.api.versions import read_push, read_result
from tests.hub.api_harness import ApiHarness


def wire(data: Any) -> Any:
    """As it comes out of a link."""
    return msgpack.unpackb(msgpack.packb(data), strict_map_key=False)


class Checked(ApiHarness):
    """Answers are the typed results: what the hub made and encoded is read as the same, and encoded again to exactly
    what was sent.
    """

    async def call(self, person: str, verb: str, /, **args: Any) -> Any:
        declared = VERBS[verb]
        typed = declared.decode_args(wire(args))
        assert wire(declared.encode_args(typed)).items() <= {**args, **declared.encode_args(typed)}.items()
        answer = wire(await super().call(person, verb, **args))
        result = read_result(declared, answer)
        assert declared.encode_result(result) == answer
        code = str(getattr(result, "code", ""))
        assert declared.kind == "subscription" or code in ("", "ok", *declared.errors)
        return result

    async def push(self, verb: str, view: Any = None) -> Any:
        """The next push of what was subscribed last."""
        sent = await self.last_subscription.poll()
        if sent is None:
            return None
        found = read_push(verb, wire(sent), view)
        assert encode(found) == wire(sent)
        return found
