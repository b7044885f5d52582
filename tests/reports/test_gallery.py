"""The gallery shows what is there, says what is not, and stands alone."""

import base64
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.build import bulk
from click.testing import CliRunner
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from datasets.catalog import Expected, StructureCard
from datasets.errors import InputError
from datasets.structures.analysis.analysis import Analysis
from dosebench.cli import main
from reports.figures import elements, spheres, style
from reports.figures.structures import Drawing, bar_length, centred, composition, sheet
from reports.gallery import Gallery, write_gallery
from reports.page.gallery import Check, Exhibit, formula, headline, render
from reports.quantities import checks, figures, value_text

HOSTILE = "<script>alert('no')</script> & {{ 7*7 }}"
TOGETHER = (("Si", "Ge", "Sn"), ("Si", "O"), ("Co", "Pd", "Pt"), ("Cu", "Au"), ("Ba", "O"), ("Fe", "Pt"))
"""Elements of one structure of the catalog."""

SIGHT = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.01182, 0.04294, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.3039],
    ],
}
"""Linear RGB as seen (Machado, Oliveira and Fernandes, IEEE Trans. Vis. Comput. Graph. 15, 1291 (2009))."""


def _card(name: str, generator: str = "nanoparticle", **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "title": f"A particle {HOSTILE}",
        "reference": "made for the tests",
        "recipe": {"generator": generator, "seed": 1, "parameters": {"n_atoms": 600}},
        "expected": {
            "n_atoms": {"low": 600, "high": 600, "source": "by construction"},
            "first_peak": {"low": 2.5, "high": 2.9, "source": "the lattice constant over √2"},
            "second_peak": {"low": 9.0, "high": 9.5, "source": "a wrong range, for the tests"},
            "bond_angle": {"low": 80, "high": 100, "source": "twelve neighbours"},
            "coordination[Zr]": {"low": 12, "high": 12, "source": "an element that is not there"},
        },
        "cost": "0.1 s",
        **changes,
    }


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A particle that can be made and drawn, and one whose generator does not exist."""
    folder = tmp_path_factory.mktemp("cards")
    paths = []
    for content in (_card("good"), _card("broken", generator="alchemy")):
        paths.append(str(folder / f"{content['name']}.yaml"))
        Path(paths[-1]).write_text(yaml.safe_dump(content, allow_unicode=True))
    return paths


@pytest.fixture(scope="module")
def gallery(cards: list[str], tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    """The gallery of `cards`."""
    folder = tmp_path_factory.mktemp("gallery")
    return write_gallery(cards, folder / "out", root=str(folder / "data"))


@pytest.fixture(scope="module")
def page(gallery: Gallery) -> str:
    """Its page."""
    return gallery.page.read_text(encoding="utf-8")


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_structures_give_the_same_files_and_old_ones_go(
    cards: list[str], gallery: Gallery, tmp_path: Path
) -> None:
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "stale.png").write_text("old")
    again = write_gallery(cards, tmp_path, root=str(gallery.page.parents[1] / "data"))
    assert _contents(again.page.parent) == _contents(gallery.page.parent)


def test_one_that_cannot_be_made_is_a_sentence_and_the_others_are_drawn(gallery: Gallery, page: str) -> None:
    good, broken = gallery.exhibits
    assert "unknown structure generator 'alchemy'" in broken.failure
    assert broken.panels == ()
    assert broken.failure in gallery.failures[0]
    assert "unknown structure generator &#39;alchemy&#39;" in page
    assert {"Seen along z", "Seen along y", "Distances", "Bond angles"} <= {p.title for p in good.panels}
    assert any(panel.title.startswith("Central slice") for panel in good.panels)


def test_the_page_stands_alone_and_says_what_pictures_show(gallery: Gallery, page: str) -> None:
    sources = re.findall(r'src="([^"]*)"', page)
    assert len(sources) == sum(len(exhibit.panels) for exhibit in gallery.exhibits)
    assert all(source.startswith("data:image/") for source in sources)
    assert not re.search(r"(?:src|href)=[\"'](?:https?:|//|/)", page)
    assert len(re.findall(r'<img [^>]*alt="[^"]{20,}"', page)) == len(sources)
    for source in sources:
        kind, _, data = source.partition(";base64,")
        picture = base64.b64decode(data)
        assert picture.startswith(b"\x89PNG" if kind.endswith("png") else b"<?xml")
    assert len(page) < 6e6


def test_whatever_a_card_says_is_text(page: str) -> None:
    assert "<script" not in page
    assert "{{ 7*7 }}" in page


def test_each_figure_lies_beside_the_page_as_png_and_pdf(gallery: Gallery) -> None:
    folder = gallery.page.parent / "figures"
    stems = {path.stem for path in folder.iterdir()}
    assert {
        f"good-{key}" for key in ("view-z", "view-y", "slice", "radial-distribution", "bond-angles")
    } <= stems
    for stem in stems:
        with Image.open(folder / f"{stem}.png") as image:
            assert image.width / 300 == pytest.approx(style.COLUMN, abs=0.01)
            assert len(str(image.info["Description"])) > 20
        assert (folder / f"{stem}.pdf").read_bytes().startswith(b"%PDF")
    assert len(list(folder.iterdir())) == 2 * len(stems)


def test_checks_hold_values_to_their_ranges(gallery: Gallery, page: str) -> None:
    found = {check.source: check for check in gallery.exhibits[0].checks}
    assert found["by construction"].verdict == "ok"
    assert found["by construction"].value == "600"
    assert found["the lattice constant over √2"].verdict == "ok"
    assert found["the lattice constant over √2"].value.endswith(" Å")
    assert found["a wrong range, for the tests"].verdict == "OUT"
    missing = next(check for check in gallery.exhibits[0].checks if check.verdict == "missing")
    assert "Zr" in missing.source
    assert not missing.ok  # what cannot be measured never counts as within its range
    assert gallery.exhibits[0].n_ok == 3
    assert "3 of 5 ok" in page
    assert headline(gallery.exhibits) == "2 structures: 3 of 5 quantities checked lie within range."


def test_bad_names_and_places_are_one_sentence_before_any_work(cards: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown structure 'cuau-15'; did you mean"):
        write_gallery(["cuau-150", "cuau-15"], tmp_path / "out", root=str(tmp_path / "data"))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("a file")
    with pytest.raises(InputError, match="the gallery cannot be written there"):
        write_gallery(cards, tmp_path / "file", root=str(tmp_path / "data"))


def test_the_command_takes_results_or_structures(
    cards: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in ([], ["one", "two"]):
        refused = CliRunner().invoke(main, ["report", *arguments])
        assert refused.exit_code == 2
        assert "one folder of results, or --structures" in refused.output
    done = CliRunner().invoke(main, ["report", "--structures", cards[1], "--quiet"])
    assert done.exit_code == 0
    assert "report: results/structures/index.html" in done.output
    assert "unknown structure generator 'alchemy'" in done.output


def test_nothing_to_check_and_everything_within_range_are_said() -> None:
    check = Check("first peak", "2.4 Å", "9", "2.3 to 2.5", "a paper", True)
    shown = Exhibit("x", "An x", "a paper", "nanoparticle", 1, 0, "1 s", "X2", 2)
    assert headline([shown]) == "1 structure; their cards state no ranges to check."
    full = Exhibit("x", "An x", "a paper", "nanoparticle", 1, 0, "1 s", "X2", 2, checks=(check, check))
    assert headline([full]) == "1 structure: all 2 quantities checked lie within range."
    assert "2 of 2 ok" in render([full])
    assert formula("Au96Cu54") == "Au<sub>96</sub>Cu<sub>54</sub>"


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (2.3612, 0.0041, "2.361 ± 0.004"),
        (109.13, 2.2, "109 ± 2"),
        (150.0, None, "150"),
        (2.3561, None, "2.356"),
        (4.0, 0.0, "4"),
        (18356.0, None, "18356"),
    ],
)
def test_values_are_written_to_the_digit_that_is_known(value: float, error: float | None, text: str) -> None:
    assert value_text(value, error) == text


def test_the_nearest_sphere_is_seen_and_covers_its_disc() -> None:
    positions = np.array([[0.0, 0.0, -5.0], [0.5, 0.0, 5.0]])
    radii, tints = np.array([2.0, 1.0]), np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    image = spheres.render(positions, radii, tints, (-3.0, 3.0, -3.0, 3.0), 300).astype(float)
    assert image.shape == (300, 300, 4)
    covered = image[..., 3] / 255
    assert covered.sum() * (6 / 300) ** 2 == pytest.approx(np.pi * 2.0**2, rel=0.01)  # the large one's disc
    red = (image[..., 0] > image[..., 2]) & (covered > 0.5)
    assert red.sum() * (6 / 300) ** 2 == pytest.approx(np.pi, rel=0.02)  # the small one in front of it
    assert np.mean(np.nonzero(red)[1]) == pytest.approx(150 + 0.5 * 50, abs=1)
    behind = image[(covered > 0.5) & ~red]
    assert np.median(behind[:, 0]) == pytest.approx(255 * spheres.FADE, abs=1)  # pale with distance


def test_up_is_up() -> None:
    image = spheres.render(np.array([[0.0, 2.0, 0.0]]), np.ones(1), np.zeros((1, 3)), (-3, 3, -3, 3), 60)
    assert image[:30, :, 3].sum() > 0
    assert image[30:, :, 3].sum() == 0


@pytest.mark.parametrize("sight", SIGHT)
def test_elements_of_one_structure_can_be_told_apart(sight: str) -> None:
    def seen(symbol: str) -> np.ndarray:
        colour = elements.colours([symbol])[0]
        linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
        linear = np.clip(np.asarray(SIGHT[sight]) @ linear, 0, 1)
        coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
        return np.asarray(rgb2lab(coded))

    for group in TOGETHER:
        for one, other in itertools.combinations(group, 2):
            assert deltaE_ciede2000(seen(one), seen(other)) >= 20, (one, other)


def test_an_element_without_a_colour_of_its_own_has_one() -> None:
    assert re.fullmatch(r"#[0-9a-fA-F]{6}", elements.colour("U"))


@pytest.mark.parametrize(("across", "length"), [(9.0, 0.5), (20.0, 1.0), (45.0, 2.0), (90.0, 5.0)])
def test_the_scale_bar_is_a_round_length_near_a_quarter(across: float, length: float) -> None:
    assert bar_length(across) == length


def test_periodic_structures_are_drawn_in_one_cell() -> None:
    atoms = Atoms("C2", [[-1.0, 0, 3.0], [4.0, 1.0, 5.0]], cell=[10, 10, 0], pbc=(True, True, False))
    drawn = centred(atoms)
    assert np.abs(drawn[:, :2]).max() <= 5
    assert drawn[:, 2] == pytest.approx([-1, 1])
    assert composition(atoms) == "2 C atoms"
    assert composition(Atoms("CuAu3")) == "3 Au and 1 Cu atoms"


def _graphene(n_x: int = 6, n_y: int = 10) -> Atoms:
    """A sheet of 4 n_x n_y atoms with one wave."""
    cell = Atoms("C4", [[0, 0, 0], [0.71, 1.23, 0], [2.13, 1.23, 0], [2.84, 0, 0]], cell=[4.26, 2.46, 0])
    atoms = cell.repeat((n_x, n_y, 1))
    atoms.pbc = (True, True, False)
    atoms.positions[:, 2] = 0.8 * np.sin(2 * np.pi * atoms.positions[:, 0] / atoms.cell[0, 0])
    return atoms


def _silicon() -> Atoms:
    atoms = bulk("Si", cubic=True).repeat(4)
    atoms.rattle(0.05, seed=1)
    return atoms


def _card_of(atoms: Atoms) -> StructureCard:
    return StructureCard.model_validate(_card("x", expected={"n_atoms": _range(len(atoms)), **_peaks(atoms)}))


def _range(value: float) -> dict[str, Any]:
    return {"low": value, "high": value, "source": "by construction"}


def _expected(low: float, high: float) -> Expected:
    return Expected(low=low, high=high, source="for the tests")


def _peaks(atoms: Atoms) -> dict[str, Any]:
    return {"first_peak": {"low": 1.3, "high": 2.5, "source": "the bond"}, "bond_angle": _range(110.0)}


@pytest.fixture(params=["sheet", "crystal"], scope="module")
def drawings(request: pytest.FixtureRequest) -> Iterator[list[Drawing]]:
    """All figures of graphene and of silicon."""
    atoms = _graphene() if request.param == "sheet" else _silicon()
    with style.paper():
        made = [d for draw in figures(_card_of(atoms), Analysis(atoms)) for d in draw()]
        for drawing in made:
            drawing.figure.draw_without_rendering()
        yield made
    for drawing in made:
        plt.close(drawing.figure)


def _texts(figure: Figure) -> list[Text]:
    return [
        t for t in figure.findobj(Text) if isinstance(t, Text) and t.get_visible() and t.get_text().strip()
    ]


def test_axes_have_units_and_no_text_is_cut_off(drawings: list[Drawing]) -> None:
    for drawing in drawings:
        figure = drawing.figure
        assert figure.get_size_inches()[0] == style.COLUMN
        assert min(text.get_fontsize() for text in _texts(figure)) >= 7
        whole = figure.bbox
        for text in _texts(figure):
            box = text.get_window_extent()
            axis_end = text.get_text() in {t.get_text() for ax in figure.axes for t in _outside_ticks(ax)}
            assert axis_end or (box.x0 >= whole.x0 - 1 and box.x1 <= whole.x1 + 1), text.get_text()
            assert axis_end or (box.y0 >= whole.y0 - 1 and box.y1 <= whole.y1 + 1), text.get_text()
        labels = [ax.get_xlabel() for ax in figure.axes if ax.axison and ax.get_xlabel()]
        assert all("(" in label or "Atoms in the ring" in label for label in labels)
        if drawing.atoms:
            assert any(text.get_text().endswith(" nm") for text in _texts(figure))


def _outside_ticks(ax: Any) -> list[Text]:
    return [
        label
        for axis in (ax.xaxis, ax.yaxis)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for label in (tick.label1, tick.label2)
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
    ]


def test_a_sheet_is_drawn_by_its_heights() -> None:
    atoms = _graphene()
    drawing = sheet(atoms)
    bar = next(ax for ax in drawing.figure.axes if ax.get_ylabel() == "Height (Å)")
    assert bar.get_ylim() == pytest.approx((-0.8, 0.8), rel=0.05)  # zero is in the middle of the colours
    assert "-0.8 to 0.8 Å" in drawing.alt
    plt.close(drawing.figure)


def test_the_spectrum_of_a_rippled_sheet_is_drawn_with_its_slope() -> None:
    rng, atoms = np.random.default_rng(0), _graphene(30, 50)
    x, y = atoms.positions[:, 0] / atoms.cell[0, 0], atoms.positions[:, 1] / atoms.cell[1, 1]
    for n in range(1, 25):
        for m in range(-40, 41):
            q = np.hypot(n / atoms.cell[0, 0], m / atoms.cell[1, 1])
            phase = 2 * np.pi * (n * x + m * y + rng.random())
            atoms.positions[:, 2] += 2e-5 * rng.rayleigh() * q**-2 * np.cos(phase)
    card = _card_of(atoms).model_copy(update={"expected": {"ripple_slope": _expected(-5, -3)}})
    (drawing,) = [d for draw in figures(card, Analysis(atoms))[3:4] for d in draw()]
    ax = drawing.figure.axes[0]
    ends_x, ends_y = (np.log(values) for values in ax.get_lines()[-1].get_data())
    assert np.diff(ends_y) / np.diff(ends_x) == pytest.approx(-4, abs=0.3)
    assert ax.get_ylabel().endswith("(Å²)")
    assert "Shaded" in drawing.caption
    plt.close(drawing.figure)


def test_a_crystal_of_silicon_has_rings_of_six() -> None:
    atoms = _silicon()
    (drawing,) = [d for draw in figures(_card_of(atoms), Analysis(atoms))[3:] for d in draw()]
    bars = {
        round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in drawing.figure.axes[0].patches
    }
    plt.close(drawing.figure)
    assert bars[6] == pytest.approx(2.0)  # 12 through each atom, shared by the 6 of a ring
    assert sum(bars.values()) == pytest.approx(bars[6] + bars[8])
    assert "rings of 6" in drawing.alt


def test_a_particle_without_a_core_keeps_its_views() -> None:
    atoms = Atoms("Au4", [[0, 0, 0], [2.9, 0, 0], [0, 2.9, 0], [0, 0, 2.9]])
    draws = figures(_card_of(atoms), Analysis(atoms))
    shown = list(draws[0]())
    assert [drawing.key for drawing in shown] == ["view-z", "view-y"]
    for drawing in shown:
        plt.close(drawing.figure)
    for draw in draws[1:3]:
        with pytest.raises(InputError):
            list(draw())
    assert {check.verdict for check in checks(_card_of(atoms), Analysis(atoms))} == {"ok", "missing"}
