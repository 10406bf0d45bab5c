"""What only a GPU can show: every network at real size, in half precision, and how fast."""
