"""What a VNC server shows (RFC 6143), raw: python3 picture.py PORT UPDATES

Says the screen's size, the colours of the first picture and how many pixels have each, and of each of UPDATES further
updates how many lines it has, and which colours.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections import Counter

Rectangle = tuple[int, int, bytes]
"""First line, number of lines, pixels."""


class Client:
    """A connection to the server on that port."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.take(12)
        self.socket.sendall(b"RFB 003.008\n")
        self.take(self.take(1)[0])
        self.socket.sendall(b"\x01")  # no authentication
        assert self.take(4) == bytes(4)
        self.socket.sendall(b"\x01")  # shared
        self.width, self.height = struct.unpack(">HH", self.take(4))
        self.take(struct.unpack(">16xI", self.take(20))[0])
        pixels = struct.pack(">BBBBHHHBBB3x", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
        self.socket.sendall(b"\x00\0\0\0" + pixels + struct.pack(">BxHi", 2, 1, 0))

    def take(self, size: int) -> bytes:
        """The next bytes."""
        data = bytearray()
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            assert piece, "the server hangs up"
            data += piece
        return bytes(data)

    def update(self, incremental: bool) -> list[Rectangle]:
        """The next update."""
        self.socket.sendall(struct.pack(">BBHHHH", 3, incremental, 0, 0, self.width, self.height))
        while True:
            kind = self.take(1)[0]
            if kind == 0:
                break
            assert kind in (2, 3)  # a bell, or a text
            if kind == 3:
                self.take(struct.unpack(">3xI", self.take(7))[0])
        (number,) = struct.unpack(">xH", self.take(3))
        found = []
        for _ in range(number):
            _, y, width, height, encoding = struct.unpack(">HHHHi", self.take(12))
            assert encoding == 0
            found.append((y, height, self.take(4 * width * height)))
        return found


def colours(rectangles: list[Rectangle]) -> Counter[str]:
    """How many pixels of each colour there are."""
    return Counter(data[at : at + 3][::-1].hex() for _, _, data in rectangles for at in range(0, len(data), 4))


client = Client(int(sys.argv[1]))
print(f"{client.width}x{client.height}")
whole = client.update(incremental=False)
for colour, number in colours(whole).most_common(4):
    print(f"# first picture: {number} of {colour}")
print("colours:", *sorted(colours(whole)))
for _ in range(int(sys.argv[2])):
    part = client.update(incremental=True)
    lines = len({y + line for y, height, _ in part for line in range(height)})
    print(f"# update: {lines} lines, {sum(len(data) for _, _, data in part) // 4} pixels, {dict(colours(part))}")
    print(
        "update:",
        "few lines" if lines <= 32 else "many lines",
        "with red" if "ff0000" in colours(part) else "without red",
    )
