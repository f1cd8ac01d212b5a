"""`analogdeq scenario`: look at scenarios without running them."""

from pathlib import Path
from typing import Annotated

import typer

from analogdeq.cli.console import print_json, print_table
from analogdeq.cli.options import JsonOption, SetOption
from analogdeq.resources import resource_path

HELP = """Scenarios: list the shipped ones, check one, show it resolved, print the schema.

Examples:

  analogdeq scenario list

  analogdeq scenario check my-chip.toml

  analogdeq scenario schema > scenario.schema.json
"""

app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)
SourceArgument = Annotated[str, typer.Argument(metavar="SCENARIO", help="A shipped name, or the path of a TOML file.")]


@app.command("list", help="The shipped scenarios.\n\nExample:\n\n  analogdeq scenario list")
def list_(json: JsonOption = False) -> None:
    """Names and titles."""
    from analogdeq.scenario import load_scenario

    paths: list[Path] = sorted(resource_path("scenarios").glob("*.toml"))
    titles = {path.stem: load_scenario(path).title for path in paths}
    if json:
        print_json(titles)
    else:
        print_table("scenarios", list(titles.items()))


@app.command(help="Report every mistake of a scenario.\n\nExample:\n\n  analogdeq scenario check my-chip.toml")
def check(source: SourceArgument, set_: SetOption = None) -> None:
    """Load it, and see whether presets and tables have what it asks for."""
    from analogdeq.runs.workflow import check_buildable
    from analogdeq.scenario import load_scenario

    scenario = load_scenario(source, set_ or [])
    check_buildable(scenario)
    typer.echo(f"{source}: no mistakes")


@app.command(
    help="A scenario with bases and defaults filled in.\n\nExample:\n\n  analogdeq scenario show digits-crossbar"
)
def show(source: SourceArgument, set_: SetOption = None) -> None:
    """The resolved scenario as TOML."""
    from analogdeq.scenario import dump_scenario, load_scenario

    typer.echo(dump_scenario(load_scenario(source, set_ or [])), nl=False)


@app.command(
    help="Print the JSON schema, for editors.\n\nExample:\n\n  analogdeq scenario schema > scenario.schema.json"
)
def schema() -> None:
    """The JSON schema."""
    from analogdeq.scenario import json_schema

    print_json(json_schema())
