"""Structured logs on standard error: one event a line, with a stable dotted name and the ids that are bound.

`log = logger("links")`, then `log.info("agent.connected", agent=name)`. Ids that apply to a block
of work are bound with `bind_ids(request=…)`, and every line within it carries them. Values under keys that name secrets
are masked, control and invisible characters escaped. Writing is synchronous: standard error is a file, a terminal or
the journal's socket, and writing a line costs less than handing it to another thread.
"""

from __future__ import annotations

import io
import logging
import re
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Final, Literal, TextIO, cast

from common.errors import WorkFailed
from common.process.lean import without
from common.text import clean

# rich and pygments, where the console brought them, are for coloured tracebacks that this never prints: 5 MiB.
with without("rich", "better_exceptions"):
    import structlog
    from structlog.contextvars import bound_contextvars

Format = Literal["json", "console"]
LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
HIDDEN: Final = "[hidden]"
_MAX_TEXT: Final = 4_096  # characters of one value; tracebacks are exempt
_SECRET_WORDS: Final = frozenset({"secret", "token", "signature", "authorization", "password", "totp", "cookie"})
_ONE_TIME_CODE = re.compile(r"\s*[0-9]{4,10}\s*", re.ASCII)
_WORDS = re.compile(r"[^a-z0-9]+")


def configure(level: str = "info", fmt: Format = "json", stream: TextIO | None = None) -> None:
    """Configures structlog, and the standard library's logging in the same format. `stream` defaults to standard
    error.
    """
    out = cast(TextIO, _Lasting(sys.stderr)) if stream is None else stream
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[structlog.types.Processor] = [tell_known_failure, structlog.processors.format_exc_info, scrub]
    if fmt == "json":
        last.append(structlog.processors.JSONRenderer(ensure_ascii=False))
    else:
        last.append(structlog.dev.ConsoleRenderer(colors=out.isatty()))
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Libraries log from "warning" on: their "info" is about themselves.
    root.setLevel(max(LEVELS[level], logging.WARNING))


class _Lasting(io.TextIOBase):
    """Standard error that may go away, with its terminal or a full disk: lines are lost then, never the process."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):  # ValueError: closed
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()


@contextmanager
def logging_disabled() -> Iterator[None]:
    """Logs nothing within the block: for commands that print their own messages."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


def logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose lines carry `part=name`."""
    return cast(structlog.typing.FilteringBoundLogger, structlog.get_logger(part=name))


def bind_ids(**ids: str) -> AbstractContextManager[None]:
    """Binds ids: every log line within the block carries them."""
    return cast(AbstractContextManager[None], bound_contextvars(**ids))


def tell_known_failure(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor that tells a failure with a cure (a store that is full, busy or away) in its own words:
    the place where it came up helps nobody, and a store that is away for a minute would fill the log with it.
    """
    info = event.get("exc_info")
    error = info if isinstance(info, BaseException) else sys.exc_info()[1] if info is True else None
    if isinstance(error, WorkFailed):
        del event["exc_info"]
        event.setdefault("reason", str(error))
    return event


def scrub(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor that masks secrets and makes hostile text safe."""
    for key, value in event.items():
        event[key] = _traceback(value) if key in ("exception", "stack") else _safe(key, value, 0)
    return event


def is_secret(key: str, value: Any) -> bool:
    """Whether to mask a value, by the last word of its key. `code` is secret where it is digits (a second factor); else
    it is the code of a refusal.
    """
    words = [word for word in _WORDS.split(key.lower()) if word]
    if not words:
        return False
    if words == ["code"] or words[-2:] in (["totp", "code"], ["factor", "code"]):
        return _ONE_TIME_CODE.fullmatch(str(value)) is not None
    return words[-1] in _SECRET_WORDS


def _safe(key: str, value: Any, depth: int) -> Any:
    if is_secret(key, value):
        return HIDDEN
    kind = type(value)
    if kind is str:
        return _text(value, _MAX_TEXT)
    if kind in (int, float, bool) or value is None:
        return value
    if depth >= 4:
        return "…"
    if isinstance(value, dict):
        return {_text(str(name), 100): _safe(str(name), each, depth + 1) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_safe("", each, depth + 1) for each in value]
    return _text(str(value), _MAX_TEXT)


def _text(text: str, limit: int) -> str:
    if len(text) > limit:
        text = text[:limit] + "…"
    if text.isascii() and text.isprintable():
        return text
    return clean(text, limit=limit + 1)


def _traceback(value: Any) -> str:
    return "\n".join(_text(line, _MAX_TEXT) for line in str(value).split("\n"))
