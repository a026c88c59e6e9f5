"""How pages write numbers, times and signs: exact, with their unit, and never by colour alone.

Unknown is a dash with its reason, never 0. What is rounded for reading carries its full value in the title.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from trading.core.previews import Figure
from trading.core.rounding import plain

register = template.Library()

MINUS = "\N{MINUS SIGN}"
DASH = "\N{EM DASH}"
QUOTE_DECIMALS = 2
QUOTES = {"USDT", "USDC", "USD", "EUR"}
SMALL_DIGITS = 4  # significant digits of an amount below 1


@register.simple_tag
def icon(name: str, css: str = "") -> SafeString:
    """Draw one icon of the sprite (assets/icons.txt lists them)."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true"><use href="{}#{}"></use></svg>', css, static("icons.svg"), name
    )


def decimals_of(step: Decimal) -> int:
    """Return how many digits behind the point a tick or lot has."""
    return max(0, -int(step.normalize().as_tuple().exponent))  # a finite step: the exponent is a number


def grouped(value: Decimal, decimals: int) -> str:
    """Write with thousands separators and a real minus sign."""
    rounded = value.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_EVEN)
    return f"{rounded + 0:,f}".replace("-", MINUS)


def short(value: Decimal, unit: str) -> str:
    """Write an amount for reading: a quote coin with two digits, unless that would hide a small one."""
    if unit not in QUOTES:
        return trimmed(value)
    if not value or abs(value) >= 1:
        return grouped(value, QUOTE_DECIMALS)
    decimals = max(QUOTE_DECIMALS, SMALL_DIGITS - 1 - value.adjusted())
    text = trimmed(value, decimals)
    return text if len(text.partition(".")[2]) >= QUOTE_DECIMALS else grouped(value, QUOTE_DECIMALS)


def unknown(reason: str = "not known yet") -> SafeString:
    return format_html('<span class="unknown" title="{}">{}</span>', reason, DASH)


@register.filter
def amount(value: Decimal | None, unit: str = "") -> SafeString:
    """Write an amount of a coin; a quote coin with two digits, others with what they need."""
    if value is None:
        return unknown()
    return _number(short(value, unit), value, unit)


@register.filter
def price(value: Decimal | float | None, tick: Decimal) -> SafeString:
    """Write a price on its market's tick."""
    if value is None:
        return unknown()
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    return _number(grouped(exact, decimals_of(tick)), exact, "")


@register.filter
def quantity(value: Decimal | None, lot: Decimal) -> SafeString:
    """Write a quantity on its market's lot, without the zeros it doesn't need."""
    if value is None:
        return unknown()
    return _number(trimmed(value, decimals_of(lot)), value, "")


@register.filter
def percent(ratio: Decimal | None, decimals: int = 2) -> SafeString:
    if ratio is None:
        return unknown()
    return format_html('<span class="num">{} %</span>', signed(ratio * 100, decimals))


@register.filter
def ratio(value: Decimal | None, decimals: int = 2) -> SafeString:
    """Write a ratio as a percentage without a plus sign: a fee, a width, not a result."""
    if value is None:
        return unknown()
    return format_html('<span class="num" title="{}">{} %</span>', plain(value * 100), grouped(value * 100, decimals))


@register.simple_tag
def figure_range(low: Figure, high: Figure) -> SafeString:
    """Write the least and the greatest of a figure, with the unit once."""
    if low.unit == "ratio":
        return format_html('<span class="num">{} to {} %</span>', *(grouped(one.value * 100, 2) for one in (low, high)))
    texts = (short(one.value, one.unit) for one in (low, high))
    return format_html('<span class="num">{} to {}</span>{}', *texts, _unit(low.unit))


@register.simple_tag
def pnl(value: Decimal | None, unit: str = "", ratio: Decimal | None = None, why: str = "no price yet") -> SafeString:
    """Write a result: sign, arrow and colour; absolute, and the ratio beside it when given."""
    if value is None:
        return unknown(why)
    tone = "flat" if round(value, QUOTE_DECIMALS) == 0 else ("up" if value > 0 else "down")
    arrow = icon(f"trending-{tone}", "icon-sm") if tone != "flat" else SafeString("")
    part = format_html(' <span class="ratio">({} %)</span>', signed(ratio * 100, 2)) if ratio is not None else ""
    return format_html(
        '<span class="pnl pnl-{}" title="{} {}">{}<span class="num">{}</span>{}{}</span>',
        tone,
        plain(value),
        unit,
        arrow,
        signed(value, QUOTE_DECIMALS),
        _unit(unit),
        part,
    )


@register.filter
def signed_cents(value: Decimal) -> str:
    return signed(value, QUOTE_DECIMALS)


def signed(value: Decimal, decimals: int) -> str:
    text = grouped(value, decimals)
    zero = not any(digit in text for digit in "123456789")
    return text.replace(MINUS, "") if zero else (text if text.startswith(MINUS) else f"+{text}")


def trimmed(value: Decimal, most: int = 8) -> str:
    text = grouped(value, most)
    return text.rstrip("0").rstrip(".") if "." in text else text


@register.filter
def when(moment: datetime | int | None) -> SafeString:
    """Write a moment: how long ago, with the full UTC time on hover. Takes a datetime or epoch milliseconds."""
    if moment is None:
        return unknown()
    at = datetime.fromtimestamp(moment / 1000, UTC) if isinstance(moment, int) else moment.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{}" data-ago>{}</time>',
        at.isoformat(timespec="milliseconds"),
        at.strftime("%Y-%m-%d %H:%M:%S UTC"),
        ago(at),
    )


@register.filter
def clock(moment: datetime | int | None) -> SafeString:
    """Write the time of day in UTC, with the date on hover; market time takes this form, it has no "ago"."""
    if moment is None:
        return unknown()
    at = datetime.fromtimestamp(moment / 1000, UTC) if isinstance(moment, int) else moment.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        at.isoformat(timespec="milliseconds"),
        at.strftime("%Y-%m-%d %H:%M:%S UTC"),
        at.strftime("%d %b %H:%M:%S"),
    )


def ago(at: datetime) -> str:
    seconds = max(0, int((timezone.now() - at).total_seconds()))
    for size, word in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {word} ago"
    return "just now" if seconds < 5 else f"{seconds} s ago"


@register.filter
def plain_number(value: Decimal | float | None) -> str:
    """Write a number bare and in full: for attributes, scripts and counts."""
    if value is None:
        return ""
    return plain(value if isinstance(value, Decimal) else Decimal(repr(value)))


@register.filter
def decimals(step: Decimal) -> int:
    return decimals_of(step)


@register.filter
def tight(text: str) -> str:
    """Keep a percent sign on the line of its number."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


@register.filter
def fact_word(key: str) -> str:
    """Write the name of a figure as words: allocation_ratio is "allocation"."""
    return key.removesuffix("_ratio").replace("_", " ")


@register.filter
def fact(value: Any, key: str) -> str:
    """Write a figure that came as JSON, by its name: a ratio as a percentage, a number with the digits that matter."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    exact = Decimal(repr(value))
    if key.endswith("_ratio") or key == "confidence":
        return f"{trimmed(exact * 100, 1)} %"
    return trimmed(exact, max(2, SMALL_DIGITS - 1 - exact.adjusted()) if exact else 0)


@register.filter
def titled(text: str, label: str) -> str:
    """Say which field a fault is about, away from the field; many faults name it themselves."""
    return text if not label or label.lower() in text.lower() else f"{label}: {text}"


@register.filter
def told_of(fault: Any, form: Any) -> str:
    """Write a fault with the label of the field that it is about, if the form has one of that name."""
    at = form.fields.get(fault.field)
    return titled(fault.message, at.label if at else "")


@register.filter
def get(mapping: dict[Any, Any], key: Any) -> Any:
    """Look a key up in a mapping, which the template language can't."""
    return mapping.get(key)


@register.filter
def times(value: Decimal | None, factor: Decimal | None) -> Decimal | None:
    return None if value is None or factor is None else value * factor


@register.filter
def away(level: Decimal | None, last: Decimal | None) -> SafeString:
    """Write how far a price is from the last one."""
    return unknown("no price yet") if level is None or not last else percent(level / last - 1)


def _number(text: str, exact: Decimal, unit: str) -> SafeString:
    return format_html('<span class="num" title="{}">{}</span>{}', f"{plain(exact)} {unit}".strip(), text, _unit(unit))


def _unit(unit: str) -> SafeString:
    return format_html(' <span class="unit">{}</span>', unit) if unit else mark_safe("")
