"""Structure cards: every quantity can be read, wrong names are answered, tables say what is outside."""

from __future__ import annotations

import math

import pytest
from ase.build import bulk

from datasets.catalog import Expected, StructureCard, StructureRecipe, load_structure, structure_names
from datasets.errors import InputError
from datasets.structures.analysis.analysis import Analysis
from datasets.structures.validate import check_card, measure, parse_quantity, validate


def card(**expected: tuple[float, float]) -> StructureCard:
    """A card with these ranges."""
    ranges = {
        name.replace("__", "[") + ("]" if "__" in name else ""): Expected(
            low=low, high=high, source="geometry"
        )
        for name, (low, high) in expected.items()
    }
    recipe = StructureRecipe(generator="nanoparticle")
    return StructureCard(name="test", title="", reference="", recipe=recipe, expected=ranges, cost="")


@pytest.mark.parametrize("name", structure_names())
def test_every_card_names_quantities_that_exist_with_ranges_and_sources(name: str) -> None:
    structure = load_structure(name)
    check_card(structure)
    for quantity, expected in structure.expected.items():
        assert expected.source.strip(), f"{quantity} has no source"
        whole = quantity.startswith(("n_atoms", "count", "coordination"))  # may be one number
        assert expected.low < expected.high or (whole and expected.low == expected.high), quantity


def test_quantities_are_parsed() -> None:
    assert parse_quantity("density") == ("density", ())
    assert parse_quantity("bond_angle[O-Si-O]") == ("bond_angle", ("O", "Si", "O"))
    assert parse_quantity("rings[6]") == ("rings", ("6",))


@pytest.mark.parametrize(
    ("quantity", "sentence"),
    [
        ("densty", "did you mean 'density'"),
        ("first_peak[Si]", "takes 0 or 2 elements, got 1"),
        ("bond_angle[O-Si]", "takes 0 or 3 elements, got 2"),
        ("rings", "size of the ring"),
        ("rings[six]", "size of the ring"),
        ("count[Xy]", "unknown element 'Xy'"),
        ("density[", "cannot read"),
    ],
)
def test_wrong_quantities_get_one_sentence(quantity: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        parse_quantity(quantity)
    with pytest.raises(InputError, match=sentence):
        check_card(card().model_copy(update={"expected": {quantity: Expected(low=0, high=1, source="x")}}))


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(InputError, match="empty range"):
        check_card(card(density=(2.0, 1.0)))


def test_a_table_of_silicon() -> None:
    silicon = bulk("Si", "diamond", 5.431, cubic=True) * (5, 5, 5)
    expected = card(
        n_atoms=(1000, 1000),
        count__Si=(1000, 1000),
        density=(2.32, 2.34),
        number_density=(0.0499, 0.05),
        minimum_distance=(2.35, 2.36),
        first_peak=(2.34, 2.36),
        second_peak=(3.83, 3.85),
        bond_length=(2.35, 2.36),
        bond_length_std=(-1e-9, 1e-6),
        coordination__Si=(4, 4),
        fourfold__Si=(1, 1),
        bond_angle=(109.4, 109.5),
        bond_angle_std=(-1e-9, 1e-3),
        rings__6=(1.999, 2.001),
        rings__5=(0, 0),
        crystalline_fraction=(1, 1),
        lattice_constant=(5.43, 5.432),
        displacement_rms=(0, 1e-9),
        surface_fraction=(0, 0),
    )
    rows = validate(silicon, expected)
    assert [row.quantity for row in rows] == list(expected.expected)
    assert [row.quantity for row in rows if not row.within] == []
    assert rows[2].unit == "g/cm³"
    assert rows[9].label == "coordination Si"


def test_what_is_outside_or_cannot_be_measured_says_so() -> None:
    analysis = Analysis(bulk("Pt", "fcc", 3.92, cubic=True) * (4, 4, 4))
    dense, ripple, foreign = validate(analysis, card(density=(2.3, 2.4), ripple_rms=(0, 9), count__Si=(0, 9)))
    assert dense.value == pytest.approx(21.5, abs=0.1)
    assert not dense.within
    assert math.isnan(ripple.value)
    assert not ripple.within
    assert "sheet" in ripple.problem
    assert "unknown element 'Si'" in foreign.problem
    with pytest.raises(InputError, match=r"'count\[Si\]'.*unknown element"):
        measure(analysis, "count[Si]")
