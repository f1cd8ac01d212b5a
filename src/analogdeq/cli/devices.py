"""`analogdeq devices`: the shipped device presets."""

from typing import Annotated

import typer

from analogdeq.cli.console import print_json, print_table
from analogdeq.cli.options import JsonOption

HELP = """Device presets: what a weight is stored in.

Examples:

  analogdeq devices list

  analogdeq devices show pcm-generic
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
        print_table(str(facts["title"]), [(key, str(value)) for key, value in facts.items() if key != "title"])
