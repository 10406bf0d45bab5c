"""Decoding a set once, into shards of small pictures that training reads without waiting."""
