"""Runs a program in a store of its own."""

from __future__ import annotations

from dataclasses import dataclass

from farcall.engine import CompiledModule, Engine, ExternKind, Instantiation, Module, Stoppable, Store, StoreLimits
from farcall.proto.farcall.v1 import program_service_pb2 as messages
from farcall.server.errors import failed_precondition
from farcall.server.module_library import ModuleLibrary
from farcall.server.programs.input import ProgramInput
from farcall.server.programs.output import ProgramOutput
from farcall.server.resource_names import parse_module_name
from farcall.server.services.store_service import read_quota
from farcall.server.store_registry import StoreRegistry
from farcall.server.wasi.configuration import ArchiveCollector
