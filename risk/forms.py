"""The form of limits: amounts as people write them, the deviation in percent."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms

from risk.models import Limits
from risk.services import FIELDS, TITLES, limits_faults
from trading.core.rounding import plain

HUNDRED = Decimal(100)
HELP = {
    "max_order": "What a single order may add, in the quote coin. Stops a slipped decimal point.",
    "max_position": "What a bot may hold on one market, its open orders included, in the quote coin.",
    "max_orders": "How many orders of one bot may be open at once.",
    "max_deviation": "How far above the market a limit buy may stand, or a limit sell below it. Orders that rest on "
    "their own side of the market are never refused for their distance.",
}
UNITS = {"max_deviation": "%", "max_orders": "orders"}


class LimitsForm(forms.Form):
    """Four limits; an empty field means no limit of its own."""

    def __init__(
        self, limits: Limits, unit: str, data: Mapping[str, Any] | None = None, *, frozen: bool = False
    ) -> None:
        super().__init__(data, initial={name: _shown(name, getattr(limits, name)) for name in FIELDS})
        for name in FIELDS:
            whole = name == "max_orders"
            made = forms.IntegerField if whole else forms.DecimalField
            self.fields[name] = made(
                label=TITLES[name],
                required=False,
                help_text=HELP[name],
                widget=forms.TextInput(attrs=_attrs(name, frozen=frozen)),
                error_messages={
                    "invalid": f"Enter a {'whole ' if whole else ''}number such as {EXAMPLES[name]}, or nothing"
                },
            )
            self.fields[name].unit = UNITS.get(name, unit)  # type: ignore[attr-defined]  # read by inc/field.html

    def clean(self) -> dict[str, Any]:
        """Name what is out of range together with what is no number at all."""
        for fault in limits_faults(self.values()):
            self.add_error(fault.field, fault.message)
        return self.cleaned_data

    def values(self) -> dict[str, Decimal | int | None]:
        """Return the limits as they are stored, as far as they could be read."""
        found = {name: self.cleaned_data.get(name) for name in FIELDS}
        if found["max_deviation"] is not None:
            found["max_deviation"] /= HUNDRED
        return found


EXAMPLES = {"max_order": "500", "max_position": "5000", "max_orders": "50", "max_deviation": "5"}


def _attrs(name: str, *, frozen: bool) -> dict[str, Any]:
    attrs: dict[str, Any] = {
        "id": f"id_{name}",
        "class": "form-control",
        "autocomplete": "off",
        "placeholder": "no limit",
    }
    attrs |= {"inputmode": "numeric" if name == "max_orders" else "decimal"}
    attrs |= {"aria-describedby": f"error-id_{name} help-id_{name}"}
    return attrs | {"disabled": True} if frozen else attrs


def _shown(name: str, value: Decimal | int | None) -> str:
    if value is None or isinstance(value, int):
        return "" if value is None else str(value)
    return plain(value * HUNDRED if name == "max_deviation" else value)
