"""Every act of the console, once: its keys, its names, when it is off and why, how it is confirmed, its command-line
twin.

The bindings, the palette, the bottom line, the help and the `:` line are made from this table; a key that is in none
of them does nothing. An act that is off is shown with its reason, never hidden; only
one that needs what the hub does not have is not there. Names are sentences of the catalogue: `console_act_ID` in full,
`console_do_ID` for the bottom line. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Literal

from common.api.agents import AgentView
from common.api.arguments import Arguments
from common.api.events import EventView
from common.api.jobs import JobView
from common.api.requests import RequestFields
from common.api.verb import Verb
from common.catalogue import Language, Sentence, translate
from tui.model.window import Row
from tui.text.format import one_line, short_id

Kind = Literal["", "job", "request", "agent", "event", "lane", "model", "inlet"]
ActionScope = Literal["app", "screen", "table", "text", "output"]
ROLES: Final = ("viewer", "operator", "approver", "admin")


class Confirmation(Enum):
    """How an act is confirmed: the harder it is to take back, the more it takes."""

    NONE = 0  # it can be taken back: done at once, with a way back
    FORM = 1  # a form asks what exactly
    ASK = 2  # a dialog whose first choice is to do nothing
    COUNT = 3  # the number of things it is about must be typed
    CODE = 4  # a second factor


@dataclass(frozen=True, slots=True)
class Action:
    id: str
    keys: str  # Textual's names, comma between; "" has no key
    group: str  # move | go | view | mark | decide | intervene | control | ask | app
    scope: ActionScope = "screen"
    kinds: frozenset[Kind] = frozenset()  # rows it is about; empty: none needed
    role: str = ""  # the least role that may, as far as the console knows; the hub has the word
    verb: str = ""  # the hub's verb, so that an older hub's lack of it can be told
    mutates: bool = False  # it changes something at the hub
    multiple: bool = (
        False  # it is about all marked rows where there are some; all others are about the cursor's row alone
    )
    confirmation: Confirmation = Confirmation.NONE
    cli_command: str = ""  # the same on the command line
    rank: int = 0  # the lower, the earlier in the bottom line; 0: not there
    screens: frozenset[str] = frozenset()  # where it makes sense; empty: everywhere
    textual_action: str = ""  # what Textual runs; "" is act('ID')
    required_verb: str = ""  # a verb without which the act is not there at all: not listed, and its key does nothing

    def label(self, language: Language) -> str:
        return translate(language, f"console_act_{self.id}")

    def short_label(self, language: Language) -> str:
        return translate(language, f"console_do_{self.id}") if self.rank else self.label(language)


@dataclass(frozen=True, slots=True)
class ActionContext:
    """What an act would be done in: the facts that decide whether it is on."""

    screen: str = ""
    kind: Kind = ""
    row: Row | None = None  # under the cursor
    marked: int = 0
    marked_kind: Kind = ""
    marked_row: Row | None = None  # the first of them
    linked: bool = True
    lost_duration: str = ""
    read_only: bool = False
    person: str = ""
    roles: tuple[str, ...] = ()
    verbs: Collection[str] = ()
    denied: Mapping[str, str] = field(default_factory=dict)  # verb -> the role it takes
    has_undo: bool = False
    pending_moves: int = 0
    now: float = 0.0

    def target_of(self, action: Action) -> tuple[Kind, Row | None]:
        """What an act would be about: its kind, and the row or the first of several."""
        return (self.marked_kind, self.marked_row) if action.multiple and self.marked else (self.kind, self.row)


def _kinds(*kinds: Kind) -> frozenset[Kind]:
    return frozenset(kinds)


JOB_KINDS, REQUEST_KINDS, AGENT_KINDS = _kinds("job"), _kinds("request"), _kinds("agent")

ACTIONS: Final[tuple[Action, ...]] = (
    # decide
    Action("approve", "a", "decide", kinds=REQUEST_KINDS, role="approver", verb="approve", mutates=True,
        confirmation=Confirmation.CODE,
        cli_command="answerback approve r{number} --plan {hash} --code -", rank=10),
    Action("reject", "x", "decide", kinds=REQUEST_KINDS, role="approver", verb="reject", mutates=True,
        confirmation=Confirmation.ASK,
        cli_command="answerback reject r{number} WHY", rank=11),
    Action("edit", "e", "decide", kinds=REQUEST_KINDS, role="approver", verb="edit", mutates=True,
        confirmation=Confirmation.FORM,
        cli_command="answerback edit r{number}", rank=12),
    # intervene
    Action("cancel", "c", "intervene", kinds=_kinds("job", "request"), role="operator", verb="cancel", mutates=True,
        multiple=True, confirmation=Confirmation.ASK, cli_command="answerback cancel {target}", rank=20),
    Action("kill", "K", "intervene", kinds=JOB_KINDS, role="operator", verb="cancel", mutates=True, multiple=True,
        confirmation=Confirmation.ASK,
        cli_command="answerback cancel --kill {target}", rank=21),
    Action("retry", "r", "intervene", kinds=_kinds("job", "request"), role="operator", verb="retry", mutates=True,
        multiple=True, cli_command="answerback retry {target}", rank=22),
    Action("priority", "p", "intervene", kinds=JOB_KINDS, role="approver", verb="priority", mutates=True, multiple=True,
        confirmation=Confirmation.FORM, cli_command="answerback priority {target} N", rank=23),
    Action("settle", "S", "intervene", kinds=JOB_KINDS, role="approver", verb="settle", mutates=True,
        confirmation=Confirmation.ASK,
        cli_command="answerback settle {target} done|failed", rank=19),
    # control
    Action("pause", "P", "control", kinds=_kinds("agent", "lane", "job"), role="approver", verb="pause", mutates=True,
        multiple=True, confirmation=Confirmation.FORM, cli_command="answerback pause {agent}", rank=30),
    Action("pause_all", "", "control", role="approver", verb="pause", mutates=True, confirmation=Confirmation.FORM,
        cli_command="answerback pause"),
    Action("drain", "D", "control", kinds=AGENT_KINDS, role="approver", verb="drain", mutates=True,
        confirmation=Confirmation.FORM,
        cli_command="answerback drain {agent}", rank=31),
    Action("wake", "U", "control", kinds=AGENT_KINDS, role="operator", verb="wake", mutates=True,
        cli_command="answerback wake {agent} --wait", rank=32),
    Action("allowed", "W", "control", verb="allowed", required_verb="allowed", cli_command="answerback allowed"),
    # ask for work
    Action("run", "n", "ask", kinds=_kinds("agent", "job"), role="operator", verb="run", mutates=True, multiple=True,
        confirmation=Confirmation.FORM, cli_command="answerback run {agent} -- COMMAND", rank=40),
    Action("broadcast", "B", "ask", role="operator", verb="targets", mutates=True, confirmation=Confirmation.COUNT,
        cli_command="answerback broadcast SELECTOR -- COMMAND", rank=41),
    Action("undo", "u", "ask", mutates=True, cli_command="answerback take-back R", rank=5),
    # look
    Action("open", "enter", "view", scope="table", rank=1, textual_action="open"),
    Action("output", "l", "view", kinds=JOB_KINDS, rank=45, screens=frozenset({"jobs"})),
    Action("row_audit", "A", "view", kinds=_kinds("job", "request", "agent", "event"), role="approver", verb="audit",
        cli_command="answerback audit subject:{subject}"),
    Action("copy", "y", "view", kinds=_kinds("job", "request", "agent", "event"), rank=60),
    Action("filter", "slash", "view", rank=50, screens=frozenset({"jobs", "approve", "agents", "audit"})),
    Action("problems", "exclamation_mark", "view", screens=frozenset({"jobs", "agents"})),
    Action("sort", "o", "view", screens=frozenset({"jobs", "approve", "agents", "audit"})),
    Action("sort_turn", "O", "view", screens=frozenset({"jobs", "approve", "agents", "audit"})),
    Action("follow", "f", "view"),
    Action("zoom", "z", "view"),
    Action("tab_before", "left_square_bracket", "view"),
    Action("tab_after", "right_square_bracket", "view"),
    Action("refresh", "R", "view"),
    Action("redraw", "ctrl+l", "view"),
    # mark
    Action("mark", "space", "mark", scope="table", textual_action="mark"),
    Action("mark_range", "v", "mark", scope="table", textual_action="mark_range"),
    Action("mark_all", "asterisk", "mark"),
    Action("mark_none", "backslash", "mark", scope="table", textual_action="mark_none"),
    # move
    Action("down", "down,j", "move", scope="table", textual_action="move(1)"),
    Action("up", "up,k", "move", scope="table", textual_action="move(-1)"),
    Action("page_down", "pagedown,ctrl+d", "move", scope="table", textual_action="page(1)"),
    Action("page_up", "pageup,ctrl+u", "move", scope="table", textual_action="page(-1)"),
    Action("top", "home,g", "move", scope="table", textual_action="goto(0)"),
    Action("bottom", "end,G", "move", scope="table", textual_action="goto(-1)"),
    Action("text_down", "down,j", "move", scope="text", textual_action="scroll_by(1)"),
    Action("text_up", "up,k", "move", scope="text", textual_action="scroll_by(-1)"),
    Action("text_page_down", "pagedown,ctrl+d", "move", scope="text", textual_action="page(1)"),
    Action("text_page_up", "pageup,ctrl+u", "move", scope="text", textual_action="page(-1)"),
    Action("text_top", "home,g", "move", scope="text", textual_action="to_top"),
    Action("text_bottom", "end,G", "move", scope="text", textual_action="to_bottom"),
    Action("text_wrap", "w", "view", scope="text", textual_action="wrap"),
    Action("text_search", "slash", "view", scope="output", textual_action="search"),
    Action("text_next", "n", "view", scope="output", textual_action="next(1)"),
    Action("text_last", "N", "view", scope="output", textual_action="next(-1)"),
    Action("text_stamps", "t", "view", scope="output", textual_action="stamps"),
    # go
    Action("go_overview", "1", "go", scope="app"),
    Action("go_jobs", "2", "go", scope="app"),
    Action("go_approve", "3", "go", scope="app"),
    Action("go_agents", "4", "go", scope="app"),
    Action("go_audit", "5", "go", scope="app"),
    Action("go_models", "6", "go", scope="app", required_verb="models"),
    Action("inlets", "i", "view", scope="app", required_verb="inlets", cli_command="answerback inlets"),
    Action("go_last", "0", "go", scope="app"),
    Action("back", "escape,q", "go"),
    # the console itself
    Action("command", "colon", "app", scope="app", rank=70),
    Action("help", "question_mark,f1", "app", scope="app", rank=2),
    Action("palette", "ctrl+p", "app", scope="app"),
    Action("language", "", "app", scope="app"),
    Action("theme", "", "app", scope="app"),
    Action("ascii", "", "app", scope="app"),
    Action("slow", "", "app", scope="app"),
    Action("suspend", "ctrl+z", "app", scope="app", textual_action="suspend_process"),
    Action("quit", "ctrl+q", "app", scope="app", textual_action="quit", rank=71),
)  # fmt: skip

ACTION_BY_ID: Final = {act.id: act for act in ACTIONS}


def actions_in(scope: ActionScope) -> Iterator[Action]:
    return (act for act in ACTIONS if act.scope == scope)


# ---- whether an act is there, and on


def is_available(action: Action, scene: ActionContext) -> bool:
    """Whether there is such an act at this hub. One that is there may still be off."""
    return not action.required_verb or action.required_verb in scene.verbs


def disabled_reason(action: Action, scene: ActionContext) -> Sentence | None:
    """Why the act cannot be done here and now; None where it can."""
    if action.screens and scene.screen not in action.screens:
        return Sentence("console_off_screen")
    if action.id == "undo" and not scene.has_undo:
        return Sentence("console_off_nothing_to_undo")
    kind, row = scene.target_of(action)
    if action.kinds and (row is None or kind not in action.kinds):
        return (
            Sentence(f"console_off_row_{min(action.kinds)}") if len(action.kinds) == 1 else Sentence("console_off_row")
        )
    if action.mutates and scene.read_only:
        return Sentence("console_off_read_only")
    if (action.mutates or action.verb) and not scene.linked:
        return Sentence("console_off_lost", {"age": scene.lost_duration})
    if action.verb and scene.verbs and action.verb not in scene.verbs:
        return Sentence("console_off_old_hub", {"verb": action.verb})
    if action.verb in scene.denied and not _is_own_request(action, scene):
        return Sentence("console_off_role", {"role": scene.denied[action.verb]})
    if action.role and not has_role(scene.roles, action.role) and not _is_own_request(action, scene):
        return Sentence("console_off_role", {"role": action.role})
    return _disabled_by_state(action, scene)


def has_role(roles: Iterable[str], role: str) -> bool:
    """Whether one of `roles` is `role` or above it."""
    rank = ROLES.index(role)
    return any(held in ROLES and ROLES.index(held) >= rank for held in roles)


def _is_own_request(action: Action, scene: ActionContext) -> bool:
    """Whoever asked may take back their own."""
    row = scene.row
    return action.id == "reject" and isinstance(row, RequestFields) and row.person == scene.person != ""


def _disabled_by_state(action: Action, scene: ActionContext) -> Sentence | None:
    _, row = scene.target_of(action)
    if row is None or not action.kinds:
        return None
    if isinstance(row, RequestFields):
        return _disabled_by_request(action, row)
    if isinstance(row, JobView) and (scene.marked <= 1 or not action.multiple):
        return _disabled_by_job(action, row)
    if isinstance(row, AgentView) and action.id in ("run", "pause", "drain", "wake") and row.is_revoked:
        return Sentence("console_off_revoked")
    if isinstance(row, AgentView) and action.id == "wake" and row.online:
        return Sentence("console_off_online")
    return None


def _disabled_by_request(action: Action, request: RequestFields) -> Sentence | None:
    values = {"state": request.state}
    if action.id in ("approve", "reject", "edit") and not request.is_asking:
        return Sentence("console_off_not_asking", values)
    if action.id == "cancel" and not (request.is_asking or request.is_working):
        return Sentence("console_off_ended", values)
    if action.id == "retry" and (request.is_open or not request.plan_hash):
        return Sentence("console_off_not_ended", values)
    return None


def _disabled_by_job(action: Action, job: JobView) -> Sentence | None:
    values = {"state": job.state}
    if action.id == "cancel" and job.is_settled:
        return Sentence("console_off_ended", values)
    if action.id == "kill" and (job.is_settled or job.is_queued):
        return Sentence("console_off_not_running", values)
    if action.id == "retry" and not job.is_settled:
        return Sentence("console_off_not_ended", values)
    if action.id == "priority" and not job.is_queued:
        return Sentence("console_off_not_queued", values)
    if action.id == "settle" and not job.is_unknown:
        return Sentence("console_off_not_unknown", values)
    return None


def confirmation_for(action: Action, scene: ActionContext) -> Confirmation:
    """How this act is confirmed on these rows; a higher rung where it is about many."""
    if action.id == "approve":
        needs_code = isinstance(scene.row, RequestFields) and scene.row.second_factor
        return Confirmation.CODE if needs_code else Confirmation.ASK
    if scene.marked > 1 and action.id in ("cancel", "kill", "retry", "run"):
        return Confirmation.COUNT
    return action.confirmation


# ---- lists made from the table

ALWAYS_SHOWN: Final = ("help", "quit")
"""Acts that stand in the bottom line whatever else has to go."""


@dataclass(frozen=True, slots=True)
class ActionEntry:
    """An act as help, palette and the bottom line show it."""

    action: Action
    disabled_reason: Sentence | None
    count: int = 0  # how many marked rows it would be about; 0: not about marks


def list_entries(scene: ActionContext, scopes: Iterable[ActionScope] = ("screen", "table", "app")) -> list[ActionEntry]:
    """All acts of these places; those about the row first, what is on before what is off."""
    wanted = set(scopes)
    found = [
        ActionEntry(act, disabled_reason(act, scene))
        for act in ACTIONS
        if act.scope in wanted and is_available(act, scene)
    ]
    return sorted(
        found,
        key=lambda entry: (not (entry.action.kinds and entry.disabled_reason is None), bool(entry.disabled_reason)),
    )


def key_bar_entries(scene: ActionContext, limit: int) -> list[ActionEntry]:
    """At most `most` acts for the row at hand: what is on, by rank; then what is off though it is about such a row."""
    shown = [
        ActionEntry(act, disabled_reason(act, scene), scene.marked if act.multiple else 0)
        for act in ACTIONS
        if act.rank and is_available(act, scene)
    ]
    near = [
        entry
        for entry in shown
        if entry.disabled_reason is None
        or (scene.target_of(entry.action)[0] in entry.action.kinds and not entry.action.screens)
    ]
    near.sort(
        key=lambda entry: (entry.action.id not in ALWAYS_SHOWN, entry.disabled_reason is not None, entry.action.rank)
    )
    return sorted(near[:limit], key=lambda entry: entry.action.rank)


KEY_SYMBOLS: Final = {
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


def format_keys(keys: str) -> str:
    """Keys as people read them: `^p`, `esc q`, `/`."""
    signs = [KEY_SYMBOLS.get(key, key).replace("ctrl+", "^") for key in keys.split(",") if key]
    return " ".join(signs)


def first_key(action: Action) -> str:
    return format_keys(action.keys.split(",")[0])


def cli_command_for(action: Action, row: Row | None) -> str:
    """The command line that does the same to this row; "" where there is none."""
    if not action.cli_command:
        return ""
    number, plan, agent, subject = _cli_names(row)
    values = {
        "number": number,
        "hash": plan,
        "target": short_id(row.id) if isinstance(row, JobView) else f"r{number}",
        "agent": one_line(agent, 64),
        "subject": one_line(subject, 64),
    }
    return action.cli_command.format(**values).rstrip()


def _cli_names(row: Row | None) -> tuple[str, str, str, str]:
    """How a command line names a row: number, plan's hash, machine, subject; "?" or "" where it has none."""
    match row:
        case JobView():
            return one_line(row.number or "?", 20), one_line(row.plan_hash, 64), row.agent, row.id
        case RequestFields():
            return one_line(row.number or "?", 20), one_line(row.plan_hash, 64), "", row.id
        case AgentView():
            return "?", "", row.name, row.name
        case EventView():
            return one_line(row.number or "?", 20), "", row.agent or "", row.subject or row.id
        case _:
            return "?", "", "", "" if row is None else row.id


@dataclass(frozen=True, slots=True)
class Undo:
    """What takes back the last action, as long as it can be."""

    description: Sentence
    verb: Verb[Any, Any]
    args: Arguments
    expires_at: float
