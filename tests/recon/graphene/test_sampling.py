"""The walk: on a Gaussian, where its answer is known, and its masses."""

import numpy as np

from recon.graphene.prior import Sheet
from recon.graphene.sampling import Chain, Masses, Quadratic


def _curvature(n: int, seed: int = 0) -> np.ndarray:  # type: ignore[type-arg]
    """Positive definite, its softest direction a thousand times softer than its stiffest."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(n, n)))[0]
    return turn * np.geomspace(0.1, 100.0, n) @ turn.T


def test_velocity_undoes_what_momenta_are_drawn_with() -> None:
    curvature = _curvature(30)
    masses = Masses.of(curvature)
    rng = np.random.default_rng(1)
    drawn = np.array([masses.draw(rng) for _ in range(4000)])
    inverse = np.array([masses.velocity(row) for row in np.eye(30)])
    whitened = drawn @ np.linalg.cholesky(inverse)
    np.testing.assert_allclose(np.cov(whitened.T), np.eye(30), atol=0.12)


def test_a_gaussian_is_drawn_as_it_is() -> None:
    n = 8
    curvature = _curvature(3 * n)
    gradient = np.random.default_rng(2).normal(size=3 * n)
    free = Sheet(np.full((n, 3), -1))  # atoms without bonds: the likelihood alone
    at = np.zeros((n, 3))
    chain = Chain(
        free, Quadratic(at, gradient, curvature), Masses.of(curvature), at, 300.0, np.random.default_rng(3)
    )
    chain.run(50, adapt=True)
    sheets, _ = chain.run(2000)
    expected = -np.linalg.solve(curvature, gradient)
    spread = np.sqrt(np.diag(np.linalg.inv(curvature)))
    flat = sheets.reshape(len(sheets), -1)
    assert (np.abs(flat.mean(axis=0) - expected) < 0.25 * spread).all()
    np.testing.assert_allclose(flat.std(axis=0), spread, rtol=0.15)


def test_what_is_left_out_of_the_information_keeps_shifts_of_all_atoms() -> None:
    curvature = _curvature(30)
    kept = Quadratic(np.zeros((10, 3)), np.zeros(30), curvature).sparse()
    together = np.tile([1.0, 0.0, 0.0], 10)
    np.testing.assert_allclose(together @ kept @ together, together @ curvature @ together, rtol=1e-4)


def test_a_thermal_sheet_tells_its_temperature() -> None:
    n = 6
    hexagon = 1.421 * np.exp(1j * np.pi / 3 * np.arange(n))
    flat = np.column_stack([hexagon.real, hexagon.imag, np.zeros(n)])
    ring = np.column_stack([np.roll(np.arange(n), 1), np.roll(np.arange(n), -1), np.full(n, -1)])
    sheet = Sheet(ring)
    held = Quadratic(flat, np.zeros(3 * n), 5.0 * np.eye(3 * n))
    masses = Masses.of(held.information + sheet.hessian(flat) / (8.617e-5 * 600.0))
    chain = Chain(sheet, held, masses, flat, 600.0, np.random.default_rng(0))
    chain.run(200, adapt=True)
    sheets, temperatures = chain.run(300)
    assert (temperatures == 600.0).all()
    assert chain.accepted > 0.5
    # where the likelihood does not hold it a ring has its share of energy: half of kT for each of 3n − 6
    energies = [sheet.energy(s.astype(float))[0] for s in sheets]
    assert 0.2 < np.mean(energies) / (0.5 * (3 * n - 6) * 8.617e-5 * 600.0) < 1.2
