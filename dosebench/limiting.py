"""What `dosebench limit` does: bound and floor of a dataset by dose, and the dose that a precision needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from benchmarks.limits.detectable import detectable, dose_to_trace
from benchmarks.limits.limit import Limit
from benchmarks.limits.needed import dose_needed
from benchmarks.limits.problem import LimitProblem
from benchmarks.limits.stored import limits, problem_of
from benchmarks.limits.unknowns import check_names
from datasets.catalog import load_dataset
from datasets.errors import InputError
from datasets.store import DatasetStore


def limit_report(
    dataset: str,
    doses: Sequence[float],
    rmsd: float | None,
    unknown: Sequence[str],
    *,
    tracing_error: float | None = None,
    root: str | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """The limits of `dataset` as plain data: doses in e⁻/Å² per image, lengths in pm, None for "never".

    Raises `InputError` before any long work.
    """
    card = load_dataset(dataset)
    unknown = check_names(unknown)
    if not all(dose > 0 and math.isfinite(dose) for dose in doses):
        raise InputError(f"--dose must be positive [e⁻/Å² per image], got {', '.join(map(str, doses))}")
    if rmsd is not None and not 0 < rmsd < math.inf:
        raise InputError(f"--rmsd must be a positive length [pm], got {rmsd}")
    if tracing_error is not None and not 0 < tracing_error < 1:
        raise InputError(f"--tracing-error must be between 0 and 1, got {tracing_error}")
    store = DatasetStore(card, root)
    wanted = sorted(doses or card.doses)
    if not store.has_expected():
        from datasets.simulate import simulate

        if progress:
            click.echo(f"{card.name}: its noise-free images are made first. {card.cost}", err=True)
        simulate(card, wanted[:1], root=root, progress=progress)
    found = limits(store, wanted, unknown, progress=progress)
    report: dict[str, Any] = {
        "dataset": card.name,
        "engine": card.imaging.engine,
        "n_atoms": len(found[0].symbols),
        "n_images": card.n_images,
        "unknown": found[0].unknown,
        "unexplained": found[0].unexplained,
        "limits": [_row(limit) for limit in found],
    }
    if rmsd is not None:

        def at(dose: float) -> Limit:
            return limits(store, [dose], unknown, progress=False)[0]

        report["needed"] = {
            "rmsd": rmsd,
            "bound": _finite(dose_needed(rmsd, found, at)),
            "with_floor": _finite(dose_needed(rmsd, found, at, floor=True)),
        }
    if tracing_error is not None:
        report["detectable"] = _detectable(store, wanted, tracing_error)
    return report


def _detectable(store: DatasetStore, doses: Sequence[float], wanted: float) -> dict[str, Any]:
    problem = problem_of(store)
    if not isinstance(problem, LimitProblem):
        modality = store.card.imaging.modality
        raise InputError(
            f"dataset {store.card.name}: which atoms can be told from noise is computed for adf images, "
            f"not for {modality}"
        )
    rows = [detectable(problem, dose) for dose in doses]
    return {
        "wanted": wanted,
        "dose": _finite(dose_to_trace(wanted, lambda dose: detectable(problem, dose))),
        "at": [asdict(row) | {"tracing_error": row.tracing_error} for row in rows],
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _row(limit: Limit) -> dict[str, Any]:
    return {
        "dose": limit.dose,
        "bound": limit.bound(),
        "relative_error": limit.error,
        "per_element": {symbol: limit.bound(symbol) for symbol in sorted(set(limit.symbols))},
        "floor": limit.floor(),
        "with_floor": limit.with_floor(),
        "seconds": limit.seconds,
    }


def limit_lines(report: dict[str, Any]) -> list[str]:
    """The report in words and a table."""
    rows = report["limits"]
    elements = list(rows[0]["per_element"])
    heads = ["dose", "bound", *(elements if len(elements) > 1 else []), "floor", "bound & floor"]
    table = [heads]
    for row in rows:
        bound = f"{row['bound']:.3g}"
        if row["relative_error"]:
            bound += f" ± {row['bound'] * row['relative_error']:.1g}"
        own = [f"{row['per_element'][e]:.3g}" for e in elements] if len(elements) > 1 else []
        table.append([f"{row['dose']:.4g}", bound, *own, f"{row['floor']:.3g}", f"{row['with_floor']:.3g}"])
    widths = [max(len(line[k]) for line in table) for k in range(len(heads))]
    lines = [
        f"{report['dataset']} ({report['n_atoms']} atoms, {report['n_images']} {report['engine']} images): "
        f"Cramér–Rao bound on the RMSD [pm], {report['unknown']}",
        *("  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True)) for line in table),
        "dose in e⁻/Å² per image; floor: best fit of a sum of atoms to images without noise, of which it "
        f"leaves {100 * report['unexplained']:.2g} % (rms)",
    ]
    if needed := report.get("needed"):
        lines += [
            f"{needed['rmsd']:g} pm needs {_needs(needed['bound'], report)} by the bound alone,",
            f"  {_needs(needed['with_floor'], report)} with the floor",
        ]
    if told := report.get("detectable"):
        lines.append("atoms told from noise one by one, with all others known to be there:")
        for row in told["at"]:
            parts = [f"{100 * row[name]:.3g} %" for name in ("found", "false", "tracing_error")]
            lines.append("  {:.4g}: {} found, {} false, tracing error {}".format(row["dose"], *parts))
        lines.append(f"  a tracing error of {100 * told['wanted']:g} % needs {_needs(told['dose'], report)}")
    return lines


def _needs(dose: float | None, report: dict[str, Any]) -> str:
    if dose is None:
        return "a dose that there is not: the floor alone is above it"
    return f"{dose:.3g} e⁻/Å² per image ({dose * report['n_images']:.3g} e⁻/Å² in total)"
