"""Electron localisation by density functional theory, bond by bond, and polynomials beside the published.

    python -m reports.localisation 'graphene-640[seed=101]' results/graphene/localisation.csv --bonds 40

computes what the file lacks (needs the extra `dft`; 16 s of one core a bond), and fits what it holds: at
every height above the middle of the bond, the function against slope, shear and bond-length change, each by
itself, as equations 1 to 3 of paper 000. `dosebench paper 000` draws the file where it lies among results.
"""

from __future__ import annotations

from pathlib import Path

import click
import pandas as pd

from datasets.catalog import load_dataset
from datasets.errors import InputError
from datasets.store import data_root
from datasets.structures import make_structure
from datasets.structures.analysis.electron_localisation import PUBLISHED
from datasets.structures.analysis.localisation_by_dft import HEIGHTS, fit_polynomial, write_localisation

DEGREE = 1
"""Of the fits, unless asked: more needs more bonds than an hour computes."""


def fits(table: pd.DataFrame, degree: int = DEGREE) -> pd.DataFrame:
    """One row per height [Å] and variable: n, the function at zero and its slope there with standard errors,
    the residual, and the published slope; of `table` as `write_localisation` writes it.
    """
    rows = []
    for height in HEIGHTS:
        for variable, published in PUBLISHED.items():
            found = fit_polynomial(
                table[variable].to_numpy(), table[f"localisation_{height:g}"].to_numpy(), degree
            )
            rows.append(
                {
                    "height": height,
                    "variable": variable,
                    "n": len(table),
                    "at_zero": found.coefficients[-1],
                    "at_zero_error": found.standard_errors[-1],
                    "slope": found.coefficients[-2],
                    "slope_error": found.standard_errors[-2],
                    "residual": found.residual,
                    "published_at_zero": published.coefficients[-1],
                    "published_slope": published.coefficients[-2],
                }
            )
    return pd.DataFrame(rows)


def text_of(table: pd.DataFrame) -> str:
    """The `fits` as lines for a terminal."""
    heads = (
        f"{'height':>6} {'against':>18} {'at zero':>18} {'slope':>18} {'residual':>9} {'published slope':>15}"
    )
    lines = [
        f"{row.height:6.1f} {row.variable:>18} {row.at_zero:8.4f} ± {row.at_zero_error:6.4f}  "
        f"{row.slope:8.3f} ± {row.slope_error:6.3f}  {row.residual:8.4f} {row.published_slope:15.3f}"
        for row in table.itertuples()
    ]
    return "\n".join([heads, *lines])


@click.command()
@click.argument("dataset")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--bonds", default=40, show_default=True, help="How many, from the shortest to the longest.")
@click.option("--degree", default=DEGREE, show_default=True, help="Of the polynomials.")
def main(dataset: str, path: Path, bonds: int, degree: int) -> None:
    """Compute the localisation of bonds of DATASET's true sheet into PATH, and print fits."""
    try:
        if degree < 1:
            raise InputError(f"degree must be at least 1, not {degree}")
        sheet = make_structure(load_dataset(dataset).structure, root=data_root(), progress=True)
        write_localisation(sheet, bonds, path)
        table = pd.read_csv(path)
        click.echo(
            f"{len(table)} bonds of {dataset}; height [Å] above the middle of the bond, ± standard error"
        )
        click.echo(text_of(fits(table, degree)))
    except InputError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
