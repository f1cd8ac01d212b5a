"""The noise benchmark measures what it says."""

from importlib.util import find_spec

from analogdeq.studies.bench_noise import NoiseBenchSpec, bench_noise, format_noise_bench


def test_the_benchmark_times_every_scheme_and_its_bias() -> None:
    result = bench_noise(
        NoiseBenchSpec(nodes=8, paths=512, until_tau=16.0, native_step_tau=0.5, repeat=1, threads=1, srk=False)
    )
    rows = {(row["solver"], row["step_tau"]): row for row in result["rows"]}
    assert all(row["s"] > 0 for row in result["rows"])
    for name in ("analogdeq exponential", "analogdeq implicit-midpoint"):
        assert abs(rows[name, 0.5]["variance_ratio"] - 1) < 0.04
    assert 1.02 < rows["analogdeq euler", 0.1]["variance_ratio"] < 1.09, "1/(1 - lam h/2)"
    text = format_noise_bench(result)
    assert "floor" in text
    assert "analogdeq exponential" in text
    if find_spec("torchsde") is None:
        assert result["not_installed"] == ["torchsde"]
        assert "torchsde: not installed, skipped" in text
    else:
        assert 1.02 < rows["torchsde euler", 0.1]["variance_ratio"] < 1.09
