"""One tilt for timing ptychography: its patterns, its loss, and the programs that are timed on it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import abtem
import numpy as np
import pytest
from ase import Atoms
from click.testing import CliRunner

from benchmarks import ptychography_peer
from benchmarks.ptychography_peer import Curve, main, time_own, time_peer
from benchmarks.ptychography_programs import PACKAGES, PEERS, Peer, load_peer, own_slices
from benchmarks.ptychography_scan import (
    ENERGY,
    PIXEL,
    STEP,
    ComplexArray,
    PtychographyScan,
    amplitude_loss,
    expected_patterns,
    load_scan,
    save_scan,
    simulate_scan,
)
from datasets.errors import InputError

ATOMS = Atoms("Au3Cu", [[2.0, 1.0, -6.0], [-1.5, -2.0, 0.0], [0.0, 2.5, 7.0], [1.0, -1.0, 3.0]])
SETTING = {"n_scan": 5, "n_pixels": 32, "n_slices": 4, "thickness": 20.0}


@pytest.fixture(scope="module")
def scan() -> PtychographyScan:
    return simulate_scan(ATOMS, **SETTING)


@pytest.fixture(scope="module")
def truth(scan: PtychographyScan) -> ComplexArray:
    """The particle's potential in the slices of the reconstruction."""
    n = scan.shape[0]
    field = Atoms(ATOMS.numbers, ATOMS.positions, cell=(n * PIXEL, n * PIXEL, 20.0))
    field.positions += field.cell.lengths() / 2
    potential = abtem.Potential(
        field, gpts=n, slice_thickness=5.0, projection="finite", parametrization="kirkland"
    ).build(lazy=False)
    phase = abtem.core.energy.energy2sigma(ENERGY) * np.swapaxes(potential.array, 1, 2)
    return np.exp(1j * phase).astype(np.complex64)


def vacuum(scan: PtychographyScan) -> ComplexArray:
    return np.ones((scan.n_slices, *scan.shape), dtype=np.complex64)


def test_without_atoms_every_pattern_is_the_probes() -> None:
    empty = simulate_scan(Atoms("H", [[0, 0, 0]]), **{**SETTING, "n_scan": 2})
    assert empty.patterns.sum(axis=(1, 2)) == pytest.approx(1, abs=1e-5)
    assert amplitude_loss(vacuum(empty), empty) < 1e-5


def test_the_loss_knows_the_particle_and_which_way_round_it_is(
    scan: PtychographyScan, truth: ComplexArray
) -> None:
    """Against abTEM in a field of its own: the right slices in the right order at the right place."""
    least = amplitude_loss(truth, scan)
    assert least < 0.2 * amplitude_loss(vacuum(scan), scan)
    for wrong in (
        np.swapaxes(truth, 1, 2),
        truth[::-1],
        np.roll(truth, 1, 1),
        np.roll(truth, 1, 2),
        truth**-1,
    ):
        assert amplitude_loss(np.ascontiguousarray(wrong), scan) > 1.3 * least


def test_positions_are_about_the_middle_and_a_step_apart(scan: PtychographyScan) -> None:
    assert scan.raster == (5, 5)
    along = np.unique(scan.positions[:, 0])
    np.testing.assert_allclose(np.diff(along), STEP)
    assert abs(along.mean()) <= PIXEL
    assert scan.corners.min() >= 0
    assert scan.corners.max() + scan.n_pixels <= scan.shape[0]


def test_phases_lose_no_electron(scan: PtychographyScan) -> None:
    rng = np.random.default_rng(0)
    slices = np.exp(1j * rng.normal(0, 0.3, (scan.n_slices, *scan.shape))).astype(np.complex64)
    np.testing.assert_allclose(expected_patterns(slices, scan).sum(axis=(1, 2)), 1, rtol=1e-6)
    perfect = PtychographyScan(
        expected_patterns(slices, scan).astype(np.float32), scan.corners, scan.probe, 4, 5.0, scan.shape
    )
    assert amplitude_loss(slices, perfect) < 1e-10


def test_counts_are_those_of_so_many_electrons(scan: PtychographyScan) -> None:
    counted = simulate_scan(ATOMS, **SETTING, electrons=200.0, seed=3)
    counts = 200 * counted.patterns.astype(np.float64)
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-4)
    assert counts.sum() == pytest.approx(200 * scan.patterns.sum(), rel=5 / math.sqrt(counts.sum()))


def test_a_scan_is_kept_and_anything_else_refused(scan: PtychographyScan, tmp_path: Path) -> None:
    save_scan(tmp_path / "scan.npz", scan)
    again = load_scan(tmp_path / "scan.npz")
    np.testing.assert_array_equal(again.patterns, scan.patterns)
    np.testing.assert_array_equal(again.probe, scan.probe)
    assert (again.n_slices, again.slice_thickness, again.shape) == (4, 5.0, scan.shape)
    (tmp_path / "other.npz").write_text("nothing")
    np.savez(tmp_path / "empty.npz", patterns=scan.patterns)
    for name in ("other", "empty", "absent"):
        with pytest.raises(InputError, match="no scan for ptychography"):
            load_scan(tmp_path / f"{name}.npz")
    with pytest.raises(InputError, match="do not fit"):
        simulate_scan(Atoms("Au", [[0, 0, 30.0]]), **SETTING)


class Interpolating:
    """From vacuum to the truth, a tenth of the way at a time."""

    settings = "a tenth of the way"

    def __init__(self, truth: ComplexArray) -> None:
        self.truth, self.done = truth, 0

    def run(self, n_iter: int) -> None:
        self.done += n_iter

    def slices(self) -> ComplexArray:
        return np.exp(0.1j * self.done * np.angle(self.truth)).astype(np.complex64)


def test_a_program_is_judged_after_every_round(scan: PtychographyScan, truth: ComplexArray) -> None:
    curve = time_peer(Interpolating(truth), scan, 10, 2)
    assert curve.iterations == (2, 4, 6, 8, 10)
    assert curve.loss[-1] == pytest.approx(amplitude_loss(truth, scan), rel=1e-3)
    assert list(curve.loss) == sorted(curve.loss, reverse=True)
    assert list(curve.processor) == sorted(curve.processor)


def test_seconds_to_a_loss() -> None:
    curve = Curve((1, 2, 3), (2.0, 4.0, 6.0), (1.0, 2.0, 3.0), (1e-1, 1e-2, 1e-3))
    assert curve.seconds_to(1e-2) == pytest.approx(2)
    assert curve.seconds_to(10**-2.5) == pytest.approx(2.5)
    assert curve.seconds_to(0.5) == 1
    assert math.isnan(curve.seconds_to(1e-4))


def test_the_command_tells_what_is_missing_and_times_what_is_there(
    scan: PtychographyScan, truth: ComplexArray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_scan(tmp_path / "scan.npz", scan)

    def absent(given: PtychographyScan) -> Peer:
        load_peer("a_program_that_nobody_has", "nobody")
        raise AssertionError

    made: dict[str, Callable[[PtychographyScan], Peer]] = {
        "pty-chi": absent,
        "quantem": lambda given: Interpolating(truth),
    }
    monkeypatch.setattr(ptychography_peer, "PEERS", made)
    monkeypatch.setattr(ptychography_peer, "PACKAGES", {"pty-chi": "nobody", "quantem": "numpy"})
    done = CliRunner().invoke(
        main,
        [
            "--patterns",
            str(tmp_path / "scan.npz"),
            "--iterations",
            "4",
            "--every",
            "2",
            "--own-iterations",
            "3",
            "--own-every",
            "3",
        ],
    )
    assert done.exit_code == 0, done.output
    head, own, missing, found, *equal = done.output.splitlines()
    assert head.startswith("5 × 5 positions, 32² pixels, 4 slices of 5 Å, 1 threads")
    assert missing == f"{'pty-chi':<16} the comparison with nobody needs that package: pip install nobody"
    assert found.startswith(f"quantem {np.__version__}")
    assert "iteration; loss after 2, 4: " in found
    assert own.startswith(f"{'ours':<16} defaults: ")
    assert "loss after 3: " in own
    assert len(equal) == 2
    assert all(line.startswith("equal loss") for line in equal)


def test_ours_approaches_the_particle(scan: PtychographyScan, truth: ComplexArray) -> None:
    curve = time_own(scan, 20, 10)
    assert max(curve.loss) < 0.2 * amplitude_loss(vacuum(scan), scan)
    assert_like(own_slices(scan, 10), scan, truth)


def assert_like(slices: ComplexArray, scan: PtychographyScan, truth: ComplexArray) -> None:
    """The same projected phase, where probes were."""
    middle = slice(scan.shape[0] // 2 - 12, scan.shape[0] // 2 + 12)
    found, true = (np.angle(some).sum(axis=0)[middle, middle].ravel() for some in (slices, truth))
    assert np.corrcoef(found, true)[0, 1] > 0.6


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(PEERS))
def test_each_program_approaches_the_particle(name: str, scan: PtychographyScan, truth: ComplexArray) -> None:
    """Where it is installed: its slices are ours in sign, order and place."""
    pytest.importorskip(PACKAGES[name])
    peer = PEERS[name](scan)
    assert amplitude_loss(peer.slices(), scan) == pytest.approx(amplitude_loss(vacuum(scan), scan), rel=0.05)
    curve = time_peer(peer, scan, 20, 10)
    assert curve.loss[-1] < 0.2 * amplitude_loss(vacuum(scan), scan)
    assert_like(peer.slices(), scan, truth)
