"""Forms made from a strategy's typed parameters, so that a new strategy brings its own: the wizard's and the edit's.

They only carry texts: what they mean is judged by `bots.preflight`, the same as for the API, and `show_faults` puts its
answers at their fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.http import QueryDict

from accounts.models import Account
from bots.markets import uses_chosen
from bots.models import Bot
from bots.param_fields import field_of_shape, flat_params, group_word, unit_word, walk, when_text
from bots.parameters import PREFIX, params_of, revision_of
from bots.values import NAME_MAX, TIMEFRAMES_MS
from exchanges.models import Market
from trading.core.errors import InvalidInput, InvalidInputs
from trading.core.params import params_schema
from trading.core.ports import Strategy

TIMEFRAME_WORDS = {
    60_000: "1 minute",
    300_000: "5 minutes",
    900_000: "15 minutes",
    3_600_000: "1 hour",
    14_400_000: "4 hours",
    86_400_000: "1 day",
}
BUDGET_DIGITS, BUDGET_DECIMALS = 38, 18


class ParamsForm(forms.Form):
    """One field per parameter, named "params.<name>"; a group's fields "params.<group>.<name>"."""

    name = forms.CharField(label="Name", max_length=NAME_MAX, error_messages={"required": "A name is required."})

    def __init__(
        self,
        strategy: Strategy,
        markets: Sequence[Market],
        data: Mapping[str, Any] | None = None,
        initial: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(data, initial=dict(initial or {}))
        self.strategy = strategy
        self.markets = {str(market.pk): market for market in markets}
        self.groups: dict[str, list[str]] = {}
        self._add_params()
        dress(self)

    @property
    def chosen_market(self) -> Market:
        """Return the market that the form stands on, the first one when its text names none."""
        raw = self.data.get("market") if self.is_bound else self.initial.get("market")
        return self.markets.get(str(raw)) or next(iter(self.markets.values()))

    def sections(self) -> list[tuple[str, list[forms.BoundField]]]:
        return [(group_word(group), [self[name] for name in names]) for group, names in self.groups.items()]

    def params(self) -> dict[str, Any]:
        """Return the parameters as `bots.preflight` takes them: what stands empty is left out."""
        found: dict[str, Any] = {}
        for name in (name for names in self.groups.values() for name in names):
            value = self.cleaned_data.get(name, "")
            if value == "" or value == []:
                continue
            *groups, last = name.removeprefix(PREFIX).split(".")
            inner = found
            for group in groups:
                inner = inner.setdefault(group, {})
            inner[last] = value
        return found

    def show_faults(self, fault: InvalidInput) -> None:
        """Put each fault at its field, or above the form when it belongs to none."""
        faults_at_fields(self, fault)

    def filled(self) -> QueryDict:
        """Return the form's initial values as if it had been sent."""
        sent = QueryDict(mutable=True)
        for name, field in self.fields.items():
            value = self.get_initial_for_field(field, name)
            if isinstance(value, list | tuple):
                sent.setlist(name, [str(one) for one in value])
            elif value not in (None, False):
                sent[name] = str(value)
        return sent

    def _add_params(self) -> None:
        schema = params_schema(self.strategy.params)
        given = {
            name: value for name, value in flat_params(self.initial.pop("params", {})).items() if value is not None
        }
        self.initial = {**given, **self.initial}
        same_quote = [market for market in self.markets.values() if market.quote == self.chosen_market.quote]
        for name, group, shape in walk(schema["properties"]):
            required = name.removeprefix(PREFIX) in schema["required"]
            field = field_of_shape(shape, required, same_quote)
            field.unit = self._unit(shape.get("unit", ""))  # type: ignore[attr-defined]
            field.when = when_text(name, shape.get("when", {}))  # type: ignore[attr-defined]
            self.fields[name] = field
            self.groups.setdefault(group, []).append(name)
            if "default" in shape:
                self.initial.setdefault(name, shape["default"])
            self._show_default(name, field, shape.get("default"))

    def _show_default(self, name: str, field: forms.Field, default: Any) -> None:
        """Write a list into its one input, and show what an empty field stands for."""
        if field.kind == "texts":  # type: ignore[attr-defined]
            self.initial[name] = ", ".join(self.initial.get(name, ()))
        elif default is not None and not isinstance(field, forms.MultipleChoiceField | forms.BooleanField):
            field.widget.attrs["placeholder"] = default

    def _unit(self, unit: str) -> str:
        return unit_word(unit, self.chosen_market)


def dress(form: forms.Form) -> None:
    """Give every field its id, its look and what describes it."""
    for name, field in form.fields.items():
        css = "form-select" if isinstance(field, forms.ChoiceField) else "form-control"
        if isinstance(field, forms.BooleanField | forms.MultipleChoiceField):
            css = "form-check-input"
        key = f"id_{name.replace('.', '-')}"
        told_by = f"error-{key} help-{key}" if field.help_text else f"error-{key}"
        field.widget.attrs |= {"autocomplete": "off", "id": key, "aria-describedby": told_by}
        field.widget.attrs["class"] = css
        if isinstance(field, forms.DecimalField):
            field.localize = False
            field.widget = forms.TextInput(attrs=field.widget.attrs | {"inputmode": "decimal"})


def faults_at_fields(form: forms.Form, fault: InvalidInput) -> None:
    """Put each fault at its field, or above the form when it belongs to none."""
    for one in fault.faults if isinstance(fault, InvalidInputs) else (fault,):
        shown = one.field in form.fields and not getattr(form.fields[one.field].widget, "is_hidden", False)
        form.add_error(one.field if shown else None, one.message)


class WizardForm(ParamsForm):
    """A new bot: account, market, name, budget, candles and its strategy's parameters."""

    account = forms.ChoiceField(label="Account")
    market = forms.ChoiceField(label="Market")
    budget = forms.DecimalField(
        label="Budget",
        required=False,
        max_digits=BUDGET_DIGITS,
        decimal_places=BUDGET_DECIMALS,
        help_text="Reserved for this bot alone. Empty: what its orders need.",
        error_messages={"invalid": "Budget must be a number above 0, with a point and without separators."},
    )
    timeframe_ms = forms.TypedChoiceField(
        label="Candles",
        choices=[(value, TIMEFRAME_WORDS[value]) for value in TIMEFRAMES_MS],
        coerce=int,
        initial=TIMEFRAMES_MS[0],
    )
    field_order = ("account", "market", "name", "timeframe_ms", "budget")

    def __init__(
        self,
        strategy: Strategy,
        accounts: Sequence[Account],
        markets: Sequence[Market],
        data: Mapping[str, Any] | None = None,
        initial: Mapping[str, Any] | None = None,
    ) -> None:
        self.accounts = {str(account.public_id): account for account in accounts}
        super().__init__(strategy, markets, data, initial)
        self.fields["account"].choices = [(key, one.name) for key, one in self.accounts.items()]  # type: ignore[attr-defined]
        self.fields["market"].choices = [(key, one.symbol) for key, one in self.markets.items()]  # type: ignore[attr-defined]
        for name in ("account", "market"):  # another market needs other numbers: the page is asked for anew
            self.fields[name].widget.attrs["data-reload"] = ""
        self.fields["budget"].unit = self._unit("quote")  # type: ignore[attr-defined]

    @property
    def asks_market(self) -> bool:
        """Say whether the strategy trades on a chosen market; one whose parameters name all of its markets doesn't."""
        raw = {name: value for name, value in self.initial.items() if name.startswith(PREFIX)}
        try:
            plain = {name.removeprefix(PREFIX): value for name, value in raw.items()}
            return uses_chosen(self.strategy.needs(params_of(self.strategy, plain)))
        except InvalidInput:  # nothing to go by yet: a list of markets of its own says enough
            shapes = params_schema(self.strategy.params)["properties"].values()
            return not any(shape.get("format") == "symbols" for shape in shapes)

    def wish(self) -> dict[str, Any]:
        """Return what `bots.preflight` asks for; a budget at fault counts as none. All else must be valid."""
        values = self.cleaned_data
        return {
            "account": self.accounts[values["account"]],
            "market": self.markets[values["market"]],
            "strategy": self.strategy.key,
            "params": self.params(),
            "budget": values.get("budget"),
            "timeframe_ms": values["timeframe_ms"],
        }


class EditForm(ParamsForm):
    """A bot that stands already: its name and parameters, and from which parameters the edit was made."""

    revision = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, bot: Bot, strategy: Strategy, markets: Sequence[Market], data: QueryDict | None = None) -> None:
        initial = {
            "market": bot.market_id,
            "name": bot.name,
            "params": bot.params,
            "revision": revision_of(bot.params),
        }
        super().__init__(strategy, markets, data, initial)

    def changes(self) -> dict[str, Any]:
        """Return what `bots.preflight.edit_bot` takes. Only of a form that is valid."""
        return {"name": self.cleaned_data["name"], "params": self.params()}
