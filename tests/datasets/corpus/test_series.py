"""Tilt series to train on: what is counted is what is said to be."""

from dataclasses import replace

import numpy as np
from ase import Atoms

from datasets.corpus.families import draw
from datasets.corpus.series import Acquisition, make_series
from datasets.schema import check_measurement

PLAIN = Acquisition(
    pixel_size=0.35,
    n_tilt=20,
    tilt_range=70,
    electrons=2000,
    background=0,
    width=0.35,
    halo=0,
    exponent=1.5,
    weight_rms=0,
    focus_rms=0,
    angle_rms=0,
    shift_rms=0,
    intensity_rms=0,
)


def test_an_atom_counts_its_electrons() -> None:
    atoms = Atoms("CuAu", [[1.5, 0, 0], [-1.5, 0.5, 0.3]])
    series = make_series(atoms, PLAIN, np.random.default_rng(0))
    expected = 2000 * (1 + (29 / 79) ** 1.5)
    total = float(series.measurement["counts"].sum())
    assert abs(total - expected) < 4 * np.sqrt(expected)
    np.testing.assert_allclose(series.electrons, [100 * (29 / 79) ** 1.5, 100], rtol=1e-12)


def test_images_follow_the_frame() -> None:
    """An atom at +x is seen at x cos(theta): the tilt is an active rotation about y."""
    atoms = Atoms("Au", [[4.0, 2.0, 0]])
    counts = make_series(atoms, replace(PLAIN, electrons=1e5), np.random.default_rng(0)).measurement["counts"]
    x = (counts.sum("y") * counts["x"]).sum("x") / counts.sum(["x", "y"])
    np.testing.assert_allclose(x, 4 * np.cos(np.deg2rad(counts["theta"])), atol=0.03)
    y = (counts.sum("x") * counts["y"]).sum("y") / counts.sum(["x", "y"])
    np.testing.assert_allclose(y, 2.0, atol=0.03)


def test_background_and_halo() -> None:
    atoms = Atoms("Au", [[0, 0, 0]])
    series = make_series(atoms, replace(PLAIN, background=3.0, halo=0.3), np.random.default_rng(0))
    level = series.measurement.attrs["background"]
    # three times what the image counts of the atom, spread over 4π widths²
    np.testing.assert_allclose(level, 3.0 * 100 * 0.35**2 / (4 * np.pi * 0.35**2))
    edge = series.measurement["counts"].values[:, 0]
    assert abs(edge.mean() - level) < 5 * np.sqrt(level / edge.size) + 0.2


def test_random_acquisitions_are_measurements() -> None:
    for seed in range(12):
        rng = np.random.default_rng(seed)
        atoms = draw("packing", np.random.SeedSequence(seed))
        series = make_series(atoms, Acquisition.draw(rng), rng)
        check_measurement(series.measurement)
        again = np.random.default_rng(seed)
        repeated = make_series(atoms, Acquisition.draw(again), again)
        np.testing.assert_array_equal(series.measurement["counts"], repeated.measurement["counts"])
        assert set(series.record) >= {"electrons", "tilt_range", "background"}
