"""The figures of paper 003 show the numbers of the results, and say what is missing."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import yaml
from ase import Atoms
from click.testing import CliRunner
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from matplotlib.text import Text
from PIL import Image
from scipy.spatial.transform import Rotation

from benchmarks.grid import run
from benchmarks.preset import PresetCard
from datasets.catalog import DatasetCard
from datasets.errors import InputError, StoreError
from datasets.formats import write_atoms
from datasets.structures import make_structure
from dosebench.cli import main
from recon.align.alignment import euler_angles
from reports import again as again_module
from reports import paper
from reports.accuracy import (
    ONE_TO_ONE,
    PAPERS_RULE,
    accuracy,
    bounds_of,
    over_limit,
    position_errors,
)
from reports.again import make_again
from reports.figures import style
from reports.figures.paper_003 import alignment, alloy, defocus, silicon, tilt_angles, words
from reports.figures.paper_003.species import true_species
from reports.figures.plate import Panel, Plate, compose
from reports.limits import stored_limits
from reports.paper import Paper, write_paper
from reports.published import ALL, RESULTS, SPECIMENS, results_of, same_dose, specimen_like
from reports.series import Collection, Series, in_words, open_collection

DOSE = 1.7e4
"""e⁻/Å²: the paper's for Co–Pd–Pt, and within rounding its 1.6e4."""

PLAIN = "resire[n_iter=30]"
REFINED = "resire[angles=refine,n_iter=30]"
ALIGNED = "resire[align=common_line,n_iter=30]"
SIRT = "sirt[n_iter=20]"


def _card(tiny: DatasetCard, name: str, structure: dict[str, Any], **imperfections: float) -> dict[str, Any]:
    content = tiny.model_dump(mode="json")
    content |= {"name": name, "structure": structure, "imperfections": imperfections, "doses": [DOSE]}
    content["imaging"] |= {"pixel_size": 0.45, "n_pixels": 32}
    if "tilt_rms" in imperfections:
        content["imaging"]["tilts"] = {"start": -69, "stop": 63, "n": 12}
    return content


@pytest.fixture(scope="module")
def root(tiny_card: DatasetCard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with cards of tiny particles of the paper's elements, their data and their results."""
    folder = tmp_path_factory.mktemp("paper")
    lattice = make_structure(tiny_card.structure)
    for name, elements in (("alloy", ("Co", "Pd", "Pt")), ("semiconductor", ("Si", "Ge", "Sn"))):
        symbols = list(itertools.islice(itertools.cycle(elements), len(lattice)))
        write_atoms(folder / f"{name}.xyz", Atoms(symbols, lattice.positions))
    alloyed = {"generator": "from_file", "parameters": {"path": str(folder / "alloy.xyz")}}
    mixed = {"generator": "from_file", "parameters": {"path": str(folder / "semiconductor.xyz")}}
    silicon_card = {
        "generator": "nanoparticle",
        "seed": 3,
        "parameters": {"n_atoms": 40, "core": "Si", "shell": "Si"},
    }
    cards = {
        "si-tiny": _card(tiny_card, "si-tiny", silicon_card),
        "sigesn-tiny": _card(tiny_card, "sigesn-tiny", mixed),
        "focused": _card(tiny_card, "focused", alloyed),
        "defocused": _card(tiny_card, "defocused", alloyed, defocus_range=30),
        "turned": _card(tiny_card, "turned", alloyed, tilt_rms=0.7),
        "shifted": _card(tiny_card, "shifted", alloyed, shift_range=1.0, intensity_rms=0.05),
    }
    for name, content in cards.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    grids = [
        (["si-tiny", "defocused"], [DOSE], [PLAIN], 1),
        (["sigesn-tiny"], [DOSE, 1.7e5], [PLAIN], 1),
        (["focused"], [DOSE], [PLAIN], 2),
        (["turned"], [DOSE], [PLAIN, REFINED, SIRT], 1),
        (["shifted"], [DOSE], [PLAIN, ALIGNED], 1),
    ]
    for nth, (names, doses, methods, replicates) in enumerate(grids):
        preset = PresetCard(
            name=f"part-{nth}",
            title="A part of the paper",
            datasets=tuple(str(folder / f"{name}.yaml") for name in names),
            doses=tuple(doses),
            replicates=replicates,
            reconstructors=tuple(methods),
            controls=("oracle",),
        )
        run(
            preset,
            results=str(folder / "results"),
            data_root=str(folder / "data"),
            n_workers=0,
            progress=False,
        )
    whole = preset.model_copy(
        update={"name": "whole", "datasets": tuple(str(folder / f"{name}.yaml") for name in cards)}
    )
    (folder / "results" / "preset.yaml").write_text(whole.to_yaml())
    shutil.rmtree(folder / "results" / "results.zarr")  # made again from all cells
    return folder


@pytest.fixture(scope="module")
def collection(root: Path) -> Collection:
    """All series of the results."""
    return open_collection(root / "results", str(root / "data"))


@pytest.fixture(scope="module")
def cache(root: Path) -> Path:
    """Where reconstructions made again are kept."""
    return root / "again"


@pytest.fixture(scope="module")
def plates(collection: Collection, cache: Path) -> dict[str, Plate]:
    """Every plate by its key."""
    found = [*silicon.plates(collection, cache), alloy.sigesn(collection, cache)]
    found += [alloy.copdpt(collection, cache), alignment.plate(collection, cache)]
    found += [defocus.plate(collection, cache), tilt_angles.plate(collection, cache)]
    return {plate.key: plate for plate in found}


KEYS = ("fig-1-si-208", "fig-2", "fig-3", "extended-fig-5", "extended-fig-6", "extended-fig-7")


def _series(collection: Collection, name: str) -> Series:
    return next(s for s in collection.series if s.name == name)


def _axes(plate: Plate, title: str) -> Axes:
    """One panel of a plate drawn by itself."""
    panel: Panel = next(p for p in plate.panels if p.title.startswith(title))
    with style.paper():
        figure, ax = plt.subplots()
        panel.draw(ax)
        plt.close(figure)
    return ax


def _heights(ax: Axes, marker: str) -> list[float]:
    return sorted(float(line.get_ydata()[0]) for line in ax.get_lines() if line.get_marker() == marker)


def test_series_are_found_by_what_they_are(collection: Collection) -> None:
    assert {s.name for s in collection.series} == {
        "si-tiny",
        "sigesn-tiny",
        "focused",
        "defocused",
        "turned",
        "shifted",
    }
    assert collection.notes == ()
    assert collection.find(["Pt", "Co", "Pd"])[0].name == "focused"
    assert [s.name for s in collection.find(["Co", "Pd", "Pt"], needed=["tilt"])] == ["turned"]
    assert collection.find(["Co", "Pd", "Pt"], preferred=["defocus"])[0].name == "defocused"
    assert [s.name for s in collection.find(["Co", "Pd", "Pt"], only=True)] == ["focused"]
    assert collection.find(["Au"]) == []
    turned = _series(collection, "turned")
    assert turned.choose("resire", angles=("nominal",)) == PLAIN
    assert turned.choose("resire", angles=("refine",)) == REFINED
    assert turned.choose("sirt", angles=("nominal",)) == SIRT
    assert turned.choose("resire", angles=("grid",)) is None
    assert in_words(_series(collection, "shifted").card.imperfections) == (
        "shifts up to 1 Å, intensities wrong by 5 % rms"
    )


def test_the_papers_particles_and_doses_are_recognised() -> None:
    like = specimen_like(["Pt", "Pd", "Co"], 300)
    assert like is not None
    assert like.name == "copdpt-18356"
    small, large = specimen_like(["Si"], 208), specimen_like(["Si"], 5000)
    assert (small and small.name, large and large.name) == ("si-208", "si-19993")
    assert specimen_like(["Cu", "Au"], 150) is None
    assert results_of(None, "focused") == []
    assert same_dose(1.6e4, 1.7e4)
    assert not same_dose(1.6e4, 3.2e4)


def test_what_the_paper_states_for_all_agrees_with_its_species() -> None:
    counts = {"sigesn-13982": (4610, 4709, 4663), "copdpt-18356": (8322, 6896, 3138)}
    n_checked = 0
    for result in RESULTS:
        specimen = next(s for s in SPECIMENS if s.name == result.specimen)
        assert set(result.identified) == set(result.rmsd) <= {*specimen.elements, ALL}
        if ALL not in result.identified or len(specimen.elements) == 1:
            continue
        n = np.array(counts[specimen.name])
        assert n.sum() == specimen.n_atoms
        right = n * [result.identified[e] / 100 for e in specimen.elements]
        assert 100 * right.sum() / n.sum() == pytest.approx(result.identified[ALL], abs=0.6)
        squares = right @ np.square([result.rmsd[e] for e in specimen.elements])
        # the paper's overall precision lies between the mean and the root mean square of its species
        mean = right @ [result.rmsd[e] for e in specimen.elements] / right.sum()
        assert mean - 1 <= result.rmsd[ALL] <= np.sqrt(squares / right.sum()) + 2
        n_checked += 1
    assert n_checked == 4


def test_accuracies_are_those_of_the_results(collection: Collection) -> None:
    series = _series(collection, "focused")
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


def test_bounds_are_those_stored_and_ratios_those_of_the_atoms_identified(collection: Collection) -> None:
    series = _series(collection, "focused")
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


def test_every_rmsd_panel_shows_the_bound(collection: Collection, plates: dict[str, Plate]) -> None:
    for key, name in (("fig-2", "sigesn-tiny"), ("fig-3", "focused"), ("extended-fig-7", "turned")):
        series = _series(collection, name)
        ax = _axes(plates[key], "RMSD")
        drawn = {
            str(line.get_gid()).rpartition(" ")[2]: float(line.get_ydata()[0])
            for line in ax.get_lines()
            if str(line.get_gid()).startswith(f"bound {style.dose_text(DOSE)}")
            or ("turned" in name and str(line.get_gid()).startswith("bound"))
        }
        limit = stored_limits(series.store, [DOSE])[DOSE]
        assert drawn == {**{e: limit.bound(e) for e in series.elements}, ALL: limit.bound()}
        assert "Cramér–Rao bound" in plates[key].caption
    assert "dotted: the Cramér–Rao bound" in plates["fig-1-si-208"].caption


def test_a_failed_cell_counts_as_nothing_found(collection: Collection) -> None:
    from recon.base import Status

    series = _series(collection, "focused")
    before = {(a.species, a.rule): a for a in accuracy(series, PLAIN, DOSE)}
    own = series.replicates(PLAIN, DOSE)
    scores = {k: 0.0 if k != "n_truth" else v for k, v in own[0].scores.items()}
    scores |= {k: float("nan") for k in scores if "rmsd" in k}
    broken = replace(own[0], status=Status.ERROR, scores=scores)
    with_failure = replace(series, cells=(broken, *own[1:]))
    after = {(a.species, a.rule): a for a in accuracy(with_failure, PLAIN, DOSE)}
    only = {(a.species, a.rule): a for a in accuracy(replace(series, cells=tuple(own[1:])), PLAIN, DOSE)}
    for at in before:
        assert after[at].identified.mean == pytest.approx(only[at].identified.mean / 2)
        assert after[at].rmsd.mean == pytest.approx(only[at].rmsd.mean)
        assert (after[at].identified.n, after[at].rmsd.n) == (2, 1)


@pytest.mark.parametrize(("key", "name"), [("fig-2", "sigesn-tiny"), ("fig-3", "focused")])
@pytest.mark.parametrize(("title", "quantity"), [("Identified", "identified"), ("RMSD", "rmsd")])
def test_points_and_bars_are_the_numbers(
    collection: Collection, plates: dict[str, Plate], key: str, name: str, title: str, quantity: str
) -> None:
    series = _series(collection, name)
    ax = _axes(plates[key], title)
    wanted: dict[str, list[float]] = {ONE_TO_ONE: [], PAPERS_RULE: []}
    for dose in series.doses(PLAIN):
        for one in accuracy(series, PLAIN, dose):
            mean = getattr(one, quantity).mean
            wanted[one.rule] += [mean] if np.isfinite(mean) else []
    assert _heights(ax, "o") == pytest.approx(sorted(wanted[ONE_TO_ONE]))
    assert _heights(ax, "D") == pytest.approx(sorted(wanted[PAPERS_RULE]))
    case = {"fig-2": "random defocus", "fig-3": "focused"}[key]
    stated = [
        p
        for p in results_of(specimen_like(series.elements, 40), case)
        if same_dose(p.dose, DOSE) or p.dose > 1e5
    ]
    bars = [line for line in ax.get_lines() if str(line.get_gid()).startswith("paper")]
    drawn = sorted(float(line.get_ydata()[0]) for line in bars)
    assert drawn == sorted(v for p in stated for v in getattr(p, quantity).values())


def test_the_three_projections_are_counts_their_estimate_and_the_volumes(
    collection: Collection, cache: Path, plates: dict[str, Plate]
) -> None:
    series = _series(collection, "focused")
    cell = words.representative(series, PLAIN, DOSE)
    again = make_again(series, cell, cache)
    counts = series.store.measurement(DOSE, 0)["counts"].values
    assert again.theta == 0
    np.testing.assert_array_equal(again.raw, counts[again.tilt])
    raw, prepared, calculated = (
        np.asarray(_axes(plates["fig-3"], title).images[0].get_array())
        for title in ("Raw", "Denoised", "Calculated")
    )
    np.testing.assert_array_equal(raw, again.raw)
    np.testing.assert_array_equal(calculated, again.calculated)
    assert np.corrcoef(prepared.ravel(), calculated.ravel())[0, 1] > 0.9
    assert calculated.sum() == pytest.approx(prepared.sum(), rel=0.5)  # positivity keeps noise
    expected = series.store.expected()["expected"].values[again.tilt] * DOSE
    assert np.std(prepared - expected) <= 1.05 * np.std(raw - series.card.background - expected)


def test_a_reconstruction_made_again_is_the_stored_one_and_is_kept(
    collection: Collection, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = _series(collection, "focused")
    cell = words.representative(series, PLAIN, DOSE)
    made = make_again(series, cell, cache)
    assert made.same
    assert words.differs(series, made) == []
    assert len(words.differs(series, replace(made, same=False))) == 1
    monkeypatch.setattr(again_module, "_make", None)  # not called again
    kept = make_again(series, cell, cache)
    np.testing.assert_array_equal(kept.intensities, made.intensities)
    assert (kept.tilt, kept.theta, kept.same) == (made.tilt, made.theta, made.same)
    changed = replace(cell, cell=replace(cell.cell, version="0"))
    monkeypatch.undo()
    with pytest.raises(InputError, match="has changed since these results were made"):
        make_again(series, changed, cache)


def test_histograms_hold_every_traced_atom_once(
    collection: Collection, cache: Path, plates: dict[str, Plate]
) -> None:
    series = _series(collection, "focused")
    again = make_again(series, words.representative(series, PLAIN, DOSE), cache)
    true, called = true_species(again, series.store.truth(), 1.0)
    assert len(true) == len(called) == len(again.numbers)
    identified = {a.species: a for a in accuracy(replace(series, cells=series.cells[:1]), PLAIN, DOSE)[:3]}
    counts = {e: np.count_nonzero((true == e) & (called == e)) for e in identified}
    first = words.representative(series, PLAIN, DOSE)
    of = series.store.truth().get_chemical_symbols()
    for element, n in counts.items():
        assert n == round(first.scores[f"identified_{element}"] * of.count(element))
    ax = _axes(plates["fig-3"], "Traced atoms, 1.7×10⁴")
    filled = [p for p in ax.patches if isinstance(p, StepPatch) and p.get_fill()]
    total = sum(float(np.sum(p.get_data().values - p.get_data().baseline)) for p in filled)
    assert total == len(again.intensities)
    labels = " ".join(text.get_text() for text in ax.get_legend().get_texts())
    for element in ("Co", "Pd", "Pt"):
        assert f"{element} ({np.count_nonzero(true == element)})" in labels


def test_position_errors_of_silicon(collection: Collection, plates: dict[str, Plate]) -> None:
    series = _series(collection, "si-tiny")
    errors = position_errors(series.replicates(PLAIN, DOSE))
    data = collection.data.sel(dataset="si-tiny", dose=DOSE, reconstructor=PLAIN)
    assert len(errors) == int(data["n_matched"].sum())
    pooled = np.sqrt((data["rmsd"] ** 2 * data["n_matched"]).sum() / data["n_matched"].sum())
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(float(pooled))
    ax = _axes(plates["fig-1-si-208"], "1.7×10⁴")
    share = ax.patches[0].get_data().values
    assert share.sum() == pytest.approx(100, abs=2.6)  # but for the last half per cent
    found = {a.rule: a for a in accuracy(series, PLAIN, DOSE) if a.species == "Si"}
    lines = [float(line.get_xdata()[0]) for line in ax.get_lines()]
    assert lines == pytest.approx([found[ONE_TO_ONE].rmsd.mean, found[ONE_TO_ONE].bound, 17])
    assert "paper: 100 %, 17 pm" in ax.texts[0].get_text()
    assert f"bound: {found[ONE_TO_ONE].bound:.1f} pm" in ax.texts[0].get_text()


def test_angle_errors_are_the_true_ones_and_do_not_know_how_the_specimen_lies(
    collection: Collection, cache: Path, plates: dict[str, Plate]
) -> None:
    series = _series(collection, "turned")
    again = make_again(series, words.representative(series, REFINED, DOSE), cache)
    before, after = tilt_angles.angle_errors(series, again)
    errors = series.true_imperfections()
    true = errors.rotations(series.card.theta())
    lost = before + errors.angles  # nominal − true; only a common rotation is taken out of it
    assert tilt_angles.rms(before) < 1.1 * tilt_angles.rms(errors.angles)
    assert np.corrcoef(-before[:, 0], errors.angles[:, 0])[0, 1] > 0.9
    assert np.abs(lost).max() < 2
    perfect = replace(again, angles=euler_angles(true * Rotation.from_rotvec([0.01, -0.02, 0.015])))
    assert np.abs(tilt_angles.angle_errors(series, perfect)[1]).max() < 1e-3
    assert tilt_angles.rms(after) < 0.6 * tilt_angles.rms(before)
    for nth, sign in enumerate("φθψ"):
        ax = _axes(plates["extended-fig-7"], sign)
        given, refined = (np.asarray(line.get_ydata()) for line in ax.get_lines()[1:])
        np.testing.assert_array_equal(given, before[:, nth])
        np.testing.assert_array_equal(refined, after[:, nth])
    assert f"φ {tilt_angles.rms(before[:, 0]):.2f}° to {tilt_angles.rms(after[:, 0]):.2f}°" in (
        plates["extended-fig-7"].caption
    )


def test_methods_that_are_compared_differ_in_the_angles_alone(collection: Collection) -> None:
    chosen, notes = tilt_angles.methods(_series(collection, "turned"))
    assert chosen == [
        ("RESIRE + angles", tilt_angles.REFINED, REFINED),
        ("RESIRE", tilt_angles.UNREFINED, PLAIN),
        ("SIRT", tilt_angles.UPDATED_SIRT, SIRT),
    ]
    assert notes == []
    chosen, notes = tilt_angles.methods(_series(collection, "focused"))
    assert [case for _, case, _ in chosen] == [tilt_angles.UNREFINED]
    assert len(notes) == 2
    assert "no method for “tilt errors, updated SIRT”" in notes[1]


def test_alignment_is_seen_in_centres_of_mass_and_common_lines(
    collection: Collection, plates: dict[str, Plate]
) -> None:
    series = _series(collection, "shifted")
    before, after, notes = alignment.methods(series)
    assert (before, after, notes) == (PLAIN, ALIGNED, [])
    analysis = alignment.analyse(series, ALIGNED, DOSE)
    for axis in (0, 1):
        assert np.abs(analysis.centers[0, :, axis] - analysis.shifts[:, axis]).max() < 0.15
        off = [tilt_angles.rms(c[:, axis]) for c in analysis.centers]
        assert off[1] < 0.2 * off[0]
        ax = _axes(plates["extended-fig-5"], f"Centre of mass along {'xy'[axis]}")
        true, given, aligned = (np.asarray(line.get_ydata()) for line in ax.get_lines()[:3])
        np.testing.assert_allclose(true, analysis.shifts[:, axis])
        np.testing.assert_allclose(given, analysis.centers[0, :, axis])
        np.testing.assert_allclose(aligned, analysis.centers[1, :, axis])
    assert np.corrcoef(analysis.totals[0], analysis.scales)[0, 1] > 0.5
    assert analysis.totals[1].std() < 0.5 * analysis.totals[0].std()
    spread = [np.std(p, axis=0).mean() for p in analysis.profiles]
    assert spread[1] < 0.3 * spread[0]
    lines = _axes(plates["extended-fig-5"], "Common lines aligned").get_lines()
    np.testing.assert_allclose([line.get_ydata() for line in lines], analysis.profiles[1])


def test_defocus_is_compared_within_one_acquisition(collection: Collection, plates: dict[str, Plate]) -> None:
    focused, defocused = defocus.pair(collection)
    assert (focused.name, defocused.name) == ("focused", "defocused")
    assert defocus.common_method(focused, defocused) == PLAIN
    assert any("defocus has no effect" in note for note in plates["extended-fig-6"].notes)
    rows = plates["extended-fig-6"].rows
    assert ("focused", "Pt", "", "paper, Fig. 3d, e", "100", "–", "6", "–") in rows
    assert ("±3 nm", "Co", "", "paper, Extended Data Fig. 6d, e", "90.3", "–", "40", "–") in rows
    without = replace(collection, series=tuple(s for s in collection.series if s.name != "focused"))
    with pytest.raises(InputError, match="no Co–Pd–Pt series in focus is among the results"):
        defocus.pair(without)


def test_captions_name_what_was_run_and_what_the_paper_has(plates: dict[str, Plate]) -> None:
    assert tuple(plates) == KEYS
    for key, plate in plates.items():
        assert "40 atoms, 12 linear images), " in plate.caption
        assert "(the paper: " in plate.caption
        assert re.search(r"n = \d", plate.caption), key
        assert "nterval" in plate.caption
        assert len(plate.alt) > 40
    assert "18,356 atoms, 55 images" in plates["fig-3"].caption
    assert "1.6×10⁵" not in plates["fig-3"].caption
    assert plates["fig-1-si-208"].notes == (
        "si-tiny: the paper's doses of 8×10³ and 1.6×10⁵ e⁻/Å² are not among the results.",
    )


LAYOUTS = [
    pytest.param(pair, marks=() if pair[0] == "fig-3" else pytest.mark.slow, id=f"{pair[0]}-{pair[1]}")
    for pair in itertools.product(KEYS, (False, True))
]


@pytest.fixture(params=LAYOUTS)
def drawn(request: pytest.FixtureRequest, plates: dict[str, Plate]) -> Iterator[tuple[Figure, bool]]:
    """Each plate for a page and for a telephone."""
    key, narrow = request.param
    with style.paper():
        figure = compose(plates[key].panels, narrow=narrow)
        yield figure, narrow
        plt.close(figure)


def _texts(figure: Figure) -> Iterator[Text]:
    """The texts that are seen: those of ticks only where the tick is."""
    outside = {
        label
        for ax in figure.axes
        for axis in (ax.xaxis, ax.yaxis)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for label in (tick.label1, tick.label2)
        if not axis.get_view_interval().min() <= tick.get_loc() <= axis.get_view_interval().max()
    }
    for text in figure.findobj(Text):
        if isinstance(text, Text) and text.get_visible() and text.get_text().strip() and text not in outside:
            yield text


def test_type_is_large_enough_and_nothing_overlaps_or_is_cut_off(drawn: tuple[Figure, bool]) -> None:
    figure, narrow = drawn
    assert figure.get_size_inches()[0] == (style.COLUMN if narrow else style.PAGE)
    renderer = figure.canvas.get_renderer()
    boxes = [(t, t.get_window_extent(renderer)) for t in _texts(figure)]
    boxes = [(t, box) for t, box in boxes if box.width > 0]
    assert min(t.get_fontsize() for t, _ in boxes) >= (9 if narrow else 7)
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


@pytest.fixture(scope="module")
def written(root: Path, cache: Path, plates: dict[str, Plate]) -> Paper:
    """The page, with the reconstructions of `plates`."""
    out = root / "out"
    out.mkdir()
    shutil.copytree(cache, out / paper.CACHE)
    return write_paper(root / "results", out, data_root=str(root / "data"))


@pytest.mark.slow
def test_each_figure_lies_beside_the_page(written: Paper) -> None:
    folder = written.page.parent / "figures"
    assert {path.stem for path in folder.glob("*.*")} == {*KEYS, "captions"}
    captions = (folder / "captions.md").read_text(encoding="utf-8")
    for key in KEYS:
        with Image.open(folder / f"{key}.png") as image:
            assert image.width / 300 == pytest.approx(style.PAGE, abs=0.01)
            assert str(image.info["Description"]).partition(". ")[2][:60] in captions
        assert (folder / f"{key}.pdf").read_bytes().startswith(b"%PDF")
        assert b"<svg" in (folder / f"{key}.svg").read_bytes()[:600]
    numbers = (written.page.parent / "numbers.csv").read_text(encoding="utf-8").splitlines()
    assert numbers[0].startswith("figure,,Species,Atoms,Rule,Identified (%)")
    assert any(line.startswith("extended-fig-7,SIRT,Co,,") and "85.8" in line for line in numbers)
    assert written.missing == ()


@pytest.mark.slow
def test_the_page_stands_alone(written: Paper) -> None:
    page = written.page.read_text(encoding="utf-8")
    sources = re.findall(r'(?:src|srcset)="([^"]*)"', page)
    assert len(sources) == 2 * len(KEYS)
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    assert not re.search(r"(?:src|href)=[\"'](?:https?:|//|/)", page)
    assert "<script" not in page
    assert "6 figures of paper 003 drawn from our own results." in page
    for key in KEYS:
        assert f'id="{key}"' in page
    assert len(page) < 6e6


@pytest.fixture(scope="module")
def silicon_only(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results that hold nothing but the silicon particle."""
    folder = tmp_path_factory.mktemp("silicon") / "results"
    shutil.copytree(root / "results", folder)
    for path in (folder / "cells").glob("*.json"):
        if json.loads(path.read_text())["cell"]["dataset"] != "si-tiny":
            path.unlink()
            path.with_suffix(".npz").unlink()
    return folder


def test_what_is_missing_is_said_and_the_rest_is_drawn(silicon_only: Path, tmp_path: Path) -> None:
    done = write_paper(silicon_only, data_root=str(tmp_path / "nowhere"))
    assert done.page == silicon_only / "paper-003" / "index.html"
    assert done.figures == ("Fig. 1: amorphous silicon of 40 atoms",)
    assert done.missing[0].startswith("Fig. 2: No Si–Ge–Sn particle")
    assert [m.partition(":")[0] for m in done.missing[:5]] == [
        "Fig. 2",
        "Fig. 3",
        *(f"Extended Data Fig. {n}" for n in (5, 6, 7)),
    ]
    page = done.page.read_text(encoding="utf-8")
    assert "the counts of si-tiny at 17000 e⁻/Å² are not below" in page
    assert "No Co–Pd–Pt series with wrong tilt angles" in page
    sources = re.findall(r'(?:src|srcset)="([^"]*)"', page)
    assert len(sources) == 2
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    assert {path.name for path in (silicon_only / "paper-003" / "figures").iterdir()} == {
        "captions.md",
        *(f"fig-1-si-208.{end}" for end in ("png", "svg", "pdf")),
    }
    with pytest.raises(StoreError, match="no results here"):
        write_paper(tmp_path / "nothing")


def test_a_dataset_whose_card_has_changed_is_left_out(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "results", tmp_path / "results")
    content = yaml.safe_load((root / "focused.yaml").read_text()) | {"background": 3.0}
    (tmp_path / "focused.yaml").write_text(yaml.safe_dump(content))
    path = tmp_path / "results" / "preset.yaml"
    preset = yaml.safe_load(path.read_text())
    preset["datasets"] = [str(tmp_path / "focused.yaml"), str(root / "si-tiny.yaml")]
    path.write_text(yaml.safe_dump(preset))
    found = open_collection(tmp_path / "results", str(root / "data"))
    assert [s.name for s in found.series] == ["si-tiny"]
    assert any(n.startswith("focused: its card has changed") for n in found.notes)
    assert any("unknown dataset 'shifted'" in n for n in found.notes)


def test_the_command_draws_from_results_or_runs_its_preset(
    root: Path, silicon_only: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["paper", "003", "--data", str(root / "data"), "--quiet"]
    done = CliRunner().invoke(main, [*arguments, "--results", str(silicon_only), "--out", "drawn"])
    assert done.exit_code == 0, done.output
    assert "paper 003: drawn/index.html" in done.output
    assert list(Path("drawn", paper.CACHE).glob("*.npz")) != []
    preset = PresetCard(
        name="mine",
        title="The command's own",
        datasets=(str(root / "si-tiny.yaml"),),
        doses=(DOSE,),
        controls=("oracle",),
        reconstructors=("fbp",),
    )
    (tmp_path / "mine.yaml").write_text(preset.to_yaml())
    monkeypatch.setitem(paper.PRESETS, "small", "mine.yaml")
    from benchmarks import grid

    monkeypatch.setattr(grid, "run", lambda *given, **named: run(*given, **named, n_workers=0))
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert "paper 003: results/mine/paper-003/index.html" in done.output
    assert "Extended Data Fig. 7: No Co–Pd–Pt series" in done.output
    assert (tmp_path / "results" / "mine" / "results.csv").exists()
    assert CliRunner().invoke(main, ["paper", "005"]).exit_code == 2
    refused = CliRunner().invoke(main, ["paper", "003", "--results", "nowhere"])
    assert refused.exit_code == 2
    assert "no results here" in refused.output
