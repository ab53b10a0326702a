"""What a chat shows of the payloads that a platform's `render` makes: each payload, parsed again, as blocks to draw.

Only what our payloads have is read; an element that is not known here raises, so that a picture never leaves one out.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from html import unescape
from html.parser import HTMLParser
from typing import Any, Final

from tests.end_to_end.chats.card_svg import Block, ButtonLabel, Buttons, CodeBlock, Header, Line, Run

Payload = Mapping[str, Any]
_FENCE: Final = re.compile(r"(`{3,})")
_BOLD: Final = r"\*\*(?P<bold>[^*\n]+)\*\*"
_CODE: Final = r"`(?P<code>[^`\n]+)`"
_ESCAPED: Final = r"\\(?P<sign>[!-/:-@\[-`{-~])"
_MATTERMOST: Final = re.compile(f"{_ESCAPED}|{_CODE}|{_BOLD}")
_DISCORD: Final = re.compile(rf"{_ESCAPED}|{_CODE}|{_BOLD}|<t:(?P<time>\d+):(?P<form>[fR])>")
_FEISHU: Final = re.compile(
    rf"{_CODE}|{_BOLD}|<local_datetime millisecond='(?P<millisecond>\d+)' format_type='(?P<form>\w+)'></local_datetime>"
)
_SLACK: Final = re.compile(r"<!date\^(?P<time>\d+)\^\{date_short_pretty\} \{time\}\|[^<>]*>")
_FORMS: Final = {
    "f": "%-d %B %Y %H:%M",
    "dt": "%d.%m.%y, %H:%M",
    "date_short": "%b %-d",
    "time": "%H:%M",
    "slack": "%b %-d, %Y %-I:%M %p",
    "slack today": "today %-I:%M %p",
}


def moment(at: int, form: str, now: float) -> str:
    """A time as the chat's own mark for it shows it, to a reader in UTC."""
    if form == "R":
        return f"in {round((at - now) / 60)} minutes"
    if form == "slack" and time.gmtime(at)[:3] == time.gmtime(now)[:3]:
        form = "slack today"
    return time.strftime(_FORMS[form], time.gmtime(at))


# Slack: https://docs.slack.dev/reference/block-kit/blocks


def slack(payload: Payload, now: float) -> list[Block]:
    blocks: list[Block] = []
    for block in payload["blocks"]:
        match block["type"]:
            case "rich_text":
                for element in block["elements"]:
                    blocks += _slack_element(element)
            case "context":
                (one,) = block["elements"]
                shown = _SLACK.sub(lambda found: moment(int(found["time"]), "slack", now), one["text"])
                blocks.append(Line((Run(unescape(shown)),), small=True))
            case "actions":
                blocks.append(
                    Buttons(tuple(_button(one["text"]["text"], one.get("style")) for one in block["elements"]))
                )
            case other:
                raise ValueError(f"Slack: a block {other!r}")
    return blocks


def _slack_element(element: Payload) -> list[Block]:
    runs = [Run(one["text"], "code" if one.get("style", {}).get("code") else "plain") for one in element["elements"]]
    match element["type"]:
        case "rich_text_preformatted":
            return [CodeBlock("".join(run.text for run in runs))]
        case "rich_text_section" | "rich_text_quote":
            return _lines(runs, quote=element["type"] == "rich_text_quote")
    raise ValueError(f"Slack: an element {element['type']!r}")


# Markdown: Mattermost, Discord, Feishu


def mattermost(payload: Payload, now: float) -> list[Block]:
    blocks = _markdown(payload["message"], _MATTERMOST, now)
    for attachment in payload["props"]["attachments"]:
        blocks.append(Buttons(tuple(_button(one["name"], one["style"]) for one in attachment["actions"])))
    return blocks


def discord(payload: Payload, now: float) -> list[Block]:
    blocks = _markdown(payload["content"], _DISCORD, now)
    for row in payload["components"]:
        styles = {1: "primary", 2: "", 3: "primary", 4: "danger"}
        blocks.append(Buttons(tuple(_button(one["label"], styles[one["style"]]) for one in row["components"])))
    return blocks


def feishu(card: Payload, now: float) -> list[Block]:
    blocks: list[Block] = [Header(card["header"]["title"]["content"], card["header"]["template"])]
    for element in card["body"]["elements"]:
        match element["tag"]:
            case "markdown":
                blocks += _markdown(element["content"], _FEISHU, now, entities=True)
            case "column_set":
                buttons = [column["elements"][0] for column in element["columns"]]
                blocks.append(Buttons(tuple(_button(one["text"]["content"], one["type"]) for one in buttons)))
            case other:
                raise ValueError(f"Feishu: an element {other!r}")
    return blocks


def _markdown(text: str, marks: re.Pattern[str], now: float, *, entities: bool = False) -> list[Block]:
    blocks: list[Block] = []
    code: list[str] = []
    fence = ""
    for line in text.split("\n"):
        if fence:
            if line == fence:
                blocks.append(CodeBlock("\n".join(code)))
                fence, code = "", []
            else:
                code.append(line)
        elif found := _FENCE.fullmatch(line):
            fence = found[1]
        elif line:
            quote = line.startswith("> ")
            blocks.append(Line(_runs(line[2:] if quote else line, marks, now, unescape if entities else str), quote))
    if fence:
        raise ValueError("a code block without its end")
    return blocks


def _runs(line: str, marks: re.Pattern[str], now: float, read: Callable[[str], str]) -> tuple[Run, ...]:
    runs: list[Run] = []
    at = 0
    for found in marks.finditer(line):
        runs.append(Run(read(line[at : found.start()])))
        at = found.end()
        named = {key: value for key, value in found.groupdict().items() if value is not None}
        match named:
            case {"code": text}:
                runs.append(Run(text, "code"))
            case {"bold": text}:
                runs.append(Run(read(text), "bold"))
            case {"sign": text}:
                runs.append(Run(text))
            case {"form": form, "time": seconds}:
                runs.append(Run(moment(int(seconds), form, now)))
            case {"form": form, "millisecond": millisecond}:
                runs.append(Run(moment(int(millisecond) // 1000, form, now)))
    return (*runs, Run(read(line[at:])))


# HTML: Telegram, Matrix


def telegram(payload: Payload, now: float) -> list[Block]:
    blocks = _Html(now, breaks=True).read(payload["text"])
    for row in payload.get("reply_markup", {}).get("inline_keyboard", ()):
        blocks.append(Buttons(tuple(ButtonLabel(one["text"]) for one in row), wide=True))
    return blocks


def matrix(event: Payload, now: float) -> list[Block]:
    return _Html(now, breaks=False).read(event.get("m.new_content", event)["formatted_body"])


class _Html(HTMLParser):
    """The tags that we use; `breaks`: a line of the text is a line that is shown."""

    def __init__(self, now: float, *, breaks: bool) -> None:
        super().__init__(convert_charrefs=True)
        self._now, self._breaks = now, breaks
        self._blocks: list[Block] = []
        self._runs: list[Run] = []
        self._open: list[str] = []

    def read(self, text: str) -> list[Block]:
        self.feed(text)
        self.close()
        self._end_line()
        if self._open:
            raise ValueError(f"not closed: {self._open}")
        return self._blocks

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        match tag:
            case "br":
                self._runs.append(Run("\n"))
                return
            case "pre" | "blockquote":
                self._end_line()
            case "tg-time":
                given = dict(attrs)
                self._runs.append(Run(moment(int(given["unix"] or 0), given["format"] or "", self._now)))
            case "code" | "b":
                pass
            case other:
                raise ValueError(f"a tag {other!r}")
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._open.pop() != tag:
            raise ValueError(f"a tag {tag!r} that is closed elsewhere")
        if tag == "pre":
            self._blocks.append(CodeBlock("".join(run.text for run in self._runs).removesuffix("\n")))
            self._runs = []
        elif tag == "blockquote":
            self._end_line(quote=True)

    def handle_data(self, data: str) -> None:
        if "tg-time" in self._open:
            return  # for an older app
        if not self._breaks and "pre" not in self._open:
            data = data.replace("\n", " ")
        look = "code" if "code" in self._open else "bold" if "b" in self._open else "plain"
        self._runs.append(Run(data, look))

    def _end_line(self, *, quote: bool = False) -> None:
        self._blocks += _lines(self._runs, quote=quote)
        self._runs = []


# Adaptive Cards: https://adaptivecards.io/explorer


def teams(payload: Payload, now: float) -> list[Block]:
    (attachment,) = payload["attachments"]
    blocks: list[Block] = []
    for element in attachment["content"]["body"]:
        match element["type"]:
            case "Container":
                lines = ("".join(run["text"] for run in line["inlines"]) for line in element["items"])
                blocks.append(CodeBlock("\n".join(lines)))
            case "RichTextBlock":
                runs = (Run(one["text"], "code" if "fontType" in one else "plain") for one in element["inlines"])
                blocks.append(Line(tuple(runs)))
            case other:
                raise ValueError(f"Teams: an element {other!r}")
    return blocks


# Plain text: DingTalk, WeCom


def dingtalk(payload: Payload, now: float) -> list[Block]:
    return _plain(payload["text"]["content"])


def wecom(payload: Payload, now: float) -> list[Block]:
    if "button" in payload:  # the card's buttons become one word
        return [Buttons((ButtonLabel(payload["button"]["replace_name"], "off"),))]
    if "text" in payload:
        return _plain(payload["text"]["content"])
    card = payload["template_card"]
    styles = {1: "primary", 2: "", 3: "danger"}
    return [
        Line((Run(card["main_title"]["title"], "bold"),)),
        Line((Run(card["sub_title_text"]),), small=True),
        Buttons(tuple(_button(one["text"], styles[one["style"]]) for one in card["button_list"])),
    ]


def _plain(text: str) -> list[Block]:
    return [Line((Run(line),)) for line in text.split("\n")]


def _lines(runs: list[Run], *, quote: bool = False) -> list[Block]:
    """Runs with line breaks in them as lines; a break beside a block of its own is none."""
    lines: list[list[Run]] = [[]]
    for run in runs:
        for index, text in enumerate(run.text.split("\n")):
            if index:
                lines.append([])
            if text:
                lines[-1].append(Run(text, run.look))
    return [Line(tuple(line), quote) for line in lines if line]


def _button(label: str, style: str | None) -> ButtonLabel:
    return ButtonLabel(label, "primary" if style == "primary" else "danger" if style == "danger" else "plain")


READERS: Final[Mapping[str, Callable[[Payload, float], list[Block]]]] = {
    "dingtalk": dingtalk,
    "discord": discord,
    "feishu": feishu,
    "matrix": matrix,
    "mattermost": mattermost,
    "slack": slack,
    "teams": teams,
    "telegram": telegram,
    "wecom": wecom,
}
