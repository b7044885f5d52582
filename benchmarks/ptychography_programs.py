"""Multislice ptychography by other programs and by ours, one tilt, all from the same patterns and probe.

pty-chi: least-squares maximum likelihood (Odstrčil et al., Opt. Express 26, 3108 (2018)), which PtychoShelves
and fold-slice have too. quantem: gradient descent on the amplitude loss. Settings are the best of those tried
at equal seconds. Two others cannot run beside dosebench: py4DSTEM 0.14, whose ptychography quantem continues,
needs NumPy 1, and the multislice operator of abTEM 1.0.11 calls a propagator that abTEM has no more.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import torch

from benchmarks.ptychography_scan import (
    DEFOCUS,
    ENERGY,
    PIXEL,
    SEMIANGLE,
    STEP,
    ComplexArray,
    PtychographyScan,
)
from datasets.errors import InputError

AT_ONCE = 64
"""Positions per step, of 16, 64 and 256 the quickest for both programs that take several."""


class Peer(Protocol):
    """A program that reconstructs the slices of a scan, whose probe is known; `settings` say how."""

    settings: str

    def run(self, n_iter: int) -> None:
        """`n_iter` iterations more, each over all positions."""

    def slices(self) -> ComplexArray:
        """The transmissions as they stand, (n_slices, n_y, n_x)."""


class PtyChi:
    """Least-squares maximum likelihood by pty-chi. Raises `InputError` when the package is missing."""

    settings = f"LSQML, {AT_ONCE} positions at once, steps of 1.5 times the optimal one"

    def __init__(self, scan: PtychographyScan) -> None:
        api = load_peer("ptychi.api", "ptychi")
        task = load_peer("ptychi.api.task", "ptychi")
        options = api.LSQMLOptions()
        options.data_options.wavelength_m = 1e-10 * scan.electron_wavelength
        matter = options.object_options
        matter.pixel_size_m = 1e-10 * PIXEL
        matter.slice_spacings_m = [1e-10 * scan.slice_thickness] * (scan.n_slices - 1)
        matter.optimal_step_size_scaler = 1.5
        matter.remove_object_probe_ambiguity.enabled = False
        options.probe_options.optimizable = False
        options.probe_options.orthogonalize_incoherent_modes.enabled = False
        engine = options.reconstructor_options
        engine.batch_size = AT_ONCE
        engine.default_device = api.Devices.CPU
        engine.random_seed = 0
        engine.displayed_loss_function = None
        engine.rescale_probe_intensity_in_first_epoch = False
        # its positions are those of the windows' middles from that of the object, its FFT is not unitary
        y, x = (scan.corners - (np.array(scan.shape) // 2 - scan.n_pixels // 2)).T.astype(np.float32)
        self._task = task.PtychographyTask(
            options,
            diffraction_data=scan.patterns,
            object_data=np.ones((scan.n_slices, *scan.shape), dtype=np.complex64),
            probe_data=(scan.probe / scan.n_pixels)[None, None].astype(np.complex64),
            probe_position_x_px=x,
            probe_position_y_px=y,
        )

    def run(self, n_iter: int) -> None:
        """`n_iter` iterations more."""
        torch.set_default_device("cpu")  # what it sets for itself, and has to find again
        self._task.run(n_iter)
        torch.set_default_device(None)  # which slows down every other program

    def slices(self) -> ComplexArray:
        """The transmissions as they stand."""
        return np.asarray(self._task.get_data_to_cpu("object", as_numpy=True), dtype=np.complex64)


class Quantem:
    """Gradient descent by quantem. Raises `InputError` when the package is missing."""

    settings = f"analytic gradient of the amplitude loss, {AT_ONCE} positions at once, steps of 0.5"

    def __init__(self, scan: PtychographyScan) -> None:
        package = load_peer("quantem.diffractive_imaging", "quantem")
        n, frequency = scan.n_pixels, 1 / (scan.n_pixels * PIXEL)
        data = package.PtychographyDatasetRaster.from_array(
            scan.patterns.reshape(*scan.raster, n, n),
            sampling=(STEP, STEP, frequency, frequency),
            units=["A", "A", "A^-1", "A^-1"],
            verbose=0,
            learn_descan=False,
            learn_scan_positions=False,
        )
        around = (n // 2, n // 2)
        data.preprocess(
            com_fit_function="no_shift",
            force_com_rotation=0,
            force_com_transpose=False,
            plot_rotation=False,
            plot_com=False,
            probe_energy=ENERGY,
            obj_padding_px=around,
        )
        lens = {"energy": ENERGY, "semiangle_cutoff": SEMIANGLE, "defocus": DEFOCUS}
        probe = package.ProbePixelated.from_array(np.fft.ifftshift(scan.probe), probe_params=lens)
        probe.set_initial_probe(data.roi_shape, data.reciprocal_sampling, data.mean_diffraction_intensity)
        matter = package.ObjectPixelated.from_uniform(scan.n_slices, scan.slice_thickness, obj_type="complex")
        self._engine = package.Ptychography.from_models(
            dset=data,
            obj_model=matter,
            probe_model=probe,
            detector_model=package.DetectorPixelated(),
            device="cpu",
            verbose=0,
            rng=0,
        )
        self._engine.preprocess(obj_padding_px=around, plot_rotation=False, plot_com=False)
        self._optimizer: Mapping[str, Any] | None = {"object": {"name": "sgd", "lr": 0.5}}
        # it widens the margin as it likes: where its first pixel lies follows from its first position
        first = self._engine.dset.scan_positions_px[0].detach().numpy().round().astype(int)
        self._begin = scan.corners[0] + n // 2 - first
        self._shape = (scan.n_slices, *scan.shape)

    def run(self, n_iter: int) -> None:
        """`n_iter` iterations more."""
        self._engine.reconstruct(n_iter, optimizer_params=self._optimizer, batch_size=AT_ONCE, autograd=False)
        self._optimizer = None

    def slices(self) -> ComplexArray:
        """The transmissions as they stand; vacuum beyond what the program keeps."""
        found = self._engine.obj_model.obj.detach().numpy()
        whole = np.ones(self._shape, dtype=np.complex64)
        (top, left), (y, x) = np.maximum(-self._begin, 0), np.maximum(self._begin, 0)
        found = found[:, top:, left:]
        part = whole[:, y : y + found.shape[1], x : x + found.shape[2]]
        part[...] = found[:, : part.shape[1], : part.shape[2]]
        return whole


def own_slices(scan: PtychographyScan, n_iter: int) -> ComplexArray:
    """The transmissions after `n_iter` iterations of `recon.ptychography.multislice`, begun from vacuum."""
    from recon.ptychography.multislice import multislice_ptychography
    from recon.ptychography.places import Places
    from recon.ptychography.scan import Detector, Lens
    from recon.ptychography.waves import WindowedMultislice

    class PeriodicWindow(WindowedMultislice):
        """With the given probe as it is: nothing is added of what lies beyond its window."""

        def tails(self, places: Places, some: slice, n_slices: int) -> list[torch.Tensor]:
            """Nothing, for every sampling point of a pixel."""
            return [torch.zeros(()) for _, points in self.parts for _ in points]

    n, frequency = scan.n_pixels, 1 / (scan.n_pixels * PIXEL)
    axis = np.asarray((np.arange(n) - n // 2) * frequency, dtype=np.float64)
    detector = Detector(axis, axis, frequency, window=n, fine=1)
    multislice = PeriodicWindow(
        Lens(ENERGY, 1e-3 * SEMIANGLE, DEFOCUS),
        detector,
        spacing=scan.slice_thickness,
        entrance=-(scan.n_slices - 1) / 2 * scan.slice_thickness,
        electrons=scan.electrons,
    )
    multislice.probe = torch.as_tensor(np.fft.fft2(scan.probe, norm="ortho"), dtype=torch.complex64)[None]
    y, x = (-PIXEL * (size // 2) for size in scan.shape)
    places = Places(scan.positions, detector, (y, x), scan.shape)
    counts = torch.as_tensor(scan.patterns * np.float32(scan.electrons))
    phases = multislice_ptychography(multislice, places, counts, scan.n_slices, n_iter).phases
    return np.asarray(torch.polar(torch.ones_like(phases), phases).numpy(), dtype=np.complex64)


PEERS: Mapping[str, Any] = MappingProxyType({"pty-chi": PtyChi, "quantem": Quantem})
"""Those that there are, by the name on the command line."""
PACKAGES: Mapping[str, str] = MappingProxyType({"pty-chi": "ptychi", "quantem": "quantem"})


def load_peer(module: str, package: str) -> Any:
    """A module of a package that need not be there. Raises `InputError` when it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"the comparison with {package} needs that package: pip install {package}"
        ) from error
