"""Whether function bodies are well-formed (sections 5.4 and 5.5.13), whatever their types.

Decoding only locates bodies, and validation decodes and checks them in one pass, which is faster. When either
finds something wrong, it asks here: what is malformed is then reported as malformed also where it is invalid,
and a wrong byte in a body goes before what it leads to behind the body.
"""

from __future__ import annotations

from farcall.engine.binary.instructions import UNEXPECTED_END, read_expression
from farcall.engine.errors import MalformedModuleError, UnsupportedFeatureError
from farcall.engine.instructions.instruction import NONE_DISABLED, Features, Immediate
from farcall.engine.structure.module import FunctionBody


def check_body_syntax(
    source: bytes, body: FunctionBody, data_count: int | None, disabled: Features = NONE_DISABLED
) -> None:
    """Check one body.

    Args:
        source: the module.
        body: where the body stands in it.
        data_count: content of the data count section; None where there is none.
        disabled: features that are switched off.

    Raises:
        MalformedModuleError: it is no expression, or not of the size that was declared.
        UnsupportedFeatureError: it has instructions of a proposal that is not there or switched off.
    """
    last = body.start
    try:
        for row, _, offset in read_expression(source, body.start, disabled):
            last = offset
            if data_count is None and Immediate.DATA_SEGMENT in row.immediates:
                raise MalformedModuleError(f"data count section required: {row.name} refers to it", offset)
    except MalformedModuleError as error:
        raise MalformedModuleError(error.reason, error.offset, body.index) from None
    except UnsupportedFeatureError as error:
        raise UnsupportedFeatureError(error.feature, error.offset, body.index) from None
    except IndexError:
        raise MalformedModuleError(UNEXPECTED_END, len(source), body.index) from None
    end = last + 1
    if end != body.end:
        where = "before the function body does" if end < body.end else "after the function body"
        raise MalformedModuleError(f"section size mismatch: the code ends {where}", end, body.index)
