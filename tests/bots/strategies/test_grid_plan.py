"""The grid's arithmetic: golden figures, spacing, the empty line, rounding, and that a grid never costs too much."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from fake_engine import FakeEngine
from fake_market import FakeMarket
from hypothesis import given
from hypothesis import strategies as st

from bots.strategies.grid.params import GridParams
from bots.strategies.grid.plan import GridPlan, make_plan
from bots.strategies.grid.preview import preview
from bots.strategies.grid.strategy import Grid
from trading.core.errors import InvalidInput
from trading.core.previews import MarketFacts, Preview
from trading.core.rounding import price_to_tick, qty_to_lot
from trading.core.types import Fees, MarketRules, Perpetual, Side

RULES = MarketRules("BTC", "USDT", Decimal("0.01"), Decimal("0.00000001"), Decimal("0.00001"), Decimal(5))
GOLDEN = {"lower": 95_500, "upper": 99_000, "levels": 13, "investment": 25_000}


def params(**changes: object) -> GridParams:
    given_values = {**GOLDEN, **changes}
    return GridParams(**{key: value for key, value in given_values.items() if value is not None})


def plan_at(price: float, rules: MarketRules = RULES, **changes: object) -> GridPlan:
    return make_plan(params(**changes), price, rules, Fees())


def figures(shown: Preview) -> dict[str, Decimal]:
    return {figure.key: figure.value for figure in shown.figures}


def cents(value: Decimal) -> str:
    return f"{value:.2f}"


# --- golden figures


def test_the_settled_example_gives_its_figures():
    shown = preview(params(), 97_250.0, RULES, Fees())
    got = figures(shown)
    assert cents(got["step_min"]) == cents(got["step_max"]) == "291.67"
    assert got["quantity"] == Decimal("0.02151396")
    assert cents(got["gross_min"]) == "6.27"
    assert cents(got["net_min"]) == "2.02"
    assert cents(got["net_max"]) == "2.16"
    assert shown.funds == {"USDT": Decimal("25125")}
    assert got["cells"] == 12
    assert got["base_at_start"] == 6 * Decimal("0.02151396")
    assert got["break_even_step_ratio"] == Decimal("0.002002")


def test_the_settled_example_is_cheapest_at_the_top_and_best_at_the_bottom():
    plan = plan_at(97_250.0)
    nets = [plan.net(cell) for cell in range(plan.cells)]
    assert nets[-1] == pytest.approx(min(nets), abs=Decimal("0.001"))
    assert max(nets) - nets[0] < Decimal("0.001")


def test_worst_loss_and_break_even_are_those_of_the_plain_sum():
    got = figures(preview(params(stop_price=90_000), 97_250.0, RULES, Fees()))
    plan = plan_at(97_250.0)
    q = plan.qty
    spent = sum(q * buy * Decimal("1.001") for buy in plan.buys[:6]) + 6 * q * 97_250 * Decimal("1.001")
    assert cents(got["worst_loss"]) == cents(spent - 12 * q * 90_000 * Decimal("0.999"))
    assert cents(got["break_even_full"]) == cents(spent / (12 * q * Decimal("0.999")))
    assert cents(got["break_even_price"]) == cents(Decimal(97_250) * Decimal("1.001") / Decimal("0.999"))


def test_without_a_stop_the_worst_loss_is_counted_at_the_lower_price():
    got = figures(preview(params(), 97_250.0, RULES, Fees()))
    plan = plan_at(97_250.0)
    assert cents(got["worst_loss"]) == cents(plan.funds - 12 * plan.qty * 95_500 * Decimal("0.999"))


# --- spacing and the empty line


def test_geometric_lines_keep_one_ratio_and_hit_both_ends():
    plan = plan_at(12_000.0, lower=10_000, upper=20_000, levels=8, spacing="geometric")
    ratios = [plan.lines[i + 1] / plan.lines[i] for i in range(plan.cells)]
    assert max(ratios) - min(ratios) < Decimal("1e-40")
    assert ratios[0] == pytest.approx(Decimal(2) ** (Decimal(1) / 7))
    assert (plan.buys[0], plan.sells[-1]) == (Decimal(10_000), Decimal(20_000))
    assert plan.buys[1] == Decimal("11040.89")  # 10,000 * 2^(1/7) = 11,040.895...
    assert plan.sells[0] == Decimal("11040.90")


def test_geometric_cells_earn_the_same_ratio():
    plan = plan_at(12_000.0, lower=10_000, upper=20_000, levels=8, spacing="geometric")
    ratios = [plan.net_ratio(cell) for cell in range(plan.cells)]
    assert max(ratios) - min(ratios) < Decimal("0.000005")  # what the tick leaves of equality


@pytest.mark.parametrize(
    ("price", "empty"),
    [
        (97_250.0, 6),  # exactly on a line
        (97_395.0, 6),  # nearer to the line below
        (97_400.0, 7),  # nearer to the line above
        (95_500.0, 0),
        (99_000.0, 12),
        (80_000.0, 0),  # below all lines
        (120_000.0, 12),  # above all lines
    ],
)
def test_the_line_nearest_to_the_price_stays_empty(price: float, empty: int):
    plan = plan_at(price)
    assert (plan.empty, plan.above) == (empty, 12 - empty)


def test_of_two_equally_near_lines_the_lower_stays_empty():
    assert plan_at(150.0, lower=100, upper=300, levels=3).empty == 0
    assert plan_at(150.01, lower=100, upper=300, levels=3).empty == 1


def test_every_line_is_shown_once_with_its_role():
    levels = preview(params(), 97_250.0, RULES, Fees()).levels
    assert [level.role for level in levels] == ["buy"] * 6 + ["none"] + ["sell"] * 6
    assert [level.price for level in levels] == sorted(level.price for level in levels)
    assert levels[6].price == Decimal(97_250)
    assert {level.qty for level in levels if level.role != "none"} == {Decimal("0.02151396")}


def test_above_all_lines_everything_waits_to_buy():
    shown = preview(params(), 120_000.0, RULES, Fees())
    assert [level.role for level in shown.levels] == ["buy"] * 12 + ["none"]
    assert figures(shown)["base_at_start"] == 0
    assert any("above all lines" in warning for warning in shown.warnings)


def test_below_all_lines_everything_is_bought_at_once():
    shown = preview(params(), 80_000.0, RULES, Fees())
    assert [level.role for level in shown.levels] == ["none"] + ["sell"] * 12
    assert figures(shown)["base_at_start"] == 12 * figures(shown)["quantity"]
    assert any("below all lines" in warning for warning in shown.warnings)


# --- rounding


def test_lines_between_ticks_buy_lower_and_sell_higher():
    coarse = MarketRules("BTC", "USDT", Decimal(1), Decimal("0.001"), Decimal("0.001"), Decimal(5))
    plan = plan_at(97_250.0, rules=coarse)
    assert plan.buys[1] == 95_791
    assert plan.sells[0] == 95_792
    assert plan.lots == 21  # 0.02151... in lots of 0.001


def test_a_quantity_per_cell_is_cut_to_the_lot_and_prices_the_grid():
    plan = plan_at(97_250.0, investment=None, quantity_per_level="0.0215139699")
    assert plan.lots == 2_151_396
    assert plan.funds < 25_000


grids = st.builds(
    dict,
    lower=st.decimals("0.01", "50000", places=2),
    width=st.decimals("1.05", "4", places=3),
    levels=st.integers(3, 40),
    spacing=st.sampled_from(["arithmetic", "geometric"]),
    investment=st.decimals("100", "1e7", places=2),
    at=st.floats(0.8, 1.2),
    tick=st.sampled_from(["0.01", "0.001", "0.5"]),
    lot=st.sampled_from(["1e-8", "0.001", "0.25"]),
    fee=st.sampled_from([0.0, 0.0002, 0.001]),
)


@given(grids)
def test_a_grid_never_costs_more_than_its_investment_and_every_cell_earns(drawn: dict):
    rules = MarketRules("A", "B", Decimal(drawn["tick"]), Decimal(drawn["lot"]), Decimal(drawn["lot"]), Decimal(1))
    upper = drawn["lower"] * drawn["width"]
    price = float(round((drawn["lower"] + upper) / 2 * Decimal(drawn["at"]), 4))
    wanted = GridParams(
        lower=drawn["lower"], upper=upper, levels=drawn["levels"], spacing=drawn["spacing"],
        investment=drawn["investment"],
    )  # fmt: skip
    fees = Fees(drawn["fee"], drawn["fee"])
    try:
        plan = make_plan(wanted, price, rules, fees)
    except InvalidInput:
        return  # a market that this grid doesn't fit; refusals have their own tests
    assert plan.funds <= drawn["investment"]
    one_more = plan.funds / plan.lots * (plan.lots + 1)
    assert one_more > drawn["investment"] * (1 - Decimal("1e-30")), "a lot more per cell would have fitted"
    for i in range(plan.cells):
        assert plan.net(i) > 0
        crumb = plan.lines[i] * Decimal("1e-30")  # of a division to 50 digits
        assert plan.buys[i] == price_to_tick(plan.buys[i], rules.tick, Side.BUY) <= plan.lines[i] + crumb
        assert plan.sells[i] == price_to_tick(plan.sells[i], rules.tick, Side.SELL)
        assert plan.qty * plan.buys[i] >= rules.min_notional
    assert plan.qty == qty_to_lot(plan.qty, rules.lot) >= rules.min_qty


# --- refusals


def refusal(price: float = 97_250.0, rules: MarketRules = RULES, **changes: object) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        preview(params(**changes), price, rules, Fees())
    return caught.value


def test_a_grid_that_does_not_pay_its_fees_is_refused_with_what_would():
    fault = refusal(levels=60)
    assert (fault.field, fault.value, fault.code) == ("levels", 60, "fees")
    assert "at most 18 lines" in fault.message
    assert preview(params(levels=18), 97_250.0, RULES, Fees()).warnings
    assert refusal(levels=19).code == "fees"


def test_the_advice_of_a_geometric_grid_is_the_last_that_pays():
    fault = refusal(levels=60, spacing="geometric")
    assert "at most 18 lines" in fault.message
    assert plan_at(97_250.0, levels=18, spacing="geometric").net(0) > 0
    assert refusal(levels=19, spacing="geometric").code == "fees"


def test_lines_closer_than_a_tick_are_refused():
    coarse = MarketRules("BTC", "USDT", Decimal(500), Decimal("0.001"))
    fault = refusal(rules=coarse)
    assert (fault.field, fault.code) == ("levels", "tick")


def test_an_investment_too_small_for_the_market_names_the_sum_that_would_do():
    fault = refusal(investment=30)
    assert (fault.field, fault.value, fault.code) == ("investment", 30, "minimum")
    assert "Invest at least 60.85 USDT" in fault.message
    assert preview(params(investment="60.85"), 97_250.0, RULES, Fees()).levels


def test_a_quantity_below_the_minimum_is_refused():
    fault = refusal(investment=None, quantity_per_level="0.00002")
    assert (fault.field, fault.code) == ("quantity_per_level", "minimum")


@pytest.mark.parametrize(
    ("name", "value", "price"), [("stop_price", 95_000, 95_000.0), ("take_profit_price", 99_500, 99_500.0)]
)
def test_an_exit_that_would_fire_at_once_is_refused(name: str, value: int, price: float):
    fault = refusal(price=price, **{name: value})
    assert (fault.field, fault.value) == (name, value)
    assert "ends at once" in fault.message


def test_a_thin_profit_is_warned_about_and_a_fat_one_not():
    assert any("0.095 %" in warning for warning in preview(params(), 97_250.0, RULES, Fees()).warnings)
    assert preview(params(levels=5), 97_250.0, RULES, Fees()).warnings == ()


def test_a_perpetual_is_refused_before_and_at_the_start():
    """What a grid sells there without holding it (after a close by hand, say) would open a short."""
    rules = replace(RULES, perpetual=Perpetual())
    for symbol, named in (("BTC/USDT:USDT", "BTC/USDT:USDT"), ("", "BTC")):
        with pytest.raises(InvalidInput, match="on spot markets only") as caught:
            Grid().preview(params(), {"main": MarketFacts(97_250.0, rules, Fees(), symbol)})
        assert (caught.value.field, caught.value.value) == ("market", named)
    made = FakeEngine.on(Grid(), params(), {"main": FakeMarket(rules, 97_250.0)}, 30_000)
    with pytest.raises(InvalidInput, match="BTC is a perpetual future"):
        made.decide()
