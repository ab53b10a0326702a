"""Leaves out what a library loads and never uses here.

Memory and time that every process and every `answerback run` would pay for. Only for imports that the library's own
source shows to be unused as it is used here; where the library is of another mind, its own error says what it missed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Final

WEBSOCKETS: Final = {"importlib.metadata": (), "urllib.request": ("getproxies", "proxy_bypass")}
"""What `websockets` loads for its own checkouts, and to look for a proxy, which our links are told not to do: with what
these load, 2.5 MiB and 10 ms.
"""


@contextmanager
def without(*missing: str, hollow: Mapping[str, Sequence[str]] | None = None) -> Iterator[None]:
    """Within the block the modules `missing` cannot be imported, and those of `hollow` have only names that are None;
    modules that are loaded already stay as they are. Afterwards all of them can be imported as ever.
    """
    stand_ins: dict[str, ModuleType | None] = {name: None for name in missing if name not in sys.modules}
    for name, attributes in (hollow or {}).items():
        if name not in sys.modules:
            stand_ins[name] = made = ModuleType(name)
            made.__dict__.update(dict.fromkeys(attributes))
    sys.modules.update(stand_ins)  # type: ignore[arg-type]  # None: as if it were not installed
    try:
        yield
    finally:
        for name, module in stand_ins.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
