"""Platform devices that an accelerator plays itself, and that come back when it goes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from southbridge import Device, PortBank, ResetReason, ShutdownReason, SouthbridgeError, State, hookimpl, timer

from tests.core.fake_pc import Pc, spins
from tests.core.test_exchange import Successor, pc_with_steps, quit_machine


class Metronome(Device):
    """A device that accelerators may play."""

    platform: ClassVar[str] = "metronome"
    ports = PortBank(1)
    BEAT = ports.register(0)
    beats: int = State(0, ge=0)

    def realize(self) -> None:
        self.claim_ports(self.ports, 0x700)
        self.pin = self.claim_irq(9)
        self.messages: list[int] = []

    def loaded(self) -> None:
        self.pin.set(self.beats & 1)

    @timer
    def beat(self) -> None:
        self.beats += 1

    @hookimpl
    def msi_send(self, address: int, data: int) -> bool:
        self.messages.append(data)
        return True


class Player(Successor):
    """Plays the metronome, and beats once before it gives it back."""

    offloads = frozenset({"metronome", "ioapic"})
    takes = True

    def attach(self, machine: Any) -> None:
        super().attach(machine)
        self.held: dict[str, Any] = {}
        self.lines: list[tuple[int, bool]] = []
        self.on_message: Callable[[int], None] = lambda data: None

    @hookimpl
    def offload_device(self, device: Device, state: dict[str, Any]) -> bool:
        if self.takes:
            self.held[device.id] = copy.deepcopy(state)
        return self.takes

    @hookimpl
    def reclaim_device(self, device: Device) -> dict[str, Any]:
        state: dict[str, Any] = self.held.pop(device.id)
        state["state"]["beats"] += 1
        return state

    @hookimpl
    def irq_set(self, line: int, level: bool) -> bool:
        self.lines.append((line, level))
        return True

    @hookimpl
    def msi_send(self, address: int, data: int) -> bool:
        self.on_message(data)
        return True


class Talker(Device):
    """A device that nobody plays."""


def metronome(pc: Pc) -> Metronome:
    device = pc.machine.devices["Metronome"]
    assert isinstance(device, Metronome)
    return device


def running(device: Metronome) -> None:
    device.beats = 3
    device.pin.set(True)
    device.beat.after(s=1000)


def test_an_offloaded_device_sleeps() -> None:
    player = Player(spins)

    def swap(pc: Pc) -> None:
        device = metronome(pc)
        running(device)
        pc.machine.swap_accelerator(player)
        assert player.held["Metronome"]["state"]["beats"] == 3
        assert "beat" in player.held["Metronome"]["timers"]
        assert not device.beat.pending
        assert not device.pin.asserted
        pc.machine.hooks.msi_send(0xFEE0_0000, 1)
        assert device.messages == []
        pc.pic.pin.set(True)
        pc.pic.pin.set(False)
        assert player.lines == [(5, True), (5, False)]
        quit_machine(pc.machine)

    pc = pc_with_steps(swap)
    pc.plug(Metronome)
    pc.run()


def test_a_device_that_sleeps_sends_no_messages() -> None:
    """It hears its lines still, with registers that are out of date."""
    player = Player(spins)
    sent: list[int] = []

    def swap(pc: Pc) -> None:
        device = metronome(pc)
        other = pc.machine.devices["Talker"]
        pc.machine.swap_accelerator(player)
        player.on_message = sent.append
        pc.machine.send_msi(device, 0xFEE0_0000, 1)
        pc.machine.send_msi(other, 0xFEE0_0000, 2)
        quit_machine(pc.machine)

    pc = pc_with_steps(swap)
    pc.plug(Metronome)
    pc.plug(Talker)
    pc.run()
    assert sent == [2]


def test_it_comes_back_as_the_accelerator_left_it() -> None:
    player = Player(spins)

    def swap(pc: Pc) -> None:
        device = metronome(pc)
        running(device)
        pc.machine.swap_accelerator(player)
        pc.machine.swap_accelerator(Successor(spins))
        assert device.beats == 4
        assert not device.pin.asserted
        assert device.beat.pending
        pc.machine.hooks.msi_send(0xFEE0_0000, 2)
        assert device.messages == [2]
        pc.pic.pin.set(True)
        assert player.lines == []
        quit_machine(pc.machine)

    pc = pc_with_steps(swap)
    pc.plug(Metronome)
    pc.run()


def test_a_line_that_is_high_is_told_at_once() -> None:
    player = Player(spins)

    def swap(pc: Pc) -> None:
        pc.pic.pin.set(True)
        pc.machine.swap_accelerator(player)
        assert player.lines == [(5, True)]
        quit_machine(pc.machine)

    pc_with_steps(swap).run()


def test_a_reset_reaches_what_is_offloaded() -> None:
    player = Player(spins)
    held: list[int] = []

    def swap(pc: Pc) -> None:
        metronome(pc).beats = 8
        pc.machine.swap_accelerator(player)
        held.append(player.held["Metronome"]["state"]["beats"])
        pc.machine.request_reset(ResetReason.HOST)
        pc.machine.post(lambda: held.append(player.held["Metronome"]["state"]["beats"]))
        pc.machine.post(lambda: quit_machine(pc.machine))

    pc = pc_with_steps(swap)
    pc.plug(Metronome)
    pc.run()
    assert held == [8, 0]


def test_saving_the_machine_saves_what_is_offloaded() -> None:
    player = Player(spins)

    def save(pc: Pc) -> None:
        metronome(pc).beats = 8
        pc.machine.swap_accelerator(player)
        saved = pc.machine.save_state()
        assert saved["devices"]["Metronome"]["state"]["beats"] == 9
        assert player.held["Metronome"]["state"]["beats"] == 9
        quit_machine(pc.machine)

    pc = pc_with_steps(save)
    pc.plug(Metronome)
    pc.run()


def test_an_accelerator_that_does_not_take_what_it_plays_is_refused() -> None:
    player = Player(spins)
    player.takes = False

    def swap(pc: Pc) -> None:
        with pytest.raises(SouthbridgeError, match="says that it plays metronome, but doesn't take Metronome"):
            pc.machine.swap_accelerator(player)

    pc = pc_with_steps(swap)
    pc.plug(Metronome)
    assert pc.run().reason is ShutdownReason.GUEST_SHUTDOWN
