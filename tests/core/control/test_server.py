"""The control socket of a machine that runs: commands, events, several clients, and clients that mean no good."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import threading
from functools import partial
from typing import Any, ClassVar, TypedDict

import pytest
from qemu.qmp import QMPClient
from southbridge import Device, SouthbridgeError, hookimpl
from southbridge.control import client as client_module
from southbridge.control import conversation
from southbridge.control.client import find_machine, running
from southbridge.control.folder import connect, live
from southbridge.control.listening import MOST_CLIENTS
from southbridge.control.session import LONGEST_MESSAGE
from southbridge.life import Outcome, ShutdownReason

from tests.core.control.conftest import PATIENCE_S, RunningPc, StartPc
from tests.core.fake_cpu import FakeAccelerator
from tests.core.fake_pc import spins


def raw(running: RunningPc) -> socket.socket:
    connection = connect(running.id, PATIENCE_S)
    assert connection is not None
    return connection


def test_questions(start_pc: StartPc) -> None:
    running = start_pc("my pc")
    assert running.id == "my-pc"
    with running.client() as client:
        assert client.run("query-status") == {"running": True, "singlestep": False, "status": "running"}
        assert client.run("query-name") == {"name": "my pc"}
        assert client.run("query-accelerator") == {"name": "FakeAccelerator"}
        names = {command["name"] for command in client.run("query-commands")}
        assert {"qmp_capabilities", "query-commands", "stop", "swap-accelerator", "snapshot-save"} <= names


def test_stop_and_cont(start_pc: StartPc) -> None:
    running = start_pc()
    events: list[str] = []
    with running.client() as client:
        client.on_event = lambda event: events.append(event["event"])
        client.run("stop")
        client.run("stop")
        assert client.run("query-status") == {"running": False, "singlestep": False, "status": "paused"}
        assert not running.pc.vcpu.inside
        client.run("cont")
        assert client.run("query-status")["running"]
        client.run("query-name")
    assert events == ["STOP", "RESUME"]


def test_a_reset(start_pc: StartPc) -> None:
    running = start_pc()
    events: list[str] = []
    data: list[object] = []

    def heard(event: dict[str, Any]) -> None:
        events.append(event["event"])
        data.append(event["data"])

    with running.client() as client:
        client.on_event = heard
        client.run("system_reset")
        while not events:
            client.run("query-name")
    assert events == ["RESET"]
    assert data == [{"guest": False, "reason": "host-qmp-system-reset"}]
    assert running.pc.call.resets == 2


class Card(Device):
    hotpluggable: ClassVar[bool] = True


class Button(Device):
    @hookimpl
    def machine_powerdown(self) -> bool:
        return True


def test_sleep_the_button_and_devices_that_go(start_pc: StartPc) -> None:
    running = start_pc()
    events: list[tuple[str, object]] = []

    def wait_for(name: str) -> None:
        while all(name != event for event, _ in events):
            client.run("query-name")

    with running.client() as client:
        client.on_event = lambda event: events.append((event["event"], event.get("data")))
        with pytest.raises(SouthbridgeError, match="pc has no power button"):
            client.run("system_powerdown")
        with pytest.raises(SouthbridgeError, match="pc isn't suspended"):
            client.run("system_wakeup")
        events.clear()
        for kind in (Card, Button):
            running.machine.call(partial(running.pc.plug, kind))
        client.run("system_powerdown")
        wait_for("POWERDOWN")
        running.machine.power.request_suspend()
        wait_for("SUSPEND")
        assert client.run("query-status") == {"running": False, "singlestep": False, "status": "suspended"}
        client.run("system_wakeup")
        wait_for("WAKEUP")
        client.run("device_del", id="Card")
        wait_for("DEVICE_DELETED")
        with pytest.raises(SouthbridgeError, match="Device 'Card' not found"):
            client.run("device_del", id="Card")
        with pytest.raises(SouthbridgeError, match="can't be unplugged from a running machine"):
            client.run("device_del", id="Button")
    gone = {"device": "Card", "path": "/machine/peripheral/Card"}
    assert events == [("POWERDOWN", None), ("SUSPEND", None), ("WAKEUP", None), ("DEVICE_DELETED", gone)]


def test_a_device_pauses_the_machine_and_the_status_says_why(start_pc: StartPc) -> None:
    running = start_pc()
    with running.client() as client:
        running.machine.request_pause("watchdog")
        while (status := client.run("query-status"))["running"]:
            pass
        assert status["status"] == "watchdog"
        client.run("cont")
        client.run("stop")
        assert client.run("query-status")["status"] == "paused"


def test_what_devices_announce_is_an_event(start_pc: StartPc) -> None:
    running = start_pc()
    events: list[tuple[str, object]] = []
    with running.client() as client:
        client.on_event = lambda event: events.append((event["event"], event.get("data")))
        running.machine.announce("WATCHDOG", action="none")
        while not events:
            client.run("query-status")
    assert events == [("WATCHDOG", {"action": "none"})]


def test_quit_is_answered_and_says_goodbye(start_pc: StartPc) -> None:
    running = start_pc()
    connection = raw(running)
    connection.sendall(b'{"execute": "qmp_capabilities"}\n{"execute": "quit", "id": 1}\n')
    lines = [json.loads(line) for line in connection.makefile("rb")]  # to the end: we are disconnected
    assert lines[2] == {"return": {}, "id": 1}
    assert [line["event"] for line in lines[3:]] == ["SHUTDOWN"]
    assert lines[3]["data"] == {"guest": False, "reason": "host-qmp-quit"}
    running.join()
    assert running.outcome == Outcome(ShutdownReason.HOST_QUIT)
    assert live() == []


def test_the_accelerator_is_exchanged(start_pc: StartPc, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def named(machine: Any, name: str) -> FakeAccelerator:
        made.append(name)
        if name == "none":
            raise SouthbridgeError("there is no accelerator 'none'")
        accelerator = FakeAccelerator(spins)
        accelerator.name = name
        return accelerator

    monkeypatch.setattr("southbridge.control.builtin.accelerator_named", named)
    running = start_pc()
    with running.client() as client:
        client.run("swap-accelerator", name="other")
        assert client.run("query-accelerator") == {"name": "other"}
        with pytest.raises(SouthbridgeError, match=r"^machine 'pc': there is no accelerator 'none'$"):
            client.run("swap-accelerator", name="none")
        assert client.run("query-status")["running"]
    assert made == ["other", "none"]


class Counted(TypedDict):
    to: int


class Extra:
    """A plugin with commands of its own, one of them badly named."""

    @hookimpl
    def register_monitor_commands(self, machine: Any) -> dict[str, Any]:
        def count(to: int) -> list[int]:
            return list(range(to))

        return {"x-count": count, "quit": count}

    @hookimpl
    def register_monitor_events(self, machine: Any) -> dict[str, Any]:
        return {"X_COUNTED": Counted, "X_DONE": None, "STOP": None, "X_WRONG": int}


def test_plugins_add_commands(start_pc: StartPc, caplog: pytest.LogCaptureFixture) -> None:
    running = start_pc(prepare=lambda running: running.machine.hooks.register(Extra(), "extra"))
    with running.client() as client:
        assert client.run("x-count", to=3) == [0, 1, 2]
        heard: list[Any] = []
        client.on_event = heard.append
        running.machine.announce("X_COUNTED", to=3)
        while not heard:
            client.run("query-name")
        assert (heard[0]["event"], heard[0]["data"]) == ("X_COUNTED", {"to": 3})
        names = {event["name"] for event in client.run("query-events")}
        assert names >= {"X_COUNTED", "X_DONE", "STOP"}
        assert "X_WRONG" not in names
        schema = {entry["name"]: entry for entry in client.run("query-qmp-schema")}
        data = schema[schema["X_COUNTED"]["arg-type"]]
        assert data["members"] == [{"name": "to", "type": "int"}]
    assert "left out: there are two monitor commands 'quit'" in caplog.text
    assert "left out: there are two monitor events 'STOP'" in caplog.text
    assert "monitor event 'X_WRONG'" in caplog.text


def test_the_reference_client_understands_us(start_pc: StartPc, runtime: Any) -> None:
    """qemu.qmp is QEMU's own client."""
    running = start_pc("reference")

    async def talk() -> None:
        client = QMPClient("test")
        await client.connect(str(runtime / "reference.sock"))
        assert await client.execute("query-name") == {"name": "reference"}
        with client.listener("STOP") as stops:
            await client.execute("stop")
            assert (await stops.get())["event"] == "STOP"
        status: Any = await client.execute("query-status")
        assert status["status"] == "paused"
        await client.execute("quit")
        with contextlib.suppress(EOFError):  # the machine may be gone first
            await client.disconnect()

    asyncio.run(asyncio.wait_for(talk(), PATIENCE_S))
    running.join()


def test_many_clients_at_once(start_pc: StartPc) -> None:
    running = start_pc()
    clients = [running.client() for _ in range(20)]
    assert [client.run("query-name") for client in clients] == [{"name": "pc"}] * 20
    clients[0].run("stop")
    assert clients[19].run("query-status")["status"] == "paused"
    for client in clients:
        client.__exit__()


def test_clients_beyond_the_limit_are_turned_away(start_pc: StartPc) -> None:
    running = start_pc()
    clients = [running.client() for _ in range(MOST_CLIENTS)]
    with pytest.raises(SouthbridgeError, match=r"machine 'pc' \(process \d+\) ended before it answered"):
        running.client()
    clients[0].__exit__()
    clients[1].run("query-name")
    for client in clients[1:]:
        client.__exit__()


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_message_without_end_is_not_hoarded(start_pc: StartPc, end: bytes) -> None:
    running = start_pc()
    connection = raw(running)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(b'{"execute": "' + b"x" * (4 * LONGEST_MESSAGE) + end)
    with contextlib.suppress(ConnectionResetError):
        while connection.recv(65536):  # to the end: we are disconnected
            pass
    connection.close()
    with running.client() as client:
        assert client.run("query-status")["running"]


def test_a_client_that_never_listens_waits_for_itself_alone(start_pc: StartPc) -> None:
    """It asks and asks; its answers pile up to a limit, then nothing more of it is read."""
    running = start_pc()
    connection = raw(running)
    connection.sendall(b'{"execute": "qmp_capabilities"}\n')
    connection.setblocking(False)
    question = b'{"execute": "query-commands"}\n' * 100
    with running.client() as client:
        blocked = 0
        while blocked < 100:  # it takes nothing more, however often the others are served
            try:
                connection.send(question)
                blocked = 0
            except BlockingIOError:
                blocked += 1
                client.run("query-name")
        assert client.run("query-status")["running"]
    served, *_ = running.server._service._conversations
    assert served._connection.unsent < 2 * conversation.OUTPUT_LIMIT
    connection.close()


def test_a_client_that_lets_events_pile_up_is_dropped(
    start_pc: StartPc, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.WARNING)
    running = start_pc()
    deaf = raw(running)
    deaf.sendall(b'{"execute": "qmp_capabilities"}\n')
    deaf.recv(65536, socket.MSG_PEEK)
    done = threading.Event()
    noise = {"what": "y" * 1000}

    def shout() -> None:
        for _ in range(2000):
            running.machine.hooks.call.machine_event(machine=running.machine, name="X_NOISE", data=noise)
        done.set()

    with running.client() as client:
        there = running.server._service._conversations
        while len(there) < 2 or not all(one._session.ready for one in there):
            client.run("query-name")
        client.run("query-name")
    running.machine.post(shout)
    assert done.wait(PATIENCE_S)
    assert "a control client doesn't listen, and is dropped" in caplog.text
    deaf.close()


def test_the_machine_ends_while_clients_hang_on(start_pc: StartPc) -> None:
    running = start_pc()
    silent = [raw(running) for _ in range(5)]
    with running.client() as client:
        running.end()
        with pytest.raises(SouthbridgeError, match="ended before it answered"):
            client.run("query-name")
    for connection in silent:
        connection.close()


def test_list_of_machines(start_pc: StartPc) -> None:
    first, second = start_pc("pc"), start_pc("pc")
    with second.client() as client:
        client.run("stop")
    found = running()
    assert [(one["id"], one["name"], one["status"], one["error"]) for one in found] == [
        ("pc", "pc", "running", None),
        ("pc-2", "pc", "paused", None),
    ]
    assert first.id == "pc" and all(type(one["process"]) is int for one in found)


def test_no_such_machine(start_pc: StartPc) -> None:
    with pytest.raises(SouthbridgeError, match=r"^there is no running machine 'pc'; no machine is running$"):
        find_machine("pc")
    start_pc("server")
    with pytest.raises(SouthbridgeError, match=r"^there is no running machine 'sever'; did you mean 'server'\?$"):
        find_machine("sever")
    with pytest.raises(SouthbridgeError, match=r"^there is no running machine 'xyz' \(running: server\)$"):
        find_machine("xyz")


def test_a_machine_that_doesnt_answer_is_named(start_pc: StartPc, monkeypatch: pytest.MonkeyPatch) -> None:
    running = start_pc("stuck")
    release = threading.Event()
    entered = threading.Event()

    def block() -> None:
        entered.set()
        release.wait(PATIENCE_S)

    running.machine.post(block)
    assert entered.wait(PATIENCE_S)
    with pytest.raises(SouthbridgeError, match=r"^machine 'stuck' \(process \d+\) didn't answer within 0.05 s$"):
        find_machine("stuck", 0.05)
    waited: list[str] = []

    def on_wait(machine: str) -> None:
        waited.append(machine)
        release.set()

    monkeypatch.setattr(client_module, "NOTICE", 0.05)
    with find_machine("stuck", PATIENCE_S, on_wait) as client:
        assert client.run("query-name") == {"name": "stuck"}
        assert waited == [str(client)]


def test_before_the_machine_is_set_up(start_pc: StartPc) -> None:
    def wait(running: RunningPc) -> None:
        running.machine.preconfig = True

    running = start_pc(prepare=wait)
    with running.client() as client:
        assert client.run("query-status") == {"running": False, "singlestep": False, "status": "prelaunch"}
        with pytest.raises(SouthbridgeError, match="'cont' is permitted only after machine initialization"):
            client.run("cont")
        client.run("x-exit-preconfig")
        assert client.run("query-status")["running"]
        with pytest.raises(SouthbridgeError, match="permitted only before machine initialization"):
            client.run("x-exit-preconfig")


def test_what_the_guest_did_wrong_and_what_is_installed(start_pc: StartPc) -> None:
    running = start_pc()
    with running.machine.lock:
        running.machine.guest_error(running.pc.call, "it did")
    with running.client() as client:
        assert client.run("guest-errors") == ["CallPort: it did"]
        there = [(plugin["kind"], plugin["name"]) for plugin in client.run("plugins")]
        assert ("monitors", "qmp") in there
