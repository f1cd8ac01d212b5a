"""Devices: what a weight is stored in, as measured statistics."""
