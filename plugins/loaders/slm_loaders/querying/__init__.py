"""Databases and the Hub: sessions that only read, and what they say when they refuse."""
