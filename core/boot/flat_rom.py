"""The option ROM by which firmware boots a kernel with flat segments: machine code, and the assembly that it is.

It loads pieces that fw_cfg has, adds the firmware's memory map, switches to 32-bit or 64-bit mode, and jumps.
"""

from __future__ import annotations

LISTING = """\
                           | bits 16
                           | cpu 686
                           | org 0
                           | rom:
55aa00                     |     db 0x55, 0xAA, 0              ; an option ROM; its size follows
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
000000004300               |     dw 0, 0, boot                 ; the bootstrap entry vector
00000000                   |     dw 0, 0
                           | product:
4b65726e656c00             |     db "Kernel", 0
                           |
                           | DESCRIPTION equ 0x7000            ; of a transfer: control, length, address
                           | KERNEL_DATA equ 0x11              ; fw_cfg's item
                           |
                           | boot:
fa                         |     cli
fc                         |     cld
6631c0                     |     xor eax, eax
8ec0                       |     mov es, ax
8ed0                       |     mov ss, ax
bc0070                     |     mov sp, DESCRIPTION
0e                         |     push cs
1f                         |     pop ds
                           |
                           | ; All pieces, which follow each other in the item.
66b80a001100               |     mov eax, (KERNEL_DATA << 16) + 2 + 8
beb401                     |     mov si, pieces
                           | load:
668b1c                     |     mov ebx, [si]                 ; address
668b4c04                   |     mov ecx, [si + 4]             ; size
67e351                     |     jecxz map
660fc8                     |     bswap eax                     ; select, read; later only read
2666a30070                 |     mov [es:DESCRIPTION], eax
660fc9                     |     bswap ecx
2666890e0470               |     mov [es:DESCRIPTION + 4], ecx
6631c0                     |     xor eax, eax
2666a30870                 |     mov [es:DESCRIPTION + 8], eax
ba1405                     |     mov dx, 0x514
66ef                       |     out dx, eax
660fcb                     |     bswap ebx
2666891e0c70               |     mov [es:DESCRIPTION + 12], ebx
66b800007000               |     mov eax, DESCRIPTION << 8     ; as big-endian
ba1805                     |     mov dx, 0x518
66ef                       |     out dx, eax
                           | wait_for_it:
2666a10070                 |     mov eax, [es:DESCRIPTION]
6685c0                     |     test eax, eax
740a                       |     jz next
663d00000001               |     cmp eax, 1 << 24              ; an error: the firmware may boot something else
75ee                       |     jne wait_for_it
cd18                       |     int 0x18
                           | next:
b002                       |     mov al, 2
660fb6c0                   |     movzx eax, al
83c608                     |     add si, 8
eba5                       |     jmp load
                           |
                           | ; The firmware's memory map, to where the kernel looks for it.
                           | map:
6631db                     |     xor ebx, ebx
31ed                       |     xor bp, bp                    ; how many entries
8b3eac01                   |     mov di, [ranges]
                           | entry:
66b820e80000               |     mov eax, 0xE820
66ba50414d53               |     mov edx, 0x534D4150           ; "SMAP"
66b914000000               |     mov ecx, 20
cd15                       |     int 0x15
720f                       |     jc mapped
45                         |     inc bp
033eae01                   |     add di, [stride]
83fd64                     |     cmp bp, 100
7305                       |     jae mapped
6685db                     |     test ebx, ebx
75db                       |     jnz entry
                           | mapped:
660fb7c5                   |     movzx eax, bp
8b3eb001                   |     mov di, [count]
85ff                       |     test di, di
7404                       |     jz no_count
26668905                   |     mov [es:di], eax
                           | no_count:
8b3eb201                   |     mov di, [bytes]
85ff                       |     test di, di
7407                       |     jz no_bytes
f726ae01                   |     mul word [stride]
268905                     |     mov [es:di], ax
                           | no_bytes:
                           |
                           | ; The mode that the kernel wants.
fa                         |     cli
0f01168c01                 |     lgdt [table]
803e920100                 |     cmp byte [long_mode], 0
7425                       |     je protected
66a19401                   |     mov eax, [page_tables]
0f22d8                     |     mov cr3, eax
66b820000000               |     mov eax, 0x20                 ; physical address extension
0f22e0                     |     mov cr4, eax
66b9800000c0               |     mov ecx, 0xC0000080           ; EFER: long mode enable
0f32                       |     rdmsr
80cc01                     |     or ah, 1
0f30                       |     wrmsr
66b800000080               |     mov eax, 1 << 31              ; paging
eb03                       |     jmp switch
                           | protected:
6631c0                     |     xor eax, eax
                           | switch:
6689c1                     |     mov ecx, eax
668b3e9c01                 |     mov edi, [first_eax]
668b36a401                 |     mov esi, [first_esi]
668b2ea801                 |     mov ebp, [first_esp]
6631db                     |     xor ebx, ebx
8ccb                       |     mov bx, cs
66c1e304                   |     shl ebx, 4
6681c375010000             |     add ebx, flat                 ; where that is to flat segments
666a10                     |     push dword 0x10
6653                       |     push ebx
668b1ea001                 |     mov ebx, [first_ebx]
668b169801                 |     mov edx, [first_eip]
0f20c0                     |     mov eax, cr0
6609c8                     |     or eax, ecx
0c01                       |     or al, 1                      ; protected mode
0f22c0                     |     mov cr0, eax
66cb                       |     o32 retf
                           |
                           | ; 32-bit code or 64-bit code: these instructions are the same in both.
                           | bits 32
                           | flat:
b818000000                 |     mov eax, 0x18
8ed8                       |     mov ds, eax
8ec0                       |     mov es, eax
8ee0                       |     mov fs, eax
8ee8                       |     mov gs, eax
8ed0                       |     mov ss, eax
89f8                       |     mov eax, edi
89ec                       |     mov esp, ebp
ffe2                       |     jmp edx
                           |
                           | ; What follows is filled in.
0000                       | align 4, db 0
                           | table:
1f00                       |     dw 31
00100000                   |     dd 0x1000                     ; the descriptors, which are one of the pieces
                           | long_mode:
0000                       |     dw 0
                           | page_tables:
00000000                   |     dd 0
                           | first_eip:
00000000                   |     dd 0
                           | first_eax:
00000000                   |     dd 0
                           | first_ebx:
00000000                   |     dd 0
                           | first_esi:
00000000                   |     dd 0
                           | first_esp:
00000000                   |     dd 0
                           | ranges:
0000                       |     dw 0
                           | stride:
0000                       |     dw 0
                           | count:
0000                       |     dw 0
                           | bytes:
0000                       |     dw 0
                           | pieces:
"""
