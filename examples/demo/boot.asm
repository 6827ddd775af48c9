; The demo's disk: a boot sector and one more piece, which report on COM1 what they find.
;
;       nasm -f bin -o demo.img boot.asm          (make_image.py does it)
;
; Memory comes from the firmware (int 15h, E820h: ACPI specification, "System Address Map Interfaces"), PCI devices from
; configuration mechanism 1 (PCI Local Bus 2.2, 3.2.2.3.2), timer ticks from IRQ0 by way of the BIOS data area (40:6Ch).
; At the end it tells isa-debug-exit, where there is one, and halts.

COM1                equ 0x3f8
LINE_STATUS         equ COM1 + 5
BIOS_TICKS          equ 0x46c           ; IRQ0, counted by the firmware: 18.2 a second
TICKS               equ 9
PCI_ADDRESS         equ 0xcf8
PCI_DATA            equ 0xcfc
DEBUG_EXIT          equ 0x501
SECTORS             equ 4               ; all code and text

    bits 16
    cpu 386
    org 0x7c00

    jmp 0:start
start:
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7c00
    sti
    cld
    mov si, text_hello
    call print
    mov ax, 0x0200 | (SECTORS - 1)      ; read: drive DL as the firmware gave it, cylinder 0, head 0, from sector 2
    mov cx, 2
    mov dh, 0
    mov bx, 0x7e00
    int 0x13
    jnc report
    mov si, text_disk_error
    call print
halt:
    hlt
    jmp halt

; ---- output: all of these keep every register ----------------------------------------------------------
print:                                  ; the zero-terminated string at SI
    pusha
.next:
    lodsb
    test al, al
    jz .end
    call print_char
    jmp .next
.end:
    popa
    ret

print_char:                             ; AL, once the transmitter holding register is empty
    pusha
    mov bl, al
    mov dx, LINE_STATUS
.busy:
    in al, dx
    test al, 0x20
    jz .busy
    mov dx, COM1
    mov al, bl
    out dx, al
    popa
    ret

print_hex_digits:                       ; the lowest CL digits of EAX
    pushad
    movzx cx, cl
    mov dx, cx
    mov ebx, eax
    shl cl, 2
    ror ebx, cl                         ; the wanted digits come first now
    mov cx, dx
.digit:
    rol ebx, 4
    mov al, bl
    and al, 15
    add al, '0'
    cmp al, '9'
    jbe .print
    add al, 'a' - '9' - 1
.print:
    call print_char
    loop .digit
    popad
    ret

print_decimal:                          ; EAX
    pushad
    mov ebx, 10
    xor cx, cx
.divide:
    xor edx, edx
    div ebx
    push dx
    inc cx
    test eax, eax
    jnz .divide
.print:
    pop ax
    add al, '0'
    call print_char
    loop .print
    popad
    ret

text_hello:         db 13, 10, "Southbridge demo: the boot sector runs", 13, 10, 0
text_disk_error:    db "demo: disk error", 13, 10, 0

    times 510 - ($ - $$) db 0
    dw 0xaa55

; ---- loaded by the boot sector -------------------------------------------------------------------------
report:
    call report_memory
    call report_pci
    call report_ticks
    mov si, text_done
    call print
    mov dx, DEBUG_EXIT
    mov al, 0x2a             ; exit status 85: twice this, plus one
    out dx, al
    cli
    jmp halt

; One line for each range, then the sum of what is usable.
report_memory:
    xor ebx, ebx                        ; the firmware's place in its list; 0 at the start and after the last one
.next:
    mov eax, 0xe820
    mov edx, 'PAMS'                     ; "SMAP", most significant byte first
    mov ecx, 20
    mov di, range
    int 0x15
    jc .end
    cmp eax, 'PAMS'
    jne .end
    mov si, text_memory
    call print
    mov eax, [range.start + 4]
    mov cl, 2                           ; of its upper half: addresses go up to 40 bits
    call print_hex_digits
    mov eax, [range.start]
    mov cl, 8
    call print_hex_digits
    mov si, text_size
    call print
    mov eax, [range.size + 4]
    shl eax, 22
    mov edx, [range.size]
    shr edx, 10
    or eax, edx
    call print_decimal
    mov si, text_reserved
    cmp dword [range.type], 1
    jne .print_type
    add [usable_kib], eax
    mov si, text_usable
.print_type:
    call print
    test ebx, ebx
    jnz .next
.end:
    mov si, text_memory_total
    call print
    mov eax, [usable_kib]
    call print_decimal
    mov si, text_kib
    call print
    ret

; One line for each function on bus 0.
report_pci:
    xor ebx, ebx                        ; device << 3 | function
.next:
    xor al, al
    call pci_read
    cmp ax, 0xffff
    je .absent
    inc dword [pci_count]
    mov si, text_pci
    call print
    mov ecx, eax
    mov eax, ebx
    shr eax, 3
    push ecx
    mov cl, 2
    call print_hex_digits
    mov al, '.'
    call print_char
    mov eax, ebx
    and eax, 7
    mov cl, 1
    call print_hex_digits
    mov al, ' '
    call print_char
    pop eax                             ; device ID : vendor ID
    mov cl, 4
    call print_hex_digits
    push eax
    mov al, ':'
    call print_char
    pop eax
    shr eax, 16
    call print_hex_digits
    mov si, text_class
    call print
    mov al, 8
    call pci_read
    shr eax, 16
    mov cl, 4
    call print_hex_digits
    mov si, text_line_end
    call print
    jmp .more
.absent:
    test bl, 7                          ; without function 0 there is no device
    jz .next_device
.more:
    test bl, 7
    jnz .next_function
    mov al, 0x0c
    call pci_read
    test eax, 0x800000                  ; header type, bit 7: several functions
    jz .next_device
.next_function:
    inc ebx
    jmp .check_end
.next_device:
    add ebx, 8
    and bl, 0xf8
.check_end:
    cmp ebx, 0x100
    jb .next
    mov si, text_pci_total
    call print
    mov eax, [pci_count]
    call print_decimal
    mov si, text_line_end
    call print
    ret

pci_read:                               ; EAX: register AL of function EBX on bus 0
    push dx
    movzx edx, bx
    shl edx, 8
    mov dl, al
    mov eax, edx
    or eax, 0x80000000
    mov dx, PCI_ADDRESS
    out dx, eax
    mov dx, PCI_DATA
    in eax, dx
    pop dx
    ret

; A dot for each tick; the CPU sleeps in between.
report_ticks:
    mov si, text_timer
    call print
    mov cx, TICKS
    mov ebx, [BIOS_TICKS]
.sleep:
    hlt
    cmp ebx, [BIOS_TICKS]               ; another interrupt may have woken us
    je .sleep
    mov ebx, [BIOS_TICKS]
    mov al, '.'
    call print_char
    loop .sleep
    mov al, ' '
    call print_char
    mov eax, TICKS
    call print_decimal
    mov si, text_ticks
    call print
    ret

text_memory:        db "memory ", 0
text_size:          db "  ", 0
text_usable:        db " KiB usable", 13, 10, 0
text_reserved:      db " KiB reserved", 13, 10, 0
text_memory_total:  db "memory usable: ", 0
text_kib:           db " KiB", 13, 10, 0
text_pci:           db "pci 00:", 0
text_class:         db " class ", 0
text_pci_total:     db "pci functions: ", 0
text_timer:         db "timer ", 0
text_ticks:         db " ticks", 13, 10, 0
text_done:          db "demo done", 13, 10, 0
text_line_end:      db 13, 10, 0

    align 4, db 0
usable_kib:         dd 0
pci_count:          dd 0
range:                                  ; what int 15h fills
.start:             dq 0
.size:              dq 0
.type:              dd 0

    times SECTORS * 512 - ($ - $$) db 0
    times (1008 - SECTORS) * 512 db 0   ; one cylinder of 16 heads and 63 sectors
