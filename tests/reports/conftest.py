"""A real, tiny results folder, made by the grid from linear images, and its report; what makes a figure
readable."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
import yaml
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from benchmarks.grid import run
from benchmarks.preset import PresetCard
from benchmarks.results import open_results
from datasets.catalog import DatasetCard
from datasets.store import DatasetStore
from recon.base import Callback, Reconstruction, Reconstructor
from reports.collect import collect
from reports.figures import style
from reports.figures.plate import Panel, Plate, compose
from reports.payload import Payload
from reports.report import write_report

HOSTILE = "</script><script>alert('no')</script><b class=\"hostile\">&amp; $x^2$ {{ 7*7 }}"


@dataclass(frozen=True)
class Hostile(Reconstructor):
    """Raises, with a message that would break a page that does not escape it."""

    name = "hostile"

    def reconstruct(
        self, measurement: xr.Dataset, *, rng: np.random.Generator, callback: Callback | None = None
    ) -> Reconstruction:
        """Raise RuntimeError."""
        raise RuntimeError(HOSTILE)


@pytest.fixture(scope="session")
def hostile() -> str:
    """The message of the method `hostile`."""
    return HOSTILE


@pytest.fixture(scope="session")
def preset(tiny_card: DatasetCard, tmp_path_factory: pytest.TempPathFactory) -> PresetCard:
    """Two classical methods and all controls on the tiny particle: two doses, two replicates."""
    path = tmp_path_factory.mktemp("card") / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny_card.model_dump(mode="json")))
    return PresetCard(
        name="tiny",
        title="A tiny grid",
        datasets=(str(path),),
        replicates=2,
        reconstructors=("fbp", "sirt[n_iter=20]"),
    )


@pytest.fixture(scope="session")
def results(preset: PresetCard, tiny_store: DatasetStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder of `preset` and one method that always fails."""
    folder = tmp_path_factory.mktemp("results") / "tiny"
    run(
        preset,
        results=str(folder),
        data_root=tiny_store.root,
        reconstructors=[Hostile()],
        n_workers=0,
        progress=False,
    )
    return folder


@pytest.fixture(scope="session")
def data(results: Path) -> xr.Dataset:
    """The results themselves."""
    return open_results(str(results))


@pytest.fixture(scope="session")
def payload(results: Path) -> Payload:
    """What the report of `results` shows."""
    return collect(results)


@pytest.fixture(scope="session")
def report(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the report, its figures beside it."""
    return write_report(results, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="session")
def html(report: Path) -> str:
    """The text of the page."""
    return report.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def cache(root: Path) -> Path:
    """Where what is made again for the figures of a paper is kept."""
    return root / "again"


@pytest.fixture(scope="session")
def axes_of() -> Callable[[Plate, str], Axes]:
    """The panel of a plate whose title begins so, drawn by itself."""

    def draw(plate: Plate, title: str) -> Axes:
        panel: Panel = next(p for p in plate.panels if p.title.startswith(title))
        with style.paper():
            figure, ax = plt.subplots()
            panel.draw(ax)
            plt.close(figure)
        return ax

    return draw


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`drawn` is each plate of a module's `KEYS`, for page and telephone; all but its `QUICK` are slow."""
    if {"drawn", "plates"} <= set(metafunc.fixturenames):
        keys, quick = metafunc.module.KEYS, metafunc.module.QUICK
        layouts = [
            pytest.param((key, where), marks=() if key in quick else pytest.mark.slow, id=f"{key}-{where}")
            for key, where in itertools.product(keys, ("page", "telephone"))
        ]
        metafunc.parametrize("drawn", layouts, indirect=True)


@pytest.fixture
def drawn(request: pytest.FixtureRequest, plates: dict[str, Plate]) -> Iterator[tuple[Figure, bool]]:
    """A plate, composed, and whether that was for a telephone."""
    key, where = request.param
    narrow = where == "telephone"
    with style.paper():
        figure = compose(plates[key].panels, narrow=narrow)
        yield figure, narrow
        plt.close(figure)


@pytest.fixture(scope="session")
def assert_readable() -> Callable[[Figure, bool], None]:
    """Fails where a composed figure, for a page or `narrow` for a telephone, has type that is small, cut off
    or on other type.
    """
    return _assert_readable


def _assert_readable(figure: Figure, narrow: bool) -> None:
    assert figure.get_size_inches()[0] == (style.COLUMN if narrow else style.PAGE)
    assert isinstance(figure.canvas, FigureCanvasAgg)
    renderer = figure.canvas.get_renderer()
    boxes = [(text, text.get_window_extent(renderer)) for text in _texts(figure)]
    boxes = [(text, box) for text, box in boxes if box.width > 0]
    assert min(text.get_fontsize() for text, _ in boxes) >= (9 if narrow else 7)
    page = figure.bbox
    for text, box in boxes:
        assert box.x0 >= page.x0 - 1, text
        assert box.x1 <= page.x1 + 1, text
        assert box.y0 >= page.y0 - 1, text
        assert box.y1 <= page.y1 + 1, text
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        width = min(a.x1, b.x1) - max(a.x0, b.x0)
        height = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert width <= 1 or height <= 0.25 * min(a.height, b.height), (one, other)


def _texts(figure: Figure) -> Iterator[Text]:
    """The texts that are seen: those of ticks only where the tick is.

    An axis keeps ticks that it no longer needs, with the text and place that they had, and has ticks beyond
    its view, of which matplotlib draws neither.
    """
    kept: set[Text] = set()
    seen: set[Text] = set()
    for ax in figure.findobj(Axes):
        assert isinstance(ax, Axes)
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.majorTicks, *axis.minorTicks):
                kept |= {tick.label1, tick.label2}
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if ax.axison and low <= tick.get_loc() <= high:
                    seen |= {tick.label1, tick.label2}
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if text.get_visible() and text.get_text().strip() and (text in seen or text not in kept):
            yield text
