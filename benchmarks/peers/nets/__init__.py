"""Peers' networks with random weights, written from what their authors published."""
