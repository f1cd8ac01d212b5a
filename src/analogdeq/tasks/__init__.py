"""Tasks: the data a network learns."""
