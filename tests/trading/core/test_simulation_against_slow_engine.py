"""The whole engine against a second one that walks every price: same decisions, same fills, same money."""

from __future__ import annotations

from core_builders import CASH, FEE, Scripted, random_candles, random_script, run
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_engine import SlowEngine

from trading.core.types import Closed, Decision, Denied, Kind, PriceWake, Trail, Trigger, Wake, Want


def scripted(script, wakes):
    """A strategy that makes the script's next changes at each decision, with a new generation for each."""

    def decide(state, view):
        step = 0 if state is None else state
        orders = {slot: want for slot, want in view.orders.items() if not _over(view, slot)}
        if step < len(script):
            for change in script[step]:
                _apply(orders, view, change)
        return Decision(step + 1, orders, Wake(prices=wakes))

    return Scripted(decide)


def _over(view, slot):
    return any(isinstance(told, Closed) and told.slot == slot for told in view.inbox)


def _apply(orders, view, change):
    slot, *wish = change
    if not wish:
        orders.pop(slot, None)
        return
    if len(wish) == 2:
        want, known = orders.get(slot), view.slots.get(slot)
        if want is not None and known is not None and want.kind is Kind.LIMIT and known.gen == want.gen:
            orders[slot] = want._replace(price=wish[0], qty=wish[1])
        return
    side, kind, price, qty = wish
    gen = max([view.slots[slot].gen] if slot in view.slots else [0]) + 1
    limit = price if kind is Kind.LIMIT else None
    trigger = Trigger(price) if kind is Kind.STOP else None
    trail = Trail(price, offset=3.0) if kind is Kind.TRAILING else None
    orders[slot] = Want("main", side, kind, qty, price=limit, trigger=trigger, gen=gen, trail=trail)


def _wakes(below, above):
    wanted = ((below, False), (above, True))
    return tuple(PriceWake("main", float(level), up) for level, up in wanted if level is not None)


level = st.none() | st.integers(88, 112)
wakes = st.builds(_wakes, level, level)


def _told(seen):
    """What a strategy was told; the words of a denial are each engine's own."""
    return [
        (now, last, [t._replace(reason="") if isinstance(t, Denied) else t for t in told]) for now, last, told in seen
    ]


@given(random_candles, random_script(), wakes)
@settings(max_examples=400, deadline=None)
def test_same_decisions_fills_and_money_as_the_slow_engine(candles, script, wakes):
    fast, slow = scripted(script, wakes), scripted(script, wakes)
    result = run(fast, candles)
    engine = SlowEngine(slow, candles, CASH, FEE)
    engine.run()
    assert _told(fast.seen) == _told(slow.seen)
    got = list(zip(result.fills.candle.tolist(), result.fills.slot, result.fills.price.tolist(), strict=True))
    assert got == engine.fills
    books = result.books()
    assert (books.cash, books.holding.qty) == (engine.cash, engine.base)
    assert [dict(v.budget) for v in fast.views] == [dict(v.budget) for v in slow.views]
