"""What is wrong with an acquisition, by kind and size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from datasets.cards import Card

APPLIES: Mapping[str, tuple[str, ...]] = {
    "adf": (
        "tilt_rms",
        "defocus_range",
        "shift_range",
        "intensity_rms",
        "scan_rms",
        "drift_rms",
        "missing_wedge",
    ),
    "4dstem": ("tilt_rms", "defocus_range", "shift_range", "intensity_rms", "missing_wedge"),
    "hrtem": ("defocus_range", "intensity_rms", "shading_rms", "gain_rms", "dead_pixels"),
}
"""The imperfections that an acquisition of each modality may have, beside their seed."""


class ImperfectionCard(Card):
    """Departures from the nominal acquisition, drawn once per dataset from `seed`. All zero: a perfect
    microscope. Which of them a modality may have is in `APPLIES`.
    """

    seed: int = Field(default=0, ge=0)
    tilt_rms: float = Field(default=0.0, ge=0)
    """Tilt-angle error on each of phi, theta, psi, normal, rms [deg]."""
    defocus_range: float = Field(default=0.0, ge=0)
    """Defocus error, uniform in ± this [Å]."""
    shift_range: float = Field(default=0.0, ge=0)
    """Misalignment along x and y, uniform in ± this [Å]."""
    intensity_rms: float = Field(default=0.0, ge=0)
    """Relative error of each image's intensity, normal, rms."""
    scan_rms: float = Field(default=0.0, ge=0)
    """Scan noise: displacement of each row along x, the fast axis, normal and independent, rms [Å]."""
    drift_rms: float = Field(default=0.0, ge=0)
    """Drift of the specimen from the first row to the last, along each of x and y, normal, rms [Å]."""
    missing_wedge: float = Field(default=0.0, ge=0, lt=180)
    """Opening [deg] of the wedge about ±90° whose tilts are not recorded: 40 leaves those within ±70°."""
    shading_rms: float = Field(default=0.0, ge=0, le=0.3)
    """Uneven illumination and sensitivity that vary slowly across the image, relative, rms."""
    gain_rms: float = Field(default=0.0, ge=0, le=0.3)
    """Sensitivity of single pixels, normal and independent, relative, rms."""
    dead_pixels: float = Field(default=0.0, ge=0, lt=1)
    """Part of the pixels that count nothing."""

    @property
    def displaces(self) -> bool:
        """Whether finished images are moved, as a whole or by rows."""
        return bool(self.shift_range or self.scan_rms or self.drift_rms)

    def content(self) -> dict[str, Any]:
        """What decides the counts. What came after the first cards counts only where it is not zero, so that
        their keys stay what they were.
        """
        later = ("scan_rms", "drift_rms", "missing_wedge", "shading_rms", "gain_rms", "dead_pixels")
        return self.model_dump(exclude={name for name in later if not getattr(self, name)})

    def foreign_to(self, modality: str) -> list[str]:
        """The imperfections that are not zero and that an acquisition of `modality` cannot have."""
        known = {"seed", *APPLIES[modality]}
        return [name for name in type(self).model_fields if name not in known and getattr(self, name)]

    def recorded(self, theta: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Which of the nominal tilts `theta` (n_tilt,) [deg] lie outside the missing wedge."""
        return np.asarray(np.abs(theta) <= 90 - self.missing_wedge / 2 + 1e-9) | (self.missing_wedge == 0)
