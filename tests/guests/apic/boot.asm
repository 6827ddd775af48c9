; A bootable disk that checks what a PC's APICs and HPET must do, and reports each check on COM1.
;
;       nasm -f bin -I <this folder>/ -o apic.img boot.asm
;
; Lines and exit status are those of the CPU guest (tests/guests/cpu). The checks follow Intel's Software Developer's Manual
; (SDM), volume 3A, chapter 11 (in older editions 10), the datasheet of the 82093AA, and the IA-PC HPET specification.

%include "layout.inc"
%include "../cpu/report.inc"

    org PROGRAM
    section .text
    section .data follows=.text align=16

    section .text
    bits 16
    cpu x64

boot_sector:
    jmp 0:.normalise
.normalise:
    cli
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, REAL_STACK
    sti
    cld
    mov si, .packet
    mov ah, 0x42                        ; DL is the drive that the firmware started us from
    int 0x13
    jnc program
    hlt
.packet:
    db 16, 0
    dw PROGRAM_SECTORS - 1, 0, (PROGRAM + 512) >> 4
    dq 1

    times 510 - ($ - $$) db 0
    dw 0xaa55

; ---- from here on: loaded by the boot sector ----------------------------------------------------------
program:
    mov si, .uart
.setting:                               ; 115200 baud, 8N1, FIFOs on, no interrupts
    lodsw
    test ax, ax
    jz .set
    movzx dx, al
    add dx, COM1
    mov al, ah
    out dx, al
    jmp .setting
.set:
    cli
    lgdt [gdt_pointer]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp CODE32:protected_mode
.uart:                                  ; register, value
    db 1, 0x00, 3, 0x83, 0, 0x01, 1, 0x00, 3, 0x03, 2, 0x07, 4, 0x03
    dw 0

    [section .data]
    align 8, db 0
gdt:
    dq 0
    dq 0x00cf9b000000ffff               ; CODE32
    dq 0x00cf93000000ffff               ; DATA32
    dq 0x00af9b000000ffff               ; CODE64
gdt_end:
gdt_pointer:
    dw gdt_end - gdt - 1
    dd gdt
idt_pointer:
    dw 256 * 8 - 1
    dd IDT
    __?SECT?__
    string text_done, {"ALL DONE", 13, 10}

    report_data
%include "interrupts.inc"

    bits 32
    report_routines

protected_mode:
    mov ax, DATA32
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, STACK
    call make_gates
    lidt [idt_pointer]
    write_port PIC1 + 1, 0xff
    write_port PIC2 + 1, 0xff
    call local_apic_checks
    call timer_checks
    call line_checks
    call hpet_checks
    jmp long_mode_checks                ; which doesn't come back

leave_program:
    mov dx, DEBUG_EXIT
    out dx, al
.halt:
    cli
    hlt
    jmp .halt

%include "local.asm"
%include "timer.asm"
%include "lines.asm"
%include "hpet.asm"
%include "long.asm"

    section .end start=(PROGRAM + PROGRAM_SECTORS * 512)
    times (1008 - PROGRAM_SECTORS) * 512 db 0   ; one cylinder of 16 heads and 63 sectors
