"""Values of every type of the API, as hypothesis makes them of the type hints."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import is_dataclass
from enum import Enum
from typing import Any, Literal, TypeVar, get_args, get_origin

from hypothesis import strategies as st

from common.api import constraints as c
from common.api.hints import bare, hints_of, is_union, marks_of
from common.fields import MAX_INT, MAX_TIME

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
PLAIN: Mapping[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    bytes: st.binary(max_size=8),
    int: st.integers(0, MAX_INT),
    float: st.floats(-1e9, 1e9),
    bool: st.booleans(),
    type(None): st.none(),
    Any: st.recursive(st.none() | st.booleans() | st.integers(0, 9) | TEXT, st.lists, max_leaves=3),
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values that a field may have."""
    for mark in marks_of(hint):
        found = _of_constraint(mark, bare(hint))
        if found is not None:
            none = is_union(bare(hint)) and type(None) in get_args(bare(hint))
            return found | st.none() if none and not isinstance(mark, c.Clamp) else found
    hint, origin, args = bare(hint), get_origin(bare(hint)), get_args(bare(hint))
    if hint in PLAIN:
        return PLAIN[hint]
    if is_union(hint):
        return st.one_of([values(arg) for arg in args])
    if origin is Literal:
        return st.sampled_from(args)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(list(hint))
    if origin is tuple:
        least = 1 if isinstance(args[0], type) and issubclass(args[0], Enum) else 0
        return st.lists(values(args[0]), min_size=least, max_size=3).map(tuple)
    if is_dataclass(origin or hint):
        return objects(hint)
    assert not isinstance(hint, TypeVar | types.FunctionType), hint
    return st.dictionaries(values(args[0]), values(args[1]), max_size=3)


def objects(kind: Any) -> st.SearchStrategy[Any]:
    """Objects of a dataclass."""
    hints = hints_of(kind)
    return st.builds(get_origin(kind) or kind, **{name: values(hint) for name, hint in hints.items()})


def _of_constraint(mark: Any, hint: Any) -> st.SearchStrategy[Any] | None:
    match mark:
        case c.Chars(least=least):
            return st.text(st.characters(codec="utf-8"), min_size=least, max_size=least + 8)
        case c.Matches(pattern=pattern):
            return st.from_regex(pattern, fullmatch=True)
        case c.Whole(low=low, high=high) | c.Clamp(low=low, high=high):
            return st.integers(low, high)
        case c.Range(low=low, high=high):
            return st.floats(low, high)
        case c.Words():
            return st.lists(TEXT, min_size=1, max_size=3).map(tuple)
    return st.floats(0, MAX_TIME) if mark is c.TIME else None
