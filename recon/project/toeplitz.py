"""The normal operator of a single-axis series as one convolution: its cost does not know how many tilts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import numpy.typing as npt
import scipy.fft
import torch

from datasets.errors import InputError
from recon.project.geometry import Geometry, is_single_axis, sub_voxel_offsets


class ToeplitzNormal:
    """AᵀA of the single-axis projector with its images sampled without end, applied by FFT.

    What voxel v' gives back to voxel v by way of one tilt is Σ_p tri(p − u) tri(p − u') over pixels p, where
    the two land at u and u'. It depends on where between the pixels that is; averaged over all positions of
    the pixel grid it is the cubic B-spline of u − u', hence a function of v − v' alone, and summed over tilts
    a two-dimensional convolution, the same for every y. So this is the average of AᵀA over sub-pixel shifts
    of the images, exactly, and differs from one AᵀA by what linear interpolation aliases: 0.1 % of AᵀA x, x
    being noise. Images are taken to be as wide as need be: the object should not reach their edge.

    Cost of one product: two real transforms of every slice, padded to twice its size, less the rows that are
    known to be zero: 3.75 L² log₂ L operations for L = 2n, for 20 tilts as for 200.
    """

    def __init__(
        self, geometry: Geometry, *, oversample: int = 1, dtype: torch.dtype = torch.float32
    ) -> None:
        if not is_single_axis(geometry.rotations):
            raise InputError("the convolution is that of rotations about y only")
        self.geometry, self.dtype = geometry, dtype
        n_z, _, n_x = geometry.volume_shape
        self._padded = tuple(scipy.fft.next_fast_len(2 * n - 1) for n in (n_z, n_x))
        kernel = normal_kernel(geometry, oversample)
        wrapped = np.zeros(self._padded)
        lags_z, lags_x = np.arange(1 - n_z, n_z), np.arange(1 - n_x, n_x)
        wrapped[np.ix_(lags_z % self._padded[0], lags_x % self._padded[1])] = kernel
        # the kernel is even, so its spectrum is real
        self._spectrum = torch.as_tensor(scipy.fft.rfft2(wrapped).real.copy()).to(dtype)

    def zeros(self) -> torch.Tensor:
        """A volume of zeros (n_z, n_y, n_x), y outermost in memory: slices in one piece."""
        n_z, n_y, n_x = self.geometry.volume_shape
        return torch.zeros((n_y, n_z, n_x), dtype=self.dtype).permute(1, 0, 2)

    def __call__(self, volume: torch.Tensor) -> torch.Tensor:
        """AᵀA·volume, both (n_z, n_y, n_x)."""
        slices = volume.permute(1, 0, 2).contiguous()
        _, n_z, n_x = slices.shape
        long_z, long_x = self._padded
        answer = torch.empty_like(slices)

        def convolve(i: int) -> None:
            spectrum = torch.fft.fft(torch.fft.rfft(slices[i], n=long_x, dim=1), n=long_z, dim=0)
            spectrum *= self._spectrum
            rows = torch.fft.ifft(spectrum, dim=0)[:n_z]
            answer[i] = torch.fft.irfft(rows, n=long_x, dim=1)[:, :n_x]

        # one at a time in each thread: a padded slice of 290² is 1.4 MB and stays in the second cache
        threads = torch.get_num_threads()
        if threads == 1:
            for i in range(len(slices)):
                convolve(i)
            return answer.permute(1, 0, 2)
        try:
            with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                list(pool.map(convolve, range(len(slices))))
        finally:
            torch.set_num_threads(threads)
        return answer.permute(1, 0, 2)


def normal_kernel(geometry: Geometry, oversample: int) -> npt.NDArray[np.float64]:
    """What a voxel gives back to one that is (z, x) away, (2 n_z − 1, 2 n_x − 1), summed over tilts."""
    n_z, _, n_x = geometry.volume_shape
    offsets = sub_voxel_offsets(oversample)
    pairs = (offsets[:, None] - offsets).reshape(-1, 2)
    kernel = np.zeros((2 * n_z - 1, 2 * n_x - 1))
    for turn in geometry.rotations.as_matrix():
        shifts, times = np.unique((pairs @ (turn[0, 2], turn[0, 0])).round(12), return_counts=True)
        _add_tilt(kernel, turn[0, 0], turn[0, 2], shifts, times / len(pairs))
    return kernel


@numba.njit(cache=True, nogil=True)
def _add_tilt(kernel, cosine, sine, shifts, weights):  # type: ignore[no-untyped-def]
    reach = 2 + shifts.max()
    n_z, n_x = (kernel.shape[0] + 1) // 2, (kernel.shape[1] + 1) // 2
    for z in range(1 - n_z, n_z):
        for x in range(1 - n_x, n_x):
            lag = cosine * x + sine * z
            if abs(lag) < reach:
                for i in range(len(shifts)):
                    d = abs(lag + shifts[i])
                    inner, outer = max(1 - d, 0.0), max(2 - d, 0.0)
                    kernel[z + n_z - 1, x + n_x - 1] += weights[i] * (outer**3 - 4 * inner**3) / 6
