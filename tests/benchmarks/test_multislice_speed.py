"""The timing of multislice tomography runs, on the small particle's series, and says what it measured."""

from __future__ import annotations

import json

import pytest

from benchmarks import multislice_speed
from recon.ptychography.scan import Scan


def test_the_series_has_the_axes_of_its_card() -> None:
    series = multislice_speed.vacuum_series("cuau-150-4d")
    assert dict(series.sizes) == {"tilt": 20, "scan": 256, "ky": 64, "kx": 64}
    scan = Scan.of(series)
    assert scan.detector.voxel == pytest.approx(0.4)
    assert float(series["counts"].sum(["ky", "kx"]).mean()) == pytest.approx(scan.electrons, rel=0.01)


def test_ours_and_the_published_pass(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = multislice_speed.vacuum_series("cuau-150-4d").isel(tilt=[0, 10])
    monkeypatch.setattr(multislice_speed, "vacuum_series", lambda: few)
    multislice_speed.main(["--probes", "3", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["times_faster"] > 5
    assert 1e8 < found["peak_memory"] < 8e9
    assert found["processor_seconds"] > 0
