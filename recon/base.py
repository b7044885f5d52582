"""The contract of a reconstructor: a frozen dataclass in, a `Reconstruction` out; failure is data."""

from __future__ import annotations

import dataclasses
import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from ase import Atoms

from datasets.naming import Value, format_name
from datasets.schema import check_measurement


class Status(enum.Enum):
    """How a reconstruction ended; `sentence` says it to a person."""

    OK = "ok"
    NOT_CONVERGED = "not_converged"
    DIVERGED = "diverged"
    NONFINITE = "nonfinite"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    ERROR = "error"
    SKIPPED = "skipped"

    @property
    def sentence(self) -> str:
        """One sentence for a person."""
        return _SENTENCES[self]

    @property
    def failed(self) -> bool:
        """Whether there is no answer to score; it counts as a failure in every summary."""
        return self not in (Status.OK, Status.NOT_CONVERGED)


_SENTENCES = {
    Status.OK: "It finished.",
    Status.NOT_CONVERGED: "It stopped at its iteration limit; the answer is scored as it is.",
    Status.DIVERGED: "It diverged.",
    Status.NONFINITE: "It produced values that are not finite.",
    Status.TIMEOUT: "It ran past its time limit.",
    Status.OUT_OF_MEMORY: "It ran out of memory.",
    Status.ERROR: "It raised an error.",
    Status.SKIPPED: "It does not support this measurement.",
}


@dataclass(frozen=True)
class Reconstruction:
    """The outcome of one reconstruction.

    `atoms` are the answer: positions in Å in the specimen frame. `volume`, where there is one, has dims (z,
    y, x) with coordinates in Å. `stats` may hold iterations, r_factor, seconds, peak_memory [byte] and
    whatever else is a number. `geometry`, where the answer rests on one, is that of every image along `tilt`:
    phi, theta, psi [deg], shift_x and shift_y [Å], and scale, refined or as given; and where it was
    fitted the width [Å] of an atom.
    """

    atoms: Atoms
    volume: xr.DataArray | None = None
    status: Status = Status.OK
    message: str = ""
    stats: Mapping[str, float] = field(default_factory=dict)
    geometry: xr.Dataset | None = None


Callback = Callable[[int, Mapping[str, float]], None]
"""Called after every iteration with its number (from 1) and its figures (such as r_factor); may raise
StopIteration to end the iteration early.
"""


@dataclass(frozen=True)
class Reconstructor(ABC):
    """From a measurement to atoms. Fields are the hyper-parameters.

    A subclass sets `name`, and may set `version` (raise it when results change), `reference`, `controls` and
    `variants`: named sets of field values, selected as `name[variant]`. It is handed the counts and the
    elements known to be present; never the truth and never the number of atoms.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    reference: ClassVar[str] = ""
    variants: ClassVar[Mapping[str, Mapping[str, Value]]] = {}

    @abstractmethod
    def reconstruct(
        self, measurement: xr.Dataset, *, rng: np.random.Generator, callback: Callback | None = None
    ) -> Reconstruction:
        """The answer to `measurement` (`datasets.schema`). `rng` is the only source of randomness."""

    def supports(self, measurement: xr.Dataset) -> tuple[bool, str]:
        """Whether this measurement can be reconstructed, and if not a sentence that says why."""
        return True, ""

    def declined(self, measurement: xr.Dataset) -> Reconstruction | None:
        """What to answer where `supports` says no; None where it says yes. Raises `InputError` for what is
        no measurement.
        """
        check_measurement(measurement)
        supported, reason = self.supports(measurement)
        return None if supported else Reconstruction(Atoms(), status=Status.SKIPPED, message=reason)

    @property
    def parameters(self) -> dict[str, Any]:
        """The hyper-parameters by name."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    @property
    def label(self) -> str:
        """The name with its variant, or else with the parameters that differ from their defaults.

        It is what `registry.get` reads back.
        """
        defaults = {f.name: f.default for f in dataclasses.fields(self)}
        changed = {key: value for key, value in self.parameters.items() if value != defaults[key]}
        for variant, values in self.variants.items():
            if changed and changed == {key: value for key, value in values.items() if value != defaults[key]}:
                return f"{self.name}[{variant}]"
        return format_name(self.name, changed)
