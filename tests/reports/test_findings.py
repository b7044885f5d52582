"""The headline says what the thresholds say, at both ends of the sweep too."""

from dataclasses import replace

import pytest

from reports.findings import asked, findings, interval_text, warnings
from reports.payload import Payload, Threshold

FIRST, SECOND = "fbp", "sirt[n_iter=20]"


def _threshold(method: str, dose: float | None, censored: str = "") -> Threshold:
    low = None if dose is None else 0.8 * dose
    return Threshold(
        structure="tiny",
        method=method,
        criterion="recall ≥ 95 %",
        joint=True,
        dose=dose,
        low=low,
        high=None,
        censored=censored,
        low_censored=censored,
        high_censored="above",
        min_dose=1e3,
        max_dose=1e5,
        n_images=12,
        n_structures=1,
        n_replicates=3,
    )


@pytest.mark.parametrize(
    ("first", "second", "sentence"),
    [
        (
            (1e4, ""),
            (2.5e4, ""),
            "fbp needs 10⁴ e⁻/Å² per image [8×10³, > 10⁵] to reach recall ≥ 95 % on tiny; "
            "sirt[n_iter=20] cannot be told apart from it.",
        ),
        (
            (None, "above"),
            (2.5e4, ""),
            "sirt[n_iter=20] needs 2.5×10⁴ e⁻/Å² per image [2×10⁴, > 10⁵] to reach recall ≥ 95 % on tiny; "
            "no other method does at up to 10⁵.",
        ),
        (
            (None, "above"),
            (None, "above"),
            "No method reaches recall ≥ 95 % on tiny at up to 10⁵ e⁻/Å² per image.",
        ),
        (
            (2e3, ""),
            (None, "below"),
            "sirt[n_iter=20] reaches recall ≥ 95 % on tiny already at 10³ e⁻/Å² per image, "
            "the lowest dose tried.",
        ),
        (
            (None, "below"),
            (None, "below"),
            "fbp and sirt[n_iter=20] reach recall ≥ 95 % on tiny already at 10³ e⁻/Å² per image, "
            "the lowest dose tried.",
        ),
    ],
)
def test_the_headline(
    payload: Payload, first: tuple[float | None, str], second: tuple[float | None, str], sentence: str
) -> None:
    thresholds = [
        _threshold("oracle", None, "below"),
        _threshold(FIRST, *first),
        _threshold(SECOND, *second),
    ]
    assert findings(replace(payload, thresholds=thresholds)) == [sentence]


def test_a_difference_is_told_where_the_intervals_lie_apart(payload: Payload) -> None:
    first = replace(_threshold(FIRST, 1e4), high=1.2e4, high_censored="")
    apart = findings(replace(payload, thresholds=[first, _threshold(SECOND, 2.5e4)]))
    assert apart[0].endswith(
        "[8×10³, 1.2×10⁴] to reach recall ≥ 95 % on tiny; sirt[n_iter=20] needs 2.5 times as many."
    )
    level = findings(replace(payload, thresholds=[first, _threshold(SECOND, 1.3e4)]))
    assert level[0].endswith("; sirt[n_iter=20] cannot be told apart from it.")


def test_one_series_has_no_interval() -> None:
    found = _threshold(FIRST, 1e4)
    assert interval_text(found) == "[8×10³, > 10⁵]"
    assert interval_text(replace(found, n_replicates=1)) == ""


def test_a_headline_from_one_series_says_so(payload: Payload) -> None:
    found = [replace(_threshold(*one), n_replicates=1) for one in ((FIRST, 1e4), (SECOND, 1.02e4))]
    assert findings(replace(payload, thresholds=found)) == [
        "fbp needs 10⁴ e⁻/Å² per image (n = 1, no interval) to reach recall ≥ 95 % on tiny; "
        "sirt[n_iter=20] needs about as many."
    ]


def test_methods_run_at_fewer_doses_are_only_spoken_of_up_to_there(payload: Payload) -> None:
    few = replace(_threshold(SECOND, None, "above"), max_dose=2e3)
    none = findings(replace(payload, thresholds=[_threshold(FIRST, None, "above"), few]))
    assert none[0].endswith("on tiny at up to 2×10³ e⁻/Å² per image.")
    other = findings(replace(payload, thresholds=[_threshold(FIRST, 1e4), few]))
    assert other[0].endswith("; no other method does at up to 2×10³.")


def test_without_thresholds_the_best_recall_is_told(payload: Payload) -> None:
    (sentence,) = findings(replace(payload, thresholds=[]))
    best = max(r.values["recall"].mean or 0 for r in payload.rows if not payload.method(r.method).control)
    shown = "100" if best == 1 else f"{100 * best:.1f}"
    assert f"finds {shown}\u00a0% of the atoms of tiny at " in sentence


def test_only_controls_is_said(payload: Payload) -> None:
    controls = [m for m in payload.methods if m.control]
    rows = [r for r in payload.rows if payload.method(r.method).control]
    assert findings(replace(payload, methods=controls, rows=rows, thresholds=[])) == [
        "These results hold only controls: there is no method to judge."
    ]


def test_what_was_asked_counts_everything(payload: Payload) -> None:
    text = asked(payload)
    assert text.startswith("3 methods and 4 controls were given exactly the same counts of tiny (")
    assert "2 doses from 10³ to 10⁵ e⁻/Å² per image, n = 2 noise replicates each" in text
    assert f"28 cells, of which {len(payload.failures)} gave no answer" in text


def test_linear_images_and_missing_cells_are_warned_of(payload: Payload) -> None:
    assert [title for title, _ in warnings(payload)] == ["Linear images."]
    real = [replace(d, engine="multislice") for d in payload.datasets]
    assert warnings(replace(payload, datasets=real)) == []
    assert [title for title, _ in warnings(replace(payload, datasets=real, missing=3))] == ["Unfinished."]
