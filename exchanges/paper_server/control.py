"""What only the control key may do: play faults, act as somebody else on an account, and say what a price is."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, TypeAdapter

from exchanges.adapters.paperwire.parse import Unreadable, read
from exchanges.demo import SOURCE, wall_now_ms
from exchanges.models import Market
from exchanges.paper_server.calls import do_call
from exchanges.paper_server.faults import RULES, Faults
from exchanges.paper_server.gate import Refused, account_of
from exchanges.paper_server.walker import Board, Walker
from trading.core.types import Bar


class Act(BaseModel):
    """A call on an account that its platform knows nothing of: a person at the venue's own screen."""

    model_config = ConfigDict(extra="forbid")

    account: str
    call: str
    body: str  # JSON, as the call has it


class Price(BaseModel):
    """One bar of one market, walked over the book as if the feed had brought it."""

    model_config = ConfigDict(extra="forbid")

    symbol: str
    open: float
    high: float
    low: float
    close: float
    ts_ms: int
    volume: float = 0.0


_ACT, _PRICE = TypeAdapter(Act), TypeAdapter(Price)


class Control:
    def __init__(self, faults: Faults, walker: Walker, board: Board) -> None:
        self._faults, self._walker, self._board = faults, walker, board
        self._verbs: dict[str, Callable[[bytes], bytes]] = {
            "faults": self._add,
            "clear": self._clear,
            "act": self._act,
            "price": self._price,
        }

    def do(self, verb: str, body: bytes) -> bytes:
        """Do one of them. Raises Refused."""
        if verb not in self._verbs:
            raise Refused(404, "call", f"control knows no {verb}")
        try:
            return self._verbs[verb](body)
        except Unreadable as error:
            raise Refused(400, "malformed", str(error)) from error

    def _add(self, body: bytes) -> bytes:
        rules = read(RULES, body)
        self._faults.add(rules)
        return b"[]"

    def _clear(self, body: bytes) -> bytes:
        self._faults.clear()
        return b"[]"

    def _act(self, body: bytes) -> bytes:
        act = read(_ACT, body)
        answer = do_call(account_of(act.account), act.call, act.body.encode())
        self._board.ring()
        return answer

    def _price(self, body: bytes) -> bytes:
        price = read(_PRICE, body)
        market = Market.objects.filter(source=SOURCE, symbol=price.symbol).first()
        if market is None:
            raise Refused(404, "market", f"there is no market {price.symbol}")
        bar = Bar(price.ts_ms, price.open, price.high, price.low, price.close, price.volume)
        self._walker.before({market.pk})
        self._walker.on_bar(market, bar, (), received_ms=wall_now_ms(), catching_up=False)
        return b"[]"
