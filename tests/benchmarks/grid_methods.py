"""Reconstructors that do, and do not, what they should."""

import contextlib
import hashlib
import json
import os
import pathlib
import time
from dataclasses import dataclass

import numpy as np
import xarray as xr
from ase import Atoms

from recon.base import Reconstruction, Reconstructor, Status


@dataclass(frozen=True)
class Fingerprint(Reconstructor):
    """Reports which counts and which random numbers it was given, and leaves a line in `log`."""

    name = "fingerprint"
    seconds: float = 0.0
    log: str = ""

    def reconstruct(self, measurement, *, rng, callback=None):
        time.sleep(self.seconds)
        if self.log:
            with open(self.log, "a") as file:
                file.write("ran\\n")
        counts = measurement["counts"].values
        digest = hashlib.sha256(counts.tobytes()).digest()
        axis = ("z", "y", "x")
        size = counts.shape[-1]
        volume = xr.DataArray(
            np.broadcast_to(counts.sum(axis=0, dtype=float), (size, size, size)),
            dims=axis,
            coords={name: np.arange(size) - size // 2 for name in axis},
        )
        atoms = Atoms("Cu6Au4", positions=rng.uniform(-4, 4, (10, 3)))
        atoms.set_array("intensity", np.arange(10.0))
        stats = {"counts": float(int.from_bytes(digest[:6], "big")), "r_factor": 0.25}
        return Reconstruction(atoms, volume, stats=stats)


@dataclass(frozen=True)
class Twin(Fingerprint):
    """Another reconstructor on the same counts."""

    name = "twin"


@dataclass(frozen=True)
class Nosy(Fingerprint):
    """Writes down all that it was handed."""

    name = "nosy"

    def reconstruct(self, measurement, *, rng, callback=None):
        seen = {
            "variables": list(measurement.data_vars),
            "coords": list(measurement.coords),
            "attrs": list(measurement.attrs),
        }
        pathlib.Path(self.log).write_text(json.dumps(seen))
        return Reconstruction(Atoms())


@dataclass(frozen=True)
class Curable(Fingerprint):
    """Raises until the file `cure` is there."""

    name = "curable"
    cure: str = ""

    def reconstruct(self, measurement, *, rng, callback=None):
        if not pathlib.Path(self.cure).exists():
            raise ValueError("no cure yet")
        return super().reconstruct(measurement, rng=rng)


@dataclass(frozen=True)
class Odd(Reconstructor):
    """Misbehaves in the way that `how` says."""

    name = "odd"
    how: str = "notfinite"

    def supports(self, measurement):
        return self.how != "unsupported", "it wants another detector"

    def reconstruct(self, measurement, *, rng, callback=None):
        nothing = Atoms()
        if self.how == "notfinite":
            return Reconstruction(Atoms("Cu", positions=[[np.nan, 0, 0]]))
        if self.how == "none":
            return None
        if self.how == "memory":
            raise MemoryError("no room")
        if self.how == "exit":
            raise SystemExit(3)
        if self.how == "diverged":
            return Reconstruction(nothing, status=Status.DIVERGED, message="The R-factor grew.")
        if self.how == "empty":
            return Reconstruction(nothing)
        if self.how == "stats":
            return Reconstruction(nothing, stats={"r_factor": "small"})
        if self.how == "die":
            os._exit(7)
        if self.how == "deaf":
            time.sleep(120)
        held = []
        while self.how == "hungry":
            held.append(np.ones(4_000_000))
            time.sleep(0.05)
        while self.how == "busy":
            with contextlib.suppress(Exception):
                time.sleep(0.01)
        raise AssertionError(self.how)
