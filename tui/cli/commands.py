"""The commands of `answerback`: where each is, which is loaded when it is asked for."""

from __future__ import annotations

from typing import Final

PLACES: Final = {
    "agents": "lists:agents_command",
    "allowed": "standing:allowed_command",
    "approve": "act:approve_command",
    "approvers": "approvers:approvers_group",
    "audit": "audit:audit_command",
    "broadcast": "control:broadcast_command",
    "cancel": "act:cancel_command",
    "chat": "chat:chat_command",
    "console": "console:console_command",
    "disallow": "standing:disallow_command",
    "drain": "control:drain_command",
    "edit": "control:edit_command",
    "inlets": "inlets:inlets_command",
    "job": "records:job_command",
    "jobs": "lists:jobs_command",
    "passkey": "passkey:passkey_group",
    "pause": "act:pause_command",
    "priority": "control:priority_command",
    "queue": "lists:queue_command",
    "reject": "act:reject_command",
    "request": "records:request_command",
    "requests": "lists:requests_command",
    "resume": "act:resume_command",
    "retry": "run:retry_command",
    "run": "run:run_command",
    "runbook": "runbooks:runbook_group",
    "settle": "act:settle_command",
    "take-back": "control:take_back_command",
    "undrain": "control:undrain_command",
    "wake": "wake:wake_command",
    "watch": "watch:watch_command",
    "whoami": "whoami:whoami_command",
}
"""Command -> module of `tui.cli`, and what it is called there."""
