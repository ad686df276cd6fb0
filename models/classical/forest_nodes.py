"""A grown forest as arrays: what is needed to find leaves, and nothing of the library that grew it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

from features.errors import FormatError

Ints = NDArray[np.int64]
NO_CHILD = -1


@dataclass(frozen=True, slots=True)
class ForestNodes:
    """Nodes of m trees, one after the other, each tree's from its root on.

    ``first`` (m,): number of each root. ``feature`` (k,): column that a node splits; ``threshold`` (k,) float64: up
    to it a row goes to ``left`` (k,), else to ``right`` (k,), numbers within the tree, -1 at a leaf.

    Raises
    ------
    FormatError
        If a child does not come after its parent, so that a row would find no leaf.
    """

    first: Ints
    feature: Ints
    threshold: NDArray[np.float64]
    left: Ints
    right: Ints

    def __post_init__(self) -> None:
        """Refuse nodes among which a row could go round in circles or astray."""
        count = len(self.threshold)
        if {len(self.feature), len(self.left), len(self.right)} != {count} or not len(self.first) or not count:
            raise FormatError("a forest's arrays differ in length; train again")
        inner = self.left != NO_CHILD
        if self.first[0] != 0 or (np.diff(self.first) <= 0).any() or (self.feature[inner] < 0).any():
            raise FormatError("a forest's trees do not follow one another; train again")
        tree = np.searchsorted(self.first, np.arange(count), side="right") - 1
        own = np.arange(count) - self.first[tree]
        size = np.append(self.first[1:], count)[tree] - self.first[tree]
        for child in (self.left, self.right):
            if (child[inner] <= own[inner]).any() or (child[inner] >= size[inner]).any():
                raise FormatError("a forest's node has a child that does not come after it; train again")

    @classmethod
    def of(cls, forest: RandomForestRegressor) -> "ForestNodes":
        """Nodes of a grown forest."""
        trees = [tree.tree_ for tree in forest.estimators_]
        sizes = [tree.node_count for tree in trees]
        feature, left, right = (
            np.concatenate([getattr(tree, name) for tree in trees]).astype(np.int64)
            for name in ("feature", "children_left", "children_right")
        )
        threshold = np.concatenate([tree.threshold for tree in trees])
        return cls(np.cumsum([0, *sizes[:-1]]), feature, threshold, left, right)

    def apply(self, x: NDArray[np.floating]) -> Ints:
        """Leaf of every tree that each row falls into, shape (n, f) -> (n, m), numbers within the tree."""
        rows = np.asarray(x, dtype=np.float32)  # as the forest read its training rows
        found = np.zeros((len(rows), len(self.first)), dtype=np.int64)
        for m, first in enumerate(self.first):
            node, going = found[:, m], np.arange(len(rows))
            while len(going):
                at = first + node[going]
                going, at = going[self.left[at] != NO_CHILD], at[self.left[at] != NO_CHILD]
                below = rows[going, self.feature[at]] <= self.threshold[at]
                node[going] = np.where(below, self.left[at], self.right[at])
        return found
