"""An order or a wake with a number that none can have stops its bot, in the same words in a backtest and live.

A stop at NaN would rest and never fire: its position would have no stop, and nobody would know.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from bots.models import Bot
from tests.trading.live_rules import scripted
from tests.trading.scripted import Scripted, buy, sell
from trading.core.candles import Candles
from trading.core.errors import StrategyFault
from trading.core.simulation import simulate
from trading.core.types import Decision, Kind, MarketRules, PriceWake, Side, Trail, TrailWake, Trigger, Wake
from trading.models import Order

pytestmark = pytest.mark.django_db

NAN, INF = float("nan"), float("inf")
RULES = MarketRules("BTC", "USDT", Decimal("0.01"), Decimal("0.001"))


def trailing(trail: Trail) -> Decision:
    return Decision(None, {"x": sell(None, kind=Kind.TRAILING, trail=trail)})


def stop_at(level: float, **more: float) -> Decision:
    return Decision(None, {"x": sell(more.get("price"), kind=Kind.STOP, trigger=Trigger(level))})


IMPOSSIBLE = {
    "quantity inf": (Decision(None, {"x": buy(90.0, INF)}), "quantity"),
    "price nan": (Decision(None, {"x": buy(NAN)}), "price"),
    "price inf": (Decision(None, {"x": buy(INF)}), "price"),
    "trigger nan": (stop_at(NAN), "trigger"),
    "trigger inf": (stop_at(-INF), "trigger"),
    "a stop with a price": (stop_at(90.0, price=90.0), "a limit order needs a price"),
    "ratio nan": (trailing(Trail(None, NAN)), "ratio"),
    "ratio 1": (trailing(Trail(None, 1.0)), "ratio"),
    "ratio below 0": (trailing(Trail(None, -0.1)), "ratio"),
    "no distance": (trailing(Trail(105.0)), "a ratio or a distance"),
    "no distance of a wake": (
        Decision(None, {}, Wake(trails=(TrailWake("main", Side.SELL, Trail(None, floor=90.0)),))),
        "a ratio or a distance",
    ),
    "distance nan": (trailing(Trail(None, 0.1, NAN)), "distance"),
    "activation nan": (trailing(Trail(NAN, 0.1)), "activation"),
    "floor inf": (trailing(Trail(None, 0.1, floor=INF)), "floor"),
    "wake nan": (Decision(None, {}, Wake(prices=(PriceWake("main", NAN, above=False),))), "no number"),
    "trail wake": (Decision(None, {}, Wake(trails=(TrailWake("main", Side.SELL, Trail(None, NAN)),))), "ratio"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_a_number_that_no_order_or_wake_can_have_is_a_fault_in_a_backtest_and_live(name):
    answer, says = IMPOSSIBLE[name]
    column = np.full(3, 100.0)
    candles = Candles.of(60_000 * np.arange(3), column, column, column, column)
    strategy = Scripted(lambda state, view: answer)
    with pytest.raises(StrategyFault, match=says) as fault:
        simulate(strategy, None, candles, cash=Decimal(1000), fee=Decimal(0), rules=RULES)
    with scripted(lambda state, view: answer) as (_, bot, _strategy):
        bot.refresh_from_db()
        assert bot.status == Bot.Status.ERROR
        assert bot.status_reason == str(fault.value)[:300]
        assert not Order.objects.filter(bot=bot).exists()
