"""The fields that the filter language knows, by view: what people write, which key of a row it means, and its kind.

A key is one of the rows that the hub shows (`hub.views`); the store's columns have the same names. Kinds:

    word      text, by patterns: `*` any characters, `?` one; as it is written, upper and lower case apart
    choice    one of a closed set of words, by patterns too
    flag      a named condition; several may hold at once
    number    compared: `exit:0`, `exit:!=0`, `load>4`
    duration  seconds, written 250ms, 10s, 5m, 2h, 1d, 1w or 1h30m
    age       the same, of the time since the moment that the key holds
    ahead     the same, of the time until that moment
    size      bytes, written 512, 10k, 5M, 2GiB
    label     KEY=VALUE; the value may end in `*`
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from common.lifecycle import JobState, RequestState

View = Literal["jobs", "requests", "agents", "audit", "activity"]
VIEWS: Final[tuple[View, ...]] = ("jobs", "requests", "agents", "audit", "activity")
Kind = Literal["word", "choice", "flag", "number", "duration", "age", "ahead", "size", "label"]


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    key: str  # of the row; a dot goes into a map
    kind: Kind
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()  # of a choice or a flag
    prefix: str = ""  # the value in the row begins with it, and people leave it out
    is_id: bool = False  # people write the end of it


_LABEL: Final = Field("label", "labels", "label", ("l",))
_USER: Final = Field("user", "person", "word", ("person", "who", "by"))
_SRC: Final = Field("src", "inlet", "word", ("inlet", "from"))
_RB: Final = Field("rb", "source", "word", ("runbook",), prefix="runbook:")
_PLAN: Final = Field("plan", "source", "word", ("source",))
_ID: Final = Field("id", "id", "word", is_id=True)
_R: Final = Field("r", "number", "number", ("request", "number"))

_JOBS: Final = (
    Field("state", "state", "choice", ("s",), choices=tuple(state.value for state in JobState)),
    Field("is", "", "flag", choices=("open", "ended", "bad", "stuck", "held", "cancelling")),
    Field("agent", "agent", "word", ("machine", "on")),
    _USER,
    _SRC,
    _RB,
    _PLAN,
    _LABEL,
    _ID,
    _R,
    Field("age", "queued_at", "age"),
    Field("started", "started_at", "age"),
    Field("ended", "ended_at", "age"),
    Field("took", "duration", "duration"),
    Field("left", "not_after", "ahead"),
    Field("exit", "exit_code", "number"),
    Field("signal", "signal", "number"),
    Field("pri", "priority", "number", ("priority",)),
    Field("step", "step", "number"),
    Field("output", "output_bytes", "size"),
)
_REQUESTS: Final = (
    Field("state", "state", "choice", ("s",), choices=tuple(state.value for state in RequestState)),
    Field("is", "", "flag", choices=("open", "ended", "edited")),
    _USER,
    _SRC,
    Field("room", "conversation", "word", ("conversation",)),
    Field("rule", "rule", "word"),
    Field("rb", "plan.source", "word", ("runbook",), prefix="runbook:"),
    Field("plan", "plan.source", "word", ("source",)),
    _ID,
    _R,
    Field("age", "received_at", "age"),
    Field("ended", "ended_at", "age"),
    Field("left", "decide_by", "ahead"),
)
_AGENTS: Final = (
    Field("name", "name", "word", ("agent", "machine")),
    Field(
        "state",
        "",
        "flag",
        ("is", "s"),
        ("online", "offline", "paused", "draining", "busy", "active", "locked", "revoked", "bad"),
    ),
    _LABEL,
    Field("version", "version", "word"),
    Field("os", "facts.os", "word"),
    Field("rtt", "rtt", "duration"),
    Field("load", "vitals.load1", "number"),
    Field("cpu", "vitals.cpu", "number"),
    Field("memory", "vitals.memory", "number", ("mem",)),
    Field("disk", "vitals.disk", "number"),
    Field("queued", "queued", "number"),
    Field("running", "running", "number"),
    Field("seen", "last_seen", "age"),
)
_EVENTS: Final = (
    Field("kind", "kind", "word", ("event",)),
    Field("subject", "subject", "word", ("id", "about"), is_id=True),
    Field("actor", "actor", "word", ("user", "by", "who")),
    Field("seq", "seq", "number"),
    Field("age", "at", "age"),
)
FIELDS: Final[Mapping[View, tuple[Field, ...]]] = {
    "jobs": _JOBS,
    "requests": _REQUESTS,
    "agents": _AGENTS,
    "audit": _EVENTS,
    "activity": _EVENTS,
}

# Where words without a field are looked for; upper and lower case alike.
TEXT: Final[Mapping[View, tuple[str, ...]]] = {
    "jobs": ("argv", "agent", "person", "reason", "id"),
    "requests": ("text", "person", "reason", "id"),
    "agents": ("name", "labels", "version"),
    "audit": ("kind", "subject", "actor", "data"),
    "activity": ("kind", "subject", "actor", "data"),
}


def _named(fields: Iterable[Field]) -> dict[str, Field]:
    return {name: field for field in fields for name in (field.name, *field.aliases)}


BY_NAME: Final[Mapping[View, Mapping[str, Field]]] = {view: _named(fields) for view, fields in FIELDS.items()}
