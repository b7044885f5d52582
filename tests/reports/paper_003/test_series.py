"""Series are found by what they are, and so are the paper's particles, doses and numbers."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from reports.published import ALL, RESULTS, SPECIMENS, results_of, same_dose, specimen_like
from reports.series import Collection, Series, in_words, open_collection

PLAIN = "resire[n_iter=30]"
REFINED = "resire[angles=refine,n_iter=30]"
SIRT = "sirt[n_iter=20]"
SeriesOf = Callable[[str], Series]


def test_series_are_found_by_what_they_are(collection: Collection, series_of: SeriesOf) -> None:
    assert {s.name for s in collection.series} == {
        "si-tiny",
        "sigesn-tiny",
        "focused",
        "defocused",
        "turned",
        "shifted",
        "silica",
    }
    assert collection.notes == ()
    assert collection.find(["Pt", "Co", "Pd"])[0].name == "focused"
    assert [s.name for s in collection.find(["Co", "Pd", "Pt"], needed=["tilt"])] == ["turned"]
    assert collection.find(["Co", "Pd", "Pt"], preferred=["defocus"])[0].name == "defocused"
    assert [s.name for s in collection.find(["Co", "Pd", "Pt"], only=True)] == ["focused"]
    assert collection.find(["Au"]) == []
    turned = series_of("turned")
    assert turned.choose("resire", angles=("nominal",)) == PLAIN
    assert turned.choose("resire", angles=("refine",)) == REFINED
    assert turned.choose("sirt", angles=("nominal",)) == SIRT
    assert turned.choose("resire", angles=("grid",)) is None
    assert in_words(series_of("shifted").card.imperfections) == (
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
    counts = {
        "sigesn-13982": (4610, 4709, 4663),
        "copdpt-18356": (8322, 6896, 3138),
        "sio2-7704": (5101, 2603),
    }
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
    assert n_checked == 8


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
