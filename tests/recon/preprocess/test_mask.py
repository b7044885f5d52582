"""The mask of the object."""

import numpy as np
import pytest

from recon.preprocess.mask import FRAME, edge_preserving_smoothing, object_mask


@pytest.fixture(scope="module")
def disc() -> np.ndarray:
    y, x = np.mgrid[:80, :90]
    return np.hypot(y - 40, x - 44) < 20


def test_an_edge_stays_sharp() -> None:
    step = np.zeros((40, 40))
    step[:, 20:] = 10.0
    np.testing.assert_allclose(edge_preserving_smoothing(step), step, atol=1e-9)


def test_noise_is_smoothed(disc: np.ndarray) -> None:
    noisy = np.random.default_rng(0).poisson(np.where(disc, 20.0, 5.0)).astype(float)
    smooth = edge_preserving_smoothing(noisy)
    assert smooth[5:15].std() < 0.3 * noisy[5:15].std()


@pytest.mark.parametrize("contrast", [3.0, 20.0])
def test_disc_is_found_and_widened(disc: np.ndarray, contrast: float) -> None:
    image = np.random.default_rng(0).poisson(np.where(disc, 2.0 + contrast, 2.0)).astype(float)
    mask, wide = object_mask(image, margin=0), object_mask(image, margin=5)
    assert (mask != disc).mean() < 0.05
    assert wide[disc].all()
    assert wide.sum() == pytest.approx(np.pi * 25**2, rel=0.1)


def test_specks_are_dropped(disc: np.ndarray) -> None:
    image = np.where(disc, 10.0, 1.0)
    image[5:12, 5:12] = 10.0
    assert not object_mask(image, margin=0)[5:12, 5:12].any()


def test_when_nothing_stands_out_nothing_is_thrown_away() -> None:
    assert object_mask(np.full((20, 20), 3.0), margin=4)[FRAME:-FRAME, FRAME:-FRAME].all()


def test_the_frame_is_background() -> None:
    image = np.full((40, 40), 10.0)
    image[:10, :10] = 0.0
    mask = object_mask(image, margin=50)
    assert not mask[:FRAME].any()
    assert mask[FRAME:-FRAME, FRAME:-FRAME].all()
