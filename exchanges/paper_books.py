"""The paper venue's books: wallets, positions, orders, and what one transaction does to them.

Everything here runs inside a transaction that holds the lock of its accounts (`lock_accounts`), so that the numbers
of executions rise in the order in which they become visible, and no two writers see the same free coins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from decimal import Context, Decimal

from accounts.models import Account
from exchanges import paper_log
from exchanges.models import Market, PaperExecution, PaperOrder, PaperPosition, PaperWallet
from exchanges.paper_positions import Positions, reducible
from trading.core.perps import initial_margin
from trading.core.rounding import fee_of, notional
from trading.core.types import Kind, Side, Tif

ZERO = Decimal(0)
EVERYWHERE = 1e308  # `below` of an order that any next price concerns
IMMEDIATE = (Tif.IOC, Tif.FOK)
_EXACT = Context(prec=60)  # the default one rounds to 28 digits, less than a stored amount may have
_CHANGING = ["status", "reason", "locked", "filled_qty", "maker", "triggered", "below", "above", "seq"]

# How often each market's book changed in this process: a lock-step walk reads it to know when to look again.
book_changes: Counter[int] = Counter()


def lock_accounts(account_ids: Collection[int]) -> None:
    """Make this transaction the only writer of these accounts' books; always in the same order, so without deadlock."""
    list(Account.objects.select_for_update(no_key=True).filter(pk__in=account_ids).order_by("pk").values_list("pk"))


class Wallets:
    """The wallets of some accounts while their lock is held; `save` writes what changed."""

    def __init__(self, account_ids: Collection[int]) -> None:
        rows = PaperWallet.objects.filter(account__in=account_ids)
        self._rows = {(row.account_id, row.coin): row for row in rows}
        self._changed: set[tuple[int, str]] = set()

    def _row(self, account_id: int, coin: str) -> PaperWallet:
        key = (account_id, coin)
        if key not in self._rows:
            self._rows[key] = PaperWallet(account_id=account_id, coin=coin, total=ZERO, locked=ZERO)
        return self._rows[key]

    def free(self, account_id: int, coin: str) -> Decimal:
        row = self._row(account_id, coin)
        return _EXACT.subtract(row.total, row.locked)

    def move(self, account_id: int, coin: str, *, total: Decimal = ZERO, locked: Decimal = ZERO) -> None:
        """Add to the total and to the locked part; both may be negative."""
        row = self._row(account_id, coin)
        row.total = _EXACT.add(row.total, total)
        row.locked = _EXACT.add(row.locked, locked)
        self._changed.add((account_id, coin))

    def save(self) -> None:
        changed = [self._rows[key] for key in sorted(self._changed)]
        PaperWallet.objects.bulk_create([row for row in changed if row._state.adding])
        PaperWallet.objects.bulk_update([row for row in changed if not row._state.adding], ["total", "locked"], 200)
        self._changed.clear()


class Books:
    """What one transaction does to some accounts' books on some markets; `save` writes all of it."""

    def __init__(self, account_ids: Collection[int], markets: Collection[Market]) -> None:
        self.wallets = Wallets(account_ids)
        self.positions = Positions(account_ids, markets)
        self.executions: list[PaperExecution] = []
        self._changed: dict[int, PaperOrder] = {}
        self._liquidations: list[PaperOrder] = []
        self._places: dict[int, int] = {}

    def touch(self, order: PaperOrder) -> None:
        """Have this order's row written by `save`."""
        self._changed[order.pk] = order
        book_changes[order.market_id] += 1

    def lock(self, order: PaperOrder, coin: str, amount: Decimal) -> None:
        """Let a working order lock `amount` of `coin` in place of what it had locked."""
        if order.locked:
            self.wallets.move(order.account_id, order.lock_coin, locked=order.locked.copy_negate())
        if amount:
            self.wallets.move(order.account_id, coin, locked=amount)
        order.lock_coin, order.locked = coin, amount

    def place_last(self, account_id: int, newest: int) -> int:
        """Return a place behind all orders of an account, whose newest in the database is `newest`."""
        place = max(newest, self._places.get(account_id, 0)) + 1
        self._places[account_id] = place
        return place

    def close(self, order: PaperOrder, status: str, reason: str = "") -> None:
        """End a working order and free what it had locked."""
        self.lock(order, order.lock_coin, ZERO)
        order.status, order.reason = status, reason
        self.touch(order)

    def add_liquidation(self, order: PaperOrder, execution: PaperExecution) -> None:
        """Book a liquidation under an order of the venue's own."""
        self._liquidations.append(order)
        self.executions.append(execution)

    @property
    def changes(self) -> int:
        """How many orders ended, filled or were changed; liquidations and funding count too."""
        return len(self._changed) + len(self._liquidations) + self.positions.payments

    def save(self) -> None:
        PaperOrder.objects.bulk_create(self._liquidations)
        save_orders(self._changed.values())
        self.wallets.save()
        payments = self.positions.save()
        PaperExecution.objects.bulk_create(self.executions)
        paper_log.booked(self._changed.values(), self.executions, payments)


def save_orders(orders: Iterable[PaperOrder]) -> None:
    rows = list(orders)
    if len(rows) == 1:
        rows[0].save(update_fields=_CHANGING)
    else:
        PaperOrder.objects.bulk_update(rows, _CHANGING, 200)


def fee_rate(market: Market, *, maker: bool) -> Decimal:
    rate: Decimal = market.maker_fee if maker else market.taker_fee
    return rate


def funds_for(
    market: Market, order: PaperOrder, qty: Decimal, price: Decimal | None, position: PaperPosition | None
) -> tuple[str, Decimal]:
    """Return the coin and amount that an order for `qty` locks at `price`.

    Spot: its cost with the fee, or the coins it sells. A perpetual: margin and fee of what goes beyond closing the
    position; closing pays for itself.
    """
    side = Side(order.side)
    if position is None and side is Side.SELL:
        return market.base, qty
    if price is None:
        return market.quote, ZERO
    rate = fee_rate(market, maker=order.maker)
    if position is None:
        return market.quote, _EXACT.add(notional(qty, price), fee_of(qty, price, rate))
    opening = ZERO if order.reduce else _EXACT.subtract(qty, min(qty, reducible(position, side)))
    if not opening:
        return market.quote, ZERO
    return market.quote, _EXACT.add(initial_margin(opening, price, order.leverage), fee_of(opening, price, rate))


def own_price(order: PaperOrder) -> Decimal | None:
    """Return the price that an order names, None for one that fills wherever the market stands."""
    if order.kind in (Kind.LIMIT, Kind.STOP_LIMIT):
        price: Decimal | None = order.price
        return price
    trigger: Decimal | None = order.trigger
    return trigger


def acts_as(order: PaperOrder) -> Kind:
    """Return how the path meets an order now: a triggered stop-limit rests as a limit."""
    return Kind.LIMIT if order.triggered else Kind(order.kind)


def is_immediate(order: PaperOrder) -> bool:
    """Say whether an order fills where the market stands or ends there."""
    return order.tif in IMMEDIATE and acts_as(order) is Kind.LIMIT


def set_range(order: PaperOrder, touch: int, level: float, last: float | None = None) -> None:
    """Index where the walk can touch an order that is placed, amended or triggered while the market stands at `last`.

    An unarmed trail is first met at its activation, from the other side. One that was armed stays so.
    """
    if order.kind == Kind.TRAILING:
        start = order.activation
        armed = start is None or order.below == EVERYWHERE or (last is not None and (last - start) * touch <= 0)
        touch, level = (0, 0.0) if start is None or armed else (-touch, start)
    if touch == 0 or is_immediate(order):
        order.below, order.above = EVERYWHERE, None
    else:
        order.below, order.above = (level, None) if touch < 0 else (None, level)
