"""Accuracy on very short clips of many sizes: five basketball actions."""
