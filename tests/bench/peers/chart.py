"""The rows as one SVG: a panel each, a bar for everything that was measured, Answerback's in another colour."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, Final

WIDTH: Final = 760
LABELS: Final = 250
BAR: Final = 20
OURS: Final = ("answerback", "hub", "uplink", "runner", "help", "status", "machines", "statements", "commits", "syncs")


def draw(found: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """`found` is what the bench writes as JSON; `titles` says what each row is."""
    y, parts = 34, []
    for name, row in found["rows"].items():
        bars: Mapping[str, float] = row.get("bars", {})
        if not bars:
            continue
        parts.append(
            f'<text x="12" y="{y}" class="title">{escape(titles.get(name, name))} ({escape(row["unit"])})</text>'
        )
        y += 10
        most = max(max(bars.values()), 1e-9)
        for label, value in bars.items():
            length = max(1, round((WIDTH - LABELS - 90) * value / most))
            ours = label.lower().startswith(OURS) or name in ("machines", "growth", "links")
            parts.append(f'<text x="{LABELS - 8}" y="{y + 14}" class="label">{escape(label)}</text>')
            colour = "us" if ours else "they"
            parts.append(f'<rect x="{LABELS}" y="{y + 3}" width="{length}" height="{BAR - 6}" class="{colour}"/>')
            parts.append(f'<text x="{LABELS + length + 6}" y="{y + 14}">{value:g}</text>')
            y += BAR
        y += 28
    machine = found["machine"]
    foot = f"{machine['at']}, {machine['commit']}, {machine['cores']} x {machine['cpu']}, Python {machine['python']}"
    parts.append(f'<text x="12" y="{y}">{escape(foot)}</text>')
    style = (
        "text{font:12px sans-serif;fill:#222}.title{font-weight:bold}.label{text-anchor:end}"
        ".us{fill:#0b7285}.they{fill:#adb5bd}"
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 16}" viewBox="0 0 {WIDTH} {y + 16}">'
    back = f'<rect width="{WIDTH}" height="{y + 16}" fill="#fff"/>'
    return "\n".join([head, f"<style>{style}</style>", back, *parts, "</svg>", ""])
