"""Opens a qcow2 image with everything below it: backing files are raw or qcow2, and may have backing files again."""

from __future__ import annotations

import logging
import os
import re
from contextlib import ExitStack

from southbridge.errors import SouthbridgeError
from southbridge.image_file import ImageFile

from .header import MAGIC, parse_header
from .layer import Layer, Qcow2Layer
from .truncation import refuse_truncated

_LONGEST_CHAIN = 64
_LARGEST_CLUSTER = 2 << 20
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")

logger = logging.getLogger(__name__)


class RawLayer:
    """A raw file at the bottom of a chain."""

    def __init__(self, file: ImageFile) -> None:
        self.file = file
        self.size = file.length

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes within `size`; zeros where the file has become shorter. Raises BlockError."""
        return self.file.read(offset, length).ljust(length, b"\0")


def open_chain(path: str, files: ExitStack) -> Qcow2Layer:
    """Opens the image at `path` and all its backing files, each of which `files` will close.

    Raises SouthbridgeError if one is missing, wrong, or already above itself in the chain.
    """
    top = layer = _open_qcow2(_open_file(path, files))
    paths = {layer.file.identity: path}
    while layer.header.backing_file is not None:
        name = layer.file.path
        below = _backing_path(layer)
        if len(paths) == _LONGEST_CHAIN:
            raise SouthbridgeError(f"{path}: more than {_LONGEST_CHAIN} images in its backing chain")
        try:
            file = _open_file(below, files)
            if file.identity in paths:
                raise SouthbridgeError(f"{below} is above it in the backing chain, so the chain has no end")
            paths[file.identity] = below
            layer.backing = backing = _open_backing(file, layer.header.backing_format)
        except SouthbridgeError as error:
            raise SouthbridgeError(f"{name}: its backing file: {error}") from None
        if not isinstance(backing, Qcow2Layer):
            break
        layer = backing
    return top


def chain_files(top: Qcow2Layer) -> list[ImageFile]:
    """The files that the disk is read from, `top`'s first."""
    files: list[ImageFile] = []
    layer: Layer | None = top
    while isinstance(layer, Qcow2Layer):
        files.append(layer.file)
        layer = layer.backing
    return [*files, layer.file] if isinstance(layer, RawLayer) else files


def _open_file(path: str, files: ExitStack) -> ImageFile:
    file = ImageFile(path, writable=False)
    files.callback(file.close)
    return file


def _open_qcow2(file: ImageFile) -> Qcow2Layer:
    header = parse_header(file.read(0, _LARGEST_CLUSTER), file.path, file.length)
    if header.corrupt:
        logger.warning("%s: the image is marked as corrupt; reads may fail or return wrong data", file.path)
    layer = Qcow2Layer(file, header)
    refuse_truncated(layer)
    return layer


def _open_backing(file: ImageFile, image_format: str | None) -> Layer:
    if image_format == "raw":
        return RawLayer(file)
    if image_format == "qcow2":
        return _open_qcow2(file)
    if image_format is not None:
        raise SouthbridgeError(f"{file.path}: format {image_format!r}; expected raw or qcow2")
    if not file.read(0, len(MAGIC)).startswith(MAGIC):
        return RawLayer(file)
    layer = _open_qcow2(file)
    if layer.header.backing_file is not None:
        # A guest that once wrote a raw disk may have written this header, to be shown any file of the host.
        raise SouthbridgeError(
            f"{file.path}: looks like qcow2 with a backing file, but the image above doesn't say that it is qcow2; "
            "say so with `qemu-img rebase -u -F qcow2 -b BACKING IMAGE`"
        )
    return layer


def _backing_path(layer: Qcow2Layer) -> str:
    """Where the backing file is: a relative name starts from the image's folder."""
    name = os.fsdecode(layer.header.backing_file or b"")
    scheme = _SCHEME.match(name)
    if scheme is not None:
        if scheme[1] != "file":
            raise SouthbridgeError(f"{layer.file.path}: its backing file {name!r} isn't a local file's path")
        name = name.removeprefix("file:")
    return os.path.join(os.path.dirname(layer.file.path), name)
