"""Reading the pictures of a segment by time, wherever they are stored."""
