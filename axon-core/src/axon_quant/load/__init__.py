"""Load tests: a market at a chosen pace through the real pipeline, on the paper venue, judged against an SLA."""

from axon_quant.load.report import LoadReport, Quantiles, Verdict, judge, read_report, report_path, write_report
from axon_quant.load.run import LoadTest

__all__ = ["LoadReport", "LoadTest", "Quantiles", "Verdict", "judge", "read_report", "report_path", "write_report"]
