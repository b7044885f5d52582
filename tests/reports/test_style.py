"""Colours that can be read, numbers that do not lie, labels that do not overlap."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.figures.style import (
    CONTROL_GREY,
    MARKERS,
    OKABE_ITO,
    SYMBOLS,
    dose_text,
    method,
    number_text,
    spread,
)
from reports.names import LONGEST, short_names
from reports.page.render import SHAPES

GROUNDS = {"light": "#ffffff", "dark": "#14171c"}


def _luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio as WCAG 2 defines it."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("pair", [*OKABE_ITO, CONTROL_GREY])
def test_text_in_a_methods_colour_can_be_read(pair: tuple[str, str]) -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast(pair[0], GROUNDS["light"]) >= 4.5
    assert contrast(pair[1], GROUNDS["dark"]) >= 4.5


def test_no_two_methods_look_the_same() -> None:
    looks = [method(str(i), i) for i in range(2 * len(OKABE_ITO))]
    assert len({(m.colour, m.dash) for m in looks}) == len(looks)


def test_ten_methods_differ_in_colour_on_both_grounds_and_in_marker() -> None:
    looks = [method(str(i), i) for i in range(10)]
    for part in ("colour", "colour_dark", "symbol"):
        assert len({getattr(m, part) for m in looks}) == 10
    assert set(SYMBOLS) == set(MARKERS) == set(SHAPES)
    assert len(set(MARKERS.values())) == len(set(SHAPES.values())) == len(SYMBOLS)


@pytest.mark.parametrize(
    ("dose", "text"),
    [
        (1, "1"),
        (30, "30"),
        (125, "125"),
        (123.4, "120"),
        (625.0000001, "625"),
        (1.25e4, "1.25×10⁴"),
        (1.2511e4, "1.3×10⁴"),
        (0.0, "0"),
        (1e3, "10³"),
        (8e3, "8×10³"),
        (1.234e5, "1.2×10⁵"),
        (9.964e3, "10⁴"),
        (9.96e3, "9.96×10³"),
        (999.4, "10³"),
        (999.6, "10³"),
        (0.05, "5×10⁻²"),
    ],
)
def test_doses_have_two_digits_or_the_three_that_they_have(dose: float, text: str) -> None:
    assert dose_text(dose) == text


@given(st.floats(1e-3, 1e12))
def test_a_dose_as_written_is_near_the_dose(dose: float) -> None:
    mantissa, _, power = dose_text(dose).rpartition("×")
    digits = power.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-"))
    value = float(mantissa or 1) * 10.0 ** float(digits[2:]) if digits != power else float(power)
    assert value == pytest.approx(dose, rel=0.051)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (math.nan, "–"),
        (0, "0"),
        (100, "100"),
        (99.94, "99.9"),
        (12.34, "12.3"),
        (0.012, "0.012"),
    ],
)
def test_scores_have_one_decimal(value: float | None, text: str) -> None:
    assert number_text(value) == text


@given(st.floats(0, 100, exclude_min=True, exclude_max=True))
def test_nearly_all_is_never_written_as_all(value: float) -> None:
    assert number_text(value) not in ("100", "0")


@given(st.lists(st.floats(-1, 2), min_size=1, max_size=12))
def test_labels_are_moved_apart_in_their_order(wanted: list[float]) -> None:
    gap = 0.08
    placed = spread(wanted, gap, 0.0, 1.0)
    assert all(-1e-9 <= at <= 1 + 1e-9 for at in placed)
    for (one, at_one), (other, at_other) in itertools.combinations(zip(wanted, placed, strict=True), 2):
        assert abs(at_one - at_other) >= gap - 1e-9
        if one < other:
            assert at_one < at_other


def test_labels_with_room_stay_where_they_are() -> None:
    assert spread([0.1, 0.5, 0.9], 0.1, 0.0, 1.0) == [0.1, 0.5, 0.9]


@given(st.lists(st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=1), unique=True))
def test_short_names_are_short_and_different(labels: list[str]) -> None:
    names = short_names(labels)
    assert list(names) == labels
    assert len(set(names.values())) == len(labels)
    assert all(len(name) <= LONGEST + 4 for name in names.values())
    assert all(names[label] == label for label in labels if len(label) <= 10)


def test_a_variant_keeps_the_name_it_was_asked_for_by() -> None:
    label = "resire[denoise=none,n_iter=50,oversample=3,step=0.25]"
    assert short_names([label, "fbp"], ["fbp"]) == {label: "resire[none,50,3,0.25]", "fbp": "fbp"}


def test_a_long_name_is_said_by_its_values() -> None:
    names = short_names(
        ["fista[align=reprojection,angles=refine]", "fista[align=reprojection,denoise=gaussian]"]
    )
    assert list(names.values()) == ["fista[reprojection,refine]", "fista[reprojection,…]"]


def test_variations_of_one_long_name_say_what_varies() -> None:
    whole = "fista[align=reprojection,angles=refine]"
    varied = [
        "fista[align=reprojection,angles=refine,denoise=none]",
        "fista[align=reprojection,angles=refine,classify=published]",
    ]
    names = short_names([whole, *varied, "fista[angles=refine]"])
    assert list(names.values()) == [
        "fista[reprojection,refine]",
        "fista[…,denoise=none]",
        "fista[…,published]",
        "fista[angles=refine]",
    ]
