"""Surfaces, slopes and strains that are known exactly."""

import numpy as np
import numpy.typing as npt
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.errors import InputError
from datasets.structures.analysis.bicubic import BicubicSurface
from datasets.structures.analysis.electron_localisation import PUBLISHED, published_localisation
from datasets.structures.analysis.sheet import Displacements, displacements
from datasets.structures.analysis.strain import height_gradient, strain

FloatArray = npt.NDArray[np.float64]
BOND, EDGE = 1.42, 18.0


def sites() -> FloatArray:
    """Those of a honeycomb, about 500."""
    cell = np.array([[1.5, np.sqrt(3) / 2], [1.5, -np.sqrt(3) / 2]]) * BOND
    n = np.arange(-25, 26)
    corners = np.stack(np.meshgrid(n, n, indexing="ij"), axis=-1).reshape(-1, 2) @ cell
    plane = np.concatenate([corners + np.array([s * BOND / 2, 0]) for s in (1, -1)])
    return plane[(np.abs(plane) < EDGE).all(axis=1)]


def inner(points: FloatArray, margin: float = 3.0) -> npt.NDArray[np.bool_]:
    return np.asarray((np.abs(points) < EDGE - margin).all(axis=1))


@settings(max_examples=15, deadline=None)
@given(st.tuples(*[st.floats(-1, 1)] * 3))
def test_planes_are_exact(c: tuple[float, float, float]) -> None:
    points = sites()
    surface = BicubicSurface.fit(points, c[0] + points @ np.array(c[1:]))
    np.testing.assert_allclose(surface(points), c[0] + points @ np.array(c[1:]), atol=1e-6)
    np.testing.assert_allclose(surface.gradient(points), np.tile(c[1:], (len(points), 1)), atol=1e-5)


def test_the_gradient_is_that_of_the_surface() -> None:
    points = sites()
    surface = BicubicSurface.fit(points, np.random.default_rng(0).normal(size=len(points)))
    here, step = np.array([[0.3, -2.2], [5.1, 7.7]]), 1e-5
    for axis in (0, 1):
        move = step * np.eye(2)[axis]
        numeric = (surface(here + move) - surface(here - move)) / (2 * step)
        np.testing.assert_allclose(surface.gradient(here)[:, axis], numeric, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("wavelength", "tolerance"), [(40.0, 0.002), (20.0, 0.008), (12.0, 0.06)])
def test_the_slope_of_a_sinusoidal_ripple(wavelength: float, tolerance: float) -> None:
    """z = A cos qx + A sin qy: g = A q √(sin² qx + cos² qy), to a part of A q that grows as q⁴."""
    points, q, a = sites(), 2 * np.pi / wavelength, 1.2
    z = a * np.cos(q * points[:, 0]) + a * np.sin(q * points[:, 1])
    found = height_gradient(np.column_stack([points, z]))
    true = a * q * np.hypot(np.sin(q * points[:, 0]), np.cos(q * points[:, 1]))
    error = (found - true)[inner(points)]
    assert np.abs(error).max() < 3 * tolerance * a * q
    assert np.sqrt(np.mean(error**2)) < tolerance * a * q


def test_the_strain_of_a_sinusoidal_displacement() -> None:
    """u = A sin qy, v = A cos qx: ε_xy = ½ A q (cos qy − sin qx), ± 0.04 as in the paper; the others
    vanish.
    """
    points, q = sites(), 2 * np.pi / 20.0
    a = 0.04 / q
    moved = a * np.stack([np.sin(q * points[:, 1]), np.cos(q * points[:, 0])], axis=-1)
    flat = Displacements(np.arange(len(points)), points, moved, 0.0, BOND)
    found = strain(flat)
    well = inner(points)
    true = 0.5 * 0.04 * (np.cos(q * points[:, 1]) - np.sin(q * points[:, 0]))
    assert np.abs(found.xy - true)[well].max() < 1e-3
    assert max(np.abs(found.xx)[well].max(), np.abs(found.yy)[well].max()) < 1e-3
    # and through the matching to a perfect lattice, which takes out a rigid motion
    atoms = Atoms(f"C{len(points)}", np.column_stack([points + moved, np.zeros(len(points))]))
    matched = displacements(atoms, bond=BOND)
    whole = strain(matched)
    ideal = 0.5 * 0.04 * (np.cos(q * matched.sites[:, 1]) - np.sin(q * matched.sites[:, 0]))
    assert np.abs(whole.xy - ideal)[inner(matched.sites)].max() < 3e-3


def test_normal_strains_of_a_known_wave() -> None:
    """u = A sin qx: ε_xx = A q cos qx, no shear."""
    points, q, a = sites(), 2 * np.pi / 24.0, 0.1
    moved = np.column_stack([a * np.sin(q * points[:, 0]), np.zeros(len(points))])
    found = strain(Displacements(np.arange(len(points)), points, moved, 0.0, BOND))
    well = inner(points)
    np.testing.assert_allclose(found.xx[well], (a * q * np.cos(q * points[:, 0]))[well], atol=5e-4)
    np.testing.assert_allclose(found.xy[well], 0, atol=5e-4)


def test_gaps_are_filled_and_noise_is_not_multiplied() -> None:
    points, q = sites(), 2 * np.pi / 30.0
    hole = np.hypot(points[:, 0] - 3, points[:, 1] + 2) < 4.0
    z = np.cos(q * points[:, 0])
    surface = BicubicSurface.fit(points[~hole], z[~hole])
    assert np.abs(surface(points[hole]) - z[hole]).max() < 0.15
    noise = np.random.default_rng(1).normal(scale=0.05, size=len(points))
    slopes = BicubicSurface.fit(points, noise).gradient(points[inner(points)])
    smooth = BicubicSurface.fit(points, noise, penalty=10.0).gradient(points[inner(points)])
    assert np.sqrt(np.mean(slopes**2)) < 0.05
    assert np.sqrt(np.mean(smooth**2)) < 0.25 * np.sqrt(np.mean(slopes**2))
    with pytest.raises(InputError, match="at least 16 points"):
        BicubicSurface.fit(points[:5], z[:5])


def test_the_published_polynomials() -> None:
    """At zero their constant terms; elsewhere as printed in paper 000; beyond its data nothing."""
    assert published_localisation("gradient", 0.0) == pytest.approx(0.04)
    assert published_localisation("shear", 0.0) == pytest.approx(0.04)
    assert published_localisation("bond_length_change", 0.0) == pytest.approx(0.041)
    assert published_localisation("shear", 0.02) == pytest.approx(14.64e-6 * 8 + 17.91 * 4e-4 - 0.005 + 0.04)
    assert published_localisation("gradient", 0.3) == pytest.approx(-0.58 * 0.027 + 0.0045 + 0.027 + 0.04)
    delta = 0.1
    by_hand = 144.75 * delta**5 + 71.48 * delta**4 + 3.14 * delta**3 + 0.45 * delta**2 + 0.006 * delta + 0.041
    assert published_localisation("bond_length_change", delta) == pytest.approx(by_hand)
    assert np.isnan(published_localisation("shear", [-0.1, 0.1])).all()
    with pytest.raises(InputError, match="unknown variable 'slope'"):
        published_localisation("slope", 0.1)  # type: ignore[arg-type]
    for polynomial in PUBLISHED.values():
        low, high = polynomial.domain
        assert (np.polyval(polynomial.coefficients, np.linspace(low, high, 99)) > 0).all()
