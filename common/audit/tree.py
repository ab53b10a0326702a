"""RFC 6962's Merkle tree: as it grows, and proofs that something is in it, or that it only grew.

Proofs are made from the events again, in one pass: nothing but the tree's few nodes is kept. They are checked as RFC
9162 2.1.3.2 and 2.1.4.2 say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


class Tree:
    """The roots of its full subtrees, largest first, at most one a power of two."""

    __slots__ = ("nodes", "size")

    def __init__(self, size: int = 0, nodes: Iterable[bytes] = ()) -> None:
        """Raises ValueError where there are not as many nodes as a tree of that size has."""
        self.size, self.nodes = size, list(nodes)
        if size < 0 or len(self.nodes) != size.bit_count() or any(len(node) != 32 for node in self.nodes):
            raise ValueError("not the nodes of such a tree")

    def append(self, data: bytes) -> None:
        """Adds a leaf over `data`; two hashes an event on average."""
        node, rest = leaf_hash(data), self.size
        while rest & 1:
            node = node_hash(self.nodes.pop(), node)
            rest >>= 1
        self.nodes.append(node)
        self.size += 1

    def root(self) -> str:
        """In hex; of the empty tree that of no bytes."""
        if not self.nodes:
            return hashlib.sha256(b"").hexdigest()
        node = self.nodes[-1]
        for left in reversed(self.nodes[:-1]):
            node = node_hash(left, node)
        return node.hex()


def _split(size: int) -> int:
    """The largest power of two below `size`, which is 2 or more."""
    return int(1 << (size - 1).bit_length() - 1)


def inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """The leaves (from, before) below each node of the proof that leaf `index` is in a tree of `size`, nearest first;
    raises ValueError.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} has no leaf {index}")
    found, low, high = [], 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        found.append((middle, high) if index < middle else (low, middle))
        low, high = (low, middle) if index < middle else (middle, high)
    return found[::-1]


def consistency_ranges(old: int, size: int) -> list[tuple[int, int]]:
    """The same of the proof that a tree of `old` became one of `size`; raises ValueError."""
    if not 0 < old <= size:
        raise ValueError(f"a tree of {size} has never had {old} leaves")
    found, low, high, whole = [], 0, size, True
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            found.append((middle, high))
            high = middle
        else:
            found.append((low, middle))
            low, whole = middle, False
    return ([] if whole else [(low, high)]) + found[::-1]


def range_roots(leaves: Iterable[bytes], ranges: Sequence[tuple[int, int]]) -> list[str]:
    """The roots over these ranges of leaves (the bytes before hashing), in hex, in their order; one pass."""
    trees = [(low, high, Tree()) for low, high in ranges]
    for index, data in enumerate(leaves):
        for low, high, tree in trees:
            if low <= index < high:
                tree.append(data)
    return [tree.root() for _, _, tree in trees]


def is_included(root: str, size: int, index: int, leaf: bytes, proof: Sequence[str]) -> bool:
    """Whether the proof leads from the leaf's hash at `index` to the root of a tree of `size`. Never raises."""
    if not 0 <= index < size:
        return False
    try:
        nodes = [_node(text) for text in proof]
    except ValueError:
        return False
    node, place, last = leaf, index, size - 1
    for sibling in nodes:
        if last == 0:
            return False
        if place & 1 or place == last:
            node = node_hash(sibling, node)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and node.hex() == root


def is_consistent(old: int, old_root: str, size: int, root: str, proof: Sequence[str]) -> bool:
    """Whether the proof shows that the tree of `old` with that root became the one of `size`. Never raises."""
    if not 0 < old <= size:
        return False
    if old == size:
        return not proof and old_root == root
    try:
        nodes = [_node(text) for text in proof]
        if old & (old - 1) == 0:
            nodes.insert(0, _node(old_root))
    except ValueError:
        return False
    place, last = old - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    if not nodes:
        return False
    before = after = nodes[0]
    for sibling in nodes[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            after = node_hash(after, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and (before.hex(), after.hex()) == (old_root, root)


def _node(text: str) -> bytes:
    node = bytes.fromhex(text)
    if len(node) != 32:
        raise ValueError("not a hash")
    return node
