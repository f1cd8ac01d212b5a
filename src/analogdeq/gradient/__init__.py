"""Gradients of equilibria: the fixed point found first, differentiated by the implicit function theorem after."""
