"""Free-standing graphene that ripples: molecular dynamics of a periodic sheet in a cell a little too small.

The system of Zhang et al., graphene in single low-dose frames: 640 carbon atoms simulated, about 747 in the
field of view of the experiment, 80 kV, 1 ms per frame.

A free sheet of 4 nm ripples less than the experiment's, so both edges of its cell are shortened by
`compression` and the sheet buckles. Root mean square height [Å] of 640 atoms, mean ± deviation over 45 ps:

    compression   0             0.005         0.010         0.015         0.020
    300 K         0.27 ± 0.05   0.62 ± 0.07   0.99 ± 0.05   1.22 ± 0.04   1.35 ± 0.03
    1000 K        0.45 ± 0.08   0.71 ± 0.09   1.01 ± 0.07   1.27 ± 0.07   1.43 ± 0.06

It grows roughly as the edge. Compressed by 0.01, waves as long as the cell, along x and y both and with
phases of their own, hold 93 % of the variance at 300 K and 82 % at 1000 K (free: 59 %); the shorter ones are
thermal, and beyond q = 0.25/Å their variance falls as q^-4.2 and q^-4.0 (free: q^-3.8; one snapshot ± 0.4):
compression steepens the spectrum, h² ∝ 1/(κ q⁴ − σ q²).

The default is 1000 K, where ripples are least like one big wave and bonds vibrate, in classical dynamics,
as much as zero-point motion makes real ones: ħω/2k_B = 980 K for the stretching constant of aromatic C–C,
40.7 eV/Å² (Cornell et al., J. Am. Chem. Soc. 117, 5179 (1995)).

Compressed by 0.01, heights are correlated for 20 ps (to 1/e) at 300 K and 8 ps at 1000 K, in a free sheet for
0.6 ps: the phases of the long waves diffuse, the more slowly the higher these are. Frames 1 ms apart are
independent, then, and snapshots of one run would have to be 5 × 20 ps apart. Instead each starts anew from
the same flat sheet with velocities of its own; height and spectrum are steady after 5 ps, and 20 ps are run.

A snapshot holds the (classical) thermal vibration of its atoms: an image of it needs no more displacements.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.neighborlist import neighbor_list
from pydantic import Field

from datasets.cards import Card
from datasets.catalog import content_key
from datasets.errors import InputError
from datasets.pieces import has_piece, read_piece, write_piece
from datasets.store import atoms_to_dataset, dataset_to_atoms
from datasets.structures.molecular_dynamics import Stage, simulate_dynamics
from datasets.structures.potentials import CARBON_BOND, CARBON_TERSOFF
from datasets.structures.workspace import Workspace

VERSION = 1
FloatArray = npt.NDArray[np.float64]

FRAME_INTERVAL = 1.0
"""Time between two frames [ms], as in the experiment."""
DEFECT_DISTANCE = 8.0
"""Least distance between the centres of two defects [Å], about three hexagons."""
LARGEST_ASPECT = 1.5
"""Of the longer to the shorter edge of the sheet."""
CELL_HEIGHT = 25.0
"""Third edge of the cell [Å], not periodic."""
TIMESTEP = 0.001
"""Time step [ps]."""
DAMPING = 0.5
"""Time constant of the thermostat [ps]: critical for a 4 nm ripple, whose free period is about 6 ps."""

_BASIS = np.array([[1, 1], [5, 1], [7, 3], [11, 3]]) / [12, 4]
"""Atoms in the rectangular cell of 3 bonds × √3 bonds; none lies on an edge."""


class Parameters(Card):
    """The parameters of a rippling sheet."""

    n_atoms: int = Field(default=640, ge=60)
    """Atoms that the sheet has, missing ones already taken off."""
    compression: float = Field(default=0.012, ge=0, le=0.05)
    """How much shorter both edges of the cell are than those of the flat sheet; sets how high it ripples."""
    temperature: float = Field(default=1000.0, ge=1, le=2000)
    """Temperature of the dynamics [K]."""
    duration: float = Field(default=20.0, gt=0)
    """Time from the flat sheet to the snapshot [ps]."""
    vacancies: int = Field(default=0, ge=0)
    """Missing atoms, at random."""
    divacancies: int = Field(default=0, ge=0)
    """Missing pairs of bonded atoms, at random."""
    stone_wales: int = Field(default=0, ge=0)
    """Bonds turned by 90°, at random: each makes two pentagons and two heptagons."""
    snapshot: int = Field(default=0, ge=0)
    """Which frame of a series: the same sheet, defects and all, 1 ms × `snapshot` later."""


def generate(parameters: Parameters, seed: int, work: Workspace) -> Atoms:
    """The sheet of `seed`, periodic along x and y [Å].

    x runs along armchair, y along zigzag. The cell is centred on the origin: x and y lie within ± half of its
    edges, and the mean of z is 0. Raises `InputError` for a number of atoms that no such sheet has, and for
    more defects than fit.
    """
    sheet_stream, *frame_streams = np.random.SeedSequence(seed).spawn(2 + parameters.snapshot)
    flat = _flat_sheet(parameters, np.random.default_rng(sheet_stream))
    return _ripple(flat, parameters, np.random.default_rng(frame_streams[-1]), work)


def graphene_series(parameters: Parameters, seed: int, n_frames: int, work: Workspace) -> list[Atoms]:
    """Frames 0 … n_frames − 1 of the sheet of `seed`, those that `generate` gives with `snapshot` 0, 1, …

    Each has `info["time"]` [ms] and the same atoms in the same order. Frames that were finished before a run
    was stopped are not made again.
    """
    frames = []
    with work.bar(n_frames, "frames", unit="frame") as bar:
        for k in range(n_frames):
            one = parameters.model_copy(update={"snapshot": k})
            frame = _kept(one, seed, work)
            frame.info["time"] = k * FRAME_INTERVAL
            frames.append(frame)
            bar.update()
    return frames


def _kept(parameters: Parameters, seed: int, work: Workspace) -> Atoms:
    """The sheet of `generate`, from the workspace where it is there already."""
    if work.checkpoints is None:
        return generate(parameters, seed, work)
    url = str(work.checkpoints / f"graphene-{content_key([parameters.model_dump(), seed, VERSION])}")
    if not has_piece(url):
        write_piece(url, atoms_to_dataset(generate(parameters, seed, work)))
    return dataset_to_atoms(read_piece(url))


def _ripple(flat: Atoms, parameters: Parameters, rng: np.random.Generator, work: Workspace) -> Atoms:
    """Dynamics from the compressed flat sheet, shaken a little so that it may buckle either way."""
    atoms = flat.copy()
    atoms.set_cell(flat.cell.array * [[1 - parameters.compression], [1 - parameters.compression], [1]], True)
    atoms.positions[:, 2] = rng.normal(scale=0.05, size=len(atoms))
    schedule = [
        Stage("relax", 50, ensemble="minimise"),
        Stage(
            "ripple",
            round(parameters.duration / TIMESTEP),
            parameters.temperature,
            ensemble="langevin",
            damping=DAMPING,
        ),
    ]
    seed = int(rng.integers(2**31))
    name = f"graphene-{parameters.snapshot}"
    after = simulate_dynamics(
        atoms, CARBON_TERSOFF, schedule, seed=seed, timestep=TIMESTEP, work=work, name=name
    )
    moved, edges = after.positions - atoms.positions, atoms.cell.lengths()[:2]
    moved[:, :2] -= edges * np.rint(moved[:, :2] / edges)
    moved -= moved.mean(axis=0)
    after.positions = atoms.positions + moved
    after.positions -= [*edges / 2, after.positions[:, 2].mean()]
    after.wrap(center=(0, 0, 0))
    return after


def _flat_sheet(parameters: Parameters, rng: np.random.Generator) -> Atoms:
    """The flat sheet with its defects, before compression, inside its cell."""
    n_x, n_y = supercell(parameters.n_atoms + parameters.vacancies + 2 * parameters.divacancies)
    edges = np.array([3 * CARBON_BOND, np.sqrt(3) * CARBON_BOND])
    corners = np.stack(np.meshgrid(np.arange(n_x), np.arange(n_y), indexing="ij"), axis=-1)
    plane = (corners.reshape(-1, 1, 2) + _BASIS).reshape(-1, 2) * edges
    atoms = Atoms(
        f"C{len(plane)}",
        np.column_stack([plane, np.zeros(len(plane))]),
        cell=[n_x * edges[0], n_y * edges[1], CELL_HEIGHT],
        pbc=(True, True, False),
    )
    return _with_defects(atoms, parameters, rng)


def supercell(n_sites: int) -> tuple[int, int]:
    """Rectangular cells along x and y, 4 sites each, of the sheet nearest to a square.

    Raises `InputError` where no sheet of `n_sites` has edges in a ratio below 1.5; it names the nearest two.
    """
    best = _best_cells(n_sites)
    if best is None:
        near = sorted(range(max(n_sites - 200, 16), n_sites + 200), key=lambda n: (abs(n - n_sites), n))
        possible = [n for n in near if _best_cells(n) is not None][:2]
        raise InputError(
            f"structure graphene: no nearly square sheet has {n_sites} sites (n_atoms + missing ones); "
            f"the nearest have {' and '.join(map(str, sorted(possible)))}"
        )
    return best


def _best_cells(n_sites: int) -> tuple[int, int] | None:
    """The cells along x and y nearest to a square; None where the edges differ by more than 1.5."""
    n_cells, rest = divmod(n_sites, 4)
    pairs = [(n, n_cells // n) for n in range(1, n_cells + 1) if n_cells % n == 0]
    ratio, best = min((abs(np.log(np.sqrt(3) * n_x / n_y)), (n_x, n_y)) for n_x, n_y in pairs)
    return best if rest == 0 and ratio < np.log(LARGEST_ASPECT) else None


def _with_defects(flat: Atoms, parameters: Parameters, rng: np.random.Generator) -> Atoms:
    """`flat` with bonds turned and atoms and pairs of them taken out at random, apart from one another."""
    first, second, vectors = neighbor_list("ijD", flat, 1.2 * CARBON_BOND)
    atoms, centres = flat.copy(), np.empty((0, 3))
    middles = flat.positions[first] + vectors / 2
    for bond in _apart(flat, middles, parameters.stone_wales, centres, rng):
        half = 0.5 * np.array([-vectors[bond, 1], vectors[bond, 0], 0])
        atoms.positions[first[bond]] = middles[bond] - half
        atoms.positions[second[bond]] = middles[bond] + half
        centres = np.vstack([centres, middles[bond]])
    missing = _apart(flat, flat.positions, parameters.vacancies, centres, rng)
    centres = np.vstack([centres, flat.positions[missing]])
    pairs = _apart(flat, middles, parameters.divacancies, centres, rng)
    del atoms[[*missing, *first[pairs].tolist(), *second[pairs].tolist()]]
    atoms.wrap()
    return atoms


def _apart(
    flat: Atoms, places: FloatArray, wanted: int, taken: FloatArray, rng: np.random.Generator
) -> list[int]:
    """`wanted` of the `places` (n, 3) [Å] at random, each 8 Å or more from the others and those `taken`."""
    edges = flat.cell.lengths()[:2]
    chosen: list[int] = []
    for place in rng.permutation(len(places)):
        if len(chosen) == wanted:
            break
        others = np.vstack([taken, places[chosen]])[:, :2] - places[place, :2]
        others -= edges * np.rint(others / edges)
        if np.all(np.hypot(*others.T) >= DEFECT_DISTANCE):
            chosen.append(int(place))
    if len(chosen) < wanted:
        raise InputError(
            f"structure graphene: {len(chosen) + len(taken)} defects {DEFECT_DISTANCE:g} Å apart is all that "
            f"found room on {len(flat)} sites"
        )
    return chosen
