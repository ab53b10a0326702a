"""The tree against the known answers of Certificate Transparency's own tests, and against its definition."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.audit.tree import (
    Tree,
    consistency_ranges,
    inclusion_ranges,
    is_consistent,
    is_included,
    leaf_hash,
    node_hash,
    range_roots,
)

# The inputs that the reference implementations of RFC 6962 are tested with, and what came out there.
LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
E = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
F = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
INCLUDED = {(0, 8): [A, B, C], (5, 8): [E, D, ROOTS[3]], (2, 3): [ROOTS[1]], (0, 1): []}
GREW = {(1, 8): [A, B, C], (6, 8): [F, D, ROOTS[3]], (2, 5): [B, E], (5, 5): []}


def tree_of(leaves: list[bytes]) -> Tree:
    tree = Tree()
    for leaf in leaves:
        tree.append(leaf)
    return tree


def defined(leaves: list[bytes]) -> bytes:
    """RFC 6962 2.1, word for word."""
    if len(leaves) < 2:
        return leaf_hash(leaves[0]) if leaves else hashlib.sha256(b"").digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(defined(leaves[:split]), defined(leaves[split:]))


def test_known_answers() -> None:
    """Trust: the roots and proofs of the field's own vectors (lesson A7)."""
    assert [tree_of(LEAVES[:size]).root() for size in range(1, 9)] == ROOTS
    assert Tree().root() == hashlib.sha256(b"").hexdigest()
    for (index, size), proof in INCLUDED.items():
        assert range_roots(LEAVES[:size], inclusion_ranges(index, size)) == proof
        assert is_included(ROOTS[size - 1], size, index, leaf_hash(LEAVES[index]), proof)
    for (old, size), proof in GREW.items():
        assert range_roots(LEAVES[:size], consistency_ranges(old, size)) == proof
        assert is_consistent(old, ROOTS[old - 1], size, ROOTS[size - 1], proof)


def test_every_small_tree_and_every_changed_proof() -> None:
    """Roots as defined, also taken up from kept nodes; all proofs of trees up to 20 hold; none that is spoilt does."""
    leaves = [b"%d" % number for number in range(20)]
    roots = [defined(leaves[:size]).hex() for size in range(21)]
    other = leaf_hash(b"other").hex()
    for size in range(1, 21):
        tree = tree_of(leaves[: size - 1])
        again = Tree(tree.size, tree.nodes)
        again.append(leaves[size - 1])
        assert again.root() == roots[size]
        for index in range(size):
            leaf, proof = leaf_hash(leaves[index]), range_roots(leaves[:size], inclusion_ranges(index, size))
            assert is_included(roots[size], size, index, leaf, proof)
            spoilt = [*([*proof[:at], other, *proof[at + 1 :]] for at in range(len(proof))), [*proof, other], proof[1:]]
            assert not any(is_included(roots[size], size, index, leaf, bad) for bad in spoilt if bad != proof)
            assert not is_included(other, size, index, leaf, proof)
            assert not is_included(roots[size], size, index, leaf_hash(b"x"), proof)
            assert not is_included(roots[size], size, (index + 1) % size, leaf, proof) or size == 1
        for old in range(1, size + 1):
            proof = range_roots(leaves[:size], consistency_ranges(old, size))
            assert is_consistent(old, roots[old], size, roots[size], proof), (old, size)
            spoilt = [*([*proof[:at], other, *proof[at + 1 :]] for at in range(len(proof))), [*proof, other], proof[1:]]
            assert not any(is_consistent(old, roots[old], size, roots[size], bad) for bad in spoilt if bad != proof)
            assert not is_consistent(old, other, size, roots[size], proof)
            assert not is_consistent(old, roots[old], size, other, proof)


@given(st.integers(-2, 40), st.integers(-2, 40), st.lists(st.sampled_from([A, B, "zz", "", "00"]), max_size=8))
def test_nonsense_proves_nothing_and_raises_nothing(one: int, two: int, proof: list[str]) -> None:
    assert not is_included("0" * 64, two, one, b"x", proof)
    assert not is_consistent(one, "0" * 64, two, "1" * 64, proof)


def test_what_is_no_tree_is_refused() -> None:
    for size, nodes in ((1, []), (3, [b"x" * 32]), (1, [b"short"]), (-1, [])):
        with pytest.raises(ValueError, match="nodes"):
            Tree(size, nodes)
    for ask in (lambda: inclusion_ranges(3, 3), lambda: consistency_ranges(0, 3), lambda: consistency_ranges(4, 3)):
        with pytest.raises(ValueError, match="tree of 3"):
            ask()
