"""The matching: candles walked as paths of four prices, resting orders filled where the paths meet them.

One source for backtest, replay and live paper. `trading.core.compiled` compiles it for backtests; live paper runs it as
it stands here, so it keeps to what numba understands (numbers, arrays, loops) and imports nothing.

The path of a candle: open, nearer extreme (the low when equally near), other extreme, close. Between two candles the
path jumps to the next open (a gap): whoever is touched there fills at the open. Along a leg the walk stops at the
nearest level; at one price point the order that was placed first fills first, whatever its side. Several markets walk
on one grid of candles: leg 0 (the jump to the open) of market 0, 1, ..., then leg 1 of market 0, 1, ..., and so on.

Layout, arrays or nested lists alike, `n` valid entries a row (`trading.core.rows` makes them):
    prices[market][OPEN HIGH LOW CLOSE][candle]
    floats[k][row]   LEVEL        limit or trigger; of a trail what it stands at, -inf / +inf while it isn't armed
                     PEAK ... PER of a trail only: see `trail_level`; kept up to date here, in place
    ints[k][row]     TOUCH        -1 fills at price <= level (buy limit, sell stop, selling trail),
                                  +1 at price >= level (sell limit, buy stop, buying trail),
                                  0 wherever its market stands (a market order)
                     SEQ          place in the order of placing
                     MARKET       index of its market
                     FROM         first candle in which it may fill: after a partial fill the next one; NEVER disables
                     TRAIL        0 no trail, ORDER_TRAIL, or WAKE_TRAIL: no order, it only wakes
    points[k][market] PRICE       where the market stands, kept up to date here, in place
                      BELOW ABOVE wake levels; -inf and +inf arm none

The cursor is (i, leg, market): what is walked next is leg `leg` of candle i on `market`, or the rest of it. So at
(i, 0, 0) nothing of candle i has happened, and a market has opened in candle i if leg > 0 or its index < market.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

OPEN: Final = 0
HIGH: Final = 1
LOW: Final = 2
CLOSE: Final = 3

LEVEL: Final = 0
PEAK: Final = 1
ACTIVATION: Final = 2
RATIO: Final = 3
OFFSET: Final = 4
FLOOR: Final = 5
TICKS: Final = 6
PER: Final = 7
FLOAT_ROWS: Final = 8

TOUCH: Final = 0
SEQ: Final = 1
MARKET: Final = 2
FROM: Final = 3
TRAIL: Final = 4
INT_ROWS: Final = 5

ORDER_TRAIL: Final = 1
WAKE_TRAIL: Final = 2
NEVER: Final = 2**62

PRICE: Final = 0
BELOW: Final = 1
ABOVE: Final = 2

STOP: Final = 0  # candle `stop_i` is reached: nothing happened before its open
FILL: Final = 1  # the order at `row` fills at `price`
WAKE: Final = 2  # the path moved onto a price at or beyond a wake level; `row` >= 0: onto a trail's

BEFORE_OPEN: Final = 0
LAST_LEG: Final = 3

_NONE: Final = -2
_FIRST_BLOCK: Final = 256
_INF = float("inf")

# numpy arrays when compiled; lists do as well when not
Columns = Sequence[Any] | Any


def advance(
    prices: Columns,
    floats: Columns,
    ints: Columns,
    n: int,
    points: Columns,
    i: int,
    leg: int,
    market: int,
    stop_i: int,
) -> tuple[int, int, int, int, int, float]:
    """Walk from the cursor to the next event: (event, row, i, leg, market, price), with the new cursor.

    Orders touched where their opened market stands fill there, at once: market by market, then by SEQ. Fills come
    before wakes at the same price. A wake fires only when the path moves onto a point that satisfies it, never at the
    point where it was armed. Candles that can touch nothing are passed over by a few comparisons each, trails included.
    STOP comes with the cursor (`stop_i`, 0, 0) (at most the number of candles); every market stands at its last close.
    """
    row = standing(floats, ints, n, points, i, len(prices) if leg > BEFORE_OPEN else market)
    if row >= 0:
        return FILL, row, i, leg, market, points[PRICE][ints[MARKET][row]]
    while True:
        if leg == BEFORE_OPEN and market == 0:
            i = skip_quiet(prices, floats, ints, n, points, i, stop_i)
            if i >= stop_i:
                return STOP, -1, i, BEFORE_OPEN, 0, points[PRICE][0]
        event, row, leg, market, price = walk_candle(prices, floats, ints, n, points, i, leg, market)
        if event != STOP:
            return event, row, i, leg, market, price
        i += 1
        leg = BEFORE_OPEN


def standing(floats: Columns, ints: Columns, n: int, points: Columns, i: int, opened: int) -> int:
    """Arm new trails where their markets stand; returns the row that fills there on an opened market, or -1."""
    for row in range(n):
        if ints[TRAIL][row] and ints[FROM][row] <= i:
            follow(floats, ints, row, points[PRICE][ints[MARKET][row]])
    for market in range(opened):
        row = first_touched(floats, ints, n, i, market, points[PRICE][market])
        if row >= 0:
            return row
    return -1


def walk_candle(
    prices: Columns, floats: Columns, ints: Columns, n: int, points: Columns, i: int, leg: int, market: int
) -> tuple[int, int, int, int, float]:
    """Walk the rest of candle `i`, or to the first event in it: (event, row, leg, market, price); STOP is none."""
    while leg <= LAST_LEG:
        while market < len(prices):
            event, row = walk_leg(prices, floats, ints, n, points, i, leg, market)
            if event != STOP:
                price = points[PRICE][market]
                if leg > BEFORE_OPEN:
                    return event, row, leg, market, price
                if market + 1 < len(prices):
                    return event, row, BEFORE_OPEN, market + 1, price
                return event, row, 1, 0, price
            market += 1
        market = 0
        leg += 1
    return STOP, -1, leg, 0, 0.0


def walk_leg(
    prices: Columns, floats: Columns, ints: Columns, n: int, points: Columns, i: int, leg: int, market: int
) -> tuple[int, int]:
    """Walk one market to the end of its leg, or to the first event on it: (event, row); STOP is none.

    A leg without length is no move, but the jump to an open always is one.
    """
    target = path_point(prices[market], i, leg)
    price = points[PRICE][market]
    while leg == BEFORE_OPEN or price != target:
        point = target if leg == BEFORE_OPEN else nearest_point(floats, ints, n, points, i, market, target)
        points[PRICE][market] = point
        for row in range(n):
            if ints[TRAIL][row] and ints[MARKET][row] == market and ints[FROM][row] <= i:
                follow(floats, ints, row, point)
        row = first_touched(floats, ints, n, i, market, point)
        if row >= 0:
            return FILL, row
        row = woken(floats, ints, n, points, i, market, price, target)
        if row != _NONE:
            return WAKE, row
        if point == target:
            break
        price = point
    return STOP, -1


def path_point(candles: Columns, i: int, leg: int) -> float:
    """Return where a leg of a candle ends: 0 open, 1 nearer extreme, 2 other extreme, 3 close."""
    open_: float = candles[OPEN][i]
    close: float = candles[CLOSE][i]
    high: float = candles[HIGH][i]
    low: float = candles[LOW][i]
    if leg == LAST_LEG:
        return close
    if leg == BEFORE_OPEN:
        return open_
    low_first = open_ - low <= high - open_
    return low if low_first == (leg == 1) else high


def nearest_point(floats: Columns, ints: Columns, n: int, points: Columns, i: int, market: int, target: float) -> float:
    """Return the first price between where a market stands and `target` at which something may happen, or `target`.

    That is the level of an order or trail ahead, a wake level ahead, or an activation ahead: there a trail gets armed.
    """
    price = points[PRICE][market]
    way = 1.0 if target > price else -1.0
    nearest = way * target
    wake = way * (points[ABOVE][market] if way > 0 else points[BELOW][market])
    if wake > way * price:
        nearest = min(nearest, wake)
    for row in range(n):
        if ints[MARKET][row] != market or ints[FROM][row] > i or ints[TOUCH][row] == 0:
            continue
        if ints[TOUCH][row] * way > 0:
            ahead = way * floats[LEVEL][row]
        elif ints[TRAIL][row] and abs(floats[LEVEL][row]) == _INF:
            ahead = way * floats[ACTIVATION][row]
        else:
            continue
        if ahead > way * price:
            nearest = min(nearest, ahead)
    return way * nearest


def first_touched(floats: Columns, ints: Columns, n: int, i: int, market: int, price: float) -> int:
    """Return the row of the order that fills first at this price, -1 for none."""
    found = -1
    for row in range(n):
        if ints[MARKET][row] == market and ints[FROM][row] <= i and ints[TRAIL][row] != WAKE_TRAIL:
            touch = ints[TOUCH][row]
            touched = touch == 0 or touch * (price - floats[LEVEL][row]) >= 0
            if touched and (found < 0 or ints[SEQ][row] < ints[SEQ][found]):
                found = row
    return found


def woken(
    floats: Columns, ints: Columns, n: int, points: Columns, i: int, market: int, before: float, target: float
) -> int:
    """Say what wakes after a market moved from `before`: -1 a price level, else the row of a trail, -2 nothing.

    A wake that was satisfied already fires at the next path point (`target` reached) that still satisfies it.
    """
    price = points[PRICE][market]
    corner = price == target
    below, above = points[BELOW][market], points[ABOVE][market]
    if (price <= below and (corner or before > below)) or (price >= above and (corner or before < above)):
        return -1
    for row in range(n):
        if ints[TRAIL][row] == WAKE_TRAIL and ints[MARKET][row] == market and ints[FROM][row] <= i:
            level = floats[LEVEL][row]
            met = corner or price == level or price == floats[ACTIVATION][row]
            if met and ints[TOUCH][row] * (price - level) >= 0:
                return row
    return _NONE


# --- trails ---------------------------------------------------------------------------------------------------------


def follow(floats: Columns, ints: Columns, row: int, price: float) -> None:
    """Move a trail on to `price`: arm it once its activation is reached, take over a new peak."""
    selling = -ints[TOUCH][row]
    if abs(floats[LEVEL][row]) == _INF:
        if selling * price < selling * floats[ACTIVATION][row]:
            return
    elif selling * price <= selling * floats[PEAK][row]:
        return
    floats[PEAK][row] = price
    floats[LEVEL][row] = trail_level(floats, ints, row)


def trail_bound(floats: Columns, ints: Columns, row: int, peak: float) -> float:
    """Return the unrounded level times -TOUCH: of selling max(peak x (1 - RATIO) - OFFSET, FLOOR), or its mirror."""
    selling = -ints[TOUCH][row]
    bound: float = selling * peak * (1.0 - selling * floats[RATIO][row]) - floats[OFFSET][row]
    floor: float = selling * floats[FLOOR][row]
    return max(bound, floor)


def trail_level(floats: Columns, ints: Columns, row: int) -> float:
    """Return the first price on the tick (TICKS / PER, two whole numbers) that is at or beyond the trail's bound.

    A bound within rounding noise of a grid point is that point, as in `trading.core.rounding`.
    """
    selling = -ints[TOUCH][row]
    steps = trail_bound(floats, ints, row, floats[PEAK][row]) * floats[PER][row] / floats[TICKS][row]
    nearest = (steps + 0.5) // 1.0
    if abs(steps - nearest) > max(abs(steps) * 2.0**-48, 1e-9):
        nearest = steps // 1.0
    level: float = selling * nearest * floats[TICKS][row] / floats[PER][row]
    return level


# --- passing over candles -------------------------------------------------------------------------------------------


def skip_quiet(prices: Columns, floats: Columns, ints: Columns, n: int, points: Columns, i: int, stop_i: int) -> int:
    """Return the first candle from `i` on that may touch something on any market, or `stop_i`.

    Goes in growing blocks, so that no market is looked at far beyond what another one stops at.
    """
    start = i
    block = _FIRST_BLOCK
    while i < stop_i:
        limit = min(stop_i, i + block)
        found = limit
        for market in range(len(prices)):
            found = quiet_until(prices, floats, ints, n, points, market, i, found)
        for row in range(n):
            if ints[TRAIL][row] and ints[FROM][row] <= i and found > i:
                follow(floats, ints, row, best_of(prices, ints, row, i, found))
        i = found
        if found < limit:
            break
        block *= 2
    if i > start:
        for market in range(len(prices)):
            points[PRICE][market] = prices[market][CLOSE][i - 1]
    return i


def quiet_until(
    prices: Columns, floats: Columns, ints: Columns, n: int, points: Columns, market: int, i: int, limit: int
) -> int:
    """Return the first candle from `i` on that may touch something on one market, or `limit`."""
    down, up = points[BELOW][market], points[ABOVE][market]
    for row in range(n):
        if ints[MARKET][row] != market:
            continue
        touch, level = ints[TOUCH][row], floats[LEVEL][row]
        if ints[FROM][row] > i:
            limit = min(limit, ints[FROM][row])
        elif touch == 0:
            return i
        elif ints[TRAIL][row] and abs(level) == _INF:  # an activation is met from the other side
            down, up = narrowed(-touch, floats[ACTIVATION][row], down, up)
        else:
            down, up = narrowed(touch, level, down, up)
    limit = within(prices[market], down, up, i, limit)
    for row in range(n):
        if ints[TRAIL][row] and ints[MARKET][row] == market and ints[FROM][row] <= i:
            limit = trail_quiet_until(prices, floats, ints, row, i, limit)
    return limit


def narrowed(touch: int, level: float, down: float, up: float) -> tuple[float, float]:
    """Return the nearest levels below and above, this one taken in."""
    if touch < 0:
        return max(down, level), up
    return down, min(up, level)


def within(candles: Columns, down: float, up: float, i: int, limit: int) -> int:
    """Return the first candle from `i` on that reaches `down` or `up`, or `limit`."""
    if down == -_INF and up == _INF:
        return limit
    high, low = candles[HIGH], candles[LOW]
    while i < limit and low[i] > down and high[i] < up:
        i += 1
    return i


def trail_quiet_until(prices: Columns, floats: Columns, ints: Columns, row: int, i: int, limit: int) -> int:
    """Return the first candle from `i` on in which an armed trail may fire, or `limit`. Writes no new peak."""
    if abs(floats[LEVEL][row]) == _INF:
        return limit
    selling = -ints[TOUCH][row]
    candles = prices[ints[MARKET][row]]
    best, worst = (candles[HIGH], candles[LOW]) if selling > 0 else (candles[LOW], candles[HIGH])
    peak = floats[PEAK][row]
    while i < limit:
        if selling * best[i] > selling * peak:
            peak = best[i]
        if selling * worst[i] <= trail_bound(floats, ints, row, peak) + 1e-9 * abs(peak):
            return i
        i += 1
    return limit


def best_of(prices: Columns, ints: Columns, row: int, i: int, end: int) -> float:
    """Return the highest high of candles i..end-1 for a selling trail, the lowest low for a buying one."""
    candles = prices[ints[MARKET][row]]
    selling = -ints[TOUCH][row]
    column = candles[HIGH] if selling > 0 else candles[LOW]
    best: float = column[i]
    for k in range(i + 1, end):
        if selling * column[k] > selling * best:
            best = column[k]
    return best


# --- looking back ---------------------------------------------------------------------------------------------------


def path_extremes(candles: Columns, from_i: int, from_leg: int, i: int, leg: int, price: float) -> tuple[float, float]:
    """Return the lowest and highest price of one market's path after one cursor and up to another, at `price`.

    Where nothing lies between them, that is `price`. `candles` are one market's columns; legs are the market's own:
    one more than the cursor's for a market that comes before the cursor's (it has walked that leg already).
    """
    lowest = highest = price
    k = from_i
    while k < i or (k == i and leg > BEFORE_OPEN):
        first = from_leg if k == from_i else 0
        last = LAST_LEG if k < i else leg - 1
        for point in range(first, last + 1):
            here = path_point(candles, k, point)
            lowest = min(lowest, here)
            highest = max(highest, here)
        k += 1
    return lowest, highest
