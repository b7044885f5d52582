"""Masks hold the whole specimen, and little else; the support holds every atom."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from recon.align.support import specimen_masks, specimen_support


@pytest.mark.parametrize("peak", [None, 300, 30])
def test_the_mask_holds_the_specimen(misaligned: Callable[..., Any], peak: float | None) -> None:
    clean = misaligned().images
    masks = specimen_masks(misaligned(peak=peak).images)
    assert (clean * masks).sum() > 0.995 * clean.sum()
    assert masks.mean() < 0.75


def test_hot_pixels_far_out_are_left_out(misaligned: Callable[..., Any]) -> None:
    images = misaligned().images.copy()
    images[:, 1, 1] = images.max()
    assert not specimen_masks(images)[:, :4, :4].any()


def test_the_support_holds_every_atom(misaligned: Callable[..., Any], cluster: Callable[..., Any]) -> None:
    series = misaligned()
    support = specimen_support(specimen_masks(series.images), series.nominal)
    positions = cluster(80, ("Au",), 0).positions
    x, y, z = np.rint((positions - series.nominal.x[0]) / 0.4).astype(int).T
    assert support[z, y, x].all()
    assert support.mean() < 0.5
