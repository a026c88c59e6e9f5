"""What a person may tell a scan: sell one of its deals, or all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bots.strategies.scan.params import ScanParams
from trading.core.commands import CommandSpec, Options
from trading.core.errors import InvalidInput
from trading.core.types import View


class MarketArgs(BaseModel):
    """One market, or all."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="A market, or all")

    market: str | None = Field(
        default=None,
        title="Market",
        description="Where the deal is. Without one, all deals.",
        max_length=40,
        json_schema_extra={"format": "symbol", "empty": "All markets with a deal"},
    )


def _open(params: ScanParams, state: Any) -> list[str]:
    deals = state["deals"] if state else {}
    return [alias for alias in params.symbols if alias in deals and not deals[alias]["out"]]


def _options(params: ScanParams, state: Any) -> Options:
    return {"market": {alias: alias for alias in _open(params, state)}}


def _check(args: MarketArgs, params: ScanParams, state: Any, view: View) -> None:
    deals = _open(params, state)
    if not deals:
        raise InvalidInput("No deal is open.", code="wrong_state")
    if args.market is not None and args.market not in deals:
        text = f"No deal is open on {args.market}; open are {', '.join(deals)}."
        raise InvalidInput(text, field="market", value=args.market, code="unknown")


COMMANDS: Mapping[str, CommandSpec] = {
    "close": CommandSpec(
        "Close a deal",
        "Sells what it holds of a market at market; it is bought again once its condition was false in between.",
        MarketArgs,
        confirm="At market: at the price of that moment, and with the taker's fee.",
        options=_options,
        check=_check,
    )
}
