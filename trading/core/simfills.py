"""What the market makes of the orders of a simulated bot: they fill, trigger, are clipped, end, and it is told."""

from __future__ import annotations

from decimal import Decimal

from trading.core.book import Book, BookMarket, Resting
from trading.core.candles import Floats, Ints
from trading.core.desk import Sized
from trading.core.ids import LIQUIDATION
from trading.core.rounding import notional, to_decimal, to_float
from trading.core.simgate import Gate
from trading.core.types import Closed, Filled, Kind, Side, SlotStatus, SlotView, Tif, Want
from trading.core.wants import ONE_SHOT

LIQUIDATED = "liquidated by the venue"
SHORT = "insufficient funds at the price it would fill at"
NOTHING_TO_REDUCE = "there is no position left to reduce"

# candle, market, slot, generation, side (+1 buy, -1 sell), price, quantity, tag
Fill = tuple[int, int, str, int, int, float, float, str]


class Outcomes(Gate):
    """Slots and book of one bot, and what has filled."""

    def __init__(self, book: Book, points: Floats, ts: Ints) -> None:
        super().__init__(book, points)
        self.fills: list[Fill] = []
        self.spared: dict[int, Decimal] = {}  # by fill: the part of its fee that the account couldn't pay
        self.placed = 0
        self._ts = ts
        self._margined = any(not market.position.spot for market in book.markets)
        self._resting: dict[str, Want] = {}  # the wants that the last decision answered and that haven't ended
        self._liquidations = 0

    def touched(self, order: Resting, price: float, i: int) -> None:
        """The path stands at an order: fill it, or as much of it as there is."""
        sized, want = order.sized, order.want
        if order.pending:
            if want.kind is Kind.STOP_LIMIT:
                self.book.rest_as_limit(order)
                return
            touch = -1 if want.side is Side.BUY else 1
            if want.kind is Kind.LIMIT and (price - sized.limit) * touch < 0:
                self.end(order, "remainder")
                return
        market = order.market
        if order.reduces:
            sized = self._reducible(order)
            if sized.qty <= 0:
                self._end_exit(order)
                return
        if market.desk.whole:
            self._fill(order, sized, price, i)
            return
        self._fill_part(order, sized, price, i)

    def _fill_part(self, order: Resting, sized: Sized, price: float, i: int) -> None:
        """Fill an order as far as the candle's volume goes."""
        want, market = order.want, order.market
        part = market.desk.fillable(want, sized, market.candles.volume, i)
        if part is not None and part < sized.qty:
            if want.tif is Tif.FOK or (not part and want.tif is Tif.IOC):
                self.end(order, "remainder")
                return
            if not part:
                self.book.wait(order, i)
                return
            sized = market.desk.with_qty(sized, part)
        self._fill(order, sized, market.desk.paid(want, sized, price), i)
        if sized is not order.sized and want.tif is Tif.IOC and order.slot in self.book.by_slot:
            self.end(order, "remainder")

    def _fill(self, order: Resting, sized: Sized, price: float, i: int) -> None:
        whole = sized is order.sized
        slot, want, qty = order.slot, order.want, sized.qty_float
        fee = self.book.fill(order, sized, price, i)
        if fee is None:
            self._closed(order, "rejected", SHORT)
            return
        side = 1 if want.side is Side.BUY else -1
        self.fills.append((i, order.market.index, slot, want.gen, side, price, qty, want.tag))
        if self._margined:
            self._spare(order.market)
        total, avg = qty, price
        if order.filled or not whole:
            order.filled += sized.qty
            order.value += notional(sized.qty, to_decimal(price))
            total, avg = to_float(order.filled), to_float(order.value / order.filled)
        self.news = True
        self.inbox.append(Filled(slot, want.gen, want.side, qty, price, fee, total, int(self._ts[i])))
        if whole:
            self._resting.pop(slot, None)
            self.slots[slot] = SlotView(want.gen, want, SlotStatus.FILLED, total, avg)
            self.inbox.append(Closed(slot, want.gen, "filled", total))
        else:
            self.slots[slot] = SlotView(want.gen, want, SlotStatus.WORKING, total, avg)
        if self._margined:
            self._end_exits(order.market)

    def _reducible(self, order: Resting) -> Sized:
        """Return what is left of an exit, and no more than there is to reduce."""
        position, sized = order.market.margined, order.sized
        room = sized.qty if position is None else position.exit_room(order.want.side)
        return order.market.desk.with_qty(sized, room) if room < sized.qty else sized

    def _end_exits(self, market: BookMarket) -> None:
        """End the exits that have nothing left to reduce, as a venue does."""
        exits = [o for o in self.book.by_slot.values() if o.reduces and o.market is market]
        over = [order for order in exits if self._reducible(order).qty <= 0]
        for order in sorted(over, key=lambda o: self.book.place_of(o.slot)):
            self._end_exit(order)

    def _end_exit(self, order: Resting) -> None:
        self.book.remove(order)
        self._closed(order, "remainder" if order.want.tif in ONE_SHOT else "rejected", NOTHING_TO_REDUCE)

    def _spare(self, market: BookMarket) -> None:
        """Note what the last fill's fee was short of."""
        position = market.margined
        if position is not None and position.spared:
            self.spared[len(self.fills) - 1] = position.spared

    def end(self, order: Resting, why: str) -> None:
        """Take an order off the book otherwise than by filling what is left of it."""
        self.book.remove(order)
        self._closed(order, why, why)

    def _closed(self, order: Resting, why: str, reason: str) -> None:
        slot, want = order.slot, order.want
        known = self.slots[slot]
        status = SlotStatus.FILLED if why == "filled" else SlotStatus.CLOSED
        self._resting.pop(slot, None)
        self.slots[slot] = SlotView(want.gen, want, status, known.filled_qty, known.avg_price, reason)
        self.tell(Closed(slot, want.gen, why, known.filled_qty))

    def cancel_by_hand(self, slot: str) -> None:
        """A person cancels the order of a slot, if one is there."""
        if slot in self.book.by_slot:
            self.end(self.book.by_slot[slot], "cancelled")

    def expire(self, i: int) -> None:
        """End what expires at the open of candle `i` or before."""
        due = [slot for slot, candle in self.book.expiring.items() if candle <= i]
        for slot in sorted(due, key=self.book.place_of):
            self.end(self.book.by_slot[slot], "expired")

    def liquidate(self, market: BookMarket, i: int) -> None:
        """The venue takes a position over and closes it where its margin ends; what would have reduced it ends next."""
        position = market.margined
        if position is None or not position.qty:
            return
        exits = [o for o in self.book.by_slot.values() if o.market is market and o.reduces]
        self._liquidations += 1
        price = to_float(position.levels().bankruptcy)
        qty, side = abs(position.qty), Side.SELL if position.qty > 0 else Side.BUY
        want = Want(market.alias, side, Kind.MARKET, to_float(qty), gen=self._liquidations, reduce=True)
        sized = market.desk.with_qty(market.desk.size(want, price), qty)
        free = self.book.free
        fee = position.book(free, side, sized, price, free[self.book.quote], position.leverage) or 0.0
        self.book.watch_liquidation(market)
        sign, closed = 1 if side is Side.BUY else -1, sized.qty_float
        self.fills.append((i, market.index, LIQUIDATION, want.gen, sign, price, closed, ""))
        self._spare(market)
        self.slots[LIQUIDATION] = SlotView(want.gen, want, SlotStatus.FILLED, closed, price, LIQUIDATED)
        self.tell(Filled(LIQUIDATION, want.gen, side, closed, price, fee, closed, int(self._ts[i])))
        self.tell(Closed(LIQUIDATION, want.gen, "liquidated", closed))
        for order in sorted(exits, key=lambda o: self.book.place_of(o.slot)):
            self.end(order, "liquidated")
