; Finds a PCI card (1ac3:abac) with the PCI BIOS, reads the first register behind its BAR 0, and says on COM1 what it
; found: "card at BB:DD.F reads VVVVVVVV". Leaves by isa-debug-exit.

        bits 16
        org 0x7c00

VENDOR          equ 0x1ac3
DEVICE          equ 0xabac
COM1            equ 0x3f8
DEBUG_EXIT      equ 0x501
BAR_0           equ 0x10

start:
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0x7c00
        cld

        mov ax, 0xb102                  ; PCI BIOS: find device
        mov cx, DEVICE
        mov dx, VENDOR
        xor si, si
        int 0x1a
        jc .none

        mov si, text_card
        call print
        mov al, bh                      ; bus
        call hex_byte
        mov al, ':'
        call put
        mov al, bl
        shr al, 3
        call hex_byte
        mov al, '.'
        call put
        mov al, bl
        and al, 7
        call hex_digit
        mov si, text_reads
        call print

        mov ax, 0xb10a                  ; PCI BIOS: read configuration dword
        mov di, BAR_0
        int 0x1a
        and ecx, 0xfffffff0
        mov ebp, ecx

        cli                             ; give FS a limit of 4 GiB
        lgdt [gdt_register]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        mov bx, 8
        mov fs, bx
        and al, 0xfe
        mov cr0, eax
        xor bx, bx
        mov fs, bx
        sti

        mov edx, [fs:ebp]
        mov cx, 4
.byte:
        rol edx, 8
        mov al, dl
        call hex_byte
        loop .byte
        jmp .end
.none:
        mov si, text_none
        call print
.end:
        mov si, text_newline
        call print
        mov dx, DEBUG_EXIT
        mov al, 0x2a
        out dx, al
.halt:
        hlt
        jmp .halt

print:                                  ; DS:SI, zero-terminated
        lodsb
        test al, al
        jz .end
        call put
        jmp print
.end:
        ret

hex_byte:                               ; AL
        push ax
        shr al, 4
        call hex_digit
        pop ax
        and al, 15
hex_digit:
        cmp al, 10
        jb .decimal
        add al, 'a' - '0' - 10
.decimal:
        add al, '0'
put:                                    ; AL to the serial port
        push dx
        mov dx, COM1
        out dx, al
        pop dx
        ret

text_card:      db 'card at ', 0
text_reads:     db ' reads ', 0
text_none:      db 'no card', 0
text_newline:   db 13, 10, 0

        align 8
gdt:
        dq 0
        dq 0x00cf93000000ffff           ; data, 4 GiB
gdt_register:
        dw gdt_register - gdt - 1
        dd gdt

        times 510 - ($ - $$) db 0
        dw 0xaa55
        times 63 * 16 * 512 - ($ - $$) db 0
