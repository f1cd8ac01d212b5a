"""The shipped tables, read into physics objects: device presets and converter energies."""

from analogdeq.library.converters import adc_energy_J
from analogdeq.library.describe import describe_device
from analogdeq.library.devices import device_names, device_preset

__all__ = ["adc_energy_J", "describe_device", "device_names", "device_preset"]
