"""What a user would write instead: Textual's own DataTable with the jobs in it, ten cells changed ten times a
second.
"""

from __future__ import annotations

import random
import sys

from textual.app import App, ComposeResult
from textual.widgets import DataTable

COLUMNS = ("AGE", "STATE", "JOB", "MACHINE", "WHO", "PRI", "EXIT", "COMMAND")


class PlainTable(App[None]):
    def __init__(self, rows: int) -> None:
        super().__init__()
        self.count = rows

    def compose(self) -> ComposeResult:
        yield DataTable(cursor_type="row")

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        self.keys = table.add_columns(*COLUMNS)
        for index in range(self.count):
            table.add_row(
                "1s", "running", f"j{index}", f"web-{index % 9000}", "carol@ops", "5", "0", "uptime", key=str(index)
            )
        table.focus()
        self.set_interval(0.1, self.change)

    def change(self) -> None:
        table = self.query_one(DataTable)
        for _ in range(10):
            table.update_cell(str(random.randrange(20)), self.keys[0], f"{random.randrange(60)}s")


if __name__ == "__main__":
    PlainTable(int(sys.argv[1])).run()
