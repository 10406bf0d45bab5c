"""A step with states in bound places, against one that hands states over as arrays."""
