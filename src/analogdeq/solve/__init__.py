"""Settle: integrate a core until it rests, and say when, at what energy, or why it did not."""
