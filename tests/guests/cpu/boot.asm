; A bootable disk that checks what a CPU and its board must do, and reports each check on COM1.
;
;       nasm -f bin -I <this folder>/ [-D PART=name] -o cpu.img boot.asm
;
; Lines: "ok NAME", "FAIL NAME what", "info NAME text"; the last one is "ALL DONE". Then EXIT_DONE goes to the
; debug-exit port, and the CPU halts. An exception that no check expected is a FAIL line, and EXIT_STOPPED.
; The firmware is used as any boot loader would: int 13h, in real mode. No local APIC, HPET or ACPI.
;
; The checks follow Intel's Software Developer's Manual (SDM), volumes 2 and 3, and AMD's Architecture Programmer's Manual
; for SYSCALL; the board's part follows the datasheets of the 8259A, 8254, 8042, 82441FX and 16550.
;
; Sections: .text and .data are the program, loaded at PROGRAM; .disk holds sectors that a check reads by itself.

%include "layout.inc"
%include "report.inc"

    org PROGRAM
    section .text
    section .data follows=.text align=16
    section .disk start=(PROGRAM + PROGRAM_SECTORS * 512) vstart=0

    section .text
    bits 16
    cpu x64

boot_sector:
    jmp 0:.normalise                    ; firmware may start us at 07c0:0000 too
.normalise:
    cli
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, REAL_STACK
    sti
    cld
    mov [boot_drive], dl
    mov eax, 1
    mov cx, PROGRAM_SECTORS - 1
    mov ebx, PROGRAM + 512
    call read_sectors
    jnc program
    mov si, .text_failed
.print:
    lodsb
    test al, al
    jz .halt
    mov dx, COM1
    out dx, al
    jmp .print
.halt:
    cli
    hlt
    jmp .halt
.text_failed: db "FAIL boot disk error", 13, 10, 0

; CX sectors from LBA EAX to linear address EBX (16-byte aligned, no 64 KiB border in between).
; Carry set if the firmware reports an error. AX, BX, DX, SI are lost.
read_sectors:
    mov word [disk_packet], 16
    mov [disk_packet + 2], cx
    mov word [disk_packet + 4], 0
    shr ebx, 4
    mov [disk_packet + 6], bx
    mov [disk_packet + 8], eax
    mov dword [disk_packet + 12], 0
    mov si, disk_packet
    mov dl, [boot_drive]
    mov ah, 0x42
    int 0x13
    ret

boot_drive:     db 0
    align 4, db 0
disk_packet:    times 16 db 0

    times 510 - ($ - $$) db 0
    dw 0xaa55

; ---- from here on: loaded by the boot sector ----------------------------------------------------------
program:
    call initialise_com1
    call real_mode_checks
    call real_mode_memory_checks
%ifdef PART
    %defstr PART_NAME PART
    %substr PART_MODE PART_NAME 1,4
    %ifidn PART_MODE, "real"
    jmp finish
    %endif
%endif
    jmp enter_protected_mode            ; protected.asm; comes back to `finish` by way of long mode

finish:
    mov esi, text_done
    call print_string_16
    mov al, EXIT_DONE
leave_program:
    mov dx, DEBUG_EXIT
    out dx, al
.halt:
    cli
    hlt
    jmp .halt

; 115200 baud, 8N1, FIFOs on, no interrupts.
initialise_com1:
    mov si, .settings
.next:
    lodsw
    test ax, ax
    jz .end
    movzx dx, al
    add dx, COM1
    mov al, ah
    out dx, al
    jmp .next
.end:
    ret
.settings:                              ; register, value
    db 1, 0x00, 3, 0x83, 0, 0x01, 1, 0x00, 3, 0x03, 2, 0x07, 4, 0x03
    dw 0

    string text_done, {"ALL DONE", 13, 10}

    report_routines
    report_data

%include "clock.inc"
%include "real.asm"
%include "real_memory.asm"
%include "protected.asm"
%include "undisturbed.asm"
%include "paging.asm"
%include "user.asm"
%include "tasks.asm"
%include "v86.asm"
%include "long.asm"
%include "long_user.asm"
%include "return.asm"

; ---- sectors read by checks ---------------------------------------------------------------------------
    section .disk
%include "disk_code.inc"
    times (1008 - PROGRAM_SECTORS) * 512 - ($ - $$) db 0    ; one cylinder of 16 heads and 63 sectors
