"""Background removal on images whose background is known."""

import numpy as np
import pytest

from datasets.errors import InputError
from recon.preprocess.background import subtract_background


@pytest.fixture
def images() -> np.ndarray:
    """An object in the middle, on backgrounds of 5 and 7."""
    images = np.zeros((2, 20, 24))
    images[:, 8:12, 9:14] = 30.0
    return images + np.array([5.0, 7.0])[:, None, None]


def test_known_is_exact_and_leaves_noise_negative(images: np.ndarray) -> None:
    np.testing.assert_array_equal(subtract_background(images, "known", known=5.0), images - 5.0)
    assert subtract_background(images, "known", known=6.0).min() == -1.0


def test_border_finds_each_image_its_own(images: np.ndarray) -> None:
    flat = subtract_background(images, "border")
    assert flat[:, 0, 0].tolist() == [0.0, 0.0]
    assert flat.max() == 30.0


def test_minimum_is_the_series_minimum(images: np.ndarray) -> None:
    flat = subtract_background(images, "minimum")
    assert flat[0].min() == 0.0
    assert flat[1].min() == 2.0


def test_none_changes_nothing(images: np.ndarray) -> None:
    assert subtract_background(images, "none", known=3.0) is images


def test_unknown_method(images: np.ndarray) -> None:
    with pytest.raises(InputError, match="background must be one of"):
        subtract_background(images, "magic")  # type: ignore[arg-type]
