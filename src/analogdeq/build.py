"""From a scenario to objects: the one place that knows every concrete class."""

import math
from typing import Any, TypeGuard

import torch
from torch import nn

from analogdeq.build_chips import build_oscillators, place_on_chip
from analogdeq.build_converters import converters_of, with_trained_converters
from analogdeq.build_gradient import gradient_of
from analogdeq.build_hardware import hardware_of, needs_symmetry
from analogdeq.build_penalty import penalty_of
from analogdeq.circuits.amplifier import Amplifier
from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.circuits.wires import Wires
from analogdeq.cores.analog import AnalogCore
from analogdeq.cores.network import SaturatingNetwork
from analogdeq.devices.preset import DevicePreset
from analogdeq.errors import InputError
from analogdeq.gradient.forward import ByIteration, ByRootFinding, BySettling, Forward
from analogdeq.gradient.method import Gradient
from analogdeq.gradient.shine import ByBroyden
from analogdeq.models.anderson import ByAnderson
from analogdeq.models.build_conv import conv_equilibria, conv_feedforward
from analogdeq.models.build_dense import dense_feedforward
from analogdeq.models.chain import ChainDEQ
from analogdeq.models.feedforward import Feedforward
from analogdeq.models.hybrid import HybridDEQ, digits_model, keep_symmetric_
from analogdeq.models.oscillator import oscillator_model
from analogdeq.models.shapes import DigitalLayers, read_stages
from analogdeq.oscillator_chip import AnyChip
from analogdeq.scenario import Scenario
from analogdeq.solve.options import SettleOptions
from analogdeq.stability.parametrise import parametrise
from analogdeq.tasks.augment import Augmentation
from analogdeq.tasks.cifar import load_cifar10
from analogdeq.tasks.dataset import Dataset
from analogdeq.tasks.digits import load_digits
from analogdeq.tasks.imagenet32 import load_imagenet32
from analogdeq.train.options import FitOptions

DTYPES = {"float32": torch.float32, "float64": torch.float64}
IMAGES = {"digits": ((1, 8, 8), 10), "cifar10": ((3, 32, 32), 10), "imagenet32": ((3, 32, 32), 1000)}
"""Channels, height and width of each task's images, and its classes."""


def build_data(scenario: Scenario) -> Dataset:
    """The scenario's data set.

    Raises:
        DataError: if it is missing or damaged.
    """
    task = scenario.task
    if task.name == "digits":
        data = load_digits()
    elif task.name == "cifar10":
        data = load_cifar10(checksums=task.checksums)
    else:
        data = load_imagenet32()
    return data.hold_out(task.held_out).limit_train(task.train_limit).limit_test(task.test_limit)


def build_circuit(scenario: Scenario) -> CrossbarCircuit:
    """The scenario's component values; converter energies not given come from the shipped tables."""
    c = scenario.circuit
    dac, adc = converters_of(scenario)
    return CrossbarCircuit(
        mapping=c.mapping,
        g_min_S=c.g_min_S,
        g_max_S=c.g_max_S,
        unit_voltage_V=c.unit_voltage_V,
        node_R_ohm=c.node_R_ohm,
        node_C_F=c.node_C_F,
        node_leak_S=c.node_leak_S,
        supply_V=c.supply_V,
        amplifier=Amplifier(
            gbw_Hz=c.amplifier.gbw_Hz,
            speed_ratio=c.amplifier.speed_ratio,
            branches=c.amplifier.branches,
            gm_over_id_per_V=c.amplifier.gm_over_id_per_V,
            load_C_F=c.amplifier.load_C_F,
            bias_W=c.amplifier.bias_W,
        ),
        wires=Wires(line_ohm=c.wires.line_ohm, row_ohm=c.wires.row_ohm, cell_F=c.wires.cell_F, tile=c.wires.tile),
        dac=dac,
        adc=adc,
    )


def build_settle_options(scenario: Scenario) -> SettleOptions:
    """How to integrate."""
    s = scenario.settle
    return SettleOptions(
        method=s.method,
        rtol=s.rtol,
        atol=s.atol,
        band=s.band,
        dwell_tau=s.dwell_tau,
        max_time_tau=s.max_time_tau,
        max_steps=s.max_steps,
    )


def build_model(scenario: Scenario, *, seed: int | None = None) -> Any:
    """An untrained `Model`, the same for the same seed.

    Raises:
        InputError: if stages or weights of the scenario cannot be built.
    """
    generator = torch.Generator().manual_seed(scenario.seeds.train if seed is None else seed)
    kind = scenario.model.kind
    model: nn.Module
    if scenario.oscillator.core != "none":
        model = _oscillators(scenario, generator)
    elif kind == "feedforward":
        model = _feedforward(scenario, generator)
    else:
        model = _equilibria(scenario, generator)
    model = with_trained_converters(scenario, model, build_circuit(scenario))
    return model.to(DTYPES[scenario.settle.dtype])


def _oscillators(scenario: Scenario, generator: torch.Generator) -> HybridDEQ:
    m, o, t = scenario.model, scenario.oscillator, scenario.train
    image, classes = IMAGES[scenario.task.name]
    if m.kind != "hybrid" or m.core != "dense" or m.weights != "free":
        raise InputError(
            f"scenario {scenario.name!r}: oscillators take model.kind = 'hybrid', core = 'dense' and weights = 'free', "
            f"not {m.kind!r}, {m.core!r} and {m.weights!r}"
        )
    model = oscillator_model(
        pixels=math.prod(image),
        inputs=m.inputs,
        oscillators=m.nodes,
        classes=classes,
        amplitudes=o.core == "stuart-landau",
        shear=o.shear,
        coupling_init_gain=m.analog_init_gain,
        injection=o.injection,
        tau_s=build_oscillators(scenario).tau_s,
        generator=generator,
        # Forward Euler on the phases: half a time constant per step is stable for pulls of up to four.
        forward=_forward(scenario, ByRootFinding(tol=t.forward_tol, relaxation=0.5, max_relaxations=40)),
        gradient=build_gradient(scenario),
    )
    if needs_symmetry(scenario):
        keep_symmetric_(model.cores)
    return model


def image_shape(scenario: Scenario) -> tuple[int, int, int]:
    """Channels, height and width of the task's images."""
    return IMAGES[scenario.task.name][0]


def _equilibria(scenario: Scenario, generator: torch.Generator) -> HybridDEQ | ChainDEQ:
    m = scenario.model
    # A digital computer has no leak that lowers the gain.
    circuit = build_circuit(scenario) if m.kind == "hybrid" else None
    tau_s, gain = (circuit.tau_s, circuit.gain) if circuit else (1.0, 1.0)
    image, classes = IMAGES[scenario.task.name]
    forward = _forward(scenario)
    gradient = build_gradient(scenario)
    model: HybridDEQ | ChainDEQ
    if m.core == "conv":
        model = conv_equilibria(
            image=image, inputs=m.inputs, stages=read_stages(m.stages, image[1]), classes=classes,
            activation=m.activation, analog_init_gain=m.analog_init_gain, tau_s=tau_s, gain=gain,
            generator=generator, forward=forward, gradient=gradient, digital=_digital_layers(scenario),
        )  # fmt: skip
    else:
        model = digits_model(
            pixels=math.prod(image), inputs=m.inputs, nodes=m.nodes, classes=classes,
            activation=m.activation, analog_init_gain=m.analog_init_gain, tau_s=tau_s, gain=gain,
            generator=generator, forward=forward, gradient=gradient,
        )  # fmt: skip
        if scenario.task.name != "digits":
            model.encoder = nn.Sequential(nn.Flatten(), model.encoder)
    if needs_symmetry(scenario):
        keep_symmetric_(model.cores)
    elif m.weights != "free":
        for core in filter(_is_network, model.cores):
            parametrise(
                core, m.weights, norm_bound=m.spectral_bound, row_bound=m.row_bound, margin=m.monotone_margin,
                bursts=m.spectral_bursts,
            )  # fmt: skip
    return model


def _is_network(core: AnalogCore) -> TypeGuard[SaturatingNetwork]:
    return isinstance(core, SaturatingNetwork)


def build_gradient(scenario: Scenario) -> Gradient:
    """How equilibria are differentiated in training."""
    return gradient_of(scenario, build_circuit(scenario), build_settle_options(scenario))


def _forward(scenario: Scenario, root: ByRootFinding | None = None) -> Forward:
    if scenario.gradient.method == "shine":
        return ByBroyden()
    if scenario.model.kind == "digital":
        return ByAnderson(tol=scenario.train.forward_tol)
    if scenario.train.forward == "iterate":
        return ByIteration(tol=scenario.train.forward_tol)
    if scenario.train.forward == "root":
        return root or ByRootFinding(tol=scenario.train.forward_tol)
    return BySettling(build_settle_options(scenario))


def _digital_layers(scenario: Scenario) -> DigitalLayers:
    m = scenario.model
    return DigitalLayers(encoder=m.encoder, norm=m.norm, dropout=m.dropout, readout_side=m.readout_side)


def _feedforward(scenario: Scenario, generator: torch.Generator) -> Feedforward:
    m = scenario.model
    image, classes = IMAGES[scenario.task.name]
    if m.core == "conv":
        stages = read_stages(m.stages, image[1])
        return conv_feedforward(
            image=image, inputs=m.inputs, stages=stages, classes=classes, generator=generator,
            digital=_digital_layers(scenario),
        )  # fmt: skip
    return dense_feedforward(
        pixels=math.prod(image), inputs=m.inputs, nodes=m.nodes, classes=classes, generator=generator
    )


def build_fit_options(scenario: Scenario) -> FitOptions:
    """How to train."""
    t, circuit = scenario.train, build_circuit(scenario)
    return FitOptions(
        epochs=t.epochs,
        batch_size=t.batch_size,
        lr_digital=t.lr_digital,
        lr_analog=t.lr_analog,
        weight_decay=t.weight_decay,
        weight_decay_analog=t.weight_decay_analog,
        schedule=t.schedule,
        warmup_epochs=t.warmup_epochs,
        grad_clip=t.grad_clip,
        spectral_bound=scenario.model.spectral_bound if scenario.model.weights == "free" else None,
        label_smoothing=t.label_smoothing,
        input_noise=t.input_noise,
        augmentation=Augmentation() if t.augmentation == "crop-flip" else None,
        mixed_precision=t.precision == "mixed",
        penalty=penalty_of(scenario, circuit, build_settle_options(scenario)),
        clip_rms=t.hardware.clip_rms,
        hardware=hardware_of(scenario, circuit),
        seed=scenario.seeds.train,
    )


def build_chip(
    scenario: Scenario, core: AnalogCore | None = None, *, seed: int | None = None, device: DevicePreset | None = None
) -> AnyChip:
    """A chip of the scenario's circuit and device, and of its oscillators where the core is one of those.

    Args:
        scenario: what to build.
        core: the trained core to place on it; an untrained one if None.
        seed: the chip seed; the scenario's if None.
        device: in the place of the scenario's.

    Raises:
        InputError: if the core is not of the scenario's kind.
    """
    core = core or only_core(scenario, build_model(scenario))
    chip_seed = scenario.seeds.chip if seed is None else seed
    return place_on_chip(scenario, core, build_circuit(scenario), chip_seed, device)


def only_core(scenario: Scenario, model: Any) -> AnalogCore:
    """The core of a model that a chip can be made of.

    Raises:
        InputError: if the scenario's model has none, several, or is a digital baseline.
    """
    if scenario.model.kind != "hybrid" or len(model.cores) != 1:
        what = f"kind = {scenario.model.kind!r}" if scenario.model.kind != "hybrid" else f"{len(model.cores)} cores"
        raise InputError(
            f"scenario {scenario.name!r}: no chip can be made of a model with {what}; it can be trained and compared "
            "('analogdeq train', 'analogdeq compare'). A chip takes model.kind = 'hybrid' with one core"
        )
    core: AnalogCore = model.cores[0]
    return core
