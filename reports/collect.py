"""From a results folder to the `Payload` of its report; no score is computed again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import xarray as xr

from benchmarks.cells import CellResult, load_cells
from benchmarks.controls import CONTROLS
from benchmarks.metrics.sheet import SHEET_CUTOFF, SHEET_TRANSLATION
from benchmarks.preset import DEFAULT_CRITERIA, PresetCard, load_preset, preset_names
from benchmarks.results import DIMS, MISSING, modality_of, open_results, status_codes
from benchmarks.summary import LEVEL, headline, summary
from datasets.errors import InputError
from reports.answers import representative
from reports.criteria import INTERVAL as THRESHOLD_INTERVAL
from reports.criteria import all_thresholds, number, shown
from reports.figures import style
from reports.limits import store_of, stored_limits
from reports.names import short_names
from reports.payload import Failure, Mark, Method, Metric, Payload, Row, Specimen, Value
from reports.provenance import provenance
from reports.published_sheets import N_ATOMS, RESULTS

OTHER = frozenset({"status", "seconds", "peak_memory"})
"""Variables of the results that are no metrics."""

LINEAR = "linear"
"""The engine whose images are sums of atoms, so that a floor says nothing."""

INTERVAL = f"{100 * LEVEL:g}\u00a0% Student intervals of the mean over replicates"


def collect(results: str | Path, data_root: str | None = None) -> Payload:
    """Everything that a report of the folder `results` shows; floors are those stored below `data_root`.

    Raises `InputError` (or `StoreError`) when there are no results, or they are damaged or not results of
    dosebench.
    """
    folder = str(results)
    data = open_results(folder)
    _check(data, folder)
    preset = _preset(Path(folder))
    names = short_names(data["reconstructor"].values.tolist(), preset.reconstructors if preset else ())
    cells = [_renamed(cell, names) for cell in _chosen_cells(data, load_cells(folder))]
    data = data.assign_coords(reconstructor=[names[name] for name in data["reconstructor"].values.tolist()])
    metrics = [_metric(data[name]) for name in _ordered(data)]
    methods = _methods(data, cells, preset)
    specimens = _specimens(data, cells, preset.datasets if preset else (), data_root)
    truths, answers = representative(cells, [m.name for m in methods if not m.control], specimens)
    return Payload(
        name=preset.name if preset else str(data.attrs.get("preset", Path(folder).resolve().name)),
        interval=INTERVAL,
        metrics=metrics,
        methods=methods,
        datasets=specimens,
        rows=_rows(data, metrics, specimens),
        thresholds=all_thresholds(data, preset.criteria if preset else DEFAULT_CRITERIA, specimens),
        threshold_interval=THRESHOLD_INTERVAL,
        truths=truths,
        answers=answers,
        failures=[_failure(cell) for cell in cells if cell.failed],
        provenance=provenance(cells),
        command=_command(preset, {m.name for m in methods if not m.control}, names),
        matching=_matching(data, cells),
        missing=_not_run(data["status"]),
    )


def _not_run(status: xr.DataArray) -> int:
    """How many cells were not run, of the methods that were run on a dataset and at its doses."""
    ran = status != MISSING
    asked = ran.any(["dose", "replicate"]) & ran.any(["replicate", "reconstructor"])
    return int((asked & ~ran).sum())


def _check(data: xr.Dataset, folder: str) -> None:
    expected = {
        "variable": ("status", "seconds"),
        "coordinate": (*DIMS, "kind", "base", "engine", "title", "reference"),
    }
    for kind, names in expected.items():
        for name in names:
            if name not in (data if kind == "variable" else data.coords):
                raise InputError(
                    f"{folder}: these are no results of dosebench: the {kind} {name!r} is missing"
                )


def _chosen_cells(data: xr.Dataset, cells: Sequence[CellResult]) -> list[CellResult]:
    """The cells that `data` was made of, in its order; of several attempts at one the latest."""
    codes = status_codes()
    chosen: dict[tuple[Any, ...], CellResult] = {}
    known = {dim: {value: i for i, value in enumerate(data[dim].values.tolist())} for dim in DIMS}
    for result in sorted(cells, key=lambda r: str(r.provenance.get("time", ""))):
        at = tuple(known[dim].get(getattr(result.cell, dim), -1) for dim in DIMS)
        if -1 not in at and codes[result.status] == int(data["status"].transpose(*DIMS).values[at]):
            chosen[at] = result
    return [chosen[at] for at in sorted(chosen)]


def _renamed(result: CellResult, names: Mapping[str, str]) -> CellResult:
    return replace(result, cell=replace(result.cell, reconstructor=names[result.cell.reconstructor]))


def _preset(folder: Path) -> PresetCard | None:
    """The preset that the results were made with, if it was kept."""
    path = folder / "preset.yaml"
    return load_preset(str(path)) if path.exists() else None


def _ordered(data: xr.Dataset) -> list[str]:
    """The metrics of the results: first those that every table shows, last those of the published rule."""
    names = [str(name) for name in data.data_vars if name not in OTHER]
    first = (m for dataset in data["dataset"].values for m in headline(modality_of(data, str(dataset))))
    place = {name: i for i, name in enumerate(dict.fromkeys(first))}
    return sorted(names, key=lambda name: (place.get(name, len(place)), name.startswith("published"), name))


def _metric(variable: xr.DataArray) -> Metric:
    attrs = variable.attrs
    failure = ""
    if attrs["direction"] != "none":
        given = attrs.get("on_failure")
        failure = (
            "A cell without an answer has none, and the mean is over the others."
            if given is None
            else f"A cell without an answer counts as {shown(given, attrs['units'])}."
        )
    rule = str(attrs["nan_rule"])
    return Metric(
        key=str(variable.name),
        label=str(attrs["long_name"]),
        unit=str(attrs["units"]),
        better=str(attrs["direction"]),
        description=str(attrs["description"]),
        reference=str(attrs["reference"]),
        failure=failure,
        no_value=rule.removeprefix("never").lstrip("; "),
        family=str(attrs["metric"]),
        element=str(attrs["element"]),
    )


def _methods(data: xr.Dataset, cells: Sequence[CellResult], preset: PresetCard | None) -> list[Method]:
    """The methods in the order of the preset, then the controls."""
    known = {str(n): str(k) for n, k in zip(data["reconstructor"].values, data["kind"].values, strict=True)}
    first = [*(preset.reconstructors if preset else ()), *CONTROLS]
    names = [name for name in dict.fromkeys([*first, *known]) if name in known]
    own = [name for name in names if known[name] != "control"]
    controls = [name for name in names if known[name] == "control"]
    described = {cell.cell.reconstructor: _description(cell) for cell in cells}
    looks = [style.method(name, nth) for nth, name in enumerate(own)]
    looks += [style.control(name, nth) for nth, name in enumerate(controls)]
    return [replace(look, description=described.get(look.name, "")) for look in looks]


def _description(result: CellResult) -> str:
    """What a control is, or the parameters and version of a method."""
    cell = result.cell
    if cell.kind == "control":
        return f"Control: {CONTROLS[cell.method].description}." if cell.method in CONTROLS else "Control."
    parameters = ", ".join(f"{key} = {value}" for key, value in cell.parameters.items())
    return f"{cell.method}, version {cell.version}{': ' if parameters else ''}{parameters}."


def _specimens(
    data: xr.Dataset, cells: Sequence[CellResult], asked: Sequence[str], root: str | None
) -> list[Specimen]:
    specimens = []
    for name in map(str, data["dataset"].values):
        here = data.sel(dataset=name)
        own = [cell for cell in cells if cell.cell.dataset == name]
        doses = here["dose"].values[(here["status"] != MISSING).any(("replicate", "reconstructor")).values]
        n_truth = here["n_truth"].values
        bound = _bound(here, doses.tolist())
        engine = str(here["engine"].item())
        specimens.append(
            Specimen(
                name=name,
                title=str(here["title"].item()),
                reference=str(here["reference"].item()),
                engine=engine,
                base=str(here["base"].item()),
                n_images=_n_images(own),
                n_atoms=int(n_truth[n_truth > 0].max(initial=0)),
                elements=str(here["elements"].item()).split(),
                doses=[float(dose) for dose in doses],
                modality=(modality := modality_of(data, name)),
                bound=bound,
                with_floor=_with_floor(own, doses.tolist(), asked, root)
                if bound and engine != LINEAR
                else [],
                published=_published(modality, int(n_truth[n_truth > 0].max(initial=0))),
            )
        )
    return specimens


def _published(modality: str, n_atoms: int) -> list[Mark]:
    """What paper 000 states of a sheet of as many atoms, in pm."""
    if modality != "hrtem" or n_atoms != N_ATOMS:
        return []
    return [
        Mark(f"{s.of}_rmsd", s.dose, 100 * s.value, "paper 000") for s in RESULTS if s.of in ("x", "y", "z")
    ]


def _bound(here: xr.Dataset, doses: Sequence[float]) -> list[float | None]:
    """The bound on the RMSD of one dataset by dose, which every cell that knows it holds."""
    if "rmsd_limit" not in here:
        return []
    known = here["rmsd_limit"].max(("replicate", "reconstructor"))
    found = [number(float(known.sel(dose=dose))) for dose in doses]
    return found if any(value is not None for value in found) else []


def _with_floor(
    cells: Sequence[CellResult], doses: Sequence[float], asked: Sequence[str], root: str | None
) -> list[float | None]:
    """The bound with the floor of one dataset by dose, where its limits are stored."""
    store = store_of(cells, asked, root)
    found = stored_limits(store, doses) if store is not None else {}
    return [number(found[dose].with_floor()) if dose in found else None for dose in doses] if found else []


def _n_images(cells: Sequence[CellResult]) -> int | None:
    """Images per series; None where the cells do not say, or do not agree."""
    known = {int(cell.dataset_info["n_images"]) for cell in cells if "n_images" in cell.dataset_info}
    return known.pop() if len(known) == 1 else None


def _rows(data: xr.Dataset, metrics: Sequence[Metric], specimens: Sequence[Specimen]) -> list[Row]:
    keys = [metric.key for metric in metrics]
    images = {d.name: d.n_images for d in specimens}
    rows = []
    for record in summary(data, keys).to_dict("records"):
        n_images = images[record["dataset"]]
        rows.append(
            Row(
                dataset=record["dataset"],
                dose=record["dose"],
                dose_total=record["dose"] * n_images if n_images else None,
                method=record["reconstructor"],
                n=record["cells"],
                failures=record["failures"],
                seconds=number(record["seconds"]),
                values={
                    key: Value(
                        number(record[key]),
                        number(record[f"{key}_low"]),
                        number(record[f"{key}_high"]),
                        int(record[f"{key}_n"]),
                    )
                    for key in keys
                },
            )
        )
    return rows


def _failure(result: CellResult) -> Failure:
    cell, sentence = result.cell, result.status.sentence
    return Failure(
        dataset=cell.dataset,
        method=cell.reconstructor,
        dose=cell.dose,
        replicate=cell.replicate,
        status=result.status.value,
        sentence=sentence,
        message="" if result.message.strip() == sentence else result.message,
        traceback=result.traceback or "",
    )


def _matching(data: xr.Dataset, cells: Sequence[CellResult]) -> str:
    rules = {str(cell.scoring.get("cutoff")): cell.scoring for cell in cells}
    rule = data.attrs if "cutoff" in data.attrs else next(iter(rules.values()), {})
    sheets = ""
    if any(modality_of(data, str(name)) == "hrtem" for name in data["dataset"].values):
        sheets = (
            f"Sheets are matched in the plane, one to one within {SHEET_CUTOFF:g} Å whatever the heights, "
            f"after removing one translation in the plane of at most {SHEET_TRANSLATION:g} Å. "
        )
        if all(modality_of(data, str(name)) == "hrtem" for name in data["dataset"].values):
            return sheets.strip()
    if "cutoff" not in rule:
        return f"{sheets}Truth and answer are matched one to one after removing one rigid translation."
    return (
        f"{sheets}Truth and answer are matched one to one within a cutoff of {rule['cutoff']:g} Å, after "
        f"removing one rigid translation of at most {rule['max_translation']:g} Å. Scores by the published "
        f"rule are more lenient, use nearest neighbours within {rule['published_cutoff']:g} Å and are "
        "labelled so."
    )


def _command(preset: PresetCard | None, own: set[str], names: Mapping[str, str]) -> str:
    """The commands that make these results and this report; methods that the preset lacks in full."""
    if preset is None:
        return "dosebench run PRESET"
    known = preset.name in preset_names() and load_preset(preset.name) == preset
    added = [label for label, name in names.items() if name in own and name not in preset.reconstructors]
    extra = "".join(f" --with '{label}'" for label in added)
    note = "" if known else "  # preset.yaml lies beside these results"
    source = preset.name if known else "preset.yaml"
    return f"dosebench run {source}{extra}{note}\ndosebench report results/{preset.name}"
