; A boot sector that draws in 1024x768 with 32 bits a pixel (VBE mode 144h of SeaVGABIOS, linear), 18.2 times a second:
; a square of SIDE pixels, that moves. With STILL it draws one frame and then nothing.
; Real mode with segments of 4 GiB ("unreal"), so that interrupts need no more than a vector.
bits 16
org 0x7c00

%define WIDTH 1024
%define HEIGHT 768
%ifndef SIDE
%define SIDE 256
%endif

start:
    cli
    cld
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7c00

    mov ax, 0x4f01              ; where is the mode's memory?
    mov cx, 0x4144
    mov di, 0x8000
    int 0x10
    mov ax, 0x4f02
    mov bx, 0x4144
    int 0x10
    cli

    mov word [8 * 4], tick      ; IRQ 0 is ours alone
    mov word [8 * 4 + 2], 0
    mov al, 0xfe
    out 0x21, al
    mov al, 0xff
    out 0xa1, al

    lgdt [descriptor]           ; ES gets a limit of 4 GiB, and keeps it
    mov eax, cr0
    or al, 1
    mov cr0, eax
    mov bx, 8
    mov es, bx
    and al, 0xfe
    mov cr0, eax
    xor bx, bx
    mov es, bx

    mov ebp, [0x8000 + 40]      ; PhysBasePtr
    xor esi, esi                ; the square's left edge

.frame:
    xor eax, eax                ; the old one goes
    call square
    add esi, 8
    cmp esi, WIDTH - SIDE
    jbe .inside
    xor esi, esi
.inside:
    mov eax, esi
    shl eax, 12
    or eax, 0x0040ff
    call square
%ifdef STILL
    mov al, 0xff
    out 0x21, al
%endif
    sti
    hlt
    cli
    jmp .frame

square:                         ; of colour EAX, which changes from row to row, if it isn't black
    mov edx, SIDE
    mov edi, esi
    shl edi, 2
    add edi, ebp
.row:
    mov ecx, SIDE
    a32 rep stosd
    add edi, (WIDTH - SIDE) * 4
    test eax, eax
    jz .same
    add eax, 0x010100
.same:
    dec edx
    jnz .row
    ret

tick:
    push ax
    mov al, 0x20
    out 0x20, al
    pop ax
    iret

    align 8
table:
    dq 0
    dq 0x00cf92000000ffff
descriptor:
    dw 15
    dd table

    times 510 - ($ - $$) db 0
    dw 0xaa55
