"""4D-STEM series in the store: coordinates, doses, resuming, imperfections, what is stored."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from datasets.acquisition import true_acquisition
from datasets.catalog import FOLDER, DatasetCard, load_dataset
from datasets.errors import InputError
from datasets.imaging import diffraction_series
from datasets.imaging.compare_patterns import compare
from datasets.imaging.detector import noise_seed
from datasets.pieces import read_piece
from datasets.schema import OPTICS_ATTRS, REQUIRED_ATTRS, check_measurement, pixel_axis
from datasets.simulate import NOISE_FREE_DOSE, simulate
from datasets.store import DatasetStore

DOSES = (20.0, 1e4, float("inf"))


def tiny(**changes: object) -> DatasetCard:
    """Four tilts of 20 atoms, 25 patterns each, on a coarse potential."""
    content = yaml.safe_load((FOLDER / "cuau-150-4d.yaml").read_text(encoding="utf-8"))
    content |= {
        "name": "tiny-4d",
        "structure": {"generator": "nanoparticle", "seed": 7, "parameters": {"n_atoms": 20}},
        "doses": [20.0, 1e4],
    }
    content["imaging"] |= {
        "potential_sampling": 0.115,
        "detector_outer_mrad": 55,
        "phonons": 2,
        "n_scan": 5,
        "scan_step": 2.0,
        "n_pixels": 32,
        "reciprocal_pixel_size": 0.078125,
        "tilts": {"start": -90, "stop": 45, "n": 4},
    }
    for name, value in changes.items():
        content["imaging" if name in content["imaging"] else "imperfections"] = {
            **content.get("imaging" if name in content["imaging"] else "imperfections", {}),
            name: value,
        }
    return DatasetCard.model_validate(content)


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> DatasetStore:
    root = str(tmp_path_factory.mktemp("4d"))
    return simulate(tiny(), DOSES, 2, root=root, progress=False)


def test_a_measurement_is_as_its_schema_says(series: DatasetStore) -> None:
    data = series.measurement(1e4, 0)
    check_measurement(data)
    assert data["counts"].dims == ("tilt", "scan", "ky", "kx")
    assert data["counts"].shape == (4, 25, 32, 32)
    axis = pixel_axis(5, 2.0)
    np.testing.assert_array_equal(data["scan_x"].values.reshape(5, 5), np.broadcast_to(axis, (5, 5)))
    np.testing.assert_array_equal(data["scan_y"].values.reshape(5, 5), axis[:, None] * np.ones(5))
    # two points to a pixel, one of the points at k = 0
    np.testing.assert_allclose(data["kx"], (np.arange(32) - 15.75) * 0.078125)
    assert data["adf"].dims == ("tilt", "scan")
    assert {*REQUIRED_ATTRS, "detector_binning", "defocus", "semiangle_mrad"} <= set(data.attrs)
    assert set(diffraction_series.optics(series.card)) <= set(OPTICS_ATTRS)
    assert data.attrs["dose_total"] == 4e4
    assert data.attrs["pixel_size"] == 2.0


def test_a_position_gets_dose_times_step_squared_electrons(series: DatasetStore) -> None:
    expected = series.expected()
    assert expected["expected"].dtype == np.float32
    fractions = expected["expected"].sum(("ky", "kx")).values / 4.0
    assert fractions.max() <= 1 + 1e-5
    assert fractions.min() > 0.95  # the rest is scattered beyond the detector
    counts = series.measurement(1e4, 0)["counts"].values.sum(axis=(2, 3))
    np.testing.assert_allclose(counts, 4e4 * fractions, atol=6 * np.sqrt(4e4))
    ring = expected["expected_adf"].values / 4.0
    assert (ring + fractions).max() <= 1 + 1e-5
    assert ring.max() > 1e-3


def test_both_detectors_are_drawn_from_one_stream(series: DatasetStore) -> None:
    expected = series.expected()
    rng = np.random.default_rng(noise_seed("tiny-4d", 20.0, 1))
    data = series.measurement(20.0, 1)
    np.testing.assert_array_equal(data["counts"], rng.poisson(expected["expected"].values * 20.0))
    np.testing.assert_array_equal(data["adf"], rng.poisson(expected["expected_adf"].values * 20.0))
    assert data["counts"].dtype == np.uint8


def test_few_electrons_are_stored_as_a_list_and_noise_free_patterns_in_single_precision(
    series: DatasetStore,
) -> None:
    assert "counts" not in read_piece(series.counts_url(20.0, 0))
    assert "counts" in read_piece(series.counts_url(1e4, 0))
    exact = series.measurement(float("inf"), 0)
    assert exact["counts"].dtype == np.float32
    np.testing.assert_allclose(
        exact["counts"], series.expected()["expected"] * np.float32(NOISE_FREE_DOSE), rtol=1e-6
    )


def test_a_series_goes_on_where_it_stopped(series: DatasetStore, tmp_path: Path) -> None:
    shutil.copytree(series.root, tmp_path / "part")
    part = DatasetStore(series.card, str(tmp_path / "part"))
    shutil.rmtree(part.url)
    shutil.rmtree(part.image_url(2))
    kept = {path: path.stat().st_mtime_ns for path in Path(part.image_url(1)).rglob("*")}
    again = simulate(series.card, DOSES[:2], root=part.root, progress=False)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    np.testing.assert_array_equal(again.measurement(1e4, 0)["counts"], series.measurement(1e4, 0)["counts"])


def test_a_wedge_and_intensities_share_the_patterns_and_a_shift_makes_new_ones(
    series: DatasetStore, tmp_path: Path
) -> None:
    shutil.copytree(Path(series.root) / "images", tmp_path / "images")
    plain = series.card
    wedge = tiny(missing_wedge=60, intensity_rms=0.1)
    assert wedge.images_key() == plain.images_key()
    assert wedge.key() != plain.key()
    found = simulate(wedge, [1e4], root=str(tmp_path), progress=False).expected()
    inside = np.abs(plain.theta()) <= 60
    np.testing.assert_array_equal(found["theta"], plain.theta()[inside])
    scale = true_acquisition(wedge)["scale"].values
    reference = series.expected()["expected"].values[inside] * scale[:, None, None, None]
    np.testing.assert_allclose(found["expected"], reference, rtol=1e-5)
    for name in ("shift_range", "tilt_rms", "defocus_range"):
        assert tiny(**{name: 0.5}).images_key() != plain.images_key()


def test_names_change_the_acquisition() -> None:
    card = load_dataset("cuau-150-4d[scan_step=0.4,n_scan=64,defocus=0,tilt_range=75,seed=3]")
    assert card.name == "cuau-150-4d[defocus=0,n_scan=64,scan_step=0.4,seed=3,tilt_range=75]"
    imaging = card.four_d_stem
    assert (imaging.scan_step, imaging.n_scan, imaging.defocus, imaging.sampling) == (0.4, 64, 0, 0.4 / 6)
    assert card.n_images == 20
    keys = {
        load_dataset(f"cuau-150-4d[{option}]").images_key()
        for option in (
            "n_pixels=32",
            "binning=1",
            "reciprocal_pixel_size=0.03",
            "Cs=1e4",
            "seed=2",
            "n_tilts=9",
        )
    }
    assert len(keys | {load_dataset("cuau-150-4d").images_key()}) == 7
    with pytest.raises(InputError, match="no electron is counted twice"):
        load_dataset("cuau-150-4d[detector_inner_mrad=30]")
    with pytest.raises(InputError, match="scan_rms"):
        load_dataset("cuau-150-4d[scan_rms=1]")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"n_scan": 2}, "the scan reaches 2 Å from its centre"),
        (
            {"potential_sampling": 0.3, "scan_step": 2.1, "detector_inner_mrad": 40},
            "carries scattering up to",
        ),
    ],
)
def test_bad_acquisitions_are_one_sentence(changes: dict[str, float], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        simulate(tiny(**changes), root=str(tmp_path), progress=False)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "images").exists()


def test_the_window_that_is_taken_is_close_to_the_full_field_and_a_small_one_is_not() -> None:
    errors, _ = compare(tiny(), 1, 3, [6.0])
    assert errors[0].of_norm < 0.005
    assert errors[0].of_change < 0.1
    assert errors[1].of_norm > 0.01
    assert errors[1].width < 8 < errors[0].width
    with pytest.raises(InputError, match="tilt must be 0 to 3, got 4"):
        compare(tiny(), 4, 1, [])
