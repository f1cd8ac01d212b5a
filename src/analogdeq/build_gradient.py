"""From a scenario to the gradient object that it names."""

from analogdeq import library
from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.errors import InputError
from analogdeq.gradient.implicit import ImplicitGradient
from analogdeq.gradient.method import Gradient
from analogdeq.gradient.phase_propagation import PhasePropagation
from analogdeq.gradient.physical import PhysicalAdjoint
from analogdeq.gradient.propagation import EquilibriumPropagation
from analogdeq.gradient.shine import ShineGradient
from analogdeq.gradient.trajectory import AdjointOptions, TransientGradient
from analogdeq.gradient.truncated import PhantomGradient, jacobian_free
from analogdeq.gradient.unrolled import UnrolledGradient
from analogdeq.gradient.warm_start import WarmStart
from analogdeq.linalg.noise import ReadNoise
from analogdeq.scenario import Scenario
from analogdeq.solve.options import SettleOptions


def gradient_of(scenario: Scenario, circuit: CrossbarCircuit, options: SettleOptions) -> Gradient:
    """How equilibria are differentiated in training.

    Args:
        scenario: its tables `gradient` and `train`.
        circuit: of the array that a physical adjoint settles on.
        options: how that is integrated.

    Raises:
        InputError: for equilibrium propagation of oscillators with amplitudes, or around a complex circle of phases.
    """
    s = scenario.gradient
    match s.method:
        case "phantom":
            return PhantomGradient(
                steps=s.phantom_steps, damping=s.phantom_damping, measure=s.phantom_residual == "measured"
            )
        case "jacobian-free":
            return jacobian_free()
        case "shine":
            return ShineGradient(refine=s.shine_refine, tol=scenario.train.gradient_tol)
        case "unrolled":
            return UnrolledGradient(
                steps=s.unroll_steps,
                weight_noise=s.unroll_weight_noise,
                state_noise=s.unroll_state_noise,
                checkpoint_every=s.unroll_checkpoint_every,
                seed=scenario.seeds.train,
            )
        case "transient":
            return TransientGradient(horizon_tau=s.transient_horizon_tau, options=AdjointOptions(rtol=1e-5, atol=1e-7))
        case "physical-adjoint":
            return PhysicalAdjoint(
                array=s.adjoint_array,
                circuit=circuit,
                device=library.device_preset(scenario.device.preset),
                seed=s.adjoint_seed,
                noise=s.adjoint_noise,
                options=options,
            )
        case "equilibrium-propagation":
            return _propagation(scenario)
        case _:
            return _implicit(scenario)


def _propagation(scenario: Scenario) -> Gradient:
    s, core = scenario.gradient, scenario.oscillator.core
    if core == "none":
        return EquilibriumPropagation(variant=s.nudge, beta=s.nudge_beta)
    if core != "phase" or s.nudge == "holomorphic":
        raise InputError(
            f"scenario {scenario.name!r}: gradient.method = 'equilibrium-propagation' trains RC networks, and with "
            "gradient.nudge = 'one-sided' or 'centred' oscillator.core = 'phase'; use gradient.method = 'implicit' for "
            f"oscillator.core = {core!r} with nudge = {s.nudge!r}"
        )
    return PhasePropagation(variant=s.nudge, beta=s.nudge_beta)


def _implicit(scenario: Scenario) -> ImplicitGradient:
    t, s = scenario.train, scenario.gradient
    noise = None
    if s.read_noise is not None:
        noise = ReadNoise(kind=s.read_noise, level=s.read_noise_level, seed=scenario.seeds.train)
    return ImplicitGradient(
        solver=t.gradient_solver,
        tol=t.gradient_tol,
        max_iter=t.gradient_max_iter,
        read_noise=noise,
        warm_start=WarmStart() if s.warm_start == "on" else None,
    )
