"""The fields that the filter language knows, by view: what people write, which key of a row it means, and its kind.

A key is one of the rows that the hub shows (`hub.api.views`); the store's columns have the same names. Kinds:

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

ViewName = Literal["jobs", "requests", "agents", "audit", "activity"]
VIEWS: Final[tuple[ViewName, ...]] = ("jobs", "requests", "agents", "audit", "activity")
FieldKind = Literal["word", "choice", "flag", "number", "duration", "age", "ahead", "size", "label"]


@dataclass(frozen=True, slots=True)
class FilterField:
    name: str
    key: str  # of the row; a dot goes into a map
    kind: FieldKind
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()  # of a choice or a flag
    prefix: str = ""  # the value in the row begins with it, and people leave it out
    is_id: bool = False  # people write the end of it


_LABEL: Final = FilterField("label", "labels", "label", ("l",))
_USER: Final = FilterField("user", "person", "word", ("person", "who", "by"))
_SRC: Final = FilterField("src", "inlet", "word", ("inlet", "from"))
_RB: Final = FilterField("rb", "source", "word", ("runbook",), prefix="runbook:")
_PLAN: Final = FilterField("plan", "source", "word", ("source",))
_ID: Final = FilterField("id", "id", "word", is_id=True)
_R: Final = FilterField("r", "number", "number", ("request", "number"))

_JOBS: Final = (
    FilterField("state", "state", "choice", ("s",), choices=tuple(state.value for state in JobState)),
    FilterField("is", "", "flag", choices=("open", "ended", "bad", "stuck", "held", "cancelling")),
    FilterField("agent", "agent", "word", ("machine", "on")),
    _USER,
    _SRC,
    _RB,
    _PLAN,
    _LABEL,
    _ID,
    _R,
    FilterField("age", "queued_at", "age"),
    FilterField("started", "started_at", "age"),
    FilterField("ended", "ended_at", "age"),
    FilterField("took", "duration", "duration"),
    FilterField("left", "not_after", "ahead"),
    FilterField("exit", "exit_code", "number"),
    FilterField("signal", "signal", "number"),
    FilterField("pri", "priority", "number", ("priority",)),
    FilterField("step", "step", "number"),
    FilterField("output", "output_bytes", "size"),
)
_REQUESTS: Final = (
    FilterField("state", "state", "choice", ("s",), choices=tuple(state.value for state in RequestState)),
    FilterField("is", "", "flag", choices=("open", "ended", "edited")),
    _USER,
    _SRC,
    FilterField("room", "conversation", "word", ("conversation",)),
    FilterField("rule", "rule", "word"),
    FilterField("rb", "plan.source", "word", ("runbook",), prefix="runbook:"),
    FilterField("plan", "plan.source", "word", ("source",)),
    _ID,
    _R,
    FilterField("age", "received_at", "age"),
    FilterField("ended", "ended_at", "age"),
    FilterField("left", "decide_by", "ahead"),
)
_AGENTS: Final = (
    FilterField("name", "name", "word", ("agent", "machine")),
    FilterField(
        "state",
        "",
        "flag",
        ("is", "s"),
        ("online", "offline", "paused", "draining", "busy", "active", "locked", "revoked", "bad"),
    ),
    _LABEL,
    FilterField("version", "version", "word"),
    FilterField("os", "facts.os", "word"),
    FilterField("rtt", "rtt", "duration"),
    FilterField("load", "vitals.load1", "number"),
    FilterField("cpu", "vitals.cpu", "number"),
    FilterField("memory", "vitals.memory", "number", ("mem",)),
    FilterField("disk", "vitals.disk", "number"),
    FilterField("queued", "queued", "number"),
    FilterField("running", "running", "number"),
    FilterField("seen", "last_seen", "age"),
)
_EVENTS: Final = (
    FilterField("kind", "kind", "word", ("event",)),
    FilterField("subject", "subject", "word", ("id", "about"), is_id=True),
    FilterField("actor", "actor", "word", ("user", "by", "who")),
    FilterField("seq", "seq", "number"),
    FilterField("age", "at", "age"),
)
FIELDS: Final[Mapping[ViewName, tuple[FilterField, ...]]] = {
    "jobs": _JOBS,
    "requests": _REQUESTS,
    "agents": _AGENTS,
    "audit": _EVENTS,
    "activity": _EVENTS,
}

# Where words without a field are looked for; upper and lower case alike.
SEARCH_KEYS: Final[Mapping[ViewName, tuple[str, ...]]] = {
    "jobs": ("argv", "agent", "person", "reason", "id"),
    "requests": ("text", "person", "reason", "id"),
    "agents": ("name", "labels", "version"),
    "audit": ("kind", "subject", "actor", "data"),
    "activity": ("kind", "subject", "actor", "data"),
}


def _index_by_name(fields: Iterable[FilterField]) -> dict[str, FilterField]:
    return {name: field for field in fields for name in (field.name, *field.aliases)}


FIELDS_BY_NAME: Final[Mapping[ViewName, Mapping[str, FilterField]]] = {
    view: _index_by_name(fields) for view, fields in FIELDS.items()
}
