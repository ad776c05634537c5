"""How large a module may be.

The specification allows such limits (appendix, section 7.2); these are the ones that the WebAssembly
JavaScript API fixes for browsers, so that a module that runs there runs here. Others are marked.
"""

from __future__ import annotations

MAXIMUM_MODULE_SIZE = 1 << 30
MAXIMUM_TYPES = 1_000_000
MAXIMUM_FUNCTIONS = 1_000_000
MAXIMUM_IMPORTS = 1_000_000
MAXIMUM_EXPORTS = 1_000_000
MAXIMUM_GLOBALS = 1_000_000
MAXIMUM_TABLES = 100_000
MAXIMUM_TAGS = 1_000_000
MAXIMUM_MEMORIES = 100
MAXIMUM_DATA_SEGMENTS = 100_000
MAXIMUM_ELEMENT_SEGMENTS = 10_000_000
MAXIMUM_ELEMENT_SEGMENT_LENGTH = 10_000_000
MAXIMUM_PARAMETERS = 1_000
MAXIMUM_RESULTS = 1_000
MAXIMUM_FIELDS = 10_000
MAXIMUM_SUBTYPING_DEPTH = 63
MAXIMUM_FIXED_ARRAY_LENGTH = 10_000
MAXIMUM_BODY_SIZE = 7_654_321
MAXIMUM_LOCALS = 50_000
"""Parameters and declared locals together."""

MAXIMUM_CUSTOM_SECTIONS = 100_000
"""Not in the JavaScript API: each is an object of ours, while it may take three bytes of the module."""

MAXIMUM_OPERANDS = 1_000_000
"""Not in the JavaScript API: values on a function's operand stack. Two bytes of code can push 1,000."""
