"""Errors come back whole from other processes."""

import inspect
import pickle

import pytest

from analogdeq import errors

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.AnalogdeqError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_survives_pickling(kind: type[errors.AnalogdeqError]) -> None:
    error = errors.ScenarioError(["a: wrong", "b: missing"]) if kind is errors.ScenarioError else kind("a: wrong")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert str(back) == str(error)
    assert vars(back) == vars(error)
