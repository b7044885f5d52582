"""The windowed multislice: derivatives, conservation, and abTEM's diffraction patterns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from ase import Atoms
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from datasets.catalog import FourDStemCard, load_dataset
from datasets.imaging.abtem_patterns import full_field_patterns
from datasets.imaging.potential import fit_grid, sliced_potential
from recon.optics import interaction_constant
from recon.ptychography.losses import Loss
from recon.ptychography.places import Places
from recon.ptychography.scan import Detector, Lens
from recon.ptychography.waves import WindowedMultislice

LENS = Lens(300e3, 0.021, -60.0, 1e4)
STEP = 1 / 12.8
ORIGIN = (-6.4, -6.4)


def detector(fine: int = 2, shift: float = 0.25, periods: int = 1, n: int = 32) -> Detector:
    """n pixels of 1/12.8 Å⁻¹, a part of one off centre."""
    k = np.asarray((np.arange(n) - n // 2 + shift) * STEP, dtype=np.float64)
    return Detector(k, k, STEP, 32 * periods, fine, periods)


def multislice(seen: Detector, electrons: float = 300.0, background: float = 0.01) -> WindowedMultislice:
    """In double precision, slices 3 Å apart."""
    return WindowedMultislice(
        LENS,
        seen,
        spacing=3.0,
        entrance=-6.0,
        electrons=electrons,
        background=background,
        dtype=torch.float64,
    )


def phases(seed: int, size: float = 0.3) -> torch.Tensor:
    """Smooth random phases (4, 32, 32) [rad]."""
    noise = np.random.default_rng(seed).normal(size=(4, 32, 32))
    smooth = gaussian_filter(noise, (0, 1.5, 1.5))
    return torch.as_tensor(size * smooth / smooth.std())


def scan(off: float = 0.0) -> npt.NDArray[np.float64]:
    """3 × 4 positions, 1.6 Å apart, each off its pixel by up to `off` [Å]."""
    y, x = np.meshgrid(np.arange(3) - 1, np.arange(4) - 2, indexing="ij")
    places = 1.6 * np.stack([y.ravel(), x.ravel()], axis=-1)
    return places + np.random.default_rng(3).uniform(-off, off, places.shape)


@pytest.mark.parametrize("loss", ["poisson", "amplitude", "mixed"])
@pytest.mark.parametrize(
    ("fine", "shift", "off", "periods"), [(1, 0, 0, 1), (2, 0.25, 0.1, 1), (2, 0.3, 0.13, 2)]
)
def test_derivatives(loss: Loss, fine: int, shift: float, off: float, periods: int) -> None:
    rng = np.random.default_rng(0)
    seen = detector(fine, shift, periods)
    model, where = multislice(seen), scan(off)
    places = Places(where + 0.013, seen, ORIGIN, (32, 32))
    counts = torch.as_tensor(rng.poisson(model.patterns(phases(0), places).numpy()))
    start, probe = phases(1), model.probe.clone()
    found = model.gradient(start, places, counts, loss, probe=True, positions=True)
    assert found.probe is not None
    assert found.positions is not None
    along = torch.as_tensor(rng.normal(size=start.shape))
    by_probe = torch.as_tensor(rng.normal(size=probe.shape) + 1j * rng.normal(size=probe.shape)) * 1e-3
    by_place = rng.normal(size=where.shape)

    def value(step: float, which: str) -> float:
        model.probe = probe + step * by_probe if which == "probe" else probe
        moved = step * by_place if which == "place" else 0.0
        there = Places(where + 0.013 + moved, seen, ORIGIN, (32, 32))
        slices = start + step * along if which == "phases" else start
        return model.gradient(slices, there, counts, loss).loss

    for which, expected in (
        ("phases", float((found.phases * along).sum())),
        ("probe", float((found.probe.conj() * by_probe).real.sum())),
        ("place", float((found.positions.numpy() * by_place).sum())),
    ):
        step = 1e-3 if which == "place" else 1e-5  # closer than 4e-5 Å, places count as the same
        measured = (value(step, which) - value(-step, which)) / (2 * step)
        assert measured == pytest.approx(expected, rel=1e-3, abs=5e-3), which


def test_two_threads_and_short_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = detector()
    model, places = multislice(seen), Places(scan(0.1), seen, ORIGIN, (32, 32))
    counts = torch.ones(12, 32, 32)
    whole = model.gradient(phases(0), places, counts)
    monkeypatch.setattr("recon.ptychography.waves.CACHE_BYTES", 2 * 32 * 32 * 16)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        parts = model.gradient(phases(0), places, counts)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert parts.loss == pytest.approx(whole.loss, rel=1e-12)
    torch.testing.assert_close(parts.phases, whole.phases)


def test_vacuum_shows_the_aperture_and_no_electron_is_lost() -> None:
    seen = detector(fine=1, shift=0)
    model = multislice(seen, electrons=1.0, background=0.0)
    places = Places(scan(), seen, ORIGIN, (32, 32))
    disc = model.patterns(torch.zeros(4, 32, 32, dtype=torch.float64), places)
    k = np.hypot(seen.ky[:, None], seen.kx)
    inside, outside = k < 0.021 / LENS.wavelength - STEP, k > 0.021 / LENS.wavelength + STEP
    assert np.ptp(disc[0].numpy()[inside]) < 1e-12
    assert float(disc[0].numpy()[outside].max()) < 1e-12
    one = torch.ones(12, dtype=torch.float64)
    torch.testing.assert_close(disc.sum(dim=(1, 2)), one, rtol=0.01, atol=0)  # a disc of pixels
    behind = model.patterns(phases(0), places)
    torch.testing.assert_close(behind.sum(dim=(1, 2)), one, rtol=0.02, atol=0)  # and its tails
    assert float((behind - disc).abs().max()) > 1e-4


def test_probe_and_specimen_moved_together_give_the_same_pattern() -> None:
    seen = detector()
    model = multislice(seen)
    slices = torch.zeros(4, 32, 32, dtype=torch.float64)
    slices[:, 8:24, 8:24] = phases(0)[:, 8:24, 8:24]
    here = model.patterns(slices, Places([[0.07, -0.11]], seen, ORIGIN, (32, 32)))
    pixel = seen.voxel
    moved = model.patterns(
        slices.roll((3, -2), dims=(1, 2)),
        Places([[0.07 + 3 * pixel, -0.11 - 2 * pixel]], seen, ORIGIN, (32, 32)),
    )
    torch.testing.assert_close(moved, here, rtol=1e-9, atol=1e-12)


def test_diffraction_patterns_of_abtem() -> None:
    """A tilted particle, its potential sampled every 0.1 Å: within 0.5 % of the pattern's norm, and 3 % of
    what the particle changes of it.
    """
    card = load_dataset("cuau-150-4d").imaging
    assert isinstance(card, FourDStemCard)
    card = card.model_copy(update={"potential_sampling": 0.1, "slice_thickness": 1.0})
    turn = Rotation.from_euler("ZYX", [0, 33, 0], degrees=True)
    atoms = Atoms("Au20Cu20", turn.apply(np.random.default_rng(5).uniform(-5, 5, (40, 3))))
    points = np.array([[0.4, -0.8], [1.2, 2.0], [-2.4, 0.0]])  # x, y
    theirs = full_field_patterns(atoms, points, card, -100.0).patterns

    grid = fit_grid(atoms.positions, n=512, sampling=0.1, slice_thickness=1.0)
    potential = sliced_potential(atoms, grid).array.transpose(0, 2, 1)
    k = card.detector_points().reshape(card.n_pixels, card.binning).mean(axis=1)
    seen = Detector(k, k, float(k[1] - k[0]), 256, card.binning, 1)
    assert seen.voxel == pytest.approx(0.1)
    lens = Lens(300e3, 0.021, -100.0, 0.0)
    entrance = grid.entrance + 0.5  # a slice acts in its middle
    model = WindowedMultislice(lens, seen, spacing=1.0, entrance=entrance, electrons=1.0, dtype=torch.float64)
    slices = torch.as_tensor(interaction_constant(300e3) * potential.astype(float))
    places = Places(points[:, ::-1], seen, (grid.origin, grid.origin), (512, 512))
    ours = model.patterns(slices, places).numpy()
    vacuum = model.patterns(torch.zeros_like(slices), places).numpy()
    for mine, empty, reference in zip(ours, vacuum, theirs, strict=True):
        error = np.linalg.norm(mine - reference)
        assert error < 0.005 * np.linalg.norm(reference)
        assert error < 0.03 * np.linalg.norm(reference - empty)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_what_the_processor_gives() -> None:
    seen = detector()
    answers = []
    for device in ("cpu", "cuda"):
        model = WindowedMultislice(LENS, seen, spacing=3.0, entrance=-6.0, electrons=300.0, device=device)
        places = Places(scan(0.1), seen, ORIGIN, (32, 32))
        found = model.gradient(phases(0).float().to(device), places, torch.ones(12, 32, 32), "poisson")
        answers.append((found.loss, found.phases.cpu()))
    assert answers[0][0] == pytest.approx(answers[1][0], rel=1e-4)
    torch.testing.assert_close(answers[0][1], answers[1][1], rtol=1e-3, atol=1e-3)


def test_displacements_and_their_information() -> None:
    seen = detector()
    model, where = multislice(seen, electrons=1e5), scan(0.1)
    counts = model.patterns(phases(0), Places(where, seen, ORIGIN, (32, 32)))
    off = np.random.default_rng(1).normal(0, 0.02, where.shape)
    places = Places(where + off, seen, ORIGIN, (32, 32))
    slopes, information = model.displacements(phases(0), places, counts, "poisson")
    found = model.gradient(phases(0), places, counts, "poisson", positions=True)
    assert found.positions is not None
    torch.testing.assert_close(slopes, found.positions, rtol=1e-6, atol=1e-6)
    step = -torch.linalg.solve(information, slopes)
    assert np.linalg.norm(off + step.numpy()) < 0.2 * np.linalg.norm(off)
