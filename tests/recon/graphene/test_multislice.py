"""The forward model: against abTEM, and what any lens must do."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from ase import Atoms

from datasets.catalog import HrtemCard
from datasets.imaging.hrtem import hrtem_image
from datasets.schema import pixel_axis
from recon.graphene.multislice import (
    FrameModel,
    Lens,
    atomic_scattering,
    interaction_constant,
    projected_carbon_transform,
)

LENS = Lens(80e3, defocus=80.0, Cs=1e4, focal_spread=10.0)
AXIS = pixel_axis(96, 0.18)


def _image(atoms: Atoms, lens: Lens = LENS, **options: float) -> np.ndarray:  # type: ignore[type-arg]
    model = FrameModel(AXIS, AXIS, lens, dose=1.0, dtype=torch.float64, **options)
    return model.intensity(torch.as_tensor(atoms.positions)).numpy()


def test_a_weak_atom_scatters_as_born_says() -> None:
    k = np.linspace(0, 1.5, 7)
    fast = 1e9  # the faster the electron, the smaller σv until it is relativistic
    born = interaction_constant(fast) * projected_carbon_transform(k)
    np.testing.assert_allclose(atomic_scattering(k, fast).imag, born, rtol=1e-2)
    assert (atomic_scattering(k, 80e3).real < 0).all()


@pytest.mark.parametrize("convergence", [0.0, 0.5])
def test_agrees_with_multislice_within_one_percent_of_the_contrast(
    sheet: Callable[..., Atoms], convergence: float
) -> None:
    atoms = sheet(13.0, height=0.8, turn=13.0)
    card = HrtemCard(
        modality="hrtem",
        energy_eV=80e3,
        defocus=LENS.defocus,
        Cs=LENS.Cs,
        focal_spread=LENS.focal_spread,
        convergence_mrad=convergence,
        psf_sigma=0.4,
        potential_sampling=0.045,
        slice_thickness=0.5,
        pixel_size=0.18,
        n_pixels=96,
    )
    exact = hrtem_image(atoms, card)
    lens = Lens.of({**card.model_dump(), "aperture_mrad": np.inf})
    error = _image(atoms, lens) - exact
    assert error.std() < 0.01 * exact.std()
    assert abs(error.mean()) < 0.01 * exact.std()


def test_height_is_defocus(sheet: Callable[..., Atoms]) -> None:
    atoms = sheet(13.0)
    raised = atoms.copy()
    raised.positions[:, 2] += 1.5
    further = Lens(LENS.energy, LENS.defocus + 1.5, LENS.Cs, LENS.focal_spread)
    there, here = _image(raised), _image(atoms, further)
    # in the small quadratic terms z enters to first order or not at all
    assert np.abs(there - here).max() < 5e-3 * np.ptp(here)


def test_a_pixel_further_is_the_same_image_a_pixel_further(sheet: Callable[..., Atoms]) -> None:
    atoms = sheet(10.0)
    moved = atoms.copy()
    moved.positions[:, :2] += [0.18, -0.36]
    expected = np.roll(_image(atoms), (-2, 1), axis=(0, 1))
    inner = slice(20, -20)
    np.testing.assert_allclose(_image(moved)[inner, inner], expected[inner, inner], atol=1e-6)


def test_no_electron_is_lost_without_an_aperture(sheet: Callable[..., Atoms]) -> None:
    image = _image(sheet(10.0), Lens(80e3, 40.0))
    assert image.mean() == pytest.approx(1, abs=2e-4)
    assert image.std() > 0.01


def test_gradient_is_the_derivative(sheet: Callable[..., Atoms]) -> None:
    model = FrameModel(AXIS, AXIS, LENS, dose=10.0, background=0.2, dtype=torch.float64)
    positions = torch.as_tensor(sheet(10.0, height=0.5).positions).requires_grad_()
    weights = torch.as_tensor(np.random.default_rng(0).normal(size=(96, 96)))
    (weights * model.expected(positions)).sum().backward()
    assert positions.grad is not None
    along = torch.as_tensor(np.random.default_rng(1).normal(size=positions.shape))
    with torch.no_grad():
        ahead, behind = (model.expected(positions + s * 1e-4 * along) for s in (1, -1))
    expected = float((weights * (ahead - behind)).sum()) / 2e-4
    assert float((positions.grad * along).sum()) == pytest.approx(expected, rel=1e-6)


def test_atoms_outside_the_frame_reach_into_it_but_not_around_it() -> None:
    edge = Atoms("C", [[AXIS[-1] + 1.0, 0.0, 0.0]])
    image = _image(edge)
    assert np.abs(image[:, -5:] - 1).max() > 10 * np.abs(image[:, :48] - 1).max()
