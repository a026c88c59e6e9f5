"""From the schema of a strategy's parameters to form fields: each brings its words, its unit and its kind of widget.

Fields carry texts; what they mean is judged by `bots.preflight`. A field's `kind` picks its look in `inc/field.html`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django import forms

from bots.advisors.registry import ADVISORS
from bots.parameters import PREFIX
from exchanges.models import Market
from trading.core.indicators import COLUMNS, INDICATORS

TEXT_MAX = 64
TEXTS_MAX = 4000  # a list in one input, with commas
GROUP_WORDS = {
    "range": "Price range",
    "size": "Size",
    "exits": "Exits",
    "signal": "Signal",
    "entry": "Entry",
    "markets": "Markets",
    "safety": "Safety orders",
    "deals": "Deals",
    "limits": "Limits",
    "asking": "Asking",
    "": "Parameters",
}
USUAL = {
    "bbands": "20, 2",
    "donchian": "20",
    "ema": "50",
    "ema_side": "12, 26",
    "macd": "12, 26, 9",
    "sma": "200",
    "stoch": "14, 3, 3",
    "stochrsi": "14, 14, 3",
    "supertrend": "10, 3",
    "zscore": "20",
}
PERIOD = "14"
EXAMPLES = (
    "rsi(14) < 30 and close > ema(200)",
    "ema(12) crosses above ema(26)",
    "on 1h: macd(12, 26, 9).hist > 0",
    "close < bbands(20, 2).lower or rsi(2) < 5",
)


def walk(
    properties: Mapping[str, Any], path: str = PREFIX, group: str = ""
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (field name, group, shape) of every parameter; the fields of a nested group stand under its own name."""
    for name, shape in properties.items():
        if shape.get("type") == "object":
            yield from walk(shape["properties"], f"{path}{name}.", shape["title"])
        else:
            yield f"{path}{name}", group or shape.get("group", ""), shape


def flat_params(params: Mapping[str, Any], path: str = PREFIX) -> dict[str, Any]:
    """Return stored or suggested parameters by the names of their fields."""
    found: dict[str, Any] = {}
    for name, value in params.items():
        if isinstance(value, Mapping):
            found |= flat_params(value, f"{path}{name}.")
        else:
            found[path + name] = value
    return found


def group_word(group: str) -> str:
    return GROUP_WORDS.get(group, group[:1].upper() + group[1:].replace("_", " "))


def choice_word(value: str) -> str:
    return value.replace("_", " ").capitalize()


def unit_word(unit: str, market: Market) -> str:
    """Return the unit of a field as people read it: the market's coins in the place of "quote" and "base"."""
    return {"quote": market.quote, "base": market.base, "ratio": ""}.get(unit, unit)


def field_of_shape(shape: Mapping[str, Any], required: bool, markets: Sequence[Market]) -> forms.Field:
    """Return the form field of one parameter; never required itself: the strategy's model says what is missing."""
    kind = kind_of_shape(shape)
    found = _field(kind, shape, required, markets)
    found.label, found.help_text = shape["title"], shape["description"]
    found.kind = kind  # type: ignore[attr-defined]
    if kind == "condition":
        found.helper = condition_helper()  # type: ignore[attr-defined]
    return found


def kind_of_shape(shape: Mapping[str, Any]) -> str:
    """Name the widget: choice, flag, symbols, symbol, condition, advisor, texts, whole, number or text."""
    if "enum" in shape:
        return "choice"
    if shape.get("format") in ("symbols", "symbol", "condition", "advisor"):
        return str(shape["format"])
    kinds = {"boolean": "flag", "integer": "whole", "string": "text", "array": "texts"}
    return kinds.get(str(shape.get("type")), "number")


def _field(kind: str, shape: Mapping[str, Any], required: bool, markets: Sequence[Market]) -> forms.Field:
    symbols = [(market.symbol, market.symbol) for market in markets]
    blank = [] if required else [("", shape.get("empty", "None"))]
    if kind == "choice":
        labels = shape.get("labels", {})
        optional = [] if required or "default" in shape else [("", "None")]
        words = [(value, labels.get(value, choice_word(value))) for value in shape["enum"]]
        return forms.ChoiceField(required=False, choices=optional + words)
    if kind == "flag":
        return forms.BooleanField(required=False)
    if kind == "symbols":
        return forms.MultipleChoiceField(required=False, choices=symbols, widget=forms.CheckboxSelectMultiple)
    if kind == "advisor":
        return forms.ChoiceField(required=False, choices=[(key, one.title) for key, one in ADVISORS.items()])
    if kind == "symbol":
        return forms.ChoiceField(required=False, choices=blank + symbols)
    if kind == "condition":
        area = forms.Textarea(attrs={"rows": 2, "spellcheck": "false", "autocapitalize": "off"})
        return forms.CharField(required=False, max_length=shape.get("maxLength", 500), widget=area)
    lengths = {"text": shape.get("maxLength", TEXT_MAX), "texts": TEXTS_MAX}
    field = forms.CharField(required=False, max_length=lengths.get(kind, TEXT_MAX))
    modes = {"whole": "numeric", "number": "decimal"}
    if kind in modes:
        field.widget.attrs["inputmode"] = modes[kind]
    return field


def when_text(name: str, when: Mapping[str, Any]) -> str:
    """Write for the page's script on what other fields' values this one is of use: "params.start=condition"."""
    group = name.rpartition(".")[0]
    return " ".join(f"{group}.{other}={value}" for other, values in when.items() for value in _listed(values))


def _listed(values: Any) -> list[str]:
    return [str(one).lower() for one in values] if isinstance(values, list | tuple) else [str(values).lower()]


def condition_helper() -> dict[str, Any]:
    """Return what a condition may be made of: (text to insert, what it is), and whole examples."""
    words = [(f"{name}", "of the candle") for name in COLUMNS]
    for name, indicator in sorted(INDICATORS.items()):
        args = f"({USUAL.get(name, PERIOD)})" if indicator.args else ""
        outputs = [output for output in indicator.outputs if output]
        words += [(f"{name}{args}.{output}", indicator.title) for output in outputs] or [(name + args, indicator.title)]
    return {"words": words, "examples": EXAMPLES}
