"""What one label costs: a clip recomputed for each label, against one streaming step."""
