"""The arguments of acts: what is taken and what is said to the rest."""

from __future__ import annotations

from typing import Any

import pytest

from common.api.actions import MAX_JOBS, MAX_STEPS, CancelArgs, EditArgs
from common.api.codec import decode, encode
from common.api.constraints import BadValue
from common.api.verbs import VERBS
from common.api.work import RunArgs, RunResult
from common.lifecycle import JobState
from tests.each import each_of

BAD: list[tuple[str, dict[str, Any], str]] = [
    ("approve", {"number": "1"}, "number: a whole number is expected"),
    ("approve", {"number": 1, "code": "x" * 41}, "code: text of at most 40 characters is expected"),
    ("approve", {"reason": "x" * 2001}, "reason: text of at most 2000 characters is expected"),
    ("approve", {"nonce": None}, "nonce: text of at most 64 characters is expected"),
    ("run", {}, "argv: a list of words is expected"),
    ("run", {"argv": []}, "argv: a list of words is expected"),
    ("run", {"argv": ["a", 1]}, "argv: a list of words is expected"),
    ("run", {"argv": ["a"] * 4097}, "argv: at most 4096 are taken at once"),
    ("run", {"argv": ["a"], "hold": 60.1}, "hold: a number from 0 to 60 is expected"),
    ("run", {"argv": ["a"], "hold": True}, "hold: a number from 0 to 60 is expected"),
    ("run", {"argv": ["a"], "expect": 0}, "expect: a whole number from 1 to 10000 is expected"),
    ("settle", {"job": "j"}, "done: true or false is expected"),
    ("cancel", {"kill": 1}, "kill: true or false is expected"),
    ("priority", {"jobs": ["j"]}, "priority: a whole number from 0 to 9 is expected"),
    ("priority", {"jobs": ["j"], "priority": 10}, "priority: a whole number from 0 to 9 is expected"),
    ("priority", {"jobs": ["j"] * (MAX_JOBS + 1), "priority": 1}, f"jobs: at most {MAX_JOBS} are taken at once"),
    ("drain", {}, "agent: the machine to drain is expected"),
    ("drain", {"agent": ""}, "agent: the machine to drain is expected"),
    ("drain", {"agent": "a", "cancel_after": -1}, "cancel_after: a number from 0 to 604800 is expected"),
    ("edit", {"steps": {}}, f"steps: a list of at most {MAX_STEPS} steps is expected"),
    ("edit", {"steps": [{}] * (MAX_STEPS + 1)}, f"steps: a list of at most {MAX_STEPS} steps is expected"),
    ("edit", {"steps": [{}, {"user": "root"}]}, "steps.1.user: there is no such argument"),
    ("edit", {"steps": [{"targets": 1}]}, "steps.0.targets: a selection, or a list of names, is expected"),
    ("edit", {"steps": [{"env": {"A": 1}}]}, "steps.0.env: a map of texts is expected"),
    ("jobs", {"states": ["asleep"]}, f"states: some of {', '.join(JobState)} are expected"),
    ("jobs", {"states": []}, f"states: some of {', '.join(JobState)} are expected"),
    ("jobs", {"limit": "1"}, "limit: a whole number is expected"),
    ("search_output", {"job": "j", "text": ""}, "text: what to search for is expected"),
    ("approve", {"nubmer": 1}, "nubmer: there is no such argument"),
]


@each_of(("verb", "args", "said"), BAD)
def test_what_is_said_to_an_argument_that_is_off(verb: str, args: dict[str, Any], said: str) -> None:
    """In the words that operators know, with the bounds that are declared with it."""
    with pytest.raises(BadValue) as caught:
        VERBS[verb].decode_args(args)
    assert str(caught.value) == said


def test_only_what_is_said_is_sent() -> None:
    """So an older hub is not asked for what it does not know."""
    assert encode(RunArgs(target="web-1", argv=("df",))) == {"target": "web-1", "argv": ["df"]}
    assert encode(CancelArgs(job="j", kill=True, language="zh")) == {"job": "j", "kill": True, "language": "zh"}


@each_of(("said", "language"), [("zh", "zh"), ("xx", "en"), (1, "en"), (None, "en")])
def test_an_unknown_language_is_english(said: Any, language: str) -> None:
    """A call never fails for the language that it is made in."""
    assert decode(CancelArgs, {"language": said}).language == language


def test_a_step_says_only_what_is_another() -> None:
    """The rest is null, which is left out."""
    args = decode(EditArgs, {"number": 1, "steps": [{"targets": "web-*"}, {"targets": ["a"], "env": {"A": "b"}}]})
    assert [step.targets for step in args.steps] == ["web-*", ("a",)]
    assert encode(args) == {"number": 1, "steps": [{"targets": "web-*"}, {"targets": ["a"], "env": {"A": "b"}}]}


def test_a_request_that_was_made_stands_among_the_outcome() -> None:
    """None where none was."""
    assert decode(RunResult, {"code": "no_right", "text": "no"}).request is None
