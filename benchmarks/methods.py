"""What fills the reconstructor axis of a grid: reconstructors, and the controls beside them."""

from __future__ import annotations

import hashlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any

import numpy as np
import xarray as xr
from ase import Atoms

from benchmarks.cells import plain
from benchmarks.controls import CONTROLS, Control
from datasets.errors import InputError
from datasets.schema import OPTICS_ATTRS, REQUIRED_ATTRS
from recon import registry
from recon.base import Reconstruction, Reconstructor, Status


@dataclass(frozen=True)
class Method(ABC):
    """A way to an answer, with what identifies it in results."""

    label: str
    name: str
    version: str

    @property
    @abstractmethod
    def kind(self) -> str:
        """`reconstructor` or `control`."""

    @property
    def parameters(self) -> dict[str, Any]:
        """The hyper-parameters by name."""
        return {}

    @abstractmethod
    def answer(self, measurement: xr.Dataset, truth: Atoms, rng: np.random.Generator) -> Reconstruction:
        """The answer to one measurement."""


@dataclass(frozen=True)
class ReconstructorMethod(Method):
    """A reconstructor: it is handed the measurement, as its schema has it and nothing more of where it comes
    from, and never the truth.
    """

    reconstructor: Reconstructor

    @property
    def kind(self) -> str:
        """`reconstructor`."""
        return "reconstructor"

    @property
    def parameters(self) -> dict[str, Any]:
        """The reconstructor's."""
        return self.reconstructor.parameters

    def answer(self, measurement: xr.Dataset, truth: Atoms, rng: np.random.Generator) -> Reconstruction:
        """What the reconstructor makes of the counts; status `skipped` when it does not support them."""
        named = (*REQUIRED_ATTRS, *OPTICS_ATTRS)
        measurement = measurement.copy()
        measurement.attrs = {key: value for key, value in measurement.attrs.items() if key in named}
        supported, reason = self.reconstructor.supports(measurement)
        if not supported:
            return Reconstruction(Atoms(), status=Status.SKIPPED, message=reason)
        return self.reconstructor.reconstruct(measurement, rng=rng)


@dataclass(frozen=True)
class ControlMethod(Method):
    """A control: it is handed the truth."""

    control: Control

    @property
    def kind(self) -> str:
        """`control`."""
        return "control"

    def answer(self, measurement: xr.Dataset, truth: Atoms, rng: np.random.Generator) -> Reconstruction:
        """What the control makes of the truth."""
        return Reconstruction(self.control.answer(truth.copy(), rng))


def make_methods(
    reconstructors: Sequence[str | Reconstructor | type[Reconstructor]], controls: Sequence[str]
) -> tuple[Method, ...]:
    """The methods of a grid, each one once. Raises `InputError` for a name that is unknown, or that stands
    for two different things.
    """
    methods: dict[str, Method] = {}
    for entry in reconstructors:
        reconstructor = registry.get(entry) if isinstance(entry, str) else entry
        method = _of_reconstructor(reconstructor() if isinstance(reconstructor, type) else reconstructor)
        same = methods.setdefault(method.label, method)
        if same != method:
            raise InputError(f"two different reconstructors are called {method.label!r}; rename one of them")
    for name in controls:
        methods[name] = ControlMethod(name, name, str(CONTROLS[name].version), CONTROLS[name])
    if not methods:
        raise InputError("there is nothing to run: no reconstructor and no control is named")
    return tuple(methods.values())


def _of_reconstructor(reconstructor: Reconstructor) -> ReconstructorMethod:
    if not isinstance(reconstructor, Reconstructor):
        raise InputError(
            f"a reconstructor must be a name or an instance of Reconstructor, not {reconstructor!r}"
        )
    cls, name = type(reconstructor), reconstructor.name
    if name in CONTROLS:
        raise InputError(f"a reconstructor cannot be called {name!r}: that is the name of a control")
    version = str(cls.version)
    if name not in registry.reconstructor_names():
        version += _source_digest(cls)
    elif registry.get_class(name) is not cls:
        raise InputError(
            f"{cls.__module__}:{cls.__qualname__} calls itself {name!r}, "
            "which is the name of another reconstructor; rename it"
        )
    plain(reconstructor.parameters, reconstructor.label)
    return ReconstructorMethod(reconstructor.label, name, version, reconstructor)


def _source_digest(cls: type) -> str:
    """A mark of the source of a class that nobody has registered: its author edits it between runs, and old
    results must not be taken for those of the new code.
    """
    try:
        source = inspect.getsource(inspect.getmodule(cls) or cls)
    except (OSError, TypeError):  # typed at a prompt
        source = repr([_code(f.__code__) for f in vars(cls).values() if inspect.isfunction(f)])
    return f"+{hashlib.sha256(source.encode()).hexdigest()[:8]}"


def _code(code: CodeType) -> list[Any]:
    """What a function does, without where it was written."""
    constants = [_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return [code.co_code, code.co_names, code.co_varnames, constants]
