"""Weights: what the card describes, and nothing else, is loaded."""

import json
import pickle
from pathlib import Path

import pytest
import torch

from datasets.errors import InputError, StoreError
from recon.neural.weights import load_weights, save_weights, shipped_names


def test_weights_come_back(tmp_path: Path) -> None:
    path = tmp_path / "mine.pt"
    save_weights(path, {"a": torch.arange(6.0).reshape(2, 3)}, {"name": "mine"})
    weights, card = load_weights(str(path))
    torch.testing.assert_close(weights["a"], torch.arange(6.0).reshape(2, 3))
    assert card["name"] == "mine"
    assert card["n_weights"] == 6


def test_other_bytes_than_the_card_says_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.pt"
    save_weights(path, {"a": torch.ones(3)}, {})
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(StoreError, match="not those that their card describes"):
        load_weights(str(path))


def test_nothing_but_tensors_is_loaded(tmp_path: Path) -> None:
    """A file that carries code is refused even where its card agrees with it."""

    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (eval, ("open('owned', 'w')",))

    path = tmp_path / "hostile.pt"
    save_weights(path, {}, {})
    torch.save({"a": Hostile()}, path)
    import hashlib

    card = json.loads(path.with_suffix(".json").read_text())
    card["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(pickle.UnpicklingError):
        load_weights(str(path))
    assert not (tmp_path / "owned").exists()


def test_what_there_is_not() -> None:
    with pytest.raises(InputError, match="not among those shipped"):
        load_weights("nothing")
    with pytest.raises(InputError, match="no such file"):
        load_weights("nothing.pt")


@pytest.mark.parametrize("name", shipped_names())
def test_shipped_weights_are_those_of_their_cards(name: str) -> None:
    weights, card = load_weights(name)
    assert sum(value.numel() for value in weights.values()) == card["n_weights"]
    assert card["corpus"]["held_out"]
    assert all(torch.isfinite(value).all() for value in weights.values())
