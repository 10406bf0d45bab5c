"""Several streams through one model: a step of a batch, against a step for each."""
