"""Recovery by networks: scores of known answers, and paired differences with their intervals."""

import numpy as np
import pandas as pd
import pytest
from ase import Atoms

from benchmarks.neural_recovery import PLAIN, _score, scores_of, table
from datasets.errors import InputError
from recon.neural.grid import gaussian_volume
from recon.neural.training.corpus import EDGE, Sample

TRUTH = Atoms("CuAu2", [[0, 0, 0], [3, 0, 0], [0, 3, 0]])


def test_scores_of_known_answers() -> None:
    perfect = _score(TRUTH, TRUTH)
    assert (perfect.recall, perfect.precision, perfect.tracing_error, perfect.named) == (1, 1, 0, 1)
    assert perfect.rmsd == pytest.approx(0, abs=1e-9)
    more = TRUTH + Atoms("Cu", [[8, 8, 8]])
    more.numbers[0] = 79
    found = _score(more, TRUTH)
    assert found.recall == 1
    assert found.precision == pytest.approx(3 / 4)
    assert found.tracing_error == pytest.approx(1 / 3)
    assert found.named == pytest.approx(2 / 3)
    nothing = _score(Atoms(), TRUTH)
    assert (nothing.recall, nothing.tracing_error) == (0, 1)
    assert np.isnan(nothing.rmsd)


def test_the_plain_volume_is_traced_as_any_other() -> None:
    rng = np.random.default_rng(0)
    lattice = np.stack(np.meshgrid(*[np.arange(22, 52, 8.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    volume = gaussian_volume(lattice, np.full(len(lattice), 2.0), (EDGE,) * 3) + 0.02 * rng.random(
        (EDGE,) * 3
    )
    numbers = np.full(len(lattice), 79)
    sample = Sample(
        volume.astype(np.float16), lattice, np.full(len(lattice), 2.0), numbers, "film", "fista", {}
    )
    found = scores_of(sample, [])
    assert list(found) == [PLAIN]
    assert found[PLAIN].recall == found[PLAIN].precision == 1
    with pytest.raises(InputError, match="no network"):
        scores_of(sample, ["fista"])


def test_differences_are_paired_and_rows_without_a_value_are_left_out() -> None:
    rng = np.random.default_rng(0)
    plain = rng.random(60)
    frame = pd.DataFrame(
        {
            "sample": np.tile(np.arange(60), 2),
            "family": np.tile(["a", "b"], 60),
            "method": np.repeat([PLAIN, "unet"], 60),
            "recall": np.concatenate([plain, plain + 0.1]),
        }
    )
    frame.loc[61, "recall"] = np.nan
    found = table(frame, "family", "recall")
    assert found["n"].tolist() == [30, 30]
    assert found[f"unet − {PLAIN}"].tolist() == ["+0.100 (+0.100 to +0.100)"] * 2
