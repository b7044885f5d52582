"""The reconstructor `irdm`: the sinogram completed where tilts are missing, then the volume freed of
artefacts.

The information recovery and de-artefact model of Wang, Ding, Liu and Xin (Adv. Intell. Syst. 2, 2000152
(2020)), with the networks of `recon.neural.inpaint` and `recon.neural.unet`. It needs a sinogram that is
sampled well: at R from the axis an atom moves R Δθ between tilts, which at 10 Å and 3° is half an ångström.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar

import numpy as np
import xarray as xr

from datasets.schema import make_measurement, rotations
from recon.base import Callback, Reconstruction
from recon.neural.augmentation import UNetAugmentation
from recon.neural.inpaint import LARGEST_STEP, ImageUNet, complete_wedge
from recon.neural.weights import load_weights
from recon.preprocess.annular import annular_images
from recon.project.geometry import is_single_axis


@dataclass(frozen=True)
class IRDM(UNetAugmentation):
    """Missing tilts drawn by one network, artefacts of the volume removed by another, then traced and
    classified.

    `start` reconstructs all images, measured and drawn alike; `completion` are the weights of the first
    network.
    """

    name: ClassVar[str] = "irdm"
    reference: ClassVar[str] = "Wang, Ding, Liu & Xin, Adv. Intell. Syst. 2, 2000152 (2020)"

    weights: str | None = "unet"
    completion: str = "wedge-completion"

    @property
    def needed(self) -> tuple[str, ...]:
        """The weights of both networks."""
        return *super().needed, self.completion

    def supports(self, measurement: xr.Dataset) -> tuple[bool, str]:
        """Besides what `start` asks: tilts about y only, in even steps that sample a sinogram."""
        supported, reason = super().supports(measurement)
        if not supported:
            return supported, reason
        steps = np.diff(np.sort(measurement["theta"].values))
        if not is_single_axis(rotations(measurement)):
            return False, "a sinogram is completed for tilts about y only"
        if np.median(steps) > LARGEST_STEP or np.ptp(steps) > 0.2 * np.median(steps):
            return False, f"a sinogram is completed in even steps of up to {LARGEST_STEP:g}°"
        return True, ""

    def reconstruct(
        self, measurement: xr.Dataset, *, rng: np.random.Generator, callback: Callback | None = None
    ) -> Reconstruction:
        """The atoms of `measurement` with its missing tilts drawn."""
        if (declined := self.declined(measurement)) is not None:
            return declined
        whole, measured = completed(annular_images(measurement), _network(self.completion))
        answer = super().reconstruct(whole, rng=rng, callback=callback)
        if answer.geometry is None:
            return answer
        return replace(answer, geometry=answer.geometry.isel(tilt=np.flatnonzero(measured)))


def completed(measurement: xr.Dataset, network: ImageUNet) -> tuple[xr.Dataset, np.ndarray]:
    """`measurement` in the order of its tilts with half a turn of them, and which were measured."""
    measurement = measurement.sortby("theta")
    background = float(measurement.attrs["background"])
    counts = measurement["counts"].values.astype(np.float64)
    pixel_size = float(measurement.attrs["pixel_size"])
    images, theta, measured = complete_wedge(
        network, counts - background, measurement["theta"].values, pixel_size
    )
    images = images + background
    images[measured] = counts
    zero = np.zeros_like(theta)
    optics = ("dose_per_area", "pixel_size", "background", "elements")
    whole = make_measurement(
        "adf",
        np.maximum(images, 0),
        {
            "phi": zero,
            "theta": theta,
            "psi": zero,
            "y": measurement["y"].values,
            "x": measurement["x"].values,
        },
        **{name: measurement.attrs[name] for name in optics},
    )
    return whole, measured


@cache
def _network(weights: str) -> ImageUNet:
    state, card = load_weights(weights)
    network = ImageUNet(int(card["network"]["n_channels"]), int(card["network"]["base"]))
    network.load_state_dict(state)
    return network.eval()
