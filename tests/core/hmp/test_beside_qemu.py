"""The same lines said to our monitor and to QEMU's: the answers are the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from southbridge import MiB

from tests.core.qemu_system.program import PROGRAM
from tests.core.qmp.talking import Requests, connected
from tests.guests.build import need

OPTIONS = (
    *("-machine", "pc", "-nodefaults", "-display", "none", "-S", "-m", "32", "-smp", "1,maxcpus=2"),
    *("-object", "memory-backend-ram,id=m0,size=8M", "-object", "memory-backend-ram,id=m1,size=24M"),
    *("-numa", "node,memdev=m0,cpus=1", "-numa", "node,memdev=m1,cpus=0"),
    *("-object", "iothread,id=t0", "-object", "iothread,id=t1,poll-max-ns=5"),
)
EXPRESSIONS = r"""
1+2*3
1+2&3
6|1+8
0x10
010
-1
~0
- 5 / 2
7 % -3
(1 + 2) * 3
'A'
'\n'
$eip
$pc + $cs
0xffffffff + 1
5/0
5 % 0
(1
foo
$foo
1 2
99999999999999999999999
'
''
08
0x
1 <<2
--1
+-+2
'ab'
2*
)
$
1+(2*(3+(4)))
0x8000000000000000
"""
LINES = r"""
p /x 255
p /o 8
p /o 0
p /u -1
p /d -1
p /d 0xffffffff
p /c 65
p /c 10
p /c 0x27
p /x 0
xp /4xb 0xfffffff0
xp /2wx 0xffff0
xp /2gx 0xffff0
xp /3hd 0xffff0
xp /9bu 0xffff0
xp 0xffff0
xp /8c 0xffff0
xp /8bc 0xffff0
xp /2wo 0xffff0
xp /2wd 0xffff0
x /4xb 0
x /i $pc
i 0x70
o 0x70 0x0f
x 0xffff0
x /3i 0xffff0
xp /20i 0xffff0
x /2ih 0xffff0
x /0i 0xffff0
xp /3i 0x1ffffff
print 5
x /2x 0xffff0
x /i
x /s 0
xp /0xb 0
xp /4zb 0
xp
xp /4xb
x
sum 0xffff0 16
sum 0xe0000 0x20000
sum 0 0
sum
i
o
o 0x70
o /b 0x70 0x0f
i /w 0xcf8
o /w 0xcf8 0x80000000
i /w 0xcfc
o /h 0x510 0
i /b 0x511
stop
stop now
info status
info status x
info uuid
info uuid x
info kvm
cpu 0
cpu 7
cpu
foo
foo bar
info foo
help foo
help xp
? i
help print
eject
change
change cd0
eject foo
eject -f
sendkey foo
sendkey
sendkey ctrl-alt-delete
sendkey a 10
sendkey 0x1e
mouse_move 1 2
mouse_move
mouse_button 1
mouse_button 0
mouse_button
nmi
nmi 1
system_reset x
pmemsave 0 16
memsave
set_link
device_del
print "
info memory_size_summary
info vnc
screendump
qom-list
qom-list /none
qom-list /objects
qom-list /machine/peripheral
qom-get /
qom-get /machine/peripheral/cd0 type
qom-get /machine/peripheral/cd0 none
qom-set / a
qom-set / a 1
object_add secret,id=s0,data=abc
object_add  secret,id=s0,data=abc
object_del s0
object_del  s0
object_add
object_add foo,id=x
netdev_add user,id=n1
netdev_del n1
netdev_del  n1
netdev_add foo,id=n
netdev_del
chardev-add null,id=cc
chardev-remove cc
chardev-remove  cc
chardev-add
device_del foo
info block cd0
info block none
pmemsave 0
xp /4xb 0xfffffff0 0
info cpus x
info numa
info numa x
info hotpluggable-cpus
info iothreads
info iothreads x
q now
"""
SAME = [
    *(f"print {expression}" for expression in EXPRESSIONS.splitlines()),
    *LINES.splitlines(),
    *("print ", "", "   "),
]
HIDES = (
    (re.compile(r"thread_id=\d+"), "thread_id=N"),
    (re.compile(r"\(#block\d+\)|\(cd0?\)"), "(node)"),
    (re.compile(r'type: "\w+-i386-cpu"'), 'type: "MODEL-i386-cpu"'),
)


def said(program: str | Path, folder: Path, accelerator: str) -> list[str]:
    """What it answers to each line."""
    disc = folder / "disc.iso"
    disc.write_bytes(bytes(MiB))
    options = [*OPTIONS, "-accel", accelerator, "-drive", f"id=cd,if=none,format=raw,readonly=on,file={disc}"]
    options += ["-device", "ide-cd,id=cd0,drive=cd"]
    with connected(program, options, folder) as client:
        answers = Requests(client).human(SAME)
    for pattern, shown in HIDES:
        answers = [pattern.sub(shown, answer) for answer in answers]
    # QEMU lists objects in the order of a hash table.
    return [
        "\n".join(sorted(answer.splitlines())) if line.startswith("qom-list") else answer
        for line, answer in zip(SAME, answers, strict=True)
    ]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    qemu = need("qemu-system-i386", "qemu-system-x86")
    folder = tmp_path_factory.mktemp("hmp")
    ours = folder / "southbridge-system-i386"
    ours.symlink_to(PROGRAM)
    return dict(zip(SAME, zip(said(ours, folder, "qtest"), said(qemu, folder, "tcg"), strict=True), strict=True))


@pytest.mark.parametrize("line", SAME)
def test_the_answer_is_qemus(line: str, both: dict[str, tuple[str, str]]) -> None:
    ours, theirs = both[line]
    assert ours == theirs
