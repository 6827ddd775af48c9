; A boot sector that says on COM1 that it runs, and then counts seconds there: "tick 0001", "tick 0002"...
; The count is also at 500h, and 'SBLB' at 510h, where somebody may look for them from outside.
        bits 16
        org 0x7c00

TICKS_IN_A_SECOND equ 18
BIOS_TICKS equ 0x46c
COUNT equ 0x500
MARK equ 0x510
COM1_DATA equ 0x3f8
COM1_LINE_STATUS equ 0x3fd
TRANSMITTER_EMPTY equ 0x20

start:
        cli
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0x7c00
        sti
        cld
        mov word [COUNT], 0
        mov dword [MARK], 'SBLB'
        mov si, hello
        call say

second:
        mov bx, [BIOS_TICKS]
.wait:
        hlt
        mov ax, [BIOS_TICKS]
        sub ax, bx
        cmp ax, TICKS_IN_A_SECOND
        jb .wait
        inc word [COUNT]
        mov si, tick
        call say
        mov ax, [COUNT]
        mov cx, 4
.digit:
        rol ax, 4
        push ax
        and al, 15
        add al, '0'
        cmp al, '9'
        jbe .put
        add al, 'a' - '9' - 1
.put:
        call put
        pop ax
        loop .digit
        mov si, line_end
        call say
        jmp second

say:                            ; the text at SI, which ends with a zero
        lodsb
        test al, al
        jz .end
        call put
        jmp say
.end:
        ret

put:                            ; the character in AL
        push ax
        push cx
        mov dx, COM1_LINE_STATUS
        mov cx, 10000
.busy:
        in al, dx
        test al, TRANSMITTER_EMPTY
        loopz .busy
        pop cx
        pop ax
        mov dx, COM1_DATA
        out dx, al
        ret

hello:  db 'the boot sector runs', 13, 10, 0
tick:   db 'tick ', 0
line_end:
        db 13, 10, 0

        times 510 - ($ - $$) db 0
        dw 0xaa55
