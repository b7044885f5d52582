"""A projector that blurs: its adjoint, what it conserves, and that it undoes a blur."""

import numpy as np
import pytest
import scipy.ndimage
import torch
from scipy.spatial.transform import Rotation

from datasets.schema import EULER_SEQUENCE, pixel_axis
from recon.align.blur import BlurredProjector, excess_blur
from recon.project.geometry import Geometry
from recon.project.projector import make_projector
from recon.tomography.fista import fista


@pytest.fixture
def geometry() -> Geometry:
    theta, x = np.linspace(-75, 75, 12), pixel_axis(24, 0.4)
    angles = np.stack([0 * theta, theta, 0 * theta], axis=-1)
    return Geometry(Rotation.from_euler(EULER_SEQUENCE, angles, degrees=True), x, pixel_axis(20, 0.4), x, 0.4)


def test_adjoint_and_sum(geometry: Geometry) -> None:
    rng = np.random.default_rng(0)
    plain = make_projector(geometry, dtype=torch.float64)
    blurred = BlurredProjector(plain, rng.uniform(0, 0.3, 12))
    volume, images = torch.rand(24, 20, 24).double(), torch.rand(12, 20, 24).double()
    one, other = torch.sum(blurred.forward(volume) * images), torch.sum(volume * blurred.adjoint(images))
    assert float(one) == pytest.approx(float(other))
    sums = blurred.forward(volume).sum(dim=(1, 2))
    torch.testing.assert_close(sums, plain.forward(volume).sum(dim=(1, 2)))
    torch.testing.assert_close(blurred.subset([7, 2]).forward(volume), blurred.forward(volume)[[7, 2]])


def test_a_gaussian_blur(geometry: Geometry) -> None:
    plain = make_projector(geometry, dtype=torch.float64)
    volume = torch.zeros(24, 20, 24).double()
    volume[12, 10, 12] = 1
    widths = np.full(12, (1.5 * 0.4) ** 2)
    expected = scipy.ndimage.gaussian_filter(plain.forward(volume).numpy(), (0, 1.5, 1.5), mode="wrap")
    found = BlurredProjector(plain, widths).forward(volume).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_sharp_and_blurred_images_make_one_sharp_volume(geometry: Geometry) -> None:
    plain = make_projector(geometry)
    rng = np.random.default_rng(1)
    volume = torch.zeros(24, 20, 24)
    for place in rng.integers(7, 14, (8, 3)):
        volume[tuple(place)] = 1
    variances = np.where(np.arange(12) % 2, 0.2, 0.0)
    blurred = BlurredProjector(plain, variances)
    images = blurred.forward(volume)
    error = [float((fista(p, images, 100) - volume).norm() / volume.norm()) for p in (blurred, plain)]
    assert error[0] < 0.6 * error[1]


def test_excess() -> None:
    np.testing.assert_allclose(excess_blur(np.array([0.1, 0.2, 0.5])), [0, 0, 0.3])
