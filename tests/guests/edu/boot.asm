; A bootable disk that drives the edu card (QEMU's docs/specs/edu) as a driver does, and reports each check on COM1.
;
;       nasm -f bin -I <this folder>/ -o edu.img boot.asm
;
; Identification, liveness, factorials, DMA there and back; interrupts by INTx through the 8259As, on the line that the
; firmware chose, then by MSI. Lines and exit status are those of the CPU guest (tests/guests/cpu).

%include "../cpu/layout.inc"
%include "../cpu/report.inc"
%include "../cpu/clock.inc"
%include "../shared/boot.inc"

EDU_PROGRAM_SECTORS equ 16
VENDOR          equ 0x1234
DEVICE          equ 0x11e8
PCI_ADDRESS     equ 0xcf8
PCI_DATA        equ 0xcfc
VECTORS         equ 0x20                ; of IRQ0 to IRQ15
MSI_VECTOR      equ 0x50
LAPIC           equ 0xfee00000
LAPIC_EOI       equ LAPIC + 0xb0
LAPIC_SVR       equ LAPIC + 0xf0
PATIENCE        equ 5000                ; PIT periods of 1 ms: only a card that hangs meets this

IDENTIFICATION  equ 0x00
LIVENESS        equ 0x04
FACTORIAL       equ 0x08
STATUS          equ 0x20
REASONS         equ 0x24
RAISE           equ 0x60
ACKNOWLEDGE     equ 0x64
SOURCE          equ 0x80
DESTINATION     equ 0x88
COUNT           equ 0x90
COMMAND         equ 0x98
CARD_BUFFER     equ 0x40000

BLOCK           equ 0x40000             ; in memory: what goes there, and where it comes back
COPY            equ 0x50000
BLOCK_SIZE      equ 4092                ; QEMU 7.2 takes the buffer's last byte for one behind it, and ends

    org PROGRAM
    section .text
    section .data follows=.text align=16
    section .text
    cpu x64

start:
    boot_sector EDU_PROGRAM_SECTORS

program:
    call initialise_com1
    mov ax, 0xb102                      ; PCI BIOS: find device
    mov cx, DEVICE
    mov dx, VENDOR
    xor si, si
    int 0x1a
    jc .none
    movzx eax, bx
    shl eax, 8
    or eax, 0x80000000
    mov [card], eax
.none:
    cli
    lgdt [gdt_pointer]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp CODE32:protected_mode

    boot_routines
    report_routines
    report_data

    bits 32
%macro read_card 1                      ; EAX
    mov eax, [ebp + %1]
%endmacro

%macro write_card 2
    mov dword [ebp + %1], %2
%endmacro

; Until `test [EBP + register], bits` gives zero; EAX and ECX are lost. One that never does shows in what is expected next.
%macro wait_clear 2
    mov ecx, PATIENCE
%%wait:
    test dword [ebp + %1], %2
    jz %%end
    call one_millisecond
    loop %%wait
%%end:
%endmacro

; With interrupts off: lets them in until the handler has been called so many times in all.
%macro wait_interrupts 1
    mov ecx, PATIENCE
%%wait:
    cmp dword [interrupts], %1
    jae %%end
    sti
    call one_millisecond
    cli
    loop %%wait
%%end:
%endmacro

%macro transfer 4                       ; source, destination, count, command
    write_card SOURCE, %1
    write_card DESTINATION, %2
    write_card COUNT, %3
    write_card COMMAND, %4
    wait_clear COMMAND, 1
%endmacro

protected_mode:
    mov ax, DATA32
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, KERNEL_STACK
    mov edi, IDT
    mov ecx, 256 * 8 / 4
    xor eax, eax
    rep stosd
    lidt [idt_pointer]

    check "edu-found"
    mov eax, [card]
    test eax, eax
    setnz al
    movzx eax, al
    expect eax, 1
    verdict
    cmp dword [card], 0
    je finish_32

    mov al, 0x04
    call read_pci
    or al, 6                            ; memory space, bus master
    mov dx, PCI_DATA
    out dx, ax
    mov al, 0x3c                        ; the line that the firmware chose
    call read_pci
    movzx eax, al
    mov [line], eax
    mov al, 0x10                        ; BAR 0
    call read_pci
    and eax, 0xfffffff0
    mov ebp, eax

    check "edu-identification"
    read_card IDENTIFICATION
    expect eax, 0x010000ed
    verdict
    check "edu-liveness"
    write_card LIVENESS, 0x12345678
    read_card LIVENESS
    expect eax, 0xedcba987
    verdict

    check "edu-factorial"               ; polled
    mov esi, factorials
.next:
    lodsd
    cmp eax, -1
    je .factorials_end
    mov [ebp + FACTORIAL], eax
    wait_clear STATUS, 1
    lodsd
    mov ebx, eax
    read_card FACTORIAL
    expect eax, ebx
    jmp .next
.factorials_end:
    read_card STATUS
    expect eax, 0
    expect [interrupts], 0
    verdict

; ---- INTx ---------------------------------------------------------------------------------------------
    mov eax, [line]
    lea edi, [IDT + (VECTORS + eax) * 8]
    mov word [edi], by_line
    mov word [edi + 2], CODE32
    mov dword [edi + 4], 0x8e00
    initialise_pics VECTORS, VECTORS + 8, 0xff, 0xff
    mov cl, [line]
    mov eax, ~(1 << 2)
    btr eax, ecx
    out PIC1 + 1, al
    mov al, ah
    out PIC2 + 1, al

    call interrupts_checked
    check "edu-intx"                    ; one interrupt a reason
    expect [interrupts], 3
    verdict

; ---- DMA ----------------------------------------------------------------------------------------------
    mov edi, BLOCK
    mov ecx, BLOCK_SIZE / 4
    mov eax, 0x2545f491
.fill:
    imul eax, eax, 1103515245
    add eax, 12345
    stosd
    loop .fill

    check "edu-dma"
    transfer BLOCK, CARD_BUFFER, BLOCK_SIZE, 1
    read_card COMMAND
    expect eax, 0
    transfer CARD_BUFFER, COPY, BLOCK_SIZE, 3
    mov esi, BLOCK
    mov edi, COPY
    mov ecx, BLOCK_SIZE / 4
    repe cmpsd
    setne al
    movzx eax, al
    expect eax, 0
    verdict
    check "edu-dma-part"                ; 100 bytes from the middle, to an odd address, and nothing beside them
    transfer CARD_BUFFER + 1000, COPY + 0x2001, 100, 3
    movzx eax, byte [COPY + 0x2000]
    expect eax, 0
    movzx eax, byte [COPY + 0x2001 + 100]
    expect eax, 0
    mov esi, BLOCK + 1000
    mov edi, COPY + 0x2001
    mov ecx, 25
    repe cmpsd
    setne al
    movzx eax, al
    expect eax, 0
    expect [interrupts], 3
    verdict
    check "edu-dma-interrupt"
    write_card SOURCE, BLOCK
    write_card DESTINATION, CARD_BUFFER
    write_card COUNT, 16
    write_card COMMAND, 5
    wait_interrupts 4
    expect [interrupts], 4
    expect [last_reasons], 0x100
    verdict

; ---- MSI ----------------------------------------------------------------------------------------------
    write_port PIC1 + 1, 0xff
    write_port PIC2 + 1, 0xff
    mov word [IDT + MSI_VECTOR * 8], by_message
    mov word [IDT + MSI_VECTOR * 8 + 2], CODE32
    mov dword [IDT + MSI_VECTOR * 8 + 4], 0x8e00
    mov eax, [LAPIC_SVR]
    or eax, 0x1ff
    mov [LAPIC_SVR], eax

    check "edu-msi-capability"
    mov al, 0x34
    call read_pci
    movzx ebx, al
    mov al, bl
    call read_pci
    movzx eax, al
    expect eax, 5
    verdict
    lea eax, [ebx + 4]
    mov ecx, LAPIC                      ; to the CPU with APIC ID 0
    call write_pci
    lea eax, [ebx + 8]
    xor ecx, ecx
    call write_pci
    lea eax, [ebx + 12]
    mov ecx, MSI_VECTOR
    call write_pci
    mov al, bl
    call read_pci
    or eax, 1 << 16                     ; enable
    mov ecx, eax
    mov eax, ebx
    call write_pci

    mov dword [interrupts], 0
    call interrupts_checked
    check "edu-msi"                     ; a message a reason
    expect [interrupts], 3
    verdict
    jmp finish_32

; ---- what both kinds of interrupt must do -------------------------------------------------------------
interrupts_checked:
    write_card STATUS, 0x80
    write_card FACTORIAL, 5
    wait_interrupts 1
    mov eax, [last_reasons]
    mov [seen], eax
    write_card STATUS, 0
    write_card FACTORIAL, 6
    wait_clear STATUS, 1
    write_card RAISE, 0x1234
    wait_interrupts 2
    mov eax, [last_reasons]
    mov [seen + 4], eax
    write_card RAISE, 0x80000000
    wait_interrupts 3
    mov eax, [last_reasons]
    mov [seen + 8], eax
    read_card REASONS
    mov [seen + 12], eax
    cmp dword [rounds], 1
    je .second
    check "edu-reasons-intx"
    jmp .look
.second:
    check "edu-reasons-msi"
.look:
    inc dword [rounds]
    expect [seen], 1
    expect [seen + 4], 0x1234
    expect [seen + 8], 0x80000000
    expect [seen + 12], 0
    verdict
    ret

by_line:
    push eax
    call deal_with_it
    mov al, EOI
    cmp dword [line], 8
    jb .first
    out PIC2, al
.first:
    out PIC1, al
    pop eax
    iretd

by_message:
    push eax
    call deal_with_it
    mov dword [LAPIC_EOI], 0
    pop eax
    iretd

deal_with_it:
    read_card REASONS
    mov [last_reasons], eax
    mov [ebp + ACKNOWLEDGE], eax
    read_card REASONS                   ; posted writes have arrived
    inc dword [interrupts]
    ret

; ---- helpers ------------------------------------------------------------------------------------------
; 1.2 ms by counter 0, in whichever mode the firmware left it: what it has counted down is added up. EAX and EDX are lost.
one_millisecond:
    push ebx
    push esi
    call .counter
    mov ebx, eax
    xor esi, esi
.look:
    call .counter
    xchg eax, ebx
    sub eax, ebx
    movzx eax, ax
    add esi, eax
    cmp esi, 1432
    jb .look
    pop esi
    pop ebx
    ret
.counter:
    xor eax, eax
    out PIT_CONTROL, al                 ; latch counter 0
    in al, PIT_CHANNEL0
    mov ah, al
    in al, PIT_CHANNEL0
    xchg al, ah
    ret

read_pci:                               ; AL: the card's register; EAX
    movzx eax, al
    or eax, [card]
    mov dx, PCI_ADDRESS
    out dx, eax
    mov dx, PCI_DATA
    in eax, dx
    ret

write_pci:                              ; AL: the card's register; ECX
    movzx eax, al
    or eax, [card]
    mov dx, PCI_ADDRESS
    out dx, eax
    mov dx, PCI_DATA
    mov eax, ecx
    out dx, eax
    ret

    report_routines
    finish_routine

    [section .data]
    align 8, db 0
gdt:
    dq 0
    dq 0x00cf9b000000ffff               ; CODE32
    dq 0x00cf93000000ffff               ; DATA32
gdt_pointer:
    dw gdt_pointer - gdt - 1
    dd gdt
idt_pointer:
    dw 256 * 8 - 1
    dd IDT
    align 8, db 0
card:           dd 0                    ; its configuration address, or 0
line:           dd 0
interrupts:     dd 0
last_reasons:   dd 0
rounds:         dd 0
seen:           times 4 dd 0
factorials:                             ; n, n! modulo 2^32
    dd 0, 1, 1, 1, 5, 120, 12, 479001600, 13, 1932053504, 33, 0x80000000, 34, 0, 40, 0, -1
    __?SECT?__
