"""What chat is told when somebody looks around: help, whoami, machines, status, show, output, jobs, history. It changes
nothing.
"""

from __future__ import annotations

from typing import Final

from common.catalogue import Language, Sentence
from common.lifecycle import JOB_SETTLED, JobState, RequestState
from hub.chat.compose import ReplyComposer
from hub.chat.help_text import HelpFacts, examples_text, hello_text, help_text, topic_of, topic_text
from hub.chat.reply_text import fit_lines
from hub.chat.request_text import details_text, history_text, jobs_text
from hub.core.action_checks import OPEN_STATES
from hub.core.authorization import may
from hub.core.outcome import ChatCommand
from hub.core.records import Request
from hub.engine.actor import Actor
from hub.engine.example_phrases import example_phrases
from hub.engine.unit_of_work import UnitOfWork

MAX_OVERVIEW: Final = 20
MAX_JOBS: Final = 20
MAX_EXAMPLES: Final = 60
MAX_HISTORY: Final = 10
HISTORY_READ: Final = 60  # messages looked at for it: most of a chat's are no requests for work
HISTORY_SECONDS: Final = 7 * 86_400.0
ABOUT_NOW: Final = frozenset({"status", "show", "jobs", "machines", "hello"})
_OPEN_JOBS: Final = tuple(state for state in JobState if state not in JOB_SETTLED)


class ChatViews:
    def __init__(self, composer: ReplyComposer) -> None:
        self._composer = composer

    def answer(self, uow: UnitOfWork, request: Request, actor: Actor, command: ChatCommand) -> str | None:
        """The answer to what changes nothing; None for a command that does. `request` is the message itself. Whoever
        asks how things are is told first where nothing goes on.
        """
        text = self._answer(uow, request, actor, command)
        if text is None or not uow.world.recovering or command.verb not in ABOUT_NOW:
            return text
        return f"{Sentence('recovery_now').render(request.language)}\n{text}"

    def _answer(self, uow: UnitOfWork, request: Request, actor: Actor, command: ChatCommand) -> str | None:
        world, language = uow.world, request.language
        match command.verb:
            case "help" | "hello" | "thanks":
                return _help(uow, actor, command, language)
            case "whoami":
                roles = ", ".join(world.people.roles(actor.person)) or "-"
                return Sentence("i_am", {"person": actor.person, "roles": roles}).render(language)
            case "machines":
                return self._composer.machines_text(world.machines.inventory, language, uow.now)
            case "status" | "show" | "output" | "more" | "file" if command.number is not None:
                return self._of_request(uow, request, command, command.number)
            case "status":
                waiting = uow.txn.requests(states=OPEN_STATES, limit=MAX_OVERVIEW)
                return self._composer.overview_text(uow.txn, waiting, world.machines.inventory, uow.now, language)
            case "jobs":
                jobs = uow.txn.jobs(states=_OPEN_JOBS, limit=MAX_JOBS + 1)
                return jobs_text(jobs[:MAX_JOBS], len(jobs) > MAX_JOBS, uow.now, language, world.machines.away)
            case "history":
                earlier = uow.txn.earlier_requests(request, uow.now - HISTORY_SECONDS, HISTORY_READ)
                return history_text([one for one in earlier if one.plan is not None][:MAX_HISTORY], uow.now, language)
        return None

    def _of_request(self, uow: UnitOfWork, request: Request, command: ChatCommand, number: int) -> str:
        language = request.language
        found = uow.txn.request_by_number(number)
        if found is None:
            return Sentence("no_request", {"what": f"r{number}"}).render(language)
        jobs, away = uow.txn.jobs_of(found.id), uow.world.machines.away
        match command.verb:
            case "show":
                return details_text(found, jobs, uow.txn.approvals(found.id), uow.now, language, away)
            case "output":
                return self._composer.output_text(uow.txn, found, jobs, uow.now, language)
            case "more":
                files = self._composer.takes_files(request.inlet)
                return self._composer.more_text(uow.txn, found, jobs, command.page, language, files=files)
            case "file":
                return self._composer.answer_with_file(uow.txn, request, found, jobs, uow.now)
        text = self._composer.status_text(uow.txn, found, jobs, uow.now, language, away)
        if any(job.state in JOB_SETTLED for job in jobs):
            return fit_lines([text, self._composer.output_text(uow.txn, found, jobs, uow.now, language)], language)
        return text


def _help(uow: UnitOfWork, actor: Actor, command: ChatCommand, language: Language) -> str:
    """hello, thanks, help and its topics, for this person."""
    world, inventory = uow.world, uow.world.machines.inventory
    topic = topic_of(command.phrase) if command.verb == "help" and command.phrase else None
    word = command.phrase if command.verb == "help" and topic is None else ""
    named = command.phrase if command.verb == "hello" and command.phrase in inventory.machines else ""
    if word in inventory.machines:
        named, word = word, ""
    most = MAX_EXAMPLES if word or topic == "runbooks" else 4
    machine, examples = example_phrases(world, actor.person, language, machine=named, word=word, most=most)
    roles = world.people.roles(actor.person)
    may_approve = may(roles, "approve")
    facts = HelpFacts(
        examples=examples,
        machine=machine,
        machines=len(inventory.machines),
        online=sum(one.online for one in inventory.machines.values()),
        may_run=may(roles, "run"),
        may_approve=may_approve,
        approvers=[name for name in world.people.names() if may(world.people.roles(name), "approve")],
        waiting=len(uow.txn.requests(states=(RequestState.ASKING,), limit=MAX_OVERVIEW)) if may_approve else 0,
    )
    if command.verb != "help" or named:
        about = command.phrase if command.verb == "hello" else named
        return hello_text(facts, language, thanks=command.verb == "thanks", about=about)
    if topic is not None:
        return topic_text(topic, facts, language)
    return examples_text(word, examples, language) if word else help_text(facts, language)
