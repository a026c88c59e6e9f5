"""Numbers as people read them: exact, with sign and unit, and never a made-up zero."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.templatetags import ui
from bots.sketch import LABEL_ROOM, sketch
from bots.views_bot import shown_parts
from trading.selectors import Pnl

MONEY = st.decimals(min_value=Decimal("-1e9"), max_value=Decimal("1e9"), places=8)


@given(realised=MONEY, unrealised=MONEY, fees=MONEY.map(abs))
def test_the_written_parts_add_up_to_the_written_total(realised: Decimal, unrealised: Decimal, fees: Decimal) -> None:
    total = realised + unrealised - fees
    shown = shown_parts(
        Pnl("USDT", Decimal(1), realised, fees, Decimal(0), None, 0, unrealised=unrealised, total=total)
    )
    assert shown is not None
    assert shown["realised"] + shown["unrealised"] + shown["minus_fees"] == shown["total"]
    assert abs(shown["total"] - total) <= Decimal("0.005")
    assert abs(shown["unrealised"] - unrealised) <= Decimal("0.015")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        ("1234567.891", "USDT", "1,234,567.89"),
        ("-3.1", "USDT", "\N{MINUS SIGN}3.10"),
        ("0", "USDT", "0.00"),
        ("0.00012345", "USDT", "0.0001234"),
        ("0.5", "USDT", "0.50"),
        ("0.02151396", "BTC", "0.02151396"),
        ("12.500", "BTC", "12.5"),
    ],
)
def test_amounts(value: str, unit: str, text: str) -> None:
    html = ui.amount(Decimal(value), unit)
    assert f">{text}</span>" in html
    assert f'<span class="unit">{unit}</span>' in html
    assert f'title="{ui.plain(Decimal(value))} {unit}"' in html


def test_a_result_carries_its_sign_and_not_only_a_colour() -> None:
    assert "+2.50" in ui.pnl(Decimal("2.5"), "USDT")
    assert "#trending-up" in ui.pnl(Decimal("2.5"))
    assert "\N{MINUS SIGN}2.50" in ui.pnl(Decimal("-2.5"))
    assert "#trending-down" in ui.pnl(Decimal("-2.5"))
    assert "pnl-flat" in ui.pnl(Decimal("0.001"))
    assert "(+1.25 %)" in ui.pnl(Decimal(5), "USDT", Decimal("0.0125"))


def test_unknown_is_a_dash_with_its_reason() -> None:
    for html in (ui.pnl(None), ui.amount(None, "USDT"), ui.price(None, Decimal("0.01")), ui.percent(None)):
        assert ui.DASH in html
        assert 'title="' in html
        assert "0.00" not in html


def test_a_price_stands_on_its_tick() -> None:
    assert ">97,250.00<" in ui.price(Decimal(97250), Decimal("0.01"))
    assert ">0.36849<" in ui.price(0.36849, Decimal("0.00001"))
    assert ">12<" in ui.price(Decimal("12.4"), Decimal(1))
    assert ">1,240<" in ui.price(Decimal(1240), Decimal(10))


def test_times_say_how_long_ago_and_when_exactly() -> None:
    at = timezone.now() - timedelta(minutes=3, seconds=5)
    html = ui.when(at)
    assert "3 min ago" in html
    assert at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") in html
    assert "21 Nov 01:02:03" in ui.clock(int(datetime(2026, 11, 21, 1, 2, 3, tzinfo=UTC).timestamp() * 1000))


def test_a_hostile_unit_stays_text() -> None:
    assert "<script>" not in ui.amount(Decimal(1), "<script>")


@given(
    closes=st.lists(st.floats(min_value=0.01, max_value=1e6), min_size=1, max_size=50),
    levels=st.lists(st.decimals(min_value=Decimal("0.01"), max_value=Decimal("1e6"), places=4), max_size=120),
)
def test_a_drawing_keeps_within_its_frame_and_its_labels_apart(closes: list[float], levels: list[Decimal]) -> None:
    drawing = sketch(closes, Decimal(repr(closes[-1])), [("buy", price) for price in levels])
    assert drawing is not None
    assert all(0 <= line.y <= drawing.height for line in drawing.lines)
    labels = sorted(line.label_y for line in drawing.lines if line.label_y is not None)
    assert all(b - a >= LABEL_ROOM for a, b in pairwise(labels))
    assert len(drawing.lines) <= 53


def test_nothing_known_draws_nothing() -> None:
    assert sketch([], None) is None
