"""YAML cards: read, held to a schema that rejects unknown keys, and reported on in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from datasets.errors import InputError, unknown_name


class Card(BaseModel):
    """A frozen model whose unknown keys are errors; the base of every card and preset."""

    model_config = ConfigDict(extra="forbid", frozen=True)


C = TypeVar("C", bound=Card)


def parse_card(model: type[C], content: Mapping[str, Any], *, where: str, folder: Path | None = None) -> C:
    """`content` as a `model`; raises `InputError` naming `where`, the key and what was expected.

    Files that the card names are looked for in `folder`, without it in the working directory.
    """
    try:
        return model.model_validate(content, context={"folder": folder})
    except ValidationError as error:
        # a misspelt key shows up as one unknown and one missing: the unknown one says more
        first = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")[0]
        raise InputError(f"{where}: {_sentence(model, first)}") from None


def load_card(model: type[C], path: Path) -> C:
    """The card in the YAML file `path`; raises `InputError` when missing, not YAML, or off its schema."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a YAML file: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: a card is a YAML mapping of keys to values")
    return parse_card(model, content, where=str(path), folder=path.parent)


def _sentence(model: type[BaseModel], error: ErrorDetails) -> str:
    location = error["loc"]
    key = ".".join(map(str, location))
    if error["type"] == "extra_forbidden":
        known = _fields_at(model, location[:-1])
        return f"key {key!r}: {unknown_name('key', str(location[-1]), known)}"
    if error["type"] == "missing":
        return f"key {key!r} is missing"
    message = error["msg"].removeprefix("Value error, ")
    sentence = f"key {key!r}: {message[0].lower()}{message[1:]}" if key else message
    # what is wrong with a section as a whole is said in its message; its content would fill the screen
    return sentence if isinstance(error["input"], Mapping) else f"{sentence}, got {error['input']!r}"


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The field names of the model nested in `model` at `location`."""
    for step in location:
        if not isinstance(step, str) or step not in model.model_fields:
            continue
        annotation = model.model_fields[step].annotation
        nested = [
            t for t in (annotation, *get_args(annotation)) if isinstance(t, type) and issubclass(t, BaseModel)
        ]
        if not nested:
            return []
        model = nested[0]
    return list(model.model_fields)
