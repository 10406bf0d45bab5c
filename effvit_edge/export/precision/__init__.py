"""Passes from a float32 graph to graphs of less precision. No torch here."""
