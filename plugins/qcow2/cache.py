"""A bounded cache of pieces of an image."""

from __future__ import annotations

from collections import OrderedDict


class Cache:
    """Keeps the pieces used last, `limit` bytes in all but always one."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._pieces: OrderedDict[int, bytes] = OrderedDict()

    def get(self, key: int) -> bytes | None:
        """The piece, if it is there."""
        piece = self._pieces.get(key)
        if piece is not None:
            self._pieces.move_to_end(key)
        return piece

    def put(self, key: int, piece: bytes) -> None:
        """Adds a piece that isn't there, at the cost of those not used for longest."""
        self._pieces[key] = piece
        self._held += len(piece)
        while self._held > self._limit and len(self._pieces) > 1:
            _, old = self._pieces.popitem(last=False)
            self._held -= len(old)
