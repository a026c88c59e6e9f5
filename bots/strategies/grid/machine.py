"""The grid's state machine: what each cell does with what happened to its orders.

One `Machine` is a working copy for one decision: it reads the inbox, touches only the cells named there, and leaves the
other wants as they are, so that a decision costs about the same with 10 cells as with 500.
"""

from __future__ import annotations

from bots.strategies.desk import REFUSALS, RETRY_EXIT_MS, RETRY_MOST_MS, RETRY_MS
from bots.strategies.grid.state import (
    BOUGHT,
    BUY,
    BUY_GEN,
    BUY_PARKED,
    CLOSE,
    DUE,
    FLAGS,
    HELD,
    OPEN,
    REFUSED,
    SELL,
    SELL_GEN,
    SELL_PARKED,
    SELLING,
    WAIT,
    Cell,
    State,
    buy_slot,
    cell_of,
    lots_of,
    qty_of,
    sell_slot,
)
from trading.core.types import Closed, Command, Denied, Filled, Kind, Side, SlotStatus, View, Want


class Machine:
    """A working copy of the state and the orders; `state` and `orders` are what the decision answers."""

    __slots__ = ("cells", "commands", "everything", "orders", "previous", "state", "touched", "unit", "view")

    def __init__(self, state: State, view: View) -> None:
        self.state = state.copy()
        self.cells: list[Cell] = self.state["cells"].copy()
        self.state["cells"] = self.cells
        self.unit: list[int] = state["unit"]
        self.view = view
        self.previous = view.orders
        self.orders = dict(view.orders)
        self.touched: dict[int, Cell] = {}
        self.commands: set[str] = set()
        self.everything = False  # look at all cells, not just at those that something happened to

    # --- the inbox

    def read(self) -> None:
        """Take in everything that happened, in order; wants nothing yet."""
        for item in self.view.inbox:
            if isinstance(item, Filled):
                self._filled(item)
            elif isinstance(item, Closed):
                self._closed(item)
            elif isinstance(item, Command):
                self.commands.add(item.kind)
            elif isinstance(item, Denied) and item.slot == OPEN:
                self._later()  # the engine asks again; from time to time we look whether less would do

    def _cell(self, index: int) -> Cell:
        cell = self.touched.get(index)
        if cell is None:
            cell = self.touched[index] = self.cells[index] = self.cells[index].copy()
        return cell

    def _index(self, slot: str) -> tuple[int, bool]:
        """Return a slot's cell and whether it is its buy; -1 for a cell that an edit took away."""
        index, is_buy = cell_of(slot)
        return (index if index < len(self.cells) else -1), is_buy

    def _filled(self, item: Filled) -> None:
        lots = lots_of(item.qty, self.unit)
        if not item.slot.startswith("grid:"):
            return
        self.state["retries"] = 0
        if item.slot in (OPEN, CLOSE):
            self.state["reserve"] += lots if item.side is Side.BUY else -lots
            return
        index, is_buy = self._index(item.slot)
        if index < 0:
            self.state["reserve"] += lots if is_buy else -lots
            return
        cell = self._cell(index)
        if is_buy:
            cell[HELD] += lots
            if item.gen == cell[BUY_GEN]:
                cell[BOUGHT] += lots
                if cell[FLAGS] & DUE and cell[BOUGHT] >= 0:
                    cell[FLAGS] &= ~DUE
            return
        cell[SELLING] -= lots
        if cell[SELLING] < 0:  # sold by an order that we had given up: it was paid from what the cell holds
            cell[HELD] += cell[SELLING]
            cell[SELLING] = 0

    def _closed(self, item: Closed) -> None:
        if not item.slot.startswith("grid:"):
            return
        last = self.previous.get(item.slot)
        by_us = last is None or last.gen != item.gen
        if item.slot in (OPEN, CLOSE):
            self._shot_closed(item, by_us)
            return
        index, is_buy = self._index(item.slot)
        if index < 0 or self.cells[index][BUY_GEN if is_buy else SELL_GEN] != item.gen:
            return
        cell = self._cell(index)
        live, parked = (BUY, BUY_PARKED) if is_buy else (SELL, SELL_PARKED)
        if not cell[FLAGS] & live:
            return
        cell[FLAGS] &= ~live
        self.orders.pop(item.slot, None)
        filled = lots_of(item.filled_qty, self.unit)
        if is_buy:
            cell[BOUGHT] -= filled
            if cell[BOUGHT] < 0:
                cell[FLAGS] |= DUE
        else:
            self._unsold(item, cell, filled)
        if item.why in REFUSALS:
            cell[FLAGS] |= REFUSED
            self._later()
        elif item.why not in ("filled", "replaced") and not by_us:
            cell[FLAGS] |= parked

    def _unsold(self, item: Closed, cell: Cell, filled: int) -> None:
        """Return what a sell left over to what the cell holds; fills that we weren't told yet stay on sale."""
        known = self.view.slots.get(item.slot)
        back = cell[SELLING]
        if known is not None and known.gen == item.gen:
            back = min(back, max(0, lots_of(known.want.qty, self.unit) - filled))
        cell[SELLING] -= back
        cell[HELD] += back

    def _shot_closed(self, item: Closed, by_us: bool) -> None:
        """Take in the end of the opening buy or of the exit."""
        key = "open" if item.slot == OPEN else "exit"
        gen, live, parked = self.state[key]
        if item.gen != gen or not live:
            return
        self.orders.pop(item.slot, None)
        self.everything = True
        if item.why in REFUSALS:
            self._later(RETRY_MS if key == "open" else RETRY_EXIT_MS)
        elif item.why not in ("filled", "replaced") and not by_us:
            parked = 1
        self.state[key] = [gen, 0, parked]

    def _later(self, delay_ms: int = RETRY_MS) -> None:
        retries = self.state["retries"]
        self.state["retry_at"] = self.view.now_ms + min(delay_ms << min(retries, 10), RETRY_MOST_MS)
        self.state["retries"] = retries + 1

    # --- what is wanted

    def settle(self) -> None:
        """Want what the cells need next: those that something happened to, or all of them, the nearest buys first."""
        if self.state["reserve"] >= self.state["lots"]:
            self.share_out()
        if not self.everything:
            for index in tuple(self.touched):
                self._settle(index)
            return
        self.reopen()
        empty = [index for index, cell in enumerate(self.cells) if not cell[HELD]]
        held = [index for index, cell in enumerate(self.cells) if cell[HELD]]
        for index in (*reversed(empty), *held):
            self._settle(index)

    def unblock(self, flags: int) -> None:
        """Take these flags off every cell, and off the opening buy and the exit what parks them."""
        for index, cell in enumerate(self.cells):
            if cell[FLAGS] & flags:
                self._cell(index)[FLAGS] &= ~flags
        if flags & (BUY_PARKED | SELL_PARKED):
            self.state["open"] = [*self.state["open"][:2], 0]
            self.state["exit"] = [*self.state["exit"][:2], 0]

    def _settle(self, index: int) -> None:
        cell = self._cell(index)
        flags = cell[FLAGS]
        if flags & SELL:
            if not cell[HELD] or flags & (BUY | DUE):
                return
            self._withdraw(sell_slot(index))  # sold again, with what came in meanwhile, once it has ended
            flags = cell[FLAGS]
            if flags & SELL:
                return
        if flags & (WAIT | REFUSED | SELL_PARKED):
            return
        if cell[HELD] >= self.state["min"]:
            self._sell(index, cell)
        elif not flags & (BUY | DUE | BUY_PARKED) and not cell[SELLING]:
            self._buy(index, cell)

    def _buy(self, index: int, cell: Cell) -> None:
        lots = max(self.state["lots"] - cell[HELD], self.state["min"])
        cell[FLAGS] |= BUY
        cell[BOUGHT] = 0
        cell[BUY_GEN] += 1
        qty, price = qty_of(lots, self.unit), self.state["buy"][index]
        self.orders[buy_slot(index)] = Want("main", Side.BUY, Kind.LIMIT, qty, price, gen=cell[BUY_GEN])

    def _sell(self, index: int, cell: Cell) -> None:
        cell[FLAGS] |= SELL
        cell[SELLING] += cell[HELD]
        cell[SELL_GEN] += 1
        qty, price = qty_of(cell[HELD], self.unit), self.state["sell"][index]
        cell[HELD] = 0
        self.orders[sell_slot(index)] = Want("main", Side.SELL, Kind.LIMIT, qty, price, gen=cell[SELL_GEN])

    # --- the opening buy

    def waiting(self) -> list[int]:
        """Return the cells that wait for their share of the opening buy, the lowest first."""
        return [index for index, cell in enumerate(self.cells) if cell[FLAGS] & WAIT]

    def share_out(self) -> None:
        """Give the reserve to the cells that wait for it, a whole cell at a time, the lowest first."""
        lots = self.state["lots"]
        for index in self.waiting():
            if self.state["reserve"] < lots:
                return
            self._give(index, lots)

    def share_surplus(self) -> None:
        """Spread over the held cells what is more than they need; with none held it stays in reserve."""
        held = [index for index, cell in enumerate(self.cells) if cell[HELD]]
        if held and not self.waiting():
            each, rest = divmod(self.state["reserve"], len(held))
            for number, index in enumerate(held):
                self._give(index, each + (1 if number < rest else 0))

    def reopen(self) -> None:
        """Want what the waiting cells still lack, at market; a cell whose sell line has been passed buys its line."""
        gen, live, parked = self.state["open"]
        denied = bool(live) and not self._placed(OPEN, gen)
        if parked or self.state["retry_at"] or (live and not denied):
            return
        last = self.view.markets["main"].last
        for index in self.waiting():
            if self.state["sell"][index] <= last:
                self._cell(index)[FLAGS] &= ~WAIT
        waiting = self.waiting()
        missing = len(waiting) * self.state["lots"] - self.state["reserve"]
        if denied:
            self._later()
            missing = min(missing, self._affordable(last)) or missing
            if missing == lots_of(self.orders[OPEN].qty, self.unit):
                return
            self._withdraw(OPEN)
        if missing >= self.state["min"]:
            self.state["open"] = [gen + 1, 1, 0]
            self.orders[OPEN] = Want("main", Side.BUY, Kind.MARKET, qty_of(missing, self.unit), gen=gen + 1, tag="open")
            return
        for index in waiting:  # too little is missing for an order: the last cell makes do with the rest
            self._give(index, max(0, min(self.state["lots"], self.state["reserve"])))

    def _affordable(self, last: float) -> int:
        """Return the lots of as many whole cells as the free budget buys at this price."""
        market = self.view.markets["main"]
        free = self.view.budget.get(market.rules.quote, 0.0)
        lots: int = self.state["lots"]
        return int(free / (qty_of(lots, self.unit) * last * (1 + market.fees.taker))) * lots

    def _give(self, index: int, lots: int) -> None:
        cell = self._cell(index)
        cell[FLAGS] &= ~WAIT
        cell[HELD] += lots
        self.state["reserve"] -= lots

    # --- beginnings and ends

    def withdraw_all(self) -> None:
        """Want nothing any more, except an exit that is under way."""
        for slot in tuple(self.orders):
            if slot != CLOSE:
                self._withdraw(slot)

    def _withdraw(self, slot: str) -> None:
        """Stop wanting an order. One that never got past the risk gate has ended with that; nothing will tell us."""
        want = self.orders.pop(slot, None)
        if want is None or self._placed(slot, want.gen):
            return
        if slot == OPEN:
            self.state["open"] = [self.state["open"][0], 0, 0]
            return
        index, is_buy = self._index(slot)
        cell = self._cell(index)
        cell[FLAGS] &= ~(BUY if is_buy else SELL)
        if not is_buy:
            cell[HELD] += cell[SELLING]
            cell[SELLING] = 0

    def _placed(self, slot: str, gen: int) -> bool:
        """Say whether this generation got past the risk gate."""
        known = self.view.slots.get(slot)
        return known is not None and known.gen == gen and known.status not in (SlotStatus.DENIED, SlotStatus.NONE)

    def in_flight(self) -> bool:
        """Say whether any order may still be working."""
        if self.state["open"][1] or self.state["exit"][1]:
            return True
        return any(cell[FLAGS] & (BUY | SELL) for cell in self.cells)

    def begin(self) -> None:
        """Start from a state that has just been laid out: forget all orders and want the first ones."""
        self.cells, self.unit = self.state["cells"], self.state["unit"]
        self.orders, self.touched, self.everything = {}, {}, True
        self.share_out()
        self.share_surplus()
        self.settle()

    def collect(self) -> None:
        """Move what the cells hold into the reserve, to be sold as one."""
        for index, cell in enumerate(self.cells):
            if cell[HELD]:
                self.state["reserve"] += cell[HELD]
                self._cell(index)[HELD] = 0
