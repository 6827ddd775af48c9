; A boot sector that shows 640x480 in 32 bits (VBE), white, and then paints one line after the other red, one a second; it
; says on COM1 "white", and then "red" each time. With the card's memory as a linear framebuffer, in unreal mode.
        bits 16
        org 0x7c00

MODE equ 0x142                  ; SeaVGABIOS's 640x480x32
LINEAR equ 0x4000
INFO equ 0x2000
WIDTH equ 640
HEIGHT equ 480
TICKS_IN_A_SECOND equ 18
BIOS_TICKS equ 0x46c
COM1_DATA equ 0x3f8

start:
        cli
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0x7c00
        cld
        mov ax, 0x4f01
        mov cx, MODE
        mov di, INFO
        int 0x10
        cmp ax, 0x4f
        jne failed
        mov ax, 0x4f02
        mov bx, MODE | LINEAR
        int 0x10
        cmp ax, 0x4f
        jne failed

        cli
        lgdt [descriptors]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        mov bx, 8
        mov fs, bx              ; a limit of 4 GiB, which stays
        and al, 0xfe
        mov cr0, eax
        sti
        mov edi, [INFO + 40]    ; PhysBasePtr
        movzx ebp, word [INFO + 16] ; BytesPerScanLine
        mov ecx, HEIGHT
        mov esi, edi
.white:
        mov eax, 0xffffff
        call line
        loop .white
        mov si, white
        call say

.second:
        mov bx, [BIOS_TICKS]
.wait:
        hlt
        mov ax, [BIOS_TICKS]
        sub ax, bx
        cmp ax, TICKS_IN_A_SECOND
        jb .wait
        mov esi, edi
        add edi, ebp
        mov eax, 0xff0000
        call line
        mov si, red
        call say
        jmp .second

line:                           ; a line in the colour EAX at ESI, which is then the next one's
        push ecx
        mov ecx, WIDTH
        mov edx, esi
.pixel:
        mov [fs:edx], eax
        add edx, 4
        dec ecx
        jnz .pixel
        add esi, ebp
        pop ecx
        ret

failed:
        mov si, no_mode
        call say
        hlt

say:
        mov dx, COM1_DATA
        lodsb
        out dx, al
        test al, al
        jnz say
        ret

white:  db 'white', 13, 10, 0
red:    db 'red', 13, 10, 0
no_mode:
        db 'no such mode', 13, 10, 0
descriptors:
        dw 15
        dd table
        align 8
table:  dq 0, 0x00cf92000000ffff

        times 510 - ($ - $$) db 0
        dw 0xaa55
