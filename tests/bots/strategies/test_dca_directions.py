"""Long and short on one perpetual: a deal keeps its direction, and no two ever net."""

from __future__ import annotations

import pytest
from dca_builders import BASE, MINUTE, SWAP, deal, engine, resting
from fake_engine import FakeEngine

from bots.strategies.dca.params import DcaParams
from bots.strategies.dca.strategy import Dca
from trading.core.errors import InvalidInput
from trading.core.types import Command


def turned(made: FakeEngine, direction: str = "short", **changes: object) -> FakeEngine:
    made.edit(DcaParams.model_validate({**BASE, "direction": direction, **changes}))
    made.settle()
    return made


def started_again(made: FakeEngine) -> FakeEngine:
    for slot in made.working():
        made.close(slot, "stopping")
    made.inbox = [Command("start")]  # the ends were never told: the bot was stopped
    made.settle()
    return made


def test_a_start_after_a_change_of_direction_leaves_an_open_deal_its_coins():
    made = started_again(turned(engine(rules=SWAP, stop_loss_percent=20), stop_loss_percent=20))
    assert (deal(made)["qty"], deal(made)["long"], deal(made)["ending"]) == (1.0, 1, "")
    assert resting(made)["deal:1:exit"] == ("sell", 101.0, 1.0)
    assert [(wake.level, wake.above) for wake in made.wake.prices] == [(80.0, False)]
    made.walk(101.0)
    made.tick(MINUTE)
    made.rest()
    assert made.base == -1.0


def test_a_position_that_a_lost_state_leaves_is_closed_in_its_own_direction():
    made = turned(engine(rules=SWAP))
    made.state, made.orders = None, {}
    started_again(made)
    assert resting(made) == {"deal:1:exit": ("sell", 101.0, 1.0)}
    assert deal(made)["long"] == 1


def test_a_start_that_finds_less_takes_it_from_what_was_kept_first():
    made = engine(max_active_deals=2)
    made.tick(MINUTE)
    made.rest()
    made.inbox.append(Command("cancel_deal", {"deal": "1"}))
    made.settle()
    assert (made.base, made.state["kept"]) == (2.0, 1.0)
    made.base = 1.0  # a person has sold what was kept
    started_again(made)
    assert (deal(made, "2")["qty"], made.state["kept"]) == (1.0, 0.0)


def test_a_position_on_the_other_side_leaves_its_deals_and_stands_in_the_way():
    made = engine(rules=SWAP)
    made.first.book(-1, 3.0, 100.0)  # a person has sold more than the deal had
    started_again(made)
    assert (made.state["deals"], made.state["kept"]) == ({}, -2.0)
    made.inbox.append(Command("resume"))
    made.tick(MINUTE)
    made.decide(explain=True)
    assert made.orders == {}


def kept_long() -> FakeEngine:
    """A bot that gave up a long deal of 1 and was told to go short."""
    made = engine(rules=SWAP)
    made.inbox.append(Command("cancel_deal", {"deal": "1"}))
    made.settle()
    assert (made.base, made.state["kept"]) == (1.0, 1.0)
    turned(made)
    made.tick(MINUTE)
    return made


def test_no_deal_starts_against_coins_that_were_kept():
    made = kept_long()
    made.rest()
    made.decide(explain=True)
    assert (made.base, made.orders) == (1.0, {})
    [note] = made.notes
    assert note.code == "dca.kept"
    assert "1 BTC long are held" in note.text
    assert "choose long again" in note.text


def test_a_start_by_command_against_them_is_refused_with_the_reason():
    made = kept_long()
    spec = Dca.commands["signal"]
    with pytest.raises(InvalidInput, match="Close them, or choose long again"):
        spec.check(None, made.params, made.state, made.view(()))


def test_once_they_are_closed_the_other_side_starts():
    made = kept_long()
    made.first.book(-1, 1.0, 100.0)
    made.tick(60 * MINUTE)
    made.rest()
    assert made.base == -1.0
    assert resting(made)["deal:1:exit"] == ("buy", 99.0, 1.0)
    made.walk(99.0)
    assert (made.base, made.state["deals"]) == (0.0, {})


def test_coins_kept_on_the_same_side_or_as_dust_stand_in_nobodys_way():
    made = turned(kept_long(), "long")
    made.rest()
    assert made.base == 2.0
    dust = kept_long()
    dust.base, dust.first.cost, dust.state["kept"] = 0.0005, 0.05, 0.0005
    dust.tick(60 * MINUTE)
    dust.rest()
    assert dust.base == pytest.approx(-0.9995)
