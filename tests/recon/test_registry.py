"""Names to reconstructors, and every way a name can be wrong."""

import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.errors import InputError
from recon import registry
from recon.tomography.resire import RESIRE

OWN = """
from dataclasses import dataclass
from typing import ClassVar
from ase import Atoms
from recon.base import Reconstruction, Reconstructor

@dataclass(frozen=True)
class Mine(Reconstructor):
    name: ClassVar[str] = "mine_for_the_test:Mine"
    depth: int = 3

    def reconstruct(self, measurement, *, rng, callback=None):
        return Reconstruction(Atoms())

def not_a_class():
    pass
"""


@pytest.mark.parametrize("name", ["fbp", "sirt", "resire"])
def test_built_in_names_load(name: str) -> None:
    assert name in registry.reconstructor_names()
    method = registry.get(name)
    assert method.name == method.label == name


@pytest.mark.parametrize("name", registry.BUILT_IN)
def test_every_variant_loads(name: str) -> None:
    for variant in registry.get_class(name).variants:
        assert registry.get(f"{name}[{variant}]").name == name


def test_the_published_variants_hold_the_published_constants() -> None:
    method = registry.get("resire[published]")
    assert isinstance(method, RESIRE)
    assert (method.step, method.n_iter, method.oversample, method.classify) == (1.0, 1000, 2, "published")
    si_208 = registry.get("resire[si-208]")
    assert isinstance(si_208, RESIRE)
    assert (si_208.step, si_208.n_iter, si_208.min_distance) == (0.25, 200, 1.93)


@given(
    n_iter=st.integers(1, 10_000),
    step=st.floats(1e-3, 2.0),
    denoise=st.sampled_from(["none", "wiener", "gaussian"]),
    min_distance=st.none() | st.floats(0.5, 4.0),
)
def test_the_label_reads_back(n_iter: int, step: float, denoise: str, min_distance: float | None) -> None:
    method = RESIRE(n_iter=n_iter, step=step, denoise=denoise, denoise_sigma=0.3, min_distance=min_distance)  # type: ignore[arg-type]
    assert registry.get(method.label) == method


def test_parameters_override_a_variant() -> None:
    assert registry.get("resire[published,n_iter=7]").parameters["n_iter"] == 7


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("resir", "unknown reconstructor 'resir'; did you mean 'resire'"),
        ("resire[publishd]", "unknown variant 'publishd'; did you mean 'published'?"),
        ("resire[n_itr=3]", "unknown parameter 'n_itr'; did you mean 'n_iter'"),
        ("resire[n_iter=many]", "'n_iter' must be int, not 'many'"),
        ("resire[n_iter=2.5]", "'n_iter' must be int, not 2.5"),
        ("resire[n_iter=true]", "'n_iter' must be int, not True"),
        ("resire[step=big]", "'step' must be float, not 'big'"),
        (
            "resire[denoise=magic]",
            "'denoise' must be one of none, wiener, gaussian, bm3d, nlm, wavelet, tv, not 'magic'",
        ),
        ("resire[min_distance=far]", "'min_distance' must be float or none, not 'far'"),
        ("resire[n_iter=3,n_iter=4]", "'n_iter' is given twice"),
        ("resire[n_iter=3", "cannot read the name"),
        ("resire[n_iter=0]", "n_iter must be at least 1"),
        ("sirt[n_iter=-2]", "n_iter must be at least 1"),
        ("resire[step=0]", "step must be positive"),
        ("fbp[cutoff=0]", "cutoff must be positive"),
        ("fbp[denoise=gaussian]", "denoise_sigma must be positive"),
        ("sirt[oversample=0]", "oversample must be at least 1"),
        ("no.such.module:Thing", "cannot import 'no.such.module'"),
        ("recon.base:Nothing", "'Nothing' in 'recon.base' is not a Reconstructor class"),
        ("recon.base:Status", "'Status' in 'recon.base' is not a Reconstructor class"),
    ],
)
def test_a_wrong_name_is_one_clear_sentence(name: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        registry.get(name)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_module_in_the_working_directory_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_for_the_test.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    method = registry.get("mine_for_the_test:Mine[depth=5]")
    assert method.parameters == {"depth": 5}
    assert registry.get(method.label) == method
    with pytest.raises(InputError, match="not a Reconstructor class"):
        registry.get("mine_for_the_test:not_a_class")


def test_entry_points_are_found_and_cannot_hide_a_built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    points = EntryPoints(
        [
            EntryPoint("elsewhere", "recon.tomography.sirt:SIRT", registry.ENTRY_POINT_GROUP),
            EntryPoint("resire", "recon.tomography.sirt:SIRT", registry.ENTRY_POINT_GROUP),
        ]
    )
    monkeypatch.setattr(registry, "entry_points", lambda *, group: points.select(group=group))
    assert "elsewhere" in registry.reconstructor_names()
    assert registry.get("elsewhere").name == "sirt"
    assert registry.get("resire").name == "resire"
