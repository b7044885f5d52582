"""How every figure looks: colours, line styles, sizes, number formats; shared with the page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from reports.payload import Method

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMN = 3.5
"""Width of a figure over one column [inch]."""
PAGE = 7.0
"""Width of a figure over both columns [inch]."""

OKABE_ITO = (
    ("#0072B2", "#56A9E3"),
    ("#BF5300", "#F0884A"),
    ("#007F5C", "#34C79D"),
    ("#A04F84", "#DA93C1"),
    ("#946200", "#E3A93C"),
    ("#6A30D8", "#B07CFF"),
    ("#8A0F1E", "#FF6B7D"),
    ("#4F6B00", "#A9BF2E"),
    ("#C4009A", "#F25BE0"),
    ("#1B2F7A", "#7F93FF"),
)
"""Colours of methods on a light and on a dark ground: five of Okabe and Ito's, darkened or lightened until
text in them has a contrast of 4.5, and five as far from these as that allows. Ten are more than everybody can
tell apart, so each comes with a marker of its own."""

SYMBOLS = (
    "circle",
    "square",
    "diamond",
    "triangle-up",
    "triangle-down",
    "pentagon",
    "cross",
    "x",
    "star",
    "hexagon",
)

CONTROL_GREY = ("#646B78", "#A2A9B5")
"""The colour of every control, on a light and on a dark ground."""

CONTROL_DASHES = ("dash", "dot", "dashdot", "solid")
"""What tells controls apart."""

SPECIES = (("#C58F00", "#F2C14E"), ("#7F8FA6", "#A9B8CC"), ("#5B7F5B", "#8FB98F"), ("#8C6D9C", "#BFA3CC"))
"""Colours of species, heaviest first."""

MARKERS = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "triangle-up": "^",
    "triangle-down": "v",
    "pentagon": "p",
    "cross": "P",
    "x": "X",
    "star": "*",
    "hexagon": "h",
}
"""plotly's marker names in matplotlib's."""

DASHES: dict[str, Any] = {
    "solid": "-",
    "dash": (0, (4, 2)),
    "dot": (0, (1, 1.5)),
    "dashdot": (0, (4, 1.5, 1, 1.5)),
}
"""plotly's line styles in matplotlib's."""

FONTS = ("Helvetica", "Arial", "Liberation Sans", "DejaVu Sans")
"""Faces in order of preference; the last one comes with matplotlib and holds every sign in use."""

INK = "#1F2430"
QUIET = "#5B6270"

_RC = {
    "font.size": 7.5,
    "axes.labelsize": 7.5,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "grid.color": "#E3E6EA",
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.6,
    "lines.solid_capstyle": "round",
    "text.parse_math": False,
    "figure.dpi": 100,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "svg.hashsalt": "dosebench",
}


@contextmanager
def paper() -> Iterator[None]:
    """Draw for print: small sans-serif type, thin axes, a quiet grid, without a display."""
    import matplotlib
    import seaborn as sns
    from matplotlib import font_manager

    installed = set(font_manager.get_font_names())
    look: Any = {**_RC, "font.family": [name for name in FONTS if name in installed]}
    matplotlib.use("Agg")
    with sns.axes_style("ticks", rc=look), matplotlib.rc_context(look):
        yield


def method(name: str, nth: int) -> Method:
    """The look of the `nth` method that is no control: a colour, and a marker that tells it from the others
    without colour.
    """
    light, dark = OKABE_ITO[nth % len(OKABE_ITO)]
    dash = "solid" if nth < len(OKABE_ITO) else "dash"
    return Method(name, False, light, dark, dash, SYMBOLS[nth % len(SYMBOLS)])


def control(name: str, nth: int) -> Method:
    """The look of the `nth` control: a grey line of its own style."""
    return Method(name, True, *CONTROL_GREY, CONTROL_DASHES[nth % len(CONTROL_DASHES)], "circle")


def species_colours(elements: Sequence[str]) -> dict[str, tuple[str, str]]:
    """A colour (light theme, dark theme) per element, the heaviest first."""
    from ase.data import atomic_numbers

    ordered = sorted(set(elements), key=lambda symbol: -atomic_numbers[symbol])
    return {symbol: SPECIES[i % len(SPECIES)] for i, symbol in enumerate(ordered)}


NOISE_FREE = "noise-free"
"""What an infinite dose is called."""


def dose_text(dose: float) -> str:
    """A dose with two significant digits, `300`, `10³`, `1.2×10⁴`, or with the three that it has, `1.25×10⁴`;
    `noise-free` for an infinite one.
    """
    if math.isinf(dose):
        return NOISE_FREE
    three = f"{dose:.2e}"
    written = three if math.isclose(dose, float(three), rel_tol=1e-9) else f"{dose:.1e}"
    mantissa, exponent = float(written.partition("e")[0]), int(written.partition("e")[2])
    if 0 <= exponent < 3:
        return f"{float(written):g}"
    power = f"10{str(exponent).translate(_SUPERSCRIPT)}"
    return power if mantissa == 1 else f"{mantissa:g}×{power}"


def dose_words(dose: float, unit: str = "e⁻/Å²") -> str:
    """A dose with its unit, as it stands after "at": `8×10³ e⁻/Å²`, or `infinite dose (noise-free)`."""
    return f"infinite dose ({NOISE_FREE})" if math.isinf(dose) else f"{dose_text(dose)} {unit}"


def place(dose: float, doses: Sequence[float]) -> float:
    """Where `dose` is drawn on a logarithmic axis of `doses`: an infinite one right of all others."""
    if math.isfinite(dose):
        return dose
    finite = [d for d in doses if math.isfinite(d)]
    return max(finite) * max(2.5, (max(finite) / min(finite)) ** 0.22) if finite else 1.0


_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def number_text(value: float | None) -> str:
    """A score as a person reads it: one decimal place; exactly 0 and exactly 100 have none."""
    if value is None or not math.isfinite(value):
        return "–"
    if value in (0, 100) or abs(value) >= 999.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 0.1 else f"{value:.2g}"


def spread(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """`positions` moved apart until neighbours are `gap` away, within [low, high], in their order."""
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    placed: list[float] = []
    for i in order:
        placed.append(max(min(max(positions[i], low), high), placed[-1] + gap if placed else low))
    ceiling = high
    for k in reversed(range(len(placed))):
        placed[k] = min(placed[k], ceiling)
        ceiling = placed[k] - gap
    moved = [0.0] * len(positions)
    for k, i in enumerate(order):
        moved[i] = placed[k]
    return moved


def decades(ax: Axes, doses: Sequence[float], *, margin: float = 0.15) -> None:
    """A tick at every power of ten between `doses`, on an axis that reaches `margin` decades beyond them."""
    from matplotlib.ticker import NullLocator

    low, high = math.log10(min(doses)) - margin, math.log10(max(doses)) + margin
    ax.set_xlim(10**low, 10**high)
    ax.xaxis.set_minor_locator(NullLocator())
    powers = [10.0**p for p in range(math.ceil(low), math.floor(high) + 1)]
    ax.set_xticks(powers, [dose_text(power) for power in powers])
