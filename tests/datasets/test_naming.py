"""Names with parameters, and cards that reject what they do not know."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from datasets.cards import Card, load_card, parse_card
from datasets.errors import InputError, unknown_name
from datasets.naming import Value, family, format_name, parse_name

WORDS = st.text(string.ascii_lowercase, min_size=2).filter(
    lambda w: w not in {"true", "false", "null", "yes", "no", "on", "off", "nan", "inf", "infinity"}
)
VALUES = st.one_of(WORDS, st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False))


@given(base=WORDS, options=st.dictionaries(WORDS, VALUES, max_size=4))
def test_format_and_parse_are_inverse(base: str, options: dict[str, Value]) -> None:
    parsed_base, parsed = parse_name(format_name(base, options))
    assert parsed_base == base
    assert parsed == options
    assert {key: type(value) for key, value in parsed.items()} == {k: type(v) for k, v in options.items()}


def test_a_bare_word_is_a_variant() -> None:
    assert parse_name("resire[published, n_iter=5]") == ("resire", {"variant": "published", "n_iter": 5})


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("cuau-150", "cuau-150"),
        ("cuau-150[seed=3]", "cuau-150"),
        ("cuau-150[engine=linear,seed=3]", "cuau-150"),
        ("cuau-150[seed=3,tilt_rms=0.5,imperfection_seed=2]", "cuau-150[tilt_rms=0.5]"),
    ],
)
def test_a_family_is_what_differs_in_a_draw_only(name: str, kind: str) -> None:
    assert family(name) == kind


def test_scientific_notation_is_a_number() -> None:
    assert parse_name("a[dose=1e5,step=2.5e-1]")[1] == {"dose": 1e5, "step": 0.25}


@pytest.mark.parametrize("name", ["", "a[", "a]b", "a[b=1]c", "a[b=1][c=2]", "[x=1]"])
def test_malformed_names_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot read the name"):
        parse_name(name)


def test_a_parameter_given_twice_is_refused() -> None:
    with pytest.raises(InputError, match="'n' is given twice"):
        parse_name("a[n=1,n=2]")


def test_unknown_names_answer_with_the_nearest() -> None:
    assert str(unknown_name("dataset", "cuau-15", ["cuau-150", "bao"])) == (
        "unknown dataset 'cuau-15'; did you mean 'cuau-150'?"
    )
    assert "known: a, b" in str(unknown_name("thing", "zzzz", ["b", "a"]))


class Inner(Card):
    """A nested section."""

    width: float = Field(gt=0)


class Outer(Card):
    """A card with a nested section."""

    name: str
    inner: Inner


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            {"name": "a", "inner": {"widht": 1.0, "width": 1.0}},
            "key 'inner.widht': unknown key 'widht'; did you mean 'width'?",
        ),
        ({"name": "a", "inner": {}}, "key 'inner.width' is missing"),
        ({"name": "a", "inner": {"width": -1}}, "key 'inner.width': input should be greater than 0, got -1"),
        ({"nmae": "a", "inner": {"width": 1}}, "unknown key 'nmae'; did you mean 'name'?"),
    ],
)
def test_a_card_off_its_schema_is_named(content: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_card(Outer, content, where="here.yaml")
    text = str(caught.value)
    assert text.startswith("here.yaml: ")
    assert sentence in text


def test_files_that_are_not_cards_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing\.yaml: No such file"):
        load_card(Outer, tmp_path / "missing.yaml")
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(InputError, match=r"list\.yaml: a card is a YAML mapping"):
        load_card(Outer, tmp_path / "list.yaml")
    (tmp_path / "bad.yaml").write_text("a: [\n")
    with pytest.raises(InputError, match=r"bad\.yaml: not a YAML file"):
        load_card(Outer, tmp_path / "bad.yaml")
