"""The command that times tomography prints what it says, on a problem too small to mean anything."""

import builtins
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from scipy.spatial import KDTree

from benchmarks import likelihood_speed, speed
from recon.tomography.r_factor import r_factor


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def run(*arguments: str) -> str:
    answer = CliRunner().invoke(speed.main, ["--size", "24", "--tilts", "12", *arguments])
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_resire_and_the_accelerated_solver() -> None:
    lines = run("--part", "resire", "--part", "accelerated", "--iterations", "20").splitlines()
    assert "12 tilts of 24 × 24 pixels into 24³, 1 threads" in lines[0]
    assert "20 iterations, step 1.5" in lines[2]
    assert "peak memory" in lines[2]
    assert [line.split()[1] for line in lines[3:]] == ["subsets=1:", "subsets=8:"]
    assert all("times fewer" in line for line in lines[3:])


def test_the_normal_operator_both_ways() -> None:
    lines = run("--part", "toeplitz").splitlines()[1:]
    assert [line.split()[1] for line in lines] == ["20", "60", "200"]
    assert all(float(line.split()[-1]) < 0.01 for line in lines)


def test_the_missing_peer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "astra":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert "pip install 'dosebench[peers]'" in run("--part", "astra")


def test_the_peer_solves_the_same_problem() -> None:
    pytest.importorskip("astra", reason="needs astra-toolbox")
    lines = run("--part", "astra").splitlines()[1:]
    assert len(lines) == 4
    assert all(float(line.split()[-1]) > 0.98 for line in lines[1:])


def test_the_particle_stays_in_the_image() -> None:
    geometry = speed.geometry(24, 12)
    projector = speed.make_projector(geometry, oversample=2)
    volume = speed.particle(24)
    sums = projector.forward(volume).sum(dim=(1, 2))
    torch.testing.assert_close(sums, volume.sum().expand(12), rtol=1e-2, atol=0)
    assert r_factor(speed.counts(projector, volume), speed.counts(projector, volume)) == 0


def test_a_packed_particle_is_as_dense_as_it_says() -> None:
    points = likelihood_speed.packed(500, np.random.default_rng(0))
    assert KDTree(points).query(points, 2)[0][:, 1].min() >= likelihood_speed.CLOSEST
    radius = np.linalg.norm(points, axis=1).max()
    assert 500 / (4 / 3 * np.pi * radius**3) == pytest.approx(likelihood_speed.DENSITY, rel=0.05)


def test_the_exponent_is_that_of_a_power_law() -> None:
    n = np.array([200.0, 630, 2000, 6300])
    assert likelihood_speed.exponent(n, 3 * n**1.1) == pytest.approx((1.1, 0.0), abs=1e-9)
    noisy = 3 * n**1.1 * np.exp([0.1, -0.1, -0.1, 0.1])
    slope, error = likelihood_speed.exponent(n, noisy)
    assert abs(slope - 1.1) < 1e-6
    assert error == pytest.approx(0.055, abs=0.005)


def test_the_likelihood_prints_a_line_per_size_and_the_growth(monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(n: int, tilts: int, threads: int, name: str) -> likelihood_speed.Outcome:
        seconds = 0.01 * n**1.1
        return likelihood_speed.Outcome(
            n, 60, seconds, 2 * seconds, 0.01, 0.5, 0.995, 1.0, 12.0, 11.0, 11.5, 2.0
        )

    monkeypatch.setattr(likelihood_speed, "in_a_process", taken)
    sizes = ["--atoms", "2000", "--atoms", "200", "--atoms", "630"]
    lines = run("--part", "likelihood", *sizes).splitlines()
    assert [line.split()[1] for line in lines[1:4]] == ["200", "630", "2000"]
    assert all("99.50 %  100.00 %  12.0 pm (11.0, 11.5)" in line for line in lines[1:4])
    assert all("grow as atoms^1.100 ± 0.000" in line for line in lines[4:])


@pytest.mark.slow
def test_the_atoms_of_a_made_up_particle_are_found() -> None:
    found = likelihood_speed.measured(40, 20, 1, "poisson-ml")
    assert min(found.recall, found.precision) > 0.9
    assert 0 < found.alone < found.coupled < 2 * found.rmsd
    assert found.processor > found.drawing > 0
