"""Files on Slack (docs.slack.dev, "Working with files"). Pure.

    files.getUploadURLExternal    name and length -> an address of Slack's file host, and the file's id
    POST to that address          the bytes; the address is the credential, so the bot's token does not go there
    files.completeUploadExternal  shares the file in the conversation and thread, with a sentence beside it

Slack has no idempotency key for them. So the file's title names the message that it answers, and where it may have been
shared before, the conversation is looked through for a file with that title first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from hub.chat.platforms.base import Delivered, DeliveryFailed, HttpCall, HttpResponse, ReplyContent, result_of_status
from hub.chat.platforms.fields import answer_object, compact_json
from hub.chat.platforms.slack_events import ID
from hub.chat.platforms.slack_text import escape
from hub.chat.platforms.uploads import UploadCalls, UploadFile, UploadRefused, as_upload

_FILE_HOSTS: Final = {
    "https://slack.com:443": "https://files.slack.com",
    "https://slack-gov.com:443": "https://files.slack-gov.com",
}
_SCOPE: Final = "give the app the scope files:write and install it again"
_CURES: Final = {
    "missing_scope": _SCOPE,
    "not_in_channel": "invite the bot into the channel",
    "channel_not_found": "invite the bot into the channel",
    "invalid_channel": "invite the bot into the channel",
    "file_uploads_disabled": "the workspace lets nobody upload files",
    "file_uploads_except_images_disabled": "the workspace takes no files but pictures",
    "storage_limit_reached": "the workspace has no room for files",
}

Judge = Callable[[HttpResponse], tuple[str, DeliveryFailed | None]]
"""The error in an answer of the Web API, "" where there is none, and the failure where it is one to wait for."""


@dataclass(frozen=True, slots=True)
class SlackApi:
    """The Web API as an inlet calls it."""

    root: str
    files: str  # where files are put, as of `file_host`
    headers: Mapping[str, str]
    judge: Judge

    def form(self, method: str, fields: Mapping[str, Any]) -> HttpCall:
        headers = {**self.headers, "Content-Type": "application/x-www-form-urlencoded"}
        return HttpCall(f"{self.root}/{method}", urlencode(fields).encode(), headers)


def file_host(origin: str) -> str:
    """Where the API at this host (an entry of `reply_hosts`) has files put: Slack's own file host, or the API's."""
    return _FILE_HOSTS.get(origin, origin)


def upload_calls(
    content: ReplyContent, file: UploadFile, place: Mapping[str, str], api: SlackApi, earlier: HttpCall | None
) -> UploadCalls:
    """The calls that share the file at `place`, which has `channel` and perhaps `thread_ts`. `earlier` lists the
    messages among which it may be.
    """
    title = _title(content)
    if earlier is not None:
        response = yield earlier
        error, failed = api.judge(response)
        if failed is not None and error != "missing_scope":
            return failed
        if _has_file(answer_object(response), title):
            return Delivered()

    response = yield api.form("files.getUploadURLExternal", {"filename": file.name, "length": len(file.data)})
    if (refused := _failure(response, api.judge)) is not None:
        return refused
    answer = answer_object(response)
    url, name = answer.get("upload_url"), answer.get("file_id")
    if not (isinstance(url, str) and url.startswith(f"{api.files}/") and isinstance(name, str) and ID.fullmatch(name)):
        return UploadRefused(f"Slack named no address of {api.files} to put the file")

    response = yield HttpCall(url, file.data, {"Content-Type": "application/octet-stream"})
    if isinstance(result := result_of_status(response), DeliveryFailed):
        return as_upload(result)

    fields = {"files": compact_json([{"id": name, "title": title}]).decode(), "channel_id": place["channel"]}
    fields |= {"thread_ts": place["thread_ts"]} if "thread_ts" in place else {}
    response = yield api.form("files.completeUploadExternal", {**fields, "initial_comment": escape(content.text)})
    return _failure(response, api.judge) or Delivered()


def _title(content: ReplyContent) -> str:
    """What the file is called in Slack, once for each message that asks for one."""
    output = f"r{content.file.number} output" if content.file is not None else "output"
    return output if content.request is None else f"{output}, for r{content.request.number}"


def _has_file(answer: Mapping[str, Any], title: str) -> bool:
    messages = answer.get("messages")
    for message in messages if isinstance(messages, list) else ():
        files = message.get("files") if isinstance(message, dict) else None
        for one in files if isinstance(files, list) else ():
            if isinstance(one, dict) and one.get("title") == title:
                return True
    return False


def _failure(response: HttpResponse, judge: Judge) -> DeliveryFailed | UploadRefused | None:
    error, failed = judge(response)
    if error in _CURES:
        return UploadRefused(f"Slack says {error}; {_CURES[error]}")
    if failed is not None:
        return failed if failed.kind == "later" else UploadRefused(failed.reason)
    return UploadRefused(f"Slack says {error}") if error else None
