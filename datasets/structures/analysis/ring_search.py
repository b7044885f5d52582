"""The search for rings on a graph in compressed rows: what numba compiles for `rings`.

A primitive ring of length 2k has its root and, opposite to it, an atom k bonds away that two shortest paths
lead to; one of length 2k + 1 has two bonded atoms k bonds away. It is primitive if and only if all its
opposite atoms are that far apart in the graph, because a shortcut between any two of its atoms also
shortens the way between two opposite ones. The root is the lowest of its atoms, so that each ring is found
once.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Int64Array = npt.NDArray[np.int64]

_MAX_PATHS = 20_000
"""More shortest paths to one atom than this only occur in networks without meaning."""


@njit(cache=True)
def _search(
    starts: Int64Array,
    neighbours: Int64Array,
    root: int,
    depth: int,
    level: Int64Array,
    queue: Int64Array,
    avoid: int,
) -> int:
    """Breadth-first levels around `root`, not through `avoid`; `queue` holds what was reached, its number is
    returned. `level` is -1 elsewhere: the caller clears it.
    """
    level[root] = 0
    queue[0] = root
    head, tail = 0, 1
    while head < tail:
        here = queue[head]
        head += 1
        if level[here] == depth:
            break
        for edge in range(starts[here], starts[here + 1]):
            there = neighbours[edge]
            if level[there] < 0 and there != avoid:
                level[there] = level[here] + 1
                queue[tail] = there
                tail += 1
    return tail


@njit(cache=True)
def _balls(
    starts: Int64Array, neighbours: Int64Array, depth: int
) -> tuple[Int64Array, npt.NDArray[np.int32], npt.NDArray[np.int8]]:
    """Around every atom what is within `depth` bonds: rows of atoms in order, and how far each is."""
    n = len(starts) - 1
    level, queue = np.full(n, -1, np.int64), np.empty(n, np.int64)
    begin = np.zeros(n + 1, np.int64)
    for root in range(n):
        count = _search(starts, neighbours, root, depth, level, queue, -1)
        begin[root + 1] = begin[root] + count
        for k in range(count):
            level[queue[k]] = -1
    nodes, far = np.empty(begin[n], np.int32), np.empty(begin[n], np.int8)
    for root in range(n):
        count = _search(starts, neighbours, root, depth, level, queue, -1)
        row = np.sort(queue[:count])
        for k in range(count):
            nodes[begin[root] + k] = row[k]
            far[begin[root] + k] = level[row[k]]
        for k in range(count):
            level[queue[k]] = -1
    return begin, nodes, far


@njit(cache=True)
def _paths(
    starts: Int64Array,
    neighbours: Int64Array,
    level: Int64Array,
    end: int,
    lowest: int,
    paths: Int64Array,
) -> int:
    """All shortest paths from `end` down to level 0 over atoms not below `lowest`: `paths[i, j]` is at
    level j.

    Returns how many; -1 when there are more than fit.
    """
    top = level[end]
    paths[0, top] = end
    count = 1
    for j in range(top, 0, -1):
        total = count
        kept = 0
        # each path is continued in place, its further branches are appended
        for i in range(total):
            branches = 0
            here = paths[i, j]
            for edge in range(starts[here], starts[here + 1]):
                there = neighbours[edge]
                if level[there] != j - 1 or there < lowest:
                    continue
                if branches == 0:
                    paths[i, j - 1] = there
                else:
                    if count == len(paths):
                        return -1
                    paths[count, j : top + 1] = paths[i, j : top + 1]
                    paths[count, j - 1] = there
                    count += 1
                branches += 1
            if branches == 0:
                paths[i, j - 1] = -1
        for i in range(count):
            if paths[i, j - 1] >= 0:
                if kept != i:
                    paths[kept, j - 1 : top + 1] = paths[i, j - 1 : top + 1]
                kept += 1
        count = kept
    return count


@njit(cache=True)
def _distance(
    begin: Int64Array, nodes: npt.NDArray[np.int32], far: npt.NDArray[np.int8], one: int, other: int
) -> int:
    """Bonds between two atoms that are within reach of each other."""
    low, high = begin[one], begin[one + 1]
    while low < high:
        middle = (low + high) // 2
        if nodes[middle] < other:
            low = middle + 1
        else:
            high = middle
    if low < begin[one + 1] and nodes[low] == other:
        return far[low]
    return 127


@njit(cache=True)
def _add(
    found: Int64Array, n_found: int, length: int, up: Int64Array, down: Int64Array, k: int
) -> Int64Array:
    """Write the ring that goes `up` from level 0 to k and comes `down` again; a fuller table when needed."""
    if n_found == len(found):
        larger = np.full((2 * len(found), found.shape[1]), -1, np.int64)
        larger[:n_found] = found
        found = larger
    found[n_found, : k + 1] = up[: k + 1]
    for j in range(k + 1, length):
        found[n_found, j] = down[length - j]
    return found


@njit(cache=True)
def primitive_kernel(starts: Int64Array, neighbours: Int64Array, max_length: int) -> tuple[Int64Array, bool]:
    """Primitive rings of 3 to `max_length` atoms (n, max_length), and whether all were enumerated."""
    n = len(starts) - 1
    depth = max_length // 2
    begin, nodes, far = _balls(starts, neighbours, depth)
    level, queue = np.full(n, -1, np.int64), np.empty(n, np.int64)
    one = np.empty((_MAX_PATHS, depth + 1), np.int64)
    two = np.empty((_MAX_PATHS, depth + 1), np.int64)
    found, n_found = np.full((1024, max_length), -1, np.int64), 0
    for root in range(n):
        count = _search(starts, neighbours, root, depth, level, queue, -1)
        for q in range(1, count):
            end = queue[q]
            k = level[end]
            if end < root:
                continue
            n_one = _paths(starts, neighbours, level, end, root, one)
            if n_one < 0:
                return found[:n_found], False
            for a in range(n_one if k > 1 else 0):
                for b in range(a):
                    primitive = True
                    for j in range(1, k):
                        if _distance(begin, nodes, far, one[a, j], one[b, k - j]) < k:
                            primitive = False
                            break
                    if primitive:
                        found = _add(found, n_found, 2 * k, one[a], one[b], k)
                        n_found += 1
            if 2 * k + 1 > max_length or n_one == 0:
                continue
            for edge in range(starts[end], starts[end + 1]):
                twin = neighbours[edge]
                if twin <= end or level[twin] != k:
                    continue
                n_two = _paths(starts, neighbours, level, twin, root, two)
                if n_two < 0:
                    return found[:n_found], False
                for a in range(n_one):
                    for b in range(n_two):
                        primitive = True
                        for j in range(1, k + 1):
                            if _distance(begin, nodes, far, one[a, j], two[b, k + 1 - j]) < k or (
                                j < k and _distance(begin, nodes, far, one[a, j], two[b, k - j]) < k
                            ):
                                primitive = False
                                break
                        if primitive:
                            found = _add(found, n_found, 2 * k + 1, one[a], two[b], k)
                            n_found += 1
        for q in range(count):
            level[queue[q]] = -1
    return found[:n_found], True


@njit(cache=True)
def king_kernel(
    starts: Int64Array, neighbours: Int64Array, max_length: int, roots: npt.NDArray[np.bool_]
) -> tuple[Int64Array, bool]:
    """King's rings of 3 to `max_length` atoms at the `roots` (n_atoms,), some several times."""
    n = len(starts) - 1
    level, queue = np.full(n, -1, np.int64), np.empty(n, np.int64)
    paths = np.empty((_MAX_PATHS, max_length), np.int64)
    found, n_found = np.full((1024, max_length), -1, np.int64), 0
    closing = np.empty(2, np.int64)
    for root in range(n):
        if not roots[root]:
            continue
        closing[1] = root
        for x in range(starts[root], starts[root + 1] - 1):
            count = _search(starts, neighbours, neighbours[x], max_length - 2, level, queue, root)
            for y in range(x + 1, starts[root + 1]):
                k = level[neighbours[y]]
                if k < 0:
                    continue
                n_paths = _paths(starts, neighbours, level, neighbours[y], 0, paths)
                if n_paths < 0:
                    return found[:n_found], False
                for a in range(n_paths):
                    found = _add(found, n_found, k + 2, paths[a], closing, k)
                    n_found += 1
            for q in range(count):
                level[queue[q]] = -1
    return found[:n_found], True
