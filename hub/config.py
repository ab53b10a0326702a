"""hub.toml: its tables and keys, and the checks that need more than one key.

The dataclasses are read by `common.config`, and `hub/cli/config_template.py` writes the file of a new hub from them:
their docstrings and each key's `doc` are the comments in it.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from common.config import ConfigError, build, required, setting, table, tables
from common.errors import UserError
from common.read_file import read_bytes, read_secret, read_toml
from common.roles import ROLES
from common.values import Address, Duration, Size
from hub.core.audit_table import AuditTable, audit_problems
from hub.core.callback_url import parse_allowed_host
from hub.core.http_table import HttpTable, exposure, is_public_url
from hub.core.inlet_table import InletTable, inlet_secret_files
from hub.core.rate_limits import parse_networks

MAX_SECRETS: Final = 10
WILDCARDS: Final = ("0.0.0.0", "::")  # noqa: S104  compared with, not listened on
_SQLITE: Final = "sqlite:///"
_MINUTE, _HOUR, _DAY = 60.0, 3_600.0, 86_400.0


@dataclass(frozen=True, slots=True)
class HubTable:
    """Who this hub is."""

    name: str | None = setting(None, "What people call it, in their authenticator app for one; left out, its id.")


@dataclass(frozen=True, slots=True)
class LinksTable:
    """Where machines and consoles dial in: TLS 1.3 under this hub's own CA; nothing on the way may end it."""

    listen: Address = setting(Address("127.0.0.1", 8443), "Address and port to listen on.")
    public: Address | None = setting(
        None, "Address and port as machines reach it, for the join commands; left out, `listen` or this machine's name."
    )
    heartbeat: Duration = setting(
        Duration(15.0), "How often a link is heard of; after three silent times it is lost.", low=1.0, high=5 * _MINUTE
    )
    window: int = setting(64, "Jobs handed to one machine at a time; the rest wait here.", low=1, high=10_000)
    agent_grace: Duration = setting(
        Duration(90 * _DAY),
        "For how long after a machine's certificate ran out the machine may renew it by itself; 0: never.",
        low=0.0,
        high=3_650 * _DAY,
    )
    operator_grace: Duration = setting(
        Duration(14 * _DAY), "The same for a person's certificate.", low=0.0, high=3_650 * _DAY
    )

    def grace(self, kind: str) -> float:
        """Seconds for which a certificate that has run out is still renewed."""
        return self.agent_grace if kind == "agent" else self.operator_grace

    @property
    def dial_address(self) -> Address:
        """What machines are told to dial."""
        if self.public is not None:
            return self.public
        everywhere = self.listen.host in WILDCARDS
        return self.listen._replace(host=socket.gethostname()) if everywhere else self.listen


@dataclass(frozen=True, slots=True)
class StoreTable:
    """Where everything is kept: one SQLite file, or PostgreSQL."""

    url: str = setting(
        "sqlite:///data/answerback.sqlite",
        "sqlite:///PATH (three slashes: relative to this folder; four: absolute) or postgresql://USER@HOST/NAME.",
        secret=True,  # it may hold a password
    )
    retention: Duration = setting(
        Duration(90 * _DAY),
        "How long ended requests are kept, with their jobs and output. The audit stays.",
        low=_HOUR,
        high=3_650 * _DAY,
    )
    replies: Duration = setting(
        Duration(7 * _DAY),
        "How long the record of a delivered reply is kept; what it said goes at once.",
        low=_HOUR,
        high=3_650 * _DAY,
    )
    budget: Size = setting(
        Size(0),
        'What an SQLite store may fill, as "20GiB": for it old output is deleted before its time. 0: no budget.',
    )
    seal_key_file: Path = setting(
        Path("secrets/seal.key"), "The keys that seal secrets in the store. Keep a copy apart from the store's backups."
    )
    seal_key_credential: str | None = setting(
        None, "Instead of the file: the name of a systemd credential, given by LoadCredentialEncrypted= in the unit."
    )
    seal_key_command: tuple[str, ...] = setting(
        (), 'Instead of the file: a program that prints the keys, as ["/usr/local/bin/unseal", "ARGUMENT"]; no shell.'
    )


@dataclass(frozen=True, slots=True)
class QueueTable:
    """How much may wait, and how long. A full queue is a polite refusal in chat."""

    max_total: int = setting(20_000, "Jobs that wait, in all.", low=1, high=10_000_000)
    max_person: int = setting(5_000, "Jobs of one person that wait.", low=1, high=10_000_000)
    max_agent: int = setting(5_000, "Jobs that wait for one machine.", low=1, high=10_000_000)
    ttl: Duration = setting(
        Duration(10 * _MINUTE),
        "How long a job waits for its machine where nothing else is said.",
        low=1.0,
        high=30 * _DAY,
    )
    decide_within: Duration = setting(
        Duration(30 * _MINUTE), "How long a request waits for its approvals.", low=10.0, high=30 * _DAY
    )


@dataclass(frozen=True, slots=True)
class ApprovalsTable:
    """Approvals that hold for a while: of exactly one command on exactly its machines, for one person. Off at 0."""

    allow_for: Duration = setting(
        Duration(0.0), "The longest for which an approver may allow the same again; 0: not at all.", high=7 * _DAY
    )
    allow_uses: int = setting(20, "How often such an approval may be used.", low=1, high=10_000)


@dataclass(frozen=True, slots=True)
class PersonTable:
    """A person. Roles: viewer, operator, approver, admin, each with the rights of those before."""

    roles: tuple[str, ...] = required("What this person may do.")
    chat: tuple[str, ...] = setting((), 'Who the person is in chat, as "INLET:USER".')


@dataclass(frozen=True, slots=True)
class ModelTable:
    """A server of a language model, which plans from plain words that no runbook fits. There may be several."""

    url: str = required("Where it is served, http:// or https://. OpenAI: with its path, /v1 where none is given.")
    model: str = required("Which model to ask for, by the name that the server has for it.")
    kind: Literal["ollama", "openai"] = setting(
        "ollama", 'How it is spoken to: "ollama" or "openai" (llama.cpp, vLLM, clouds: any compatible server).'
    )
    key_file: Path | None = setting(
        None,
        "The server's API key, mode 0600. Several, one a line, while it changes: the next is tried where one fails.",
    )
    parallel: int = setting(2, "Requests that it works on at a time; the rest wait here.", low=1, high=256)
    timeout: Duration = setting(Duration(60.0), "How long one answer may take.", low=1.0, high=10 * _MINUTE)
    keep_alive: Duration = setting(
        Duration(30 * _MINUTE),
        "How long an Ollama server keeps the model loaded after a request.",
        low=0.0,
        high=7 * _DAY,
    )
    context: int = setting(8_192, "Tokens that fit, prompt and answer together.", low=512, high=10_000_000)
    priority: int = setting(
        1, "Servers of a higher number are asked only while none of a lower one is up.", low=0, high=100
    )


@dataclass(frozen=True, slots=True)
class OcrTable:
    """Pictures of messages become text, where the extra `ocr` is installed. What they say always needs a person."""

    read: bool = setting(True, "Whether pictures are read at all.")
    children: int = setting(1, "Processes that read, each with 400 to 600 MiB while it does.", low=1, high=4)
    queue: int = setting(16, "Pictures that wait, in all.", low=1, high=1_000)
    size: Size = setting(Size(8 * 1024 * 1024), "The largest file.", low=1024, high=64 * 1024 * 1024)
    pixels: int = setting(20_000_000, "The most pixels of a picture.", low=10_000, high=100_000_000)
    memory: Size = setting(Size(1536 * 1024 * 1024), "What a process may fill.", low=512 * 1024 * 1024)
    timeout: Duration = setting(Duration(20.0), "How long one picture may take.", low=1.0, high=2 * _MINUTE)
    idle: Duration = setting(Duration(5 * _MINUTE), "How long a process stays without work.", low=1.0, high=_DAY)


@dataclass(frozen=True, slots=True)
class PlanningTable:
    """How models are used: what a person may use of them, and what is kept of what they said. Tokens are theirs."""

    models: bool = setting(True, "Whether models are asked at all.")
    deadline: Duration = setting(Duration(45.0), "How long a person waits for a plan.", low=1.0, high=10 * _MINUTE)
    prompt_tokens: int = setting(6_000, "The longest prompt.", low=1_000, high=1_000_000)
    max_tokens: int = setting(512, "The longest answer.", low=16, high=32_768)
    person_minute: int = setting(
        60_000, "Tokens of one person a minute, prompt and answer; 0 is no bound.", low=0, high=1_000_000_000
    )
    person_day: int = setting(2_000_000, "Tokens of one person a day; 0 is no bound.", low=0, high=1_000_000_000)
    queue: int = setting(256, "Requests that wait for a model, in all.", low=1, high=10_000)
    hedge: bool = setting(True, "Whether a second server is asked as well where the first one is slower than usual.")
    merge: int = setting(
        1, "Short messages of one person that may share a call while they wait; 1: none.", low=1, high=16
    )
    confirm: bool = setting(
        False, "Whether a reading runbook that a model picked waits for a person's yes too; its own commands always do."
    )
    summaries: bool = setting(
        False, "Whether a model sums up long output, told after the output itself. The model then reads output."
    )
    conversation: Duration = setting(
        Duration(30 * _MINUTE), "How long a message may refer to those before it; 0: never.", low=0.0, high=7 * _DAY
    )
    cache_folder: Path = setting(Path("data/plans"), "Where plans are kept, sealed.")
    cache_entries: int = setting(10_000, "Plans kept in memory, and as many on disk.", low=0, high=1_000_000)
    cache_memory: Size = setting(Size(8 * 1024 * 1024), "What they may take in memory.", low=0, high=1024**3)
    cache_disk: Size = setting(Size(64 * 1024 * 1024), "What they may take on disk; 0: none are kept there.", low=0)
    cache_ttl: Duration = setting(Duration(_DAY), "How long a plan is kept.", low=0.0, high=30 * _DAY)
    cache_negative_ttl: Duration = setting(
        Duration(10 * _MINUTE), "How long it is kept that a model did not know.", low=0.0, high=30 * _DAY
    )


@dataclass(frozen=True, slots=True)
class PolicyTable:
    """What may run, what needs a person's yes, what is refused."""

    file: Path = setting(Path("policy.toml"), "The rules.")


@dataclass(frozen=True, slots=True)
class RunbooksTable:
    """Named commands that plain words lead to."""

    file: Path = setting(Path("runbooks.toml"), "The runbooks.")


@dataclass(frozen=True, slots=True)
class LogTable:
    """What the hub writes to standard error."""

    level: Literal["debug", "info", "warning", "error"] = setting("info", "debug, info, warning or error.")
    format: Literal["json", "console"] = setting("json", '"json", one object a line, or "console" for reading along.')


@dataclass(frozen=True, slots=True)
class Folder:
    """The hub's folder: where the files are that no key names. Every secret in it is 0600, every folder 0700."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "hub.toml"

    @property
    def ca_certificate(self) -> Path:
        return self.path / "ca" / "ca.pem"

    @property
    def ca_key(self) -> Path:
        return self.path / "ca" / "ca.key"

    @property
    def next_ca_certificate(self) -> Path:
        """Of the CA that replaces the other (hub/identity/authorities.py)."""
        return self.path / "ca" / "next.pem"

    @property
    def next_ca_key(self) -> Path:
        return self.path / "ca" / "next.key"

    @property
    def ca_rotation(self) -> Path:
        return self.path / "ca" / "rotation.json"

    @property
    def certificate(self) -> Path:
        return self.path / "tls" / "hub.pem"

    @property
    def key(self) -> Path:
        return self.path / "tls" / "hub.key"

    @property
    def job_key(self) -> Path:
        return self.path / "keys" / "job.key"

    @property
    def audit_key(self) -> Path:
        """Signs the audit's checkpoints and nothing else."""
        return self.path / "keys" / "audit.key"

    @property
    def audit_pins(self) -> Path:
        """The public keys that this audit was ever signed with, for those who verify it: one a line."""
        return self.path / "keys" / "audit.pub"

    @property
    def seal_key(self) -> Path:
        return self.path / "secrets" / "seal.key"

    @property
    def profile(self) -> Path:
        return self.path / "profile"


@dataclass(frozen=True, slots=True)
class HubConfig:
    """hub.toml as read: paths are resolved, `store.url` is absolute, inlets hold their secrets."""

    hub: HubTable = table(HubTable)
    http: HttpTable = table(HttpTable)
    links: LinksTable = table(LinksTable)
    store: StoreTable = table(StoreTable)
    queue: QueueTable = table(QueueTable)
    approvals: ApprovalsTable = table(ApprovalsTable)
    inlets: Mapping[str, InletTable] = tables()
    people: Mapping[str, PersonTable] = tables()
    models: Mapping[str, ModelTable] = tables()
    planning: PlanningTable = table(PlanningTable)
    ocr: OcrTable = table(OcrTable)
    policy: PolicyTable = table(PolicyTable)
    runbooks: RunbooksTable = table(RunbooksTable)
    log: LogTable = table(LogTable)
    audit: AuditTable = table(AuditTable)
    path: Path = Path("hub.toml")

    @property
    def folder(self) -> Folder:
        return Folder(self.path.parent)

    def rate(self, inlet: str) -> int:
        return self.inlets[inlet].rate or self.http.rate

    def body_limit(self, inlet: str) -> int:
        return self.inlets[inlet].body_limit or self.http.body_limit


TableOfPlatform = Callable[[str, Path], type[InletTable]]
"""The keys of a platform's inlets, by its name and the folder of hub.toml; raises UserError."""


def load(path: Path, table_of: TableOfPlatform) -> HubConfig:
    """Reads the file and checks it, also against the files that it names. Raises UserError; a ConfigError carries all
    problems at once.
    """
    path = path.absolute()
    cure = "set up a hub with `answerback-hub init DIR`, or name its file with --config"
    folder = path.parent
    choose = {"inlets": ("platform", lambda platform: table_of(platform, folder))}
    config = replace(build(read_toml(path, cure, trusted=True), HubConfig, path, choose), path=path)
    http = config.http
    config = replace(
        config,
        http=replace(
            http,
            certificate_file=folder / http.certificate_file if http.certificate_file is not None else None,
            key_file=folder / http.key_file if http.key_file is not None else None,
        ),
        policy=PolicyTable(folder / config.policy.file),
        runbooks=RunbooksTable(folder / config.runbooks.file),
        store=replace(config.store, seal_key_file=folder / config.store.seal_key_file),
        planning=replace(config.planning, cache_folder=folder / config.planning.cache_folder),
        audit=replace(config.audit, file=folder / config.audit.file, archive=folder / config.audit.archive),
    )
    problems: list[str] = []
    inlets: dict[str, InletTable] = {}
    for name, inlet in config.inlets.items():
        secrets: dict[str, tuple[bytes, ...]] = {}
        for key, file in inlet_secret_files(inlet):
            try:
                secrets[key] = _secrets(file)
            except UserError as error:
                problems.append(f"{path}: [inlets.{name}] {key}: {error}")
        inlets[name] = replace(inlet, secrets=secrets.pop("secret_file", ()), other_secrets=secrets)
    for where, text in _problems(config):
        problems.append(f"{path}: {where}: {text}")
    for where, file in (("[policy] file", config.policy.file), ("[runbooks] file", config.runbooks.file)):
        try:
            read_bytes(file, trusted=True)
        except UserError as error:
            problems.append(f"{path}: {where}: {error}")
    if problems:
        raise ConfigError(problems)
    return replace(config, inlets=inlets, store=replace(config.store, url=_absolute(config.store.url, folder)))


def _secrets(file: Path) -> tuple[bytes, ...]:
    lines = tuple(line.strip() for line in read_secret(file).splitlines() if line.strip())
    if len(lines) > MAX_SECRETS:
        raise UserError(f"{file}: {len(lines)} secrets", f"keep at most {MAX_SECRETS}, one a line")
    return lines


def _absolute(url: str, folder: Path) -> str:
    return f"{_SQLITE}{folder / url.removeprefix(_SQLITE)}" if url.startswith(_SQLITE) else url


def _problems(config: HubConfig) -> Iterator[tuple[str, str]]:
    """Problems that need more than one key to see, as (table and key, problem and cure)."""
    if config.http.listen.port and config.http.listen.port == config.links.listen.port:
        hosts = {config.http.listen.host, config.links.listen.host}
        if len(hosts) == 1 or hosts & set(WILDCARDS):
            yield "[links] listen", f"the port {config.links.listen.port} is [http] listen's already; use another"
    if problem := exposure(config.http):
        yield "[http] listen", problem
    for entry in config.http.trusted_proxies:
        try:
            parse_networks((entry,))
        except ValueError:
            yield "[http] trusted_proxies", f'"{entry}" is no address; write one such as "10.0.0.5" or "172.16.0.0/12"'
    if config.http.public_url is not None and not is_public_url(config.http.public_url):
        yield "[http] public_url", f'"{config.http.public_url}" is not "https://HOST", maybe with a port and a path'
    if config.links.public is not None and not config.links.public.port:
        yield "[links] public", "the port 0 is no port to dial; write the one that machines reach"
    yield from _store_problems(config.store.url)
    for name, inlet in config.inlets.items():
        for host in inlet.reply_hosts:
            if not _is_reply_host(host):
                yield f"[inlets.{name}] reply_hosts", f'"{host}" is no host; write "HOST" or "HOST:PORT" and no more'
    yield from _people_problems(config)
    yield from _audit_problems(config.audit, config.inlets)
    for name, model in config.models.items():
        yield from _model_problems(f"[models.{name}]", model)


def _model_problems(where: str, model: ModelTable) -> Iterator[tuple[str, str]]:
    if not re.fullmatch(r"https?://[^/?#@]+(/[^?#]*)?", model.url):
        # Not shown: there may be a password in it, which is one of the things that do not belong there.
        yield f"{where} url", "not http:// or https://, a host and maybe a path; a key belongs into key_file"
    if model.key_file is not None:
        try:
            _secrets(model.key_file)
        except UserError as error:
            yield f"{where} key_file", str(error)


def _audit_problems(audit: AuditTable, inlets: Mapping[str, InletTable]) -> Iterator[tuple[str, str]]:
    for key, text in audit_problems(audit, inlets):
        yield f"[audit] {key}", text
    for key, file, lines in (
        ("webhook_token_file", audit.webhook_token_file, 1),
        ("s3_key_file", audit.s3_key_file, 2),
    ):
        try:
            if file is not None and len(_secrets(file)) != lines:
                yield f"[audit] {key}", f"{file}: {lines} line{'s' * (lines > 1)} expected"
        except UserError as error:
            yield f"[audit] {key}", str(error)


def _store_problems(url: str) -> Iterator[tuple[str, str]]:
    """The URL itself is never shown: it may hold a password."""
    if url.startswith(_SQLITE):
        if not url.removeprefix(_SQLITE) or "?" in url:
            yield "[store] url", "no path of an SQLite file, or more than one; write sqlite:///data/answerback.sqlite"
    elif not re.match(r"postgresql://[^/]*/[^/]", url):
        yield "[store] url", "neither sqlite:///PATH nor postgresql://USER@HOST/NAME"


def _people_problems(config: HubConfig) -> Iterator[tuple[str, str]]:
    owners: dict[str, str] = {}
    for name, person in config.people.items():
        for role in person.roles:
            if role not in ROLES:
                yield f"[people.{name}] roles", f'"{role}" is no role; the roles are {", ".join(ROLES)}'
        for identity in person.chat:
            inlet, colon, user = identity.partition(":")
            if not colon or not user:
                yield f"[people.{name}] chat", f'"{identity}" is not "INLET:USER"'
            elif inlet not in config.inlets:
                known = ", ".join(config.inlets) or "none"
                yield f"[people.{name}] chat", f'"{identity}": there is no [inlets.{inlet}]; inlets here: {known}'
            elif owners.setdefault(identity, name) != name:
                yield (
                    f"[people.{name}] chat",
                    f'"{identity}" is {owners[identity]} already; one chat user is one person',
                )


def _is_reply_host(text: str) -> bool:
    try:
        parse_allowed_host(text)
    except UserError:
        return False
    return True
