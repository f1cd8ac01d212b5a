"""How a settle ended, per sample."""

import enum


class Verdict(enum.IntEnum):
    """How one sample's settle ended; `advice` says what to do about it."""

    SETTLED = 0
    TIMED_OUT = 1
    OSCILLATING = 2
    DIVERGED = 3

    @property
    def text(self) -> str:
        """The verdict as people say it, "timed out"."""
        return self.name.lower().replace("_", " ")

    @property
    def advice(self) -> str:
        """What the verdict means and what to try."""
        return _ADVICE[self]


_ADVICE = {
    Verdict.SETTLED: "at rest: the state stayed inside the band around its equilibrium",
    Verdict.TIMED_OUT: "still moving when the budget ended; raise max_time_tau or max_steps, or lower the gain of W "
    "(settling slows as 1/gap)",
    Verdict.OSCILLATING: "on a limit cycle, so more time will not help; lower the gain of W or its skew part "
    "(a rest needs max Re eig(D W) < 1, and at circuit level 1 fast amplifiers); oscillators drift like this outside "
    "their locking range: inject or couple more strongly, or detune less",
    Verdict.DIVERGED: "left every bound; the drive or state is not finite, or the loop gain of an unbounded "
    "activation is 1 or more: bound the activation, lower W, or look for NaN in the input",
}
