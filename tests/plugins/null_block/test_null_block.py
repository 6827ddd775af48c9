"""An image of nothing."""

from southbridge.plugins.null_block import NullImage


def test_it_reads_as_zeros_whatever_is_written() -> None:
    image = NullImage(size=4096)
    image.open()
    image.write(0, b"x")
    image.flush()
    assert image.read(0, 3) == bytes(3)
    assert (image.size, image.writable) == (4096, True)
    image.close()
