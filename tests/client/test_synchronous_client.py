"""The synchronous client against a server without an engine."""

import math
import pickle
import threading

import grpc
import pytest
from fake_farcall_server import StatusError

from farcall.client import (
    ArgumentError,
    Client,
    ClosedError,
    DeadlineExceededError,
    ExportNotFoundError,
    FarcallError,
    FunctionReference,
    FunctionType,
    NotFoundError,
    Trap,
    ValueType,
)
from farcall.client.calls.invocations import BATCH_CALLS
from farcall.client.floats import f32_bits, f32_from_bits, f64_bits, f64_from_bits


@pytest.fixture
def client(fake_server):
    with Client(fake_server.address) as client:
        yield client


@pytest.fixture
def instance(client, module_bytes):
    return client.store().instantiate(client.upload(module_bytes), name="app")


# Modules, stores, the server


def test_upload_tells_what_it_did(client, module_bytes):
    first, second = client.upload(module_bytes), client.upload(module_bytes)
    assert first.digest == second.digest
    assert (first.created, first.compiled, first.compile_seconds) == (True, True, 1.5)
    assert (second.created, second.compiled) == (False, False)
    assert first.exports[0].name == "add"
    assert first.exports[0].type == FunctionType((ValueType.I32, ValueType.I32), (ValueType.I32,))
    assert str(first.imports[0].type) == "function (i32) -> ()"
    assert first.module_name == "fake"


def test_upload_of_a_file_in_pieces_with_progress(client, fake_server, module_bytes, tmp_path):
    path = tmp_path / "large.wasm"
    path.write_bytes(module_bytes + bytes(3_000_000))
    progress = []
    module = client.upload(path, progress=lambda sent, total: progress.append((sent, total)))
    assert module.size == 3_000_008
    assert fake_server.messages["UploadModule"] == 3
    total = 3_000_008
    assert progress == [(1 << 20, total), (2 << 20, total), (total, total)]
    assert client.upload(str(path)).digest == module.digest


def test_pages_of_a_list_are_joined(client, module_bytes):
    digests = sorted(client.upload(module_bytes + bytes([number])).digest for number in range(5))
    assert [module.digest for module in client.modules()] == digests


def test_a_module_is_found_by_the_start_of_its_digest(client, module_bytes):
    digests = {client.upload(module_bytes + bytes([number])).digest for number in range(20)}
    wanted = min(digests)
    length = next(
        length
        for length in range(1, 64)
        if sum(digest.startswith(wanted[:length]) for digest in digests) == 1
    )
    with pytest.raises(NotFoundError, match="20 modules have a digest that starts with ''"):
        client.module("")
    assert client.module(wanted[:length]).digest == wanted
    assert client.module(wanted).digest == wanted
    assert client.module(wanted).custom_sections[0].content is None
    assert client.module(wanted, content=True).custom_sections[0].content == b"abc"
    with pytest.raises(NotFoundError, match="no module whose digest starts with 'xyz'"):
        client.module("xyz")
    with pytest.raises(NotFoundError, match="no module modules/0000"):
        client.module("0" * 64)


def test_deleting_a_module(client, module_bytes):
    module = client.upload(module_bytes)
    client.delete_module(module)
    with pytest.raises(NotFoundError) as caught:
        client.delete_module(module.digest)
    assert caught.value.resource == f"modules/{module.digest}"


def test_stores(client, module_bytes):
    module = client.upload(module_bytes)
    with client.create_store("mine", max_instances=3) as store:
        store.instantiate(module, name="a")
        assert store.name == "mine"
        assert (store.info().instance_count, store.info().max_instances) == (1, 3)
        assert store.info().max_memory_pages is None
        assert [entry.name for entry in client.stores()] == ["default", "mine"]
        store.close_instance("a")
        assert list(store.instances()) == []
    assert [entry.name for entry in client.stores()] == ["default"]
    assert client.create_store().name == "made-up"


def test_server_info_and_health(client):
    info = client.server_info()
    assert (info.version, info.features) == ("1.2.3", ("bulk-memory",))
    assert info.counters["calls_total"] == 7
    assert info.counters["engine.traps"] == 2
    assert client.health() == "SERVING"


def test_a_closed_client_says_so(fake_server):
    client = Client(fake_server.address)
    client.close()
    with pytest.raises(ClosedError, match="the client has been closed"):
        client.server_info()
    with pytest.raises(ClosedError, match="the client has been closed"):
        client.stream()


# Instances


def test_links_become_links_of_the_request(client, fake_server, module_bytes):
    module = client.upload(module_bytes)
    store = client.store()
    library = store.instantiate(module, name="library")
    application = store.instantiate(
        module,
        links={
            "env": library,
            "other": "library",
            ("a", "f"): library,
            ("a", "g"): (library, "add"),
            ("a", "h"): ("library", "divide"),
            ("a", "memory"): library.exports.memory,
        },
    )
    assert application.name == "made-up"
    found = [
        (link.import_module, link.import_name, link.instance, link.export_name)
        for link in application.information.links
    ]
    assert found == [
        ("env", None, "library", None),
        ("other", None, "library", None),
        ("a", "f", "library", None),
        ("a", "g", "library", "add"),
        ("a", "h", "library", "divide"),
        ("a", "memory", "library", "memory"),
    ]
    sent = fake_server.instances["stores/default/instances/made-up"].message.links
    assert {link.instance for link in sent} == {"stores/default/instances/library"}


@pytest.mark.parametrize(
    ("links", "complaint"),
    [
        ({1: "app"}, "a str or a pair of str"),
        ({"env": 5}, "neither an instance nor an export: 5"),
        ({"env": ("app", "add")}, "give a pair of names"),
    ],
)
def test_links_of_a_wrong_form_are_refused(instance, client, links, complaint):
    with pytest.raises(TypeError, match=complaint):
        client.store().instantiate(instance.module, links=links)


def test_instances_are_listed_fetched_and_closed(client, instance):
    store = client.store()
    assert [entry.name for entry in store.instances()] == ["app"]
    again = store.instance("app")
    assert again.exports.add(2, 3) == 5
    assert (again.name, again.module, again.resource) == ("app", instance.module, instance.resource)
    with again:
        pass
    with pytest.raises(NotFoundError, match="no instance stores/default/instances/app"):
        instance.exports.add(1, 2)


def test_exports_are_a_mapping_with_attributes(instance):
    exports = instance.exports
    assert list(exports)[:2] == ["add", "divide"]
    assert len(exports) == len(list(exports))
    assert "add" in exports
    assert "missing" not in exports
    assert exports.get("missing") is None
    assert exports["add"] is exports.add
    assert "add" in dir(exports)
    assert not hasattr(exports, "missing")
    with pytest.raises(ExportNotFoundError, match="exports nothing named 'ad'; did you mean 'add'"):
        _ = exports.ad
    with pytest.raises(KeyError):
        _ = exports["missing"]
    with pytest.raises(ExportNotFoundError, match="'memory' of instance app is a memory, not a function"):
        instance.function("memory")
    assert instance.function("add").name == "add"
    assert (
        repr(exports.add) == "<Function 'add' of stores/default/instances/app: function (i32, i32) -> (i32)>"
    )


# Calls


def test_results_are_none_a_value_or_a_tuple(instance):
    assert instance.exports.nothing() is None
    assert instance.exports.add(1, 2) == 3
    assert instance.exports.swap(1, 2.5) == (2.5, 1)


@pytest.mark.parametrize("value", [0, -1, 2**63 - 1, -(2**63)])
def test_i64_goes_there_and_back(instance, value):
    assert instance.exports.same_i64(value) == value


@pytest.mark.parametrize(
    "bits", [0, 1 << 31, 0x3DCCCCCD, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00000, 0x7F800001]
)
def test_f32_goes_there_and_back_with_every_bit(instance, bits):
    assert f32_bits(instance.exports.same_f32(f32_from_bits(bits))) == bits


@pytest.mark.parametrize(
    "bits", [0, 1 << 63, 0x3FF0000000000001, 0x7FF0000000000000, 0x7FF0000000000001, 0xFFF8000000000000]
)
def test_f64_goes_there_and_back_with_every_bit(instance, bits):
    assert f64_bits(instance.exports.same_f64(f64_from_bits(bits))) == bits


def test_f32_rounds_what_is_in_its_range(instance):
    assert instance.exports.same_f32(0.1) == f32_from_bits(0x3DCCCCCD)
    assert instance.exports.same_f32(3) == 3.0
    assert instance.exports.same_f32(math.inf) == math.inf


def test_references(instance):
    assert instance.exports.same_externref(None) is None
    assert instance.exports.same_externref(0) == 0
    assert instance.exports.same_externref(2**64 - 1) == 2**64 - 1
    assert instance.exports.same_funcref(None) is None
    assert instance.exports.same_funcref(instance.exports.add) == FunctionReference(instance.resource, "add")
    reference = FunctionReference(instance.resource, "divide", 8)
    assert instance.exports.same_funcref(reference) == reference


@pytest.mark.parametrize(
    ("function", "arguments", "index", "wanted", "message"),
    [
        ("add", (1,), None, "2 arguments", r"wanted 2 arguments \(i32, i32\), given 1 argument"),
        ("nothing", (1, 2), None, "0 arguments", "wanted 0 arguments"),
        ("add", (1, 2**31), 1, "i32", r"argument 1: wanted i32 \(an int from .*\), given int 2147483648"),
        ("add", (-(2**31) - 1, 1), 0, "i32", "argument 0"),
        ("add", ("1", 2), 0, "i32", "given str '1'"),
        ("add", (1.0, 2), 0, "i32", "given float 1.0"),
        ("add", (None, 2), 0, "i32", "given NoneType None"),
        ("same_i64", (2**63,), 0, "i64", "given int 9223372036854775808"),
        ("same_f32", (1e39,), 0, "f32", "given float 1e\\+39"),
        ("same_f32", (3.4028235677973366e38,), 0, "f32", "range of f32"),
        ("same_f32", ("x",), 0, "f32", "given str"),
        ("same_f64", (10**400,), 0, "f64", "range of f64"),
        ("same_f64", (None,), 0, "f64", "given NoneType"),
        ("same_externref", (-1,), 0, "externref", "given int -1"),
        ("same_funcref", ("add",), 0, "funcref", "given str 'add'"),
    ],
)
def test_arguments_that_do_not_fit(instance, fake_server, function, arguments, index, wanted, message):
    with pytest.raises(ArgumentError, match=message) as caught:
        instance.exports[function](*arguments)
    assert (caught.value.index, caught.value.wanted) == (index, wanted)
    assert fake_server.calls["Invoke"] == 0


def test_a_trap_carries_kind_and_backtrace(instance):
    with pytest.raises(Trap) as caught:
        instance.exports.divide(1, 0)
    assert caught.value.kind == "integer_divide_by_zero"
    assert caught.value.message == "integer divide by zero"
    assert [str(frame) for frame in caught.value.backtrace] == ["app!inner", "<module>!<function 4>"]
    assert str(caught.value) == "integer divide by zero\n  0: app!inner\n  1: <module>!<function 4>"
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.kind, copy.backtrace) == (caught.value.kind, caught.value.backtrace)


def test_a_timeout_raises_timeout_error(instance):
    with pytest.raises(DeadlineExceededError) as caught:
        instance.exports.sleep(timeout=0.05)
    assert isinstance(caught.value, TimeoutError)


def test_the_clients_timeout_holds_where_a_call_brings_none(fake_server, instance):
    with Client(fake_server.address, timeout=0.05) as client:
        sleeper = client.store().instance("app", timeout=60)
        with pytest.raises(DeadlineExceededError):
            sleeper.exports.sleep()


# Many calls


def test_call_many_in_columns(instance, fake_server):
    calls = [(number, 1) for number in range(BATCH_CALLS + 5)]
    assert instance.exports.add.call_many(calls) == list(range(1, BATCH_CALLS + 6))
    assert fake_server.calls["BatchInvoke"] == 2
    assert instance.exports.swap.call_many([(1, 2.5), (3, 4.5)]) == [(2.5, 1), (4.5, 3)]
    assert instance.exports.nothing.call_many([(), ()]) == [None, None]
    assert instance.exports.add.call_many([]) == []
    assert instance.exports.same_f32.call_many((value,) for value in (0.5, math.inf)) == [0.5, math.inf]


def test_call_many_of_a_function_with_references(instance):
    assert instance.exports.same_externref.call_many([(1,), (None,)]) == [1, None]


def test_a_failed_call_of_many(instance):
    calls = [(6, 3), (1, 0), (9, 3)]
    with pytest.raises(Trap, match="divide by zero"):
        instance.exports.divide.call_many(calls)
    first, second, third = instance.exports.divide.call_many(calls, return_exceptions=True)
    assert (first, third) == (2, 3)
    assert isinstance(second, Trap)
    assert second.backtrace


@pytest.mark.parametrize(
    ("function", "calls", "message"),
    [
        ("add", [(1, 2), (1,)], "call 1: wanted 2 arguments"),
        ("add", [(1, 2), (1, 2.5)], "call 1: argument 1: wanted i32"),
        ("add", [(1, 2)] * BATCH_CALLS + [(1, None)], f"call {BATCH_CALLS}: argument 1"),
        ("same_f32", [(1.0,), (1e39,)], "call 1: argument 0: wanted f32"),
        ("same_externref", [(1,), ("x",)], "call 1: argument 0: wanted externref"),
    ],
)
def test_a_call_of_many_with_wrong_arguments_keeps_all_from_running(
    instance, fake_server, function, calls, message
):
    with pytest.raises(ArgumentError, match=message):
        instance.exports[function].call_many(calls)
    assert fake_server.calls["BatchInvoke"] == 0


# Streams


def test_a_stream_pipelines_calls(instance, fake_server):
    with instance.stream(window=16) as stream:
        pending = [stream.send("add", number, 1) for number in range(100)]
        assert pending[0].done()  # the window made it wait for the first answers
        trapping = stream.send(instance.exports.divide, 1, 0)
        assert [call.result() for call in pending] == list(range(1, 101))
        with pytest.raises(Trap, match="divide by zero"):
            trapping.result()
        assert isinstance(trapping.outcome(), Trap)
        assert stream.send("nothing").result() is None
        assert stream.send("swap", 1, 2.5).result() == (2.5, 1)
    assert fake_server.calls["StreamInvoke"] == 1
    assert fake_server.messages["StreamInvoke"] == 103
    with pytest.raises(ClosedError, match="the stream has been closed"):
        stream.send("nothing")


def test_leaving_a_stream_waits_for_the_answers(instance):
    with instance.stream() as stream:
        pending = [stream.send("add", number, 1) for number in range(20)]
    assert all(call.done() for call in pending)
    assert [call.result() for call in pending] == list(range(1, 21))


def test_map_on_a_stream(instance, client):
    calls = [(number, 3) for number in range(50)]
    with instance.stream(window=4) as stream:
        assert list(stream.map("add", calls)) == [number + 3 for number in range(50)]
        outcomes = list(stream.map("divide", [(1, 1), (1, 0)], return_exceptions=True))
        assert outcomes[0] == 1
        assert isinstance(outcomes[1], Trap)
        with pytest.raises(Trap):
            list(stream.map("divide", [(1, 0)]))
    with client.stream() as stream:
        assert list(stream.map(instance.exports.add, calls[:3])) == [3, 4, 5]
        with pytest.raises(TypeError, match="a stream of a client takes functions"):
            stream.send("add", 1, 2)


def test_arguments_that_do_not_fit_leave_a_stream_alone(instance):
    with instance.stream() as stream:
        with pytest.raises(ArgumentError, match="argument 1"):
            stream.send("add", 1, "x")
        with pytest.raises(ExportNotFoundError, match="missing"):
            stream.send("missing")
        assert stream.send("add", 1, 2).result() == 3


def test_a_stream_that_fails_fails_its_calls(instance, fake_server):
    fake_server.failures["StreamInvoke"] = [
        StatusError(grpc.StatusCode.UNAVAILABLE, "going away", "SHUTTING_DOWN")
    ]
    stream = instance.stream()
    pending = stream.send("add", 1, 2)
    with pytest.raises(FarcallError, match="going away"):
        pending.result()
    with pytest.raises(FarcallError, match="going away"):
        stream.send("add", 1, 2)
    stream.close()


def test_an_exception_in_the_block_cancels_the_stream(instance):
    sent = []

    def fail_after_sending():
        with instance.stream() as stream:
            sent.append(stream.send("sleep"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_sending()
    with pytest.raises(FarcallError, match="cancelled"):
        sent[0].result()


def test_threads_share_a_stream(instance):
    results = {}

    def work(start):
        results[start] = [stream.send("add", start, number).result() for number in range(50)]

    with instance.stream(window=3) as stream:
        threads = [threading.Thread(target=work, args=(start,)) for start in (0, 100, 200, 300)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == {start: list(range(start, start + 50)) for start in (0, 100, 200, 300)}


def test_a_window_holds_at_least_one_call(instance):
    with pytest.raises(ValueError, match="window must be at least 1"):
        instance.stream(window=0)
