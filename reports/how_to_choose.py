"""The tables of docs/how-to-choose.md, from results and by a command, so that no number on the page is typed.

    python -m reports.how_to_choose results/likelihood results/aet-smoke    # new numbers, then the page
    python -m reports.how_to_choose                                         # the page from the numbers it has
    python -m reports.how_to_choose docs/how-to-choose.csv results/phase-contrast      # those, and some more

A table stands between `<!-- NAME DATASET … -->` and `<!-- end -->` and is replaced whole; NAME is one of
`TABLES`. In `dose-needed`, datasets joined by + (a particle in 4D-STEM and in annular images) share a column.
The CSV holds one row per cell of the reconstructors, controls left out.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from benchmarks.cells import load_cells
from benchmarks.metrics.match import CUTOFF
from benchmarks.preset import Criterion
from benchmarks.results import DIMS, MISSING, open_results, status_codes, to_table
from benchmarks.summary import mean_interval
from benchmarks.threshold import thresholds
from datasets.errors import InputError
from reports.criteria import criterion_text
from reports.figures.style import dose_text, number_text
from reports.position_error import WHOLE

SCORES = (
    "recall",
    "precision",
    "rmsd",
    "rmsd_limit",
    "rmsd_over_limit",
    "tracing_error",
    "classification",
)
ABOUT = ("base", "engine", "elements", "n_images", "n_truth", "cutoff")
COLUMNS = (*DIMS, "status", *SCORES, *ABOUT)
CRITERIA = (
    Criterion(metric="classification", value=0.95),
    Criterion(metric="tracing_error", value=0.05),
)
"""What a dose must reach to be enough."""

HOLLOW = "○"
"""Marks an RMSD that stands beside a recall or a precision below `WHOLE`."""

PAGE, NUMBERS = "how-to-choose.md", "how-to-choose.csv"


def numbers(folders: Iterable[str | Path]) -> pd.DataFrame:
    """One row per cell of the results in `folders`, controls left out, or of the numbers in a CSV. A dataset
    that several hold is taken from the first alone: doses, methods and cutoffs of different grids do not mix.

    Raises `InputError` where a folder holds no results, results without a limit, or unfinished ones.
    """
    tables: dict[str, pd.DataFrame] = {}
    for folder in map(str, folders):
        if folder.endswith(".csv"):
            for dataset, own in pd.read_csv(folder).groupby("dataset", sort=False):
                tables.setdefault(str(dataset), own)
            continue
        data = open_results(folder)
        table = to_table(data)
        lacking = [name for name in SCORES if name not in table]
        if lacking:
            raise InputError(f"{folder}: these results lack {', '.join(lacking)}; run their preset again")
        images = {c.cell.dataset: c.dataset_info.get("n_images", 0) for c in load_cells(folder)}
        table = table[table["kind"] != "control"]
        table = table.assign(n_images=table["dataset"].map(images), cutoff=data.attrs.get("cutoff", CUTOFF))
        for dataset, own in table.groupby("dataset", sort=False):
            _check_finished(own, f"{folder}, {dataset}")
            tables.setdefault(str(dataset), own[list(COLUMNS)])
    if not tables:
        raise InputError("no folder with results of a reconstructor was given")
    return pd.concat(tables.values()).reset_index(drop=True)


def _check_finished(table: pd.DataFrame, where: str) -> None:
    """Every method has every dose that any other has; else `InputError`. Replicates may be fewer at some."""
    wanted = table["dose"].nunique()
    for method, n in table.groupby("reconstructor", sort=False)["dose"].nunique().items():
        if n != wanted:
            raise InputError(f"{where}: unfinished, {method} has {n} of {wanted} doses; run the preset again")


def as_dataset(table: pd.DataFrame) -> xr.Dataset:
    """Cells of one dataset as `benchmarks.threshold` takes them."""
    methods = list(dict.fromkeys(table["reconstructor"]))
    codes = {status.value: code for status, code in status_codes().items()}
    known = table.assign(status=table["status"].map(codes)).set_index(list(DIMS))
    data = known[["status", *SCORES]].to_xarray().sel(reconstructor=methods)
    first = table.iloc[0]
    return data.assign(status=data["status"].fillna(MISSING).astype(int)).assign_coords(
        base=("dataset", [first["base"]] * data.sizes["dataset"]),
        engine=("dataset", [first["engine"]] * data.sizes["dataset"]),
        kind=("reconstructor", ["reconstructor"] * len(methods)),
    )


def chosen(table: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """The cells of one dataset. Raises `InputError` when there are none."""
    own = table[table["dataset"] == dataset]
    if own.empty:
        raise InputError(f"{dataset}: no results of this dataset were given")
    return own


def is_whole(cells: pd.DataFrame) -> bool:
    """Whether recall and precision of these replicates both reach `WHOLE` in the mean."""
    return bool(cells["recall"].mean() >= WHOLE and cells["precision"].mean() >= WHOLE)


def dose_needed(table: pd.DataFrame, datasets: Sequence[str]) -> str:
    """The dose that each method needs on each of `datasets`, with its interval; the least in bold."""
    found: dict[str, dict[str, tuple[float, str]]] = {}
    several = {column: column.split("+") for column in datasets}
    parts = [(column, dataset) for column, joined in several.items() for dataset in joined]
    for column, dataset in parts:
        for row in thresholds(as_dataset(chosen(table, dataset)), CRITERIA).to_dict("records"):
            low, dose, high, *ends = (float(row[p]) for p in ("low", "dose", "high", "min_dose", "max_dose"))
            text = _dose(dose, ends)
            text += "" if low == high else f" ({_dose(low, ends)} to {_dose(high, ends)})"
            found.setdefault(str(row["reconstructor"]), {})[column] = (dose, text)
    least = {d: min(own[d][0] for own in found.values() if d in own) for d in datasets}
    rows = [["method", *(", ".join(joined) for joined in several.values())]]
    for method in _ordered(table, found):
        texts = [found[method].get(dataset, (math.nan, "not run")) for dataset in datasets]
        rows.append(
            [
                f"`{method}`",
                *(
                    f"**{text}**" if dose == least[dataset] and dose != math.inf else text
                    for dataset, (dose, text) in zip(datasets, texts, strict=True)
                ),
            ]
        )
    goal = " and ".join(criterion_text(criterion) for criterion in CRITERIA)
    n = _n(table, [dataset for _, dataset in parts])
    one = " (of one none)" if n.startswith("n = 1 ") else ""
    return _markdown(rows) + (
        f"\n\nDose per image [e⁻/Å²] from which {goal} are met and stay met, interpolated in log dose; in "
        f"brackets the 95 % bootstrap interval over {n} noise replicates{one}; < and >: beyond the doses "
        "that were imaged. Bold: the least."
    )


def best(table: pd.DataFrame, datasets: Sequence[str]) -> str:
    """By dose, the most precise of the methods that find the atoms, and which are level with it."""
    rows = [
        ["dataset", "dose", "take", "recall", "precision", "RMSD [pm]", "× limit", "cannot be told apart"]
    ]
    for dataset in datasets:
        for dose, cells in chosen(table, dataset).groupby("dose"):
            methods = {str(name): own for name, own in cells.groupby("reconstructor", sort=False)}
            complete = {name: own for name, own in methods.items() if is_whole(own)}
            if complete:
                name = min(complete, key=lambda method: complete[method]["rmsd"].mean())
                level = [f"`{m}`" for m, own in complete.items() if m != name and _level(own, methods[name])]
                last = ", ".join(level) or "–"
            else:
                name = min(methods, key=lambda method: methods[method]["tracing_error"].mean())
                last = f"no method reaches {100 * WHOLE:g} %; this one errs least"
            own = methods[name]
            shares = [number_text(100 * own[key].mean()) for key in ("recall", "precision")]
            mark = "" if complete else HOLLOW
            rows.append(
                [
                    dataset,
                    dose_text(float(str(dose))),
                    f"{mark} `{name}`".strip(),
                    *(f"{share} %" for share in shares),
                    _with_interval(own["rmsd"]),
                    _ratio(own["rmsd_over_limit"].mean()),
                    last,
                ]
            )
    return _markdown(rows) + (
        f"\n\nAmong the methods whose recall and precision both reach {100 * WHOLE:g} %, the one with the "
        f"least RMSD. Means over {_n(table, datasets)} noise replicates of the same counts, in brackets the "
        "95 % Student interval of the mean; a method cannot be told apart where the 95 % interval of the "
        f"paired difference of RMSD holds zero. × limit: RMSD over the Cramér–Rao bound of the atoms found. "
        f"{HOLLOW}: recall or precision below {100 * WHOLE:g} %."
    )


def errors(table: pd.DataFrame, datasets: Sequence[str]) -> str:
    """RMSD and its ratio to the limit, by method and dose, for each of `datasets`."""
    blocks = []
    for dataset in datasets:
        cells = chosen(table, dataset)
        doses = sorted(cells["dose"].unique())
        rows = [[f"RMSD [pm] (× limit) at e⁻/Å² per image: {dataset}", *map(dose_text, doses)]]
        for method in _ordered(cells, cells["reconstructor"].unique()):
            own = cells[cells["reconstructor"] == method]
            rows.append([f"`{method}`", *(_error(own[own["dose"] == dose]) for dose in doses)])
        bounds = [cells[cells["dose"] == dose]["rmsd_limit"].max() for dose in doses]
        rows.append(["Cramér–Rao bound", *map(number_text, bounds)])
        first = cells.iloc[0]
        images = f"{first['n_images']:.0f} {first['engine']} images"
        what = f"{first['n_truth']:.0f} atoms ({first['elements']}), {images}"
        rule = f"{_n(cells, [dataset])} noise replicates, matched one to one within {first['cutoff']:g} Å"
        blocks.append(
            f"{_markdown(rows)}\n\n{dataset}: {what}; means over {rule}. {HOLLOW}: recall or precision below "
            f"{100 * WHOLE:g} %, so the RMSD is that of a part of the atoms or stands beside false ones."
        )
    return "\n\n".join(blocks)


TABLES: Mapping[str, Callable[[pd.DataFrame, Sequence[str]], str]] = {
    "dose-needed": dose_needed,
    "best": best,
    "errors": errors,
}


def with_tables(page: str, table: pd.DataFrame) -> str:
    """The text of the page with each of its tables made again. Raises `InputError` for an unknown one."""

    def written(match: re.Match[str]) -> str:
        name, *datasets = match["what"].split()
        if name not in TABLES:
            raise InputError(f"{PAGE}: there is no table {name!r}, only {', '.join(TABLES)}")
        return f"<!-- {match['what']} -->\n\n{TABLES[name](table, datasets)}\n\n<!-- end -->"

    return re.sub(r"<!-- (?P<what>[^>]+?) -->\n(?:(?!<!-- ).)*<!-- end -->", written, page, flags=re.DOTALL)


def main(arguments: Sequence[str], docs: str | Path = "docs") -> Path:
    """Write the numbers of the results folders `arguments`, if any, and the tables of the page; its path."""
    page, stored = Path(docs) / PAGE, Path(docs) / NUMBERS
    if arguments:
        numbers(arguments).to_csv(stored, index=False, float_format="%.6g")
    page.write_text(with_tables(page.read_text(encoding="utf-8"), load(docs)), encoding="utf-8")
    return page


def load(docs: str | Path = "docs") -> pd.DataFrame:
    """The numbers that the page was made from."""
    return pd.read_csv(Path(docs) / NUMBERS)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def _ordered(table: pd.DataFrame, methods: Iterable[str]) -> list[str]:
    """Methods as the results hold them first."""
    wanted = set(methods)
    return [name for name in dict.fromkeys(table["reconstructor"]) if name in wanted]


def _n(table: pd.DataFrame, datasets: Sequence[str]) -> str:
    """`n = 3`, the cells of a method at a dose."""
    own = table[table["dataset"].isin(datasets)]
    counts = sorted(set(own.groupby(["dataset", "dose", "reconstructor"]).size()))
    return f"n = {counts[0]}" if len(counts) == 1 else f"n = {counts[0]} to {counts[-1]}"


def _dose(dose: float, ends: Sequence[float]) -> str:
    if math.isinf(dose):
        return f"< {dose_text(ends[0])}" if dose < 0 else f"> {dose_text(ends[1])}"
    return dose_text(dose)


def _error(own: pd.DataFrame) -> str:
    if own.empty:
        return ""
    ratio = own["rmsd_over_limit"].mean()
    text = number_text(own["rmsd"].mean()) + ("" if math.isnan(ratio) else f" ({_ratio(ratio)})")
    return text if is_whole(own) else f"{HOLLOW} {text}"


def _ratio(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def _with_interval(values: pd.Series) -> str:
    mean, low, high, _ = mean_interval(values.to_numpy(dtype=np.float64), 0.0)
    return number_text(mean) + ("" if math.isnan(low) else f" ({number_text(low)} to {number_text(high)})")


def _level(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether the paired difference of RMSD between two methods may be zero."""
    pairs = one.set_index("replicate")["rmsd"] - other.set_index("replicate")["rmsd"]
    _, low, high, _ = mean_interval(pairs.to_numpy(dtype=np.float64))
    return not (low > 0 or high < 0)


if __name__ == "__main__":
    print(main(sys.argv[1:]))
