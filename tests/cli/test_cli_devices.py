"""`analogdeq devices plot` and `fit`."""

from pathlib import Path

import numpy as np
import pytest
from command_line import Command

from analogdeq.library import device_names


@pytest.mark.parametrize("name", ["pcm-generic", "reram-neurram", "gaussian-2pct", "weight-mismatch", "ecram-li"])
def test_a_preset_is_drawn(cli: Command, name: str) -> None:
    assert cli("devices", "plot", name, "--output", "a.png").code == 0
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")
    assert cli("devices", "plot", name, "--output", "b.png").code == 0
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()


def test_a_picture_that_cannot_be_written_says_so(cli: Command) -> None:
    answer = cli("devices", "plot", "pcm-generic", "--output", "nowhere/a.png")
    assert answer.code == 1
    assert "cannot write nowhere/a.png" in answer.err


def test_every_preset_can_be_shown_with_the_source_of_every_part(cli: Command) -> None:
    for name in device_names():
        shown = cli("devices", "show", name, "--json").json
        assert shown["parts"]
        for part in shown["parts"].values():
            assert part["source"]
            assert part["status"] in ("fit", "measured", "model", "estimate")
            assert part["distribution"]


def test_a_fit_makes_a_preset_that_can_be_shown(cli: Command) -> None:
    rng = np.random.default_rng(2)
    rows = [f"{G}e-6,{G + 0.5 * rng.standard_normal():.4f}e-6,1" for G in (5, 10, 20) for _ in range(200)]
    Path("m.csv").write_text("\n".join(["G_target_S,G_read_S,t_s", *rows]))
    answer = cli("devices", "fit", "m.csv", "--output", "mine.toml", "--degree", "0", "--json")
    assert answer.code == 0
    assert answer.json["sigma_S"] == pytest.approx([0.5e-6], rel=0.1)
    assert len(answer.json["residuals"]) == 3
    assert cli("devices", "show", "mine.toml").code == 0
    assert "sigma" in cli("devices", "fit", "m.csv", "--output", "mine.toml").out


def test_a_fit_without_a_measurement_fails(cli: Command) -> None:
    answer = cli("devices", "fit", "none.csv")
    assert answer.code == 1
    assert "none.csv" in answer.err
