"""Exact decimals on every database. The lowest app, so that all may use it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from trading.core.rounding import plain


class MoneyField(models.DecimalField):
    """A Decimal with 20 digits before and 18 behind the point.

    SQLite has no decimal type and Django's own field goes through a float there, which loses digits; so it is kept as
    text, in plain form. Compare and sum in Python, not in SQL: text sorts wrongly. `> 0` and `= 0` do hold.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_digits", 38)
        kwargs.setdefault("decimal_places", 18)
        super().__init__(*args, **kwargs)

    def get_internal_type(self) -> str:
        """Not "DecimalField": SQLite's backend would send every value of that through a float."""
        return "MoneyField"

    def get_default(self) -> Any:
        value = super().get_default()
        return Decimal(value) if isinstance(value, int | str) else value

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        return "text" if connection.vendor == "sqlite" else f"numeric({self.max_digits}, {self.decimal_places})"

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        if connection.vendor != "sqlite" or value is None or hasattr(value, "as_sql"):
            return super().get_db_prep_value(value, connection, prepared)
        exact = self.to_python(value)
        return plain(exact.quantize(Decimal(1).scaleb(-self.decimal_places), context=self.context))

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Decimal | None:
        return None if value is None else Decimal(str(value))
