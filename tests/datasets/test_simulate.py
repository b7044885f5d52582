"""From card to counts: what is stored, what is reused, and what a killed run leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from datasets.catalog import DatasetCard, ImperfectionCard
from datasets.errors import InputError
from datasets.imaging.detector import draw_counts, noise_seed
from datasets.schema import check_measurement
from datasets.simulate import simulate
from datasets.store import DatasetStore


def test_the_store_holds_truth_expected_and_every_count(
    tiny_card: DatasetCard, tiny_store: DatasetStore
) -> None:
    assert len(tiny_store.truth()) == 40
    expected = tiny_store.expected()
    assert expected["expected"].shape == (12, 40, 40)
    assert expected["expected"].dtype == np.float32
    assert expected.attrs["engine"] == "linear"
    for dose in (1e3, 1e5):
        for replicate in (0, 1):
            data = tiny_store.measurement(dose, replicate)
            check_measurement(data)
            assert data.attrs["dose_per_area"] == dose
            assert data.attrs["dose_total"] == 12 * dose
            assert data.attrs["elements"] == ["Au", "Cu"]
            drawn = draw_counts(expected["expected"].values, dose, 0.1, noise_seed("tiny", dose, replicate))
            np.testing.assert_array_equal(data["counts"].values, drawn)
    series = tiny_store.series([1e3, 1e5], 2)
    assert series.shape == (2, 2, 12, 40, 40)
    assert not np.array_equal(series[0, 0], series[0, 1])


def test_expected_counts_are_the_cross_section_times_the_dose(tiny_store: DatasetStore) -> None:
    """Summed over pixels, fraction × pixel area is the total ADF cross-section, the same at every tilt."""
    totals = tiny_store.expected()["expected"].sum(("y", "x")).values
    np.testing.assert_allclose(totals, totals[0], rtol=2e-3)
    counts = tiny_store.measurement(1e5, 0)["counts"].sum(("y", "x")).values
    mean = 1e5 * totals + 0.1 * 40 * 40
    assert np.abs((counts - mean) / np.sqrt(mean)).max() < 4.5


def test_nothing_that_is_there_is_made_again(tiny_card: DatasetCard, tmp_path: Path) -> None:
    store = simulate(tiny_card, [1e3], root=str(tmp_path), progress=False)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    simulate(tiny_card, [1e3, 2e3], 2, root=str(tmp_path), progress=False)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert store.has(2e3, 1)


def test_shifts_and_background_share_the_images(tiny_card: DatasetCard, tmp_path: Path) -> None:
    less = tiny_card.model_copy(update={"imperfections": ImperfectionCard(shift_range=1, scan_rms=0.2)})
    simulate(less, [1e3], root=str(tmp_path), progress=False)
    shifted = tiny_card.model_copy(
        update={"imperfections": ImperfectionCard(seed=1, shift_range=2), "background": 0.5}
    )
    simulate(shifted, [1e3], root=str(tmp_path), progress=False)
    assert len(list((tmp_path / "images").iterdir())) == 1


def test_a_missing_wedge_leaves_images_out_and_scan_noise_moves_their_rows(
    tiny_card: DatasetCard, tmp_path: Path
) -> None:
    full = simulate(tiny_card, [1e3], root=str(tmp_path), progress=False)
    wedge = tiny_card.model_copy(update={"imperfections": ImperfectionCard(missing_wedge=60)})
    kept = simulate(wedge, [1e3], root=str(tmp_path), progress=False)
    inside = np.abs(full.expected()["theta"].values) <= 60
    np.testing.assert_array_equal(kept.expected()["theta"], full.expected()["theta"][inside])
    np.testing.assert_array_equal(kept.expected()["expected"], full.expected()["expected"][inside])
    data = kept.measurement(1e3, 0)
    check_measurement(data)
    assert data.sizes["tilt"] == inside.sum()
    assert data.attrs["dose_total"] == inside.sum() * 1e3
    assert len(list((tmp_path / "images").iterdir())) == 1
    noisy = tiny_card.model_copy(update={"imperfections": ImperfectionCard(scan_rms=0.2)})
    moved = simulate(noisy, [1e3], root=str(tmp_path), progress=False).expected()["expected"]
    assert moved.shape == full.expected()["expected"].shape
    assert float(np.abs(moved - full.expected()["expected"]).max()) > 0
    np.testing.assert_allclose(moved.sum(), full.expected()["expected"].sum(), rtol=2e-3)


def test_shifted_images_move_and_tilt_errors_stay_out_of_the_angles(
    tiny_card: DatasetCard, tiny_store: DatasetStore, tmp_path: Path
) -> None:
    errors = ImperfectionCard(seed=1, shift_range=1.5, tilt_rms=1.0)
    card = tiny_card.model_copy(update={"imperfections": errors, "background": 0.0})
    data = simulate(card, [1e6], root=str(tmp_path), progress=False).measurement(1e6, 0)
    np.testing.assert_array_equal(data["theta"], tiny_store.expected()["theta"])
    assert not data["phi"].any()
    centre = [(data["counts"] * data[axis]).sum(("y", "x")) / data["counts"].sum(("y", "x")) for axis in "yx"]
    assert float(np.std(centre)) > 0.4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"doses": [0.0]}, "doses must be positive"),
        ({"doses": [float("nan")]}, "doses must be positive"),
        ({"doses": []}, "doses must be positive"),
        ({"replicates": 0}, "replicates must be at least 1"),
    ],
)
def test_bad_requests_are_one_sentence(
    tiny_card: DatasetCard, tmp_path: Path, changes: dict[str, list[float] | int], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        simulate(tiny_card, root=str(tmp_path), progress=False, **changes)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_particle_larger_than_the_image_is_refused(tiny_card: DatasetCard, tmp_path: Path) -> None:
    card = tiny_card.model_copy(update={"imaging": tiny_card.imaging.model_copy(update={"n_pixels": 12})})
    with pytest.raises(InputError, match="give it more pixels"):
        simulate(card, root=str(tmp_path), progress=False)


_SIMULATE = """
import sys
from datasets.catalog import DatasetCard
from datasets.simulate import simulate
simulate(DatasetCard.model_validate_json(sys.argv[1]), [1e4], root=sys.argv[2], progress=False)
"""


def test_a_killed_simulation_resumes_bit_for_bit(tiny_card: DatasetCard, tmp_path: Path) -> None:
    """SIGKILL after some tilts are stored: the next run trusts only those, and ends with the same counts."""
    imaging = tiny_card.imaging.model_copy(
        update={"tilts": tiny_card.imaging.tilts.model_copy(update={"n": 60})}
    )
    card = tiny_card.model_copy(update={"imaging": imaging})
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    process = subprocess.Popen([sys.executable, "-c", _SIMULATE, card.model_dump_json(), str(broken)])
    store = DatasetStore(card, str(broken))
    stop = time.monotonic() + 120
    while not os.path.exists(store.image_url(5)) and time.monotonic() < stop:
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not store.has(1e4, 0)
    stored = {path: path.stat().st_mtime_ns for path in Path(store.image_url(0)).rglob("*") if path.is_file()}
    assert stored

    resumed = simulate(card, [1e4], root=str(broken), progress=False)
    reference = simulate(card, [1e4], root=str(whole), progress=False)
    assert {path: path.stat().st_mtime_ns for path in stored} == stored
    np.testing.assert_array_equal(
        resumed.measurement(1e4, 0)["counts"].values, reference.measurement(1e4, 0)["counts"].values
    )
