"""The table of electron localisation: known polynomials come out, and nothing is computed twice."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from datasets.structures.analysis.localisation_by_dft import HEIGHTS
from reports.localisation import fits, main, text_of


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 30
    data = {
        "first": np.arange(n) * 1.0,
        "second": np.arange(n) + 1.0,
        "height": rng.normal(size=n),
        "gradient": rng.uniform(0, 0.4, n),
        "shear": rng.normal(0, 0.02, n),
        "bond_length_change": rng.normal(0, 0.03, n),
    }
    for height in HEIGHTS:
        data[f"localisation_{height:g}"] = 0.9 - 0.3 * height - 0.5 * data["bond_length_change"]
    return pd.DataFrame(data)


def test_a_line_that_was_put_in_comes_out(table: pd.DataFrame) -> None:
    found = fits(table)
    of = {(row["height"], row["variable"]): row for row in found.to_dict("records")}
    for height in HEIGHTS:
        row = of[height, "bond_length_change"]
        assert row["slope"] == pytest.approx(-0.5, abs=1e-9)
        assert row["at_zero"] == pytest.approx(0.9 - 0.3 * height, abs=1e-9)
        assert row["published_slope"] == 0.006
        other = of[height, "gradient"]
        assert abs(other["slope"]) < 4 * other["slope_error"]
    assert len(text_of(found).splitlines()) == 1 + 3 * len(HEIGHTS)


def test_what_is_computed_already_is_fitted_without_gpaw(table: pd.DataFrame, tmp_path: Path) -> None:
    """The bonds asked for are those of the file, so nothing is left to compute."""
    from datasets.catalog import load_dataset
    from datasets.structures import make_structure
    from datasets.structures.analysis.localisation_by_dft import spread_bonds

    chosen = spread_bonds(make_structure(load_dataset("graphene-240").structure), len(table))
    table["first"], table["second"] = np.array(chosen).T
    table.to_csv(tmp_path / "own.csv", index=False)
    run = CliRunner().invoke(main, ["graphene-240", str(tmp_path / "own.csv"), "--bonds", "30"])
    assert run.exit_code == 0, run.output
    assert "30 bonds of graphene-240" in run.output
    refused = CliRunner().invoke(main, ["graphene-240", str(tmp_path / "own.csv"), "--degree", "0"])
    assert refused.exit_code == 1
    assert "degree must be at least 1" in refused.output
