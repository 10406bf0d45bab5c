"""Whether every network trains: a few steps on one batch, in every number format."""
