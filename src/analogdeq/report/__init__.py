"""Reports for people: pictures, and one page that holds them and every assumption."""

from analogdeq.report.data import Assumption, ReportData, Waveforms
from analogdeq.report.write import write_report

__all__ = ["Assumption", "ReportData", "Waveforms", "write_report"]
