"""Pages keep the content security policy by construction: nothing inline, nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.test import Client

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
SCRIPTS = sorted((ROOT / "static" / "js").glob("*.js"))
ICON = re.compile(r'{% icon "([a-z0-9-]+)"')


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_template_has_nothing_inline(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"\sstyle=", text)
    assert "<style" not in text
    assert not re.search(r"\son[a-z]+=", text)
    assert "hx-on" not in text
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r'(src|href)="(https?:)?//(?!www\.tradingview\.com/)', text)


def test_every_icon_that_is_drawn_is_in_the_sprite_and_none_is_idle() -> None:
    sprite = set(re.findall(r'<symbol id="([a-z0-9-]+)"', (ROOT / "static" / "icons.svg").read_text()))
    drawn = {name for path in TEMPLATES for name in ICON.findall(path.read_text())} | {"trending-up", "trending-down"}
    assert drawn <= sprite
    assert sprite <= drawn


def test_scripts_write_no_markup() -> None:
    for path in SCRIPTS:
        assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", path.read_text())


@pytest.mark.django_db
def test_the_policy_allows_nothing_unsafe(client: Client) -> None:
    policy = client.get("/sign-in/")["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "script-src 'self' 'nonce-" in policy
    assert "frame-ancestors 'none'" in policy
