; Sets every mode that the video BIOS has, fills its memory, and waits each time until somebody has looked.
;
; Before it waits it says on COM1, in hexadecimal: a letter (B: set by AH=00h; V: by VBE), the mode's number, and for VBE its
; width, height, bits, pitch and memory model; then the attribute controller's AR12. It goes on when it gets a byte.
; Memory is filled with words of one sequence of numbers (SEQUENCE), each exclusive-or a key for the bank and the plane.

bits 16
org 0x7C00

COM1 equ 0x3F8
SEQUENCE equ 0x2000        ; segment of 64 KiB
INFO equ 0x1000            ; segment of VBE's blocks: 0: of a mode; 200h: of the controller
FONT equ 0x1100            ; segment of a font: the sequence's first 4 KiB

    jmp 0:start
start:
    xor ax, ax
    mov ds, ax
    mov ss, ax
    mov sp, 0x7C00
    mov [drive], dl
    mov es, ax
    mov ax, 0x0208         ; eight sectors behind this one
    mov bx, 0x7E00
    mov cx, 2
    xor dh, dh
    int 0x13
    jmp main
drive: db 0

times 510 - ($ - $$) db 0
dw 0xAA55

main:
    mov dx, COM1 + 3       ; 115200 8N1, FIFOs
    mov al, 0x80
    out dx, al
    mov dx, COM1
    mov al, 1
    out dx, al
    inc dx
    xor al, al
    out dx, al
    mov dx, COM1 + 3
    mov al, 3
    out dx, al
    mov dx, COM1 + 2
    mov al, 7
    out dx, al

    mov ax, SEQUENCE
    mov es, ax
    xor di, di
    mov eax, 1
.next:
    imul eax, eax, 1664525
    add eax, 1013904223
    mov edx, eax
    shr edx, 16
    mov [es:di], dx
    add di, 2
    jnz .next

; --- modes of the BIOS -----------------------------------------------------------------------------------------------

    mov si, bios_modes
bios_mode:
    lodsb
    cmp al, 0xFF
    je vbe
    mov [mode], al
    mov byte [mode + 1], 0
    lodsb
    mov [kind], al
    push si
    mov al, [mode]         ; twice: SeaVGABIOS writes to the CRT controller where it is in this mode, before it is there
    xor ah, ah
    int 0x10
    call reset_flip_flop
    mov al, [mode]
    xor ah, ah
    int 0x10
    mov word [bank], 0
    mov al, [kind]
    cmp al, 0
    je .text
    cmp al, 1
    je .cga
    cmp al, 2
    je .planes
    mov ax, 0xA000         ; bytes
    mov cx, 32000
    call fill_plain
    jmp .filled
.text:
    call set_font
    mov ah, 1              ; no cursor
    mov cx, 0x2000
    int 0x10
    mov ax, 0xB800
    cmp byte [mode], 7
    jne .color
    mov ax, 0xB000
.color:
    mov cx, 2000
    call fill_text
    jmp .filled
.cga:
    mov ax, 0xB800
    mov cx, 8192
    call fill_plain
    jmp .filled
.planes:
    mov cx, 0x8000
    call fill_planes
.filled:
    call set_colors
    mov al, 'B'
    call put
    mov ax, [mode]
    call put_word
    call look
    pop si
    jmp bios_mode

; --- modes of VBE ----------------------------------------------------------------------------------------------------

vbe:
    mov ax, INFO
    mov es, ax
    mov di, 0x200
    mov dword [es:di], 'VBE2'
    mov ax, 0x4F00
    int 0x10
    cmp ax, 0x004F
    jne end
    lfs si, [es:0x20E]
vbe_mode:
    mov cx, [fs:si]
    add si, 2
    cmp cx, 0xFFFF
    je end
    cmp cx, 0x0100         ; the BIOS's own were there already
    jb vbe_mode
    mov [mode], cx
    push si
    push fs
    mov ax, INFO
    mov es, ax
    xor di, di
    mov ax, 0x4F01
    int 0x10
    cmp ax, 0x004F
    jne .next
    mov al, [es:0]
    and al, 0x51           ; supported, graphics, and has a window
    cmp al, 0x11
    jne .next
    mov al, [es:0x1B]      ; memory model: planes, bytes, colours
    cmp al, 3
    jb .next
    cmp word [es:0x12], WIDEST
    ja .next
    mov ax, 0x4F02
    mov bx, [mode]
    int 0x10
    cmp ax, 0x004F
    jne .next
    call fill_banks
    cmp byte [es:0x19], 8
    ja .direct
    call set_colors
.direct:
    mov al, 'V'
    call put
    mov ax, [mode]
    call put_word
    mov ax, INFO
    mov es, ax
    mov ax, [es:0x12]
    call put_word
    mov ax, [es:0x14]
    call put_word
    mov al, [es:0x19]
    xor ah, ah
    call put_word
    mov ax, [es:0x10]
    call put_word
    mov al, [es:0x1B]
    xor ah, ah
    call put_word
    call look
.next:
    pop fs
    pop si
    jmp vbe_mode

end:
    mov al, 'E'
    call put
    mov al, 10
    call put
.halt:
    hlt
    jmp .halt

; --- filling ---------------------------------------------------------------------------------------------------------

; All that shows of the mode that INFO describes, 64 KiB at a time.
fill_banks:
    mov ax, INFO
    mov es, ax
    movzx eax, word [es:0x10]
    movzx edx, word [es:0x14]
    imul eax, edx
    add eax, 0xFFFF
    shr eax, 16
    mov [banks], ax
    mov word [bank], 0
.next:
    mov ax, 64
    xor dx, dx
    mov cx, [es:0x04]      ; granularity, in KiB
    div cx
    mul word [bank]
    mov dx, ax
    mov ax, 0x4F05
    xor bx, bx
    int 0x10
    mov cx, 0x8000
    cmp byte [es:0x1B], 3
    je .planes
    mov ax, 0xA000
    push es
    call fill_plain
    pop es
    jmp .filled
.planes:
    push es
    call fill_planes
    pop es
.filled:
    inc word [bank]
    mov ax, [bank]
    cmp ax, [banks]
    jb .next
    ret

; CX words of each plane, at A0000h.
fill_planes:
    xor bl, bl
.plane:
    mov dx, 0x3C4
    mov ax, 0x0102
    push cx
    mov cl, bl
    shl ah, cl
    pop cx
    out dx, ax
    movzx ax, bl
    imul ax, ax, 0x3355
    mov [plane_key], ax
    push cx
    push bx
    mov ax, 0xA000
    call fill_plain
    pop bx
    pop cx
    inc bl
    cmp bl, 4
    jb .plane
    mov word [plane_key], 0
    mov dx, 0x3C4
    mov ax, 0x0F02
    out dx, ax
    ret

; CX words at segment AX.
fill_plain:
    mov es, ax
    imul bx, [bank], 0x0107
    add bx, [plane_key]
    mov ax, SEQUENCE
    push ds
    mov ds, ax
    xor si, si
    xor di, di
.next:
    lodsw
    xor ax, bx
    stosw
    loop .next
    pop ds
    ret

; CX characters below 80h, with attributes, at segment AX.
fill_text:
    mov es, ax
    mov ax, SEQUENCE
    push ds
    mov ds, ax
    xor si, si
    xor di, di
.next:
    lodsw
    and ax, 0xFF7F
    stosw
    loop .next
    pop ds
    ret

; Characters of 16 lines each, from the sequence.
set_font:
    push bp
    mov ax, SEQUENCE
    mov es, ax
    xor bp, bp
    mov ax, 0x1100
    mov bx, 0x1000
    mov cx, 256
    xor dx, dx
    int 0x10
    pop bp
    ret

; Colour i of the DAC is (i & 63, i >> 2, 63 - (i & 63)); pixel i of 16 is colour i; nothing blinks.
set_colors:
    mov dx, 0x3C8
    xor al, al
    out dx, al
    inc dx
    xor bx, bx
.color:
    mov al, bl
    and al, 63
    out dx, al
    mov al, bl
    shr al, 2
    out dx, al
    mov al, bl
    and al, 63
    neg al
    add al, 63
    out dx, al
    inc bl
    jnz .color
    call reset_flip_flop
    mov dx, 0x3C0
    xor al, al
.pixel:
    out dx, al
    out dx, al
    inc al
    cmp al, 16
    jb .pixel
    mov al, 0x10
    out dx, al
    inc dx
    in al, dx
    dec dx
    and al, 0x77
    out dx, al
    mov al, 0x14
    out dx, al
    xor al, al
    out dx, al
    mov al, 0x20
    out dx, al
    ret

reset_flip_flop:
    mov dx, 0x3BA
    in al, dx
    mov dx, 0x3DA
    in al, dx
    ret

; --- talking ---------------------------------------------------------------------------------------------------------

; Says AR12, and waits until somebody has looked.
look:
    call reset_flip_flop
    mov dx, 0x3C0
    mov al, 0x12
    out dx, al
    inc dx
    in al, dx
    push ax
    call reset_flip_flop   ; else it would be AR12's
    mov dx, 0x3C0
    mov al, 0x20
    out dx, al
    pop ax
    xor ah, ah
    call put_word
    mov al, 10
    call put
    mov dx, COM1 + 5
.wait:
    in al, dx
    test al, 1
    jz .wait
    mov dx, COM1
    in al, dx
    ret

; AX in hexadecimal, behind a space.
put_word:
    push cx
    push ax
    mov al, ' '
    call put
    pop ax
    mov cx, 4
.digit:
    rol ax, 4
    push ax
    and al, 15
    cmp al, 10
    sbb al, 0x69
    das
    call put
    pop ax
    loop .digit
    pop cx
    ret

put:
    push dx
    push ax
    mov dx, COM1 + 5
.wait:
    in al, dx
    test al, 0x20
    jz .wait
    pop ax
    mov dx, COM1
    out dx, al
    pop dx
    ret

; A mode, and how its memory is organized: 0 text, 1 CGA's, 2 planes, 3 bytes. After mode 7 SeaVGABIOS sets the next one
; only in part, here and in QEMU.
bios_modes:
    db 0x00, 0, 0x01, 0, 0x02, 0, 0x03, 0, 0x04, 1, 0x05, 1, 0x06, 1, 0x07, 0
    db 0x0D, 2, 0x0E, 2, 0x0F, 2, 0x10, 2, 0x11, 2, 0x12, 2, 0x13, 3
    db 0xFF
kind: db 0
mode: dw 0
bank: dw 0
banks: dw 0
plane_key: dw 0

times 0x1200 - ($ - $$) db 0
