"""Noise while the state settles: where it comes from, its spectrum, and how it is integrated."""
