"""GENFIRE: the measured Fourier points, and the iteration between them and what is positive."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from datasets.schema import EULER_SEQUENCE, pixel_axis
from recon import registry
from recon.project.fourier import make_fourier_projector
from recon.project.geometry import Geometry
from recon.tomography.fourier_constraint import Plane, SliceConstraint, VolumeConstraint, make_constraint
from recon.tomography.genfire import genfire


def series(problem: Any) -> tuple[Geometry, torch.Tensor]:
    """The projections of the problem's truth, free of the splat."""
    geometry = problem.projector.geometry
    return geometry, make_fourier_projector(geometry, dtype=torch.float64).forward(problem.truth)


def relative(found: torch.Tensor, truth: torch.Tensor) -> float:
    return float((found - truth).norm() / truth.norm())


@pytest.mark.parametrize("radius", [0.1, 0.5])
def test_points_of_a_plane_are_all_those_within_the_radius(radius: float) -> None:
    turn = Rotation.from_euler(EULER_SEQUENCE, [20, -50, 35], degrees=True).as_matrix()
    plane = Plane(turn, 12, radius)
    axis = np.arange(-5, 6)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    met = grid @ turn.T
    near = (np.abs(met[:, 2]) <= radius) & (np.abs(met[:, :2]) < 6).all(axis=1)
    assert set(map(tuple, plane.points)) == set(map(tuple, grid[near]))
    np.testing.assert_allclose(plane.within, plane.points @ turn[:2].T / 12)
    halves = Plane(turn, 12, radius, half=True)
    assert set(map(tuple, halves.points)) == {tuple(p) for p in grid[near] if p[-1] >= 0}


def test_measured_points_are_the_transform_of_the_specimen(problem: Any) -> None:
    """Noise-free projections: the truth violates its own measured points only by what lies off the planes."""
    geometry, projections = series(problem)
    errors = []
    for radius in (0.01, 0.25, 0.5):
        constraint = make_constraint(geometry, projections, oversample=3, radius=radius)
        changed, error = constraint.enforce(problem.truth, np.inf)
        errors.append(error)
        assert relative(changed, problem.truth) < 2 * error
    assert errors == sorted(errors)
    assert errors[0] < 0.01
    assert errors[-1] < 0.1


@pytest.mark.parametrize("problem", ["single axis"], indirect=True)
def test_one_enforcement_puts_every_point_right(problem: Any) -> None:
    """With no padding nothing is cut away, so that a second enforcement changes nothing."""
    geometry, projections = series(problem)
    constraint = make_constraint(geometry, projections, oversample=1, radius=0.5)
    once, _ = constraint.enforce(torch.zeros_like(problem.truth), np.inf)
    twice, error = constraint.enforce(once, np.inf)
    assert error < 1e-12
    torch.testing.assert_close(twice, once, rtol=0, atol=1e-12)


def test_a_cutoff_leaves_higher_frequencies_alone(problem: Any) -> None:
    geometry, projections = series(problem)
    constraint = make_constraint(geometry, projections, oversample=2, radius=0.5)
    same, _ = constraint.enforce(problem.truth, -1.0)
    torch.testing.assert_close(same, problem.truth, rtol=0, atol=1e-12)
    low, _ = constraint.enforce(torch.zeros_like(problem.truth), 0.2)
    full, _ = constraint.enforce(torch.zeros_like(problem.truth), np.inf)
    assert 0 < low.norm() < full.norm()


def test_slices_are_the_volume(problem: Any) -> None:
    """Tilts about y: the 3D grid says the same, but for where it pads along y."""
    axis, short = pixel_axis(16, 0.5), pixel_axis(16, 0.5)
    turns = Rotation.from_euler("y", np.linspace(-70, 70, 8)[:, None], degrees=True)
    geometry = Geometry(turns, axis, short, axis, 0.5)
    generator = torch.Generator().manual_seed(0)
    projections = torch.rand(geometry.projection_shape, dtype=torch.float64, generator=generator)
    projections -= projections.mean(dim=1, keepdim=True)
    kernel = torch.tensor([0.25, 0.5, 0.25], dtype=torch.float64)[None, None, :, None]
    smooth = torch.nn.functional.conv2d(projections[:, None], kernel, padding=(1, 0))[:, 0]
    start = torch.zeros(geometry.volume_shape, dtype=torch.float64)
    one, other = (
        kind(geometry, smooth, oversample=2, radius=0.4).enforce(start, np.inf)[0]
        for kind in (SliceConstraint, VolumeConstraint)
    )
    assert relative(one, other) < 0.1


def test_the_error_never_grows_and_the_truth_is_found(problem: Any) -> None:
    geometry, projections = series(problem)
    seen: list[float] = []

    def callback(iteration: int, figures: Mapping[str, float]) -> None:
        assert iteration == len(seen) + 1
        seen.append(figures["r_factor"])

    volume = genfire(geometry, projections, 40, radius=0.3, callback=callback)
    assert seen[0] == pytest.approx(1.0)
    assert all(later <= earlier * (1 + 1e-9) for earlier, later in pairwise(seen))
    assert seen[-1] < 0.1
    assert volume.min() >= 0
    assert relative(volume, problem.truth) < 0.25
    assert relative(volume, problem.truth) < relative(genfire(geometry, projections, 1), problem.truth)


def test_restarts_change_nothing(problem: Any) -> None:
    geometry, projections = series(problem)
    whole = genfire(geometry, projections, 9)
    volume = None
    for _ in range(3):
        volume = genfire(geometry, projections, 3, initial=volume)
    assert volume is not None
    torch.testing.assert_close(volume, whole, rtol=0, atol=1e-12)


def test_linear_without_positivity(problem: Any) -> None:
    geometry, projections = series(problem)
    one = genfire(geometry, projections, 3, positivity=False)
    scaled = genfire(geometry, -3.0 * projections, 3, positivity=False)
    torch.testing.assert_close(scaled, -3.0 * one)
    assert one.min() < 0


def test_support_and_emptiness(problem: Any) -> None:
    geometry, projections = series(problem)
    mask = torch.zeros_like(problem.truth)
    mask[4:20, 3:17, 4:20] = 1
    volume = genfire(geometry, projections, 3, volume_mask=mask)
    assert volume[mask == 0].abs().max() == 0
    assert volume.sum() > 0
    assert genfire(geometry, torch.zeros_like(projections), 2).abs().max() == 0


def test_callback_stops_early(problem: Any) -> None:
    geometry, projections = series(problem)

    def stop(iteration: int, figures: Mapping[str, float]) -> None:
        if iteration == 2:
            raise StopIteration

    stopped = genfire(geometry, projections, 50, callback=stop)
    torch.testing.assert_close(stopped, genfire(geometry, projections, 2))


@pytest.mark.parametrize("problem", ["single axis"], indirect=True)
def test_schedules(problem: Any) -> None:
    """Extension ends with all points, so it ends near where they all were enforced throughout."""
    geometry, projections = series(problem)
    every = genfire(geometry, projections, 30)
    extended = genfire(geometry, projections, 30, enforce="extension")
    assert relative(extended, every) < 0.2
    both = genfire(geometry, projections, 54, enforce="extension_suppression")
    assert relative(both, problem.truth) < 0.3


def test_parameters() -> None:
    assert registry.get("genfire[cuau]").parameters["radius"] == 0.3
    with pytest.raises(InputError, match="radius"):
        registry.get("genfire[radius=0]")
    with pytest.raises(InputError, match="enforce"):
        registry.get("genfire[enforce=none]")
