"""How far off estimates of a step's time are."""
