"""The basis against orthonormality, moments against known ones, descriptors under rotations."""

import subprocess
import sys
import time
import tracemalloc

import numpy as np
import numpy.typing as npt
import pytest
import scipy.integrate
import scipy.ndimage
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from recon.neural import zernike
from recon.neural.zernike import (
    ball_quadrature,
    feature_names,
    read_spline,
    zernike_basis,
    zernike_descriptors,
    zernike_moments,
)

VOXEL = 0.4
SIGMA = 0.45
N = 48
AXIS = (np.arange(N) - N // 2) * VOXEL
Z, Y, X = np.meshgrid(AXIS, AXIS, AXIS, indexing="ij")
ORIGIN = np.zeros((1, 3))

Array = npt.NDArray[np.float64]


def density(positions: Array, weights: Array, sigma: float = SIGMA) -> Array:
    along = [np.exp(-0.5 * ((AXIS - positions[:, i : i + 1]) / sigma) ** 2) for i in range(3)]
    return np.einsum("a,az,ay,ax->zyx", weights, along[2], along[1], along[0])


def arrangement(seed: int, n: int = 60) -> tuple[Array, Array]:
    """`n` atoms at random places at least 2 Å apart, of random weights."""
    rng = np.random.default_rng(seed)
    placed: list[Array] = []
    while len(placed) < n:
        place = rng.uniform(-5, 5, 3)
        if all(np.linalg.norm(place - other) > 2.0 for other in placed):
            placed.append(place)
    return np.array(placed), rng.uniform(0.3, 1.0, n)


@pytest.mark.parametrize("order", [0, 1, 4, 8, 12])
@pytest.mark.parametrize("extra", [0, 14])
def test_basis_is_orthonormal(order: int, extra: int) -> None:
    rule = ball_quadrature(order, extra)
    basis = zernike_basis(rule.points, order)
    assert basis.shape[1] == (order + 1) * (order + 2) * (order + 3) // 6
    gram = basis.T @ (basis * rule.weights[:, None])
    np.testing.assert_allclose(gram, np.eye(len(gram)), rtol=0, atol=1e-10)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_polynomials_are_spanned_and_their_norm_kept(seed: int) -> None:
    """Any polynomial of degree 5 is the sum of its moments (completeness), so Parseval's equality holds."""
    rule = ball_quadrature(5)
    powers = [(i, j, k) for i in range(6) for j in range(6 - i) for k in range(6 - i - j)]
    values = sum(
        c * np.prod(rule.points ** np.array(p), axis=1)
        for c, p in zip(np.random.default_rng(seed).normal(size=len(powers)), powers, strict=True)
    )
    basis = zernike_basis(rule.points, 5)
    moments = (rule.weights * values) @ basis
    np.testing.assert_allclose(basis @ moments, values, atol=1e-10)
    assert (moments**2).sum() == pytest.approx(rule.weights @ values**2, rel=1e-10)


def test_first_functions_are_the_known_polynomials() -> None:
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (20, 3))
    x, y, z = points.T
    r2 = (points**2).sum(axis=1)
    known = [np.ones(20), *(np.sqrt(5) * c for c in (-y, z, -x)), np.sqrt(7 / 3) * (2.5 * r2 - 1.5)]
    found = zernike_basis(points, 2)[:, :5]
    np.testing.assert_allclose(np.abs(found), np.abs(np.stack(known, axis=1)), atol=1e-12)


def test_constant_density_has_its_mean_and_nothing_else() -> None:
    found = zernike_descriptors(np.full((N, N, N), 3.0), VOXEL, ORIGIN, radius=2.0, order=6)[0]
    assert found[0] == pytest.approx(3.0, rel=1e-5)
    np.testing.assert_allclose(found[1:], 0, atol=1e-4)


def test_polynomial_density_has_its_analytic_moments() -> None:
    """Of 2x + y + r² in a ball of radius R: F_00 = 3R²/5, F_11 = R, F_20 = sqrt(7/3) 6R²/35."""
    radius = 1.7
    volume = 2 * X + Y + X**2 + Y**2 + Z**2
    moments = zernike_moments(volume, VOXEL, ORIGIN, radius=radius, order=3)[0]
    assert moments[0] == pytest.approx(0.6 * radius**2, rel=1e-4)
    np.testing.assert_allclose(
        np.abs(moments[1:4]), np.array([1.0, 0.0, 2.0]) * radius / np.sqrt(5), atol=1e-3
    )  # y, z, x: the volume's axes are read as they lie
    assert moments[4] == pytest.approx(np.sqrt(7 / 3) * 6 / 35 * radius**2, rel=1e-3)
    np.testing.assert_allclose(moments[5:], 0, atol=1e-3)
    found = zernike_descriptors(volume, VOXEL, ORIGIN, radius=radius, order=3)[0]
    names = feature_names(3)
    assert found[names.index((1, 1))] == pytest.approx(radius, rel=1e-3)


@pytest.mark.parametrize("radius", [1.2, 2.0, 3.0])
@pytest.mark.parametrize(("sigma", "tolerance"), [(0.45, 2e-3), (0.7, 1e-4)])
def test_gaussian_at_the_centre_has_its_analytic_moments(
    radius: float, sigma: float, tolerance: float
) -> None:
    place = np.array([[0.13, -0.31, 0.22]])
    volume = density(place, np.ones(1), sigma)
    found = zernike_descriptors(volume, VOXEL, place, radius=radius, order=8)[0]
    for value, (n, degree) in zip(found, feature_names(8), strict=True):
        expected = 0.0
        if degree == 0:
            expected, _ = scipy.integrate.quad(
                lambda r, n=n: (
                    3 * r**2 * np.sqrt((2 * n + 3) / 3) * np.exp(-0.5 * (r * radius / sigma) ** 2)
                    * scipy.special.eval_jacobi(n // 2, 0, 0.5, 2 * r**2 - 1)
                ),
                0, 1,
            )  # fmt: skip
        assert value == pytest.approx(abs(expected), abs=tolerance * np.linalg.norm(found))


@pytest.mark.parametrize(("radius", "order"), [(1.2, 6), (2.0, 8), (3.2, 8)])
def test_rotation_leaves_descriptors(radius: float, order: int) -> None:
    """To 1e-3 of an atom's descriptors (root mean square over atoms), sampled anew on the same grid."""
    changes = []
    for seed in range(2):
        positions, weights = arrangement(seed)
        before = zernike_descriptors(
            density(positions, weights), VOXEL, positions, radius=radius, order=order
        )
        for turn in Rotation.random(2, random_state=seed):
            turned = turn.apply(positions)
            inside = np.abs(turned).max(axis=1) < AXIS[-1] - radius - 1
            after = zernike_descriptors(density(turned, weights), VOXEL, turned, radius=radius, order=order)
            norm = np.linalg.norm(before[inside], axis=1)
            changes.append(np.linalg.norm((after - before)[inside], axis=1) / norm)
    change = np.concatenate(changes)
    assert np.sqrt(np.mean(change**2)) < 1e-3
    assert change.max() < 3e-3


def test_mirror_and_inversion_leave_descriptors() -> None:
    positions, weights = arrangement(3, 20)
    before = zernike_descriptors(density(positions, weights), VOXEL, positions, radius=2.0, order=6)
    flipped = positions * [1, -1, 1]
    after = zernike_descriptors(density(flipped, weights), VOXEL, flipped, radius=2.0, order=6)
    np.testing.assert_allclose(after, before, atol=1e-4 * before.max())


def test_neighbours_are_seen_and_scale_carries_over() -> None:
    place = np.zeros((1, 3))
    alone = density(place, np.ones(1))
    pair = density(np.array([[0.0, 0, 0], [1.5, 0, 0]]), np.ones(2))
    names = feature_names(4)
    one, two, four = (
        zernike_descriptors(v, VOXEL, place, radius=2.0, order=4)[0] for v in (alone, pair, 4 * pair)
    )
    assert one[names.index((1, 1))] < 1e-3 * one[0]
    assert two[names.index((1, 1))] > 0.1 * two[0]
    np.testing.assert_allclose(four, 4 * two, rtol=1e-5)


def test_origin_says_where_the_first_voxel_is() -> None:
    positions, weights = arrangement(5, 10)
    volume = density(positions, weights)
    shift = np.array([3.0, -7.0, 11.0])
    first = tuple(np.full(3, AXIS[0]) + shift)
    np.testing.assert_allclose(
        zernike_descriptors(volume, VOXEL, positions + shift, radius=2.0, order=4, origin=first),
        zernike_descriptors(volume, VOXEL, positions, radius=2.0, order=4),
        rtol=1e-9, atol=1e-12,
    )  # fmt: skip


def test_spline_is_that_of_scipy() -> None:
    rng = np.random.default_rng(1)
    coefficients = scipy.ndimage.spline_filter(rng.normal(size=(17, 19, 21)), order=5, output=np.float32)
    index, offsets = rng.uniform(6, 10, (5, 3)), rng.uniform(-3, 3, (40, 3))
    places = (index[:, None] + offsets).reshape(-1, 3).T
    expected = scipy.ndimage.map_coordinates(coefficients, places, order=5, prefilter=False)
    np.testing.assert_allclose(read_spline(coefficients, index, offsets).ravel(), expected, atol=1e-5)


def test_outside_the_volume_there_is_nothing() -> None:
    volume = np.ones((8, 8, 8))
    far = np.array([[100.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    found = zernike_descriptors(volume, VOXEL, far, radius=1.0, order=2)
    assert not found[0].any()
    assert found[1, 0] == pytest.approx(1.0, abs=0.02)
    assert zernike_descriptors(volume, VOXEL, np.empty((0, 3)), radius=1.0, order=2).shape == (0, 4)


def test_batches_change_nothing_and_bound_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    positions, weights = arrangement(6, 30)
    volume = density(positions, weights)
    whole = zernike_descriptors(volume, VOXEL, positions, radius=1.6, order=4)
    monkeypatch.setattr(zernike, "BATCH_POINTS", 1 << 12)
    np.testing.assert_allclose(
        zernike_descriptors(volume, VOXEL, positions, radius=1.6, order=4), whole, rtol=1e-12
    )
    monkeypatch.undo()
    many = np.tile(positions, (300, 1))
    tracemalloc.start()
    zernike_descriptors(volume, VOXEL, many, radius=1.6, order=4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6  # all 9,000 atoms at once would be 72 MB of densities alone


def test_time_is_linear_in_atoms() -> None:
    positions, weights = arrangement(7, 20)
    volume = density(positions, weights)[:24, :24, :24]
    zernike_descriptors(volume, VOXEL, positions, radius=1.6, order=4)

    def seconds(n: int) -> float:
        centres = np.tile(positions, (n, 1))
        times = []
        for _ in range(2):
            start = time.process_time()
            zernike_descriptors(volume, VOXEL, centres, radius=1.6, order=4)
            times.append(time.process_time() - start)
        return min(times)

    assert seconds(200) < 8 * seconds(50) + 0.05


def test_torch_is_not_imported() -> None:
    code = "import sys, recon.neural.zernike; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"volume": np.ones((4, 4))}, "volume"),
        ({"centres": np.ones((2, 2))}, "centres"),
        ({"radius": 0.0}, "positive"),
        ({"order": -1}, "order"),
        ({"radius": 200.0}, "too many voxels"),
    ],
)
def test_bad_input_gets_one_sentence(arguments: dict[str, object], sentence: str) -> None:
    good = {"volume": np.ones((9, 9, 9)), "voxel": VOXEL, "centres": ORIGIN, "radius": 1.0, "order": 2}
    with pytest.raises(InputError, match=sentence):
        zernike_descriptors(**{**good, **arguments})  # type: ignore[arg-type]
