"""What is unknown beside the positions of atoms, by name, and how it acts on the images.

Some of it leaves a direction undetermined, because the specimen can make up for it. Each such direction is
fixed as by a reconstructor that trusts the nominal geometry on average: the mean rotation over all tilts
(`angles`), the translation that explains the shifts best (`shifts`), the mean gain (`scales`) are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.limits.model import ImageModel
from benchmarks.limits.windows import AMPLITUDE, WIDTH, U, V
from datasets.errors import InputError, unknown_name

FloatArray = npt.NDArray[np.float64]

NUISANCES = {
    "amplitudes": "the amplitude of every atom",
    "species": "the mean amplitude of every species",
    "widths": "the width of every species",
    "background": "the background",
    "shifts": "the shift of every image",
    "scales": "the intensity of every image",
    "angles": "the three angles of every tilt",
}
"""What can be unknown beside the positions, in words."""

PER_TILT = {"shifts": 2, "scales": 1, "angles": 3}


def check_names(names: Sequence[str]) -> tuple[str, ...]:
    """`names` of nuisances in the order of `NUISANCES`, each once; raises `InputError`."""
    for name in names:
        if name not in NUISANCES:
            raise unknown_name("nuisance", name, NUISANCES)
    if {"amplitudes", "species"} <= set(names):
        raise InputError(
            "amplitudes and species cannot both be unknown: those of atoms include those of species"
        )
    return tuple(name for name in NUISANCES if name in names)


@dataclass(frozen=True)
class Unknowns:
    """The parameters θ: 3n positions [Å], n amplitudes where `names` hold them, then `n_shared` that many
    atoms share, in the order of `NUISANCES`; those of an image lie together, image after image.
    """

    names: tuple[str, ...]
    n_atoms: int
    n_species: int
    n_tilt: int

    @classmethod
    def of(cls, model: ImageModel, names: Sequence[str] = ()) -> Unknowns:
        """Positions and `names`, in any order. Raises `InputError` for a name there is not."""
        return cls(check_names(names), len(model.labels), len(model.kernels.names), len(model.series))

    @property
    def label(self) -> str:
        """What is unknown, in words."""
        return " and ".join(["positions", *(NUISANCES[name] for name in self.names)]) + " unknown"

    @property
    def n_own(self) -> int:
        """Parameters of single atoms."""
        return self.n_atoms * (4 if "amplitudes" in self.names else 3)

    def slices(self) -> dict[str, slice]:
        """Where each shared nuisance lies among the shared parameters."""
        sizes = {"species": self.n_species, "widths": self.n_species, "background": 1}
        sizes |= {name: count * self.n_tilt for name, count in PER_TILT.items()}
        found, start = {}, 0
        for name in self.names:
            if name != "amplitudes":
                found[name] = slice(start, start + sizes[name])
                start += sizes[name]
        return found

    @property
    def n_shared(self) -> int:
        """Parameters that many atoms share."""
        return max((own.stop for own in self.slices().values()), default=0)

    def shared(self, model: ImageModel, tilt: int) -> tuple[npt.NDArray[np.int64], FloatArray, FloatArray]:
        """The m shared parameters that act on image `tilt`: their indices (m,), their coefficients (m, n, 4)
        as of `ImageModel.differentiate`, and what each adds to every pixel (m,).
        """
        weight = model.series.gains[tilt] * model.amplitudes
        indices, rows, constants = [], [], []
        for name, own in self.slices().items():
            first = own.start + (PER_TILT[name] * tilt if name in PER_TILT else 0)
            for nth, (columns, constant) in enumerate(self._act(name, model, tilt, weight)):
                coefficients = np.zeros((self.n_atoms, 4))
                for column, values in columns.items():
                    coefficients[:, column] = values
                indices.append(first + nth)
                rows.append(coefficients)
                constants.append(constant)
        stacked = np.stack(rows) if rows else np.zeros((0, self.n_atoms, 4))
        return np.array(indices, dtype=np.int64), stacked, np.array(constants, dtype=float)

    def _act(
        self, name: str, model: ImageModel, tilt: int, weight: FloatArray
    ) -> list[tuple[dict[int, FloatArray], float]]:
        """For each parameter of `name` in this image: {column of the coefficients: values (n,)}, constant."""
        if name == "background":
            return [({}, 1.0)]
        if name == "scales":
            return [({AMPLITUDE: model.amplitudes}, 0.0)]
        if name == "shifts":
            return [({U: weight}, 0.0), ({V: weight}, 0.0)]
        if name == "angles":
            x, y, z = model.series.turns[tilt] @ model.positions.T  # e_k × (x, y, z), its first two parts
            return [
                ({V: -weight * z}, 0.0),
                ({U: weight * z}, 0.0),
                ({U: -weight * y, V: weight * x}, 0.0),
            ]
        column = WIDTH if name == "widths" else AMPLITUDE
        return [({column: weight * (model.labels == s)}, 0.0) for s in range(self.n_species)]

    def known(self, model: ImageModel) -> FloatArray:
        """Orthonormal rows (n_known, n_shared): the combinations of shared parameters that are known."""
        turns, n = model.series.turns, self.n_tilt
        blocks = {
            "shifts": turns[:, :2].reshape(-1, 3).T,  # Σ_t P_tᵀ s_t
            "angles": turns.reshape(-1, 3).T,  # Σ_t R_tᵀ ω_t
            "scales": np.ones((1, n)),
        }
        rows = []
        for name, own in self.slices().items():
            if name in blocks:
                row = np.zeros((len(blocks[name]), self.n_shared))
                row[:, own] = blocks[name]
                rows.append(row)
        if not rows:
            return np.zeros((0, self.n_shared))
        _, values, vectors = np.linalg.svd(np.concatenate(rows), full_matrices=False)
        return vectors[values > 1e-9 * values[0]]
