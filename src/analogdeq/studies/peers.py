"""Other people's ODE solvers on the same core, for comparison: each integrates the whole batch to a fixed horizon."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import final

import numpy as np
import torch
from torch import Tensor

from analogdeq.cores.rc import RCCore

ATOL = 1e-6


@final
@dataclass(frozen=True)
class PeerRun:
    """One solver, set up for one batch.

    Attributes:
        solve: integrates to the horizon; returns the states (batch, node) there.
        evaluations: of the derivative of the whole batch, per solve.
    """

    solve: Callable[[], np.ndarray]
    evaluations: float


@final
@dataclass(frozen=True)
class Peer:
    """A solver that may be installed.

    Attributes:
        name: as the table shows it.
        package: what must be importable.
        prepare: (core, u, horizon in tau, rtol) -> a run.
        devices: where `prepare` can put it.
    """

    name: str
    package: str
    prepare: Callable[[RCCore, Tensor, float, float], PeerRun]
    devices: tuple[str, ...] = ("cpu", "cuda")

    def is_installed(self) -> bool:
        """Whether its package can be found."""
        return find_spec(self.package) is not None


def _derivative(core: RCCore, current: Tensor) -> Callable[[Tensor], Tensor]:
    """dz/ds as a user of those libraries would write it."""
    rate = core.rate if core.rate is not None else torch.ones(core.n_nodes, device=core.device)
    W_t = core.W.detach().T
    return lambda z: rate * (torch.tanh(torch.addmm(current, z, W_t)) - z)


def _torchdiffeq(core: RCCore, u: Tensor, horizon: float, rtol: float) -> PeerRun:
    from torchdiffeq import odeint

    current = core.drive(u).current.detach()
    f = _derivative(core, current)
    count = [0]

    def counted(_s: Tensor, z: Tensor) -> Tensor:
        count[0] += 1
        return f(z)

    times = torch.tensor([0.0, horizon], device=core.device)
    z0 = torch.zeros_like(current)

    def solve() -> np.ndarray:
        with torch.no_grad():
            z: np.ndarray = odeint(counted, z0, times, rtol=rtol, atol=ATOL, method="dopri5")[-1].double().cpu().numpy()
        return z

    solve()
    evaluations, count[0] = count[0], 0
    return PeerRun(solve, float(evaluations))


def _torchode(core: RCCore, u: Tensor, horizon: float, rtol: float) -> PeerRun:
    import torchode

    current = core.drive(u).current.detach()
    f = _derivative(core, current)
    count = [0]

    def counted(_s: Tensor, z: Tensor) -> Tensor:
        count[0] += 1
        return f(z)

    term = torchode.ODETerm(counted)
    controller = torchode.IntegralController(atol=ATOL, rtol=rtol, term=term)
    solver = torchode.AutoDiffAdjoint(torchode.Tsit5(term=term), controller)
    problem = torchode.InitialValueProblem(
        y0=torch.zeros_like(current),
        t_eval=torch.tensor([[0.0, horizon]], device=core.device).expand(current.shape[0], 2),
    )

    def solve() -> np.ndarray:
        with torch.no_grad():
            z: np.ndarray = solver.solve(problem).ys[:, -1].double().cpu().numpy()
        return z

    solve()
    return PeerRun(solve, float(count[0]))


def _diffrax(core: RCCore, u: Tensor, horizon: float, rtol: float) -> PeerRun:
    import diffrax
    import jax
    import jax.numpy as jnp

    W, current = jnp.asarray(core.W.detach().numpy()), jnp.asarray(core.drive(u).current.detach().numpy())
    rate = jnp.asarray((core.rate if core.rate is not None else torch.ones(core.n_nodes)).numpy())

    @jax.jit
    def run() -> tuple[jax.Array, jax.Array]:
        def one(c: jax.Array) -> tuple[jax.Array, jax.Array]:
            solution = diffrax.diffeqsolve(
                diffrax.ODETerm(lambda t, z, args: rate * (jnp.tanh(W @ z + c) - z)),
                diffrax.Tsit5(),
                t0=0.0,
                t1=horizon,
                dt0=None,
                y0=jnp.zeros_like(c),
                stepsize_controller=diffrax.PIDController(rtol=rtol, atol=ATOL),
                saveat=diffrax.SaveAt(t1=True),
                max_steps=4096,
            )
            return solution.ys[-1], solution.stats["num_steps"]

        return jax.vmap(one)(current)

    # vmap runs every sample for as many steps as the slowest needs; six evaluations each and one at the start.
    evaluations = 6.0 * float(run()[1].max()) + 1
    return PeerRun(lambda: np.asarray(run()[0], np.float64), evaluations)


PEERS = (
    Peer("torchdiffeq dopri5", "torchdiffeq", _torchdiffeq),
    Peer("torchode tsit5", "torchode", _torchode),
    Peer("diffrax tsit5, fixed horizon", "diffrax", _diffrax, ("cpu",)),
)
