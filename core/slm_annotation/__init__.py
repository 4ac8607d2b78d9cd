"""Annotation, whoever does it: items put before people, their answers, and what becomes of them."""
