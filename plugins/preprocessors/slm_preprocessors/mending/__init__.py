"""Broken letters and markup."""
