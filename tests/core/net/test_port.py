"""Cables: back pressure in both directions, links, and what happens while a machine is paused."""

from __future__ import annotations

from southbridge.net import Frame, FrameQueue, NetworkPort, Offload, connect
from southbridge.net.port import disconnect


class End:
    """Whoever owns a port: takes `room` frames."""

    def __init__(self, room: int = 1 << 30) -> None:
        self.room = room
        self.frames: list[bytes] = []
        self.sendable = 0
        self.links: list[bool] = []
        self.port = NetworkPort(self.receive, sendable=self.can_send, link_changed=self.link)

    def receive(self, frame: Frame, offload: Offload | None) -> bool:
        if len(self.frames) >= self.room:
            return False
        self.frames.append(bytes(frame))
        return True

    def can_send(self) -> None:
        self.sendable += 1

    def link(self) -> None:
        self.links.append(self.port.link_up)


def pair(room: int = 1 << 30) -> tuple[End, End]:
    one, other = End(), End(room)
    connect(one.port, other.port)
    return one, other


def test_frames_go_both_ways() -> None:
    one, other = pair()
    assert one.port.send(b"there")
    assert other.port.send(memoryview(b"and back"))
    assert (other.frames, one.frames) == ([b"there"], [b"and back"])


def test_who_was_refused_is_told_once_there_is_room() -> None:
    one, other = pair(room=1)
    assert one.port.send(b"1")
    assert not one.port.send(b"2")
    assert other.port.refused
    other.room = 2
    other.port.ready()
    assert one.sendable == 1
    other.port.ready()
    assert one.sendable == 1, "nothing was refused since"
    assert one.port.send(b"2")
    assert other.frames == [b"1", b"2"]


def test_a_batch_is_taken_as_far_as_there_is_room() -> None:
    one, other = pair(room=2)
    assert one.port.send_batch([b"1", b"2", b"3"]) == 2
    other.room = 3
    other.port.ready()
    assert one.sendable == 1


def test_without_a_link_frames_are_lost() -> None:
    alone = End()
    assert alone.port.send(b"x")
    one, other = pair()
    other.port.carrier = False
    assert one.port.send(b"x")
    assert one.port.send_batch([b"x", b"y"]) == 2
    assert other.frames == []


def test_both_ends_see_the_link() -> None:
    one, other = pair()
    one.port.carrier = False
    other.port.carrier = False
    one.port.carrier = True
    assert (one.links, other.links) == ([True, False], [True, False])
    other.port.carrier = True
    assert (one.links, other.links) == ([True, False, True], [True, False, True])


def test_nobody_waits_for_room_at_a_dead_end() -> None:
    one, other = pair(room=0)
    assert not one.port.send(b"x")
    other.port.carrier = False
    assert one.sendable == 1
    one, other = pair(room=0)
    assert not one.port.send(b"x")
    disconnect(other.port)
    assert one.sendable == 1
    assert one.links == [True, False]


def test_a_queue_is_bounded_by_frames_and_by_bytes() -> None:
    queue = FrameQueue(most_frames=2, most_bytes=100)
    assert queue.put(b"a") and queue.put(b"b")
    assert not queue.put(b"c")
    queue.drop()
    assert queue.put(bytes(200)), "one frame may be more than all bytes"
    assert queue.first() == (b"b", None)
    queue.drop()
    assert not queue.put(b"d")
    queue.clear()
    assert len(queue) == 0
    assert queue.put(b"e")


def test_a_queue_gives_what_there_is_room_for() -> None:
    one, other = pair(room=3)
    queue = FrameQueue()
    good = Offload(checksum_good=True)
    for data, offload in ((b"a", None), (b"b", None), (b"c", good), (b"d", good)):
        queue.put(data, offload)
    queue.give_to(one.port)
    assert other.frames == [b"a", b"b", b"c"]
    assert len(queue) == 1 and queue.first() == (b"d", good)
