"""Where the atoms are in the plane: the sheet of one frame, its outline, its vacancies and its turned bonds.

`lattice` gives sites all over the frame. Their amplitudes are fitted together, and those nearer to 1 than to
0 are the first atoms. `defects` decides from there site by site, and turns the bonds that the frame shows
turned. Then all atoms settle near their sites, as `plane_likelihood` and thermal vibration have them. The
number of atoms is a result.

Cost: frames of 240 and 640 atoms take 0.4 and 0.8 s of one core, half of it for turned bonds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from datasets.errors import InputError
from recon.graphene.defects import holes, occupied, turn_bonds
from recon.graphene.lattice import bent_sites, find_lattice, local_waves, significance
from recon.graphene.multislice import FrameModel
from recon.graphene.plane_likelihood import PlaneLikelihood
from recon.graphene.prior import BOND

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

VIBRATION = 0.08
"""Å along each axis, the spread of atoms about their lattice: classical vibration at 1000 K gives 0.07 in
plane, and as much is in short ripples."""
RIM = 3.0
"""Å beyond the atoms, two rows, in which the lattice goes on in `FoundSheet.unseen`."""
FAINTEST = 3.0
"""Amplitude of the lattice over its noise below which no lattice is seen."""
LONGEST_BOND = 1.25
"""Atoms nearer than this many bonds in the plane are neighbours, three at most; the next nearest are at
1.73."""


@dataclass(frozen=True)
class FoundSheet:
    """The atoms of a frame in the plane.

    `positions` (n_atoms, 2) as (x, y) [Å]; `sites` (n_atoms, 2), where the lattice alone has them; `turned`
    (n, 2), the middles of bonds that are turned [Å]; `missing` (n, 2), sites inside the sheet without an
    atom; `unseen` (n, 2), where the lattice goes on around the sheet; `significance`, the amplitude of the
    lattice over its noise.
    """

    positions: FloatArray
    sites: FloatArray
    turned: FloatArray
    missing: FloatArray
    unseen: FloatArray
    significance: float


def find_sheet(
    model: FrameModel, frame: FloatArray, x: FloatArray, y: FloatArray, *, spread: float = VIBRATION
) -> FoundSheet:
    """The sheet of `frame` (n_y, n_x) [e⁻/pixel] with pixels at `x` and `y` [Å]; as many atoms as there seem
    to be, each about its site with a standard deviation of `spread` [Å] but for what the frame says.

    Raises `InputError` where no lattice stands out of the noise.
    """
    contrast = frame / frame.mean() - 1
    lattice = find_lattice(contrast, x, y, model)
    waves = local_waves(contrast, x, y, lattice, model)
    clear = significance(waves, contrast, float(x[1] - x[0]))
    none = InputError(f"no honeycomb of bonds of {BOND:.2f} Å stands out of the noise of this frame")
    if clear < FAINTEST:
        raise none
    sites = bent_sites(waves, x, y, lattice)
    inside = np.all((sites > [x[0], y[0]]) & (sites < [x[-1], y[-1]]), axis=1)
    sites = np.concatenate([sites[inside], sites[~inside]])
    n = int(inside.sum())
    likelihood = PlaneLikelihood.of(model, frame, x, y)
    first = _by_amplitude(likelihood, sites[:n])
    if not first.any():
        raise none
    likelihood = likelihood.scaled(sites[:n][first])
    neighbours = bonds(sites[:n])
    present = occupied(likelihood, sites[:n], neighbours, first)
    places, present, turned = turn_bonds(likelihood, sites[:n], neighbours, present)
    present = occupied(likelihood, places, neighbours, present)
    if not present.any():
        raise none
    _, positions = likelihood.relaxed(places[present], np.empty((0, 2)), spread=spread)
    hole = holes(neighbours, present)
    others = np.concatenate([places[~present & ~hole], sites[n:]])
    near = np.asarray(cKDTree(positions).query(others)[0]) < RIM
    middles = [0.5 * (places[i] + places[j]) for i, j in turned]
    return FoundSheet(
        positions, places[present], np.reshape(middles, (-1, 2)), places[hole], others[near], clear
    )


def bonds(positions: FloatArray) -> IntArray:
    """Neighbours (n, 3) of every atom at `positions` (n, 2 or 3) [Å], nearest in the plane first, −1 where
    there are fewer. Bonds are mutual.
    """
    plane = positions[:, :2]
    n = len(plane)
    if n < 2:
        return np.full((n, 3), -1)
    count = min(4, n)
    distances, near = map(np.asarray, cKDTree(plane).query(plane, k=count))
    found = np.full((n, 3), -1)
    found[:, : count - 1] = np.where(distances[:, 1:] < LONGEST_BOND * BOND, near[:, 1:], -1)
    mutual = np.array([[j >= 0 and i in found[j] for j in row] for i, row in enumerate(found)])
    return np.where(mutual, found, -1)


def _by_amplitude(likelihood: PlaneLikelihood, sites: FloatArray) -> BoolArray:
    """Which of the `sites` (n, 2) have an amplitude nearer to 1 than to 0, all fitted together."""
    own = float(likelihood.overlap(0))
    information = likelihood.overlaps(sites).toarray()
    information[np.diag_indices_from(information)] = own * (1 + 1e-3)
    filtered = likelihood.matched.ev(sites[:, 1], sites[:, 0])
    return np.asarray(np.linalg.solve(information, filtered) > 0.5)
