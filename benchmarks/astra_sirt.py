"""A peer: the ASTRA toolbox's SIRT on a CPU (van Aarle et al., Ultramicroscopy 157, 35 (2015))."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from datasets.errors import InputError

FloatArray = npt.NDArray[np.float32]
Kind = Literal["line", "linear", "strip"]
"""ASTRA's projectors for a CPU: rays cut by pixels, rays interpolated between pixels (the nearest to ours),
and the areas of strips."""


class AstraSIRT:
    """SIRT with positivity of a single-axis series by ASTRA, one algorithm per slice.

    ASTRA's CPU algorithms run on one thread each and release the interpreter, so slices are shared out among
    `threads`. `theta` are the tilt angles [rad], `projections` (n_tilt, n_y, n_x); slices are n_x by n_x.
    Raises `InputError` when the package is missing.
    """

    def __init__(
        self, theta: npt.NDArray[np.float64], projections: FloatArray, kind: Kind = "linear"
    ) -> None:
        self._astra = astra = load_astra()
        _, n_y, n_x = projections.shape
        volume_geometry = astra.create_vol_geom(n_x, n_x)
        # ASTRA's rows run downwards and its angles the other way round
        beam_geometry = astra.create_proj_geom("parallel", 1.0, n_x, np.ascontiguousarray(theta))
        self._projector = astra.create_projector(kind, beam_geometry, volume_geometry)
        self._volumes = [astra.data2d.create("-vol", volume_geometry, 0.0) for _ in range(n_y)]
        self._sinograms = [
            astra.data2d.create("-sino", beam_geometry, np.ascontiguousarray(projections[:, y]))
            for y in range(n_y)
        ]
        self._algorithms = []
        for volume, sinogram in zip(self._volumes, self._sinograms, strict=True):
            settings = astra.astra_dict("SIRT")
            settings["ProjectorId"] = self._projector
            settings["ReconstructionDataId"], settings["ProjectionDataId"] = volume, sinogram
            settings["option"] = {"MinConstraint": 0.0}
            self._algorithms.append(astra.algorithm.create(settings))

    def run(self, n_iter: int, threads: int) -> tuple[float, float]:
        """`n_iter` iterations more of every slice; seconds taken, by the clock and of all processors."""

        def one(algorithm: int) -> None:
            self._astra.algorithm.run(algorithm, n_iter)

        clock, processor = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(one, self._algorithms))
        return time.perf_counter() - clock, time.process_time() - processor

    def volume(self) -> FloatArray:
        """The slices as they stand, (n_z, n_y, n_x)."""
        slices = [self._astra.data2d.get(volume) for volume in self._volumes]
        return cast(FloatArray, np.stack(slices, axis=1)[::-1])

    def close(self) -> None:
        """Give back the memory that ASTRA holds."""
        self._astra.algorithm.delete(self._algorithms)
        self._astra.data2d.delete(self._volumes + self._sinograms)
        self._astra.projector.delete(self._projector)


def load_astra() -> Any:
    """The package. Raises `InputError` when it is missing."""
    try:
        import astra
    except ImportError as error:
        raise InputError(
            "the comparison with ASTRA needs the package astra-toolbox: pip install 'dosebench[peers]'"
        ) from error
    return astra
