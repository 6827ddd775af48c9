from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from southbridge import hookspecs
from southbridge.errors import PluginError
from southbridge.hooks import MachineHooks, has_hooks
from southbridge.hookspecs import LINKED, hookimpl


class Memory:
    """Implements every linked hook; remembers the calls."""

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self.calls: list[tuple[Any, ...]] = []

    @hookimpl
    def memory_read(self, address: int, length: int) -> bytes:
        self.calls.append(("read", address, length))
        return self.name.encode()

    @hookimpl
    def memory_write(self, address: int, data: bytes) -> None:
        self.calls.append(("write", address, data))

    @hookimpl
    def memory_write_several(self, pieces: Iterator[tuple[int, bytes]]) -> bool:
        return True

    @hookimpl
    def memory_map(self, address: int, length: int, write: bool) -> Any:
        return ("mapping", address, length, write)

    @hookimpl
    def memory_unmap(self, mapping: Any, written: int) -> None:
        self.calls.append(("unmap", mapping, written))

    @hookimpl
    def irq_set(self, line: int, level: bool) -> bool:
        self.calls.append(("irq", line, level))
        return True

    @hookimpl
    def pci_irq_set(self, bus: int, slot: int, pin: int, level: bool) -> bool:
        return True

    @hookimpl
    def msi_send(self, address: int, data: int) -> bool:
        return True

    @hookimpl
    def dirty_log_sync(self, region: Any) -> Any:
        return ("pages", region)


class Tracer:
    """Watches reads."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int, bytes]] = []

    @hookimpl(wrapper=True)
    def memory_read(self, address: int, length: int) -> Generator[None, bytes, bytes]:
        found = yield
        self.seen.append((address, length, found))
        return found.upper()


@pytest.fixture
def hooks() -> MachineHooks:
    return MachineHooks()


@pytest.mark.parametrize("name", LINKED)
def test_a_linked_hook_with_one_implementation_is_that_function(hooks: MachineHooks, name: str) -> None:
    memory = Memory()
    hooks.register(memory, "memory")
    assert getattr(hooks, name) == getattr(memory, name)
    hooks.unregister("memory")
    assert getattr(hooks, name) != getattr(memory, name)


@pytest.mark.parametrize("name", LINKED)
def test_a_linked_hook_that_nobody_implements_does_nothing(hooks: MachineHooks, name: str) -> None:
    arguments = inspect.signature(getattr(Memory(), name)).parameters
    assert getattr(hooks, name)(*range(len(arguments))) is None


def test_a_wrapper_makes_it_the_whole_call_until_it_goes(hooks: MachineHooks) -> None:
    memory, tracer = Memory(), Tracer()
    hooks.register(memory, "memory")
    hooks.register(tracer, "tracer")
    assert hooks.memory_read(0x1000, 4) == b"MEMORY"
    assert tracer.seen == [(0x1000, 4, b"memory")]
    hooks.unregister("tracer")
    assert hooks.memory_read == memory.memory_read
    assert hooks.memory_read(0x2000, 4) == b"memory"
    assert len(tracer.seen) == 1


def test_a_wrapper_alone_wraps_nothing(hooks: MachineHooks) -> None:
    class Watcher:
        @hookimpl(wrapper=True)
        def irq_set(self, line: int, level: bool) -> Generator[None, Any, str]:
            return f"wrapped {(yield)}"

    hooks.register(Watcher(), "watcher")
    assert hooks.irq_set(3, True) == "wrapped None"


def test_of_two_implementations_the_last_answers_and_both_hear(hooks: MachineHooks) -> None:
    first, second = Memory("first"), Memory("second")
    hooks.register(first, "first")
    hooks.register(second, "second")
    assert hooks.memory_read(0, 1) == b"second"
    assert first.calls == []
    hooks.memory_write(0, b"x")
    assert first.calls == second.calls[1:] == [("write", 0, b"x")]
    hooks.unregister("second")
    assert hooks.memory_read == first.memory_read


def test_an_implementation_with_fewer_arguments_is_called_through_pluggy(hooks: MachineHooks) -> None:
    class Deaf:
        @hookimpl
        def irq_set(self, line: int) -> bool:
            return line == 3

    hooks.register(Deaf(), "deaf")
    assert hooks.irq_set(3, True) is True
    assert hooks.irq_set(4, True) is False


def bad_signature() -> object:
    class Bad:
        @hookimpl
        def memory_read(self, address: int, length: int, colour: str) -> bytes:
            return b""

    return Bad()


def unknown_hook() -> object:
    class Bad:
        @hookimpl
        def memory_read(self, address: int, length: int) -> bytes:
            return b""

        @hookimpl
        def memory_erase(self, address: int) -> None: ...

    return Bad()


@pytest.mark.parametrize(("make", "what"), [(bad_signature, "colour"), (unknown_hook, "memory_erase")])
def test_a_plugin_that_does_not_fit_is_named_and_takes_no_part(
    hooks: MachineHooks, make: Callable[[], object], what: str
) -> None:
    memory = Memory()
    hooks.register(memory, "memory")
    with pytest.raises(PluginError, match="'vendor-nic'") as caught:
        hooks.register(make(), "vendor-nic")
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)
    assert hooks.memory_read == memory.memory_read
    hooks.register(Tracer(), "vendor-nic")
    assert hooks.memory_read(0, 1) == b"MEMORY"


def test_two_plugins_of_one_name_are_an_error(hooks: MachineHooks) -> None:
    memory = Memory()
    hooks.register(memory, "memory")
    with pytest.raises(PluginError, match="'memory'"):
        hooks.register(Memory(), "memory")
    assert hooks.memory_read == memory.memory_read


def test_unregistering_who_is_not_there_is_nothing(hooks: MachineHooks) -> None:
    hooks.unregister("nobody")


def test_two_machines_share_no_hooks(hooks: MachineHooks) -> None:
    other = MachineHooks()
    other.register(Memory(), "memory")
    assert hooks.memory_read(0, 1) is None


def test_other_hooks_reach_every_implementation(hooks: MachineHooks) -> None:
    class Listener:
        def __init__(self) -> None:
            self.heard: list[bool] = []

        @hookimpl
        def a20_changed(self, enabled: bool) -> None:
            self.heard.append(enabled)

    listeners = [Listener(), Listener()]
    for index, listener in enumerate(listeners):
        hooks.register(listener, f"{index}")
    hooks.call.a20_changed(enabled=False)
    assert [listener.heard for listener in listeners] == [[False], [False]]


def test_every_hook_is_documented() -> None:
    specs = [
        member
        for group in hookspecs.GROUPS
        for member in vars(group).values()
        if hasattr(member, f"{hookspecs.PROJECT}_spec")
    ]
    assert {spec.__name__ for spec in specs} >= set(LINKED)
    assert [spec.__name__ for spec in specs if not spec.__doc__] == []


def test_has_hooks() -> None:
    class Child(Memory):
        pass

    assert has_hooks(Child)
    assert not has_hooks(int)
