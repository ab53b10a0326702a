"""The version of the form of each list and push, and what a console makes of one that it does not know.

A version grows when a field that consoles need is dropped or means something else; more fields need no new one. A hub
tells its versions in `whoami` and with each snapshot or push that is a map; one that does not is at 1. What a newer hub
sends is read as long as it has what is needed, and is `TooNew` where it has not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from common.api.codec import decode
from common.api.constraints import BadValue
from common.api.outcome import SubscriptionEnded
from common.api.verb import R, Verb
from common.api.work import FOLLOW, FollowPush
from common.errors import WorkFailed
from common.filter.fields import ViewName

if TYPE_CHECKING:  # no cycle: `answerback run` reads pushes of its own alone, and loads no other forms
    from common.api.events import EventView
    from common.api.lists import ListPush
    from common.api.overview import Overview
    from common.api.subscriptions import OutputPush

Form = Literal["jobs", "requests", "agents", "audit", "activity", "overview", "output", "follow", "watch"]
VIEW_VERSIONS: Final[Mapping[str, int]] = {
    "jobs": 1,
    "requests": 1,
    "agents": 1,
    "audit": 1,
    "activity": 1,
    "overview": 1,
    "output": 1,
    "follow": 1,
    "watch": 1,
}
Push: TypeAlias = "ListPush | Overview | OutputPush | FollowPush | tuple[EventView, ...]"
"""What a subscription delivers; which of them depends on its verb."""
_WORDS: Final[Mapping[str, str]] = {
    "jobs": "list of jobs",
    "requests": "list of requests",
    "agents": "list of machines",
    "audit": "list of events",
    "activity": "list of events",
    "overview": "overview",
    "output": "output",
    "follow": "news of a request",
    "watch": "news of events",
}


class TooNew(WorkFailed):
    """A hub's list or push lacks what this program needs of it, since the hub is newer."""

    def __init__(self, form: str, field: str) -> None:
        super().__init__(f"this hub's {_WORDS.get(form, form)} is newer than this console", "upgrade it")
        self.form = form
        self.field = field  # the path of what was not as expected, for a log


class BadAnswer(WorkFailed):
    """What a hub sent is not of its form, and not because it is newer."""

    def __init__(self, what: str, error: BadValue) -> None:
        super().__init__(
            f"the hub's {_WORDS.get(what, what)} is not of its form ({error})", "upgrade the older of the two"
        )
        self.what = what
        self.field = error.path


def version_of(data: Any, told: int = 1) -> int:
    """The version that a push says it has, else `told`, which is what whoami said."""
    version = data.get("version") if isinstance(data, Mapping) else None
    return version if type(version) is int else told


def read_push(verb: str, data: Any, view: ViewName | None = None, told: int = 1) -> Push | SubscriptionEnded:
    """A push in its type: Snapshot or Delta (with `view`), Overview, OutputPush, FollowPush, a tuple of EventView, or
    SubscriptionEnded. Raises TooNew or BadAnswer.

    A delta has no version of its own: the caller gives the snapshot's as `told`.
    """
    if isinstance(data, Mapping) and data.keys() == {"error"}:
        return SubscriptionEnded(error=str(data["error"]))
    form: str = view or verb
    try:
        if view is not None:
            return _read_list(view, data)
        found: Push = decode(_form_of(verb), data)
        return found
    except BadValue as error:
        if version_of(data, told) > VIEW_VERSIONS[form]:
            raise TooNew(form, error.path) from None
        raise BadAnswer(form, error) from None


def _form_of(verb: str) -> Any:
    if verb == FOLLOW.name:
        return FollowPush
    from common.api.verbs import VERBS  # every form of the API, which whoever only follows work does not need

    return VERBS[verb].pushes[0]


def _read_list(view: ViewName, data: Any) -> ListPush:
    if not isinstance(data, Mapping):
        raise BadValue("", "a map was expected")
    from common.api.lists import decode_list_push

    return decode_list_push(view, data)


def read_result(verb: Verb[Any, R], data: Any, told: int = 1) -> R:
    """A verb's answer in its type; `told` is the version of the list of that name in whoami. Raises as `read_push`."""
    try:
        return verb.decode_result(data)
    except BadValue as error:
        if told > VIEW_VERSIONS.get(verb.name, told):
            raise TooNew(verb.name, error.path) from None
        raise BadAnswer(verb.name, error) from None
