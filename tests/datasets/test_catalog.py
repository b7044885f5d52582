"""Cards: all valid, unknown keys answered, keys that follow the content."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from datasets.catalog import FOLDER, DatasetCard, dataset_names, load_dataset
from datasets.catalog.acquisition import wavelength
from datasets.errors import InputError
from datasets.imaging.detector import detector_angles
from datasets.simulate import series_module
from datasets.structures import make_structure


@pytest.mark.parametrize("name", dataset_names())
def test_every_card_is_valid_and_its_particle_fits_the_image(name: str) -> None:
    card = load_dataset(name)
    assert card.name == name
    if card.imaging.modality == "adf":
        inner, outer = detector_angles(card.adf)
        assert inner < outer
    series = series_module(card)
    series.check(card)
    series.check_field_of_view(card, make_structure(card.structure))
    assert list(card.doses) == sorted(set(card.doses))


PAPER_003 = {
    "si-208": (17.5, 0.195, 1, (-90, 87, 60), (8e3, 1.6e4, 1.6e5), {"Si": 208}),
    "si-19993": (17.5, 0.347, 2, (-90, 87, 60), (8e3, 1.6e4, 1.6e5), {"Si": 19993}),
    "sigesn-13982": (17.5, 0.347, 2, (-90, 87, 60), (1.6e4, 1.6e5), {"Si": 4610, "Ge": 4709, "Sn": 4663}),
    "copdpt-18356": (25, 0.347, 2, (-69, 75, 55), (1.7e4,), {"Co": 8322, "Pd": 6896, "Pt": 3138}),
}
"""Semiangle [mrad], pixel [Å], slice [Å], tilts [deg], doses [e⁻/Å²] and atoms of Extended Data Table 1."""


@pytest.mark.parametrize("name", PAPER_003)
def test_the_acquisition_of_paper_003_is_that_of_its_table(name: str) -> None:
    semiangle, pixel, thickness, tilts, doses, atoms = PAPER_003[name]
    card = load_dataset(name)
    imaging = card.adf
    assert (imaging.energy_eV, imaging.semiangle_mrad) == (200e3, semiangle)
    assert (imaging.detector_inner_mrad, imaging.detector_outer_mrad) == (38, 190)
    assert (imaging.pixel_size, imaging.slice_thickness, imaging.potential_sampling) == (
        pixel,
        thickness,
        0.065,
    )
    assert (imaging.phonons, imaging.source_sigma) == (8, 0.35)
    assert (imaging.tilts.start, imaging.tilts.stop, imaging.tilts.n) == tilts
    assert imaging.defocus == 0
    assert card.imperfections.defocus_range == (0 if name == "copdpt-18356" else 30)
    assert card.background == 1
    assert set(doses) <= set(card.doses)
    parameters = card.structure.parameters
    assert parameters.get("counts", {"Si": parameters.get("n_atoms")}) == atoms


@pytest.mark.parametrize("name", ["cuau-1602-4d", "bao-987-4d"])
def test_the_patterns_of_paper_004_are_as_it_says(name: str) -> None:
    card = load_dataset(name)
    imaging = card.four_d_stem
    assert (imaging.energy_eV, imaging.semiangle_mrad, imaging.slice_thickness) == (300e3, 21, 2)
    assert imaging.defocus == -200
    assert imaging.n_scan * imaging.scan_step == pytest.approx(51.2)
    points = imaging.detector_points()
    assert (len(points), points[0], points[1] - points[0]) == (128, -1.25, pytest.approx(1 / 51.2))
    np.testing.assert_allclose(card.theta(), np.linspace(-75, 75, 20))
    totals = {round(20 * dose) for dose in card.doses}
    assert {2_000, 20_000, 200_000, 2_000_000, 20_000_000, 12_500, 125_000} <= totals
    dense = load_dataset(f"{name}[scan_step=0.4,n_scan=128,potential_sampling=0.0572]").four_d_stem
    assert dense.sampling == pytest.approx(51.2 / 896)


@pytest.mark.parametrize("name", ["sio2-7704-4d", "sio2-300-4d"])
def test_the_patterns_of_paper_003_are_those_of_its_table(name: str) -> None:
    card = load_dataset(name)
    imaging = card.four_d_stem
    assert (imaging.energy_eV, imaging.semiangle_mrad, imaging.defocus) == (80e3, 30, 180)
    assert (imaging.scan_step, imaging.slice_thickness) == (0.5, 2)
    assert imaging.n_scan == (208 if name == "sio2-7704-4d" else 52)
    assert len(imaging.detector_points()) == 152
    reach = 1e3 * wavelength(80e3) * np.abs(imaging.detector_points()).max()
    assert 60 < reach < 62
    np.testing.assert_allclose(card.theta(), np.linspace(-72, 72, 49))
    assert {1.6e3, 1.6e4} <= set(card.doses)


@pytest.mark.parametrize(
    ("section", "key", "near"),
    [
        ((), "titel", "title"),
        (("imaging",), "pixel_sise", "pixel_size"),
        (("imaging", "tilts"), "sart", "start"),
        (("structure",), "sed", "seed"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest(
    tmp_path: Path, section: tuple[str, ...], key: str, near: str
) -> None:
    content = yaml.safe_load((FOLDER / "cuau-150.yaml").read_text(encoding="utf-8"))
    content["structure"] = load_dataset("cuau-150").structure.model_dump()
    target = content
    for step in section:
        target = target[step]
    target[key] = 1
    path = tmp_path / "card.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(InputError, match=f"{key}.*did you mean '{near}'"):
        load_dataset(str(path))


def test_names_select_seed_and_engine() -> None:
    card = load_dataset("cuau-150[seed=5,engine=linear]")
    assert (card.structure.seed, card.imaging.engine) == (5, "linear")
    assert card.name == "cuau-150[engine=linear,seed=5]"
    with pytest.raises(InputError, match="did you mean 'cuau-150'"):
        load_dataset("cuau-15")
    with pytest.raises(InputError, match="did you mean 'seed'"):
        load_dataset("cuau-150[sed=5]")


def test_keys_follow_what_determines_the_work() -> None:
    card = load_dataset("cuau-150")

    def changed(**content: object) -> DatasetCard:
        return DatasetCard.model_validate({**card.model_dump(), **content})

    assert changed(doses=[5.0], title="other").key() == card.key()
    darker = changed(background=3.0)
    assert darker.images_key() == card.images_key()
    assert darker.key() != card.key()
    noisier = changed(background=3.0)
    assert noisier.images_key() == card.images_key()
    assert noisier.key() != card.key()
    shifted = changed(imperfections={"intensity_rms": 0.1})
    assert shifted.images_key() == card.images_key()
    assert shifted.key() != card.key()
    assert changed(imperfections={"tilt_rms": 1.0}).images_key() != card.images_key()
    assert load_dataset("cuau-150[seed=2]").structure_key() != card.structure_key()
