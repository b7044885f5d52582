"""Cards: all valid, unknown keys answered, keys that follow the content."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from datasets.catalog import FOLDER, DatasetCard, dataset_names, load_dataset
from datasets.errors import InputError
from datasets.imaging.detector import detector_angles
from datasets.simulate import check_field_of_view
from datasets.structures import make_structure


@pytest.mark.parametrize("name", dataset_names())
def test_every_card_is_valid_and_its_particle_fits_the_image(name: str) -> None:
    card = load_dataset(name)
    assert card.name == name
    inner, outer = detector_angles(card.imaging)
    assert inner < outer
    check_field_of_view(card, make_structure(card.structure))
    assert list(card.doses) == sorted(set(card.doses))


@pytest.mark.parametrize(
    ("section", "key", "near"),
    [
        ((), "titel", "title"),
        (("imaging",), "pixel_sise", "pixel_size"),
        (("imaging", "tilts"), "sart", "start"),
        (("structure",), "sed", "seed"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest(
    tmp_path: Path, section: tuple[str, ...], key: str, near: str
) -> None:
    content = yaml.safe_load((FOLDER / "cuau-150.yaml").read_text(encoding="utf-8"))
    content["structure"] = load_dataset("cuau-150").structure.model_dump()
    target = content
    for step in section:
        target = target[step]
    target[key] = 1
    path = tmp_path / "card.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(InputError, match=f"{key}.*did you mean '{near}'"):
        load_dataset(str(path))


def test_names_select_seed_and_engine() -> None:
    card = load_dataset("cuau-150[seed=5,engine=linear]")
    assert (card.structure.seed, card.imaging.engine) == (5, "linear")
    assert card.name == "cuau-150[engine=linear,seed=5]"
    with pytest.raises(InputError, match="did you mean 'cuau-150'"):
        load_dataset("cuau-15")
    with pytest.raises(InputError, match="did you mean 'seed'"):
        load_dataset("cuau-150[sed=5]")


def test_keys_follow_what_determines_the_work() -> None:
    card = load_dataset("cuau-150")

    def changed(**content: object) -> DatasetCard:
        return DatasetCard.model_validate({**card.model_dump(), **content})

    assert changed(doses=[5.0], title="other").key() == card.key()
    darker = changed(background=3.0)
    assert darker.images_key() == card.images_key()
    assert darker.key() != card.key()
    noisier = changed(background=3.0)
    assert noisier.images_key() == card.images_key()
    assert noisier.key() != card.key()
    shifted = changed(imperfections={"shift_range": 1.0})
    assert shifted.images_key() == card.images_key()
    assert shifted.key() != card.key()
    assert changed(imperfections={"tilt_rms": 1.0}).images_key() != card.images_key()
    assert load_dataset("cuau-150[seed=2]").structure_key() != card.structure_key()
