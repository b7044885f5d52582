"""Fisher information: against derivatives of the expected counts, pixel by pixel."""

from collections.abc import Callable

import numpy as np
import torch
from ase import Atoms

from datasets.schema import pixel_axis
from recon.graphene.information import atom_images, fisher_information, standardised_modes
from recon.graphene.multislice import FrameModel, Lens

LENS = Lens(80e3, defocus=80.0, Cs=1e4, focal_spread=10.0)
AXIS = pixel_axis(80, 0.18)


def test_information_is_the_sum_of_squared_derivatives_over_variances(sheet: Callable[..., Atoms]) -> None:
    model = FrameModel(AXIS, AXIS, LENS, dose=8e3, dtype=torch.float64)
    positions = sheet(4.0, height=0.5).positions
    steps = 1e-3 * np.eye(positions.size).reshape(-1, *positions.shape)
    shifted = [[model.expected(torch.as_tensor(positions + s * d)).numpy() for s in (1, -1)] for d in steps]
    jacobian = np.array([(ahead - behind).ravel() / 2e-3 for ahead, behind in shifted]).T
    counts = model.expected(torch.as_tensor(positions)).numpy().ravel()
    exact = jacobian.T @ (jacobian / counts[:, None])
    fast = fisher_information(model, positions)
    scale = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    # contrast of a few percent, and the scattered wave's own intensity, are what is left out
    assert np.abs((fast - exact) / scale).max() < 0.08


def test_an_atom_is_told_from_noise_by_its_own_image(sheet: Callable[..., Atoms]) -> None:
    model = FrameModel(AXIS, AXIS, LENS, dose=8e3)
    atom = np.array([[0.4, -0.7, 0.0]])
    with torch.no_grad():
        frame = model.expected(torch.as_tensor(atom, dtype=torch.float32)).double().numpy()
    image = atom_images(model, atom)[0]
    amplitude = image @ standardised_modes(model, frame) / (image @ image)
    np.testing.assert_allclose(amplitude, 1, atol=0.1)


def test_noise_has_unit_variance_in_every_mode() -> None:
    model = FrameModel(AXIS, AXIS, LENS, dose=8e3, margin=0.0)
    noise = np.random.default_rng(0).poisson(8e3 * 0.18**2, size=(80, 80)).astype(float)
    modes = standardised_modes(model, noise)
    np.testing.assert_allclose(modes[np.abs(modes) > 0].var(), 1, rtol=0.1)
