; A boot sector that makes the CPU leave the guest many times between two marks on the debug console (port 402h): ports,
; memory-mapped registers (the HPET's), and a doorbell. It needs no BIOS service and no interrupt.
bits 16
org 0x7c00

%define DEBUG 0x402
%define COUNT 20000
%define HPET 0xFED00000
%define ROM 0xFFFE0000
%define DOORBELL 0x520
%define PLAIN 0x524

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
    xor ax, ax
    mov ds, ax
    lgdt [gdt]
    mov eax, cr0                ; DS reaches 4 GiB from here on
    or al, 1
    mov cr0, eax
    jmp .protected
.protected:
    mov bx, 8
    mov ds, bx
    and al, 0xfe
    mov cr0, eax
    jmp 0:.real
.real:
    mark 'a'
    mov ecx, COUNT              ; port reads: system control port A
.read:
    in al, 0x92
    dec ecx
    jnz .read

    mark 'b'
    mov ecx, COUNT              ; port writes: RTC index
    mov al, 0x0f
.write:
    out 0x70, al
    dec ecx
    jnz .write

    mark 'c'
    mov ecx, COUNT              ; memory-mapped reads: the HPET's capabilities
    mov ebx, HPET
.load:
    mov eax, [ebx]
    dec ecx
    jnz .load

    mark 'd'
    mov ecx, COUNT              ; memory-mapped writes: the firmware's ROM, which ignores them
    mov ebx, ROM
.store:
    mov [ebx], eax
    dec ecx
    jnz .store

    mark 'e'
    mov ecx, COUNT              ; doorbell
    mov dx, DOORBELL
.ring:
    out dx, eax
    dec ecx
    jnz .ring

    mark 'f'
    mov ecx, COUNT              ; a register that is none
    mov dx, PLAIN
.plain:
    out dx, eax
    dec ecx
    jnz .plain

    mark 'g'
.end:
    hlt
    jmp .end

align 8
gdt:
    dw 15                       ; the null descriptor is where the register's value is
    dd gdt
    dw 0
    dq 0x008F93000000FFFF

times 510 - ($ - $$) db 0
dw 0xaa55
