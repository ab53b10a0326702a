"""Every act of the console, once: its keys, its names, when it is off and why, how it is confirmed, its command-line
twin.

The bindings, the palette, the bottom line, the help and the `:` line are made from this table; a key that is in none
of them does nothing. An act that is off is shown with its reason, never hidden; only
one that needs what the hub does not have is not there. Names are sentences of the catalogue: `console_act_ID` in full,
`console_do_ID` for the bottom line. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Literal

from common.catalogue import Language, Sentence, say
from common.lifecycle import JOB_SETTLED, JobState
from tui.format import one_line, short_id
from tui.model import Row

Kind = Literal["", "job", "request", "agent", "event", "lane", "model"]
Place = Literal["app", "screen", "table", "text", "output"]
ROLES: Final = ("viewer", "operator", "approver", "admin")
SETTLED: Final = frozenset(state.value for state in JOB_SETTLED)


class Rung(Enum):
    """How an act is confirmed: the harder it is to take back, the more it takes."""

    NONE = 0  # it can be taken back: done at once, with a way back
    FORM = 1  # a form asks what exactly
    ASK = 2  # a dialog whose first choice is to do nothing
    COUNT = 3  # the number of things it is about must be typed
    CODE = 4  # a second factor


@dataclass(frozen=True, slots=True)
class Act:
    id: str
    keys: str  # Textual's names, comma between; "" has no key
    group: str  # move | go | view | mark | decide | intervene | control | ask | app
    place: Place = "screen"
    kinds: frozenset[Kind] = frozenset()  # rows it is about; empty: none needed
    role: str = ""  # the least role that may, as far as the console knows; the hub has the word
    verb: str = ""  # the hub's verb, so that an older hub's lack of it can be told
    changes: bool = False  # it changes something at the hub
    many: bool = False  # it is about all marked rows where there are some; all others are about the cursor's row alone
    rung: Rung = Rung.NONE
    twin: str = ""  # the same on the command line
    shown: int = 0  # the lower, the earlier in the bottom line; 0: not there
    screens: frozenset[str] = frozenset()  # where it makes sense; empty: everywhere
    action: str = ""  # what Textual runs; "" is act('ID')
    needs: str = ""  # a verb without which the act is not there at all: not listed, and its key does nothing

    def name(self, language: Language) -> str:
        return say(language, f"console_act_{self.id}")

    def short(self, language: Language) -> str:
        return say(language, f"console_do_{self.id}") if self.shown else self.name(language)


@dataclass(frozen=True, slots=True)
class Scene:
    """What an act would be done in: the facts that decide whether it is on."""

    screen: str = ""
    kind: Kind = ""
    row: Row | None = None  # under the cursor
    marked: int = 0
    marked_kind: Kind = ""
    marked_row: Row | None = None  # the first of them
    live: bool = True
    lost_for: str = ""
    read_only: bool = False
    person: str = ""
    roles: tuple[str, ...] = ()
    verbs: frozenset[str] = frozenset()
    denied: Mapping[str, str] = field(default_factory=dict)  # verb -> the role it takes
    has_undo: bool = False
    held: int = 0
    now: float = 0.0

    def about(self, act: Act) -> tuple[Kind, Row | None]:
        """What an act would be about: its kind, and the row or the first of several."""
        return (self.marked_kind, self.marked_row) if act.many and self.marked else (self.kind, self.row)


def _kinds(*kinds: Kind) -> frozenset[Kind]:
    return frozenset(kinds)


JOB, REQUEST, AGENT = _kinds("job"), _kinds("request"), _kinds("agent")

ACTS: Final[tuple[Act, ...]] = (
    # decide
    Act("approve", "a", "decide", kinds=REQUEST, role="approver", verb="approve", changes=True, rung=Rung.CODE,
        twin="answerback approve r{number} --plan {hash} --code -", shown=10),
    Act("reject", "x", "decide", kinds=REQUEST, role="approver", verb="reject", changes=True, rung=Rung.ASK,
        twin="answerback reject r{number} WHY", shown=11),
    Act("edit", "e", "decide", kinds=REQUEST, role="approver", verb="edit", changes=True, rung=Rung.FORM,
        twin="answerback edit r{number}", shown=12),
    # intervene
    Act("cancel", "c", "intervene", kinds=_kinds("job", "request"), role="operator", verb="cancel", changes=True,
        many=True, rung=Rung.ASK, twin="answerback cancel {target}", shown=20),
    Act("kill", "K", "intervene", kinds=JOB, role="operator", verb="cancel", changes=True, many=True, rung=Rung.ASK,
        twin="answerback cancel --kill {target}", shown=21),
    Act("retry", "r", "intervene", kinds=_kinds("job", "request"), role="operator", verb="retry", changes=True,
        many=True, twin="answerback retry {target}", shown=22),
    Act("priority", "p", "intervene", kinds=JOB, role="approver", verb="priority", changes=True, many=True,
        rung=Rung.FORM, twin="answerback priority {target} N", shown=23),
    Act("settle", "S", "intervene", kinds=JOB, role="approver", verb="settle", changes=True, rung=Rung.ASK,
        twin="answerback settle {target} done|failed", shown=19),
    # control
    Act("pause", "P", "control", kinds=_kinds("agent", "lane", "job"), role="approver", verb="pause", changes=True,
        many=True, rung=Rung.FORM, twin="answerback pause {agent}", shown=30),
    Act("pause_all", "", "control", role="approver", verb="pause", changes=True, rung=Rung.FORM,
        twin="answerback pause"),
    Act("drain", "D", "control", kinds=AGENT, role="approver", verb="drain", changes=True, rung=Rung.FORM,
        twin="answerback drain {agent}", shown=31),
    # ask for work
    Act("run", "n", "ask", kinds=_kinds("agent", "job"), role="operator", verb="run", changes=True, many=True,
        rung=Rung.FORM, twin="answerback run {agent} -- COMMAND", shown=40),
    Act("broadcast", "B", "ask", role="operator", verb="targets", changes=True, rung=Rung.COUNT,
        twin="answerback broadcast SELECTOR -- COMMAND", shown=41),
    Act("undo", "u", "ask", changes=True, twin="answerback take-back R", shown=5),
    # look
    Act("open", "enter", "view", place="table", shown=1, action="open"),
    Act("output", "l", "view", kinds=JOB, shown=45, screens=frozenset({"jobs"})),
    Act("row_audit", "A", "view", kinds=_kinds("job", "request", "agent", "event"), role="approver", verb="audit",
        twin="answerback audit subject:{subject}"),
    Act("copy", "y", "view", kinds=_kinds("job", "request", "agent", "event"), shown=60),
    Act("filter", "slash", "view", shown=50, screens=frozenset({"jobs", "approve", "agents", "audit"})),
    Act("problems", "exclamation_mark", "view", screens=frozenset({"jobs", "agents"})),
    Act("sort", "o", "view", screens=frozenset({"jobs", "approve", "agents", "audit"})),
    Act("sort_turn", "O", "view", screens=frozenset({"jobs", "approve", "agents", "audit"})),
    Act("follow", "f", "view"),
    Act("zoom", "z", "view"),
    Act("tab_before", "left_square_bracket", "view"),
    Act("tab_after", "right_square_bracket", "view"),
    Act("refresh", "R", "view"),
    Act("redraw", "ctrl+l", "view"),
    # mark
    Act("mark", "space", "mark", place="table", action="mark"),
    Act("mark_range", "v", "mark", place="table", action="mark_range"),
    Act("mark_all", "asterisk", "mark"),
    Act("mark_none", "backslash", "mark", place="table", action="mark_none"),
    # move
    Act("down", "down,j", "move", place="table", action="move(1)"),
    Act("up", "up,k", "move", place="table", action="move(-1)"),
    Act("page_down", "pagedown,ctrl+d", "move", place="table", action="page(1)"),
    Act("page_up", "pageup,ctrl+u", "move", place="table", action="page(-1)"),
    Act("top", "home,g", "move", place="table", action="goto(0)"),
    Act("bottom", "end,G", "move", place="table", action="goto(-1)"),
    Act("text_down", "down,j", "move", place="text", action="scroll_by(1)"),
    Act("text_up", "up,k", "move", place="text", action="scroll_by(-1)"),
    Act("text_page_down", "pagedown,ctrl+d", "move", place="text", action="page(1)"),
    Act("text_page_up", "pageup,ctrl+u", "move", place="text", action="page(-1)"),
    Act("text_top", "home,g", "move", place="text", action="to_top"),
    Act("text_bottom", "end,G", "move", place="text", action="to_bottom"),
    Act("text_wrap", "w", "view", place="text", action="wrap"),
    Act("text_search", "slash", "view", place="output", action="search"),
    Act("text_next", "n", "view", place="output", action="next(1)"),
    Act("text_last", "N", "view", place="output", action="next(-1)"),
    Act("text_stamps", "t", "view", place="output", action="stamps"),
    # go
    Act("go_overview", "1", "go", place="app"),
    Act("go_jobs", "2", "go", place="app"),
    Act("go_approve", "3", "go", place="app"),
    Act("go_agents", "4", "go", place="app"),
    Act("go_audit", "5", "go", place="app"),
    Act("go_models", "6", "go", place="app", needs="models"),
    Act("go_last", "0", "go", place="app"),
    Act("back", "escape,q", "go"),
    # the console itself
    Act("command", "colon", "app", place="app", shown=70),
    Act("help", "question_mark,f1", "app", place="app", shown=2),
    Act("palette", "ctrl+p", "app", place="app"),
    Act("language", "", "app", place="app"),
    Act("theme", "", "app", place="app"),
    Act("ascii", "", "app", place="app"),
    Act("slow", "", "app", place="app"),
    Act("quit", "ctrl+q", "app", place="app", action="quit", shown=71),
)  # fmt: skip

BY_ID: Final = {act.id: act for act in ACTS}


def acts_of(place: Place) -> Iterator[Act]:
    return (act for act in ACTS if act.place == place)


# ---- whether an act is there, and on


def is_there(act: Act, scene: Scene) -> bool:
    """Whether there is such an act at this hub. One that is there may still be off."""
    return not act.needs or act.needs in scene.verbs


def why_off(act: Act, scene: Scene) -> Sentence | None:
    """Why the act cannot be done here and now; None where it can."""
    if act.screens and scene.screen not in act.screens:
        return Sentence("console_off_screen")
    if act.id == "undo" and not scene.has_undo:
        return Sentence("console_off_nothing_to_undo")
    kind, row = scene.about(act)
    if act.kinds and (row is None or kind not in act.kinds):
        return Sentence(f"console_off_row_{min(act.kinds)}") if len(act.kinds) == 1 else Sentence("console_off_row")
    if act.changes and scene.read_only:
        return Sentence("console_off_read_only")
    if (act.changes or act.verb) and not scene.live:
        return Sentence("console_off_lost", {"age": scene.lost_for})
    if act.verb and scene.verbs and act.verb not in scene.verbs:
        return Sentence("console_off_old_hub", {"verb": act.verb})
    if act.verb in scene.denied and not _own(act, scene):
        return Sentence("console_off_role", {"role": scene.denied[act.verb]})
    if act.role and not holds(scene.roles, act.role) and not _own(act, scene):
        return Sentence("console_off_role", {"role": act.role})
    return _why_off_state(act, scene)


def holds(roles: Iterable[str], role: str) -> bool:
    """Whether one of `roles` is `role` or above it."""
    rank = ROLES.index(role)
    return any(held in ROLES and ROLES.index(held) >= rank for held in roles)


def _own(act: Act, scene: Scene) -> bool:
    """Whoever asked may take back their own."""
    return act.id == "reject" and scene.row is not None and scene.row.get("person") == scene.person != ""


def _why_off_state(act: Act, scene: Scene) -> Sentence | None:
    kind, row = scene.about(act)
    if row is None or not act.kinds:
        return None
    state = str(row.get("state", ""))
    if kind == "request":
        return _why_off_request(act, state, row)
    if kind == "job" and (scene.marked <= 1 or not act.many):
        return _why_off_job(act, state)
    if kind == "agent" and act.id in ("run", "pause", "drain") and state == "revoked":
        return Sentence("console_off_revoked")
    return None


def _why_off_request(act: Act, state: str, row: Row) -> Sentence | None:
    if act.id in ("approve", "reject", "edit") and state != "asking":
        return Sentence("console_off_not_asking", {"state": state})
    if act.id == "cancel" and state not in ("asking", "working"):
        return Sentence("console_off_ended", {"state": state})
    if act.id == "retry" and (state in ("received", "asking", "working") or not row.get("plan_hash")):
        return Sentence("console_off_not_ended", {"state": state})
    return None


def _why_off_job(act: Act, state: str) -> Sentence | None:
    if act.id == "cancel" and state in SETTLED:
        return Sentence("console_off_ended", {"state": state})
    if act.id == "kill" and state in SETTLED | {JobState.QUEUED.value}:
        return Sentence("console_off_not_running", {"state": state})
    if act.id == "retry" and state not in SETTLED:
        return Sentence("console_off_not_ended", {"state": state})
    if act.id == "priority" and state != JobState.QUEUED.value:
        return Sentence("console_off_not_queued", {"state": state})
    if act.id == "settle" and state != JobState.UNKNOWN.value:
        return Sentence("console_off_not_unknown", {"state": state})
    return None


def rung(act: Act, scene: Scene) -> Rung:
    """How this act is confirmed on these rows; a higher rung where it is about many."""
    if act.id == "approve":
        return Rung.CODE if (scene.row or {}).get("second_factor") else Rung.ASK
    if scene.marked > 1 and act.id in ("cancel", "kill", "retry", "run"):
        return Rung.COUNT
    return act.rung


# ---- lists made from the table

STAY: Final = ("help", "quit")
"""Acts that stand in the bottom line whatever else has to go."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An act as help, palette and the bottom line show it."""

    act: Act
    off: Sentence | None
    count: int = 0  # how many marked rows it would be about; 0: not about marks


def entries(scene: Scene, places: Iterable[Place] = ("screen", "table", "app")) -> list[Entry]:
    """All acts of these places; those about the row first, what is on before what is off."""
    wanted = set(places)
    found = [Entry(act, why_off(act, scene)) for act in ACTS if act.place in wanted and is_there(act, scene)]
    return sorted(found, key=lambda entry: (not (entry.act.kinds and entry.off is None), bool(entry.off)))


def bottom_line(scene: Scene, most: int) -> list[Entry]:
    """At most `most` acts for the row at hand: what is on, by rank; then what is off though it is about such a row."""
    shown = [
        Entry(act, why_off(act, scene), scene.marked if act.many else 0)
        for act in ACTS
        if act.shown and is_there(act, scene)
    ]
    near = [
        entry
        for entry in shown
        if entry.off is None or (scene.about(entry.act)[0] in entry.act.kinds and not entry.act.screens)
    ]
    near.sort(key=lambda entry: (entry.act.id not in STAY, entry.off is not None, entry.act.shown))
    return sorted(near[:most], key=lambda entry: entry.act.shown)


KEY_SIGNS: Final = {
    "slash": "/",
    "colon": ":",
    "question_mark": "?",
    "exclamation_mark": "!",
    "asterisk": "*",
    "backslash": "\\",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "escape": "esc",
    "pagedown": "pgdn",
    "pageup": "pgup",
}


def key_signs(keys: str) -> str:
    """Keys as people read them: `^p`, `esc q`, `/`."""
    signs = [KEY_SIGNS.get(key, key).replace("ctrl+", "^") for key in keys.split(",") if key]
    return " ".join(signs)


def first_key(act: Act) -> str:
    return key_signs(act.keys.split(",")[0])


def twin_of(act: Act, row: Row | None) -> str:
    """The command line that does the same to this row; "" where there is none."""
    if not act.twin:
        return ""
    row = row or {}
    values: dict[str, Any] = {
        "number": one_line(row.get("number", "?"), 20),
        "hash": one_line(row.get("plan_hash", ""), 64),
        "target": short_id(row["id"]) if "agent" in row else f"r{one_line(row.get('number', '?'), 20)}",
        "agent": one_line(row.get("agent") or row.get("name") or "", 64),
        "subject": one_line(row.get("subject") or row.get("name") or row.get("id", ""), 64),
    }
    return act.twin.format(**values).rstrip()


@dataclass(frozen=True, slots=True)
class Undo:
    """A way back that is still open."""

    what: Sentence
    verb: str
    args: dict[str, Any] = field(default_factory=dict)
    until: float = 0.0
