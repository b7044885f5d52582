"""Accuracies are the numbers of the results, failures included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from reports.accuracy import ONE_TO_ONE, PAPERS_RULE, accuracy, bounds_of, over_limit
from reports.limits import stored_limits
from reports.published import ALL
from reports.series import Collection, Series

DOSE = 1.7e4
"""e⁻/Å²: the paper's for Co–Pd–Pt, and within rounding its 1.6e4."""
PLAIN = "resire[n_iter=30]"
SeriesOf = Callable[[str], Series]


def test_accuracies_are_those_of_the_results(collection: Collection, series_of: SeriesOf) -> None:
    series = series_of("focused")
    found = {(a.species, a.rule): a for a in accuracy(series, PLAIN, DOSE)}
    data = collection.data.sel(dataset="focused", dose=DOSE, reconstructor=PLAIN)
    for element in ("Co", "Pd", "Pt"):
        ours, theirs = found[element, ONE_TO_ONE], found[element, PAPERS_RULE]
        assert ours.identified.mean == pytest.approx(100 * float(data[f"identified_{element}"].mean()))
        assert ours.called.mean == pytest.approx(100 * float(data[f"identified_precision_{element}"].mean()))
        assert ours.rmsd.mean == pytest.approx(float(data[f"identified_rmsd_{element}"].mean()))
        stored = float(data[f"published_identified_of_{element}"].mean())  # both within 1.5 Å
        assert theirs.identified.mean == pytest.approx(100 * stored)
        assert ours.identified.n == 2
        assert ours.identified.low <= ours.identified.mean <= ours.identified.high <= 100
        assert np.isnan(theirs.called.mean)
    assert found[ALL, ONE_TO_ONE].identified.mean == pytest.approx(100 * float(data["classification"].mean()))
    assert found[ALL, ONE_TO_ONE].n_atoms == 40


def test_bounds_are_those_stored_and_ratios_those_of_the_atoms_identified(
    collection: Collection, series_of: SeriesOf
) -> None:
    series = series_of("focused")
    found = {(a.species, a.rule): a for a in accuracy(series, PLAIN, DOSE)}
    limit = stored_limits(series.store, [DOSE])[DOSE]
    data = collection.data.sel(dataset="focused", dose=DOSE, reconstructor=PLAIN)
    assert found[ALL, ONE_TO_ONE].bound == pytest.approx(float(data["rmsd_limit"].mean()))
    for element in ("Co", "Pd", "Pt"):
        ours = found[element, ONE_TO_ONE]
        assert ours.bound == limit.bound(element)
        whole = ours.rmsd.mean / ours.bound  # were all atoms of the species identified
        assert ours.over_limit.mean == pytest.approx(whole, rel=0.3)
        assert np.isnan(found[element, PAPERS_RULE].over_limit.mean)
    cells = series.replicates(PLAIN, DOSE)
    without = bounds_of(None, cells, series.elements)
    assert without[ALL] == pytest.approx(found[ALL, ONE_TO_ONE].bound)
    assert np.isnan(without["Co"])
    assert np.isnan(over_limit(cells[0], None, series.elements)[ALL])


def test_a_failed_cell_counts_as_nothing_found(series_of: SeriesOf) -> None:
    from recon.base import Status

    series = series_of("focused")
    before = {(a.species, a.rule): a for a in accuracy(series, PLAIN, DOSE)}
    own = series.replicates(PLAIN, DOSE)
    scores = {k: 0.0 if k != "n_truth" else v for k, v in own[0].scores.items()}
    scores |= {k: float("nan") for k in scores if "rmsd" in k}
    broken = replace(own[0], status=Status.ERROR, scores=scores)
    with_failure = replace(series, cells=(broken, *own[1:]))
    after = {(a.species, a.rule): a for a in accuracy(with_failure, PLAIN, DOSE)}
    only = {(a.species, a.rule): a for a in accuracy(replace(series, cells=tuple(own[1:])), PLAIN, DOSE)}
    assert before
    for at in before:
        assert after[at].identified.mean == pytest.approx(only[at].identified.mean / 2)
        assert after[at].rmsd.mean == pytest.approx(only[at].rmsd.mean)
        assert (after[at].identified.n, after[at].rmsd.n) == (2, 1)
