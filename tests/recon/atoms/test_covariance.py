"""The covariance of neighbours against the inverse of a dense information matrix."""

import numpy as np
from scipy.spatial.transform import Rotation

from recon.atoms.covariance import local_covariance
from recon.project.gaussian_atoms import GaussianAtoms

SHAPE = (34, 36)
PIXEL = 0.4
ROWS = np.ascontiguousarray(
    Rotation.from_euler("ZYX", [[3, t, 2] for t in range(-70, 71, 20)], degrees=True).as_matrix()[:, :2]
)
ORIGIN = np.array([-18.0, -17.0])


def some_atoms(n: int, spacing: float = 2.4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    grid = spacing * np.array([[i, j, k] for i in (-1, 0, 1) for j in (-1, 0) for k in (0, 1)], dtype=float)
    return grid[:n] + rng.normal(scale=0.1, size=(n, 3)), rng.uniform(40, 60, n)


def atoms_at(positions: np.ndarray) -> GaussianAtoms:
    return GaussianAtoms.at(positions / PIXEL, np.full(len(positions), 1.3), ROWS, ORIGIN, SHAPE)


def dense(positions: np.ndarray, heights: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Fisher information (4n, 4n) by central differences of the images."""
    columns = []
    for atom in range(len(positions)):
        rise = np.eye(len(positions))[atom]
        up, down = (atoms_at(positions).project(heights + s * rise).astype(float) for s in (1, -1))
        columns.append((up - down) / 2)
        for axis in range(3):
            move = np.zeros_like(positions)
            move[atom, axis] = 0.05 * PIXEL
            up, down = (atoms_at(positions + s * move).project(heights).astype(float) for s in (1, -1))
            columns.append((up - down) / 0.1)
    jacobian = np.array(columns).reshape(len(columns), -1)
    return (jacobian * weights.ravel()) @ jacobian.T


def test_with_all_neighbours_it_is_the_dense_inverse() -> None:
    positions, heights = some_atoms(5)
    atoms = atoms_at(positions)
    weights = 1 / (atoms.project(heights) + np.float32(0.5))
    found = local_covariance(positions, heights, atoms, weights, radius=20.0)
    exact = np.linalg.inv(dense(positions, heights, weights))
    for a in range(5):
        block = exact[4 * a : 4 * a + 4, 4 * a : 4 * a + 4]
        scale = np.sqrt(np.outer(np.diag(block), np.diag(block)))
        np.testing.assert_allclose(found[a] / scale, block / scale, atol=0.03)


def test_knowing_an_intensity_adds_to_its_information() -> None:
    positions, heights = some_atoms(3)
    atoms = atoms_at(positions)
    weights = 1 / (atoms.project(heights) + np.float32(0.5))
    precision = np.array([0.2, 0.0, 5.0])
    found = local_covariance(positions, heights, atoms, weights, precision=precision, radius=20.0)
    information = dense(positions, heights, weights) + np.diag(np.outer(precision, [1, 0, 0, 0]).ravel())
    exact = np.linalg.inv(information)
    np.testing.assert_allclose(found[:, 0, 0], np.diag(exact)[::4], rtol=0.03)
    assert found[2, 0, 0] < 1 / 5.0


def test_far_atoms_hardly_matter() -> None:
    positions, heights = some_atoms(12)
    atoms = atoms_at(positions)
    weights = 1 / (atoms.project(heights) + np.float32(0.5))
    near, all_of_them = (
        np.sqrt(
            np.trace(
                local_covariance(positions, heights, atoms, weights, radius=r)[:, 1:, 1:], axis1=1, axis2=2
            )
        )
        for r in (3.2, 20.0)
    )
    assert np.all(near <= all_of_them * 1.0001)  # what is held known can only take from a variance
    np.testing.assert_allclose(near, all_of_them, rtol=0.06)


def test_four_times_the_counts_halve_the_errors() -> None:
    positions, heights = some_atoms(4)
    atoms = atoms_at(positions)
    weights = 1 / (atoms.project(heights) + np.float32(0.5))
    once = local_covariance(positions, heights, atoms, weights)
    four = local_covariance(positions, 4 * heights, atoms, weights / 4)
    np.testing.assert_allclose(four[:, 1:, 1:], once[:, 1:, 1:] / 4, rtol=1e-4)


def test_what_no_image_shows_is_not_determined() -> None:
    positions, heights = some_atoms(2)
    positions[1] = [300.0, 300.0, 300.0]
    atoms = atoms_at(positions)
    weights = np.ones((len(ROWS), *SHAPE), dtype=np.float32)
    found = local_covariance(positions, heights, atoms, weights)
    assert np.isfinite(found[0]).all()
    assert np.isinf(found[1]).all()
    none = np.empty((0, 3))
    assert local_covariance(none, np.empty(0), atoms_at(none), weights).shape == (0, 4, 4)


def test_that_of_some_is_that_of_all() -> None:
    positions, heights = some_atoms(12)
    atoms = atoms_at(positions)
    weights = 1 / (atoms.project(heights) + np.float32(0.5))
    precision = np.linspace(0, 1, 12)
    everything = local_covariance(positions, heights, atoms, weights, precision=precision)
    some = np.array([7, 2, 3])
    found = local_covariance(positions, heights, atoms, weights, precision=precision, of=some)
    np.testing.assert_allclose(found, everything[some], rtol=1e-9)
    nothing = np.empty(0, dtype=np.int64)
    assert local_covariance(positions, heights, atoms, weights, of=nothing).shape == (0, 4, 4)
