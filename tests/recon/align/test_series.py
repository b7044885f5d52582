"""Alignment by name."""

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest

from datasets.errors import InputError
from recon.align.series import Align, align
from recon.project.geometry import Geometry


@pytest.mark.parametrize("method", get_args(Align))
def test_every_method_corrects_what_it_found(misaligned: Callable[..., Any], method: Align) -> None:
    series = misaligned(shift=0.8, scale=0.05)
    images, found = align(series.images, series.nominal, method)
    np.testing.assert_allclose(images, found.correct(series.images, 0.4))
    clean = misaligned()
    residue = np.abs(images - clean.images).sum() / clean.images.sum()
    before = np.abs(series.images - clean.images).sum() / clean.images.sum()
    if method == "none":
        assert images is series.images
    else:
        # the specimen as a whole may still be moved, by the mean of the shifts
        assert residue < 0.6 * before


def test_tilts_about_any_axis(misaligned: Callable[..., Any]) -> None:
    series = misaligned(shift=0.8, angle=2.0)
    axis = series.nominal.x
    _, found = align(series.images, Geometry(series.turns, axis, axis, axis, 0.4), "reprojection")
    assert found.shifts.std() > 0.3


def test_unknown_method(misaligned: Callable[..., Any]) -> None:
    series = misaligned()
    with pytest.raises(InputError, match="align must be one of none, center_of_mass, common_line"):
        align(series.images, series.nominal, "guess")  # type: ignore[arg-type]
