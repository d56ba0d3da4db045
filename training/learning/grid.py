"""A grid of settings: the recipes of a sweep."""

import itertools
import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from inhand.files import write_whole
from inhand.training.learning.run_recipe import RunRecipe, TrainingError, load_recipe

Axis = tuple[str, list[Any]]
"""A key of a recipe, as `teacher.step_size`, and its values."""


class Variant(msgspec.Struct, frozen=True):
    """One combination of values.

    Attributes:
        settings: value of each key.
        recipe: with these values; its run lies in the folder of the sweep.
    """

    settings: dict[str, Any]
    recipe: RunRecipe


def parse_grid(words: Sequence[str]) -> list[Axis]:
    """Reads axes like `teacher.step_size=1e-4,3e-4`; values are written as in TOML.

    Raises:
        TrainingError: a word is no axis, or a key or value is given twice.
    """
    axes: list[Axis] = []
    for word in words:
        key, sign, text = word.partition("=")
        values = _values(text)
        if not (key and sign and values):
            raise TrainingError(f"sweep: --grid {word}: expected KEY=VALUE,VALUE,…")
        if key in ("run", "stage", "iterations") or key in [known for known, _ in axes]:
            raise TrainingError(f"sweep: --grid {word}: {key} cannot be varied, or is given twice")
        if len({json.dumps(value) for value in values}) < len(values):
            raise TrainingError(f"sweep: --grid {word}: a value is given twice")
        axes.append((key, values))
    if not axes:
        raise TrainingError("sweep: nothing to vary; name it: --grid KEY=VALUE,VALUE,…")
    return axes


def _values(text: str) -> list[Any]:
    """The values of an axis; a name needs no quotes."""
    try:
        return _listed(text)
    except tomllib.TOMLDecodeError:
        return [value for word in text.split(",") for value in _one(word)]


def _one(word: str) -> list[Any]:
    try:
        return _listed(word)
    except tomllib.TOMLDecodeError:
        return [word]


def _listed(text: str) -> list[Any]:
    values: list[Any] = tomllib.loads(f"values = [{text}]")["values"]
    return values


def variants(recipe: RunRecipe, axes: Sequence[Axis], name: str) -> list[Variant]:
    """All combinations of the values.

    Args:
        recipe: what is varied.
        axes: keys and values.
        name: of the sweep's folder under `runs/`.

    Raises:
        TrainingError: a key is not in recipes, or a value has the wrong type.
    """
    keys = [key for key, _ in axes]
    made = []
    for values in itertools.product(*(values for _, values in axes)):
        settings = dict(zip(keys, values, strict=True))
        plain = msgspec.to_builtins(recipe)
        for key, value in settings.items():
            _put(plain, key, value)
        plain["run"] = f"{name}/{_folder(settings)}"
        try:
            made.append(Variant(settings, msgspec.convert(plain, RunRecipe)))
        except msgspec.ValidationError as error:
            raise TrainingError(f"sweep: --grid {_folder(settings)}: {error}") from error
    return made


def _put(plain: dict[str, Any], key: str, value: Any) -> None:
    *tables, last = key.split(".")
    for table in tables:
        if plain.get(table) is None:
            plain[table] = {}
        plain = plain[table]
        if not isinstance(plain, dict):
            raise TrainingError(f"sweep: --grid {key}: {table} has no keys of its own")
    plain[last] = value


def _folder(settings: dict[str, Any]) -> str:
    words = (f"{key}={_plain(value)}" for key, value in settings.items())
    return re.sub(r"[^\w.,=+-]", "_", ",".join(words))


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def write_recipe(variant: Variant, path: Path) -> None:
    """Writes the recipe of a variant, unless the same is there.

    Raises:
        TrainingError: a run of another recipe is there. Its number of iterations may differ.
        WriteError: the file cannot be written.
    """
    if path.exists():
        iterations = variant.recipe.iterations
        before = msgspec.structs.replace(load_recipe(str(path)), iterations=iterations)
        if before != variant.recipe:
            raise TrainingError(
                f"sweep: {path} is of another recipe; name this sweep differently (--name), or "
                f"delete {path.parent.parent}"
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, tomli_w.dumps(_without_none(msgspec.to_builtins(variant.recipe))))


def _without_none(plain: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, dict) else value
        for key, value in plain.items()
        if value is not None
    }
