"""A local APIC's interrupt acceptance as the SDM describes it, vector by vector, without a thought for speed."""

from __future__ import annotations


class NaiveApic:
    """Vectors are in sets; `level` has those whose end is broadcast."""

    def __init__(self) -> None:
        self.tpr = 0
        self.enabled = True
        self.waiting: set[int] = set()
        self.serving: set[int] = set()
        self.level: set[int] = set()
        self.ended: list[int] = []

    def ppr(self) -> int:
        """Figure "Processor priority register": the higher of two classes, with the subclass of the task's."""
        serving = max(self.serving, default=0)
        if self.tpr >> 4 >= serving >> 4:
            return self.tpr
        return serving >> 4 << 4

    def request(self) -> int | None:
        for vector in sorted(self.waiting, reverse=True):
            if vector >> 4 > self.ppr() >> 4:
                return vector
        return None

    def send(self, vector: int, level: bool) -> None:
        if self.enabled and vector >= 16:
            self.waiting.add(vector)
            self.level.discard(vector)
            if level:
                self.level.add(vector)

    def take(self) -> int | None:
        vector = self.request()
        if vector is not None:
            self.waiting.remove(vector)
            self.serving.add(vector)
        return vector

    def end(self) -> None:
        if self.serving:
            vector = max(self.serving)
            self.serving.remove(vector)
            if vector in self.level:
                self.ended.append(vector)
