"""`analogdeq devices`: the shipped device presets."""

from pathlib import Path
from typing import Annotated, Any

import typer

from analogdeq.cli.console import print_json, print_table
from analogdeq.cli.options import JsonOption

HELP = """Device presets: what a weight is stored in.

Examples:

  analogdeq devices list

  analogdeq devices show pcm-generic

  analogdeq devices plot pcm-generic --output pcm.png

  analogdeq devices fit measured.csv --output mine.toml
"""

app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A preset's name, or the path of its TOML file.")]


@app.command("list", help="Every shipped preset.\n\nExample:\n\n  analogdeq devices list --json")
def list_(json: JsonOption = False) -> None:
    """Names and titles."""
    from analogdeq.library import device_names, device_preset

    titles = {name: device_preset(name).title for name in device_names()}
    if json:
        print_json(titles)
    else:
        print_table("device presets", list(titles.items()))


@app.command(
    help="One preset: error against conductance, range, source.\n\nExample:\n\n  analogdeq devices show pcm-generic"
)
def show(name: NameArgument, json: JsonOption = False) -> None:
    """Everything a preset says."""
    from analogdeq.errors import DataError, InputError
    from analogdeq.library import describe_device

    try:
        facts = describe_device(name)
    except DataError as error:
        raise InputError(str(error)) from None
    if json:
        print_json(facts)
    else:
        print_table(
            str(facts["title"]), [row for key, value in facts.items() if key != "title" for row in _rows(key, value)]
        )


def _rows(key: str, value: Any) -> list[tuple[str, str]]:
    """A value as rows of a table; what is nested gets a row each."""
    if not isinstance(value, dict):
        return [(key, str(value))]
    rows = [(f"{key}: {name}", inner) for name, inner in value.items()]
    return [
        (name, "\n".join(f"{k}: {v}" for k, v in inner.items()) if isinstance(inner, dict) else str(inner))
        for name, inner in rows
    ]


@app.command(
    help="Draw a preset: error against conductance, and ageing.\n\n"
    "Example:\n\n  analogdeq devices plot pcm-generic --output pcm.png"
)
def plot(
    name: NameArgument,
    output: Annotated[Path, typer.Option(help="The PNG file to write.")] = Path("device.png"),
    seed: Annotated[int, typer.Option(min=0, help="Of the simulated devices.")] = 0,
) -> None:
    """A picture of what simulated devices do."""
    from analogdeq.errors import DataError, InputError
    from analogdeq.library import device_preset
    from analogdeq.report.plots.device import DeviceCurves, plot_device
    from analogdeq.report.plots.png import png_bytes
    from analogdeq.studies.device_curves import ageing_curve, error_curve

    try:
        preset = device_preset(name)
    except DataError as error:
        raise InputError(str(error)) from None
    scale, unit = (1e6, "µS") if preset.is_measured else (100.0, "% of g_max")
    target, sigma = error_curve(preset, 1.0, seed)
    times_s, states, retained = ageing_curve(preset, 1.0, seed)
    curves = DeviceCurves(preset.title, unit, target * scale, sigma * scale, times_s, retained, states * scale)
    _write(output, png_bytes(plot_device(curves)))
    typer.echo(str(output))


FIT_HELP = """Fit a preset to measured conductances.

The CSV file has the columns G_target_S, G_read_S and t_s, one row per device and read. The fit is printed with its
residuals: per time and target, mean of read minus fit, and measured over fitted standard deviation.

Example:

  analogdeq devices fit measured.csv --output mine.toml
"""


@app.command(help=FIT_HELP)
def fit(
    measured: Annotated[Path, typer.Argument(metavar="CSV", help="The measurement.")],
    output: Annotated[Path, typer.Option(help="The preset file to write.")] = Path("fitted.toml"),
    degree: Annotated[int, typer.Option(min=0, max=6, help="Of the polynomial of the programming error.")] = 2,
    title: Annotated[str, typer.Option(help="Of the preset.")] = "Fitted device",
    source: Annotated[str, typer.Option(help="Who measured what; the file's name if left out.")] = "",
    json: JsonOption = False,
) -> None:
    """See `FIT_HELP`."""
    from analogdeq.library.fit import fit_preset, preset_text, read_measurement, residual_table

    found = fit_preset(read_measurement(measured), degree)
    _write(output, preset_text(found, title, source or f"fit to {measured.name}").encode())
    rows = residual_table(found)
    if json:
        print_json(
            {"preset": str(output), **{k: v for k, v in vars(found).items() if k != "residuals"}, "residuals": rows}
        )
        return
    print_table(
        f"{output}: residuals",
        [
            (
                f"{row['t_s']:g} s, {1e6 * row['target_S']:.4g} µS, {row['devices']} devices",
                f"mean off by {1e6 * row['mean_S']:.3g} µS, sigma {row['sigma_ratio']:.3f} of the fit",
            )
            for row in rows
        ],
    )


def _write(path: Path, content: bytes) -> None:
    from analogdeq.errors import DataError

    try:
        path.write_bytes(content)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}") from None
