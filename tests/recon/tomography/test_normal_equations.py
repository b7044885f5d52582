"""RESIRE and FISTA by one convolution: the same volumes, at a cost that does not know how many tilts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from datasets.schema import pixel_axis
from recon import registry
from recon.project.geometry import Geometry
from recon.project.projector import make_projector
from recon.tomography.fista import fista
from recon.tomography.normal_equations import normal_equations
from recon.tomography.resire import resire

PIXEL = 0.4


def _geometry(n_tilt: int, *, n: int = 24, phi: float = 0.0) -> Geometry:
    angles = np.zeros((n_tilt, 3))
    angles[:, 0] = phi
    angles[:, 1] = np.linspace(-75, 75, n_tilt)
    axis = pixel_axis(n, PIXEL)
    return Geometry(Rotation.from_euler("ZYX", angles, degrees=True), axis, axis[: n // 3], axis, PIXEL)


def _balls(geometry: Geometry) -> torch.Tensor:
    """A few smooth balls, well inside the images."""
    z, y, x = np.meshgrid(geometry.z, geometry.y, geometry.x, indexing="ij")
    volume = np.zeros(z.shape)
    for cx, cz in ((-1.4, 0.6), (1.2, 1.1), (0.1, -1.5)):
        volume += np.exp(-((x - cx) ** 2 + (y - geometry.y.mean()) ** 2 + (z - cz) ** 2) / (2 * 0.7**2))
    return torch.as_tensor(volume, dtype=torch.float64)


@pytest.mark.parametrize("kernel", [resire, fista])
def test_the_same_volume_as_by_projections(kernel) -> None:  # type: ignore[no-untyped-def]
    geometry = _geometry(41)
    projector = make_projector(geometry, oversample=2, dtype=torch.float64)
    projections = projector.forward(_balls(geometry))
    equations = normal_equations(projector, projections, "toeplitz", oversample=2)
    assert equations is not None
    direct = kernel(projector, projections, 20)
    convolved = kernel(projector, projections, 20, equations=equations)
    z, _, x = np.meshgrid(geometry.z, geometry.y, geometry.x, indexing="ij")
    seen = torch.as_tensor(x**2 + z**2 < 3.5**2)  # beyond it lies what falls off the images at some tilt
    assert float(((direct - convolved) * seen).norm() / direct.norm()) < 0.01
    residuals = [float((projector.forward(v) - projections).norm()) for v in (direct, convolved)]
    assert residuals[1] == pytest.approx(residuals[0], rel=0.05)


def test_its_residual_is_that_of_the_images() -> None:
    geometry = _geometry(41)
    projector = make_projector(geometry, oversample=2, dtype=torch.float64)
    volume = _balls(geometry)
    projections = projector.forward(volume)
    equations = normal_equations(projector, projections, "toeplitz", oversample=2)
    assert equations is not None
    _, residual = equations.gradient(0.5 * volume)
    assert residual == pytest.approx(0.5, abs=0.01)
    _, nothing = equations.gradient(projector.zeros())
    assert nothing == pytest.approx(1.0)


def test_chosen_by_cost() -> None:
    few, many = _geometry(20), _geometry(90)
    for geometry, expected in ((few, False), (many, True)):
        projector = make_projector(geometry)
        projections = torch.zeros(geometry.projection_shape)
        assert (normal_equations(projector, projections, "auto", oversample=1) is not None) == expected
        assert normal_equations(projector, projections, "projections", oversample=1) is None


def test_only_for_tilts_about_one_axis() -> None:
    geometry = _geometry(90, phi=3.0)
    projector = make_projector(geometry)
    projections = torch.zeros(geometry.projection_shape)
    assert normal_equations(projector, projections, "auto", oversample=1) is None
    with pytest.raises(InputError, match="tilts about y"):
        normal_equations(projector, projections, "toeplitz", oversample=1)


def test_a_field_of_both() -> None:
    assert registry.get("resire[normal=toeplitz]").parameters["normal"] == "toeplitz"
    assert registry.get("fista[normal=toeplitz]").parameters["normal"] == "toeplitz"
