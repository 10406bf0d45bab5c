"""Datasets: clips for training and sequences for evaluation, as uint8 RGB frames."""
