"""Weighted back-projection of analytic atoms, tilted about one axis, two, a cone, and at random."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from datasets.schema import EULER_SEQUENCE, pixel_axis
from recon.project.geometry import Geometry
from recon.project.projector import make_projector
from recon.tomography.fbp import fbp
from recon.tomography.wbp import beams_seen, exact_weights, wbp

PIXEL, SIGMA = 0.5, 1.2
CENTRES = np.array([[2.0, -1.5, 3.0], [-3.0, 2.5, -1.0], [0.5, 3.5, -3.5], [-1.0, -3.0, 0.5]])
"""Atoms [Å] within 5.2 Å of the origin, in a volume of 16 Å."""


def euler(angles: list[tuple[float, float, float]]) -> Rotation:
    return Rotation.from_euler(EULER_SEQUENCE, angles, degrees=True)


EVEN = [(0.0, t, 0.0) for t in np.arange(-90.0, 90.0, 4.0)]
SCHEMES = {
    "one axis": euler(EVEN),
    "one axis, uneven": euler([(0.0, t, 0.0) for t in [*np.arange(-90, 0, 2.0), *np.arange(0, 90, 5.0)]]),
    "two axes": euler([*EVEN, *((0.0, 0.0, t) for t in np.arange(-90.0, 90.0, 4.0))]),
    "any directions": Rotation.random(150, random_state=1),
}
CONE = euler([(0.0, 0.0, 0.0)]) * Rotation.from_euler(
    "XZ", [(60.0, t) for t in np.arange(0.0, 360.0, 4.0)], degrees=True
)
"""A tilt of 60° held while the specimen turns about its normal: conical tilting."""


def geometry_of(turns: Rotation, n: int = 32) -> Geometry:
    axis = pixel_axis(n, PIXEL)
    return Geometry(turns, axis, axis, axis, PIXEL)


def atoms(geometry: Geometry) -> torch.Tensor:
    parts = [
        np.exp(-0.5 * ((getattr(geometry, name) - CENTRES[:, i : i + 1]) / SIGMA) ** 2)
        for i, name in enumerate("xyz")
    ]
    return torch.as_tensor(np.einsum("ax,ay,az->zyx", *parts))


def images(geometry: Geometry) -> torch.Tensor:
    """Exact projections of `atoms`, in the unit of the volume."""
    made = []
    for turn in geometry.rotations:
        at = turn.apply(CENTRES)
        x, y = (
            np.exp(-0.5 * ((axis - at[:, i : i + 1]) / SIGMA) ** 2)
            for i, axis in enumerate((geometry.x, geometry.y))
        )
        made.append(np.einsum("ay,ax->yx", y, x))
    return torch.as_tensor(np.array(made)) * math.sqrt(2 * math.pi) * SIGMA / PIXEL


@pytest.mark.parametrize("scheme", SCHEMES)
def test_projections_that_cover_all_directions_give_the_atoms_back(scheme: str) -> None:
    geometry = geometry_of(SCHEMES[scheme])
    projector = make_projector(geometry, dtype=torch.float64)
    volume = wbp(projector, images(geometry), positivity=False)
    assert (volume - atoms(geometry)).abs().max() < 0.07


def test_a_cone_is_right_where_it_is_seen() -> None:
    """Nobody knows the frequencies within 30° of the axis; the others, and the atoms, must come out."""
    geometry = geometry_of(CONE)
    volume = wbp(make_projector(geometry, dtype=torch.float64), images(geometry), positivity=False)
    peaks = volume[torch.where(atoms(geometry) > 0.97)]
    assert len(peaks) == len(CENTRES)
    assert 0.9 < peaks.min() <= volume.max() < 1.0
    q_z, q_y, q_x = np.meshgrid(*(np.fft.fftfreq(32),) * 3, indexing="ij")
    radius = np.sqrt(q_x**2 + q_y**2 + q_z**2)
    across = np.hypot(q_x, q_y) / np.maximum(radius, 1e-9)
    found, true = (np.fft.fftn(np.fft.ifftshift(part)) for part in (volume, atoms(geometry)))
    seen = (across > np.sin(np.radians(40))) & (radius < 0.2)
    hidden = (across < np.sin(np.radians(20))) & (radius < 0.2) & (radius > 0)
    assert np.linalg.norm((found - true)[seen]) < 0.15 * np.linalg.norm(true[seen])
    assert np.linalg.norm((found - true)[hidden]) > 0.4 * np.linalg.norm(true[hidden])


def test_weights_of_even_tilts_are_the_ramp() -> None:
    n_tilt, thickness = 180, 40.0
    turns = Rotation.from_euler("Y", np.arange(n_tilt)[:, None], degrees=True)
    q = torch.linspace(0.05, 0.5, 50)
    for beams in beams_seen(turns)[::30]:
        found = exact_weights(beams, torch.zeros(1, 1), q, thickness)[0]
        np.testing.assert_allclose(found, math.pi * q / n_tilt, rtol=0.03)


def test_one_axis_is_what_filtered_back_projection_makes_of_it() -> None:
    geometry = geometry_of(euler([(9.0, t, 0.0) for t in np.arange(-90.0, 90.0, 3.0)]))
    projector = make_projector(geometry, dtype=torch.float64)
    one, other = (method(projector, images(geometry), positivity=False) for method in (wbp, fbp))
    assert (one - other).abs().max() < 0.05


@pytest.mark.parametrize("scheme", ["one axis, uneven", "any directions"])
def test_what_is_seen_twice_counts_once(scheme: str) -> None:
    """The same images again, and those from behind, change nothing."""
    once = geometry_of(SCHEMES[scheme][:12])
    behind = Rotation.from_euler("Y", 180, degrees=True) * once.rotations
    thrice = geometry_of(Rotation.concatenate([once.rotations, once.rotations, behind]))
    one, three = (
        wbp(make_projector(geometry, dtype=torch.float64), images(geometry), positivity=False)
        for geometry in (once, thrice)
    )
    inner = (slice(8, -8),) * 3  # what a view loses at its edge, that from behind loses elsewhere
    torch.testing.assert_close(three[inner], one[inner], rtol=0, atol=2e-3 * float(one.max()))


def test_linear_and_smoother_with_a_window() -> None:
    geometry = geometry_of(CONE[::6], n=20)
    projector = make_projector(geometry, dtype=torch.float64)
    noise = torch.rand(geometry.projection_shape, dtype=torch.float64)
    plain = wbp(projector, noise, positivity=False)
    torch.testing.assert_close(wbp(projector, -2.0 * noise, positivity=False), -2.0 * plain)
    assert wbp(projector, noise).min() >= 0
    assert wbp(projector, noise, window="hann", positivity=False).std() < plain.std()
    assert wbp(projector, noise, cutoff=0.5, positivity=False).std() < plain.std()
    assert wbp(projector, noise, thickness=5.0, positivity=False).std() > plain.std()
