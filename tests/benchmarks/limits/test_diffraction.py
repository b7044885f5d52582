"""The limit of a 4D-STEM series: reached by a fit from the truth, and in proportion to the dose."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms

from benchmarks.limits.diffraction import PatternLimit, thinned, unexplained
from benchmarks.limits.pattern_derivatives import agreements
from datasets.errors import InputError
from datasets.schema import make_measurement, pixel_axis
from recon.ptychography.atom_fit import AtomModel, fit_atoms, slice_grid
from recon.ptychography.atom_potential import gaussian_widths, phase_integrals
from recon.ptychography.scan import Scan
from recon.ptychography.tilt_series import TiltSeries

DOSE = 2e3
POSITIONS = np.array([[1.5, 0.3, 0.2], [-1.2, 1.0, -0.8], [0.1, -1.6, 1.1]])


@pytest.fixture(scope="module")
def limit() -> PatternLimit:
    """Three atoms in a scan of 7 × 7 probes at six tilts; patterns are those of the model itself."""
    torch.set_num_threads(1)
    axis = pixel_axis(7, 1.2)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    k = (np.arange(24) - 11.75) / 9.6
    zero = np.zeros(6)
    measurement = make_measurement(
        "4dstem",
        np.zeros((6, 49, 24, 24)),
        {
            "phi": zero,
            "theta": np.arange(6) * 30.0,
            "psi": zero,
            "scan_y": y.ravel(),
            "scan_x": x.ravel(),
            "ky": k,
            "kx": k,
        },
        dose_per_area=DOSE,
        pixel_size=1.2,
        background=0.0,
        elements=["Au", "Cu"],
        optics={"energy_eV": 300e3, "semiangle_mrad": 21.0, "defocus": -30.0},
    )
    series = TiltSeries(measurement, Scan.of(measurement), slice_thickness=1.6)
    profiles = phase_integrals(["Cu", "Au"], 300e3)
    model = AtomModel(
        POSITIONS, np.array([0, 1, 0]), np.ones(3), profiles, gaussian_widths(0.08, series.voxel)
    )
    grid = slice_grid(series)
    series.counts = [
        series.multislice.patterns(
            torch.as_tensor(grid.draw(turn.apply(POSITIONS), model.phases, model.widths)), series.places[tilt]
        )
        for tilt, turn in enumerate(series.scan.rotations)
    ]
    expected = np.stack([counts.numpy() for counts in series.counts]) / DOSE
    return PatternLimit(Atoms("CuAuCu", POSITIONS), expected, series, model, 0.0, unexplained(series, model))


def test_a_fit_of_the_model_to_its_own_counts_scatters_as_much(limit: PatternLimit) -> None:
    bound = limit.solve(DOSE)
    assert limit.unexplained < 1e-3
    assert bound.floor() == 0
    rng = np.random.default_rng(0)
    noise_free, squares = limit.series.counts, []
    for _ in range(6):
        limit.series.counts = [torch.as_tensor(rng.poisson(counts.double().numpy())) for counts in noise_free]
        fitted = fit_atoms(limit.series, limit.model, 8, loss="poisson", heights=False, profiles=False)
        off = fitted.positions - POSITIONS
        squares.append(((off - off.mean(axis=0)) ** 2).sum(axis=1).mean())
    limit.series.counts = noise_free
    measured = 100 * np.sqrt(np.mean(squares))
    assert measured == pytest.approx(bound.bound(), rel=0.35)  # 6 draws of 6 degrees of freedom


def test_four_times_the_dose_halves_it_and_gold_is_better_known(limit: PatternLimit) -> None:
    assert limit.solve(4 * DOSE).bound() == pytest.approx(limit.solve(DOSE).bound() / 2)
    assert limit.solve(DOSE).bound("Au") < limit.solve(DOSE).bound("Cu")
    with pytest.raises(InputError, match="no nuisance 'amplitudes'"):
        limit.solve(DOSE, ["amplitudes"])


def test_background_raises_it(limit: PatternLimit) -> None:
    foggy = PatternLimit(limit.truth, limit.expected, limit.series, limit.model, 0.05, 0.0)
    assert foggy.solve(DOSE).bound() > 1.02 * limit.solve(DOSE).bound()


def test_a_dense_scan_is_thinned() -> None:
    axis = pixel_axis(8, 0.4)
    positions = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    chosen, share = thinned(positions, 0.4, 1.0)
    assert len(chosen) == 16
    assert share == 4
    assert np.allclose(np.diff(np.unique(positions[chosen, 0])), 0.8)
    assert thinned(2 * positions, 0.8, 1.0)[1] == 1


def test_derivatives_agree_with_those_of_patterns_made_by_the_model_and_not_of_others(
    limit: PatternLimit,
) -> None:
    series, model, tilt = limit.series, limit.model, 2

    def patterns(
        turned: np.ndarray[tuple[int, ...], np.dtype[np.float64]], stretch: float = 1.0
    ) -> np.ndarray:  # type: ignore[type-arg]
        drawn = slice_grid(series).draw(turned, stretch * model.phases, model.widths)
        return series.multislice.patterns(torch.as_tensor(drawn), series.places[tilt]).numpy() / DOSE

    same = list(agreements(limit, patterns, tilt, [0, 1]))
    assert [(one.atom, one.axis) for one in same] == [(0, "x"), (0, "y"), (1, "x"), (1, "y")]
    for one in same:
        assert one.information == pytest.approx(1, abs=0.03)
        assert one.correlation == pytest.approx(1, abs=0.01)
    weaker = next(agreements(limit, lambda turned: patterns(turned, 0.5), tilt, [0]))
    assert weaker.information > 2
