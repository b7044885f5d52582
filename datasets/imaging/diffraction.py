"""Diffraction patterns by windowed multislice: the kernel of 4D-STEM, on arrays, for CPU and CUDA.

A pattern is |FT ψ|²(k) of the exit wave ψ at the points of the detector. The exit wave is that of the probe
in vacuum, whose Fourier transform is known at every k, plus what the specimen changes of it, which stays
near the probe; only the second needs a window. So a window of w² pixels is cut out of every slice's
transmission function around each probe (`datasets.imaging.multislice`), the probe is propagated through it,
the probe propagated as far through vacuum in the same window is taken off, and what is left is transformed
onto the k points of the detector, whatever the window's own are. Where there is no specimen this is the
aperture disc exactly.

Operations per probe and frozen phonon: 2 FFTs of w² pixels for each slice, as for an ADF image, then one for
the electrons on the annular detector, which are of the same wave, and two products with the matrix of the
n detector points along an axis, n (w² + n w) complex multiplications. For w = 320 on one core an FFT takes
0.19 ms and the products for n = 128 take 1.0 ms (padded FFTs that have these points take as long), so that 8
slices have a floor of 4.2 ms per probe; 12 ms were measured, on a machine with five times as much to do as
cores.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from datasets.imaging.multislice import CUDA_BYTES, VACUUM, Optics

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]
IntArray = npt.NDArray[np.intp]

CACHE_BYTES = 1_600_000
"""A batch of waves is at most about this large on a CPU: where the cache is 2 MB, one wave of 320² at a time
took 16 % less than four."""


def aperture_wave(
    ky: FloatArray, kx: FloatArray, optics: Optics, defocus: float, spacing: float
) -> ComplexArray:
    """The probe at the plane `defocus` [Å] before its focus, in Fourier space at (ky, kx) [1/Å]: |·|² is 1 in
    the aperture and falls to 0 at its edge over `spacing` [1/Å], so that the disc has the right area.
    """
    k2 = ky[:, None] ** 2 + kx**2
    edge = np.clip((optics.semiangle / optics.wavelength - np.sqrt(k2)) / spacing + 0.5, 0, 1)
    phase = np.pi * optics.wavelength * k2 * (0.5 * optics.Cs * optics.wavelength**2 * k2 - defocus)
    return np.asarray(np.sqrt(edge) * np.exp(-1j * phase))


def fourier_matrix(k: FloatArray, w: int, sampling: float) -> ComplexArray:
    """exp(−2πi k x) for the `w` pixels of a window, x = 0 at pixel w // 2; (n_k, w)."""
    x = (np.arange(w) - w // 2) * sampling
    return np.asarray(np.exp(-2j * np.pi * k[:, None] * x))


@dataclass(frozen=True)
class Beam:
    """The probe twice: in Fourier space at the detector's points, and in the window.

    `vacuum` (n_k, n_k) is its amplitude at the points `k` [1/Å] along both axes, Σ|·|² = 1 over all of
    Fourier space at their spacing; `probe` (w, w) is the part of the wave in the window, Σ|·|² = 1 over all
    pixels.
    """

    k: FloatArray
    vacuum: ComplexArray
    probe: ComplexArray
    sampling: float
    wavelength: float

    @classmethod
    def make(cls, k: FloatArray, optics: Optics, defocus: float, w: int, sampling: float, edge: int) -> Beam:
        """The probe focused `defocus` [Å] behind its plane; in the window it is brought to zero smoothly over
        the outermost `edge` pixels.
        """
        spacing = float(k[1] - k[0])
        # the probe's period must leave room for the window, whatever the detector's pixels
        finer = int(np.ceil(2 * w * sampling * spacing))
        step = spacing / finer
        reach = int(np.ceil((optics.semiangle / optics.wavelength + spacing) / step))
        axis: FloatArray = np.arange(-reach, reach + 1, dtype=np.float64) * step
        spectrum = aperture_wave(axis, axis, optics, defocus, spacing)
        norm = np.sqrt(np.sum(np.abs(spectrum) ** 2))
        waves = fourier_matrix(axis, w, sampling).conj()
        probe = waves.T @ spectrum @ waves * (step * sampling / norm)
        distance = np.minimum(np.arange(w) + 0.5, w - 0.5 - np.arange(w))
        profile = np.sin(np.pi / 2 * np.clip(distance / max(edge, 1), 0, 1)) ** 2
        vacuum = aperture_wave(k, k, optics, defocus, spacing) * (finer / norm)
        return cls(k, vacuum, probe * profile[:, None] * profile, sampling, optics.wavelength)

    def pattern(self, binning: int) -> FloatArray:
        """The pattern of vacuum, (n_k / binning, n_k / binning): the fraction of the beam in every pixel."""
        n = len(self.k) // binning
        return np.asarray((np.abs(self.vacuum) ** 2).reshape(n, binning, n, binning).sum(axis=(1, 3)))


@dataclass(frozen=True)
class Patterns:
    """What is recorded of n probes, as fractions of the beam: `patterns` (n, n_pixels, n_pixels) and, on the
    annular detector, `annular` (n,).
    """

    patterns: npt.NDArray[np.float32]
    annular: npt.NDArray[np.float32]


def scan_patterns(
    transmission: torch.Tensor,
    beam: Beam,
    propagator: ComplexArray,
    annulus: FloatArray,
    binning: int,
    thickness: float,
    rows: IntArray,
    columns: IntArray,
    step: int,
) -> Patterns:
    """The patterns of every probe position, given as runs along scan rows.

    `transmission` (n_slices, n, n) is the field [y, x]; `propagator` over a slice of `thickness` [Å] and the
    weights 0..1 of the `annulus` are (w, w). `rows` (n_runs,) are the field rows of the runs' probes,
    `columns` (n_runs, 2) their first field column and their number; probes along a run are `step` pixels
    apart, the windows lie within the field. Every pixel is the sum over `binning`² points. Patterns come in
    the order of the runs, whose pieces are shared out among as many threads as torch has.
    """
    device = transmission.device
    w = len(beam.probe)
    kernel = _Kernel(transmission, beam, propagator, annulus, binning, thickness)
    batch = max(1, (CUDA_BYTES if device.type == "cuda" else CACHE_BYTES) // (8 * w * w))
    pieces = [
        (int(row), int(column + first * step), int(min(batch, count - first)))
        for row, (column, count) in zip(rows, columns, strict=True)
        for first in range(0, count, batch)
    ]
    n_pixels = len(beam.k) // binning
    patterns = np.empty((sum(n for *_, n in pieces), n_pixels, n_pixels), dtype=np.float32)
    annular = np.empty(len(patterns), dtype=np.float32)
    first = 0
    for some, ring in _in_threads(kernel, pieces, step):
        patterns[first : first + len(some)], annular[first : first + len(some)] = some, ring
        first += len(some)
    return Patterns(patterns, annular)


def _in_threads(
    kernel: _Kernel, pieces: list[tuple[int, int, int]], step: int
) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
    """What the kernel makes of each piece, in order; on a CPU each thread works alone on its piece."""
    threads = torch.get_num_threads()
    if kernel.device.type == "cuda" or threads == 1:
        yield from (kernel.detect(piece, step) for piece in pieces)
        return
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield from pool.map(lambda piece: kernel.detect(piece, step), pieces)
    finally:
        torch.set_num_threads(threads)


@dataclass
class _Kernel:
    """What is the same for all windows, on the device."""

    transmission: torch.Tensor
    beam: Beam
    propagator: ComplexArray
    annulus: FloatArray
    binning: int
    thickness: float
    _vacuum: dict[int, tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.device = self.transmission.device
        w = len(self.beam.probe)
        k, s = self.beam.k, self.beam.sampling
        # Σ|·|² over Fourier space is 1 too
        scale = np.sqrt((k[1] - k[0]) * s)
        self._waves = self._tensor(scale * fourier_matrix(k, w, s))
        self._waves_t = self._waves.T.contiguous()
        self._propagator = self._tensor(self.propagator)
        self._probe = self._tensor(self.beam.probe)
        # one weight for the real and one for the imaginary part: a sum over the two alone is slow
        weights = np.repeat(self.annulus.reshape(-1) / w**2, 2)
        self._weights = torch.as_tensor(weights, dtype=torch.float32, device=self.device)
        departure = _intensity(self.transmission - 1).amax(dim=2)  # (n_slices, n)
        self._departs = (departure > VACUUM**2).cpu().numpy()

    def _tensor(self, array: ComplexArray) -> torch.Tensor:
        return torch.as_tensor(array, dtype=torch.complex64, device=self.device)

    def vacuum(self, last: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The probe at slice `last` had there been nothing: in the window, and at the detector's points."""
        if last not in self._vacuum:
            window = np.fft.ifft2(np.fft.fft2(self.beam.probe) * self.propagator**last)
            k2 = self.beam.k[:, None] ** 2 + self.beam.k**2
            travelled = np.exp(-1j * np.pi * self.beam.wavelength * k2 * self.thickness * last)
            self._vacuum[last] = self._tensor(window), self._tensor(self.beam.vacuum * travelled)
        return self._vacuum[last]

    def detect(
        self, piece: tuple[int, int, int], step: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Patterns and annular fractions of a piece of a run: its field row and first column, and how many
        probes.
        """
        row, column, n = piece
        w = len(self._probe)
        top, left = row - w // 2, column - w // 2
        occupied = np.flatnonzero(self._departs[:, top : top + w].any(axis=1))
        first, last = (int(occupied[0]), int(occupied[-1])) if len(occupied) else (0, 0)
        strip = self.transmission[:, top : top + w, left : left + w + (n - 1) * step]
        windows = strip.unfold(2, w, step).permute(0, 2, 1, 3)  # (n_slices, n, w, w), a view
        wave = self.vacuum(first)[0] * windows[first]
        for index in range(first + 1, last + 1):
            wave = torch.fft.ifft2(torch.fft.fft2(wave).mul_(self._propagator)).mul_(windows[index])
        free, amplitude = self.vacuum(last)
        wave -= free
        ring = torch.view_as_real(torch.fft.fft2(wave)).square_().reshape(n, -1) @ self._weights
        amplitude = (self._waves @ (wave @ self._waves_t)).add_(amplitude)
        b, size = self.binning, len(self.beam.k) // self.binning
        pattern = _intensity(amplitude).reshape(n, size, b, size, b).sum(dim=(2, 4))
        return pattern.cpu().numpy(), ring.cpu().numpy()


def _intensity(wave: torch.Tensor) -> torch.Tensor:
    return wave.real.square() + wave.imag.square()
