"""Coupled oscillators whose locked state is the equilibrium: phases, or amplitudes and phases."""
