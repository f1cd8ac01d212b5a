"""A figure as the bytes of a PNG file."""

import io
import warnings
from typing import Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DOTS_PER_INCH: Final = 160


def png_bytes(figure: Figure) -> bytes:
    """Draw `figure`; the same figure gives the same bytes."""
    figure.dpi = DOTS_PER_INCH
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A name in letters that the font lacks is drawn as boxes, which is no reason to alarm anyone.
        warnings.filterwarnings("ignore", r"Glyph .* missing from font", UserWarning)
        # The default metadata names the drawing library's version, which would make equal pictures differ.
        FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()
