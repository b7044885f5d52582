"""Diffraction patterns by windowed multislice: vacuum, conservation, abTEM's full field, covariance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from scipy.spatial.transform import Rotation

from datasets.catalog import FourDStemCard, load_dataset
from datasets.errors import InputError
from datasets.imaging import abtem_patterns, diffraction, four_d_stem
from datasets.imaging.diffraction import Beam, Patterns, scan_patterns
from datasets.imaging.engines import diffraction_patterns
from datasets.imaging.multislice import Optics, make_propagator
from datasets.schema import pixel_axis

OPTICS = Optics(wavelength=0.0197, semiangle=0.021)
CLUSTER = Atoms("Au3Cu", positions=[[3, 0, 0], [0, 4.5, 1], [-2, -1, 3], [-3, -4, -2]])
ROTATION = Rotation.from_euler("ZYX", [10, 35, -20], degrees=True)
NO_TURN = Rotation.identity()


def imaging(**changes: object) -> FourDStemCard:
    """A coarse potential, one configuration of atoms at rest."""
    given = {
        "phonons": 1,
        "phonon_sigma": 0.0,
        "potential_sampling": 0.115,
        "detector_outer_mrad": 55.0,
        "n_scan": 6,
        **changes,
    }
    return load_dataset("cuau-150-4d").four_d_stem.model_copy(update=given)


def seed() -> np.random.SeedSequence:
    return np.random.SeedSequence(0)


def error(found: np.ndarray, reference: np.ndarray) -> float:
    """Root mean square over that of the reference."""
    return float(np.sqrt(np.sum((found - reference) ** 2) / np.sum(reference**2)))


def test_the_pattern_of_vacuum_is_the_aperture_disc() -> None:
    card = imaging()
    k = card.detector_points()
    beam = Beam.make(k, OPTICS, -200.0, 96, 0.2, 4)
    vacuum = torch.ones((3, 120, 120), dtype=torch.complex64)
    pattern = patterns_of(vacuum, beam, [60], binning=2).patterns[0]
    np.testing.assert_allclose(pattern, beam.pattern(2), rtol=1e-6)
    assert pattern.sum() == pytest.approx(1, rel=1e-5)
    radius = OPTICS.semiangle / OPTICS.wavelength
    axis = card.detector_axis()
    distance = np.hypot(axis[:, None], axis)
    pixel = card.reciprocal_pixel_size**2 / (np.pi * radius**2)
    np.testing.assert_allclose(pattern[distance < radius - 0.06], pixel, rtol=2e-3)
    assert pattern[distance > radius + 0.06].max() == 0


def localised_phase(n: int, n_slices: int) -> torch.Tensor:
    """A field of smooth phase bumps near its middle, stronger and off the middle in every slice."""
    axis = (np.arange(n) - n // 2) * 0.1
    slices = [
        (0.5 + 0.3 * i) * np.exp(-((axis - 0.3 * i) ** 2) / 0.6)[:, None] * np.exp(-((axis + 0.2) ** 2) / 0.6)
        for i in range(n_slices)
    ]
    return torch.as_tensor(np.exp(1j * np.stack(slices)), dtype=torch.complex64)


def patterns_of(
    field: torch.Tensor, beam: Beam, columns: list[int], *, binning: int = 1, row: int | None = None
) -> Patterns:
    """Of probes at some columns of the middle row, with nothing on the annular detector."""
    w, n, s = len(beam.probe), field.shape[-1], beam.sampling
    rows = np.full(len(columns), n // 2 if row is None else row)
    runs = np.stack([np.array(columns), np.ones(len(columns), dtype=int)], axis=1)
    propagator = make_propagator(w, s, OPTICS.wavelength, 2.0)
    return scan_patterns(field, beam, propagator, np.zeros((w, w)), binning, 2.0, rows, runs, 1)


def test_no_electron_is_lost() -> None:
    """A smooth phase scatters within the band limit and within the detector: patterns add up to 1."""
    k = (np.arange(144) - 72) / 24
    beam = Beam.make(k, OPTICS, 0.0, 160, 0.1, 8)
    seen = patterns_of(localised_phase(320, 4), beam, [160, 165, 175])
    assert np.abs(seen.patterns - beam.pattern(1)).sum(axis=(1, 2)).min() > 0.1
    np.testing.assert_allclose(seen.patterns.sum(axis=(1, 2)), 1, atol=2e-3)


def test_a_specimen_moved_with_the_probe_gives_the_same_pattern() -> None:
    beam = Beam.make((np.arange(64) - 32) / 24, OPTICS, -40.0, 128, 0.1, 4)
    field = localised_phase(320, 3)
    here = patterns_of(field, beam, [150, 160], row=165)
    moved = patterns_of(torch.roll(field, (13, -21), (1, 2)), beam, [129, 139], row=178)
    np.testing.assert_allclose(moved.patterns, here.patterns, atol=1e-6 * here.patterns.max())


def test_a_pixel_is_the_sum_of_its_points() -> None:
    beam = Beam.make((np.arange(64) - 32) / 24, OPTICS, -40.0, 128, 0.1, 4)
    fine = patterns_of(localised_phase(320, 3), beam, [150]).patterns
    binned = patterns_of(localised_phase(320, 3), beam, [150], binning=4).patterns
    np.testing.assert_allclose(binned, fine.reshape(1, 16, 4, 16, 4).sum(axis=(2, 4)), rtol=1e-4)


def test_the_window_agrees_with_abtems_full_field() -> None:
    """Tilted, asymmetric, out of focus: a flipped or transposed axis or the other sign of defocus fails."""
    atoms = Atoms(CLUSTER.numbers, positions=ROTATION.apply(CLUSTER.positions))
    for defocus in (-200.0, 100.0):
        card = imaging(defocus=defocus)
        seen = diffraction_patterns(CLUSTER, card, ROTATION, seed=seed())
        chosen = np.array([8, 15, 21, 27])
        axis = pixel_axis(card.n_scan, card.scan_step)
        points = np.stack([axis[chosen % card.n_scan], axis[chosen // card.n_scan]], axis=1)
        reference = abtem_patterns.full_field_patterns(atoms, points, card, defocus)
        found = seen.patterns[chosen]
        assert error(found, reference.patterns) <= 0.01
        assert error(found.transpose(0, 2, 1), reference.patterns) > 0.05
        assert error(found[:, ::-1], reference.patterns) > 0.05
        assert np.abs(seen.annular[chosen] - reference.annular).max() <= 0.03 * reference.annular.max()
        other = abtem_patterns.full_field_patterns(atoms, points, card, -defocus)
        assert error(found, other.patterns) > 0.05


def test_the_abtem_engine_makes_the_same_series() -> None:
    card = imaging(n_scan=2, phonons=2, phonon_sigma=0.08)
    windowed, full = (
        diffraction_patterns(CLUSTER, card.model_copy(update={"engine": engine}), ROTATION, seed=seed())
        for engine in ("multislice", "abtem")
    )
    assert error(windowed.patterns, full.patterns) <= 0.01
    far = Atoms("Au2", positions=[[-30, 0, 0], [30, 0, 0]])
    with pytest.raises(InputError, match="does not hold the particle"):
        diffraction_patterns(far, card.model_copy(update={"engine": "abtem"}), NO_TURN)


def test_electrons_are_drawn_towards_an_atom() -> None:
    """In focus: the beam that passes an atom on its left turns right, and so for above and below."""
    card = imaging(defocus=0.0, scan_step=0.8, n_scan=3)
    atom = Atoms("Au", positions=[[0.0, 0.0, 0.0]])
    patterns = diffraction_patterns(atom, card, NO_TURN).patterns.reshape(3, 3, 64, 64)
    k = card.detector_axis()
    turned_x = (patterns.sum(axis=2) * k).sum(axis=2)
    turned_y = (patterns.sum(axis=3) * k).sum(axis=2)
    assert turned_x[1, 0] > 0.005
    assert turned_x[1, 2] == pytest.approx(-turned_x[1, 0], rel=0.05)
    assert turned_y[0, 1] == pytest.approx(turned_x[1, 0], rel=0.02)


def test_threads_and_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    card = imaging(n_scan=4)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        reference = diffraction_patterns(CLUSTER, card, ROTATION, seed=seed())
        monkeypatch.setattr(diffraction, "CACHE_BYTES", 10_000_000)
        torch.set_num_threads(1)
        other = diffraction_patterns(CLUSTER, card, ROTATION, seed=seed())
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_allclose(other.patterns, reference.patterns, atol=1e-6 * reference.patterns.max())
    np.testing.assert_allclose(other.annular, reference.annular, atol=1e-6)


def test_windows_lie_in_the_field_and_hold_the_beam() -> None:
    for changes in ({}, {"defocus": 900.0}, {"scan_step": 0.5, "n_scan": 31}, {"n_scan": 1}):
        card = imaging(**changes)
        plan = four_d_stem.make_plan(card, CLUSTER.positions, card.defocus)
        rows, columns = plan.runs()
        assert columns[:, 1].sum() == plan.near.sum()
        last = columns[:, 0] + (columns[:, 1] - 1) * plan.step
        for low, high in ((rows.min(), rows.max()), (columns[:, 0].min(), last.max())):
            assert low - plan.window // 2 >= 0
            assert high - plan.window // 2 + plan.window <= plan.grid.n
        assert plan.grid.sampling <= card.potential_sampling
        assert plan.step * plan.grid.sampling == pytest.approx(card.scan_step)
        assert plan.window * plan.grid.sampling > 2 * abs(card.defocus) * 0.021


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_makes_the_same_patterns(monkeypatch: pytest.MonkeyPatch) -> None:
    card = imaging(n_scan=4)
    fast = diffraction_patterns(CLUSTER, card, ROTATION, seed=seed())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    slow = diffraction_patterns(CLUSTER, card, ROTATION, seed=seed())
    np.testing.assert_allclose(fast.patterns, slow.patterns, atol=1e-5 * slow.patterns.max())
