"""The form of one command to a running bot, made from what its strategy declares. It carries texts, like those of bots.

What they mean is judged by the command's service; `show_faults` puts its answers at their fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from bots.forms import dress, faults_at_fields
from bots.param_fields import field_of_shape, unit_word
from exchanges.models import Market
from trading.core.commands import PREFIX, CommandSpec, Options
from trading.core.errors import InvalidInput
from trading.core.params import params_schema


class CommandForm(forms.Form):
    """One field per argument, named "args.<name>"; where the moment allows only some values, a choice of those."""

    def __init__(
        self,
        spec: CommandSpec,
        markets: Sequence[Market],
        options: Options,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """`markets` are the bot's, its own one first."""
        super().__init__(data)
        schema = params_schema(spec.args)
        for name, shape in schema["properties"].items():
            required = name in schema["required"]
            field = field_of_shape(shape, required, markets)
            if name in options:
                field = _choice(field, shape, required, options[name])
            field.unit = unit_word(shape.get("unit", ""), markets[0])  # type: ignore[attr-defined]
            self.fields[PREFIX + name] = field
            if "default" in shape:
                self.initial[PREFIX + name] = shape["default"]
            elif len(options.get(name, ())) == 1:  # nothing else can be meant, unless it is all
                self.initial[PREFIX + name] = next(iter(options[name]))
        dress(self)

    def args(self) -> dict[str, Any]:
        """Return the arguments as the service takes them: what stands empty is left out."""
        values = self.cleaned_data if self.is_bound else self.initial
        return {name.removeprefix(PREFIX): values[name] for name in self.fields if values.get(name, "") not in ("", [])}

    def show_faults(self, fault: InvalidInput) -> None:
        faults_at_fields(self, fault)


def _choice(field: forms.Field, shape: Mapping[str, Any], required: bool, options: Mapping[str, str]) -> forms.Field:
    """Return the field as a choice; a value that is gone meanwhile is refused by the service, in its words."""
    blank = [] if required else [("", shape.get("empty", "None"))]
    select = forms.Select(choices=[*blank, *options.items()])
    found = forms.CharField(required=False, widget=select, label=field.label, help_text=field.help_text)
    found.kind = "choice"  # type: ignore[attr-defined]
    return found
