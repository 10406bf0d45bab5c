"""How much of the pipeline overlaps, and how late its labels are."""
