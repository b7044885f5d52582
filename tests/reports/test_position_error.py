"""Position error against dose: what is filled, what is hollow, the bound, its floor, and the dose needed."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from benchmarks.preset import PresetCard
from datasets.catalog import load_dataset
from datasets.store import DatasetStore
from reports import position_error
from reports.collect import collect
from reports.figures import position_error as figure_of
from reports.figures import style
from reports.limits import store_of, stored_limits
from reports.page.position_error import position_errors
from reports.page.render import render
from reports.payload import Metric, Payload, Row, Specimen, Threshold, Value

DOSES = [1e3, 4e3, 1.6e4, 6.4e4]
CRITERION = "recall ≥\u00a095\u00a0%"


def _payload(n_methods: int = 10, names: tuple[str, ...] = ("si-208", "cuau-150[seed=2]")) -> Payload:
    """Methods of known errors: the nth has (n + 2) times the bound and finds 90 % below 4000 e⁻/Å²."""
    methods = [style.method(f"method[number={n},more=words]", n) for n in range(n_methods)]
    methods = [*methods, style.control("random", 0)]
    datasets, rows, thresholds = [], [], []
    for name in names:
        bound = [300 / math.sqrt(dose) for dose in DOSES]
        datasets.append(
            Specimen(
                name=name,
                title=name,
                reference="",
                engine="multislice",
                base=name.partition("[")[0],
                n_images=20,
                n_atoms=208,
                elements=["Si"],
                doses=DOSES,
                bound=list(bound),
                with_floor=[math.hypot(b, 2) for b in bound],
            )
        )
        for nth, method in enumerate(methods):
            for dose, least in zip(DOSES, bound, strict=True):
                rmsd = 60.0 if method.control else (nth + 2) * least
                share = 0.9 if dose < 4e3 or method.control else 1.0
                values = {
                    "rmsd": Value(rmsd, 0.9 * rmsd, 1.1 * rmsd, 3),
                    "recall": Value(share, share, share, 3),
                    "precision": Value(1.0, 1.0, 1.0, 3),
                }
                rows.append(Row(name, dose, 20 * dose, method.name, 3, 0, 1.0, values))
            outside = nth == 1
            thresholds.append(
                Threshold(
                    structure=name.partition("[")[0],
                    method=method.name,
                    criterion=CRITERION,
                    joint=True,
                    dose=None if outside else 3e3 * (1 + 0.1 * nth),
                    low=None if outside else 2.5e3,
                    high=None if outside else 4e3 * (1 + 0.1 * nth),
                    censored="above" if outside else "",
                    low_censored="above" if outside else "",
                    high_censored="above" if outside else "",
                    min_dose=DOSES[0],
                    max_dose=DOSES[-1],
                    n_images=20,
                    n_structures=1,
                    n_replicates=3,
                )
            )
    return Payload(
        name="made",
        interval="95\u00a0% Student intervals of the mean over replicates",
        metrics=[
            Metric("rmsd", "RMSD", "pm", "lower"),
            Metric("recall", "Recall", "1", "higher"),
            Metric("precision", "Precision", "1", "higher"),
        ],
        methods=methods,
        datasets=datasets,
        rows=rows,
        thresholds=thresholds,
        threshold_interval="95\u00a0% bootstrap interval",
        truths=[],
        answers=[],
        failures=[],
        provenance=[],
        command="dosebench run made",
    )


@pytest.fixture(scope="module")
def made() -> Payload:
    """Ten methods on two datasets."""
    return _payload()


def _draw(payload: Payload) -> tuple[Figure, str]:
    drawn = figure_of.draw(payload)
    assert drawn is not None
    return drawn


def _curves(figure: Figure) -> list[Axes]:
    return [ax for ax in figure.axes if ax.get_yscale() == "log"]


def test_a_point_is_whole_only_where_recall_and_precision_are_both_high(made: Payload) -> None:
    found = position_error.points(made, "si-208", made.methods[0].name)
    assert [point.dose for point in found] == DOSES
    assert [point.whole for point in found] == [False, True, True, True]
    few = [replace(r, values={**r.values, "precision": Value(0.94, None, None, 3)}) for r in made.rows]
    found = position_error.points(replace(made, rows=few), "si-208", made.methods[0].name)
    assert not any(point.whole for point in found)


def test_a_dose_at_which_nothing_was_matched_has_no_point(made: Payload) -> None:
    rows = [
        replace(r, values={**r.values, "rmsd": Value(None, None, None, 0)}) if r.dose == DOSES[0] else r
        for r in made.rows
    ]
    found = position_error.points(replace(made, rows=rows), "si-208", made.methods[0].name)
    assert [point.dose for point in found] == DOSES[1:]
    nothing = [replace(r, values={**r.values, "rmsd": Value(None, None, None, 0)}) for r in made.rows]
    assert figure_of.draw(replace(made, rows=nothing)) is None
    assert 'id="errors"' not in render(replace(made, rows=nothing))


def test_points_of_one_dose_keep_their_order_and_never_reach_the_next_dose() -> None:
    for doses in (DOSES, [8e3], [1e3, 2e3, 1e6]):
        aside = position_error.beside(doses, 10)
        assert aside == sorted(aside)
        assert np.prod(aside) == pytest.approx(1)
        for before, after in itertools.pairwise(doses):
            assert before * aside[-1] < after * aside[0]
    assert position_error.beside(DOSES, 1) == [1.0]


def test_the_figure_shows_the_numbers(made: Payload) -> None:
    with style.paper():
        figure, _ = _draw(made)
    upper = _curves(figure)
    assert [ax.get_title(loc="left")[4:] for ax in upper] == [d.name for d in made.datasets]
    assert {ax.get_ylim() for ax in upper} == {position_error.error_range(made)}
    for ax in upper:
        assert ax.get_xscale() == "log"
        lines = {line.get_gid(): line for line in ax.get_lines() if line.get_gid()}
        for name, values in (
            (position_error.BOUND, made.datasets[0].bound),
            (position_error.FLOOR, made.datasets[0].with_floor),
        ):
            assert list(lines[name].get_ydata()) == pytest.approx(values)
        for method in position_error.reconstructors(made):
            marks = [
                line
                for line in ax.get_lines()
                if same_color(line.get_markeredgecolor(), method.colour)
                and line.get_marker() == style.MARKERS[method.symbol]
            ]
            faces = [line.get_markerfacecolor() for line in marks]
            assert [same_color(face, "white") for face in faces] == [True, False, False, False]
            means = [p.mean for p in position_error.points(made, "si-208", method.name)]
            assert [float(line.get_ydata()[0]) for line in marks] == pytest.approx(means)
            bars = [
                line
                for line in ax.get_lines()
                if len(line.get_xdata()) == 2
                and line.get_xdata()[0] == line.get_xdata()[1]
                and same_color(line.get_color(), method.colour)
            ]
            ends = [tuple(np.round(line.get_ydata(), 6)) for line in bars]
            assert ends == [(round(0.9 * mean, 6), round(1.1 * mean, 6)) for mean in means]
    plt.close(figure)


def test_the_dose_needed_stands_below_in_a_row_per_method(made: Payload) -> None:
    with style.paper():
        figure, _ = _draw(made)
        figure.draw_without_rendering()
    rows = [ax for ax in figure.axes if ax not in _curves(figure)]
    assert len(rows) == 2
    for ax in rows:
        spans = {tuple(line.get_xdata()) for line in ax.get_lines() if len(line.get_xdata()) == 2}
        for t in made.thresholds:
            if t.dose is not None and not made.method(t.method).control:
                assert (t.low, t.high) in spans
        assert any(line.get_marker() == ">" for line in ax.get_lines())
    named = [text.get_text() for ax in rows for text in ax.texts]
    assert named == [m.name for m in position_error.reconstructors(made)]
    plt.close(figure)


def test_a_dataset_has_the_thresholds_of_its_structure_and_of_what_ran_on_it(made: Payload) -> None:
    found = position_error.needed(made, "cuau-150[seed=2]")
    assert {t.structure for t in found.values()} == {"cuau-150"}
    rows = [r for r in made.rows if (r.dataset, r.method) != ("si-208", made.methods[3].name)]
    fewer = replace(made, rows=rows)
    assert made.methods[3].name not in position_error.needed(fewer, "si-208")
    assert "was not run there" in position_error.caption(fewer)
    assert "was not run there" not in position_error.caption(made)


@pytest.mark.parametrize("n_datasets", [1, 2, 3])
def test_no_text_of_ten_methods_overlaps(n_datasets: int) -> None:
    payload = _payload(10, ("si-208", "cuau-150[seed=2]", "copdpt-300-imperfect")[:n_datasets])
    with style.paper():
        figure, _ = _draw(payload)
        figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    texts = [t for ax in figure.axes for t in ax.texts] + list(figure.legends[0].get_texts())
    texts += [t for ax in figure.axes for t in (ax.xaxis.label, ax.yaxis.label, ax._left_title)]
    boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in texts if t.get_text()]
    assert len(boxes) >= 10 + 4
    page = figure.bbox
    for text, box in boxes:
        assert -1 <= box.x0 < box.x1 <= page.x1 + 1, text
        assert -1 <= box.y0 < box.y1 <= page.y1 + 1, text
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        width = min(a.x1, b.x1) - max(a.x0, b.x0)
        height = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert width <= 1 or height <= 0.25 * min(a.height, b.height), (one, other)
    plt.close(figure)


def test_the_caption_says_what_hollow_is_and_names_subset_n_and_intervals(made: Payload) -> None:
    text = position_error.caption(made)
    for part in (
        "si-208 (208 atoms, 20 multislice images)",
        "n = 3 cells per point",
        "Student intervals",
        "Hollow: recall or precision below 95\u00a0%",
        "Cramér–Rao bound",
        "bound plus floor",
        CRITERION,
        "bootstrap interval",
    ):
        assert part in text
    bare = [replace(d, bound=[], with_floor=[]) for d in made.datasets]
    assert "Cramér" not in position_error.caption(replace(made, datasets=bare, thresholds=[]))
    assert "dose needed" not in position_error.caption(replace(made, thresholds=[]))


def test_the_page_draws_the_same(made: Payload) -> None:
    panels = position_errors(made)
    assert [p["name"] for p in panels] == [d.name for d in made.datasets]
    first = panels[0]
    assert first["bound"] == list(zip(DOSES, made.datasets[0].bound, strict=True))
    assert [v for _, v in first["with_floor"]] == made.datasets[0].with_floor
    assert [v for _, v in first["chance"]] == [60.0] * 4
    assert [m["name"] for m in first["methods"]] == [m.name for m in made.methods if not m.control]
    assert [p["whole"] for p in first["methods"][0]["points"]] == [False, True, True, True]
    assert first["methods"][0]["needed"]["text"] == "3×10³ [2.5×10³, 4×10³]"
    assert first["methods"][1]["needed"]["text"].startswith("> 6.4×10⁴")
    html = render(made)
    assert html.count("data-errors=") == 2
    assert "Hollow: recall or precision below" in html


def test_a_real_report_has_the_bound_and_no_floor_of_linear_images(payload: Payload, html: str) -> None:
    assert payload.datasets[0].bound
    assert payload.datasets[0].with_floor == []
    assert "data-errors=" in html


def test_limits_are_taken_from_where_they_lie(
    results: Path, preset: PresetCard, tiny_store: DatasetStore, payload: Payload
) -> None:
    from benchmarks.cells import load_cells

    cells = list(load_cells(str(results)))
    doses = payload.datasets[0].doses
    store = store_of(cells, preset.datasets, tiny_store.root)
    assert store is not None
    found = stored_limits(store, doses)
    assert [found[dose].bound() for dose in doses] == pytest.approx(payload.datasets[0].bound)
    assert all(found[dose].with_floor() >= found[dose].bound() for dose in doses)
    assert store_of(cells, (), tiny_store.root) is None  # no card of that name comes with dosebench
    assert store_of([], preset.datasets, tiny_store.root) is None
    changed = [replace(c, cell=replace(c.cell, dataset_key="another")) for c in cells]
    assert store_of(changed, preset.datasets, tiny_store.root) is None


def test_the_floor_is_that_of_the_stored_limit(
    results: Path, tiny_store: DatasetStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reports.collect.LINEAR", "none")
    (specimen,) = collect(results, tiny_store.root).datasets
    store = DatasetStore(load_dataset(str(collect_card(results))), tiny_store.root)
    limits = stored_limits(store, specimen.doses)
    assert specimen.with_floor == [limits[dose].with_floor() for dose in specimen.doses]


def collect_card(results: Path) -> str:
    """The file of the card that results were made from."""
    from benchmarks.preset import load_preset

    return load_preset(str(results / "preset.yaml")).datasets[0]
