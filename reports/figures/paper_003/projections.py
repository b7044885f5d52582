"""One tilt three times: counts as measured, denoised and less the background, and from the reconstruction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from reports.again import Again
from reports.figures.plate import Panel
from reports.figures.structures import bar_length

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]

MARGIN = 3.0
"""Å around the atoms that are shown."""
WHITE = 99.9
"""Percentile that is drawn white."""
CAPTION = (
    "Raw counts from 0 to their percentile 99.9; the denoised and the calculated projection share one scale, "
    "from 0 to the percentile 99.9 of the denoised one."
)


def triple(again: Again) -> tuple[Panel, ...]:
    """The three projections of one reconstruction, side by side."""
    shown = np.abs(again.positions).max(initial=0.0) + MARGIN
    black_white = 0.0, float(np.percentile(again.prepared, WHITE))
    pictures = (
        ("Raw", again.raw, (0.0, float(np.percentile(again.raw, WHITE)))),
        ("Denoised, less background", again.prepared, black_white),
        ("Calculated", again.calculated, black_white),
    )

    def panel(title: str, image: FloatArray, window: tuple[float, float], bar: bool) -> Panel:
        def draw(ax: Axes) -> None:
            _picture(ax, image, again, window, shown, bar)

        return Panel(draw, title, wide=4, narrow=4, height=(2.42, 1.3))

    return tuple(panel(*picture, bar=nth == 0) for nth, picture in enumerate(pictures))


def bar_text(again: Again) -> str:
    """How long the scale bar of the first picture is."""
    return f"Scale bar {bar_length(np.abs(again.positions).max(initial=0.0) + MARGIN):g} nm."


def _picture(
    ax: Axes, image: FloatArray, again: Again, window: tuple[float, float], shown: float, bar: bool
) -> None:
    step = again.x[1] - again.x[0]
    extent = (
        again.x[0] - step / 2,
        again.x[-1] + step / 2,
        again.y[0] - step / 2,
        again.y[-1] + step / 2,
    )
    ax.imshow(
        image,
        origin="lower",
        cmap="gray",
        extent=extent,
        vmin=window[0],
        vmax=window[1] or 1.0,
        interpolation="nearest",
    )
    half = min(shown, -extent[0], extent[1], -extent[2], extent[3])
    ax.set(xticks=[], yticks=[], xlim=(-half, half), ylim=(-half, half))
    for spine in ax.spines.values():
        spine.set_visible(False)
    if bar:
        length = 10 * bar_length(shown)
        left = -0.92 * half
        ax.plot(
            [left, left + length],
            [-0.88 * half] * 2,
            color="white",
            linewidth=2.2,
            solid_capstyle="butt",
        )
