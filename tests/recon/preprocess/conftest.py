"""A tilt series of a small particle, noise-free, oversampled as an ADF image is."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from datasets.schema import EULER_SEQUENCE, pixel_axis


@pytest.fixture(scope="session")
def clean(images_of, cluster) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Seven images of 64 × 60 pixels, brightest pixel about 2.3."""
    turns = Rotation.from_euler(EULER_SEQUENCE, [(0.0, t, 0.0) for t in range(-60, 61, 20)], degrees=True)
    images: np.ndarray = images_of(cluster(40), turns, pixel_axis(64, 0.4), pixel_axis(60, 0.4))
    return images
