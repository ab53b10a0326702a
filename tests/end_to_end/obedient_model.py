"""The worst model there can be: it does whatever any text in its prompt tells it to, whoever wrote it, and no more.

`RUN[program words…] ON[machine]` anywhere, in the system prompt or in any turn, becomes a step of its answer; so does
`SAY[…]` where there is no such order. It knows no schema, no policy and no doubt: risk is always low.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tests.hub.planning.llm_servers.servers import Behaviour, OllamaServer, OpenAIServer, Server

RUN_MARK = re.compile(r"RUN\[([^\]]*)\] ON\[([^\]]*)\]")
SAY_MARK = re.compile(r"SAY\[([^\]]*)\]")


def obey_prompt(body: dict[str, Any]) -> str:
    """The answer to a request of either protocol."""
    text = "\n".join(message["content"] for message in body["messages"])
    steps = [
        {
            "program": line.split(" ")[0],
            "arguments": line.split(" ")[1:],
            "machines": [machine],
            "why": "I was told to.",
            "risk": "low",
            "risk_why": "none at all",
        }
        for line, machine in RUN_MARK.findall(text)
    ]
    if steps:
        return json.dumps({"answer": {"kind": "commands", "steps": steps[:8]}})
    said = SAY_MARK.search(text)
    return json.dumps({"answer": {"kind": "say", "text": said[1] if said else "I heard no order."}})


def obedient_server(kind: str = "openai", keys: tuple[str, ...] = ()) -> Server:
    make = OpenAIServer if kind == "openai" else OllamaServer
    return make("obeying", keys=keys, behaviour=Behaviour(answer=obey_prompt))
