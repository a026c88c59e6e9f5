"""EMA crossover, long only: holds a fixed quantity while the fast average stands above the slow one.

The averages are recursions from the series' first close (alpha = 2 / (span + 1)); the signal counts from candle index
`slow` on, is read at a candle's close and traded at the next price. The plainest strategy on the shelf, it shows that
signals, market orders and positions mean the same in a backtest and live.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from bots.strategies.desk import REFUSALS, RESUMES, RETRY_MS
from bots.strategies.holding import whole_lots
from trading.core.errors import InvalidInput, InvalidInputs
from trading.core.needs import MarketRef, Needs, SignalSpec, Value
from trading.core.previews import Figure, MarketFacts, Preview
from trading.core.rounding import plain, to_decimal
from trading.core.types import (
    Closed,
    Command,
    Decision,
    DecisionTable,
    Kind,
    Note,
    PositionView,
    Side,
    SlotStatus,
    View,
    Wake,
    Want,
)

_REFUSED = REFUSALS - {"below_minimum"}  # what is too small to be sold stays so
_CUSHION = Decimal("1.05")  # the entry comes later than the preview, at a price that nobody knows yet


class EmaCrossParams(BaseModel):
    """Two spans in candles and the quantity of each trade."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="EMA crossover")

    fast: int = Field(default=12, title="Fast span", description="Candles of the faster average.", ge=1, le=5000)
    slow: int = Field(
        default=26,
        title="Slow span",
        description="Candles of the slower average; also the number of candles before the first signal.",
        ge=2,
        le=10_000,
    )
    quantity: Decimal = Field(
        title="Quantity",
        description="What is bought at each entry and sold at each exit.",
        gt=0,
        lt=Decimal("1e15"),
        json_schema_extra={"unit": "base"},
    )

    def model_post_init(self, context: object, /) -> None:
        """Judge the spans together. Raises InvalidInputs."""
        if self.fast >= self.slow:
            text = f"The fast span {self.fast} must be shorter than the slow span {self.slow}."
            raise InvalidInputs([InvalidInput(text, field="fast", value=self.fast, code="range")])


class EmaCross:
    """Long while the fast average stands above the slow one; what that means stands in `table`, and nowhere else."""

    key: ClassVar[str] = "ema_cross"
    title: ClassVar[str] = "EMA crossover"
    summary: ClassVar[str] = "Buys when a fast moving average rises above a slow one, sells when it falls below."
    version: ClassVar[int] = 1
    params: ClassVar[type[BaseModel]] = EmaCrossParams

    def needs(self, params: EmaCrossParams) -> Needs:
        spec = SignalSpec("main", Value("ema_side", (params.fast, params.slow)))
        return Needs(markets={"main": MarketRef("")}, signals={"side": spec})

    def table(self, params: EmaCrossParams) -> DecisionTable:
        return _table(params.quantity)

    def decide(self, params: EmaCrossParams, state: Any, view: View) -> Decision:
        state = _blank(view) if state is None else state.copy()
        for item in view.inbox:
            _take(state, item, view)
        market = view.markets["main"]
        raw = market.signals.get("side")
        side = None if raw is None else bool(raw)
        if side is not state["side"]:
            state.update(side=side, parked=0, retry_at=0)
        elif state["retry_at"] and view.now_ms >= state["retry_at"]:
            state["retry_at"] = 0
        orders = _orders(state, self.table(params).targets.get(side), market.position, view)
        notes = (_note(state, view),) if view.explain else ()
        return Decision(state, orders, _wake(state["retry_at"]), notes)

    def adopt(self, old_params: EmaCrossParams, params: EmaCrossParams, state: Any, view: View) -> Any:
        """New spans and quantity count from the next signal on; what is held stays until it says sell."""
        return state

    def upgrade(self, version: int, state: Any) -> Any:
        return state

    def preview(self, params: EmaCrossParams, markets: Mapping[str, MarketFacts]) -> Preview:
        facts = markets["main"]
        rules = facts.rules
        now, taker = to_decimal(facts.price), to_decimal(facts.fees.taker)
        qty = whole_lots(params.quantity, rules, "quantity", params.quantity)
        if qty <= 0 or qty < rules.min_qty or qty * now < rules.min_notional:
            least = max(rules.min_qty, rules.lot, rules.min_notional / now)
            text = f"A quantity of {plain(params.quantity)} {rules.base} is too small for this market"
            text = f"{text}: an order needs at least {least:.8g} {rules.base}."
            raise InvalidInput(text, field="quantity", value=params.quantity, code="minimum")
        cost = qty * now * (1 + taker)
        funds = Decimal(plain((cost * _CUSHION).quantize(Decimal("1e-8"))))
        figures = (
            Figure("quantity", "Quantity per trade", qty, rules.base, "Rounded down to the lot."),
            Figure("cost", "Cost of an entry now", cost, rules.quote, "Fee included."),
            Figure(
                "round_fees", "Fees of a round", 2 * qty * now * taker, rules.quote, "Entry and exit, at this price."
            ),
            Figure("funds", "To reserve", funds, rules.quote, "Five percent above the cost of an entry now."),
        )
        return Preview(figures=figures, funds={rules.quote: funds})


@lru_cache(maxsize=1024)
def _table(quantity: Decimal) -> DecisionTable:
    return DecisionTable("main", "side", {True: float(quantity), False: 0.0})


def _blank(view: View) -> dict[str, Any]:
    """Return the first state: `entry` and `exit` are [generation, live]; `parked` = cancelled by hand, wait."""
    gens = {slot: known.gen for slot, known in view.slots.items()}
    return {
        "side": None,
        "entry": [gens.get("entry", 0), 0],
        "exit": [gens.get("exit", 0), 0],
        "parked": 0,
        "retry_at": 0,
    }


def _take(state: dict[str, Any], item: object, view: View) -> None:
    if isinstance(item, Closed) and item.slot in ("entry", "exit"):
        gen, live = state[item.slot]
        if item.gen != gen or not live:
            return
        state[item.slot] = [gen, 0]
        if item.why in _REFUSED:
            state["retry_at"] = view.now_ms + RETRY_MS
        elif item.why == "below_minimum" or (item.why not in ("filled", "replaced") and item.slot in view.orders):
            state["parked"] = 1
    elif isinstance(item, Command) and item.kind in RESUMES:
        state.update(parked=0, retry_at=0)


def _orders(state: dict[str, Any], target: float | None, position: PositionView, view: View) -> dict[str, Want]:
    """Return the one order that leads to the target, if any: an entry when flat, an exit of all that is held."""
    hold = None if target is None else target > 0
    orders: dict[str, Want] = {}
    if state["entry"][1] or state["exit"][1]:
        _keep(state, hold, orders, view)
    if state["entry"][1] or state["exit"][1] or state["parked"] or state["retry_at"]:
        return orders
    if target and position.flat:
        gen = state["entry"][0] + 1
        state["entry"] = [gen, 1]
        orders["entry"] = Want("main", Side.BUY, Kind.MARKET, target, gen=gen)
    elif hold is False and not position.flat:
        gen = state["exit"][0] + 1
        state["exit"] = [gen, 1]
        orders["exit"] = Want("main", Side.SELL, Kind.MARKET, position.qty, gen=gen, reduce=True)
    return orders


def _keep(state: dict[str, Any], hold: bool | None, orders: dict[str, Want], view: View) -> None:
    """Go on wanting what is under way, unless it leads away from the target and never got past the risk gate."""
    for slot, against in (("entry", False), ("exit", True)):
        gen, live = state[slot]
        if not live:
            continue
        if hold is against and not _placed(view, slot, gen):
            state[slot] = [gen, 0]
        elif hold is not against and slot in view.orders:
            orders[slot] = view.orders[slot]


def _placed(view: View, slot: str, gen: int) -> bool:
    """Say whether this generation got past the risk gate; one that was denied ends by no longer being wanted."""
    known = view.slots.get(slot)
    return known is not None and known.gen == gen and known.status not in (SlotStatus.DENIED, SlotStatus.NONE)


@lru_cache(maxsize=1024)
def _wake(retry_at: int) -> Wake:
    return Wake(signals=("side",), at_ms=retry_at or None)


def _note(state: dict[str, Any], view: View) -> Note:
    if state["parked"]:
        return Note("ema.parked", "Its last order ended by hand or was too small: waiting for the next signal.")
    if state["retry_at"]:
        return Note("ema.refused", "The last order was refused; it is asked again within a minute.")
    if state["side"] is None:
        return Note("ema.warm_up", "Waiting for enough candles for the first signal.")
    stands = "above" if state["side"] else "below"
    holds = "flat" if view.markets["main"].position.flat else "long"
    return Note("ema.side", f"The fast average stands {stands} the slow one; the bot is {holds}.")
