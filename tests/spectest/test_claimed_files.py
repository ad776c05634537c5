"""Every file of the official test suite that farcall claims passes, with each kind of generated code."""

from __future__ import annotations

import pytest

from farcall.engine.codegen.target import Target, host_target

from .claims import WHOLE
from .outcomes import TEXT_ANNOTATIONS, TEXT_FORMAT, FileReport
from .runner import Variant, run_file
from .suite import HOW_TO_GET_IT, all_scripts, suite_directory


@pytest.fixture(scope="module")
def directory():
    directory = suite_directory()
    if directory is None:
        pytest.skip(HOW_TO_GET_IT)
    return directory


def report_of(path, variant=Variant.STOPPABLE):
    report = FileReport(path.name)
    run_file(path, report.add, variant=variant)
    return report


@pytest.mark.parametrize("variant", [Variant.STOPPABLE, Variant.FAST])
@pytest.mark.parametrize("name", WHOLE)
def test_whole_files(directory, name, variant):
    report = report_of(directory / name, variant)
    assert report.failures == []
    assert set(report.skipped) | set(report.skipped_modules) <= {TEXT_FORMAT, TEXT_ANNOTATIONS}


@pytest.mark.parametrize("variant", [Variant.PLAIN, Variant.LISTENED])
@pytest.mark.parametrize(
    "name",
    ["call.wast", "call_indirect.wast", "fac.wast", "linking.wast", "loop.wast", "traps.wast", "unwind.wast"],
)
def test_other_variants_of_code(directory, name, variant):
    assert report_of(directory / name, variant).failures == []


@pytest.mark.parametrize(
    "name",
    [
        "i8x16_relaxed_swizzle.wast",
        "relaxed_dot_product.wast",
        "relaxed_madd_nmadd.wast",
        "relaxed_min_max.wast",
        "simd_f32x4.wast",
        "simd_f64x2_pmin_pmax.wast",
        "simd_i16x8_q15mulr_sat_s.wast",
        "simd_i32x4_trunc_sat_f32x4.wast",
        "simd_i32x4_trunc_sat_f64x2.wast",
        "simd_lane.wast",
    ],
)
def test_vectors_with_the_templates_for_any_machine(directory, name, monkeypatch):
    host = host_target()
    monkeypatch.setattr("farcall.engine.engine.host_target", lambda: Target(host.triple, host.cpu, ""))
    assert report_of(directory / name).failures == []


def test_claims_name_files_of_the_suite(directory):
    assert set(WHOLE) <= {name for name, _ in all_scripts(directory)}
    assert len(set(WHOLE)) == len(WHOLE)


def test_without_the_suite_it_is_said_how_to_get_it(monkeypatch, tmp_path, capsys):
    from . import __main__

    monkeypatch.setenv("FARCALL_TESTSUITE", str(tmp_path / "nowhere"))
    monkeypatch.setattr("sys.argv", ["spectest"])
    assert __main__.main() == 2
    assert "git clone" in capsys.readouterr().err


def test_a_failing_script_is_a_failing_command(monkeypatch, tmp_path, capsys):
    import json

    from . import __main__

    script = tmp_path / "wrong.wast"
    script.write_text(
        '(module (func (export "one") (result i32) (i32.const 1)))\n'
        '(assert_return (invoke "one") (i32.const 1))\n'
        '(assert_return (invoke "one") (i32.const 2))\n'
        '(assert_trap (invoke "one") "unreachable")\n'
        '(assert_return (invoke "two"))\n'
        '(assert_invalid (module (func)) "type mismatch")\n'
        '(assert_malformed (module quote "(func") "unclosed")\n'
        '(assert_malformed (module binary "\\00asm") "unexpected end")\n'
        '(module $M (import "none" "f" (func)))\n'
        '(assert_return (invoke "f"))\n'
    )
    output = tmp_path / "report.json"
    monkeypatch.setattr("sys.argv", ["spectest", str(script), "--json", str(output)])
    assert __main__.main() == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{script}: 2 passed, 6 failed, 1 skipped (1 {TEXT_FORMAT})"
    assert lines[-1] == "2 passed, 6 failed, 1 skipped"
    (report,) = json.loads(output.read_text())["files"]
    assert [failure["line"] for failure in report["failures"]] == [3, 4, 5, 6, 9, 10]
    assert report["failures"][0] == {
        "line": 3,
        "command": "assert_return",
        "expected": "(i32 0x2)",
        "got": "(i32 0x1)",
    }


def test_threads_run_commands_of_their_own(tmp_path):
    script = tmp_path / "threads.wast"
    script.write_text(
        '(module $M (memory (export "m") 1) (func (export "store") (i32.store (i32.const 0) (i32.const 7)))'
        ' (func (export "load") (result i32) (i32.load (i32.const 0))))\n'
        '(register "M" $M)\n'
        "(thread $T (shared (module $M))\n"
        '  (register "M" $M)\n'
        '  (module $N (import "M" "store" (func $store)) (func (export "go") (call $store)))\n'
        '  (assert_return (invoke $N "go")))\n'
        "(wait $T)\n"
        '(assert_return (invoke $M "load") (i32.const 7))\n'
    )
    report = report_of(script)
    assert (report.passed, report.failures) == (2, [])


def test_threads_share_a_memory_and_wait_for_each_other(tmp_path):
    """Two threads of a script that run at the same time: run in turn, the first would wait for ever."""
    script = tmp_path / "waiting.wast"
    user = '(module (import "M" "m" (memory 1 1 shared))'
    script.write_text(
        '(module $M (memory (export "m") 1 1 shared))\n'
        "(thread $Waiter (shared (module $M))\n"
        '  (register "M" $M)\n'
        f'  {user} (func (export "wait") (result i32)'
        " (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))"
        ' (func (export "one") (result i32) (i32.const 1)))\n'
        '  (assert_return (invoke "wait") (i32.const 0))\n'
        '  (assert_trap (invoke "one") "unreachable"))\n'
        "(thread $Waker (shared (module $M))\n"
        '  (register "M" $M)\n'
        f'  {user} (func (export "wake")'
        " (loop (br_if 0 (i32.eqz (memory.atomic.notify (i32.const 0) (i32.const 1)))))))\n"
        '  (assert_return (invoke "wake")))\n'
        "(wait $Waiter)\n"
    )
    report = report_of(script)
    assert (report.passed, [(failure.line, failure.got) for failure in report.failures]) == (
        2,
        [(6, "results (i32 0x1)")],
    )
