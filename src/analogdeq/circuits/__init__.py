"""Circuits: component values that realise a core, and what they draw from the supply."""
