"""What a person may tell a DCA bot: end a deal in one of two ways, add to one, start one."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from pydantic import BaseModel, ConfigDict, Field

from bots.strategies.dca import starts
from bots.strategies.dca.ladder import recipe_of
from bots.strategies.dca.machine import Machine
from bots.strategies.dca.notes import kept_words
from bots.strategies.dca.params import MOST_DEALS, DcaParams
from bots.strategies.dca.state import Deal, State, blank, learn_market, on_step
from bots.strategies.dca.table import least_qty
from bots.strategies.holding import whole_lots
from trading.core.commands import CommandSpec, Options
from trading.core.errors import InvalidInput
from trading.core.rounding import plain, to_decimal
from trading.core.types import View

_CENT = Decimal("0.01")


class DealArgs(BaseModel):
    """One deal by its seat, or all."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="A deal, or all")

    deal: int | None = Field(
        default=None,
        title="Deal",
        description="Its seat: 1, 2, ... Without one, all deals; then none starts before the bot takes up again.",
        ge=1,
        le=MOST_DEALS,
        json_schema_extra={"empty": "All deals, and start none"},
    )


class FundsArgs(BaseModel):
    """An amount for one deal."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="An amount for a deal")

    quote: Decimal = Field(
        title="Amount",
        description="What to buy for at the present price; the fee comes on top.",
        gt=0,
        lt=Decimal("1e15"),
        json_schema_extra={"unit": "quote"},
    )
    deal: int | None = Field(
        default=None,
        title="Deal",
        description="Its seat: 1, 2, ... Not needed while only one is open.",
        ge=1,
        le=MOST_DEALS,
        json_schema_extra={"empty": "The one that is open"},
    )


# --- what is there -------------------------------------------------------------------------------------------------


def _open(state: State | None) -> dict[str, Deal]:
    """Return the deals that aren't being closed, by seat."""
    deals = state["deals"] if state else {}
    return {seat: deals[seat] for seat in sorted(deals, key=int) if not deals[seat]["ending"]}


def _options(params: DcaParams, state: State | None) -> Options:
    return {"deal": {seat: _words(seat, deal, state["tick"] if state else []) for seat, deal in _open(state).items()}}


def _words(seat: str, deal: Deal, tick: list[float]) -> str:
    if not deal["qty"]:
        return f"Deal {deal['number']} on seat {seat}: nothing held yet"
    return (
        f"Deal {deal['number']} on seat {seat}: {deal['qty']:.10g} at {on_step(deal['cost'] / deal['qty'], tick):.10g}"
    )


def _require(seat: int | None, state: State | None) -> dict[str, Deal]:
    """Return the open deals that are meant. Raises InvalidInput when there is none."""
    deals = _open(state)
    if not deals:
        raise InvalidInput("No deal is open.", code="wrong_state")
    if seat is None:
        return deals
    if str(seat) not in deals:
        text = f"No deal is open on seat {seat}; open are {', '.join(deals)}."
        raise InvalidInput(text, field="deal", value=seat, code="unknown")
    return {str(seat): deals[str(seat)]}


# --- what can't be done now ----------------------------------------------------------------------------------------


def _check_deal(args: DealArgs, params: DcaParams, state: State | None, view: View) -> None:
    _require(args.deal, state)


def _check_funds(args: FundsArgs, params: DcaParams, state: State | None, view: View) -> None:
    """Refuse an amount that no deal is named for, that makes no order, or that the budget doesn't have."""
    deals = _require(args.deal, state)
    if len(deals) > 1:
        text = f"{len(deals)} deals are open: say which, one of {', '.join(deals)}."
        raise InvalidInput(text, field="deal", value=None, code="required")
    market = view.markets["main"]
    rules, price, amount = market.rules, to_decimal(market.last), args.quote
    least = least_qty(price, rules)
    if whole_lots(amount / price, rules, "quote", amount) < least:
        enough = plain((least * price).quantize(_CENT, ROUND_CEILING))
        text = f"{plain(amount)} {rules.quote} is below the smallest order of this market: {enough} would do."
        raise InvalidInput(text, field="quote", value=amount, code="minimum")
    leverage = params.leverage if rules.perpetual else Decimal(1)
    share = 1 / leverage + to_decimal(market.fees.taker)
    free = to_decimal(view.budget.get(rules.quote, 0.0))
    if amount * share > free:
        most = max(Decimal(0), (free / share).quantize(_CENT, ROUND_FLOOR))
        text = (
            f"{plain(amount)} {rules.quote} takes {plain((amount * share).quantize(_CENT, ROUND_CEILING))} with its "
            f"fee, and {plain(free.quantize(_CENT, ROUND_FLOOR))} of the bot's budget is free: at most {plain(most)}."
        )
        raise InvalidInput(text, field="quote", value=amount, code="budget_too_low")


def _check_start(args: BaseModel, params: DcaParams, state: State | None, view: View) -> None:
    """Refuse a start that would be dropped."""
    machine = Machine(recipe_of(params), blank() if state is None else state, view)
    reason = _why_no_start(machine)
    if reason:
        raise InvalidInput(reason, code="wrong_state")


def _why_no_start(machine: Machine) -> str:
    state, recipe, now_ms = machine.state, machine.recipe, machine.view.now_ms
    learn_market(state, machine.market.rules)
    if state["ending"]:
        return f"No further deal starts: {state['ending']}."
    if state["held_back"]:
        return "Deals were held back by hand: let the bot take up again first."
    if len(machine.deals) >= recipe.deals:
        return f"{len(machine.deals)} of {recipe.deals} deals are open: there is no room for another."
    if kept := starts.in_the_way(machine):
        return kept_words(machine, kept)
    if not starts.has_room(machine):
        return "No deal can start beside those that are open."
    if now_ms < state["ready_ms"]:
        return f"It rests after the last deal: the next may start in {-(-(state['ready_ms'] - now_ms) // 1000)} s."
    if now_ms < state["retry_ms"]:
        return f"An order was refused; the next may start in {-(-(state['retry_ms'] - now_ms) // 1000)} s."
    return ""


COMMANDS: Mapping[str, CommandSpec] = {
    "close": CommandSpec(
        "Close a deal",
        "Withdraws its orders and closes what it holds at market.",
        DealArgs,
        confirm="At market: at the price of that moment, and with the taker's fee.",
        options=_options,
        check=_check_deal,
    ),
    "add_funds": CommandSpec(
        "Add funds to a deal",
        "Buys for this amount at market (a short sells); the exit follows the new average.",
        FundsArgs,
        adds=True,
        options=_options,
        check=_check_funds,
    ),
    "signal": CommandSpec(
        "Start a deal",
        "Starts one now, whatever the start condition says, if there is room and the cooldown is over.",
        adds=True,
        check=_check_start,
    ),
    "cancel_deal": CommandSpec(
        "Give up a deal, keep its coins",
        "Withdraws its orders and leaves what it holds as it is.",
        DealArgs,
        confirm="Nothing looks after these coins any more: no exit sells them, no stop guards them.",
        options=_options,
        check=_check_deal,
    ),
}
