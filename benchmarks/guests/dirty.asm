; A boot sector that writes to 480 pages of 16 MiB, says so on port 520h, and begins again.
bits 16
org 0x7c00

%define PAGES 480
%define FIRST 0x100000
%define DISTANCE 0x8000
%define SYNC 0x520

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
    jmp 0:.again
.again:
    mov ebx, FIRST
    mov ecx, PAGES
.page:
    inc dword [ebx]
    add ebx, DISTANCE
    dec ecx
    jnz .page
    mov dx, SYNC
    out dx, al
    jmp .again

align 8
gdt:
    dw 15                       ; the null descriptor is where the register's value is
    dd gdt
    dw 0
    dq 0x008F93000000FFFF

times 510 - ($ - $$) db 0
dw 0xaa55
