"""Numbers of a dataset given in its name: one name for one thing, keys from content, words for mistakes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.catalog import dataset_names, load_dataset
from datasets.catalog.overrides import option_names, options
from datasets.errors import InputError
from datasets.imaging.detector import noise_seed
from datasets.naming import parse_name

KEYS = {
    "copdpt-300": ("6b8a2efe8c97b0fb", "a2de063080be48a2"),
    "copdpt-300-imperfect": ("afbddcd6cfc58e88", "53115e5cb7a4534d"),
    "cuau-150": ("6b92d24d9d79127b", "a4f4735e7a9ccd88"),
    "cuau-150[seed=101]": ("1685eef318b181f8", "d076b3c8f4add38c"),
    "cuau-150[engine=linear]": ("bc03968bd5161aa9", "9fb723639ed69c78"),
    "si-208": ("9b4fc0f1d36571bf", "907040180b083030"),
}
"""Keys of what was imaged before cards knew scan noise, drift and the missing wedge: they must stay."""


@pytest.mark.parametrize(("name", "keys"), KEYS.items())
def test_what_was_imaged_before_keeps_its_name_and_keys(name: str, keys: tuple[str, str]) -> None:
    card = load_dataset(name)
    assert card.name == name
    assert (card.key(), card.images_key()) == keys


def test_noise_of_existing_names_is_what_it_was() -> None:
    assert noise_seed("copdpt-300", 1.7e4, 0).entropy == 101082977820401172847856514375533508488
    first = np.random.default_rng(noise_seed("cuau-150[seed=101]", 1e3, 0)).poisson(7.0, 8)
    assert first.tolist() == [5, 11, 8, 8, 12, 7, 9, 5]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("copdpt-300[tilt_rms=0.50]", "copdpt-300[tilt_rms=0.5]"),
        ("copdpt-300[defocus_range=3e1]", "copdpt-300[defocus_range=30]"),
        ("copdpt-300[ defocus_range = 30.0 , tilt_rms=.5 ]", "copdpt-300[defocus_range=30,tilt_rms=0.5]"),
        ("copdpt-300[tilt_rms=0]", "copdpt-300"),
        ("copdpt-300-imperfect[shift_range=1.25]", "copdpt-300-imperfect"),
        ("cuau-150[tilt_range=60]", "cuau-150[tilt_range=60]"),
        ("cuau-150[tilt_stop=60,tilt_start=-60]", "cuau-150[tilt_range=60]"),
        ("cuau-150[tilt_start=-81]", "cuau-150[tilt_range=81]"),
        ("cuau-150[tilt_start=-60,tilt_stop=63]", "cuau-150[tilt_start=-60,tilt_stop=63]"),
        ("cuau-150[n_tilts=10,phonons=8]", "cuau-150[n_tilts=10,phonons=8]"),
        ("cuau-150[n_tilts=10.0]", "cuau-150[n_tilts=10]"),
        ("cuau-150[seed=1]", "cuau-150[seed=1]"),
        ("cuau-150[engine=multislice]", "cuau-150[engine=multislice]"),
        ("cuau-150[seed=5,engine=linear]", "cuau-150[engine=linear,seed=5]"),
    ],
)
def test_what_is_the_same_has_one_name(written: str, name: str) -> None:
    assert load_dataset(written).name == name
    assert load_dataset(name) == load_dataset(written)


@settings(max_examples=20)
@given(
    tilt_rms=st.floats(0, 5),
    defocus=st.floats(-500, 500),
    n_tilts=st.integers(1, 90),
    background=st.floats(0, 100),
)
def test_a_name_says_all_that_was_changed(
    tilt_rms: float, defocus: float, n_tilts: int, background: float
) -> None:
    card = load_dataset(
        f"cuau-150[tilt_rms={tilt_rms!r},defocus={defocus!r},n_tilts={n_tilts},background={background!r}]"
    )
    assert card.imperfections.tilt_rms == tilt_rms
    assert card.imaging.defocus == defocus
    assert card.imaging.tilts.n == n_tilts
    assert card.background == background
    assert load_dataset(card.name) == card
    plain = load_dataset("cuau-150")
    assert (card.key() == plain.key()) == (card.name == plain.name)


ON_FINISHED = ["shift_range=2", "intensity_rms=0.1", "scan_rms=0.2", "drift_rms=0.5", "missing_wedge=40"]


@pytest.mark.parametrize("given_", [*ON_FINISHED, "background=3"])
def test_what_acts_on_finished_images_shares_them(given_: str) -> None:
    card, changed = load_dataset("copdpt-300"), load_dataset(f"copdpt-300[{given_}]")
    assert changed.images_key() == card.images_key()
    assert changed.key() != card.key()


def test_coarse_images_that_are_displaced_share_finer_ones() -> None:
    displaced = [
        load_dataset(f"cuau-150[{text}]") for text in ("shift_range=2", "scan_rms=0.2", "drift_rms=1")
    ]
    assert len({card.images_key() for card in displaced}) == 1
    assert len({card.key() for card in displaced}) == 3
    assert displaced[0].images_key() != load_dataset("cuau-150").images_key()
    for text in ("intensity_rms=0.1", "missing_wedge=40"):
        assert load_dataset(f"cuau-150[{text}]").images_key() == load_dataset("cuau-150").images_key()


@pytest.mark.parametrize(
    "given_", ["tilt_rms=0.5", "defocus_range=30", "phonons=8", "n_tilts=10", "tilt_range=60", "defocus=10"]
)
def test_what_reaches_into_the_images_makes_new_ones(given_: str) -> None:
    assert load_dataset(f"cuau-150[{given_}]").images_key() != load_dataset("cuau-150").images_key()


def test_a_tilt_range_keeps_the_number_of_tilts_and_a_missing_wedge_the_tilts() -> None:
    np.testing.assert_allclose(load_dataset("cuau-150[tilt_range=60]").theta(), np.linspace(-60, 60, 20))
    full = load_dataset("cuau-150").theta()
    kept = load_dataset("cuau-150[missing_wedge=60]").theta()
    np.testing.assert_array_equal(kept, full[np.abs(full) <= 60])
    assert 0 < len(kept) < len(full)


@pytest.mark.parametrize(
    ("given_", "sentence"),
    [
        ("tilt_rsm=0.5", "unknown option 'tilt_rsm'; did you mean 'tilt_rms'"),
        ("tilt_rnage=60", "did you mean 'tilt_range'"),
        ("tilts=10", "did you mean 'n_tilts'"),
        ("linear", "unknown option 'linear'"),
        ("tilt_rms=-1", "option 'tilt_rms': input should be greater than or equal to 0, got -1"),
        ("tilt_rms=much", "option 'tilt_rms' must be a finite number, not much"),
        ("tilt_rms=true", "option 'tilt_rms' must be a finite number, not true"),
        ("tilt_rms=null", "option 'tilt_rms' must be a finite number, not none"),
        ("tilt_rms=.inf", "option 'tilt_rms' must be a finite number, not inf"),
        ("tilt_range=wide", "option 'tilt_range' must be a finite number"),
        ("n_tilts=2.5", "option 'n_tilts': input should be a valid integer"),
        ("n_tilts=0", "option 'n_tilts': input should be greater than or equal to 1, got 0"),
        ("imperfection_seed=-1", "option 'imperfection_seed': input should be greater than or equal to 0"),
        ("tilt_range=60,tilt_stop=50", "give 'tilt_range' or 'tilt_stop', not both"),
        ("engine=fast", "option 'engine': input should be 'multislice', 'abtem' or 'linear', got 'fast'"),
        ("detector_outer_mrad=10", "detector_outer_mrad must be larger than detector_inner_mrad"),
        ("missing_wedge=190", "option 'missing_wedge': input should be less than 180, got 190"),
        ("missing_wedge=179,tilt_start=2", "a missing_wedge of 179° leaves no tilt of the series"),
    ],
)
def test_a_mistake_is_answered_in_one_sentence(given_: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        load_dataset(f"cuau-150[{given_}]")
    text = str(caught.value)
    assert text.startswith(f"dataset 'cuau-150[{given_}]': ")
    assert sentence in text
    assert "\n" not in text
    assert len(text) < 700


@pytest.mark.parametrize("name", dataset_names())
def test_every_number_of_a_card_is_an_option_and_repeating_them_changes_nothing(name: str) -> None:
    card = load_dataset(name)
    known = options(card)
    assert set(option_names(card)) == {*known, *(["tilt_range"] if "n_tilts" in known else [])}
    given_ = []
    for option, path in known.items():
        parameters = path[:2] == ("structure", "parameters")  # of the generator, 0 where the card has none
        value = card.structure.parameters.get(path[2], 0) if parameters else card
        for step in () if parameters else path:
            value = getattr(value, step)
        given_ += [f"{option}={value}"] if value is not None else []
    same = load_dataset(f"{name}[{','.join(given_)}]")
    assert same.key() == card.key()
    assert set(parse_name(same.name)[1]) == {"seed", "engine"}


def test_the_cost_of_a_card_is_not_claimed_for_other_numbers() -> None:
    assert load_dataset("copdpt-300[shift_range=1]").cost == load_dataset("copdpt-300").cost
    assert load_dataset("cuau-150[phonons=8]").cost.startswith("not measured with these numbers; cuau-150: ")


def test_a_sheet_with_other_defects_keeps_its_sites() -> None:
    """An atom less for a vacancy, two for a pair of them, none for a turned bond."""
    sites = load_dataset("graphene-640").structure.parameters["n_atoms"]
    for given_, n_atoms in [
        ("vacancies=1", sites - 1),
        ("divacancies=2,vacancies=1", sites - 5),
        ("stone_wales=3", sites),
        ("vacancies=0", sites),
    ]:
        assert load_dataset(f"graphene-640[{given_}]").structure.parameters["n_atoms"] == n_atoms
    assert load_dataset("graphene-640[vacancies=0,stone_wales=0]").key() == load_dataset("graphene-640").key()
    one, same = (load_dataset(f"graphene-640[vacancies={n}]") for n in ("1", "1.0"))
    assert (one.name, one.key()) == (same.name, same.key())
    whole = load_dataset("graphene-747[vacancies=0]").structure.parameters
    assert (whole["n_atoms"], "vacancies" in whole) == (748, False)
    with pytest.raises(InputError, match="unknown option 'vacancies'"):
        load_dataset("copdpt-300[vacancies=1]")
