"""Every file in `bad/` is refused with exactly the mistakes its `# expect:` lines name, one line each."""

from pathlib import Path

import pytest

from analogdeq.errors import ScenarioError
from analogdeq.scenario import load_scenario

BAD = sorted((Path(__file__).parent / "bad").glob("*.toml"))
MARK = "# expect: "


def expectations(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.removeprefix(MARK) for line in lines if line.startswith(MARK)]


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_every_mistake_is_reported_once_with_its_message(path):
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    expected, problems = expectations(path), caught.value.problems
    for fragment in expected:
        assert sum(fragment in problem for problem in problems) == 1, f"{fragment}\nis not among\n" + "\n".join(
            problems
        )
    assert len(problems) == len(expected), "\n".join(problems)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_every_line_starts_with_a_file_name_and_is_readable(path):
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    for problem in caught.value.problems:
        assert ".toml: " in problem
        assert len(problem) < 500
        assert "\n" not in problem


def test_the_corpus_is_large():
    assert len(BAD) >= 35
    assert all(expectations(path) for path in BAD)
