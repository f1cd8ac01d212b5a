"""Simulate Deep Equilibrium Models that run on analog hardware."""
