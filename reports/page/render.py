"""The page as one HTML file: tables are written here, the figures are drawn by the scripts it carries."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup, escape

from reports import findings, position_error
from reports.figures import dose_curves, orthoslices, style
from reports.page import tables
from reports.page.position_error import dose_axis, images_of, position_errors
from reports.payload import Failure, Metric, Payload, with_finite_doses

DASHES = {"solid": "", "dash": "6 3", "dot": "1.5 3", "dashdot": "6 3 1.5 3"}
"""Line styles as SVG dash arrays."""

SHAPES = {
    "circle": "M9 5a4 4 0 1 0 8 0a4 4 0 1 0-8 0",
    "square": "M9.5 1.5h7v7h-7z",
    "diamond": "M13 .5L17.5 5L13 9.5L8.5 5z",
    "triangle-up": "M13 .8L17.4 8.6H8.6z",
    "triangle-down": "M13 9.2L17.4 1.4H8.6z",
    "pentagon": "M13 .5L17.4 3.7L15.7 9H10.3L8.6 3.7z",
    "cross": "M11.6 .6h2.8v3h3v2.8h-3v3h-2.8v-3h-3v-2.8h3z",
    "x": "M13 3l2.4-2.4 2 2L15 5l2.4 2.4-2 2L13 7l-2.4 2.4-2-2L11 5 8.6 2.6l2-2z",
    "star": "M13 0L14.2 3.3L17.8 3.5L15 5.6L15.9 9L13 7.1L10.1 9L11 5.6L8.2 3.5L11.8 3.3z",
    "hexagon": "M13 0.6L16.8 2.8L16.8 7.2L13 9.4L9.2 7.2L9.2 2.8z",
}
"""Markers as SVG paths around (13, 5)."""


def render(payload: Payload, *, figures: bool = True) -> str:
    """The report of `payload` as HTML; `figures` says whether printed figures lie beside it."""
    folder = files("reports.page")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((folder / "report.html").read_text(encoding="utf-8"))
    text = {
        name: Markup((folder / name).read_text(encoding="utf-8"))
        for name in ("report.css", "plots.js", "report.js")
    }
    shown = (metric for d in payload.datasets for metric in dose_curves.panels_of(payload, d))
    panels = list({metric.key: metric for metric in shown}.values())
    table = tables.table_metrics(payload)
    return template.render(
        payload=payload,
        css=text["report.css"],
        plots=text["plots.js"],
        script=text["report.js"],
        plotly=Markup(_plotly()),
        data=Markup(embed(with_finite_doses(page_data(payload, panels)))),
        findings=findings.findings(payload),
        asked=findings.asked(payload),
        warnings=findings.warnings(payload),
        dashes=DASHES,
        shapes=SHAPES,
        panels=panels,
        errors=(errors := position_error.drawn(payload)),
        errors_caption=position_error.caption(payload) if errors else "",
        chance=any(position_error.points(payload, d.name, position_error.CHANCE) for d in errors),
        hollow_shape=SHAPES["circle"],
        definitions=definitions(payload),
        columns=tables.columns(payload, table),
        scores=tables.scores(payload, table),
        table_caption=tables.table_caption(payload),
        **tables.forest(payload),
        error_of=lambda specimen: position_error.error_text([specimen]),
        volumes=any(d.modality != "hrtem" for d in payload.datasets),
        has_slices=any(answer.slices for answer in payload.answers),
        failures=failure_groups(payload),
        n_cells=sum(row.n for row in payload.rows),
        matching=payload.matching,
        figures=figures,
        breakable=breakable,
        unbroken=unbroken,
    )


def unbroken(text: str) -> Markup:
    """`text` in which the unit of dose is never broken over two lines."""
    return Markup(escape(text).replace("e⁻/Å²", Markup('<span class="unit">e⁻/Å²</span>')))


def breakable(name: str) -> Markup:
    """A method's name that may be broken before its parameters."""
    return Markup("<wbr>[").join(Markup(",<wbr>").join(part.split(",")) for part in name.split("["))


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs()).replace("</script", "<\\/script")


def embed(content: object) -> str:
    """JSON that is safe inside a `script` element, whatever strings it holds."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign, code in (
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("&", "\\u0026"),
        ("\u2028", "\\u2028"),
        ("\u2029", "\\u2029"),
    ):
        text = text.replace(sign, code)
    return text


def page_data(payload: Payload, panels: list[Metric]) -> dict[str, Any]:
    """What the scripts of the page draw from: values as in the results, less the metrics without a panel."""
    keys = [metric.key for metric in panels]
    return {
        "methods": [asdict(method) for method in payload.methods],
        "metrics": [
            {
                **{key: getattr(metric, key) for key in ("key", "label", "scale", "shown_unit")},
                "ranges": {d.name: dose_curves.axis_range(payload, d.name, metric) for d in payload.datasets},
            }
            for metric in panels
        ],
        "datasets": [
            {
                "name": d.name,
                "n_images": images_of(d),
                **dose_axis(d),
                "panels": [metric.key for metric in dose_curves.panels_of(payload, d)],
                "found": position_error.keys(d)[1],
                "caption": dose_curves.caption(payload, d.name),
                "published": {
                    metric.key: [
                        (mark.dose, mark.value * metric.scale, mark.source)
                        for mark in dose_curves.marks_of(payload, d.name, metric)
                    ]
                    for metric in panels
                },
                "bound": {
                    metric.key: found
                    for metric in panels
                    if (found := dose_curves.bound_of(payload, d.name, metric))
                },
            }
            for d in payload.datasets
        ],
        "rows": [
            {
                **{key: getattr(row, key) for key in ("dataset", "dose", "method", "n", "failures")},
                "values": {key: asdict(row.values[key]) for key in keys},
            }
            for row in payload.rows
        ],
        "position_errors": position_errors(payload),
        "species": [
            {"symbol": symbol, "colour": light, "colour_dark": dark}
            for symbol, (light, dark) in style.species_colours(
                [symbol for truth in payload.truths for symbol in truth.elements]
            ).items()
        ],
        "truths": [asdict(truth) for truth in payload.truths],
        "answers": [asdict(answer) for answer in payload.answers],
        "half_slab": orthoslices.HALF_SLAB,
        "slice_caption": orthoslices.caption("{dataset}", "{dose}", payload),
    }


def definitions(payload: Payload) -> list[dict[str, str]]:
    """What each metric is, those of single elements once."""
    entries: dict[str, dict[str, str]] = {}
    for metric in payload.metrics:
        label = metric.label.removesuffix(f" ({metric.element})") if metric.element else metric.label
        rule = metric.no_value
        if rule:
            rule = f"No value {rule}." if rule.startswith("when") else f"{rule[:1].upper()}{rule[1:]}."
        entries.setdefault(
            metric.family or metric.key,
            {
                "label": f"{label}, per element" if metric.element else label,
                "shown_unit": metric.shown_unit,
                "text": " ".join(part for part in (metric.description, rule, metric.failure) if part),
                "reference": metric.reference,
            },
        )
    return list(entries.values())


def failure_groups(payload: Payload) -> list[dict[str, Any]]:
    """Failures with the same method and reason together, every cell of each listed."""
    order = {method.name: i for i, method in enumerate(payload.methods)}
    groups: dict[tuple[str, str, str, str], list[Failure]] = {}
    for failure in payload.failures:
        key = (failure.method, failure.sentence, failure.message, failure.traceback)
        groups.setdefault(key, []).append(failure)
    return [
        {
            "index": order[method],
            "control": payload.method(method).control,
            "method": method,
            "sentence": sentence,
            "message": message,
            "traceback": traceback,
            "n": len(found),
            "cells": _where(found),
        }
        for (method, sentence, message, traceback), found in sorted(
            groups.items(), key=lambda item: order[item[0][0]]
        )
    ]


def _where(failures: list[Failure]) -> list[str]:
    """Dataset and dose of `failures`, each with its replicates."""
    places: dict[tuple[str, float], list[str]] = {}
    for failure in failures:
        places.setdefault((failure.dataset, failure.dose), []).append(str(failure.replicate))
    return [
        f"{dataset}, {style.dose_words(dose)}: replicate{'s' if len(nth) > 1 else ''} {', '.join(nth)}"
        for (dataset, dose), nth in places.items()
    ]
