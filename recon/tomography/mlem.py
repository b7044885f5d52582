"""MLEM: the volume under which the counts, Poisson noise and background included, are most likely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from scipy.ndimage import gaussian_filter

from datasets.errors import InputError
from datasets.naming import Value
from recon.base import Callback
from recon.preprocess.denoise import Denoise
from recon.project.projector import Projector
from recon.tomography.iterative import IterativeReconstructor
from recon.tomography.ordering import spread_subsets
from recon.tomography.r_factor import absolute_sums, relative_residual


def mlem(
    projector: Projector,
    counts: torch.Tensor,
    n_iter: int,
    *,
    background: torch.Tensor | float = 0.0,
    subsets: int = 1,
    initial: torch.Tensor | None = None,
    volume_mask: torch.Tensor | None = None,
    projection_mask: torch.Tensor | None = None,
    callback: Callback | None = None,
) -> torch.Tensor:
    """x ← x / (Aᵀ1) · Aᵀ[y / (A x + b)]: expectation maximisation for counts y ~ Poisson(A x + b).

    The likelihood never falls, x never becomes negative and, without a background, every iteration explains
    exactly the electrons that were counted where any voxel projects: Σ A x = Σ y. Bright voxels move first
    and noise comes last; run on, it becomes single bright voxels, to be smoothed away afterwards.

    With `subsets` above one an iteration updates x from one part of the tilts after another (ordered
    subsets): about as many times faster at first, but then it ends in a cycle and the likelihood may fall. An
    iteration is one projection and one adjoint, and 4 operations per pixel and 2 per voxel.

    `counts` y (n_tilt, n_y, n_x) must not be negative; the `background` b (a number, or of the same shape)
    is known. The volume (n_z, n_y, n_x) starts from `initial`, by default an even one; voxels where
    `volume_mask` is 0, or where `initial` is, stay zero; pixels where `projection_mask` is 0 are not looked
    at. `callback` gets the `r_factor` |A x + b − y| / |y| and the `log_likelihood` Σ y log(A x + b) −
    (A x + b) of the volumes that the parts of an iteration started from. Raises `InputError`. Shepp & Vardi,
    IEEE Trans. Med. Imaging 1, 113 (1982); Lange & Carson, J. Comput. Assist. Tomogr. 8, 306 (1984);
    subsets: Hudson & Larkin, IEEE Trans. Med. Imaging 13, 601 (1994).
    """
    seen = torch.ones_like(counts) if projection_mask is None else projection_mask.to(counts)
    measured = torch.where(seen > 0, counts, 0.0)
    if float(measured.min()) < 0:
        raise InputError("counts must not be negative for maximum likelihood")
    level = torch.as_tensor(background).to(counts).expand_as(counts)
    volume = projector.zeros() + (1.0 if initial is None else initial)
    if volume_mask is not None:
        volume *= volume_mask.to(volume)
    if initial is None:
        held = float((projector.forward(volume) * seen).sum())
        volume *= float(measured.sum()) / held if held > 0 else 0.0
    parts = []
    for tilts in map(sorted, spread_subsets(projector.geometry.rotations, subsets)):
        part = projector if subsets == 1 else projector.subset(tilts)
        inverse = _inverse(part.adjoint(seen[tilts]))
        parts.append((tilts, part, inverse, measured[tilts], level[tilts], seen[tilts]))
    sums = absolute_sums(measured)
    residual = torch.empty_like(measured)
    for iteration in range(1, n_iter + 1):
        likelihood = 0.0
        for tilts, part, inverse, here, under, looked_at in parts:
            expected = part.forward(volume) + under
            ratio = torch.where(expected > 0, here / expected, 0.0) * looked_at
            if callback is not None:
                residual[tilts] = (expected - here) * looked_at
                logarithm = torch.special.xlogy(here, torch.where(expected > 0, expected, 1.0))
                likelihood += float(((logarithm - expected) * looked_at).sum(dtype=torch.float64))
            volume *= part.adjoint(ratio).mul_(inverse)
        if callback is not None:
            figures = {"r_factor": relative_residual(residual, sums), "log_likelihood": likelihood}
            try:
                callback(iteration, figures)
            except StopIteration:
                break
    return volume


def _inverse(sensitivity: torch.Tensor) -> torch.Tensor:
    """1/sensitivity, and zero for voxels that hardly any pixel sees."""
    enough = sensitivity > 1e-3 * sensitivity.max()
    return torch.where(enough, 1 / torch.where(enough, sensitivity, 1.0), 0.0)


def smoothed(volume: torch.Tensor, sigma: float) -> torch.Tensor:
    """`volume` convolved with a Gaussian of standard deviation `sigma` [voxel]."""
    if sigma == 0:
        return volume
    found = gaussian_filter(volume.cpu().numpy(), sigma, mode="constant")
    return torch.as_tensor(found).to(volume)


@dataclass(frozen=True)
class MLEM(IterativeReconstructor):
    """Poisson maximum likelihood (MLEM) on the counts as they are, then tracing and classification.

    Nothing is denoised, and the background stays in the counts and in the model. The volume is smoothed at
    the end by a Gaussian of `smooth` [Å]. `subsets` of the tilts are taken in turn (OSEM).

    Where electrons are so few that light atoms drown, `denoise=wiener` finds more of them: filtered images
    are no counts, but the iteration takes any that are not negative. Held-out counts are no guide to
    `n_iter`: their likelihood is greatest after about ten iterations, and atoms are found best after twenty
    or more. Aligned images are interpolated, so their noise is no longer quite that of the model.
    """

    name: ClassVar[str] = "mlem"
    reference: ClassVar[str] = "Shepp & Vardi, IEEE Trans. Med. Imaging 1, 113 (1982); Lange & Carson (1984)"

    variants: ClassVar[Mapping[str, Mapping[str, Value]]] = {
        "published": {"smooth": 0.0, "oversample": 1, "min_height": 0.0, "classify": "published"},
    }
    """`published`: the bare iteration of the papers."""

    denoise: Denoise = "none"
    n_iter: int = 40
    subsets: int = 1
    smooth: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.subsets < 1:
            raise InputError(f"subsets must be at least 1, not {self.subsets}")
        if not self.smooth >= 0:
            raise InputError(f"smooth must not be negative, not {self.smooth}")

    def volume(self, projector: Projector, projections: torch.Tensor, callback: Callback) -> torch.Tensor:
        """The volume (n_z, n_y, n_x) for `projections` that hold no background."""
        return self.volume_with_background(projector, projections, torch.zeros_like(projections), callback)

    def volume_with_background(
        self, projector: Projector, projections: torch.Tensor, background: torch.Tensor, callback: Callback
    ) -> torch.Tensor:
        """The volume (n_z, n_y, n_x) after `n_iter` iterations; see `TomographicReconstructor`."""
        # a filter or an interpolated shift leaves some pixels below zero, which no count can be
        level = background.clamp(min=0)
        counts = (projections + background).clamp(min=0)
        subsets = min(self.subsets, len(counts))
        found = mlem(projector, counts, self.n_iter, background=level, subsets=subsets, callback=callback)
        return smoothed(found, self.smooth / projector.geometry.pixel_size)
