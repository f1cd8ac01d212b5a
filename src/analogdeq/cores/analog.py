"""Every kind of core whose weights train: an RC network or a network of oscillators."""

from analogdeq.cores.network import SaturatingNetwork
from analogdeq.cores.oscillators.base import OscillatorCore

AnalogCore = SaturatingNetwork | OscillatorCore
