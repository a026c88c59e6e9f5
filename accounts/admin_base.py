"""Admin of records that nobody edits: what happened is corrected by new entries, never by changing old ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from accounts.fields import MoneyField
from trading.core.rounding import plain

Column = str | Callable[[Any], Any]


@cache
def _money(model: type[Model], name: str) -> Column:
    """Return the column of an amount in plain form: Django would write all eighteen digits, 675.000000000000000000."""
    field = model._meta.get_field(name)

    @admin.display(description=str(field.verbose_name), ordering=name)  # type: ignore[union-attr]
    def shown(row: Any) -> str | None:
        value = getattr(row, name)
        return None if value is None else plain(value)

    return shown


class PlainMoney:
    """Amounts without the zeros that they don't need, in lists and on pages."""

    model: type[Model]

    def get_list_display(self, request: HttpRequest) -> Any:
        return self._columns(super().get_list_display(request))  # type: ignore[misc]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self._columns(super().get_fields(request, obj))  # type: ignore[misc]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [_money(self.model, name) for name in sorted(self._amounts())]

    def _columns(self, names: Any) -> Any:
        amounts = self._amounts()
        kept = [name for name in names if isinstance(name, str)]  # those of the read-only ones stand at the end
        return [_money(self.model, name) if name in amounts else name for name in kept]

    def _amounts(self) -> set[str]:
        return {field.name for field in self.model._meta.get_fields() if isinstance(field, MoneyField)}


class ReadOnlyAdmin(PlainMoney, admin.ModelAdmin):
    """Look, search and filter; no adding, changing or deleting. Lists don't count all rows."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyInline(PlainMoney, admin.TabularInline):
    """The parts of such a record."""

    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
