"""What a person may tell an advised bot: sell what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bots.strategies.adviser.params import AdviserParams
from trading.core.commands import CommandSpec, NoArgs
from trading.core.errors import InvalidInput
from trading.core.types import View


def _check(args: NoArgs, params: AdviserParams, state: Any, view: View) -> None:
    if view.markets["main"].position.flat:
        raise InvalidInput("It holds nothing: there is nothing to sell.", code="wrong_state")
    if state and state["out"]:
        raise InvalidInput("It is selling already.", code="wrong_state")


COMMANDS: Mapping[str, CommandSpec] = {
    "close": CommandSpec(
        "Sell what it holds",
        "Sells all of it at market; the adviser is asked again at its time and may say buy.",
        confirm="At market: at the price of that moment, and with the taker's fee.",
        check=_check,
    )
}
