"""Studies of a trained network on many chips: grids of points, measured in parallel, resumable."""
