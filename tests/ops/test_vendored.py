"""Vendored files are what `assets/vendor.mjs` took from the pinned packages, and nothing else lies beside them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

VENDOR = Path(__file__).resolve().parents[2] / "static" / "vendor"
MANIFEST = json.loads((VENDOR / "vendor.json").read_text())


def test_every_file_has_the_recorded_hash() -> None:
    recorded = {entry["file"]: entry["sha256"] for package in MANIFEST for entry in package["files"]}
    assert recorded
    assert {name: hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() for name in recorded} == recorded


def test_nothing_unrecorded_lies_there() -> None:
    recorded = {entry["file"] for package in MANIFEST for entry in package["files"]}
    there = {path.relative_to(VENDOR).as_posix() for path in VENDOR.rglob("*") if path.is_file()}
    extra = {path for path in there if Path(path).name not in {"LICENSE", "NOTICE", "vendor.json"}} - recorded
    assert extra == set()


def test_every_package_is_pinned_and_licensed() -> None:
    pins = json.loads((VENDOR.parents[1] / "assets" / "package.json").read_text())
    wanted = pins.get("devDependencies", {}) | pins.get("dependencies", {})
    assert {package["name"]: package["version"] for package in MANIFEST}.items() <= wanted.items()
    assert all(package["license"] for package in MANIFEST)
