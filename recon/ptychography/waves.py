"""Diffraction patterns of many probes through slices, and the gradient of their misfit: windowed multislice.

A focused probe fills a window of W² pixels, much less than the field; its transmission is cut out of the
slices, and the wave periodic in that window (see `datasets.imaging.multislice`, whose fine grids make the
data; here the pixel is what the detector carries). With χ_m = t_m ψ_m behind slice m of S,

    ψ_1 = probe,  ψ_{m+1} = F⁻¹ P F χ_m,  Ψ = F χ_S,   expected counts = N Σ_modes |Ψ|² + background,

and for a loss with slope g = ∂L/∂(expected counts), Ψ̄ = N g Ψ runs back:

    χ̄_S = F⁻¹ Ψ̄,   ∂L/∂φ_m = 2 Im(χ_m* χ̄_m),   χ̄_{m−1} = F⁻¹ P* F (t_m* χ̄_m),   t_m = exp(iφ_m).

Operations of a probe: 4 S − 2 FFTs of W² and about 8 S passes over W² complex numbers, both in cache. On one
core with W = 64 an FFT is 3 µs and a pass 1.5 µs: 24 µs a slice. All scales as tilts × probes × slices × W²
log W; memory as batch × S × W² for the waves that the way back needs, beside slices and counts.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from recon.ptychography.losses import FAINTEST, SHIFT, Loss, loss_and_slope
from recon.ptychography.places import Places
from recon.ptychography.scan import Detector, Lens

IntArray = npt.NDArray[np.intp]

CACHE_BYTES = 400_000
"""A batch of waves is about this large on a CPU, so that it stays in the cache."""
CUDA_BYTES = 64_000_000
"""The same on a GPU, where a large batch hides latency."""


@dataclass
class Gradient:
    """Loss and derivatives: by the phases of the slices (n_slices, n_y, n_x), and where asked for by the
    probe (n_modes, W, W), complex, as ∂L/∂Re + i ∂L/∂Im, and by the positions (n_probes, 2) as [y, x]
    [1/Å].
    """

    loss: float
    phases: torch.Tensor
    probe: torch.Tensor | None = None
    positions: torch.Tensor | None = None


class WindowedMultislice:
    """Probes of one lens and detector through slices `spacing` [Å] apart, in windows.

    `electrons` per probe position and `background` [e⁻/pixel] turn intensities into expected counts. The
    `probe` (n_modes, W, W), in Fourier space with Σ|probe|² = 1 and standing at pixel W // 2, is that of
    `lens` at the plane `entrance` [Å]; assign another to refine it.
    """

    def __init__(
        self,
        lens: Lens,
        detector: Detector,
        *,
        spacing: float,
        entrance: float,
        electrons: float,
        background: float = 0.0,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.lens, self.detector, self.spacing, self.entrance = lens, detector, spacing, entrance
        self.electrons, self.background = electrons, background
        self.real, self.device = dtype, torch.device(device)
        self.complex = torch.complex128 if dtype == torch.float64 else torch.complex64
        w, voxel = detector.window, detector.voxel
        k = np.fft.fftfreq(w, voxel)
        k2 = k[:, None] ** 2 + k**2
        middle = np.exp(-2j * np.pi * k * (w // 2) * voxel)
        wave = lens.spectrum(k2, entrance, 1 / detector.length) * middle[:, None] * middle
        self.ideal = self.probe = self._complex(wave / np.sqrt(np.sum(np.abs(wave) ** 2)))[None]
        propagator = self._complex(np.exp(-1j * math.pi * lens.wavelength * spacing * k2))
        self.forth, self.back = propagator, propagator.conj().resolve_conj()
        self.k = self._real(k)
        self.parts = [
            (self._complex(ramp) if ramp is not None else None, points)
            for ramp, points in _detector_parts(detector)
        ]
        # a grid point stands for a part of a pixel's area where the window is several periods wide
        self.share = electrons * detector.periods**2 / sum(len(points) for _, points in self.parts)
        self.size = (len(detector.ky), len(detector.kx))
        self.shift = SHIFT * electrons / (self.size[0] * self.size[1])
        self._tails: dict[tuple[int, float, float], list[torch.Tensor]] = {}
        self._exact: dict[int, list[tuple[Points, torch.Tensor]]] = {}

    def _complex(self, values: npt.NDArray[np.complex128]) -> torch.Tensor:
        return torch.as_tensor(values, dtype=self.complex, device=self.device)

    def _real(self, values: npt.NDArray[np.floating]) -> torch.Tensor:
        return torch.as_tensor(values, dtype=self.real, device=self.device)

    @property
    def batch(self) -> int:
        """Probes that are propagated together."""
        bytes_each = self.detector.window**2 * 2 * self.real.itemsize * len(self.probe)
        return max(1, (CUDA_BYTES if self.device.type == "cuda" else CACHE_BYTES) // bytes_each)

    def patterns(self, phases: torch.Tensor, places: Places) -> torch.Tensor:
        """Expected counts (n_probes, n_ky, n_kx) behind slices of `phases` (n_slices, n_y, n_x) [rad]."""
        field = places.transmission(phases)
        out = torch.empty((len(places.corners), *self.size), dtype=self.real, device=self.device)
        for some in places.batches(self.batch):
            waves = self.through(places.windows(field, some), self.incoming(places, some))
            out[some] = self._expected(self.far(waves[-1], self.tails(places, some, len(phases))))
        return out

    def gradient(
        self,
        phases: torch.Tensor,
        places: Places,
        counts: torch.Tensor,
        loss: Loss = "poisson",
        *,
        probe: bool = False,
        positions: bool = False,
    ) -> Gradient:
        """The loss of `counts` (n_probes, n_ky, n_kx), of any type, and its derivatives. On a CPU batches are
        shared out among as many threads as torch has, each of which works alone and sums for itself.
        """
        field = places.transmission(phases)
        batches = list(places.batches(self.batch))
        threads = 1 if self.device.type == "cuda" else min(torch.get_num_threads(), len(batches))

        def work(share: list[slice]) -> Gradient:
            total = Gradient(0.0, torch.zeros(field.shape, dtype=self.real, device=self.device))
            if probe:
                total.probe = torch.zeros_like(self.probe)
            if positions:
                total.positions = torch.zeros((len(places.corners), 2), dtype=self.real, device=self.device)
            for some in share:
                self._add(total, field, places, some, counts[some].to(self.device, self.real), loss)
            return total

        if threads == 1:
            total = work(batches)
        else:
            everyone = torch.get_num_threads()
            with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                shares = list(pool.map(work, [batches[i::threads] for i in range(threads)]))
            torch.set_num_threads(everyone)
            total = shares[0]
            for share in shares[1:]:
                total.loss += share.loss
                for name in ("phases", "probe", "positions"):
                    if (mine := getattr(total, name)) is not None:
                        mine += getattr(share, name)
        total.phases = places.crop(total.phases)
        return total

    def displacements(
        self, phases: torch.Tensor, places: Places, counts: torch.Tensor, loss: Loss
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The derivative of the loss by the positions, (n_probes, 2) as [y, x] [1/Å], and their Fisher
        information (n_probes, 2, 2) [1/Å²]: one forward pass of three waves.
        """
        field = places.transmission(phases)
        n = len(places.corners)
        slopes = torch.zeros((n, 2), dtype=self.real, device=self.device)
        information = torch.zeros((n, 2, 2), dtype=self.real, device=self.device)
        for some in places.batches(self.batch):
            windows = places.windows(field, some)
            beyond = self._beyond(places, some, len(phases), by_place=True)
            ramps = places.ramps(self.k, some)
            probe = self.probe[:, None] if ramps is None else self.probe[:, None] * ramps
            fars = []
            for axis, tails in enumerate(beyond):
                lowered = probe if axis == 0 else probe * (-2j * math.pi * self._along(axis))
                wave = torch.fft.ifft2(lowered, norm="ortho")
                fars.append(self.far(self.through(windows, wave)[-1], tails))
            expected = self._expected(fars[0])
            _, slope = loss_and_slope(
                expected.clone(), counts[some].to(self.device, self.real), loss, self.shift
            )
            changes = [
                2
                * self.share
                * sum((a.conj() * b).real.sum(dim=0) for a, b in zip(fars[0], moved, strict=True))
                for moved in fars[1:]
            ]
            weight = 1 / expected.clamp_min(FAINTEST)
            for i, change in enumerate(changes):
                slopes[some, i] = (slope * change).sum(dim=(1, 2))
                for j, other in enumerate(changes):
                    information[some, i, j] = (weight * change * other).sum(dim=(1, 2))
        return slopes, information

    def _along(self, axis: int) -> torch.Tensor:
        """Frequencies [1/Å] along y (1) or x (2), to be spread over a window."""
        return self.k[:, None] if axis == 1 else self.k[None, :]

    def _add(
        self,
        total: Gradient,
        field: torch.Tensor,
        places: Places,
        some: slice,
        counts: torch.Tensor,
        loss: Loss,
    ) -> None:
        """Add what the probes `some` contribute."""
        windows = places.windows(field, some)  # (n_slices, n, W, W)
        incoming = self.incoming(places, some)  # (n_modes, n or 1, W, W)
        waves = self.through(windows, incoming)
        far = self.far(waves[-1], self.tails(places, some, len(windows)))
        value, slope = loss_and_slope(self._expected(far), counts, loss, self.shift)
        total.loss += value
        wave = self._near(far, slope * self.share)
        gradient = torch.empty(windows.shape, dtype=self.real, device=self.device)
        n_slices = len(windows)
        for m in range(n_slices - 1, -1, -1):
            _imaginary_part_of_product(waves[m], wave, gradient[m])
            if m == 0 and total.probe is None and total.positions is None:
                break
            wave = wave * windows[m].conj()
            if m:
                wave = torch.fft.ifft2(torch.fft.fft2(wave).mul_(self.back))
        places.add(total.phases, gradient, some)
        if total.probe is None and total.positions is None:
            return
        wave = torch.fft.fft2(wave, norm="ortho")  # by ψ_1 in Fourier space
        ramps = places.ramps(self.k, some)
        if total.probe is not None:
            total.probe += 2 * (wave if ramps is None else wave * ramps.conj()).sum(dim=1)
        if total.positions is not None:
            product = wave.conj() * (self.probe[:, None] if ramps is None else self.probe[:, None] * ramps)
            # ψ̂(k) exp(−2πi k·r): its derivative by r brings down −2πi k
            density = 4 * math.pi * product.imag.sum(dim=0)
            total.positions[some, 0] = (density.sum(dim=2) * self.k).sum(dim=1)
            total.positions[some, 1] = (density.sum(dim=1) * self.k).sum(dim=1)
            for axis, tails in enumerate(self._beyond(places, some, n_slices, by_place=True)[1:]):
                for part, tail in zip(far, tails, strict=True):
                    product = 2 * self.share * slope * (part[0].conj() * tail).real
                    total.positions[some, axis] += product.sum(dim=(1, 2))

    def incoming(self, places: Places, some: slice) -> torch.Tensor:
        """The probes in their windows (n_modes, n or 1, W, W), in the middle but for a part of a pixel."""
        ramps = places.ramps(self.k, some)
        spectrum = self.probe[:, None] if ramps is None else self.probe[:, None] * ramps
        return torch.fft.ifft2(spectrum, norm="ortho")

    def through(self, windows: torch.Tensor, wave: torch.Tensor) -> list[torch.Tensor]:
        """The waves right behind each slice, (n_modes, n, W, W) each."""
        waves = [wave * windows[0]]
        for window in windows[1:]:
            wave = torch.fft.ifft2(torch.fft.fft2(waves[-1]).mul_(self.forth))
            waves.append(wave.mul_(window))
        return waves

    def far(self, wave: torch.Tensor, tails: list[torch.Tensor] | None = None) -> list[torch.Tensor]:
        """The amplitudes at each set of the detector's sampling points, (n_modes, n, n_ky, n_kx)."""
        found = []
        for ramp, points in self.parts:
            spectrum = torch.fft.fft2(wave if ramp is None else wave * ramp, norm="ortho")
            found += [_taken(spectrum, point.rows, point.columns) for point in points]
        if tails is not None:
            for part, tail in zip(found, tails, strict=True):
                part[0] += tail
        return found

    def tails(self, places: Places, some: slice, n_slices: int) -> list[torch.Tensor]:
        """What the window lacks of the ideal probe at the sampling points, behind `n_slices` of vacuum.

        A sharp aperture gives a probe long tails, and the window folds them: 2.6 % of the norm of a pattern
        in windows of 25 Å. What the specimen changes of the wave stays near the probe. So the probe in vacuum
        that the window holds is replaced by the one that is known exactly at every k.
        """
        if not places.alike:
            return self._beyond(places, some, n_slices)[0]
        fraction = places.fractions[0]
        key = (n_slices, round(float(fraction[0]), 6), round(float(fraction[1]), 6))
        if key not in self._tails:
            self._tails[key] = self._beyond(places, slice(0, 1), n_slices)[0]
        return self._tails[key]

    def _beyond(
        self, places: Places, some: slice, n_slices: int, by_place: bool = False
    ) -> tuple[list[torch.Tensor], ...]:
        """`tails`, and if asked for their derivatives by the probes' y and x [1/Å]."""
        detector = self.detector
        ramps = places.ramps(self.k, some)
        spectrum = self.ideal[:, None] * self.forth ** (n_slices - 1)
        if ramps is not None:
            spectrum = spectrum * ramps
        at = (detector.window // 2 + places.fractions[some]) * detector.voxel
        found: tuple[list[torch.Tensor], ...] = ([], [], [])
        for axis in range(3 if by_place else 1):
            lowered = spectrum if axis == 0 else spectrum * (-2j * math.pi * self._along(axis))
            within = self.far(torch.fft.ifft2(lowered, norm="ortho"))
            for (point, wave), part in zip(self._in_vacuum(n_slices), within, strict=True):
                y, x = (
                    self._complex(np.exp(-2j * np.pi * np.outer(at[:, i], q)))
                    for i, q in enumerate((point.ky, point.kx))
                )
                exact = wave * y[:, :, None] * x[:, None, :]
                if axis:
                    k = self._real(point.ky)[:, None] if axis == 1 else self._real(point.kx)
                    exact = exact * (-2j * math.pi * k)
                found[axis].append(exact - part[0])
        return found

    def _in_vacuum(self, n_slices: int) -> list[tuple[Points, torch.Tensor]]:
        """The sampling points, and the ideal probe there behind `n_slices` of vacuum, standing at 0."""
        if n_slices not in self._exact:
            lens, detector = self.lens, self.detector
            height = math.sqrt(math.pi) * lens.semiangle / lens.wavelength * detector.length
            exit_plane = self.entrance + (n_slices - 1) * self.spacing
            self._exact[n_slices] = [
                (point, self._complex(wave / height))
                for _, points in self.parts
                for point in points
                for wave in [
                    lens.spectrum(
                        point.ky[:, None] ** 2 + point.kx**2, exit_plane, detector.step / detector.fine
                    )
                ]
            ]
        return self._exact[n_slices]

    def _expected(self, far: list[torch.Tensor]) -> torch.Tensor:
        """Expected counts (n, n_ky, n_kx)."""
        intensity: torch.Tensor | float = 0.0
        for part in far:
            for mode in torch.view_as_real(part):
                intensity = mode.square().sum(dim=-1) + intensity
        assert isinstance(intensity, torch.Tensor)
        return intensity.mul_(self.share).add_(self.background)

    def _near(self, far: list[torch.Tensor], slope: torch.Tensor) -> torch.Tensor:
        """The derivative by the exit wave, (n_modes, n, W, W)."""
        w = self.detector.window
        total = None
        remaining = iter(far)
        for ramp, points in self.parts:
            spectra = [_put(next(remaining) * slope, point.rows, point.columns, w) for point in points]
            wave = torch.fft.ifft2(sum(spectra[1:], spectra[0]), norm="ortho")
            if ramp is not None:
                wave = wave.mul_(ramp.conj())
            total = wave if total is None else total + wave
        assert total is not None
        return total


def _imaginary_part_of_product(a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> None:
    """2 Im(a* b), summed over the modes, into `out`."""
    for one, (x, y) in enumerate(zip(a, b, strict=True)):
        x, y = torch.view_as_real(x), torch.view_as_real(y)
        if one == 0:
            torch.mul(x[..., 0], y[..., 1], out=out)
        else:
            out.addcmul_(x[..., 0], y[..., 1])
        out.addcmul_(x[..., 1], y[..., 0], value=-1)
    out.mul_(2)


def _taken(spectrum: torch.Tensor, rows: IntArray, columns: IntArray) -> torch.Tensor:
    """Part of a `spectrum` (…, W, W)."""
    w = spectrum.shape[-1]
    for dim, index in ((-2, rows), (-1, columns)):
        if len(index) == w and np.array_equal(index, (np.arange(w) + index[0]) % w):
            spectrum = spectrum.roll(-int(index[0]), dims=dim) if index[0] else spectrum
        else:
            spectrum = spectrum.index_select(dim, torch.as_tensor(index, device=spectrum.device))
    return spectrum


def _put(part: torch.Tensor, rows: IntArray, columns: IntArray, w: int) -> torch.Tensor:
    """The adjoint of `_taken`: a spectrum (…, w, w) that is zero elsewhere."""
    for dim, index in ((-1, columns), (-2, rows)):
        if len(index) == w and np.array_equal(index, (np.arange(w) + index[0]) % w):
            part = part.roll(int(index[0]), dims=dim) if index[0] else part
        else:
            shape = list(part.shape)
            shape[dim] = w
            part = part.new_zeros(shape).index_copy_(dim, torch.as_tensor(index, device=part.device), part)
    return part


Ramp = npt.NDArray[np.complex128] | None


@dataclass(frozen=True)
class Points:
    """One sampling point of every pixel: `rows` and `columns` of the FFT's grid, and `ky`, `kx` [1/Å]."""

    rows: IntArray
    columns: IntArray
    ky: npt.NDArray[np.float64]
    kx: npt.NDArray[np.float64]


def _detector_parts(detector: Detector) -> list[tuple[Ramp, list[Points]]]:
    """The fine × fine sampling points of the detector's pixels: phase ramps (W, W) on the exit wave, each of
    which brings some of them onto the grid of its FFT, with the rows and columns of that grid.
    """
    w, spacing = detector.window, 1 / detector.length
    offsets = (np.arange(detector.fine) - (detector.fine - 1) / 2) * detector.step / detector.fine
    r = np.arange(w) * detector.voxel
    parts: dict[tuple[int, int], tuple[Ramp, list[Points]]] = {}
    for dy in offsets:
        for dx in offsets:
            along, index = [], []
            for k in (detector.ky + dy, detector.kx + dx):
                first = np.rint(k[0] / spacing)
                along.append(float(k[0] - first * spacing))
                index.append(np.rint((k - along[-1]) / spacing).astype(np.intp) % w)
            place = (round(along[0] / spacing * 1e6), round(along[1] / spacing * 1e6))
            if place not in parts:
                phase = -2 * np.pi * (along[0] * r[:, None] + along[1] * r)
                parts[place] = (np.exp(1j * phase) if any(place) else None, [])
            parts[place][1].append(Points(index[0], index[1], detector.ky + dy, detector.kx + dx))
    return list(parts.values())
