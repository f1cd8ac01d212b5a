"""Cores: the dynamics dz/ds of a network in dimensionless time, with its fixed-point map and its linearisation."""
