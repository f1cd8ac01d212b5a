"""Device presets: files under `data/devices/`, or of one's own."""

import math
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch

from analogdeq.devices.preset import DevicePreset, Fact
from analogdeq.devices.validity import ANYWHERE, QUANTITIES, Range, Validity
from analogdeq.errors import DataError, RangeError
from analogdeq.library.parts import PARTS, programming
from analogdeq.library.table import Table, read_toml
from analogdeq.resources import resource_path

STATUS = ("fit", "measured", "model", "estimate")


def device_names() -> list[str]:
    """The presets under `data/devices/`, sorted."""
    return sorted(path.stem for path in resource_path("data", "devices").glob("*.toml"))


def device_preset(name: str) -> DevicePreset:
    """Read one preset by name, or from a path that ends in `.toml`.

    Raises:
        DataError: if there is none of that name, or its file is not what a preset must be.
    """
    path = Path(name) if name.endswith(".toml") else resource_path("data", "devices", f"{name}.toml")
    if not path.is_file():
        near = get_close_matches(name, device_names(), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(device_names())}"
        raise DataError(f"no device preset {name!r}; {hint}")
    table = Table(path, "", read_toml(path))
    try:
        preset = _read_preset(path.stem, table)
        _refuse_negative_sigma(preset)
    except RangeError as error:
        raise table.problem(str(error)) from None
    return preset


def _read_preset(name: str, table: Table) -> DevicePreset:
    title, source = table.text("title"), table.text("source")
    not_modelled = table.text("not_modelled", "")
    ranges = _ranges(table.table("valid")) if table.has("valid") else {}
    conductance = ranges.get("conductance")
    if conductance is not None and not 0 <= conductance.low < conductance.high:
        raise table.problem(f"want 0 <= low < high for the conductance, got {conductance.low:g}, {conductance.high:g}")
    said = table.table("programming")
    fields: dict[str, Any] = programming(said, None if conductance is None else conductance.high)
    facts = [_fact("programming", said)]
    for part, read in PARTS.items():
        if table.has(part):
            inner = table.table(part)
            fields[part] = read(inner)
            facts.append(_fact(part, inner))
    levels = int(table.number("levels")) if table.has("levels") else None
    activation_eV = table.number("activation_eV", 0.0)
    table.finish()
    return DevicePreset(
        name=name,
        title=title,
        source=source,
        not_modelled=not_modelled,
        g_min_S=0.0 if conductance is None else conductance.low,
        g_max_S=math.inf if conductance is None else conductance.high,
        validity=Validity(
            voltage=ranges.get("voltage", ANYWHERE),
            temperature=ranges.get("temperature", ANYWHERE),
            time=ranges.get("time", Range(0.0, math.inf)),
        ),
        levels=levels,
        activation_eV=activation_eV,
        facts=tuple(facts),
        **fields,
    )


def _ranges(table: Table) -> dict[str, Range]:
    ranges = {}
    for quantity in QUANTITIES:
        if table.has(quantity):
            inner = table.table(quantity)
            ranges[quantity] = Range(inner.number("low"), inner.number("high"), inner.text("note", ""))
            inner.finish()
    table.finish()
    return ranges


def _fact(part: str, table: Table) -> Fact:
    """The source of one part; every part must have one."""
    fact = Fact(
        part=part,
        text=table.in_words("distribution", "source", "status"),
        distribution=table.text("distribution"),
        source=table.text("source"),
        status=table.choice("status", STATUS),
    )
    table.finish()
    return fact


def _refuse_negative_sigma(preset: DevicePreset) -> None:
    if preset.pulses is not None or preset.mismatch_alpha:
        return
    reference_S = preset.reference_S(1.0)
    range_S = torch.linspace(preset.g_min_S, reference_S, 101, dtype=torch.float64)
    sigmas = [preset.programming_sigma_S(range_S, reference_S)]
    if preset.deviation is not None:
        sigmas += [preset.deviation.sigma_S(range_S, time_s) for time_s in preset.deviation.times_s]
    if min(float(sigma.min()) for sigma in sigmas) < 0:
        raise RangeError("the programming error's sigma becomes negative inside the range of conductances")
