"""What time, heat and maintenance do to a chip's devices and amplifiers."""
