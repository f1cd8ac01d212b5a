"""The exception tree. Catch `AnalogdeqError` for all of it.

    AnalogdeqError
    |-- InputError        a value, shape or dtype handed to the library is unusable      (also a ValueError)
    |   |-- UnitError     a quantity cannot be read, or carries the wrong unit
    |   `-- RangeError    a value lies outside what a circuit or a device preset covers
    |-- ScenarioError     a scenario file does not say what it must; lists every mistake (also a ValueError)
    |-- SettleError       a sample did not settle and the caller asked to be told        (`throw=True`)
    |-- GradientError     the linear solve of the implicit gradient failed
    |-- DataError         a data set is missing, damaged or not what it claims to be
    |-- TraceError        a trace file cannot be written or read
    |-- RunError          a run directory is taken, or cannot be written
    |-- ReportError       a report or one of its pictures cannot be written
    |-- CheckpointError   a checkpoint cannot be written or read
    |-- SpiceError        ngspice failed, or what it wrote cannot be read
    `-- DependencyError   an optional package or program is not installed

Each message says what was wrong with its value, where, and what to do.
"""


class AnalogdeqError(Exception):
    """Anything this package raises on purpose."""


class InputError(AnalogdeqError, ValueError):
    """A value, shape or dtype handed to the library is unusable."""


class UnitError(InputError):
    """A quantity cannot be read, or carries the wrong unit."""


class RangeError(InputError):
    """A value lies outside what a circuit or a device preset covers."""


class ScenarioError(AnalogdeqError, ValueError):
    """A scenario is unusable; `problems` holds every mistake found, one line each."""

    def __init__(self, problems: list[str]) -> None:
        """Keep the lines apart so that a program can count them."""
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type["ScenarioError"], tuple[list[str]]]:
        # From its lines, not from their text: it comes back from other processes too.
        return ScenarioError, (self.problems,)


class SettleError(AnalogdeqError):
    """At least one sample did not settle."""


class GradientError(AnalogdeqError):
    """The linear solve of an implicit gradient did not reach its tolerance."""


class DataError(AnalogdeqError):
    """A data set is missing, damaged or not what it claims to be."""


class TraceError(AnalogdeqError):
    """A trace file cannot be written or read."""


class RunError(AnalogdeqError):
    """A run directory is taken, or cannot be written."""


class ReportError(AnalogdeqError):
    """A report or one of its pictures cannot be written."""


class CheckpointError(AnalogdeqError):
    """A checkpoint cannot be written or read."""


class SpiceError(AnalogdeqError):
    """The ngspice program failed, or what it wrote cannot be read."""


class DependencyError(AnalogdeqError):
    """An optional package or program is needed and not installed."""
