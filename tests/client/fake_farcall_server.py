"""A server of farcall.v1 without an engine: what the clients' tests need, where the real server would be too much.

Every module is the same: it exports what `EXPORTS` says, with functions in Python. What it does with requests is
recorded, and `failures` makes methods fail as a test wants.
"""

import hashlib
import time
from collections import Counter, defaultdict
from concurrent import futures

import grpc
from google.protobuf.any_pb2 import Any
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from farcall.proto.farcall.v1 import (
    error_details_pb2 as details,
)
from farcall.proto.farcall.v1 import (
    global_service_pb2,
    global_service_pb2_grpc,
    instance_service_pb2,
    instance_service_pb2_grpc,
    invocation_service_pb2,
    invocation_service_pb2_grpc,
    memory_service_pb2,
    memory_service_pb2_grpc,
    module_pb2,
    module_service_pb2,
    module_service_pb2_grpc,
    server_service_pb2,
    server_service_pb2_grpc,
    store_service_pb2,
    store_service_pb2_grpc,
    table_service_pb2,
    table_service_pb2_grpc,
    value_pb2,
)

I32, I64, F32, F64 = (getattr(value_pb2, f"VALUE_TYPE_{name}") for name in ("I32", "I64", "F32", "F64"))
FUNCREF, EXTERNREF = value_pb2.VALUE_TYPE_FUNCREF, value_pb2.VALUE_TYPE_EXTERNREF
FIELD = {I32: "i32", I64: "i64", F32: "f32", F64: "f64", FUNCREF: "funcref", EXTERNREF: "externref"}
CODES = {code.value[0]: code for code in grpc.StatusCode}


class StatusError(Exception):
    def __init__(self, code, message, reason=None, detail=None):
        super().__init__(message)
        self.status = Status(code=code.value[0], message=message)
        if reason is not None:
            self._add(error_details_pb2.ErrorInfo(domain="farcall.dev", reason=reason))
        if detail is not None:
            self._add(detail)

    def _add(self, message):
        packed = Any()
        packed.Pack(message)
        self.status.details.append(packed)


def trap(kind, message):
    frames = [
        details.Frame(function_index=3, function_name="inner", module_name="app"),
        details.Frame(function_index=4),
    ]
    detail = details.Trap(kind=kind, message=message, frames=frames)
    return StatusError(grpc.StatusCode.ABORTED, f"trap: {message}", "TRAP", detail)


def not_found(name, what="resource"):
    detail = error_details_pb2.ResourceInfo(resource_name=name)
    return StatusError(grpc.StatusCode.NOT_FOUND, f"no {what} {name}", "RESOURCE_NOT_FOUND", detail)


def divide(a, b):
    if b == 0:
        raise trap(details.TRAP_KIND_INTEGER_DIVIDE_BY_ZERO, "integer divide by zero")
    return (int(a / b),)


def stop(context_timeout=1):
    time.sleep(context_timeout)
    return ()


def wrap(value, bits):
    return (value + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))


FUNCTIONS = {
    "add": ((I32, I32), (I32,), lambda a, b: (wrap(a + b, 32),)),
    "divide": ((I32, I32), (I32,), divide),
    "nothing": ((), (), lambda: ()),
    "swap": ((I32, F64), (F64, I32), lambda a, b: (b, a)),
    "same_i64": ((I64,), (I64,), lambda a: (a,)),
    "same_f32": ((F32,), (F32,), lambda a: (a,)),
    "same_f64": ((F64,), (F64,), lambda a: (a,)),
    "same_funcref": ((FUNCREF,), (FUNCREF,), lambda a: (a,)),
    "same_externref": ((EXTERNREF,), (EXTERNREF,), lambda a: (a,)),
    "sleep": ((), (), stop),
}


def function_type(parameters, results):
    return value_pb2.FunctionType(parameters=parameters, results=results)


def exports():
    entries = [
        module_pb2.Export(name=name, type=value_pb2.ExternType(function=function_type(parameters, results)))
        for name, (parameters, results, _) in FUNCTIONS.items()
    ]
    memory = value_pb2.MemoryType(
        limits=value_pb2.Limits(minimum=1, maximum=64), index_type=I32, page_size_bytes=65536
    )
    table = value_pb2.TableType(element=FUNCREF, limits=value_pb2.Limits(minimum=2), index_type=I32)
    counter = value_pb2.ExternType()
    getattr(counter, "global").CopyFrom(value_pb2.GlobalType(value=I64, mutable=True))
    return [
        *entries,
        module_pb2.Export(name="memory", type=value_pb2.ExternType(memory=memory)),
        module_pb2.Export(name="table", type=value_pb2.ExternType(table=table)),
        module_pb2.Export(name="counter", type=counter),
    ]


def read_value(message):
    kind = message.WhichOneof("kind")
    return message if kind in ("f32_bits", "funcref", "externref") else getattr(message, kind)


def make_value(value, type_):
    if isinstance(value, value_pb2.Value):
        return value
    return value_pb2.Value(**{FIELD[type_]: value})


class Instance:
    def __init__(self, message):
        self.message = message
        self.memory = bytearray(65536)
        self.counter = 0


class FakeServer:
    """All services of farcall.v1, and health, on a free loopback port."""

    def __init__(self, port=0, workers=8, credentials=None):
        self.calls = Counter()
        self.deferred = {}  # by digest: whether the last upload was not to compile
        self.request_ids = defaultdict(list)
        self.failures = defaultdict(list)  # by method: what its next calls raise, one each
        self.modules, self.instances, self.stores = {}, {}, {"stores/default": store_service_pb2.Store()}
        self.status = health_pb2.HealthCheckResponse.SERVING
        self.messages = Counter()  # of requests on streams and in uploads
        self.server = grpc.server(futures.ThreadPoolExecutor(workers), options=[("grpc.so_reuseport", 0)])
        services = (
            (module_service_pb2_grpc, "ModuleService"),
            (store_service_pb2_grpc, "StoreService"),
            (instance_service_pb2_grpc, "InstanceService"),
            (invocation_service_pb2_grpc, "InvocationService"),
            (memory_service_pb2_grpc, "MemoryService"),
            (global_service_pb2_grpc, "GlobalService"),
            (table_service_pb2_grpc, "TableService"),
            (server_service_pb2_grpc, "ServerService"),
            (health_pb2_grpc, "Health"),
        )
        for module, name in services:
            getattr(module, f"add_{name}Servicer_to_server")(self._servicer(module, name), self.server)
        if credentials is None:
            self.port = self.server.add_insecure_port(f"127.0.0.1:{port}")
        else:
            self.port = self.server.add_secure_port(f"127.0.0.1:{port}", credentials)
        self.address = f"127.0.0.1:{self.port}"

    def _servicer(self, module, name):
        base = getattr(module, f"{name}Servicer")
        methods = [method for method in vars(base) if method[0].isupper()]
        return type(name, (base,), {method: self._method(method) for method in methods})()

    def _method(self, name):
        def handle(_, request, context):
            self.calls[name] += 1
            try:
                if self.failures[name]:
                    raise self.failures[name].pop(0)
                return getattr(self, name)(request)
            except StatusError as error:
                return context.abort_with_status(rpc_status.to_status(error.status))

        def handle_stream(_, requests, context):
            self.calls[name] += 1
            if self.failures[name]:
                context.abort_with_status(rpc_status.to_status(self.failures[name].pop(0).status))
            try:
                yield from getattr(self, name)(requests)
            except StatusError as error:
                context.abort_with_status(rpc_status.to_status(error.status))

        return handle_stream if name in ("StreamInvoke", "CompileModule") else handle

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_):
        self.server.stop(None).wait()

    # Modules

    def UploadModule(self, requests):  # noqa: N802 - gRPC's names
        pieces = list(requests)
        self.messages["UploadModule"] += len(pieces)
        data = b"".join(piece.data for piece in pieces)
        digest = hashlib.sha256(data).hexdigest()
        assert pieces[0].sha256 == digest
        assert pieces[0].size_bytes == len(data)
        if not data.startswith(b"\0asm"):
            reason = "magic header not detected"
            detail = details.InvalidModule(reason=reason, offset=0)
            message = f"malformed module: {reason} (at byte 0x0)"
            raise StatusError(grpc.StatusCode.INVALID_ARGUMENT, message, "MALFORMED_MODULE", detail)
        created = digest not in self.modules
        self.modules[digest] = module_pb2.Module(
            name=f"modules/{digest}",
            sha256=digest,
            size_bytes=len(data),
            module_name="fake",
            exports=exports(),
            imports=[
                module_pb2.Import(
                    module="env", name="f", type=value_pb2.ExternType(function=function_type([I32], []))
                )
            ],
            types=[function_type([I32, I32], [I32])],
            sections=[module_pb2.Section(id=1, name="type", offset=10, size_bytes=7)],
            custom_sections=[module_pb2.CustomSection(name="name", size_bytes=3)],
        )
        response = module_service_pb2.UploadModuleResponse(
            module=self.modules[digest], created=created, compiled=created
        )
        response.compile_duration.FromMilliseconds(1500)
        self.deferred[digest] = pieces[0].defer_compilation
        return response

    def CompileModule(self, request):  # noqa: N802
        self._module(request.name)
        for done in range(0, 41, 2):
            yield module_service_pb2.CompileModuleResponse(
                functions=40,
                functions_done=done,
                tiers=[
                    {"tier": module_service_pb2.COMPILATION_TIER_FAST, "functions": done // 4},
                    {"tier": module_service_pb2.COMPILATION_TIER_OPTIMIZED, "functions": done - done // 4},
                ],
                code_size_bytes=4000,
                code_size_bytes_done=done * 100,
                done=done == 40,
            )

    def _module(self, name):
        module = self.modules.get(name.removeprefix("modules/"))
        if module is None:
            raise not_found(name, "module")
        return module

    def GetModule(self, request):  # noqa: N802
        module = module_pb2.Module.FromString(self._module(request.name).SerializeToString())
        if request.view == module_pb2.MODULE_VIEW_FULL:
            module.custom_sections[0].content = b"abc"
        return module_service_pb2.GetModuleResponse(module=module)

    def ListModules(self, request):  # noqa: N802
        # Pages of two, whatever was asked for, as a server may.
        digests = sorted(self.modules)
        start = int(request.page_token or 0)
        more = str(start + 2) if start + 2 < len(digests) else ""
        entries = [
            module_pb2.Module(name=f"modules/{digest}", sha256=digest, size_bytes=8)
            for digest in digests[start : start + 2]
        ]
        return module_service_pb2.ListModulesResponse(modules=entries, next_page_token=more)

    def DeleteModule(self, request):  # noqa: N802
        self._module(request.name)
        del self.modules[request.name.removeprefix("modules/")]
        return module_service_pb2.DeleteModuleResponse()

    # Stores

    def CreateStore(self, request):  # noqa: N802
        name = f"stores/{request.store_id or 'made-up'}"
        self.request_ids["CreateStore"].append(request.request_id)
        if name in self.stores:
            detail = error_details_pb2.ResourceInfo(resource_name=name)
            message = f"store {name} is open already"
            raise StatusError(grpc.StatusCode.ALREADY_EXISTS, message, "RESOURCE_ALREADY_EXISTS", detail)
        self.stores[name] = store_service_pb2.Store(name=name, quota=request.store.quota)
        return store_service_pb2.CreateStoreResponse(store=self.stores[name])

    def GetStore(self, request):  # noqa: N802
        if request.name not in self.stores:
            raise not_found(request.name, "store")
        return store_service_pb2.GetStoreResponse(
            store=store_service_pb2.Store(
                name=request.name,
                quota=self.stores[request.name].quota,
                instance_count=sum(name.startswith(f"{request.name}/") for name in self.instances),
            )
        )

    def ListStores(self, _):  # noqa: N802
        return store_service_pb2.ListStoresResponse(
            stores=[store_service_pb2.Store(name=name) for name in sorted(self.stores)]
        )

    def CloseStore(self, request):  # noqa: N802
        if request.name == "stores/default":
            raise StatusError(
                grpc.StatusCode.FAILED_PRECONDITION, "the store default stays", "FAILED_PRECONDITION"
            )
        if self.stores.pop(request.name, None) is None:
            raise not_found(request.name, "store")
        return store_service_pb2.CloseStoreResponse()

    # Instances

    def CreateInstance(self, request):  # noqa: N802
        self._module(request.instance.module)
        self.request_ids["CreateInstance"].append(request.request_id)
        name = f"{request.parent}/instances/{request.instance_id or 'made-up'}"
        for link in request.instance.links:
            if link.import_module == "unknown":
                detail = details.LinkFailure(module="unknown", name="f", wanted="function () -> ()")
                raise StatusError(
                    grpc.StatusCode.FAILED_PRECONDITION,
                    'unknown import: "unknown" "f"',
                    "LINK_FAILURE",
                    detail,
                )
            self._instance(link.instance)
        message = instance_service_pb2.Instance(
            name=name, module=request.instance.module, links=request.instance.links, exports=exports()
        )
        self.instances[name] = Instance(message)
        return instance_service_pb2.CreateInstanceResponse(instance=message)

    def _instance(self, name):
        if name not in self.instances:
            raise not_found(name, "instance")
        return self.instances[name]

    def GetInstance(self, request):  # noqa: N802
        return instance_service_pb2.GetInstanceResponse(instance=self._instance(request.name).message)

    def ListInstances(self, request):  # noqa: N802
        entries = [
            instance_service_pb2.Instance(
                name=name, module=instance.message.module, links=instance.message.links
            )
            for name, instance in sorted(self.instances.items())
            if name.startswith(f"{request.parent}/")
        ]
        return instance_service_pb2.ListInstancesResponse(instances=entries)

    def CloseInstance(self, request):  # noqa: N802
        self._instance(request.name)
        del self.instances[request.name]
        return instance_service_pb2.CloseInstanceResponse()

    # Invocations

    def _call(self, instance, function, values):
        self._instance(instance)
        if function not in FUNCTIONS:
            detail = error_details_pb2.ResourceInfo(resource_name=f"{instance}/{function}")
            raise StatusError(
                grpc.StatusCode.NOT_FOUND, f"no function {function}", "EXPORT_NOT_FOUND", detail
            )
        parameters, results, implementation = FUNCTIONS[function]
        for index, (wanted, value) in enumerate(zip(parameters, values, strict=True)):
            kind = value.WhichOneof("kind")
            assert kind == FIELD[wanted] or (kind, wanted) == ("f32_bits", F32), index
        returned = implementation(*(read_value(value) for value in values))
        return [make_value(value, type_) for value, type_ in zip(returned, results, strict=True)]

    def Invoke(self, request):  # noqa: N802
        results = self._call(request.instance, request.function, request.arguments)
        return invocation_service_pb2.InvokeResponse(results=results)

    def BatchInvoke(self, request):  # noqa: N802
        if request.WhichOneof("calls") == "columns":
            return invocation_service_pb2.BatchInvokeResponse(columns=self._columns(request.columns))
        outcomes = []
        for call in request.list.calls:
            try:
                results = self._call(call.instance, call.function, call.arguments)
                outcome = invocation_service_pb2.CallOutcome(
                    results=invocation_service_pb2.CallResults(values=results)
                )
            except StatusError as error:
                outcome = invocation_service_pb2.CallOutcome(error=error.status)
            outcomes.append(outcome)
        return invocation_service_pb2.BatchInvokeResponse(
            list=invocation_service_pb2.CallOutcomeList(outcomes=outcomes)
        )

    def _columns(self, request):
        parameters, results, implementation = FUNCTIONS[request.function]
        columns = [
            getattr(column, FIELD[type_]).values
            for column, type_ in zip(request.arguments, parameters, strict=True)
        ]
        assert all(len(column) == request.call_count for column in columns)
        answer = invocation_service_pb2.ResultColumns(
            results=[value_pb2.ValueColumn(**{FIELD[type_]: {}}) for type_ in results]
        )
        for index in range(request.call_count):
            try:
                returned = implementation(*(column[index] for column in columns))
            except StatusError as error:
                answer.failures.add(call_index=index, error=error.status)
                returned = [0] * len(results)
            for column, type_, value in zip(answer.results, results, returned, strict=True):
                getattr(column, FIELD[type_]).values.append(value)
        return answer

    def StreamInvoke(self, requests):  # noqa: N802
        for request in requests:
            self.messages["StreamInvoke"] += 1
            call = request.call
            if call.function == "end_stream":
                return
            response = invocation_service_pb2.StreamInvokeResponse(correlation_id=request.correlation_id)
            try:
                response.results.values.extend(self._call(call.instance, call.function, call.arguments))
                response.results.SetInParent()
            except StatusError as error:
                response.error.CopyFrom(error.status)
            yield response

    # Memories, globals, tables

    def GetMemory(self, request):  # noqa: N802
        size = len(self._instance(request.instance).memory)
        return memory_service_pb2.GetMemoryResponse(size_pages=size // 65536, size_bytes=size)

    def _memory(self, request, length):
        memory = self._instance(request.instance).memory
        if request.offset + length > len(memory):
            detail = details.RangeFailure(offset=request.offset, length=length, size=len(memory))
            raise StatusError(grpc.StatusCode.OUT_OF_RANGE, "past the end", "OUT_OF_RANGE", detail)
        return memory

    def ReadMemory(self, request):  # noqa: N802
        memory = self._memory(request, request.length)
        data = bytes(memory[request.offset : request.offset + request.length])
        return memory_service_pb2.ReadMemoryResponse(data=data)

    def WriteMemory(self, request):  # noqa: N802
        memory = self._memory(request, len(request.data))
        memory[request.offset : request.offset + len(request.data)] = request.data
        return memory_service_pb2.WriteMemoryResponse()

    def GrowMemory(self, request):  # noqa: N802
        memory = self._instance(request.instance).memory
        pages = len(memory) // 65536
        if pages + request.delta_pages > 64:
            raise StatusError(grpc.StatusCode.RESOURCE_EXHAUSTED, "beyond its maximum", "LIMIT_REACHED")
        memory.extend(bytes(request.delta_pages * 65536))
        return memory_service_pb2.GrowMemoryResponse(previous_size_pages=pages)

    def GetGlobal(self, request):  # noqa: N802
        value = value_pb2.Value(i64=self._instance(request.instance).counter)
        return global_service_pb2.GetGlobalResponse(value=value)

    def SetGlobal(self, request):  # noqa: N802
        self._instance(request.instance).counter = request.value.i64
        return global_service_pb2.SetGlobalResponse()

    def GetTable(self, request):  # noqa: N802
        return table_service_pb2.GetTableResponse(size=2)

    def LookupElement(self, request):  # noqa: N802
        if request.index >= 2:
            detail = details.RangeFailure(offset=request.index, length=1, size=2)
            raise StatusError(grpc.StatusCode.OUT_OF_RANGE, "past the end", "OUT_OF_RANGE", detail)
        reference = value_pb2.FunctionReference()
        if request.index == 0:
            reference = value_pb2.FunctionReference(
                instance=request.instance, function="add", function_index=7
            )
        return table_service_pb2.LookupElementResponse(element=value_pb2.Value(funcref=reference))

    # The server

    def GetServerInfo(self, _):  # noqa: N802
        counters = server_service_pb2.ServerCounters(modules_kept=len(self.modules), calls_total=7)
        counters.engine["traps"] = 2
        return server_service_pb2.GetServerInfoResponse(
            server_info=server_service_pb2.ServerInfo(
                version="1.2.3", target="x86_64", features=["bulk-memory"], counters=counters
            )
        )

    def Check(self, _):  # noqa: N802
        return health_pb2.HealthCheckResponse(status=self.status)
