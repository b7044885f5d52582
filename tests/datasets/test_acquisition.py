"""The truth of an acquisition, drawn again from its card."""

import numpy as np

from datasets.acquisition import true_acquisition
from datasets.catalog import load_dataset
from datasets.imaging.detector import Imperfections
from datasets.schema import rotations


def test_of_a_perfect_series() -> None:
    card = load_dataset("copdpt-300")
    true = true_acquisition(card)
    np.testing.assert_array_equal(true["theta"], card.theta())
    for name in ("phi", "psi", "shift_x", "shift_y", "defocus"):
        assert not true[name].any()
    np.testing.assert_array_equal(true["scale"], 1)


def test_it_is_what_the_images_were_taken_with() -> None:
    card = load_dataset("copdpt-300-imperfect")
    true, theta = true_acquisition(card), card.theta()
    errors = Imperfections.draw(card.imperfections, len(theta), card.imaging.n_pixels)
    assert (rotations(true) * errors.rotations(theta).inv()).magnitude().max() < 1e-7
    np.testing.assert_array_equal(true["shift_y"], errors.shifts[:, 0])
    np.testing.assert_array_equal(true["defocus"], errors.defocus)


def test_a_wedge_leaves_the_others_as_they_were() -> None:
    whole = true_acquisition(load_dataset("copdpt-300[tilt_rms=0.5]"))
    part = true_acquisition(load_dataset("copdpt-300[tilt_rms=0.5,missing_wedge=60]"))
    kept = np.isin(whole["theta"].values, part["theta"].values)
    assert 0 < part.sizes["tilt"] < whole.sizes["tilt"]
    np.testing.assert_array_equal(whole["psi"].values[kept], part["psi"].values)
