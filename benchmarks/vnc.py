"""A guest's animation by VNC, beside QEMU's server: the same client, the same encoding; CPU time of the whole process.

Both have a standard VGA card and a software CPU. The client does nothing with what it gets. It asks for the next update
as soon as it has one, when each server sends as many as it will; and at a pace that both keep, when what the guest
itself costs from one to the next is the same.
"""

from __future__ import annotations

import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from rich.table import Table

from . import ours, qemu
from .processes import PATIENCE, cpu_time

SECONDS = 8.0
STILL_SECONDS = 30.0
PACES = {"at once": 0.0, "10 a second": 0.1}
"""Seconds from one request to the next."""
RAW, ZLIB, ZRLE = 0, 6, 16
ENCODINGS = {"raw": RAW, "zlib": ZLIB, "ZRLE": ZRLE}
WIDTH, HEIGHT = 1024, 768
WORKLOADS = {"a square of 256 pixels moves": ("-DSIDE=256",), "one of 768 pixels": ("-DSIDE=768",)}


class Client:
    """Just enough of the protocol (RFC 6143) to count what comes."""

    def __init__(self, path: Path, encoding: int) -> None:
        self._socket = _connected(path)
        self._file = self._socket.makefile("rb")
        self._read(12)
        self._socket.sendall(b"RFB 003.008\n")
        self._read(self._read(1)[0])
        self._socket.sendall(b"\1")
        self._read(4)
        self._socket.sendall(b"\1")
        self.width, self.height = struct.unpack(">HH", self._read(4))
        self._read(16)
        self._read(struct.unpack(">I", self._read(4))[0])
        self._socket.sendall(struct.pack(">BxHii", 2, 2, encoding, -223))

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def _read(self, length: int) -> bytes:
        data = self._file.read(length)
        if len(data) < length:
            raise EOFError
        return data

    def request(self, incremental: bool = True) -> None:
        self._socket.sendall(struct.pack(">BBHHHH", 3, incremental, 0, 0, self.width, self.height))

    def update(self) -> int:
        """Takes an update: how many pixels it had."""
        kind, count = struct.unpack(">BxH", self._read(4))
        assert kind == 0, f"message {kind}"
        pixels = 0
        for _ in range(count):
            _, _, width, height, encoding = struct.unpack(">HHHHi", self._read(12))
            if encoding == -223:
                self.width, self.height = width, height
            elif encoding == RAW:
                self._read(4 * width * height)
                pixels += width * height
            else:
                self._read(struct.unpack(">I", self._read(4))[0])
                pixels += width * height
        return pixels


def _connected(path: Path) -> socket.socket:
    """Once somebody listens there."""
    give_up = time.monotonic() + PATIENCE
    while True:
        client = socket.socket(socket.AF_UNIX)
        try:
            client.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            client.close()
            if time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            return client


@dataclass
class Seen:
    """What a client had, and what it cost the server's process."""

    frames: int
    pixels: int
    cpu: float
    seconds: float


@contextmanager
def _running(command: list[str]) -> Iterator[int]:
    """The process's number."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        yield process.pid
    except (EOFError, OSError) as error:
        time.sleep(0.5)
        status = process.poll()
        process.kill()
        assert process.stderr is not None
        raise SystemExit(f"{command[0]} (status {status}) hung up: {error!r} {process.stderr.read()!r}") from None
    finally:
        process.kill()
        process.wait()


def _mine(folder: Path, image: Path, server: Path) -> list[str]:
    path = ours.description(folder, image)
    text = path.read_text().replace("devices:\n", "devices:\n  video: {type: std_vga}\n")
    path.write_text(f"{text}displays:\n  screen: {{type: vnc, path: '{server}'}}\n")
    return [str(ours.program()), "run", str(path)]


def _theirs(image: Path, server: Path) -> list[str]:
    disk = f"file={image},format=raw,snapshot=on"
    return [*qemu.MACHINE, "-accel", "tcg", "-nodefaults", "-vga", "std", "-vnc", f"unix:{server}", "-drive", disk]


def _watch(pid: int, server: Path, encoding: int, seconds: float, pace: float, *, moves: bool) -> Seen:
    client = Client(server, encoding)
    try:
        client.request(incremental=False)
        while client.update() == 0 or (client.width, client.height) != (WIDTH, HEIGHT):
            client.request()
        for _ in range(20 if moves else 0):  # until it moves evenly
            client.request()
            client.update()
        client.request()
        if not moves:
            client._socket.settimeout(5)
            try:
                while True:
                    client.update()
                    client.request()
            except TimeoutError:
                pass
        begin, before, frames, pixels = time.monotonic(), cpu_time(pid), 0, 0
        if moves:
            due = begin
            while time.monotonic() < begin + seconds:
                pixels += client.update()
                frames += 1
                due = max(due + pace, time.monotonic())
                time.sleep(max(due - time.monotonic(), 0))
                client.request()
        else:
            time.sleep(seconds)
        return Seen(frames, pixels, cpu_time(pid) - before, time.monotonic() - begin)
    finally:
        client.close()


def _image(folder: Path, *defines: str) -> Path:
    image = folder / "animation.img"
    source = Path(__file__).parent / "guests" / "animation.asm"
    subprocess.run(["nasm", "-f", "bin", *defines, "-o", str(image), str(source)], check=True)
    return image


def _both(image: Path, encoding: int, seconds: float, pace: float, *, moves: bool) -> tuple[Seen, Seen]:
    found = []
    for make in (_mine, _theirs):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            server = folder / "vnc"
            command = _mine(folder, image, server) if make is _mine else _theirs(image, server)
            with _running(command) as pid:
                found.append(_watch(pid, server, encoding, seconds, pace, moves=moves))
    return found[0], found[1]


def compare(folder: Path) -> Table:
    """CPU time per frame and encoding, and of a still screen."""
    table = Table("1024x768, by VNC", "Southbridge", "QEMU TCG", "ratio", "frames a second")
    for name, defines in WORKLOADS.items():
        image = _image(folder, *defines)
        for (encoding, number), (asked, pace) in product(ENCODINGS.items(), PACES.items()):
            mine, theirs = _both(image, number, SECONDS, pace, moves=True)
            own, other = (seen.cpu / max(seen.frames, 1) * 1e3 for seen in (mine, theirs))
            rates = ", ".join(f"{seen.frames / seen.seconds:.1f}" for seen in (mine, theirs))
            what = f"{name}, {encoding}, {asked}: CPU a frame"
            table.add_row(what, f"{own:.1f} ms", f"{other:.1f} ms", f"{own / other:.2f}", rates)
    mine, theirs = _both(_image(folder, "-DSTILL"), ZRLE, STILL_SECONDS, 0, moves=False)
    own, other = (seen.cpu / seen.seconds * 100 for seen in (mine, theirs))
    table.add_row("a still screen: CPU", f"{own:.2f}%", f"{other:.2f}%", f"{own / other if other else 0:.2f}", "")
    return table


if __name__ == "__main__":
    from rich.console import Console

    with tempfile.TemporaryDirectory() as folder:
        Console(width=120).print(compare(Path(folder)))
