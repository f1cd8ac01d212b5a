"""Runs: what one command does and the directory it leaves."""
