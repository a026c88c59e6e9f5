"""What a person may tell a pair: close both legs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bots.strategies.pair.machine import CLOSE, FLAT
from bots.strategies.pair.params import PairParams
from trading.core.commands import CommandSpec, NoArgs
from trading.core.errors import InvalidInput
from trading.core.types import View


def _check(args: NoArgs, params: PairParams, state: Any, view: View) -> None:
    phase = state["phase"] if state else FLAT
    if phase in (FLAT, CLOSE):
        stands = "isn't open: there is nothing to close" if phase == FLAT else "is being closed already"
        raise InvalidInput(f"The pair {stands}.", code="wrong_state")


COMMANDS: Mapping[str, CommandSpec] = {
    "close": CommandSpec(
        "Close the pair",
        "Closes both legs at market; before it opens again the spread must have come back within the exit.",
        confirm="At market: at the prices of that moment, and with the taker's fee on both legs.",
        check=_check,
    )
}
