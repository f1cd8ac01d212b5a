"""Run the ngspice program on a netlist."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from analogdeq.errors import DependencyError, SpiceError
from analogdeq.spice.raw import RawPlot, read_raw

PROGRAM = "ngspice"
_COMPLAINT = re.compile(r"error|fatal|singular|too small|unknown|undefined|aborted|cannot|can't|no such", re.IGNORECASE)
_MAX_COMPLAINTS = 6


def find_ngspice() -> str:
    """The program's path.

    Raises:
        DependencyError: if it is not on the PATH.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise DependencyError(
            "ngspice is not on the PATH; install it, for example with 'apt-get install ngspice' (Debian, Ubuntu), "
            "'brew install ngspice' (macOS) or from https://ngspice.sourceforge.io"
        )
    return program


def ngspice_version() -> str:
    """What the program calls itself, for example "ngspice-39".

    Raises:
        DependencyError: if it is not on the PATH.
    """
    answer = _call([find_ngspice(), "--version"], Path.cwd(), timeout_s=30)
    match = re.search(r"ngspice-\S+", answer.stdout)
    return match.group(0) if match else "ngspice of unknown version"


def run_ngspice(netlist: str, *, timeout_s: float = 600.0) -> list[RawPlot]:
    """Run every analysis of a netlist in batch mode.

    Nothing of the user's configuration takes part, and nothing is left behind.

    Args:
        netlist: its text, with analysis lines.
        timeout_s: [s]. How long the program may run.

    Raises:
        DependencyError: if ngspice is not on the PATH.
        SpiceError: with ngspice's own words if it fails or takes too long.
    """
    program = find_ngspice()
    with tempfile.TemporaryDirectory(prefix="analogdeq-spice-") as name:
        folder = Path(name)
        (folder / "chip.cir").write_text(netlist, encoding="utf-8")
        answer = _call([program, "-n", "-b", "-r", "out.raw", "chip.cir"], folder, timeout_s)
        said = answer.stdout + answer.stderr
        # An analysis that gives up half-way leaves a raw file behind, and not every version an exit status.
        if answer.returncode != 0 or "aborted" in said.lower():
            raise SpiceError(f"ngspice failed (exit status {answer.returncode}): {_complaints(said)}")
        raw = folder / "out.raw"
        if not raw.exists():
            raise SpiceError("ngspice ran and wrote no waveform; has the netlist an analysis line, such as .tran?")
        return read_raw(raw)


def _call(command: list[str], folder: Path, timeout_s: float) -> subprocess.CompletedProcess[str]:
    # SPICE_ASCIIRAWFILE in the environment would change the format of the answer.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SPICE_")}
    try:
        return subprocess.run(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", timeout=timeout_s, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise SpiceError(
            f"ngspice had not finished after {timeout_s:g} s and was stopped; allow it more time, or export fewer nodes"
        ) from None
    except OSError as error:
        raise SpiceError(f"{command[0]}: cannot be run: {error}") from None


def _complaints(said: str) -> str:
    """The lines that tell what went wrong; the last lines where none looks like it."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if _COMPLAINT.search(line)]
    return " | ".join((telling or lines)[-_MAX_COMPLAINTS:]) or "it said nothing"
