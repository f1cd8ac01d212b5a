"""The report as one HTML page that needs nothing but itself."""

import base64
from collections.abc import Sequence
from importlib.resources import files
from typing import Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from analogdeq.report.data import ReportData
from analogdeq.report.interactive import interactive_waveforms
from analogdeq.report.pictures import Picture
from analogdeq.report.summary import key_numbers, result_rows, spectrum_rows, term_rows, verdict_rows

PAGE: Final = files("analogdeq.report") / "page"


def render_html(data: ReportData, pictures: Sequence[Picture]) -> str:
    """Fill the template; whatever comes from the run is escaped, only the page's own script and style are not.

    Args:
        data: the run.
        pictures: what `draw_pictures` gave for it; they are embedded.
    """
    waveforms = None if data.waveforms is None or not data.waveforms.names else interactive_waveforms(data.waveforms)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_own("report.html.j2")).render(
        data=data,
        key_numbers=key_numbers(data),
        results=result_rows(data),
        terms=term_rows(data),
        verdicts=verdict_rows(data),
        spectrum=spectrum_rows(data),
        pictures={picture.name: picture for picture in pictures},
        image=_data_uri,
        waveforms=waveforms,
        style=Markup(_own("report.css")),
        script=Markup(_own("waveforms.js")),
        plotly=Markup(_plotly()) if waveforms else "",
    )


def _own(name: str) -> str:
    return (PAGE / name).read_text(encoding="utf-8")


def _plotly() -> str:
    # Imported here, because it takes a third of a second that a report without waveforms need not wait.
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


def _data_uri(picture: Picture) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.png).decode()
