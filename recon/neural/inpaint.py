"""Inpainting of tilt series: what a support hides, and what a missing wedge leaves out.

Two systems of the review by Lee and Yang (Appl. Microsc. 55, 7 (2025)), with 2D U-Nets:

- `remove_support` takes the signal of a supporting film out of every image, as Iwai et al. (Small Methods 8,
2301163 (2024)) did for a palladium particle. - `complete_wedge` fills the sinogram where tilts are missing,
as the first step of Ding et al. (Sci. Rep. 9, 12803 (2019)); their second, taking the artefacts out of the
volume, is `recon.neural.unet`.

Theirs are generative adversarial networks, which draw a likely image. Ours are trained to the mean square
error and answer with the expected one: where nothing is known, blur. Atoms are counted in what follows, and
an invented one costs more than a missing one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import gaussian_filter, map_coordinates

from datasets.errors import InputError
from recon.neural.grid import SMOOTH, VOXEL, height_inside
from recon.neural.unet import UNet

WRAP = 16
"""Rows of a sinogram that are continued beyond its ends: seen from behind, an object is its mirror image."""
LARGEST_STEP = 6.0
"""Degrees between tilts beyond which a sinogram is not sampled well enough to be continued."""

FloatArray = npt.NDArray[np.float64]


class ImageUNet(UNet):
    """(batch, `n_channels`, y, x) to (batch, 1, y, x)."""

    def __init__(self, n_channels: int = 1, base: int = 16) -> None:
        super().__init__(2, n_channels, base)


def scale_of(images: FloatArray, pixel_size: float) -> float:
    """The height of `images` (n_tilt, n_y, n_x) inside the object: ∑S²/∑S of S, the images smoothed; one
    where they are empty.
    """
    smooth = gaussian_filter(images, (0, SMOOTH / pixel_size, SMOOTH / pixel_size), mode="nearest")
    return height_inside(smooth) or 1.0


def remove_support(network: ImageUNet, images: FloatArray, pixel_size: float) -> FloatArray:
    """`images` (n_tilt, n_y, n_x) of a particle on a film [electron per pixel], without the film."""
    scale = scale_of(images, pixel_size)
    laid = _resampled(images / scale, VOXEL / pixel_size, _padded(images.shape, pixel_size))
    with torch.inference_mode():
        found = np.stack([network(_tensor(image[None, None]))[0, 0].numpy() for image in laid])
    return scale * _resampled(found, pixel_size / VOXEL, images.shape[1:])


def complete_wedge(
    network: ImageUNet, images: FloatArray, theta: FloatArray, pixel_size: float
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.bool_]]:
    """The images of all tilts, half a turn of them, their angles, and which of them were measured.

    `images` (n_tilt, n_y, n_x) are at `theta` (n_tilt,) [deg], single-axis tilts in even steps of up to
    `LARGEST_STEP`; those stay as they are. Raises `InputError` for other tilts.
    """
    order = np.argsort(theta)
    images, theta = images[order], theta[order]
    steps = np.diff(theta)
    step = float(np.median(steps)) if len(steps) else np.inf
    if step > LARGEST_STEP or np.abs(steps - step).max() > 0.1 * step:
        raise InputError(
            f"a sinogram is completed in even steps of up to {LARGEST_STEP:g}°, these tilts lie "
            f"{steps.min(initial=np.inf):.3g}° to {steps.max(initial=-np.inf):.3g}° apart"
        )
    n_all = max(round(180 / step), len(theta))
    before = (n_all - len(theta)) // 2
    angles = theta[0] + step * (np.arange(n_all) - before)
    measured = np.zeros(n_all, dtype=bool)
    measured[before : before + len(theta)] = True
    scale = scale_of(images, pixel_size)
    laid = _resampled(images / scale, VOXEL / pixel_size, _padded(images.shape, pixel_size))
    sinograms = np.zeros((n_all, *laid.shape[1:]))
    sinograms[measured] = laid
    with torch.inference_mode():
        rows = [
            network(_tensor(channels[None]))[0, 0].numpy()
            for channels in sinogram_channels(sinograms, measured)
        ]
    found = np.stack(rows, axis=1)[WRAP : WRAP + n_all]
    completed = scale * _resampled(found, pixel_size / VOXEL, images.shape[1:])
    completed[measured] = images
    return completed, angles, measured


def sinogram_channels(sinograms: FloatArray, measured: npt.NDArray[np.bool_]) -> FloatArray:
    """What the network is shown of every row y, (n_y, 4, n_theta + 2 `WRAP` or more, n_x): the sinogram of
    the row and of its neighbours, and which tilts were measured; continued beyond both ends by its mirror
    image.

    `sinograms` are (n_theta, n_y, n_x), zero where not `measured` (n_theta,).
    """
    n_theta = len(sinograms)
    rows = np.arange(-WRAP, -(-(n_theta + WRAP) // 8) * 8)
    turned = rows // n_theta % 2 == 1
    whole = sinograms[rows % n_theta]
    whole[turned] = np.roll(whole[turned][..., ::-1], 1 - whole.shape[-1] % 2, axis=-1)
    seen = np.broadcast_to(measured[rows % n_theta, None, None], whole.shape)
    above, below = (np.roll(whole, shift, axis=1) for shift in (1, -1))
    above[:, 0], below[:, -1] = 0, 0
    return np.stack([whole, above, below, seen], axis=0).transpose(2, 0, 1, 3)


def _padded(shape: tuple[int, ...], pixel_size: float) -> tuple[int, int]:
    """Pixels of the networks' size that cover an image, as multiples of 8."""
    n_y, n_x = (-(-round(n * pixel_size / VOXEL) // 8) * 8 for n in shape[1:])
    return n_y, n_x


def _resampled(images: npt.NDArray[np.floating], ratio: float, shape: tuple[int, ...]) -> FloatArray:
    """`images` (n, y, x) at every `ratio`-th pixel about the same central pixel n // 2, (n, *shape), by
    cubic splines; zero outside. A pixel holds what falls on its area.
    """
    if ratio == 1 and images.shape[1:] == tuple(shape):
        return images.astype(np.float64)
    if ratio > 1:
        sigma = 0.5 * np.sqrt(ratio**2 - 1)
        images = gaussian_filter(images, (0, sigma, sigma), mode="constant")
    axes = [n // 2 + ratio * (np.arange(m) - m // 2) for n, m in zip(images.shape[1:], shape, strict=True)]
    index = np.stack(np.meshgrid(*axes, indexing="ij"))
    return ratio**2 * np.stack(
        [map_coordinates(image, index, order=3, mode="constant", output=np.float64) for image in images]
    )


def _tensor(values: FloatArray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
