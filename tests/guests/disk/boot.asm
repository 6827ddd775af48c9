; A bootable disk that reads the rest of itself by bus-master DMA, again and again, and reports a CRC-32 of all it read.
;
;       nasm -f bin -I <this folder>/ -D SECTORS=n -D PASSES=n -o disk.img boot.asm, then SECTORS sectors of data from DATA_LBA on
;
; A command reads a pseudo-random number of sectors through a descriptor table of pseudo-random lengths into one buffer, while the
; CPU works on the other one; it is waited for by HLT or by looking. Real mode, so that any accelerator runs it.
;
; A line of a dot a pass; lines "sum crc XXXXXXXX" (as zlib.crc32 of the data, PASSES times), "sum commands XXXXXXXX", then "ok NAME" or "FAIL NAME what",
; "ALL DONE". 82371SB (PIIX3) datasheet, bus master IDE function; "Programming Interface for Bus Master IDE Controller", revision 1.0;
; ATA/ATAPI-6, 8.25 (READ DMA).

%include "../cpu/layout.inc"
%include "../cpu/report.inc"
%include "../cpu/clock.inc"
%include "../shared/boot.inc"

%ifndef SECTORS
%define SECTORS 2048
%endif
%ifndef PASSES
%define PASSES 2
%endif

DISK_PROGRAM_SECTORS equ 8
DATA_LBA        equ 64                  ; DATA_LBA in tests/guests/expect.py
MOST_SECTORS    equ 128                 ; that fit into a buffer
DESCRIPTORS     equ 0x9000              ; the descriptor table: 128 entries at most, as the shortest is 512 bytes
CRC_TABLE       equ 0xa000
BUFFERS         equ 0x20000             ; two of 64 KiB

TASK_FILE       equ 0x1f0
ALTERNATE       equ 0x3f6
ATA_BSY         equ 0x80
ATA_READ_DMA    equ 0xc8
PCI_ADDRESS     equ 0xcf8
PCI_DATA        equ 0xcfc

    org PROGRAM
    section .text
    section .data follows=.text align=16
    section .text
    cpu 386

start:
    boot_sector DISK_PROGRAM_SECTORS

program:
    call initialise_com1
    call find_controller
    check "disk-controller"
    movzx eax, word [master]
    test eax, eax
    setnz al
    movzx eax, al
    expect eax, 1
    verdict
    cmp word [master], 0
    je finish_16
    call make_crc_table
    call claim_interrupt

    mov word [passes], PASSES
.pass:
    mov dword [next_lba], DATA_LBA
    mov dword [left], SECTORS
    call start_read
.chunk:
    call wait_for_read
    mov ax, [sectors]                   ; what has come, and where
    mov [chunk_sectors], ax
    mov ax, [buffer_segment]
    mov [chunk_segment], ax
    cmp dword [left], 0
    je .last
    call start_read                     ; the next command runs while we compute
    call add_to_crc
    jmp .chunk
.last:
    call add_to_crc
    mov al, '.'
    call print_char_16
    dec word [passes]
    jnz .pass
    call print_line_end_16

    mov esi, text_crc
    mov eax, [crc]
    not eax
    call print_sum
    mov esi, text_commands
    mov eax, [commands]
    call print_sum

    check "disk-interrupts"             ; one for each command: none lost, none doubled
    expect [interrupts], [commands]
    verdict
    check "disk-status"                 ; the drive and the bus master reported success each time
    expect [bad_status], 0
    verdict
    jmp finish_16

print_sum:                              ; the string at ESI, then EAX
    call print_string_16
    call print_hex_16
    call print_line_end_16
    ret

; ---- the controller -----------------------------------------------------------------------------------
; Looks on bus 0 for an IDE interface, and lets it be bus master. [master]: where its registers are, or 0.
find_controller:
    mov ebp, 0x80000000
.function:
    mov eax, ebp
    mov al, 0x08                        ; class, subclass, programming interface, revision
    call read_pci
    shr eax, 16
    cmp ax, 0x0101
    je .found
    add ebp, 0x100
    cmp ebp, 0x80010000
    jb .function
    ret
.found:
    mov eax, ebp
    mov al, 0x04
    call read_pci
    or al, 5                            ; I/O space, bus master
    mov dx, PCI_DATA
    out dx, ax
    mov eax, ebp
    mov al, 0x20                        ; BMIBA
    call read_pci
    and ax, 0xfff0
    mov [master], ax
    ret

read_pci:                               ; configuration mechanism 1
    mov dx, PCI_ADDRESS
    out dx, eax
    mov dx, PCI_DATA
    in eax, dx
    ret

claim_interrupt:
    cli
    mov dword [0x76 * 4], irq14
    write_port PIC1 + 1, 0xfb           ; IRQ2 and IRQ14, nothing else
    write_port PIC2 + 1, 0xbf
    mov dx, ALTERNATE
    xor al, al                          ; nIEN off
    out dx, al
    sti
    ret

; ---- a command ----------------------------------------------------------------------------------------
random:                                 ; EAX: the next pseudo-random number; its upper bits are the better ones
    mov eax, [seed]
    imul eax, eax, 1664525
    add eax, 1013904223
    mov [seed], eax
    shr eax, 8
    ret

; Starts to read some of the [left] sectors into the other buffer.
start_read:
    call random
    and eax, MOST_SECTORS - 1
    inc eax
    cmp eax, [left]
    jbe .fits
    mov eax, [left]
.fits:
    mov [sectors], ax
    sub [left], eax
    xor word [buffer_segment], (BUFFERS >> 4) ^ (BUFFERS + 0x10000 >> 4)
    call make_descriptors

    mov dx, [master]                    ; stop; table; forget error and interrupt; towards memory
    xor al, al
    out dx, al
    add dx, 4
    mov eax, DESCRIPTORS
    out dx, eax
    sub dx, 2
    in al, dx
    or al, 6
    out dx, al
    sub dx, 2
    mov al, 8
    out dx, al

    mov dx, ALTERNATE
.busy:
    in al, dx
    test al, ATA_BSY
    jnz .busy
    mov byte [finished], 0
    inc dword [commands]
    mov dx, TASK_FILE + 6
    mov eax, [next_lba]
    shr eax, 24
    or al, 0xe0                         ; drive 0, LBA
    out dx, al
    mov dx, TASK_FILE + 2
    mov al, [sectors]
    out dx, al
    inc dx
    mov eax, [next_lba]
    out dx, al
    inc dx
    shr eax, 8
    out dx, al
    inc dx
    shr eax, 8
    out dx, al
    mov dx, TASK_FILE + 7
    mov al, ATA_READ_DMA
    out dx, al
    mov dx, [master]
    mov al, 9                           ; go
    out dx, al
    movzx eax, word [sectors]
    add [next_lba], eax
    ret

; Descriptors for [sectors] at [buffer_segment]: lengths of 512 to 8702 bytes, what is left in the last one.
make_descriptors:
    movzx ecx, word [sectors]
    shl ecx, 9
    movzx ebp, word [buffer_segment]
    shl ebp, 4
    mov di, DESCRIPTORS
.next:
    call random
    and eax, 0x1ffe
    add eax, 512
    cmp eax, ecx
    jb .part
    mov eax, ecx
.part:
    mov [di], ebp
    mov [di + 4], eax
    add ebp, eax
    add di, 8
    sub ecx, eax
    jnz .next
    or byte [di - 1], 0x80              ; EOT
    ret

; Until the interrupt has come: asleep, or looking.
wait_for_read:
    call random
    test al, 1
    jz .look
.sleep:
    cli
    cmp byte [finished], 0
    jne .end
    sti
    hlt
    jmp .sleep
.look:
    mov dx, [master]
    add dx, 2
    in al, dx
    cmp byte [finished], 0
    je .look
.end:
    sti
    mov dx, [master]
    xor al, al
    out dx, al
    mov al, [master_status]
    and al, 7                           ; interrupt, error, active
    cmp al, 4
    jne .bad
    mov al, [drive_status]
    and al, 0xe9                        ; BSY, DRDY, DF, DRQ, ERR
    cmp al, 0x40
    je .good
.bad:
    inc dword [bad_status]
.good:
    ret

irq14:
    push ax
    push dx
    mov dx, [cs:master]
    add dx, 2
    in al, dx
    mov [cs:master_status], al
    out dx, al                          ; writing the interrupt bit back clears it
    mov dx, TASK_FILE + 7
    in al, dx                           ; and this takes the request away
    mov [cs:drive_status], al
    inc dword [cs:interrupts]
    mov byte [cs:finished], 1
    write_port PIC2, EOI
    write_port PIC1, EOI
    pop dx
    pop ax
    iret

; ---- CRC-32 (IEEE 802.3), bits reflected ---------------------------------------------------------------
make_crc_table:
    xor ebx, ebx
.entry:
    mov eax, ebx
    mov cx, 8
.bit:
    shr eax, 1
    jnc .even
    xor eax, 0xedb88320
.even:
    loop .bit
    mov [CRC_TABLE + ebx * 4], eax
    inc bl
    jnz .entry
    ret

add_to_crc:
    push es
    mov es, [chunk_segment]
    movzx ecx, word [chunk_sectors]
    shl ecx, 9
    xor si, si
    mov eax, [crc]
.next:
    movzx ebx, al
    xor bl, [es:si]
    shr eax, 8
    xor eax, [CRC_TABLE + ebx * 4]
    inc si
    dec ecx
    jnz .next
    mov [crc], eax
    pop es
    ret

    boot_routines
    finish_routine
    report_routines
    report_data

    string text_crc, "sum crc "
    string text_commands, "sum commands "

    [section .data]
    align 4, db 0
seed:           dd 20261123
next_lba:       dd 0
left:           dd 0                    ; sectors of this pass that no command asked for yet
crc:            dd 0xffffffff
commands:       dd 0
interrupts:     dd 0
bad_status:     dd 0
sectors:        dw 0                    ; of the command under way, and where they go
buffer_segment: dw BUFFERS >> 4
chunk_sectors:  dw 0                    ; of the one before
chunk_segment:  dw 0
passes:         dw 0
master:         dw 0
finished:       db 0
master_status:  db 0
drive_status:   db 0
    __?SECT?__
