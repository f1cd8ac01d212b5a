"""Stability by construction and by penalty: parametrisations of W with certificates, and loss terms."""
