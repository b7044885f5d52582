"""How well atoms at given places of the plane explain a frame, from pairs of atoms.

To first order a frame is a sum of images of atoms, all alike but for what their heights do to them, a few
percent. With noise that is the same everywhere, the log-likelihood of atoms at r_i over that of vacuum is

    L = Σ_i (a b(r_i) − ½ a² G(0)) − ½ Σ_(i≠j) a² G(|r_i − r_j|),

b the frame filtered with the image of an atom, G the autocorrelation of that image, round as the lens is, and
a the mean amplitude of all atoms. So what one atom more or less, or somewhere else, is worth costs a look
into two tables. √G(0) is how many standard deviations of the noise a single atom stands out.

Cost: two FFTs of the frame for b, and 50 pairs per atom, those nearer than 7 Å, for L and its gradient:
640 atoms 5 ms.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline, RectBivariateSpline
from scipy.optimize import minimize
from scipy.sparse import coo_array, csr_array
from scipy.spatial import cKDTree

from recon.graphene.multislice import FrameModel

FloatArray = npt.NDArray[np.float64]

REACH = 7.0
"""Å between atoms beyond which their images do not overlap: at 7 Å G is a ten-thousandth of what it is at
0, through a lens of 80 Å of defocus; through one of 300 Å a hundredth."""
TABLE_STEP = 0.05
"""Å between the nodes of G."""
SUREST = 20.0
"""Standard deviations by which an atom stands out at most: its height, which is not in the model, changes its
image by a twentieth."""


@dataclass(frozen=True, eq=False)
class PlaneLikelihood:
    """The log-likelihood of atoms in the plane: `matched` is b, `overlap` is G, `amplitude` a."""

    matched: RectBivariateSpline
    overlap: CubicSpline
    amplitude: float = 1.0

    @classmethod
    def of(cls, model: FrameModel, frame: FloatArray, x: FloatArray, y: FloatArray) -> PlaneLikelihood:
        """That of a `frame` (n_y, n_x) [e⁻/pixel] with pixels at `x` and `y` [Å], its mean left out."""
        image = model.linear()[0]
        padded = np.zeros(model.padded)
        padded[model.crop] = frame - frame.mean()
        modes = np.fft.rfft2(padded)[model.rows][:, : len(model.kx)]
        filtered = np.fft.irfft2(_full(model, image * modes), s=model.padded, norm="forward")[model.crop]
        distances = np.arange(0, REACH + TABLE_STEP, TABLE_STEP)
        kx = model.kx.cpu().numpy().astype(np.float64)
        power = (image**2).sum(axis=0) * np.where(kx == 0, 1.0, 2.0)
        pixels = model.padded[0] * model.padded[1]
        overlap = model.electrons * pixels * np.cos(2 * np.pi * np.outer(distances, kx)) @ power
        weight = min(1.0, SUREST**2 / float(overlap[0]))
        return cls(RectBivariateSpline(y, x, weight * filtered), CubicSpline(distances, weight * overlap))

    def scaled(self, positions: FloatArray) -> PlaneLikelihood:
        """The same with the amplitude that explains atoms at `positions` (n, 2) best."""
        one = replace(self, amplitude=1.0)
        norm = len(positions) * float(self.overlap(0)) + one.overlaps(positions).sum()
        filtered = self.matched.ev(positions[:, 1], positions[:, 0]).sum()
        return replace(self, amplitude=float(max(filtered / max(norm, 1e-12), 1e-3)))

    def alone(self, positions: FloatArray) -> FloatArray:
        """What an atom at each of `positions` (n, 2) adds to L where there is no other, (n,)."""
        filtered = self.matched.ev(positions[:, 1], positions[:, 0])
        return np.asarray(self.amplitude * filtered - 0.5 * self.amplitude**2 * float(self.overlap(0)))

    def overlaps(self, positions: FloatArray, others: FloatArray | None = None) -> csr_array:
        """a² G between all of `positions` (n, 2) and `others` (m, 2), or of each other, sparse (n, m)."""
        tree = cKDTree(positions)
        far = tree if others is None else cKDTree(others)
        near = tree.sparse_distance_matrix(far, REACH, output_type="ndarray")
        kept = near[near["i"] != near["j"]] if others is None else near
        values = self.amplitude**2 * self.overlap(kept["v"])
        return coo_array((values, (kept["i"], kept["j"])), shape=(tree.n, far.n)).tocsr()

    def value(self, positions: FloatArray, others: FloatArray) -> tuple[float, FloatArray]:
        """What atoms at `positions` (n, 2) add to L beside those at `others` (m, 2), and its gradient (n, 2)
        [1/Å].
        """
        x, y = positions.T
        total = float(self.alone(positions).sum())
        slope = np.column_stack([self.matched.ev(y, x, dy=1), self.matched.ev(y, x, dx=1)]) * self.amplitude
        every = np.concatenate([positions, others])
        near = cKDTree(positions).sparse_distance_matrix(cKDTree(every), REACH, output_type="ndarray")
        i, j, distance = near["i"], near["j"], np.maximum(near["v"], 1e-9)
        i, j, distance = (a[near["i"] != near["j"]] for a in (i, j, distance))
        share = np.where(j < len(positions), 0.5, 1.0)
        total -= self.amplitude**2 * float((share * self.overlap(distance)).sum())
        pull = self.amplitude**2 * self.overlap(distance, 1) / distance
        along = pull[:, None] * (positions[i] - every[j])
        for axis in (0, 1):
            slope[:, axis] -= np.bincount(i, along[:, axis], minlength=len(positions))
        return total, slope

    def relaxed(
        self, sites: FloatArray, others: FloatArray, *, spread: float, n_iter: int = 30
    ) -> tuple[float, FloatArray]:
        """The greatest log posterior of one atom near each of `sites` (n, 2), and where they are then (n, 2).

        Each is normal about its site with standard deviation `spread` [Å]; `others` (m, 2) stay.
        """

        def loss(flat: FloatArray) -> tuple[float, FloatArray]:
            off = flat.reshape(-1, 2) - sites
            value, slope = self.value(sites + off, others)
            return 0.5 * float((off**2).sum()) / spread**2 - value, (off / spread**2 - slope).ravel()

        # in units of the spread, so that the first step is not too long
        found = minimize(  # type: ignore[call-overload]
            lambda s: _times(loss(sites.ravel() + spread * s), spread),
            np.zeros(sites.size),
            jac=True,
            method="L-BFGS-B",
            bounds=[(-5.0, 5.0)] * sites.size,
            options={"maxiter": n_iter, "ftol": 1e-6},
        )
        return -float(found.fun), sites + spread * found.x.reshape(-1, 2)


def _times(pair: tuple[float, FloatArray], factor: float) -> tuple[float, FloatArray]:
    return pair[0], factor * pair[1]


def _full(model: FrameModel, modes: npt.NDArray[np.complex128]) -> npt.NDArray[np.complex128]:
    """The half plane of a padded frame, zero where `modes` has nothing."""
    full = np.zeros((model.padded[0], model.padded[1] // 2 + 1), dtype=np.complex128)
    full[np.ix_(model.rows, np.arange(modes.shape[1]))] = modes
    return full
