"""Time-domain traces in HDF5: written while a settle runs, read by anyone (docs/trace-format.md)."""

from analogdeq.trace.header import TraceHeader
from analogdeq.trace.origin import provenance
from analogdeq.trace.reader import TraceFile, open_trace
from analogdeq.trace.result import TraceResult
from analogdeq.trace.write import write_trace
from analogdeq.trace.writer import TraceWriter

__all__ = ["TraceFile", "TraceHeader", "TraceResult", "TraceWriter", "open_trace", "provenance", "write_trace"]
