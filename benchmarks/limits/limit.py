"""The physical limit of one dataset at one dose: what no unbiased reconstructor can beat, and its floor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

PM_PER_ANGSTROM = 100.0


@dataclass(frozen=True)
class Limit:
    """The bound and the floor of every atom at `dose` [e⁻/Å² per image].

    `variance` (n,) [Å²] of its distance, one translation of all atoms removed; where F was too large to
    invert, unbiased estimates that mean something only as a mean over many atoms, with the relative standard
    error `error` of the bound over all. `displacement` (n, 3) [Å] of the best noise-free fit. `unexplained`
    is the part of the noise-free images (rms over rms) that a sum of atoms leaves.
    """

    dose: float
    unknown: str
    symbols: tuple[str, ...]
    variance: FloatArray
    displacement: FloatArray
    unexplained: float
    error: float = 0.0
    seconds: float = 0.0

    def _chosen(self, values: FloatArray, atoms: npt.ArrayLike | str | None) -> float:
        if isinstance(atoms, str):
            atoms = np.array(self.symbols) == atoms
        chosen = values if atoms is None else values[np.asarray(atoms)]
        return float(chosen.mean()) if len(chosen) else np.nan

    def bound(self, atoms: npt.ArrayLike | str | None = None) -> float:
        """The least RMSD [pm] over all atoms, those of an element, or those of an index or mask."""
        return PM_PER_ANGSTROM * float(np.sqrt(max(self._chosen(self.variance, atoms), 0)))

    def floor(self, atoms: npt.ArrayLike | str | None = None) -> float:
        """RMSD [pm] of the noise-free fit."""
        squares: FloatArray = (self.displacement**2).sum(axis=1)
        return PM_PER_ANGSTROM * float(np.sqrt(self._chosen(squares, atoms)))

    def with_floor(self, atoms: npt.ArrayLike | str | None = None) -> float:
        """√(bound² + floor²) [pm]: where the best fit of a sum of atoms would come."""
        return float(np.hypot(self.bound(atoms), self.floor(atoms)))
