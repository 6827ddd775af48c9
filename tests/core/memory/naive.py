"""A naive model of memory maps: who answers an address is found by asking every region, for each address anew."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st
from southbridge.memory.ram import PAGE_SIZE, RamBlock
from southbridge.memory.regions import Alias, Container, Io, Ram, Region, Section

SIZE = 48
"""Of the address spaces: few addresses, so that regions meet."""

Answer = tuple[Region, int, bool] | None
"""The RAM or I/O region, the offset into it, and whether it is read-only."""


@dataclass
class Node:
    """A region, beside what the test itself remembers of it."""

    region: Region
    children: list[tuple[int, int, Node]] = field(default_factory=list)
    """Offset, priority and node, in the order in which they were added."""
    target: Node | None = None

    def answer(self, address: int) -> Answer:
        """What answers `address`, an offset into this region."""
        region = self.region
        if not region.enabled or not 0 <= address < region.size:
            return None
        if isinstance(region, Alias):
            assert self.target is not None
            found = self.target.answer(address + region.offset)
            return found and (found[0], found[1], found[2] or region.readonly)
        if isinstance(region, Container):
            answering = [
                (priority, index, found)
                for index, (offset, priority, node) in enumerate(self.children)
                if (found := node.answer(address - offset))
            ]
            return max(answering, key=lambda child: child[:2])[2] if answering else None
        return region, address, isinstance(region, Ram) and region.readonly

    def add(self, offset: int, node: Node, priority: int) -> None:
        """Adds `node`, here and in the container."""
        assert isinstance(self.region, Container)
        self.children.append((offset, priority, node))
        self.region.add(offset, node.region, priority)

    def remove(self, node: Node) -> None:
        """Removes `node`."""
        assert isinstance(self.region, Container)
        self.children = [child for child in self.children if child[2] is not node]
        self.region.remove(node.region)

    def move(self, node: Node, offset: int) -> None:
        """Moves `node`."""
        assert isinstance(self.region, Container)
        self.children = [(offset if n is node else at, priority, n) for at, priority, n in self.children]
        self.region.move(node.region, offset)


def answers(node: Node) -> list[Answer]:
    """What answers each address, by the model."""
    return [node.answer(address) for address in range(SIZE)]


def unfolded(sections: list[Section]) -> list[Answer]:
    """What answers each address, by the sections."""
    found: list[Answer] = [None] * SIZE
    for section in sections:
        for address in range(section.start, section.end):
            assert found[address] is None, "sections overlap"
            found[address] = section.region, section.offset + address - section.start, section.readonly
    return found


class Bytes(Io):
    """A device that only stores bytes, and takes them one by one."""

    def __init__(self, name: str, size: int) -> None:
        super().__init__(name, size, self.get, self.put, widths={1})
        self.contents = bytearray((17 * offset + len(name)) & 0xFF for offset in range(size))

    def get(self, offset: int, size: int) -> int:
        assert size == 1
        return self.contents[offset]

    def put(self, offset: int, size: int, value: int) -> None:
        assert size == 1
        self.contents[offset] = value


@st.composite
def trees(draw: st.DrawFn) -> list[Node]:
    """Regions, each made of those before it; the last is a container of `SIZE` bytes, the root."""
    block = RamBlock("block", PAGE_SIZE)
    sizes = st.integers(1, SIZE)
    places = st.integers(-4, SIZE + 4)
    nodes: list[Node] = []
    for index in range(draw(st.integers(1, 8))):
        kind = draw(st.sampled_from(["ram", "io", "alias", "container"]))
        size = draw(sizes)
        if kind == "alias" and nodes:
            target = draw(st.sampled_from(nodes))
            alias = Alias(f"{index}", target.region, draw(places), size, readonly=draw(st.booleans()))
            nodes.append(Node(alias, target=target))
        elif kind == "container":
            nodes.append(Node(Container(f"{index}", size)))
            _fill(draw, nodes[-1], nodes[:-1])
        elif kind == "io":
            nodes.append(Node(Bytes(f"{index}", size)))
        else:
            nodes.append(Node(Ram(f"{index}", block, draw(sizes), size, readonly=draw(st.booleans()))))
        nodes[-1].region.enabled = draw(st.integers(0, 5)) > 0
    nodes.append(Node(Container("root", SIZE)))
    _fill(draw, nodes[-1], nodes[:-1])
    return nodes


def _fill(draw: st.DrawFn, container: Node, nodes: list[Node]) -> None:
    children = st.lists(st.sampled_from(nodes), min_size=1, max_size=4, unique_by=id) if nodes else st.just([])
    for node in draw(children):
        container.add(draw(st.integers(-4, SIZE // 2)), node, draw(st.integers(-1, 1)))


@st.composite
def edges(draw: st.DrawFn, sections: list[Section]) -> int:
    """An address shortly before a section's beginning or end, or any."""
    known = [edge for section in sections for edge in (section.start, section.end)]
    near = st.sampled_from(known) if known else st.integers(0, SIZE)
    return draw(st.builds(lambda edge, step: max(edge - step, 0), near, st.integers(0, 8)) | st.integers(0, SIZE + 4))
