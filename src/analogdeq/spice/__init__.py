"""SPICE: a chip as a netlist, and ngspice as a judge that shares no code with this package."""
