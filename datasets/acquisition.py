"""What every image of a simulated series was really taken with, beside what its coordinates say."""

from __future__ import annotations

import numpy as np
import xarray as xr

from datasets.catalog import DatasetCard


def true_acquisition(card: DatasetCard) -> xr.Dataset:
    """The truth of the images of `card`, along `tilt`: phi, theta, psi [deg], shift_x and shift_y [Å], scale,
    and the error of the defocus [Å].

    It is drawn anew from the card, as it was for the images, so nothing of it is stored and none of it is in
    what a reconstructor is handed.
    """
    from datasets.imaging.detector import Imperfections  # imports abTEM, which takes seconds

    nominal = card.tilts.theta()
    drawn = Imperfections.draw(card.imperfections, len(nominal), card.imaging.n_pixels)
    errors = drawn.of(card.imperfections.recorded(nominal))
    angles = errors.angles + np.array([[0.0, 1.0, 0.0]]) * card.theta()[:, None]
    return xr.Dataset(
        {
            "shift_x": ("tilt", errors.shifts[:, 1], {"units": "Å"}),
            "shift_y": ("tilt", errors.shifts[:, 0], {"units": "Å"}),
            "scale": ("tilt", 1 + errors.intensities, {"units": "1"}),
            "defocus": ("tilt", errors.defocus, {"units": "Å"}),
        },
        coords={
            name: ("tilt", angles[:, i], {"units": "deg"}) for i, name in enumerate(("phi", "theta", "psi"))
        },
    )
