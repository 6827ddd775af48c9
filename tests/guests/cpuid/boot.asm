; A boot sector that writes what CPUID gives to port E9h: EAX, EBX, ECX and EDX for each leaf and subleaf of the table,
; which whoever builds this appends as pairs of doublewords, ended by two of all ones.
bits 16
org 0x7c00

BLOCK equ 0x600

        xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 0x7c00
        mov si, table
.next:  lodsd
        mov ecx, [si]
        add si, 4
        cmp eax, -1
        je .done
        cpuid
        mov [BLOCK], eax
        mov [BLOCK + 4], ebx
        mov [BLOCK + 8], ecx
        mov [BLOCK + 12], edx
        push si
        mov si, BLOCK
        mov cx, 16
        mov dx, 0xe9
        rep outsb
        pop si
        jmp .next
.done:  mov dx, 0x501
        mov ax, 1
        out dx, ax
        hlt

table:
%include "table.inc"

        times 510 - ($ - $$) db 0
        dw 0xaa55
