"""What each figure of paper 000 shows, against results and published numbers."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes

from datasets.errors import InputError
from reports.figures import style
from reports.figures.paper_000 import dose, frames, localisation, strain_maps
from reports.figures.paper_000.sheet_pictures import RIM, Sheet, inside
from reports.figures.plate import Plate
from reports.published_sheets import CHI2, DIVERGENCE, RESULTS, Z_RMSD, stated
from reports.series import Collection, open_collection

MAP = "multislice-map[n_iter=20,n_samples=16]"
AxesOf = Callable[[Plate, str], Axes]


def test_published_numbers_are_those_of_its_text_and_tables() -> None:
    assert [s.value for s in stated("total")] == [1.5, 0.87, 0.33, 0.31]
    assert [s.value for s in stated("z")] == [0.45, 0.32]
    assert min(DIVERGENCE, key=lambda d: DIVERGENCE[d]) == 8e3
    assert (CHI2[0], CHI2[-1], Z_RMSD[0], Z_RMSD[-1]) == (134.7, 129.0, 1.11, 0.45)
    assert all(s.source for s in RESULTS)


def test_the_dose_found_is_the_true_one(plates: dict[str, Plate], axes_of: AxesOf) -> None:
    plate = plates["fig-1a"]
    found = [row for row in plate.rows if row[1].startswith("dose found")]
    assert len(found) == 2  # noise-free frames have no dose
    for row in found:
        true = 8e3 if "8×10³" in row[0] else 3e4
        assert float(row[4]) == pytest.approx(true, rel=0.15)
    ax = axes_of(plate, "Divergence")
    paper = next(line for line in ax.lines if line.get_label() == "paper (experiment)")
    assert paper.get_ydata().tolist() == list(DIVERGENCE.values())


def test_stages_and_errors_stand_beside_the_papers(plates: dict[str, Plate], axes_of: AxesOf) -> None:
    plate = plates["fig-2"]
    ax = axes_of(plate, "Error of z")
    bars = next(line for line in ax.lines if line.get_gid() == "paper")
    assert bars.get_ydata().tolist() == list(Z_RMSD)
    assert "annealing-md, which follows the paper, has no answer" in plate.notes[0]
    rows = [row for row in plate.rows if row[0] == "every atom"]
    assert [row[6] for row in rows] == ["0.082", "0.096", "0.45"]
    texts = [text.get_text() for text in axes_of(plate, "Errors along z").texts]
    assert texts == [f"rms {rows[2][4]} Å", "paper 0.45 Å"]


def test_maps_show_truth_beside_answer_at_one_scale(plates: dict[str, Plate]) -> None:
    titles = [panel.title for panel in plates["fig-3"].panels]
    assert titles[:4] == ["0 ms, truth", "0 ms, answer", "1 ms, truth", "1 ms, answer"]
    titles = [panel.title for panel in plates["fig-4"].panels]
    assert titles[:2] == ["εxx, truth", "εxx, answer"]
    for key in ("fig-3", "fig-4", "fig-5"):
        assert "scale" in plates[key].caption
        assert "no interval" in plates[key].caption or "without interval" in plates[key].caption
    assert "published polynomial (paper 000), not computed here" in plates["fig-5"].caption
    assert "published polynomial (paper 000), not computed here" in plates["fig-6"].caption


def test_a_stretched_sheet_is_drawn_as_stretched() -> None:
    """Along x by 2 % within one half: of a fitted lattice the difference of both halves is left."""
    from ase.build import graphene

    flat = graphene(size=(10, 10, 1), vacuum=5).positions
    flat -= flat.mean(axis=0)
    flat[:, 0] += 0.02 * np.maximum(flat[:, 0], 0)
    strain, places = Sheet.of(flat).strained()
    kept = inside(places.sites)
    left, right = places.sites[:, 0] < -3, places.sites[:, 0] > 3
    assert strain.xx[kept & right].mean() - strain.xx[kept & left].mean() == pytest.approx(0.02, abs=0.003)
    assert np.abs(strain.yy[kept]).max() < 0.012
    edge = places.sites[~kept]
    low, high = places.sites.min(axis=0), places.sites.max(axis=0)
    assert np.minimum(edge - low, high - edge).min(axis=1).max() <= RIM


def test_polynomials_end_where_the_paper_ends_them(plates: dict[str, Plate], axes_of: AxesOf) -> None:
    ax = axes_of(plates["fig-6"], "Bond-length")
    curve = ax.lines[0]
    assert (curve.get_xdata().min(), curve.get_xdata().max()) == (-0.2, 0.2)
    assert np.interp(0, curve.get_xdata(), curve.get_ydata()) == pytest.approx(0.041, abs=1e-3)


def test_errors_by_dose_with_noise_free_frames_apart(
    plates: dict[str, Plate], axes_of: AxesOf, collection: Collection
) -> None:
    plate = plates["fig-7"]
    ax = axes_of(plate, "Error in z")
    ticks = [label.get_text() for label in ax.get_xticklabels()]
    assert ticks == ["8×10³", "3×10⁴", style.NOISE_FREE]
    marks = [line for line in ax.lines if line.get_gid() == "paper"]
    assert [float(line.get_ydata()[0]) for line in marks] == [0.45, 0.32]
    total = axes_of(plate, "Error in all three axes")
    marks = [line for line in total.lines if line.get_gid() == "paper"]
    assert [float(line.get_ydata()[0]) for line in marks] == [0.33, 0.31]
    right = style.place(math.inf, [8e3, 3e4])
    assert float(marks[-1].get_xdata()[0]) == right > 3e4
    rows = {(row[0], row[1], row[3]): row for row in plate.rows}
    name = collection.names[MAP]
    assert rows["8×10³ e⁻/Å²", "Error in z (Å)", name][6] == "0.45"
    assert rows[style.NOISE_FREE, "Error in all three axes (Å)", name][6] == "0.31"
    assert "lack 2×10³, 4×10³, 6×10³" in plate.notes[0]


def test_what_lacks_is_said_in_a_sentence(root: Path, collection: Collection) -> None:
    guesses = open_collection(root / "guesses", str(root / "data"))
    for module in (strain_maps, localisation):
        with pytest.raises(InputError, match="no reconstructor that finds ripples"):
            module.plate(guesses, root)
    with pytest.raises(InputError, match="dosebench run graphene-series"):
        frames.plate(guesses, root)
    drawn = dose.plate(open_collection(root / "guesses", "nowhere"), root)
    assert "No image at 8×10³ e⁻/Å², for the counts of sheet at 8000 e⁻/Å² are not below" in drawn.notes[1]


def test_our_own_localisation_is_drawn_where_it_lies(root: Path, cache: Path, axes_of: AxesOf) -> None:
    folder = root / "computed"
    shutil.copytree(root / "results", folder)
    delta = np.linspace(-0.1, 0.1, 12)
    heads = "first,second,height,gradient,shear,bond_length_change,localisation_0,localisation_2"
    rows = [f"0,1,0,{abs(d)},{d / 2},{d},0.9,{0.03 + d**2}" for d in delta]
    (folder / "localisation.csv").write_text("\n".join([heads, *rows]), encoding="utf-8")
    plate = localisation.plate(open_collection(folder, str(root / "data")), cache)
    assert "our own density functional theory at n = 12 bonds" in plate.caption
    assert plate.notes == ()
    dots = next(line for line in axes_of(plate, "Bond-length").lines if line.get_label() == "our DFT")
    np.testing.assert_allclose(dots.get_ydata(), 0.03 + delta**2, atol=1e-9)
    scatter = [row for row in plate.rows if row[3] == "DFT"]
    assert len(scatter) == 3
    assert float(scatter[2][4]) == 0
