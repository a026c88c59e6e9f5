"""The shelf of strategies as pages: what each does, and every parameter as its schema has it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET
from pydantic import BaseModel

from accounts.middleware import WorkspaceRequest
from bots.param_fields import group_word, walk
from bots.parameters import PREFIX
from bots.recipes import RECIPES
from bots.strategies.registry import STRATEGIES
from trading.core.commands import commands_of
from trading.core.params import params_schema, taken_by
from trading.core.ports import Strategy


@login_required
@require_GET
def strategies(request: WorkspaceRequest) -> HttpResponse:
    shelf = [(one, len(params_schema(one.params)["properties"])) for one in STRATEGIES.values()]
    return render(request, "bots/strategies.html", {"shelf": shelf})


@login_required
@require_GET
def strategy(request: WorkspaceRequest, strategy: str) -> HttpResponse:
    found = STRATEGIES.get(strategy)
    if found is None:
        raise Http404("No such strategy")
    context = {
        "strategy": found,
        "about": about(found),
        "groups": parameter_groups(found.params),
        "commands": [(kind, spec, _rows(spec.args)) for kind, spec in commands_of(found).items()],
        "recipes": [recipe for recipe in RECIPES if recipe.strategy == strategy],
    }
    return render(request, "bots/strategy.html", context)


def about(strategy: Strategy) -> list[str]:
    """Return the paragraphs of what its authors wrote above the module."""
    text = import_module(type(strategy).__module__).__doc__ or ""
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]


def parameter_groups(params: type[BaseModel]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return each group's parameters: name, title, what it takes, its default, its description."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in _rows(params):
        groups.setdefault(row["group"], []).append(row)
    return [(group_word(group), rows) for group, rows in groups.items()]


def _rows(params: type[BaseModel]) -> list[dict[str, Any]]:
    """Return what a page says of each field of a model: of a strategy's parameters, or of a command's arguments."""
    schema = params_schema(params)
    rows = []
    for path, group, shape in walk(schema["properties"]):
        name = path.removeprefix(PREFIX)
        row = {
            "name": name,
            "group": group,
            "title": shape["title"],
            "takes": taken_by(params, name),
            "unit": {"quote": "quote coin", "base": "base coin"}.get(shape.get("unit", ""), shape.get("unit", "")),
            "required": name in schema["required"],
            "default": _default(shape.get("default")),
            "description": shape["description"],
        }
        rows.append(row)
    return rows


def _default(value: Any) -> str:
    """Write a default as a script would send it; nothing for an empty one."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None or value == [] else str(value)
