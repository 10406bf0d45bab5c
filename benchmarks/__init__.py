"""Measurements of the package: each folder one question, with its method beside it."""
