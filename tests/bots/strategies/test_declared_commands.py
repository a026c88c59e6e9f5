"""What scan, pair and adviser may be told: what is offered, and what is refused because it can't be done now."""

from __future__ import annotations

from typing import Any

import pytest
import test_adviser
import test_pair
import test_scan
from fake_engine import FakeEngine

from trading.core.commands import args_json, command_args, command_spec
from trading.core.errors import InvalidInput
from trading.core.types import Command

A, B = test_scan.A, test_scan.B


def tell(made: FakeEngine, kind: str, **args: Any) -> None:
    """Check and send a command as its service does."""
    spec = command_spec(made.strategy, kind)
    typed = command_args(spec, args)
    if spec.check:
        spec.check(typed, made.params, made.state, made.view(()))
    made.inbox.append(Command(kind, args_json(typed)))
    made.rest()


def refused(made: FakeEngine, kind: str, **args: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        tell(made, kind, **args)
    return caught.value


def options(made: FakeEngine, kind: str) -> Any:
    offer = command_spec(made.strategy, kind).options
    assert offer
    assert offer(made.params, None) == {name: {} for name in offer(made.params, made.state)}
    return offer(made.params, made.state)


def test_a_scan_closes_the_deals_that_are_open():
    made = test_scan.meets(test_scan.engine(), A, B)
    made.rest()
    assert options(made, "close") == {"market": {A: A, B: B}}
    fault = refused(made, "close", market="CCC/USDT")
    assert (fault.field, fault.message) == ("market", f"No deal is open on CCC/USDT; open are {A}, {B}.")
    tell(made, "close", market=A)
    assert test_scan.held(made) == [B]
    tell(made, "close")
    assert test_scan.held(made) == []
    assert refused(made, "close").message == "No deal is open."


def test_a_pair_is_closed_while_it_is_open():
    made = test_pair.engine()
    assert refused(made, "close").message == "The pair isn't open: there is nothing to close."
    made = test_pair.opened()
    tell(made, "close")
    assert test_pair.held(made) == (0, 0)
    assert refused(made, "close").code == "wrong_state"


def test_an_advised_bot_sells_what_it_holds():
    made = test_adviser.holding()
    tell(made, "close")
    assert made.base == 0
    assert "nothing to sell" in refused(made, "close").message


def test_what_is_told_before_the_first_decision_is_refused_in_words():
    for made in (test_scan.engine(), test_pair.engine(), test_adviser.engine()):
        made.state = None
        assert refused(made, "close").code == "wrong_state"
