"""Metadata and attributes that the lowered text refers to by number, and their definitions.

Type-based alias analysis (TBAA) tells LLVM what cannot overlap: a guest's stores to its memory never touch
what the instance's context leads to, so a table's length or a global need not be loaded again after them.
"""

from __future__ import annotations

UNLIKELY = ", !prof !0"
"""Branch weights: the first target is hardly ever taken; `!1` says the opposite. The templates know both."""

INVARIANT = ", !invariant.load !2, !tbaa !6"
"""On loads from the context, or through it, of what never changes while a frame of the instance is live."""

INVARIANT_POINTER = ", !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6"
"""The same for pointers that are never null."""

GUEST = ", !tbaa !5"
"""On accesses to a guest's memory."""

CONTEXT = ", !tbaa !6"
"""On accesses to what the context leads to: records of memories and tables, segments, import entries."""

GLOBAL = ", !tbaa !7"
"""On accesses to the cells of globals."""

ELEMENT = ", !tbaa !8"
"""On accesses to the elements of tables."""

OBJECT = ", !tbaa !21"
"""On accesses to fields of structures and elements of arrays."""

LENGTH = ", !tbaa !23"
"""On loads of the lengths of arrays, which never change."""

OBJECT_DEFINITIONS = """\
!20 = !{!"object", !3}
!21 = !{!20, !20, i64 0}
!22 = !{!"length", !3}
!23 = !{!22, !22, i64 0}
"""
"""Of the last two, for the modules that have them."""

GUEST_FUNCTION = "#0"
"""Attributes of guest functions.

Frame pointers make the stack walkable without unwinding tables. Every page of a large frame is probed, so
that none reaches over the stack's guard. Address 0 is no undefined behaviour: a null reference faults there.
"""

TRAP_CALL = "#1"
"""Attributes of calls to the trap exit."""

DEFINITIONS = """\
attributes #0 = { nounwind null_pointer_is_valid "frame-pointer"="all" "probe-stack"="inline-asm" }
attributes #1 = { cold noreturn nounwind }
!0 = !{!"branch_weights", i32 1, i32 1000000}
!1 = !{!"branch_weights", i32 1000000, i32 1}
!2 = !{}
!3 = !{!"farcall"}
!4 = !{!"guest", !3}
!5 = !{!4, !4, i64 0}
!9 = !{!"context", !3}
!6 = !{!9, !9, i64 0}
!10 = !{!"global", !3}
!7 = !{!10, !10, i64 0}
!11 = !{!"element", !3}
!8 = !{!11, !11, i64 0}
"""

_HINTS = (INVARIANT_POINTER, INVARIANT, GUEST, CONTEXT, GLOBAL, ELEMENT, OBJECT, LENGTH, UNLIKELY)


def without_hints(text: str) -> str:
    """A text for code that is not optimised, which has no use for hints: a fifth of it, for LLVM to read."""
    for hint in _HINTS:
        text = text.replace(hint, "")
    return text
