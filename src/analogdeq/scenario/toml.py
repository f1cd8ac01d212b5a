"""Reads one TOML file, and says in which line it goes wrong and why."""

import re
import tomllib
from pathlib import Path
from typing import Any

from analogdeq.errors import ScenarioError

LARGEST_FILE_BYTES = 1_000_000
"""Far beyond any scenario; keeps a mistaken path, such as a data file or a device, from filling the memory."""

_UNQUOTED = re.compile(r"[\w.-]+\s*=\s*([-+.\d]+(?:[eE][-+]?\d+)?\s*(?:1/V|[^\W\d]\w*))\s*(#.*)?")


def read_toml(path: Path, label: str, said: str) -> dict[str, Any]:
    """The tables of a TOML file.

    Args:
        path: the file.
        label: how messages about its content name it.
        said: what pointed to it, for messages that it cannot be read at all.

    Raises:
        ScenarioError: if it cannot be read, is no TOML or is empty.
    """
    return parse_toml(_decode(_bytes(path, said), label), label)


def parse_toml(text: str, label: str) -> dict[str, Any]:
    """The tables of a TOML text; messages name it by the label.

    Raises:
        ScenarioError: if it is no TOML or is empty.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError([f"{label}: {_syntax(str(error), text)}"]) from None
    except RecursionError:
        raise ScenarioError([f"{label}: is no scenario: its brackets are nested hundreds deep"]) from None
    except ValueError:  # Python's guard against integers that take for ever to read
        raise ScenarioError([f"{label}: is no scenario: a number in it has thousands of digits"]) from None
    if not data:
        raise ScenarioError([f"{label}: is empty; a scenario has at least a name, [task] and [circuit], or a base"])
    return data


def _bytes(path: Path, said: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE_BYTES + 1)
    except IsADirectoryError:
        raise ScenarioError([f"{said}: is a folder; give a .toml file or a shipped name"]) from None
    except OSError as error:
        raise ScenarioError([f"{said}: cannot be read: {error.strerror or error}"]) from None
    if len(content) > LARGEST_FILE_BYTES:
        raise ScenarioError([f"{said}: is larger than {LARGEST_FILE_BYTES} bytes, so it is no scenario"])
    return content


def _decode(content: bytes, label: str) -> str:
    try:
        return content.decode("utf-8-sig")  # Windows editors put a byte order mark first
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"0x{content[error.start]:02x}"
        raise ScenarioError([f"{label}: line {line}: byte {byte} is not UTF-8; save the file as UTF-8"]) from None


def _syntax(message: str, text: str) -> str:
    """Turn tomllib's "Invalid value (at line 3, column 5)" around, show the line, and guess at the cause."""
    match = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", message, re.DOTALL)
    if match is None:
        return f"is not TOML: {message}"
    lines = text.split("\n")
    number = int(match[2]) if match[2] else len(lines)
    line = lines[number - 1].strip()[:120]
    return f"line {number}: is not TOML: {match[1]}: {line!r}{_cause(line)}"


def _cause(line: str) -> str:
    unquoted = _UNQUOTED.fullmatch(line)
    if unquoted:
        return f'; a number with a unit needs quotes: "{unquoted[1]}"'
    if re.search(r"=\s*(True|False|None|null)\b", line):
        return '; TOML writes true and false, and has no null: write "none"'
    if re.search(r"=\s*[-+]?(\.\d|\d+\.(\D|$))", line):
        return "; a number needs digits on both sides of its point"
    return ""
