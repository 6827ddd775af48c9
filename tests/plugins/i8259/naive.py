"""A pair of 8259A as the datasheet describes it, level by level, without a thought for speed."""

from __future__ import annotations


class NaiveChip:
    """One chip. Levels are in lists; `order` has them from the highest priority to the lowest."""

    def __init__(self, cascade: int | None) -> None:
        self.cascade = cascade
        self.line = [False] * 8
        self.edge = [False] * 8
        self.elcr = [False] * 8
        self.ready = False
        self.initialize(ltim=False)

    def initialize(self, ltim: bool) -> None:
        self.edge = [False] * 8
        self.masked = [False] * 8
        self.in_service = [False] * 8
        self.order = list(range(8))
        self.ltim = ltim
        self.special_mask = self.rotate_in_aeoi = self.aeoi = self.sfnm = False

    def set_line(self, level: int, high: bool) -> None:
        """The edge sense latch is set by a rising edge, and lasts while the line is high."""
        self.edge[level] = high and (self.edge[level] or not self.line[level])
        self.line[level] = high

    def irr(self, level: int) -> bool:
        sensed = True if self.ltim or self.elcr[level] else self.edge[level]
        return self.line[level] and sensed

    def holds_back(self, level: int) -> bool:
        """Special mask mode: a masked level in service inhibits nobody."""
        return self.in_service[level] and not (self.special_mask and self.masked[level])

    def request(self) -> int | None:
        """Fully nested: from the highest priority down, until a level in service ends the search."""
        if not self.ready:
            return None
        for level in self.order:
            requests = self.irr(level) and not self.masked[level]
            if self.holds_back(level):
                return level if requests and self.sfnm and level == self.cascade else None
            if requests:
                return level
        return None

    def make_lowest(self, level: int) -> None:
        while self.order[-1] != level:
            self.order.append(self.order.pop(0))

    def acknowledge(self, level: int) -> None:
        self.edge[level] = False
        if not self.aeoi:
            self.in_service[level] = True
        elif self.rotate_in_aeoi:
            self.make_lowest(level)

    def end(self, level: int | None, rotate: bool) -> None:
        """EOI; of the highest level in service if none is given."""
        if level is None:
            level = next((n for n in self.order if self.holds_back(n)), None)
        if level is not None:
            self.in_service[level] = False
            if rotate:
                self.make_lowest(level)


class NaivePair:
    """Master and slave; the slave's INT is the master's IR2."""

    def __init__(self) -> None:
        self.master, self.slave = NaiveChip(cascade=2), NaiveChip(cascade=None)

    def settle(self) -> None:
        self.master.set_line(2, self.slave.request() is not None)

    def request(self) -> int | None:
        """The line, 0 to 15."""
        level = self.master.request()
        if level != 2:
            return level
        behind = self.slave.request()
        return None if behind is None else 8 + behind

    def acknowledge(self, number: int) -> None:
        if number < 8:
            self.master.acknowledge(number)
        else:
            self.master.acknowledge(2)
            self.slave.acknowledge(number - 8)
            self.master.set_line(2, False)

    def poll(self, chip: NaiveChip) -> int:
        level = chip.request()
        if level is None:
            return 0
        chip.acknowledge(level)
        if chip is self.slave:
            self.master.set_line(2, False)
        return 0x80 | level


def byte(bits: list[bool]) -> int:
    return sum(1 << n for n, on in enumerate(bits) if on)
