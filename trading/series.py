"""Signals and derived series of live bots as they stand in the database: by market id, as JSON, under a key.

A strategy names its markets by alias; what is shared between bots names them by id. A derived series has ids, as
text, where a strategy's has aliases.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trading.core.conditions import condition_text, operand_text
from trading.core.needs import AllOf, AnyOf, Compare, Condition, Const, DerivedSpec, Needs, On, SignalSpec, Value
from trading.core.rounding import plain, to_decimal

KEY_LENGTH = 120
Source = int | DerivedSpec  # a market's id, or a series made from several


@dataclass(frozen=True, slots=True)
class LiveSignal:
    """A value or condition of one source on one timeframe: the same for all bots that ask for it."""

    source: Source
    of: Value | Condition
    timeframe_ms: int

    @property
    def markets(self) -> tuple[int, ...]:
        return markets_of(self.source)

    @property
    def key(self) -> str:
        """Name it within its markets and timeframe: as text, or cut to length with a hash of the whole."""
        text = operand_text(self.of) if isinstance(self.of, Value) else condition_text(self.of)
        if isinstance(self.source, DerivedSpec):
            text = f"{_derived_text(self.source)}: {text}"
        if len(text) <= KEY_LENGTH:
            return text
        digest = hashlib.sha256(text.encode()).hexdigest()[:24]
        return f"{text[: KEY_LENGTH - 25]}#{digest}"


def live_signal(spec: SignalSpec, markets: Mapping[str, int], needs: Needs, timeframe_ms: int) -> LiveSignal:
    """Return a strategy's signal for a bot with these markets (ids by alias) on this timeframe."""
    derived = needs.derived.get(spec.market)
    source: Source = live_derived(derived, markets) if derived is not None else markets[spec.market]
    return LiveSignal(source, spec.of, spec.timeframe_ms or timeframe_ms)


def live_derived(spec: DerivedSpec, markets: Mapping[str, int]) -> DerivedSpec:
    """Return a strategy's derived series with the ids of its markets."""
    return DerivedSpec(tuple((str(markets[alias]), weight) for alias, weight in spec.terms), spec.log, spec.offset)


def markets_of(source: Source) -> tuple[int, ...]:
    """Return the ids of the markets that a source is made from, each once."""
    return (source,) if isinstance(source, int) else tuple(dict.fromkeys(int(name) for name, _ in source.terms))


def _derived_text(spec: DerivedSpec) -> str:
    number = {name: plain(to_decimal(float(weight))) for name, weight in spec.terms}
    kind = "log" if spec.log else "sum"
    terms = ", ".join(f"{number[name]} x {name}" for name, _ in spec.terms)
    return f"{kind}({terms}; {plain(to_decimal(float(spec.offset)))})"


# --- JSON ---------------------------------------------------------------------------------------------------------


def signal_json(signal: LiveSignal) -> dict[str, Any]:
    source = derived_json(signal.source) if isinstance(signal.source, DerivedSpec) else signal.source
    return {"source": source, "of": _of_json(signal.of), "timeframe_ms": signal.timeframe_ms}


def signal_of(data: Mapping[str, Any]) -> LiveSignal:
    source = data["source"]
    of = _of(data["of"])
    if isinstance(of, Const):
        raise TypeError("a number alone is no signal")
    return LiveSignal(source if isinstance(source, int) else derived_of(source), of, data["timeframe_ms"])


def derived_json(spec: DerivedSpec) -> dict[str, Any]:
    return {"terms": [list(term) for term in spec.terms], "log": spec.log, "offset": spec.offset}


def derived_of(data: Mapping[str, Any]) -> DerivedSpec:
    return DerivedSpec(tuple((name, weight) for name, weight in data["terms"]), data["log"], data["offset"])


def _of_json(of: Value | Const | Condition) -> dict[str, Any]:
    if isinstance(of, Value):
        return {"value": of.name, "args": list(of.args), "output": of.output}
    if isinstance(of, Const):
        return {"const": of.value}
    if isinstance(of, Compare):
        return {"compare": of.op, "left": _of_json(of.left), "right": _of_json(of.right)}
    if isinstance(of, On):
        return {"on": of.timeframe_ms, "part": _of_json(of.part)}
    return {"all" if isinstance(of, AllOf) else "any": [_of_json(part) for part in of.parts]}


def _of(data: Mapping[str, Any]) -> Any:
    if "value" in data:
        return Value(data["value"], tuple(data["args"]), data["output"])
    if "const" in data:
        return Const(data["const"])
    if "compare" in data:
        return Compare(_of(data["left"]), data["compare"], _of(data["right"]))
    if "on" in data:
        return On(data["on"], _of(data["part"]))
    kind, parts = (AllOf, data["all"]) if "all" in data else (AnyOf, data["any"])
    return kind(tuple(_of(part) for part in parts))
