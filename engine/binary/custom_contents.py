"""Whether custom sections hold what their names promise.

One that does not is ignored, as the specification has it (section 5.5.3), and is no reason to refuse the module:
what is wrong with it is for those who look at modules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from farcall.engine.binary.branch_hints import BRANCH_HINTS, check_branch_hints
from farcall.engine.binary.instructions import UNEXPECTED_END
from farcall.engine.binary.name_contents import check_names
from farcall.engine.binary.reader import Reader
from farcall.engine.binary.section_headers import SectionHeader, section_headers
from farcall.engine.errors import InvalidModuleError, MalformedModuleError, ModuleError
from farcall.engine.structure.module import CustomSection, Module


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of custom section.

    Attributes:
        check: reads the content, of a module that is valid, and raises what is wrong with it.
        before: the section that it must stand before; None for one that must stand after all others.
    """

    check: Callable[[Module, Reader], None]
    before: str | None


_KINDS = {"name": _Kind(check_names, None), BRANCH_HINTS: _Kind(check_branch_hints, "code")}


def custom_section_problems(module: Module) -> tuple[ModuleError, ...]:
    """What is wrong with a module's name section (appendix, section 7.4.1) and branch hints.

    Parameters:
        module: one that is valid.

    Returns:
        Of each of the two the first problem, if there is one: a MalformedModuleError or an InvalidModuleError, which
        is not raised.
    """
    problems = []
    for name, kind in _KINDS.items():
        sections = [section for section in module.custom_sections if section.name == name]
        if sections:
            problem = _problem(module, kind, sections)
            if problem is not None:
                problems.append(problem)
    return tuple(problems)


def _problem(module: Module, kind: _Kind, sections: Sequence[CustomSection]) -> ModuleError | None:
    section = sections[0]
    reader = Reader(module.source[section.start : section.end])
    malformed, invalid = f"@{section.name} section: ", f"@{section.name} annotation: "
    try:
        kind.check(module, reader)
        if reader.position != len(reader.source):
            raise MalformedModuleError(
                f"section size mismatch: {len(reader.source) - reader.position} bytes after its content",
                reader.position,
            )
    except InvalidModuleError as error:
        return InvalidModuleError(invalid + error.reason, section.start + error.offset)
    except ModuleError as error:
        return MalformedModuleError(malformed + error.reason, section.start + error.offset)
    except IndexError:
        return MalformedModuleError(malformed + UNEXPECTED_END, section.end)
    wrong_place = _wrong_place(kind, section, section_headers(module.source))
    if wrong_place is not None:
        return InvalidModuleError(invalid + wrong_place, section.start)
    if len(sections) > 1:
        return InvalidModuleError(f"{invalid}a second section of this kind", sections[1].start)
    return None


def _wrong_place(kind: _Kind, section: CustomSection, headers: Sequence[SectionHeader]) -> str | None:
    for header in headers:
        if kind.before is None and header.id and header.start > section.start:
            return f"it stands before the {header.name} section"
        if header.name == kind.before and header.start < section.start:
            return f"it stands after the {header.name} section"
    return None
