"""Windows of probes: cut out, put back, and what is even is a view."""

from __future__ import annotations

import numpy as np
import torch

from recon.ptychography.places import Places
from recon.ptychography.scan import Detector

K = (np.arange(16) - 8) / 6.4
SEEN = Detector(K, K, 1 / 6.4, 16)


def test_windows_and_their_adjoint_whatever_the_order_of_the_probes() -> None:
    rng = np.random.default_rng(0)
    y, x = np.meshgrid(np.arange(3) * 0.8, np.arange(4) * 0.8, indexing="ij")
    raster = np.stack([y.ravel(), x.ravel()], axis=-1)
    for positions in (raster, raster[::-1], rng.uniform(-1, 3, (7, 2)), raster[:1]):
        places = Places(positions, SEEN, (-4.0, -4.0), (24, 24))
        batches = list(places.batches(5))
        assert [i for some in batches for i in range(some.start, some.stop)] == list(range(len(positions)))
        field = torch.as_tensor(rng.normal(size=(2, *places.padded)))
        total = torch.zeros_like(field)
        forth = back = 0.0
        for some in batches:
            windows = places.windows(field, some)
            for n, (row, column) in enumerate(places.corners[some]):
                assert torch.equal(windows[:, n], field[:, row : row + 16, column : column + 16])
            weights = torch.as_tensor(rng.normal(size=windows.shape))
            places.add(total, weights, some)
            forth += float((windows * weights).sum())
        back = float((total * field).sum())
        np.testing.assert_allclose(forth, back)


def test_beyond_the_field_there_is_vacuum() -> None:
    places = Places([[-4.0, -4.0], [5.2, 5.2]], SEEN, (-4.0, -4.0), (24, 24))
    wave = places.transmission(torch.full((1, 24, 24), 0.5))
    assert torch.equal(places.crop(wave).real, torch.full((1, 24, 24), 0.5).cos())
    corner = places.windows(wave, slice(0, 1))[0, 0]
    assert torch.equal(corner[:8, :8], torch.ones(8, 8, dtype=corner.dtype))
    assert torch.equal(corner[8:, 8:].imag, torch.full((8, 8), 0.5).sin())


def test_places_between_pixels() -> None:
    on = Places([[0.4, 0.8]], SEEN, (-4.0, -4.0), (24, 24))
    k = torch.fft.fftfreq(16, 0.4, dtype=torch.float64)
    assert on.ramps(k, slice(0, 1)) is None
    off = Places([[0.5, 0.8], [0.9, 1.2]], SEEN, (-4.0, -4.0), (24, 24))
    assert off.alike
    ramps = off.ramps(k, slice(0, 2))
    assert ramps is not None
    assert ramps.shape == (1, 16, 16)
    moved = torch.fft.ifft2(torch.fft.fft2(torch.eye(16, dtype=torch.complex128)) * ramps)
    back = torch.fft.ifft2(torch.fft.fft2(moved) * ramps.conj())
    torch.testing.assert_close(back[0].real, torch.eye(16, dtype=torch.float64))
