"""SPICE: a chip as a netlist, and ngspice as a judge that shares no code with this package."""

from analogdeq.spice.check import spice_check
from analogdeq.spice.comparison import Difference, SpiceComparison
from analogdeq.spice.frozen import Frozen, check_frozen, freeze, load_frozen, shipped_answer
from analogdeq.spice.netlist import netlist_of
from analogdeq.spice.ngspice import ngspice_version, run_ngspice

__all__ = [
    "Difference",
    "Frozen",
    "SpiceComparison",
    "check_frozen",
    "freeze",
    "load_frozen",
    "netlist_of",
    "ngspice_version",
    "run_ngspice",
    "shipped_answer",
    "spice_check",
]
