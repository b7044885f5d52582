"""Inpainting: how tilt series are laid before the networks and taken back."""

from typing import cast

import numpy as np
import pytest
import torch
from ase import Atoms
from torch import nn

from datasets.corpus.series import Acquisition, make_series
from datasets.corpus.support import CARBON_DENSITY, supporting_film
from datasets.errors import InputError
from datasets.imaging.linear import gaussian_atoms
from datasets.schema import pixel_axis
from recon.neural.inpaint import (
    WRAP,
    ImageUNet,
    complete_wedge,
    remove_support,
    scale_of,
    sinogram_channels,
)
from recon.neural.training.images import SupportRemoval, WedgeCompletion

ATOMS = np.array([[3.0, 1.0, 2.0], [-4.0, -2.0, 1.0], [0.5, 3.0, -3.5]])


class First(nn.Module):
    """Answers with the first channel it is shown."""

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        return seen[:, :1]


def sinogram(theta: np.ndarray, pixel_size: float, n: int) -> np.ndarray:
    """Images (n_tilt, n, n) of three atoms tilted about y."""
    axis = pixel_axis(n, pixel_size)
    found = []
    for angle in np.deg2rad(theta):
        x = ATOMS[:, 0] * np.cos(angle) + ATOMS[:, 2] * np.sin(angle)
        turned = np.stack([x, ATOMS[:, 1], 0 * x], axis=1)
        found.append(pixel_size**2 * gaussian_atoms(turned, np.full(3, 50.0), 0.5, axis))
    return np.array(found)


FIRST = cast(ImageUNet, First())


@pytest.mark.parametrize(("pixel_size", "n"), [(0.35, 48), (0.35, 45), (0.2, 80), (0.4, 41)])
def test_images_come_back_from_the_networks_grid(pixel_size: float, n: int) -> None:
    images = sinogram(np.array([-10.0, 0.0, 25.0]), pixel_size, n)
    found = remove_support(FIRST, images, pixel_size)
    assert found.shape == images.shape
    # finer images are smoothed to what that grid holds; what they sum to stays
    np.testing.assert_allclose(found.sum(axis=(1, 2)), images.sum(axis=(1, 2)), rtol=0.01)
    tolerance = 0.02 if pixel_size >= 0.35 else 0.2
    assert np.abs(found - images).max() < tolerance * images.max()


@pytest.mark.parametrize("n", [48, 45])
def test_a_sinogram_goes_on_as_its_mirror_image(n: int) -> None:
    """Half a turn further an object shows its mirror image: what is continued is what would be measured."""
    theta = np.arange(-90, 90, 5.0)
    whole = sinogram(theta, 0.35, n)
    channels = sinogram_channels(whole, np.ones(len(theta), dtype=bool))
    rows = np.arange(-WRAP, channels.shape[2] - WRAP)
    expected = sinogram(theta[0] + 5.0 * rows, 0.35, n)
    np.testing.assert_allclose(channels[:, 0].transpose(1, 0, 2), expected, atol=1e-6)
    np.testing.assert_allclose(channels[1:, 1], channels[:-1, 0])
    np.testing.assert_allclose(channels[:-1, 2], channels[1:, 0])
    assert channels.shape[2] % 8 == 0


def test_what_was_measured_stays() -> None:
    theta = np.arange(-60, 61, 4.0)
    images = sinogram(theta, 0.4, 50)
    completed, angles, measured = complete_wedge(FIRST, images[::-1], theta[::-1], 0.4)
    assert len(angles) == 45
    assert np.ptp(angles) == pytest.approx(176)
    np.testing.assert_allclose(angles[measured], theta)
    np.testing.assert_array_equal(completed[measured], images)
    assert not completed[~measured].any()  # this network invents nothing


def test_tilts_that_no_sinogram_has() -> None:
    images = sinogram(np.arange(-60, 61, 9.0), 0.4, 20)
    with pytest.raises(InputError, match="even steps of up to 6°"):
        complete_wedge(FIRST, images, np.arange(-60, 61, 9.0), 0.4)
    with pytest.raises(InputError, match="even steps"):
        complete_wedge(FIRST, images[:3], np.array([0.0, 2.0, 6.0]), 0.4)


def test_scale_is_that_of_the_object() -> None:
    flat = np.zeros((2, 60, 60))
    flat[:, 10:50, 10:50] = 7.0
    assert 4.5 < scale_of(flat, 0.35) < 7.0  # blurred edges count too
    assert scale_of(0 * flat, 0.35) == 1.0


def test_the_film_fills_every_image_and_has_the_density_of_carbon() -> None:
    rng = np.random.default_rng(0)
    film = supporting_film(10.0, 20.0, 60.0, rng)
    inner = (np.abs(film.positions[:, :2]) < 6).all(axis=1)
    np.testing.assert_allclose(inner.sum() / (12 * 12 * 20), CARBON_DENSITY, rtol=0.1)
    took = Acquisition(0.35, 5, 60, 5000, 0, 0.4, 0, 1.5, 0, 0, 0, 0, 0)
    series = make_series(Atoms("Au2", [[0, 9, 0], [0, -9, 0]]), took, rng, support=film)
    alone = series.measurement["counts"].values - series.expected
    # thicker by 1/cos when tilted, and nowhere empty
    means = alone.mean(axis=(1, 2))
    np.testing.assert_allclose(means[[0, 4]] / means[2], 1 / np.cos(np.deg2rad(60)), rtol=0.15)
    edges = alone[..., :5].mean(axis=(1, 2)) / means
    assert (edges > 0.5).all()


@pytest.mark.parametrize(("problem", "channels"), [(SupportRemoval, 1), (WedgeCompletion, 4)])
def test_what_the_networks_learn(problem: type, channels: int) -> None:
    made = problem()
    batch = made.draw(4, 0, np.random.default_rng(0))
    again = made.draw(4, 0, np.random.default_rng(0))
    torch.testing.assert_close(batch.seen, again.seen)
    assert batch.seen.shape[1] == channels
    assert batch.seen.shape[2:] == batch.target.shape[2:] == batch.weight.shape[2:]
    assert not any(side % 8 for side in batch.seen.shape[2:])
    perfect = cast(nn.Module, lambda seen: batch.target)
    assert float(made.loss(perfect, batch, torch.device("cpu"))) == 0
    nothing = cast(nn.Module, lambda seen: 0 * batch.target)
    assert float(made.loss(nothing, batch, torch.device("cpu"))) == pytest.approx(1, abs=1e-3)
