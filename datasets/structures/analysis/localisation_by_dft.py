"""Electron localisation by density functional theory, bond by bond, on molecules cut from a sheet.

η = 1 / (1 + (D/D₀)²),   D = τ − |∇n|²/8n,   D₀ = 3/10 (3π²)^⅔ n^(5/3)

(Becke and Edgecombe, J. Chem. Phys. 92, 5397 (1990); Kohout and Savin, Int. J. Quantum Chem. 60, 875
(1996), eq. 7): 1 where a pair of electrons is alone, ½ in an even gas. n and τ are the smooth ones of the
valence, as GPAW's own `gpaw.elf` takes them, outside the cores those of all valence electrons. PBE, a
basis of atomic orbitals (dzp), atoms where they are, levels smeared by 0.05 eV as in paper 000, which had
a plane-wave basis and whole frames.

That paper says of its function neither at which points it was read nor which electrons it has. In the
middle of a bond of graphene η is 0.94, of the σ bond; it falls to 0.6 at 1 Å above it, 0.2 at 1.5 Å and
0.03 at 2 Å, and the paper's flat graphene has 0.04. So η is given here in the middle of the bond and on
either side of it.

Cost: 16 carbon and 10 hydrogen atoms, 75 × 63 × 31 points 0.2 Å apart, 10 steps to self-consistency: 16 s
of one core, of which the function itself is 0.8 s.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ase import Atoms
from scipy.ndimage import map_coordinates

from datasets.errors import InputError
from datasets.structures.analysis.patches import Patch, bond_patch, inner_bonds
from datasets.structures.analysis.sheet import BOND, displacements, levelled
from datasets.structures.analysis.strain import height_gradient, strain

FloatArray = npt.NDArray[np.float64]

HEIGHTS = (0.0, 0.5, 1.0, 1.5, 2.0)
"""Distances from the middle of the bond, across the sheet [Å], at which the function is read."""
SPACING = 0.2
"""Of the real-space grid [Å]."""
VACUUM = 3.0
"""Around the molecule [Å]."""
SMEARING = 0.05
"""Of the levels [eV] (paper 000, Methods)."""
THINNEST = 1e-6
"""Valence density [1/bohr³] below which the function is 0, GPAW's own."""

MISSING = "electron localisation by density functional theory needs gpaw: pip install 'dosebench[dft]'"


@dataclass(frozen=True)
class BondLocalisation:
    """One bond: `height` of its middle above the sheet's plane [Å], `gradient` of the sheet and `shear`
    there, `bond_length_change` δ, and `localisation` at `HEIGHTS`, the mean of both sides.
    """

    first: int
    second: int
    height: float
    gradient: float
    shear: float
    bond_length_change: float
    localisation: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Fit:
    """A polynomial: `coefficients` and their `standard_errors`, the highest power first; `residual`, the
    standard deviation of what is left.
    """

    coefficients: FloatArray
    standard_errors: FloatArray
    residual: float


def localisation(
    atoms: Atoms, points: FloatArray, *, basis: str = "dzp", spacing: float = SPACING
) -> FloatArray:
    """The electron localisation function (n,) of the molecule `atoms` at `points` (n, 3) [Å], with a `basis`
    of GPAW's on a grid `spacing` [Å].

    Raises `InputError` where GPAW is not installed, and for points outside of the molecule's box.
    """
    try:
        from gpaw.elf import elf
        from gpaw.fd_operators import Gradient
        from gpaw.new.ase_interface import GPAW
    except ImportError:
        raise InputError(MISSING) from None
    boxed = Atoms(atoms.symbols, positions=atoms.positions)
    boxed.center(vacuum=VACUUM)
    calculator = GPAW(
        mode="lcao",
        basis=basis,
        xc="PBE",
        h=spacing,
        occupations={"name": "fermi-dirac", "width": SMEARING},
        txt=None,
    )
    boxed.calc = calculator
    boxed.get_potential_energy()
    density = calculator.dft.density
    values = elf(density.nt_sR.data, _squares(density, Gradient), _kinetic(calculator.dft), THINNEST)
    step = np.diag(boxed.cell.array) / density.nt_sR.desc.size
    # the function is 0 on the walls of the box, and not among the values there
    places = (points + (boxed.positions[0] - atoms.positions[0])) / step - 1
    if places.min() < -1 or (places > np.array(values.shape)).any():
        raise InputError(f"points must lie within {VACUUM:g} Å of the molecule")
    return np.clip(map_coordinates(values, places.T, order=3, mode="constant"), 0.0, 1.0)


def patch_localisation(
    patch: Patch,
    heights: Sequence[float] = HEIGHTS,
    *,
    basis: str = "dzp",
    spacing: float = SPACING,
) -> FloatArray:
    """The function (n_heights,) at `heights` [Å] from the middle of the bond of `patch`, the mean of above
    and below.
    """
    turned = patch.atoms.copy()
    turned.rotate(patch.normal, "z", center=patch.middle)
    steps = np.array([[0.0, 0.0, side * height] for side in (1, -1) for height in heights])
    values = localisation(turned, patch.middle + steps, basis=basis, spacing=spacing)
    return np.asarray(values.reshape(2, -1).mean(axis=0))


def localisation_of_bonds(
    atoms: Atoms,
    chosen: Sequence[tuple[int, int]],
    measure: Callable[[Patch], FloatArray] = patch_localisation,
) -> Iterator[BondLocalisation]:
    """The `chosen` bonds of a sheet, one after the other, with what the sheet is like there."""
    middles = np.array([atoms.positions[[i, j]].mean(axis=0) for i, j in chosen])
    plane = middles[:, :2]
    flat = levelled(np.concatenate([atoms.positions, middles]))[len(atoms) :]
    gradient = height_gradient(atoms.positions, plane)
    shear = strain(displacements(Atoms(atoms.symbols, positions=atoms.positions)), plane).xy
    for k, (i, j) in enumerate(chosen):
        patch = bond_patch(atoms, i, j)
        change = patch.length / BOND - 1
        values = tuple(float(v) for v in measure(patch))
        yield BondLocalisation(i, j, float(flat[k, 2]), float(gradient[k]), float(shear[k]), change, values)


def spread_bonds(atoms: Atoms, n: int) -> list[tuple[int, int]]:
    """`n` of the bonds of a sheet that are not at its edge, evenly from the shortest to the longest."""
    bonds = inner_bonds(atoms)
    if not 1 <= n <= len(bonds):
        raise InputError(f"the sheet has {len(bonds)} bonds away from its edge, {n} were asked for")
    lengths = [float(np.linalg.norm(atoms.positions[i] - atoms.positions[j])) for i, j in bonds]
    order = np.argsort(lengths)
    return [bonds[order[k]] for k in np.linspace(0, len(bonds) - 1, n).round().astype(int)]


def write_localisation(
    atoms: Atoms, n: int, path: Path, measure: Callable[[Patch], FloatArray] = patch_localisation
) -> None:
    """`n` bonds as rows of a CSV at `path`, in no order; those it has already are not computed again."""
    heads = ["first", "second", "height", "gradient", "shear", "bond_length_change"]
    done = set()
    if path.exists():
        with path.open() as file:
            done = {(int(row["first"]), int(row["second"])) for row in csv.DictReader(file)}
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(",".join([*heads, *(f"localisation_{h:g}" for h in HEIGHTS)]) + "\n")
    bonds = spread_bonds(atoms, n)
    # shuffled, so that a run that is stopped has short bonds and long ones
    left = [bonds[k] for k in np.random.default_rng(0).permutation(n) if bonds[k] not in done]
    for row in localisation_of_bonds(atoms, left, measure) if left else ():
        values = [row.height, row.gradient, row.shear, row.bond_length_change, *row.localisation]
        with path.open("a") as file:
            file.write(",".join([str(row.first), str(row.second), *(f"{v:.6g}" for v in values)]) + "\n")


def fit_polynomial(x: FloatArray, y: FloatArray, degree: int) -> Fit:
    """The polynomial of least squares through `y` (n,) at `x` (n,); `InputError` for too few points."""
    if len(x) < degree + 2:
        raise InputError(f"a polynomial of degree {degree} needs {degree + 2} points, not {len(x)}")
    design = np.vander(x, degree + 1)
    coefficients = np.linalg.lstsq(design, y, rcond=None)[0]
    left = y - design @ coefficients
    variance = float(left @ left) / (len(x) - degree - 1)
    errors = np.sqrt(variance * np.diag(np.linalg.pinv(design.T @ design)))
    return Fit(np.asarray(coefficients), np.asarray(errors, dtype=np.float64), float(np.sqrt(variance)))


def _squares(density: Any, gradient: Any) -> FloatArray:
    """|∇n|² (1, …) on the grid."""
    total = density.nt_sR.new(zeroed=True)
    for axis in range(3):
        along = gradient(density.nt_sR.desc._gd, axis, n=2)
        for sum_, part in zip(total, density.nt_sR, strict=True):
            sum_.data += along(part).data ** 2
    return np.asarray(total.data)


def _kinetic(dft: Any) -> FloatArray:
    """τ (1, …) on the grid; orbitals of a basis are put there first, which `gpaw.elf` by itself does not."""
    total = dft.density.nt_sR.new(zeroed=True)
    for waves in dft.ibzwfs:
        occupied = waves.weight * waves.spin_degeneracy * waves.myocc_n
        on_grid = waves.to_uniform_grid_wave_functions(total.desc, dft.scf_loop.hamiltonian.basis)
        on_grid.psit_nX.add_ked(occupied, total[waves.spin])
    return np.asarray(total.data + dft.density.tauct_R.data)
