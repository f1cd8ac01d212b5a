"""From a scenario to the penalties of its training."""

from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.errors import InputError
from analogdeq.scenario import Scenario
from analogdeq.solve.options import SettleOptions
from analogdeq.stability.penalties import Penalty


def penalty_of(scenario: Scenario, circuit: CrossbarCircuit, settle: SettleOptions) -> Penalty:
    """What training adds to the loss.

    Args:
        scenario: what was asked for.
        circuit: whose joules an energy penalty counts.
        settle: how its transients are integrated.

    Raises:
        InputError: if energy is to be penalised where no joules are known.
    """
    p, m = scenario.train.penalty, scenario.model
    if p.energy > 0 and (m.kind != "hybrid" or m.core != "dense" or scenario.oscillator.core != "none"):
        raise InputError(
            f"scenario {scenario.name!r}: train.penalty.energy = {p.energy} takes model.kind = 'hybrid' with one dense "
            "RC core; settling_time takes any equilibrium of resistors and capacitors"
        )
    return Penalty(
        residual=p.residual,
        jacobian=p.jacobian,
        abscissa=p.abscissa,
        abscissa_above=p.abscissa_above,
        settling_time=p.settling_time,
        energy=p.energy,
        circuit=circuit if p.energy > 0 else None,
        settle=settle,
        probability=p.probability,
    )
