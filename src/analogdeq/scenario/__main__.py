"""Writes the reference page: `python -m analogdeq.scenario docs/scenario.md`."""

import sys
from pathlib import Path

from analogdeq.scenario.reference import markdown_reference

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m analogdeq.scenario FILE.md")
    Path(sys.argv[1]).write_text(markdown_reference(), encoding="utf-8")
