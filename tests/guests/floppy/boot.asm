; A boot sector for a floppy disk of 1.44 MB: by int 13h it reads the disk's last sector, writes it to the disk's second one, and
; prints on COM1 what it reads from there. Exit status: the BIOS's error code.

        bits 16
        org 0x7c00

COM1            equ 0x3f8
EXIT            equ 0x501
BUFFER          equ 0x8000
        jmp 0:start
start:
        cli
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0x7c00
        sti
        cld
        mov [drive], dl
        mov ax, 0x0201
        mov cx, 79 << 8 | 18
        mov dh, 1
        call disk
        mov ax, 0x0301
        mov cx, 0 << 8 | 2
        mov dh, 0
        call disk
        mov di, BUFFER
        mov cx, 256
        xor ax, ax
        rep stosw
        mov ax, 0x0201
        mov cx, 0 << 8 | 2
        mov dh, 0
        call disk
        mov si, BUFFER
print:
        lodsb
        mov dx, COM1
        out dx, al
        test al, al
        jnz print
        xor ax, ax
finish:                                 ; AH: why
        mov al, ah
        mov dx, EXIT
        out dx, al
stop:
        hlt
        jmp stop

disk:                                   ; AX, CX, DH as int 13h has them
        mov bx, BUFFER
        mov dl, [drive]
        int 0x13
        jc finish
        ret

drive:  db 0
        times 510 - ($ - $$) db 0
        dw 0xaa55
