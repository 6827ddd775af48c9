; A boot sector that does one thing many times between two marks on the debug console (port 402h).
; It needs no BIOS service and no interrupt.
bits 16
org 0x7c00

%define DEBUG 0x402
%define COUNT 200000

%macro mark 1
    mov dx, DEBUG
    mov al, '<'
    out dx, al
    mov al, %1
    out dx, al
    mov al, '>'
    out dx, al
%endmacro

start:
    cli
    cld
    xor ax, ax
    mov ds, ax
    mov es, ax

    mark 'a'
    mov ecx, COUNT              ; port reads: system control port A
.read:
    in al, 0x92
    dec ecx
    jnz .read

    mark 'b'
    mov ecx, COUNT              ; port writes: RTC index, with NMI as it was
.write:
    mov al, 0x0f
    out 0x70, al
    dec ecx
    jnz .write

    mark 'c'
    mov ecx, 100 * COUNT        ; nothing but the CPU
.compute:
    add eax, ecx
    dec ecx
    jnz .compute

    mark 'd'
    mov ecx, 20 * COUNT         ; loads and stores on a page that is not code
    mov bx, 0x1000
.memory:
    add [bx], ecx
    dec ecx
    jnz .memory

    mark 'e'
.end:
    hlt
    jmp .end

times 510 - ($ - $$) db 0
dw 0xaa55
