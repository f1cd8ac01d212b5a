"""Exit codes."""

from analogdeq.errors import AnalogdeqError, InputError, ScenarioError

DONE, FAILED, BAD_USAGE, NOT_SETTLED, INTERRUPTED = 0, 1, 2, 3, 130


def code_of(error: AnalogdeqError) -> int:
    """2 for what the user wrote, 1 for what went wrong."""
    return BAD_USAGE if isinstance(error, ScenarioError | InputError) else FAILED
