"""The guides name what is there: every variable, every file, every verb and command."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import get_commands

ROOT = Path(__file__).resolve().parents[2]
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_every_variable_is_explained() -> None:
    guide = (ROOT / "docs" / "operations.md").read_text()
    sources = "".join(path.read_text() for path in (ROOT / "config").glob("*.py"))
    read = set(re.findall(r'env_(?:str|int|bool|list|choice|secret)\(\s*"([A-Z_]+)"', sources))
    assert len(read) > 10
    assert {name for name in read if f"`{name}`" not in guide} == set()


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_what_a_guide_points_to_exists(guide: Path) -> None:
    text = guide.read_text()
    links = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    paths = re.findall(r"`((?:accounts|bots|config|exchanges|risk|trading|tests|docs|assets)/[\w./-]+?)/?`", text)
    missing = [link for link in links if not (guide.parent / link).exists()]
    assert missing + [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_the_commands_and_verbs_of_a_guide_exist(guide: Path) -> None:
    text = guide.read_text()
    verbs = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^    )make ([a-z-]+)", text, re.MULTILINE))
    commands = set(re.findall(r"manage\.py ([a-z_]+)", text))
    assert named - verbs == set()
    assert commands - {*get_commands(), "serve"} == set()
