"""Three slices through the centre of each method's volume, side by side, with the true atoms marked."""

from __future__ import annotations

import base64
import io
import re
from typing import TYPE_CHECKING

import numpy as np

from reports.answers import WINDOW
from reports.figures import style
from reports.payload import Payload, Slice

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLANES = {"xy": (0, 1, 2), "xz": (0, 2, 1), "yz": (1, 2, 0)}
"""Horizontal, vertical and normal axis of each plane."""

HALF_SLAB = 0.8
"""True atoms within this distance of a plane [Å] are marked on it."""


def draw(payload: Payload, dataset: str, dose: float) -> tuple[Figure, str] | None:
    """The slices of every method that has a volume at `dose`, and their caption; None when none has."""
    import matplotlib.pyplot as plt
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    answers = [a for a in payload.answers if a.dataset == dataset and a.dose == dose and a.slices]
    if not answers:
        return None
    truth = next(t for t in payload.truths if t.dataset == dataset)
    positions = np.array(truth.positions)
    size = (style.COLUMN - 0.2) / 3
    with style.paper():
        figure, grid = plt.subplots(
            len(answers),
            3,
            figsize=(style.COLUMN, (size + 0.04) * len(answers) + 0.25),
            squeeze=False,
            layout=ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.0, hspace=0.0),
        )
        for row, answer in zip(grid, answers, strict=True):
            for ax, piece in zip(row, answer.slices, strict=True):
                _panel(ax, piece, positions)
            name = re.sub(r"(?<=.)(?=[\[:])", "\n", answer.method)
            row[0].set_ylabel(name, color=payload.method(answer.method).colour)
        for ax, piece in zip(grid[0], answers[0].slices, strict=True):
            ax.set_title(piece.plane, fontsize=7.5, fontweight="normal", loc="center", pad=3)
        _scale_bar(grid[-1][-1], answers[-1].slices[-1])
    return figure, caption(dataset, style.dose_text(dose), payload)


def caption(dataset: str, dose: str, payload: Payload) -> str:
    """What the slices of `dataset` at `dose` (as text) show."""
    replicates = sorted({answer.replicate for answer in payload.answers})
    shown = ", ".join(map(str, replicates))
    return (
        f"Slices through the origin of each volume: {dataset} at {dose} e⁻/Å² per image, replicate {shown} "
        f"(n = 1, no interval). Circles: true atoms within {HALF_SLAB} Å of the plane. Grey: square root of "
        f"the volume between its own percentiles {WINDOW[0]:g} and {WINDOW[1]:g}. Scale bar 1 nm."
    )


def _panel(ax: Axes, piece: Slice, positions: np.ndarray) -> None:
    from PIL import Image

    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(piece.png))))
    left, right, bottom, top = piece.extent
    ax.imshow(
        image, cmap="gray", extent=(left, right, bottom, top), interpolation="nearest", vmin=0, vmax=255
    )
    across, up, normal = PLANES[piece.plane]
    near = np.abs(positions[:, normal]) < HALF_SLAB
    ax.scatter(
        positions[near, across],
        positions[near, up],
        s=7,
        facecolors="none",
        edgecolors="#56B4E9",
        linewidths=0.4,
    )
    ax.set(xticks=[], yticks=[], xlim=(left, right), ylim=(bottom, top))
    for spine in ax.spines.values():
        spine.set_visible(False)


def _scale_bar(ax: Axes, piece: Slice) -> None:
    left, right, bottom, top = piece.extent
    x, y = right - 0.06 * (right - left), bottom + 0.07 * (top - bottom)
    ax.plot([x - 10, x], [y, y], color="white", linewidth=2, solid_capstyle="butt")


def middle_dose(payload: Payload, dataset: str) -> float | None:
    """The dose to show when one must do: the middle one of those at which methods have an answer."""
    own = [a for a in payload.answers if a.dataset == dataset and not payload.method(a.method).control]
    doses = sorted({answer.dose for answer in own})
    return doses[len(doses) // 2] if doses else None
