; A bootable disk that waits for a second CPU, as QEMU's docs/specs/acpi_cpu_hotplug has it come, and starts it.
;
;       nasm -f bin -I <this folder>/ -o cpuhp.img boot.asm
;
; Says on COM1 that it waits; sees event 2 among the general purpose events, and the CPU's bit; starts the CPU by INIT and
; startup IPI; then both report a check, and a byte on COM1 ends it. Lines and exit status are those of the CPU guest (tests/guests/cpu).

%include "../cpu/layout.inc"
%include "../cpu/report.inc"
%include "../shared/boot.inc"

CPUHP_SECTORS   equ 8
PRESENT         equ 0xaf00
GPE0_STS        equ 0xafe0
CPU_EVENT       equ 1 << 2
ICR_LOW         equ 0xfee00300
INIT            equ 0xc4500             ; to all others: on Xen its local APIC has another number than on a PC
STARTUP         equ 0xc4600
TRAMPOLINE      equ 0x10000             ; where the second CPU begins, in real mode

    org PROGRAM
    section .text
    section .data follows=.text align=16
    section .text
    cpu x64

start:
    boot_sector CPUHP_SECTORS

program:
    call initialise_com1
    cli
    lgdt [gdt_pointer]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp CODE32:protected_mode

    boot_routines
    report_routines
    report_data
    string text_waiting, {"WAITING", 13, 10}

    bits 32
protected_mode:
    mov ax, DATA32
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, KERNEL_STACK

    check "cpuhp-one"
    mov dx, PRESENT
    in al, dx
    movzx eax, al
    expect eax, 1
    verdict
    mov esi, text_waiting
    call print_string_32

.wait:
    mov dx, GPE0_STS
    in al, dx
    test al, CPU_EVENT
    jz .wait
    check "cpuhp-event"
    movzx eax, al
    expect eax, CPU_EVENT
    mov al, CPU_EVENT                   ; it is cleared
    out dx, al
    in al, dx
    movzx eax, al
    expect eax, 0
    verdict
    check "cpuhp-two"
    mov dx, PRESENT
    in al, dx
    movzx eax, al
    expect eax, 3
    verdict

    mov esi, trampoline
    mov edi, TRAMPOLINE
    mov ecx, trampoline_end - trampoline
    rep movsb
    mov dword [ICR_LOW], INIT
    mov ecx, 200                        ; port 80h takes about a microsecond
.pause:
    out 0x80, al
    loop .pause
    mov dword [ICR_LOW], STARTUP | TRAMPOLINE >> 12
.second:
    cmp byte [started], 1
    jne .second
    check "cpuhp-both"
    cmp dword [second_id], 0
    setne al
    movzx eax, al
    expect eax, 1
    verdict
.typed:                                 ; whoever watches has seen enough
    mov dx, COM1_LSR
    in al, dx
    test al, 1
    jz .typed
    jmp finish_32

    report_routines
    finish_routine

; What the second CPU does, wherever it begins: says which one it is.
    bits 16
trampoline:
    cli
    xor ax, ax
    mov ds, ax
    mov eax, 1
    cpuid
    shr ebx, 24                         ; its local APIC's number
    mov [second_id], ebx
    mov si, text_second
    mov dx, COM1
.next:
    lodsb
    test al, al
    jz .end
    out dx, al
    jmp .next
.end:
    mov byte [started], 1
.halt:
    hlt
    jmp .halt
trampoline_end:

    [section .data]
    align 8, db 0
gdt:
    dq 0
    dq 0x00cf9b000000ffff               ; CODE32
    dq 0x00cf93000000ffff               ; DATA32
gdt_pointer:
    dw gdt_pointer - gdt - 1
    dd gdt
second_id:      dd 0
started:        db 0
text_second:    db "ok cpuhp-second", 13, 10, 0
    __?SECT?__
