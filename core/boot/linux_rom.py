"""The option ROM by which firmware boots a bzImage that fw_cfg has: machine code, and the assembly that it is.

It is a boot device of its own (Plug and Play BIOS Specification 1.0A). Chosen, it has fw_cfg put 16-bit code, command
line, kernel and initial RAM disk where fw_cfg's items say, and goes on in the kernel's 16-bit code.
"""

from __future__ import annotations

LISTING = """\
                           | bits 16
                           | cpu 486
                           | org 0
                           | rom:
55aa01                     |     db 0x55, 0xAA, 1              ; an option ROM of one 512-byte block
cb                         |     retf                          ; initialization: there is nothing to do
0000000000000000           |     times 8 db 0
000000000000000000000000   |     times 12 db 0
0000                       |     dw 0                          ; no PCI data structure: it is no card's
1c00                       |     dw plug_and_play
                           |
                           | ; Expansion header (Plug and Play BIOS Specification 1.0A, 3.2)
                           | plug_and_play:
24506e500102               |     db "$PnP", 1, 2
0000                       |     dw 0                          ; no further header
0000                       |     db 0, 0                       ; its checksum goes into the second byte
00000000                   |     dd 0                          ; no device's
00003c00                   |     dw 0, product
000000                     |     db 0, 0, 0                    ; of no class
14                         |     db 0x14                       ; loads an initial program; may be shadowed
000000004900               |     dw 0, 0, boot                 ; the bootstrap entry vector
00000000                   |     dw 0, 0
                           | product:
4c696e7578206b65726e656c00 |     db "Linux kernel", 0
                           |
                           | DESCRIPTION equ 0x7000            ; of a transfer: control, length, address
                           | NUMBER      equ 0x7010            ; a number that was read
                           |
                           | boot:
fa                         |     cli
fc                         |     cld
31c0                       |     xor ax, ax
8ec0                       |     mov es, ax
8ed0                       |     mov ss, ax
bc0070                     |     mov sp, DESCRIPTION
0e                         |     push cs
1f                         |     pop ds
bef900                     |     mov si, items
                           | load:
ad                         |     lodsw                         ; the item that has the address
85c0                       |     test ax, ax
7413                       |     jz enter
e82e00                     |     call number
6689c3                     |     mov ebx, eax
ad                         |     lodsw                         ; the size
e82700                     |     call number
6689c1                     |     mov ecx, eax
ad                         |     lodsw                         ; the contents
e83900                     |     call transfer
ebe8                       |     jmp load
                           |
                           |
                           | ; As boot.rst has it: equal segments, but CS 20h above.
                           | enter:
b81600                     |     mov ax, 0x16
e81800                     |     call number
66c1e804                   |     shr eax, 4
8ed8                       |     mov ds, ax
8ec0                       |     mov es, ax
8ee0                       |     mov fs, ax
8ee8                       |     mov gs, ax
8ed0                       |     mov ss, ax
bc00e0                     |     mov sp, 0xE000
83c020                     |     add ax, 0x20
50                         |     push ax
6a00                       |     push word 0
cb                         |     retf
                           |
                           | number:                           ; item AX as a number, in EAX
6653                       |     push ebx
66bb10700000               |     mov ebx, NUMBER
66b904000000               |     mov ecx, 4
e80800                     |     call transfer
2666a11070                 |     mov eax, [es:NUMBER]
665b                       |     pop ebx
c3                         |     ret
                           |
                           | transfer:                         ; item AX, ECX bytes of it, to address EBX
66c1e010                   |     shl eax, 16
b00a                       |     mov al, 2 + 8                 ; select it, read it
660fc8                     |     bswap eax
2666a30070                 |     mov [es:DESCRIPTION], eax
6689c8                     |     mov eax, ecx
660fc8                     |     bswap eax
2666a30470                 |     mov [es:DESCRIPTION + 4], eax
6631c0                     |     xor eax, eax
2666a30870                 |     mov [es:DESCRIPTION + 8], eax
ba1405                     |     mov dx, 0x514
66ef                       |     out dx, eax
6689d8                     |     mov eax, ebx
660fc8                     |     bswap eax
2666a30c70                 |     mov [es:DESCRIPTION + 12], eax
66b800007000               |     mov eax, DESCRIPTION << 8     ; as big-endian
ba1805                     |     mov dx, 0x518
66ef                       |     out dx, eax
                           | .wait:
2666a10070                 |     mov eax, [es:DESCRIPTION]
6685c0                     |     test eax, eax
740a                       |     jz .done
663d00000001               |     cmp eax, 1 << 24              ; an error: let the firmware boot something else
75ee                       |     jne .wait
cd18                       |     int 0x18
                           | .done:
c3                         |     ret
                           |
                           | items:                            ; fw_cfg's: address, size, contents
160017001800               |     dw 0x16, 0x17, 0x18           ; 16-bit code
130014001500               |     dw 0x13, 0x14, 0x15           ; command line
070008001100               |     dw 0x07, 0x08, 0x11           ; kernel
0a000b001200               |     dw 0x0A, 0x0B, 0x12           ; initrd
0000                       |     dw 0
"""
