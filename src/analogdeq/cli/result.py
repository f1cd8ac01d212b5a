"""How a command shows the result of an evaluation or a settle."""

from typing import Any

from analogdeq.cli.console import print_files, print_json, print_table
from analogdeq.cli.exits import DONE, NOT_SETTLED
from analogdeq.units import format_quantity


def show(summary: dict[str, Any], files: dict[str, str], *, as_json: bool) -> int:
    """Print a summary and where the files are; returns the exit code."""
    if as_json:
        print_json({**summary, "files": files})
    else:
        print_table(str(summary["scenario"]), _rows(summary))
        print_files(files)
    return NOT_SETTLED if summary["fraction_not_settled"] > 0 else DONE


def _rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    if "accuracy_ideal" in summary:
        n = summary["images"]
        rows += [
            ("accuracy, ideal core", f"{100 * summary['accuracy_ideal']:.2f} %  of {n} test images"),
            (
                "accuracy, on the chip",
                f"{100 * summary['accuracy_chip']:.2f} %  (chip seed {summary['seeds']['chip']})",
            ),
        ]
        if "noisy" in summary:
            noise = summary["noisy"]
            spread = f"noise seed {noise['seed']}; white noise {noise['noise_rms']:.2g} rms of z"
            rows.append(("  with its noise", f"{100 * noise['accuracy']:.2f} %  ({spread})"))
        for noisy in summary.get("accuracy_noisy", []):
            label = f"  lines {format_quantity(noisy['linewidth_Hz'], 'Hz')} wide"
            off = f"phases off by {noisy['phase_rms_rad']:.2g} rad rms"
            rows.append((label, f"{100 * noisy['accuracy']:.2f} %  ({off})"))
        rows.append(("", ""))
    times = summary["t_settle_s"]
    rows.append(("settling time p50 / p95 / max", _times_ns(times) + " ns"))
    if "latency_s" in summary:
        rows.append(("latency p50 / p95 / max", _times_ns(summary["latency_s"]) + " ns, conversions included"))
    verdicts = ", ".join(f"{count} {name}" for name, count in summary["verdicts"].items() if count)
    rows.append(("not settled", f"{100 * summary['fraction_not_settled']:.2f} %  ({verdicts})"))
    rows.append(("function evaluations, mean", f"{summary['evaluations_mean']:.0f} per image"))
    rows.append(("", ""))
    rows.append(("energy per inference, mean", _energy_pJ(summary["energy_J"]["mean"]) + " pJ"))
    rows += [(f"  {name}", _energy_pJ(value) + " pJ") for name, value in summary["energy_terms_mean_J"].items()]
    if "energy_clocked_J" in summary:
        rows.append(("energy, clocked at the slowest", _energy_pJ(summary["energy_clocked_J"]["mean"]) + " pJ"))
    return rows + _amplifiers(summary)


def _amplifiers(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """What a chip at level 1 has to say of its amplifiers."""
    if "spectral_abscissa_per_s" not in summary:
        return []
    worst, K_n = summary["spectral_abscissa_per_s"], summary["noise_gain"]
    upset = f"{worst['stable_at_level_0_only']} of {worst['images']} images"
    return [
        ("", ""),
        ("spectral abscissa, level 0 / 1", f"{_rate(worst['level_0'])} / {_rate(worst['level_1'])} 1/s"),
        ("stable with ideal amplifiers only", upset),
        ("noise gain, mean / max", f"{K_n['mean']:.3g} / {K_n['max']:.3g}"),
        ("slowest amplifier pole", f"{_time_ns(summary['amplifier_pole_s']['max'])} ns"),
    ]


def _rate(per_s: float | None) -> str:
    return "-" if per_s is None else f"{per_s:.3g}"


def _times_ns(seconds: dict[str, float | None]) -> str:
    return " / ".join(_time_ns(seconds[key]) for key in ("p50", "p95", "max"))


def _time_ns(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1e9:.4g}"


def _energy_pJ(joules: float) -> str:
    return f"{joules * 1e12:,.4g}" if abs(joules) < 1e-9 else f"{joules * 1e12:,.0f}"
