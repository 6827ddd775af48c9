"""Each term as iasl reads it: what we build is what ASL's source would have been."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from southbridge.acpi import terms as t
from southbridge.acpi.aml import AcpiError, Aml, eisa_id, string
from southbridge.acpi.resources import (
    bus_numbers,
    dma,
    interrupt,
    io,
    io_window,
    irq,
    memory32_fixed,
    memory_window,
    resource_template,
)
from southbridge.acpi.tables import table

from tests.core.acpi.reader import recompiled


def normal(source: str) -> str:
    """Without comments and white space."""
    return re.sub(r"\s+", "", re.sub(r"//.*|/\*.*?\*/", "", source))


def asl(tmp_path: Path, *contents: Aml, signature: str = "DSDT") -> str:
    source, said = recompiled(tmp_path, "test", table(signature, 2, t.joined(contents)).data)
    assert "0 Errors, 0 Warnings" in said, said
    return normal(source)


def test_objects(tmp_path: Path) -> None:
    text = asl(
        tmp_path,
        t.scope(
            "\\_SB",
            t.device(
                "DEV0",
                t.name("_HID", eisa_id("PNP0C02")),
                t.name("_UID", 3),
                t.name("TEXT", string("hello")),
                t.name("DATA", t.buffer(b"\1\2", 4)),
                t.name("LIST", t.package(1, string("two"), t.package(3, 4), "TEXT")),
                t.alias("TEXT", "TXT2"),
                t.mutex("MUTX", 2),
                t.event("DONE"),
                t.operation_region("PORT", t.Space.SYSTEM_IO, 0x1234, 0x40),
                t.field(
                    "PORT",
                    t.Access.BYTE,
                    t.Bits("AAAA", 8),
                    t.Bits(None, 4),
                    t.Bits("BBBB", 4),
                    t.Bits(None, 200),
                    t.Bits("CCCC", 32),
                    update=t.Update.WRITE_AS_ZEROS,
                ),
                t.index_field("AAAA", "BBBB", t.Access.BYTE, t.Bits("DDDD", 16), lock=True),
            ),
        ),
    )
    for part in [
        'Device(DEV0){Name(_HID,EisaId("PNP0C02")',
        "Name(_UID,0x03)",
        'Name(TEXT,"hello")',
        "Name(DATA,Buffer(0x04){0x01,0x02})",
        'Name(LIST,Package(0x04){One,"two",Package(0x02){0x03,0x04},TEXT})',
        "Alias(TEXT,TXT2)",
        "Mutex(MUTX,0x02)",
        "Event(DONE)",
        "OperationRegion(PORT,SystemIO,0x1234,0x40)",
        "Field(PORT,ByteAcc,NoLock,WriteAsZeros){AAAA,8,,4,BBBB,4,Offset(0x1B),CCCC,32}",
        "IndexField(AAAA,BBBB,ByteAcc,Lock,Preserve){DDDD,16}",
    ]:
        assert part in text, (part, text)


def test_statements_and_expressions(tmp_path: Path) -> None:
    a0, l0, l1 = t.ARG[0], t.LOCAL[0], t.LOCAL[1]
    text = asl(
        tmp_path,
        t.mutex("MUTX"),
        t.name("BUFF", t.buffer(bytes(16))),
        t.method("NULL", 0, t.return_()),
        t.method(
            "MAIN",
            2,
            t.store(0, l0),
            t.while_(
                t.l_less(l0, 5),
                t.if_(t.l_equal(l0, a0), t.BREAK),
                t.else_(t.increment(l0)),
                t.if_(t.l_and(t.l_greater(l0, 3), t.l_not(t.ARG[1])), t.CONTINUE),
            ),
            t.acquire("MUTX"),
            t.add(l0, 1, l1),
            t.subtract(l1, 2, l1),
            t.multiply(l1, 3, l1),
            t.shift_left(l1, 4, l1),
            t.shift_right(l1, 5, l1),
            t.and_(l1, 6, l1),
            t.or_(l1, 7, l1),
            t.xor(l1, 8, l1),
            t.not_(l1, l1),
            t.decrement(l1),
            t.store(t.deref_of(t.index("BUFF", 1)), l0),
            t.store(t.size_of("BUFF"), l0),
            t.release("MUTX"),
            t.sleep(10),
            t.create_field("BUFF", 4, "DWRD", 4),
            t.store(t.ONES, "DWRD"),
            t.if_(t.l_or(l0, t.call("NULL")), t.notify("\\_SB", 0x80)),
            t.return_(t.add(l0, l1)),
            serialized=True,
        ),
    )
    for part in [
        "Method(NULL,0,NotSerialized){Return(Zero)}",
        "Method(MAIN,2,Serialized)",
        "While((Local0<0x05)){If((Local0==Arg0)){Break}Else{Local0++}If(((Local0>0x03)&&!Arg1)){Continue}}",
        "Acquire(MUTX,0xFFFF)Local1=(Local0+One)Local1-=0x02Local1*=0x03Local1<<=0x04Local1>>=0x05",
        "Local1&=0x06Local1|=0x07Local1^=0x08Local1=~Local1Local1--",
        "Local0=DerefOf(BUFF[One])Local0=SizeOf(BUFF)Release(MUTX)Sleep(0x0A)",
        "CreateDWordField(BUFF,0x04,DWRD)DWRD=OnesIf((Local0||NULL())){Notify(\\_SB,0x80)}",
        "Return((Local0+Local1))",
    ]:
        assert part in text, (part, text)


def test_resources(tmp_path: Path) -> None:
    descriptors = [
        io(0x3F8, 8),
        irq(4, 9),
        dma(2),
        interrupt(5, 10),
        interrupt(9, level=False, low=True, shared=False),
        memory32_fixed(0xFED0_0000, 0x400, writable=False),
        bus_numbers(0, 255),
        io_window(0xD00, 0xFFFF),
        memory_window(0xA_0000, 0xB_FFFF, cacheable=True),
        memory_window(1 << 39, (1 << 40) - 1, prefetchable=True),
    ]
    text = asl(
        tmp_path,
        t.device("\\_SB.DEV", t.name("_HID", eisa_id("PNP0A03")), t.name("_CRS", resource_template(*descriptors))),
    )
    for part in [
        "IO(Decode16,0x03F8,0x03F8,0x01,0x08,)",
        "IRQNoFlags(){4,9}",
        "DMA(Compatibility,NotBusMaster,Transfer8,){2}",
        "Interrupt(ResourceConsumer,Level,ActiveHigh,Shared,,,){0x00000005,0x0000000A,}",
        "Interrupt(ResourceConsumer,Edge,ActiveLow,Exclusive,,,){0x00000009,}",
        "Memory32Fixed(ReadOnly,0xFED00000,0x00000400,)",
        "WordBusNumber(ResourceProducer,MinFixed,MaxFixed,PosDecode,0x0000,0x0000,0x00FF,0x0000,0x0100",
        "WordIO(ResourceProducer,MinFixed,MaxFixed,PosDecode,EntireRange,0x0000,0x0D00,0xFFFF,0x0000,0xF300",
        "DWordMemory(ResourceProducer,PosDecode,MinFixed,MaxFixed,Cacheable,ReadWrite,"
        "0x00000000,0x000A0000,0x000BFFFF,0x00000000,0x00020000",
        "QWordMemory(ResourceProducer,PosDecode,MinFixed,MaxFixed,Prefetchable,ReadWrite,"
        "0x0000000000000000,0x0000008000000000,0x000000FFFFFFFFFF,0x0000000000000000,0x0000008000000000",
    ]:
        assert part in text, (part, text)


def test_packages_of_more_than_255_elements(tmp_path: Path) -> None:
    text = asl(tmp_path, t.name("MANY", t.package(*range(2, 302))))
    assert text.count("0x") >= 300


def test_external_objects(tmp_path: Path) -> None:
    terms = [t.external("\\_SB.FARR", 6), t.scope("\\_SB.FARR", t.name("NEAR", 7))]
    text = asl(tmp_path, *terms, signature="SSDT")
    assert "External(_SB_.FARR,DeviceObj)" in text


def test_processors(tmp_path: Path) -> None:
    source = t.scope("\\_SB", t.processor("CPU0", 1, 0x610, 6))
    assert source[-13:] == b"\x5b\x83\x0bCPU0\x01\x10\x06\0\0\x06"


@pytest.mark.parametrize(("arguments", "sync"), [(8, 0), (-1, 0), (0, 16)])
def test_methods_that_are_none_are_refused(arguments: int, sync: int) -> None:
    with pytest.raises(AcpiError, match="the method FOO"):
        t.method("FOO", arguments, sync=sync)


def test_uuids() -> None:
    # The specification's order of bytes, section 19.6.142.
    data = t.to_uuid("33221100-5544-7766-8899-aabbccddeeff")
    assert data.endswith(bytes(range(0, 0x100, 0x11)))
    with pytest.raises(AcpiError, match="UUID"):
        t.to_uuid("none")


@pytest.mark.parametrize(("first", "last"), [(5, 4), (0, 1 << 64)])
def test_windows_that_are_none_are_refused(first: int, last: int) -> None:
    with pytest.raises(AcpiError, match="a resource"):
        memory_window(first, last)
