"""docs/datasets.md against the sets that there are."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from effvit_edge.core import schema
from effvit_edge.data.sets import find_set, list_sets
from effvit_edge.train.sections import VideosData

TEXT = (Path(__file__).parents[4] / "docs" / "datasets.md").read_text(encoding="utf-8")
SECTIONS: list[dict[str, Any]] = [
    yaml.safe_load(block)["data"] for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
]
# A folder of `effvit-edge prepare` has nothing to be told.
DESCRIBED = [name for name in list_sets() if name != "prepared"]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: str(section["set"]))
def test_every_data_section_is_one_that_a_recipe_takes(section: dict[str, Any]) -> None:
    data = schema.read(VideosData, section, "data")
    options = schema.read(find_set(data.set).options, data.options, "data.options")
    assert data.options.items() <= schema.plain(options).items()


@pytest.mark.parametrize("name", DESCRIBED)
def test_every_set_is_described_with_all_its_options(name: str) -> None:
    assert f"`{name}`" in TEXT or f"set: {name}" in TEXT
    for field in dataclasses.fields(find_set(name).options):
        pattern = rf"`{field.name}`|\b{field.name}: "
        assert re.search(pattern, TEXT), f"{name}: {field.name} is not described"


def test_every_published_set_has_the_command_that_checks_it() -> None:
    checked = re.findall(r"^effvit-edge prepare --check --dataset (\w+)", TEXT, re.MULTILINE)
    assert set(checked) == set(DESCRIBED) - {"folder", "csv", "list", "frames"}
