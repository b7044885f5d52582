"""Presets: those that come with dosebench, and what a misspelt one answers."""

import pytest
import yaml

from benchmarks.controls import CONTROLS
from benchmarks.grid import Grid
from benchmarks.preset import Criterion, PresetCard, load_preset, preset_names
from benchmarks.threshold import threshold
from datasets.cards import parse_card
from datasets.catalog import dataset_names
from datasets.errors import InputError
from datasets.naming import parse_name
from recon import registry

GOOD = {"name": "mine", "title": "Mine", "datasets": ["cuau-150"]}


@pytest.mark.parametrize("name", preset_names())
def test_preset(name: str) -> None:
    preset = load_preset(name)
    assert preset.name == name
    assert {parse_name(dataset)[0] for dataset in preset.datasets} <= set(dataset_names())
    assert len({registry.get(label).label for label in preset.reconstructors}) == len(preset.reconstructors)
    assert preset.controls == tuple(CONTROLS)
    assert preset.cost


def test_smoke_is_there() -> None:
    assert {"smoke", "standard"} <= set(preset_names())


def test_defaults() -> None:
    preset = parse_card(PresetCard, GOOD, where="mine.yaml")
    assert preset.doses is None
    assert preset.controls == ("oracle", "random", "mirrored", "broken")
    assert preset.cutoff == 1.0
    assert [c.text for c in preset.criteria] == ["tracing_error ≤ 0.05", "classification ≥ 0.95"]


def test_round_trip(tmp_path) -> None:
    preset = parse_card(
        PresetCard,
        {**GOOD, "doses": [1e3], "criteria": [{"metric": "identified_Cu", "value": 0.9}]},
        where="",
    )
    path = tmp_path / "preset.yaml"
    path.write_text(preset.to_yaml(), encoding="utf-8")
    assert load_preset(str(path)) == preset


def test_doses_by_dataset() -> None:
    names = ["cuau-150", "cuau-150[seed=2]", "si-208"]
    doses = {"cuau-150": [1e3], "cuau-150[seed=2]": [1e3, 1e4]}
    grid = Grid.of(parse_card(PresetCard, {**GOOD, "datasets": names, "doses": doses}, where=""))
    one, two, three = grid.cards
    assert grid.doses(one) == (1e3,)
    assert grid.doses(two) == (1e3, 1e4)
    assert grid.doses(three) == three.doses
    assert {(c.dataset, c.dose) for c, _, _ in grid.cells()} == {
        (card.name, dose) for card in grid.cards for dose in grid.doses(card)
    }


@pytest.mark.parametrize("name", preset_names())
def test_datasets_are_named_as_their_cards_call_themselves(name: str) -> None:
    """So that a dose by name and a figure by name find them."""
    preset = load_preset(name)
    assert tuple(card.name for card in Grid.of(preset).cards) == preset.datasets


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"reconstructor": ["fbp"]}, "unknown key 'reconstructor'; did you mean 'reconstructors'"),
        ({"doses": [1e3, -1]}, "key 'doses'.*positive numbers"),
        ({"doses": []}, "key 'doses'.*positive numbers"),
        ({"doses": {"cuau-150": [0]}}, "key 'doses'.*positive numbers"),
        (
            {"doses": {"cuau-15": [1e3]}},
            "key 'doses'.*unknown dataset of this preset 'cuau-15'; did you mean",
        ),
        ({"datasets": []}, "key 'datasets'"),
        ({"replicates": 0}, "key 'replicates'"),
        ({"cutoff": 0}, "key 'cutoff'"),
        ({"controls": ["orcale"]}, "unknown control 'orcale'; did you mean 'oracle'"),
        ({"criteria": [{"metric": "tracing_eror", "value": 1}]}, "did you mean 'tracing_error'"),
        ({"criteria": [{"metric": "recall", "valeu": 1}]}, "key 'criteria.0.valeu'.*did you mean 'value'"),
        ({"criteria": [{"metric": "n_answer", "value": 1}]}, "no better direction"),
        ({"title": None}, "key 'title'"),
    ],
)
def test_a_bad_preset_is_answered_in_one_sentence(tmp_path, change, words) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump({**GOOD, **change}))
    with pytest.raises(InputError, match=words) as error:
        load_preset(str(path))
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_an_unknown_preset() -> None:
    with pytest.raises(InputError, match="unknown preset 'smok'; did you mean 'smoke'"):
        load_preset("smok")


def test_a_criterion_knows_its_direction() -> None:
    better = Criterion(metric="identified_Au", value=0.9)
    assert not better.lower_is_better
    assert threshold([1, 10], [[[[0.8, 1.0]]]], [better]).dose == pytest.approx(10**0.5)


def test_a_method_of_some_datasets_alone() -> None:
    names = ["cuau-150", "si-208"]
    card = {**GOOD, "datasets": names, "reconstructors": ["sirt", "resire"], "only": {"resire": ["si-208"]}}
    grid = Grid.of(parse_card(PresetCard, card, where=""))
    ran = {(cell.dataset, cell.reconstructor) for cell, _, _ in grid.cells() if cell.kind != "control"}
    assert ran == {("cuau-150", "sirt"), ("si-208", "sirt"), ("si-208", "resire")}


@pytest.mark.parametrize(
    ("only", "word"), [({"resir": ["cuau-150"]}, "resire"), ({"resire": ["cuau"]}, "cuau-150")]
)
def test_only_names_what_the_preset_has(only: dict[str, list[str]], word: str) -> None:
    with pytest.raises(InputError, match=word):
        parse_card(PresetCard, {**GOOD, "reconstructors": ["resire"], "only": only}, where="mine.yaml")
