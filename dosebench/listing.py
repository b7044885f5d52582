"""What there is, in words: the rows of `dosebench list`, the page of `info`, the lines of `score`."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import inspect
import math
import textwrap
from collections.abc import Mapping
from pathlib import Path

from datasets.errors import unknown_name


def entries(kind: str) -> list[tuple[str, str]]:
    """(name, title) of everything of a kind: datasets, reconstructors, metrics or presets."""
    if kind == "datasets":
        from datasets.catalog import dataset_names, load_dataset

        return [(name, load_dataset(name).title) for name in dataset_names()]
    if kind == "metrics":
        from benchmarks.metrics.cards import metric_cards

        return [(card.key, f"{card.label}{_unit(card.unit, ' [{}]')}") for card in metric_cards().values()]
    if kind == "presets":
        from benchmarks.preset import load_preset, preset_names

        return [(name, load_preset(name).title) for name in preset_names()]
    return [(name, _reconstructor_title(name)) for name in _reconstructor_names()]


def _reconstructor_names() -> list[str]:
    from recon.registry import reconstructor_names

    return reconstructor_names()


def _reconstructor_title(name: str) -> str:
    """The first line of its docstring, read from the source: importing every algorithm would take seconds."""
    from recon.registry import targets

    module, _, attribute = targets()[name].partition(":")
    try:
        spec = importlib.util.find_spec(module)
    except ImportError as error:
        return f"not available: {error}"
    if spec is None or spec.origin is None:
        return f"not available: there is no module {module!r}"
    for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name == attribute:
            return (ast.get_docstring(node) or "").partition("\n")[0]
    return f"not available: there is no class {attribute!r} in {module!r}"


def describe(name: str) -> str:
    """Everything there is to say about one name. Raises `InputError` for a name that is nowhere."""
    base = name.partition("[")[0]
    known = {kind: [key for key, _ in entries(kind)] for kind in ("datasets", "metrics", "presets")}
    known["reconstructors"] = _reconstructor_names()
    if base in known["reconstructors"] or ":" in base:
        return _describe_reconstructor(name)
    if base in known["metrics"]:
        from benchmarks.metrics.cards import get_metric

        return _page(base, get_metric(base).label, get_metric(base).model_dump(exclude={"key", "label"}))
    if base in known["presets"]:
        from benchmarks.preset import load_preset

        preset = load_preset(base)
        return _page(base, preset.title, preset.model_dump(exclude={"name", "title"}))
    if base in known["datasets"] or base.endswith((".yaml", ".yml")):
        from datasets.catalog import load_dataset

        card = load_dataset(name)
        return _page(card.name, card.title, card.model_dump(exclude={"name", "title"}))
    raise unknown_name("name", base, [key for keys in known.values() for key in keys])


def _describe_reconstructor(name: str) -> str:
    from recon import registry

    reconstructor = registry.get(name)
    cls = type(reconstructor)
    lines = [reconstructor.label, "", inspect.getdoc(cls) or "", "", f"reference: {cls.reference or '-'}"]
    lines += [f"version: {cls.version}", "", "parameters (NAME[key=value,…]):"]
    for field in dataclasses.fields(cls):
        lines.append(f"  {field.name} = {getattr(reconstructor, field.name)}")
    if cls.variants:
        lines += ["", "variants (NAME[variant]):"]
        lines += [
            f"  {key}: {', '.join(f'{k}={v}' for k, v in values.items())}"
            for key, values in cls.variants.items()
        ]
    return "\n".join(lines)


def _page(name: str, title: str, content: Mapping[str, object]) -> str:
    return "\n".join([f"{name}: {title}", "", *_rows(content, "")])


def _rows(content: Mapping[str, object], indent: str) -> list[str]:
    rows: list[str] = []
    for key, value in content.items():
        if isinstance(value, Mapping):
            rows += [f"{indent}{key}:", *_rows(value, indent + "  ")]
            continue
        text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
        wrapped = textwrap.wrap(f"{key}: {text}", 96 - len(indent)) or [f"{key}:"]
        rows += [f"{indent}{'' if i == 0 else '  '}{line}" for i, line in enumerate(wrapped)]
    return rows


def score_lines(scores: Mapping[str, float]) -> list[str]:
    """One line per metric: label, value, unit."""
    from benchmarks.metrics.cards import get_metric

    lines = []
    for variable, value in scores.items():
        card = get_metric(variable)
        element = variable.removeprefix(card.key).strip("_")
        text = "-" if math.isnan(value) else f"{value:.4g}"
        lines.append(
            f"{card.label + (f' ({element})' if element else ''):<44} {text:>10}{_unit(card.unit, ' {}')}"
        )
    return lines


def _unit(unit: str, form: str) -> str:
    """A unit in its place; nothing for pure numbers, whose unit in the cards is 1."""
    return "" if unit == "1" else form.format(unit)
