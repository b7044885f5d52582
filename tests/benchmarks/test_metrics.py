"""Scores with known answers, and the cards that describe them."""

import math

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from benchmarks.limits.limit import Limit
from benchmarks.metrics import score
from benchmarks.metrics.cards import FOLDER, MetricCard, get_metric, metric_cards, metric_names
from benchmarks.metrics.match import match_positions
from benchmarks.metrics.published import nearest_residuals, published_scores
from benchmarks.metrics.scoring import Scoring
from benchmarks.metrics.tracing import tracing_scores
from datasets.cards import load_card, parse_card
from datasets.errors import InputError


@pytest.fixture
def truth() -> Atoms:
    """Four Cu and two Au on a line, 3 Å apart."""
    return Atoms("Cu4Au2", positions=[[3.0 * i, 0, 0] for i in range(6)])


@pytest.fixture
def answer(truth: Atoms) -> Atoms:
    """All but the last atom, the first Cu called Au, two false atoms; off by 10 pm, mean zero."""
    off = 0.1 * np.array([[0, 0, 1], [0, 0, -1], [0, 1, 0], [0, -1, 0], [0, 0, 0]])
    false = [[0, 8, 0], [6, 8, 0]]
    return Atoms("AuCu3Au3", positions=np.concatenate([truth.positions[:5] + off, false]))


def test_known_answer(answer: Atoms, truth: Atoms) -> None:
    """MSET (004), II.F: (2 false + 1 missing) / 6; 4 of 6 found and rightly named."""
    scores = score(answer, truth)
    assert scores["recall"] == pytest.approx(5 / 6)
    assert scores["precision"] == pytest.approx(5 / 7)
    assert scores["tracing_error"] == pytest.approx(3 / 6)
    assert scores["classification"] == pytest.approx(4 / 6)
    assert scores["rmsd"] == pytest.approx(10 * math.sqrt(4 / 5))
    assert scores["translation"] == pytest.approx(0, abs=1e-9)
    assert (scores["n_truth"], scores["n_answer"], scores["n_matched"]) == (6, 7, 5)
    assert scores["identified_Cu"] == pytest.approx(3 / 4)
    assert scores["identified_Au"] == pytest.approx(1 / 2)
    assert scores["identified_precision_Cu"] == 1
    assert scores["identified_precision_Au"] == pytest.approx(1 / 4)
    assert scores["identified_rmsd_Cu"] == pytest.approx(10)
    assert scores["identified_rmsd_Au"] == pytest.approx(0, abs=1e-9)
    assert math.isnan(scores["r_factor"])


def test_what_a_reconstructor_reports(answer: Atoms, truth: Atoms) -> None:
    assert score(answer, truth, stats={"r_factor": 0.125})["r_factor"] == 0.125


def test_rmsd_of_known_displacements() -> None:
    """Normal displacements of 20 pm along each axis: √3 · 20 pm in three dimensions."""
    rng = np.random.default_rng(0)
    particle = bulk("Cu", cubic=True, a=3.78) * (10, 10, 10)
    moved = particle.copy()
    moved.positions += rng.normal((0.4, 0.1, -0.3), 0.2, moved.positions.shape)
    scores = score(moved, particle)
    assert scores["recall"] == 1
    assert scores["rmsd"] == pytest.approx(20 * math.sqrt(3), rel=0.02)
    assert scores["translation"] == pytest.approx(100 * math.hypot(0.4, 0.1, 0.3), rel=0.02)


def test_a_failure_scores_as_no_atoms(truth: Atoms) -> None:
    """What the cards say of failed cells is what an answer without atoms gets."""
    for variable, value in score(Atoms(), truth).items():
        if variable != "n_truth":
            np.testing.assert_equal(value, get_metric(variable).failure_value, err_msg=variable)


def test_every_score_has_a_card_and_keeps_its_range(truth: Atoms) -> None:
    rng = np.random.default_rng(3)
    seen = set()
    n_truth = len(truth)
    limit = Limit(1e3, "positions", tuple(truth.symbols), np.full(n_truth, 0.01), np.zeros((n_truth, 3)), 0.0)
    for n in (0, 1, 5, 40):
        atoms = Atoms(rng.choice([29, 79], n), positions=rng.uniform(-1, 16, (n, 3)) * (1, 0.1, 0.1))
        for variable, value in score(atoms, truth, stats={"r_factor": 0.3}, limit=limit).items():
            card = get_metric(variable)
            seen.add(card.key)
            low, high = card.range
            assert math.isnan(value) or low is None or value >= low, variable
            assert math.isnan(value) or high is None or value <= high, variable
    of_images = {"angle_error", "shift_error"}  # those score a geometry, not atoms
    of_sheets = {"x_rmsd", "y_rmsd", "z_rmsd", "z_rmsd_levelled", "sheet_recall", "sheet_precision"}
    of_defects = {"vacancy_recall", "divacancy_recall", "stone_wales_recall"}
    of_defects |= {"false_vacancies", "false_stone_wales"}
    of_networks = {"heteroatomic_rings", "rings_found", "homopolar_bonds"}
    assert seen == set(metric_names()) - of_images - of_sheets - of_defects - of_networks


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_card(path) -> None:
    card = load_card(MetricCard, path)
    assert card.key == path.stem
    assert card.unit in {"1", "pm", "deg", "×"}
    assert all((card.label, card.description, card.nan_rule, card.reference))
    low, high = card.range
    if card.on_failure is not None:
        assert low is None or card.on_failure >= low
        assert high is None or card.on_failure <= high


def test_cards_reject_what_they_do_not_know() -> None:
    content = metric_cards()["recall"].model_dump()
    with pytest.raises(InputError, match="unknown key 'directoin'; did you mean 'direction'"):
        parse_card(MetricCard, {**content, "directoin": "lower"}, where="recall.yaml")
    with pytest.raises(InputError, match="direction"):
        parse_card(MetricCard, {**content, "direction": "up"}, where="recall.yaml")
    with pytest.raises(InputError, match="unknown metric 'recal'; did you mean 'recall'"):
        get_metric("recal")
    with pytest.raises(InputError, match="unknown metric 'recall_Cu'"):
        get_metric("recall_Cu")


def test_an_empty_truth_is_refused(answer: Atoms) -> None:
    with pytest.raises(InputError, match="truth has no atoms"):
        score(answer, Atoms())


def test_tracing_error_goes_beyond_one(truth: Atoms) -> None:
    """Eighteen false atoms, all six missing: (18 + 6) / 6."""
    far = np.arange(18 * 3, dtype=float).reshape(18, 3) + 100
    match = match_positions(far, truth.positions)
    scores = tracing_scores(match, np.full(18, 29), truth.numbers)
    assert scores == {"tracing_error": 4.0, "classification": 0.0}


def test_the_published_rule_gives_one_answer_to_two_atoms() -> None:
    """One atom between two true ones counts twice by the published rule, once by ours."""
    truth = Atoms("Cu2", positions=[[0, 0, 0], [1.6, 0, 0]])
    between = Atoms("Cu", positions=[[0.8, 0, 0]])
    scores = score(between, truth)
    assert scores["published_identified"] == 1
    assert scores["recall"] == 0.5
    assert scores["published_rmsd"] == pytest.approx(80)


def test_the_published_rule_shifts_each_species_by_its_own_mean() -> None:
    """Species displaced against each other are perfect by the published rule, and not by ours."""
    truth = bulk("CuAu", "rocksalt", a=5.4, cubic=True) * (3, 3, 3)
    answer = truth.copy()
    answer.positions[answer.numbers == 79] += (0.4, 0, 0)
    answer.positions[answer.numbers == 29] -= (0.4, 0, 0)
    scores = score(answer, truth)
    assert scores["published_rmsd"] == pytest.approx(0, abs=1e-9)
    assert scores["rmsd"] == pytest.approx(40)


def test_the_published_rule_needs_the_right_species(truth: Atoms) -> None:
    wrong = truth.copy()
    wrong.numbers = np.where(truth.numbers == 29, 79, 29)
    scores = published_scores(wrong, truth)
    assert scores["published_identified"] == 0
    assert math.isnan(scores["published_rmsd"])


def test_the_published_mean_is_removed() -> None:
    rng = np.random.default_rng(1)
    truth = rng.uniform(0, 30, (200, 3))
    noise = rng.normal(0, 0.05, truth.shape)
    residuals = nearest_residuals(truth + noise + (0.2, 0, -0.1), truth, 0.9)
    np.testing.assert_allclose(residuals, noise - noise.mean(axis=0), atol=1e-12)


def test_a_cutoff_is_stated(truth: Atoms) -> None:
    """1.2 Å off in opposite directions: outside 1.0 Å, inside 1.3 Å."""
    answer = truth.copy()
    answer.positions[:, 1] += 1.2 * np.array([1, -1, 1, -1, 1, -1])
    assert score(answer, truth, scoring=Scoring(max_translation=0))["recall"] == 0
    assert score(answer, truth, cutoff=1.3)["recall"] == 1
    assert Scoring(1.3).record() == {
        "cutoff": 1.3,
        "max_translation": 1.0,
        "published_cutoff": 1.5,
        "version": 1,
    }
