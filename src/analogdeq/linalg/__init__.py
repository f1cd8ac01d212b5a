"""Batched linear solvers for (I - J) x = y, one system per sample, each with its own residual and count."""
