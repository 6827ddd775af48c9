; A boot sector that says on COM1 that it runs, and then counts seconds there: "tick 0001", "tick 0002"...
; The count is also at 500h, and 'SBLB' at 510h, where somebody may look for them from outside.
; With REQUESTS, it reads the device model's COM1 all the time, and says how often it did in each second: "requests 0a00".
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
%ifdef REQUESTS
        xor di, di
        mov dx, COM1_LINE_STATUS
%endif
.wait:
%ifdef REQUESTS
        in al, dx
        inc di
%else
        hlt
%endif
        mov ax, [BIOS_TICKS]
        sub ax, bx
        cmp ax, TICKS_IN_A_SECOND
        jb .wait
        inc word [COUNT]
        mov si, tick
        call say
        mov ax, [COUNT]
        call number
%ifdef REQUESTS
        mov si, requests
        call say
        mov ax, di
        call number
%endif
        jmp second

number:                         ; AX in hexadecimal, and the end of the line
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
        jmp say

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
%ifdef REQUESTS
requests:
        db 'requests ', 0
%endif
line_end:
        db 13, 10, 0

        times 510 - ($ - $$) db 0
        dw 0xaa55
