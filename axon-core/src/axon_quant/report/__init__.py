"""Pages that need nothing but themselves: markup that escapes, scales with nice ticks, plots in inline SVG.

The drawing is our own and small, so that a page has no script, no font and no request in it.
"""

from axon_quant.report.markup import Html, page, tag
from axon_quant.report.plot import Panel
from axon_quant.report.scales import LinearScale, LogScale

__all__ = ["Html", "LinearScale", "LogScale", "Panel", "page", "tag"]
