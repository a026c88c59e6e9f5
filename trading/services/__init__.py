"""Writes of what happened. One module a noun: ledger, funding, booking, sending, waking, equity."""
