"""What all oscillator cores share: couplings, an injected reference, detunings, and their checks."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from analogdeq.cores.check import check_tau
from analogdeq.cores.core import Drive, Linearisation
from analogdeq.cores.oscillators.coupling import split_coupling
from analogdeq.errors import InputError

REAL = {torch.complex64: torch.float32, torch.complex128: torch.float64}


class OscillatorCore(nn.Module, ABC):
    """N coupled oscillators in the frame that rotates with the reference; times in units of `tau_s`.

    A core of this kind says how phases or amplitudes move (`evaluate`, `map_with`, `linearise`) and what a common
    rotation does to them (`rotation`); everything else is here.

    Args:
        W: (N, N) [1]. Couplings, real or complex; a sparse COO tensor costs one product per edge.
        U: (2 N, input) [1]. Injection per input: in-phase row 2 i and quadrature row 2 i + 1 of oscillator i. With
            (N, input) inputs inject in quadrature only: beside a standing in-phase b, which they then cannot cancel.
        b: (2 N,) [1]. Standing injection, in the same order.
        detuning: (N,) [rad per tau]. Free-running frequency minus that of the reference.
        tuning: (N, input) [rad per tau]. Detuning per input.
        shil: [rad per tau]. Strength of the sub-harmonic injection (at twice the frequency).
        tau_s: [s]. Unit of time.

    Raises:
        InputError: if shapes or dtypes disagree or anything is not finite.
    """

    W: Tensor
    U: Tensor
    b: Tensor
    detuning: Tensor
    tuning: Tensor
    power_terms: tuple[str, ...] = ()
    work_buffers: int = 0
    full_scale: float = 1.0
    rate: Tensor | None = None

    def __init__(
        self,
        W: Tensor,
        U: Tensor | None,
        b: Tensor | None,
        detuning: Tensor | None,
        tuning: Tensor | None,
        shil: float,
        tau_s: float,
    ) -> None:
        super().__init__()
        _check_coupling(W)
        n = W.shape[0]
        weights, self.edges = split_coupling(W)
        if isinstance(W, nn.Parameter) and self.edges is not None:
            weights = nn.Parameter(weights.detach())
        like = weights.new_zeros((), dtype=REAL.get(weights.dtype, weights.dtype))
        inputs = next((t.shape[1] for t in (U, tuning) if isinstance(t, Tensor) and t.ndim == 2), 0)
        rows = n if isinstance(U, Tensor) and U.shape[:1] == (n,) else 2 * n
        shapes = {"U": (rows, inputs), "b": (2 * n,), "detuning": (n,), "tuning": (n, inputs)}
        given = {"U": U, "b": b, "detuning": detuning, "tuning": tuning}
        self._put("W", weights)
        for name, value in given.items():
            self._put(
                name, like.new_zeros(shapes[name]) if value is None else _checked(name, value, shapes[name], like)
            )
        if not (abs(shil) < float("inf")):
            raise InputError(f"shil = {shil!r} must be finite")
        self.shil = float(shil)
        self._tau_s = float(check_tau(tau_s, 1))

    def _put(self, name: str, value: Tensor) -> None:
        if isinstance(value, nn.Parameter):
            self.register_parameter(name, value)
        else:
            self.register_buffer(name, value)

    @property
    @abstractmethod
    def n_nodes(self) -> int:
        """How many states there are."""

    @abstractmethod
    def drive(self, u: Tensor) -> Drive:
        """(batch, input) -> injections and detunings, computed once per settle."""

    @abstractmethod
    def initial_state(self, drive: Drive) -> Tensor:
        """(batch, node): oscillators released together, in phase with the reference."""

    @abstractmethod
    def evaluate(self, z: Tensor, drive: Drive, dz: Tensor, power_W: Tensor, work: Tensor) -> None:
        """Write dz/ds into `dz`; an ideal core has no watts, so `power_W` has no columns."""

    @abstractmethod
    def flow(self, z: Tensor, u: Tensor, *parameters: Tensor) -> Tensor:
        """dz/ds (batch, node) with every tensor of `trainable` handed in, for automatic differentiation."""

    @abstractmethod
    def fixed_point_map(self, z: Tensor, drive: Drive) -> Tensor:
        """(batch, node): F(z) = z + dz/ds."""

    @abstractmethod
    def linearise(self, z: Tensor, drive: Drive) -> Linearisation:
        """The Jacobian of F at z."""

    @abstractmethod
    def rotation(self, z: Tensor) -> Tensor:
        """(batch, node): how z moves per radian of a common rotation of all oscillators."""

    @abstractmethod
    def rotation_part(self, v: Tensor) -> Tensor:
        """(batch, node): the part of `rotation` that is linear in the state, applied to v."""

    @abstractmethod
    def rotation_part_transposed(self, v: Tensor) -> Tensor:
        """(batch, node): its transpose."""

    @abstractmethod
    def pinned_node(self, oscillator: int) -> int:
        """Which state says the phase of an oscillator that is held at phase 0."""

    def map_with(self, z: Tensor, u: Tensor, *parameters: Tensor) -> Tensor:
        """F(z; u) with every tensor of `trainable` handed in, for automatic differentiation."""
        return z + self.flow(z, u, *parameters)

    def trainable(self) -> tuple[Tensor, ...]:
        """W (its weights per edge, where it is sparse), U, b, detuning and tuning."""
        return self.W, self.U, self.b, self.detuning, self.tuning

    @property
    def n_oscillators(self) -> int:
        """How many oscillators there are."""
        return self.detuning.shape[0]

    @property
    def n_inputs(self) -> int:
        """How many inputs drive them."""
        return self.U.shape[1]

    @property
    def has_reference(self) -> bool:
        """Whether anything from outside fixes the common phase: an injection, at the frequency or at twice it.

        Without it the locked state is a rotating wave: `Corotating` and `rotating_wave` are for that.
        """
        injected = (self.U, self.b)
        return self.shil != 0 or any(isinstance(t, nn.Parameter) or bool((t != 0).any()) for t in injected)

    @property
    def tau_s(self) -> float:
        """The unit of dimensionless time [s]."""
        return self._tau_s

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the state."""
        return self.detuning.dtype

    @property
    def device(self) -> torch.device:
        """Where the state lives."""
        return self.W.device

    def is_finite(self) -> bool:
        """Whether every weight is a finite number."""
        return all(bool(torch.isfinite(t.detach()).all()) for t in self.trainable())

    def contraction_gap(self) -> float:
        """0: a sine is no contraction on the whole circle, so no bound holds everywhere."""
        return 0.0

    def injection(self, u: Tensor, U: Tensor, b: Tensor) -> Tensor:
        """(batch, 2 N): U u + b."""
        if U.shape[0] == b.shape[0]:
            return torch.addmm(b, u, U.T)
        quadrature = u @ U.T
        return b + torch.stack((torch.zeros_like(quadrature), quadrature), 2).flatten(1)

    def detunings(self, u: Tensor, detuning: Tensor, tuning: Tensor) -> Tensor:
        """(batch, N): detuning + tuning u."""
        return torch.addmm(detuning, u, tuning.T)


def _check_coupling(W: Tensor) -> None:
    if not isinstance(W, Tensor):
        raise InputError(f"W must be a torch tensor, not {type(W).__name__}")
    if W.ndim != 2 or W.shape[0] != W.shape[1] or W.shape[0] == 0:
        raise InputError(f"W must be square and not empty, got shape {tuple(W.shape)}")
    if W.dtype not in (*REAL, *REAL.values()):
        raise InputError(f"W must be float32, float64 or complex of that precision, got {W.dtype}")
    values = W.detach().coalesce().values() if W.is_sparse else W.detach()
    if not bool(torch.isfinite(values).all()):
        bad = int((~torch.isfinite(values)).sum())
        raise InputError(f"W has {bad} entries that are NaN or infinite; no circuit can have them")


def _checked(name: str, value: Tensor, shape: tuple[int, ...], like: Tensor) -> Tensor:
    if not isinstance(value, Tensor):
        raise InputError(f"{name} must be a torch tensor, not {type(value).__name__}")
    if value.shape != shape:
        raise InputError(f"{name} must have shape {shape} to fit W and the inputs, got {tuple(value.shape)}")
    if value.dtype != like.dtype:
        raise InputError(f"{name} is {value.dtype} but the states are {like.dtype}; use one precision")
    if not bool(torch.isfinite(value.detach()).all()):
        raise InputError(f"{name} has entries that are NaN or infinite; no circuit can have them")
    return value
