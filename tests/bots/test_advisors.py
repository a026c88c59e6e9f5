"""The shelf of advisers: the local one answers by its rule, the simulated one misbehaves as the question has it."""

from __future__ import annotations

from collections import Counter

import pytest

from bots.advisors.local import LocalAdvisor
from bots.advisors.registry import get_advisor, simulated_advisor
from bots.advisors.simulated import ABSURD, NEVER, Simulated
from trading.core.errors import InvalidInput
from trading.core.types import Ask

PAYLOAD = {"ema_fast": 101.0, "ema_slow": 100.0, "rsi": 55.0}


def ask(n: int = 0) -> Ask:
    return Ask(f"q{n}", "direction", PAYLOAD, 60_000)


@pytest.mark.parametrize(
    ("figures", "side", "confidence"),
    [
        ({}, "buy", 0.75),
        ({"ema_fast": 99.0}, "sell", 0.75),
        ({"ema_fast": 105.0}, "buy", 1.0),
        ({"rsi": 80.0}, "sell", 0.6),
        ({"rsi": 20.0}, "hold", 0.5),
        ({"ema_fast": 100.0}, "hold", 0.5),
        ({"ema_fast": 100.0, "rsi": 0.0}, "hold", 0.5),  # a market that has only fallen, or stood still
        ({"rsi": 100}, "sell", 1.0),
    ],
)
def test_the_local_adviser_goes_with_the_trend_unless_it_is_overheated(figures: dict, side: str, confidence: float):
    answer = LocalAdvisor().answer("direction", {**PAYLOAD, **figures})
    assert (answer["side"], answer["confidence"]) == (side, confidence)
    assert answer["allocation_ratio"] == (confidence if side == "buy" else 0.0)


@pytest.mark.parametrize(
    ("kind", "payload", "field"),
    [
        ("poem", PAYLOAD, "kind"),
        ("direction", {}, "ema_fast"),
        ("direction", {**PAYLOAD, "ema_slow": 0.0}, "ema_slow"),
        ("direction", {**PAYLOAD, "rsi": "55"}, "rsi"),
        ("direction", {**PAYLOAD, "rsi": -1.0}, "rsi"),
        ("direction", {**PAYLOAD, "rsi": 100.5}, "rsi"),
        ("direction", {**PAYLOAD, "rsi": float("nan")}, "rsi"),
    ],
)
def test_what_it_cannot_answer_is_named(kind: str, payload: dict, field: str):
    with pytest.raises(InvalidInput) as caught:
        LocalAdvisor().answer(kind, payload)
    assert caught.value.field == field


def test_an_unknown_adviser_is_named_with_the_known_ones():
    with pytest.raises(InvalidInput, match="known are local"):
        get_advisor("oracle")


def test_a_simulated_answer_follows_from_the_question_alone():
    one, two = simulated_advisor("local"), simulated_advisor("local")
    assert one.simulate(ask(), 0) == two.simulate(ask(), 10**12)
    delays = {one.simulate(ask(n), 0)[0] for n in range(200)}
    assert min(delays) >= 1_000
    assert max(delays) <= 20_000
    assert len(delays) > 150
    assert one.simulate(ask(), 0)[1:] == (LocalAdvisor().answer("direction", PAYLOAD), "")


def test_questions_meet_each_fate_about_as_often_as_asked_for():
    advisor = Simulated(LocalAdvisor(), never=0.2, failing=0.1, absurd=0.3)
    fates = Counter[str]()
    for n in range(4000):
        delay, value, error = advisor.simulate(ask(n), 0)
        absurd = any(value is one for one in ABSURD)
        fates["never" if delay == NEVER else error or ("absurd" if absurd else "answered")] += 1
    shares = {fate: count / 4000 for fate, count in fates.items()}
    assert shares == pytest.approx({"never": 0.2, "failed": 0.1, "absurd": 0.3, "answered": 0.4}, abs=0.03)


def test_what_the_adviser_cannot_answer_fails():
    delay, value, error = simulated_advisor("local").simulate(Ask("q", "direction", {}, 60_000), 0)
    assert (value, error) == (None, "failed")
    assert delay > 0
