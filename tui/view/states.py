"""The words of states, and the tones that repeat them. Pure."""

from __future__ import annotations

from typing import Any, Final

from common.catalogue import translate
from tui.text.format import Tone, one_line

JOB_TONES: Final[dict[str, Tone]] = {
    "running": "busy",
    "succeeded": "ok",
    "failed": "bad",
    "timed_out": "bad",
    "unknown": "bad",
    "not_started": "warn",
    "expired": "warn",
    "cancelled": "dim",
    "queued": "",
    "leased": "",
    "accepted": "busy",
}
REQUEST_TONES: Final[dict[str, Tone]] = {
    "asking": "warn",
    "working": "busy",
    "done": "ok",
    "refused": "bad",
    "rejected": "bad",
    "expired": "warn",
    "cancelled": "dim",
    "received": "",
}
OUTCOME_TONES: Final[dict[str, Tone]] = {"partly": "warn", "failed": "bad", "cancelled": "dim", "unknown": "bad"}
"""Of requests that are done and of which not all jobs succeeded."""
LANE_TONES: Final[dict[str, Tone]] = {"ok": "", "slow": "warn", "waiting": "warn", "paused": "warn", "stuck": "bad"}
ATTENTION_TONES: Final[dict[str, Tone]] = {
    "recovery": "bad",
    "storage": "bad",
    "clock": "warn",
    "approve": "warn",
    "unknown": "bad",
    "stuck": "bad",
    "anomaly": "bad",
    "file": "bad",
    "budget": "warn",
    "witness": "bad",
    "inlet": "bad",
    "quiet": "warn",
    "drain": "",
    "offline": "dim",
    "allowed": "dim",
}


def state_label(language: Any, kind: str, value: Any, known: Any) -> str:
    """The catalogue's word for a state; as the hub says it, made safe, where a newer hub has one that is not in it."""
    text = str(value)
    return translate(language, f"console_{kind}_{text}") if text in known else one_line(text, 20)
