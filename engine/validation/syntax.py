"""Whether function bodies are well-formed (sections 5.4 and 5.5.13), whatever their types.

Validation reads bodies and decodes them at once, which is faster; only when it finds something wrong does it
ask here, so that a malformed module is reported as malformed also where it is invalid too.
"""

from __future__ import annotations

from farcall.engine.binary.instructions import UNEXPECTED_END, read_expression
from farcall.engine.errors import MalformedModuleError, UnsupportedFeatureError
from farcall.engine.instructions.instruction import Immediate
from farcall.engine.structure.module import FunctionBody, Module


def check_bodies_syntax(module: Module, first: int = 0) -> None:
    """Check all bodies from number `first` on; raises like `check_body_syntax`."""
    for body in module.functions[first:]:
        check_body_syntax(module, body)


def check_body_syntax(module: Module, body: FunctionBody) -> None:
    """Check one body.

    Raises:
        MalformedModuleError: it is no expression, or not of the size that was declared.
        UnsupportedFeatureError: it has instructions of a proposal that is not there.
    """
    last = body.start
    try:
        for row, _, offset in read_expression(module.source, body.start):
            last = offset
            if module.data_count is None and Immediate.DATA_SEGMENT in row.immediates:
                raise MalformedModuleError(f"data count section required: {row.name} refers to it", offset)
    except MalformedModuleError as error:
        raise MalformedModuleError(error.reason, error.offset, body.index) from None
    except UnsupportedFeatureError as error:
        raise UnsupportedFeatureError(error.feature, error.offset, body.index) from None
    except IndexError:
        raise MalformedModuleError(UNEXPECTED_END, len(module.source), body.index) from None
    end = last + 1
    if end != body.end:
        where = "before the function body does" if end < body.end else "after the function body"
        raise MalformedModuleError(f"section size mismatch: the code ends {where}", end, body.index)
