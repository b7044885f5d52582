"""HRTEM datasets from card to counts: frames and their truths, series, images without noise, flaws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from datasets.catalog import DatasetCard, load_dataset
from datasets.errors import InputError
from datasets.frames import frame_cards, join_frames, simulate_frames
from datasets.imaging.detector import FrameImperfections
from datasets.schema import check_measurement
from datasets.simulate import NOISE_FREE_DOSE, simulate

TINY = """
name: sheet
title: A small sheet, coherent and coarse
reference: made for the tests
structure: {generator: graphene, seed: 3, parameters: {n_atoms: 60, duration: 0.1, compression: 0.03}}
imaging:
  {modality: hrtem, energy_eV: 80.0e+3, defocus: 80, potential_sampling: 0.2, slice_thickness: 1,
   pixel_size: 0.2, n_pixels: 72, dqe: 0.5, frame_interval: 2}
background: 0
doses: [8.0e+3]
cost: a second
"""


@pytest.fixture(scope="module")
def sheet(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The name of a card of 60 atoms, and a root whose data tests may add to."""
    folder = tmp_path_factory.mktemp("sheet")
    (folder / "sheet.yaml").write_text(TINY, encoding="utf-8")
    return str(folder / "sheet.yaml"), str(folder / "data")


def card(sheet: tuple[str, str], given: str = "") -> DatasetCard:
    return load_dataset(sheet[0] + (f"[{given}]" if given else ""))


def test_a_frame_is_a_measurement_with_its_truth(sheet: tuple[str, str]) -> None:
    store = simulate(card(sheet), [8e3, 1e5], root=sheet[1], progress=False)
    data = store.measurement(1e5, 0)
    check_measurement(data)
    assert data["counts"].dims == ("frame", "y", "x")
    assert data["time"].values.tolist() == [0]
    assert (data.attrs["modality"], data.attrs["dqe"], data.attrs["defocus"]) == ("hrtem", 0.5, 80)
    assert "aperture_mrad" not in data.attrs
    assert "truth" not in data
    assert len(store.truth()) == 60
    vacuum = 0.5 * 1e5 * 0.2**2
    corner = data["counts"].values[0, :4, :4]
    assert corner.mean() == pytest.approx(vacuum, abs=5 * np.sqrt(vacuum / corner.size))
    assert data["counts"].values.mean() == pytest.approx(vacuum, rel=5e-3)


def test_frames_have_their_own_truth_time_and_noise(sheet: tuple[str, str]) -> None:
    data, truths = simulate_frames(sheet[0], 2, 8e3, root=sheet[1], progress=False)
    assert data["time"].values.tolist() == [0, 2]
    assert data.attrs["dose_total"] == 2 * data.attrs["dose_per_area"] == 16e3
    assert np.abs(truths[0].positions - truths[1].positions).max() > 0.05
    for k, one in enumerate(frame_cards(sheet[0], 2)):
        own = simulate(one, [8e3], root=sheet[1], progress=False).measurement(8e3, 0)
        np.testing.assert_array_equal(own["counts"][0], data["counts"][k])
    assert card(sheet, "frame=0").key() == card(sheet).key()
    assert card(sheet, "frame=0").name == card(sheet).name == "sheet"
    assert card(sheet, "frame=1").name == "sheet[frame=1]"


def test_only_frames_taken_alike_make_a_series(sheet: tuple[str, str]) -> None:
    store = simulate(card(sheet), [8e3, 1e5], root=sheet[1], progress=False)
    with pytest.raises(InputError, match="'dose_per_area' is 8000"):
        join_frames([store.measurement(8e3, 0), store.measurement(1e5, 0)])
    with pytest.raises(InputError, match="at least 1 frame"):
        frame_cards(sheet[0], 0)
    with pytest.raises(InputError, match="unknown option 'frame'"):
        frame_cards("cuau-150", 2)


def test_without_noise_there_are_the_expected_counts(sheet: tuple[str, str]) -> None:
    store = simulate(card(sheet), [np.inf], 2, root=sheet[1], progress=False)
    one, other = (store.measurement(np.inf, replicate) for replicate in (0, 1))
    np.testing.assert_array_equal(one["counts"], other["counts"])
    assert one["counts"].dtype == np.float64
    assert one.attrs["noise_free"] == 1
    assert one.attrs["dose_per_area"] == NOISE_FREE_DOSE
    expected = store.expected()["expected"].values.astype(np.float64) * NOISE_FREE_DOSE
    np.testing.assert_array_equal(one["counts"], expected)
    noisy = simulate(card(sheet), [8e3], root=sheet[1], progress=False).measurement(8e3, 0)
    pull = (noisy["counts"].values - expected * 8e3 / NOISE_FREE_DOSE) / np.sqrt(
        expected * 8e3 / NOISE_FREE_DOSE
    )
    assert pull.std() == pytest.approx(1, abs=0.04)
    with pytest.raises(InputError, match="positive"):
        simulate(card(sheet), [-np.inf], root=sheet[1], progress=False)


def test_flaws_of_the_detector_act_on_the_finished_frame(sheet: tuple[str, str]) -> None:
    plain = card(sheet)
    flawed = card(sheet, "shading_rms=0.1,gain_rms=0.02,dead_pixels=0.01")
    assert flawed.images_key() == plain.images_key()
    assert flawed.key() != plain.key()
    clean, seen = (
        simulate(one, [1e5], root=sheet[1], progress=False).expected()["expected"].values[0]
        for one in (plain, flawed)
    )
    gain = FrameImperfections.draw(flawed.imperfections, 72).gain
    np.testing.assert_allclose(seen, clean * gain, rtol=1e-5)
    assert np.mean(gain == 0) == pytest.approx(0.01, abs=0.005)
    alive = gain[gain > 0]
    assert alive.std() == pytest.approx(np.hypot(0.1, 0.02), rel=0.1)
    later = FrameImperfections.draw(flawed.imperfections, 72, frame=4).gain
    np.testing.assert_array_equal(later, gain)
    assert (FrameImperfections.draw(plain.imperfections, 72).gain == 1).all()


def test_each_kind_of_flaw_has_its_own_stream(sheet: tuple[str, str]) -> None:
    both = FrameImperfections.draw(card(sheet, "dead_pixels=0.05,gain_rms=0.1").imperfections, 72).gain
    dead = FrameImperfections.draw(card(sheet, "dead_pixels=0.05").imperfections, 72).gain
    np.testing.assert_array_equal(both == 0, dead == 0)
    focus = card(sheet, "defocus_range=20,frame=2")
    assert abs(FrameImperfections.draw(focus.imperfections, 72, 2).defocus) <= 20
    assert focus.images_key() != card(sheet, "frame=2").images_key()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("tilt_rms=1", "unknown option 'tilt_rms'"),
        ("tilt_range=60", "unknown option 'tilt_range'"),
        ("missing_wedge=30", "unknown option 'missing_wedge'"),
        ("frame=-1", "snapshot"),
        ("dead_pixels=2", "option 'dead_pixels': input should be less than 1, got 2"),
        ("engine=linear", "option 'engine': input should be 'abtem', got 'linear'"),
        ("dqe=1.5", "option 'dqe': input should be less than or equal to 1, got 1.5"),
    ],
)
def test_a_mistake_is_answered_in_one_sentence(sheet: tuple[str, str], given: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        simulate(card(sheet, given), root=sheet[1], progress=False)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_belongs_to_another_modality_is_refused(sheet: tuple[str, str]) -> None:
    with pytest.raises(InputError, match=r"unknown option 'dead_pixels'"):
        load_dataset("cuau-150[dead_pixels=0.1]")
    with pytest.raises(InputError, match="this needs a tilt series, its images are hrtem"):
        card(sheet).theta()
    path = Path(sheet[0])
    for old, new, sentence in (
        (
            "background: 0",
            "background: 0\nimperfections: {scan_rms: 1}",
            "scan_rms is no imperfection of hrtem",
        ),
        ("modality: hrtem", "modality: hrtme", "unknown modality 'hrtme'; did you mean 'hrtem'"),
        ("defocus: 80", "defoccus: 80", "key 'imaging.defoccus'.*did you mean 'defocus'"),
        ("pixel_size: 0.2", "pixel_size: -1", "key 'imaging.pixel_size': input should be greater than 0"),
    ):
        other = path.with_name("other.yaml")
        other.write_text(TINY.replace(old, new), encoding="utf-8")
        with pytest.raises(InputError, match=sentence):
            load_dataset(str(other))


def test_atoms_beyond_the_image_are_refused(sheet: tuple[str, str]) -> None:
    with pytest.raises(InputError, match="give it more pixels"):
        simulate(card(sheet, "n_pixels=40"), root=sheet[1], progress=False)
