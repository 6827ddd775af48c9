; A bootable disk that counts timer interrupts beside a clock: in real, protected and long mode, busy and in HLT.
;
;       nasm -f bin -I <this folder>/ [-D MODES=mask] -o ticks.img boot.asm        (1 real, 2 protected, 4 long mode)
;
; IRQ0 comes from 8254 counter 0, IRQ8 from the MC146818's periodic interrupt. The clock is counter 2, whose pulses are added up: at
; each look the counter is latched; looks must come more often than every 55 ms, or one turn of it is missed.
;
; A phase ends when the clock says so, so that interrupts too few or too many show. It prints, in hexadecimal:
;       phase NAME irq0 N rtc N clock N stalls N stalled N tsc N
; clock: pulses of 105/88 MHz; stalls: looks that came a period of IRQ0 or more after the one before, and the pulses that these took:
; where the CPU stood still, ticks may be missing. (In HLT, IRQ8 makes it look more often.) tsc: of the whole phase, in 1024 cycles.
; Then "seconds N" by the MC146818's clock for everything, and checks. The port MARK hears 1 before each phase and 0 after it.
;
; Intel 8254 and 8259A datasheets; Motorola MC146818A datasheet.

%include "../cpu/layout.inc"
%include "../cpu/report.inc"
%include "../cpu/clock.inc"
%include "../shared/boot.inc"

%ifndef MODES
%define MODES 7
%endif
%ifndef MILLISECONDS
%define MILLISECONDS 400
%endif

TICKS_PROGRAM_SECTORS equ 16
PULSES          equ (PIT_HZ * MILLISECONDS + 999) / 1000
MARK            equ 0x5f0               ; nothing is there but in tests
KERNEL_CODE32   equ 0x08
KERNEL_DATA     equ 0x10
KERNEL_CODE64   equ 0x18
VECTORS         equ 0x20                ; of IRQ0 to IRQ15
RTC_1024_HZ     equ 0x26                ; register A: 32768 Hz divider, and the rate
RTC_128_HZ      equ 0x29
PIT_CHANNEL2    equ 0x42
NMISC           equ 0x61

    org PROGRAM
    section .text
    section .data follows=.text align=16
    section .text
    cpu x64

start:
    boot_sector TICKS_PROGRAM_SECTORS

; ---- a phase, in any mode -----------------------------------------------------------------------------
; Name, rate of IRQ0, register A for IRQ8, and the instruction to wait with.
%macro phase 4
    string %%name, %1
    cli
    set_irq0_rate %2
    mov al, %3
    mov edi, PIT_HZ / %2
    call REPORT(begin_phase)
    sti
%%wait:
    %4
    call REPORT(look)
    cmp dword [clock], PULSES
    jb %%wait
    cli
    mov esi, %%name
    call REPORT(end_phase)
%endmacro

%macro cmos_write 2
    write_port CMOS_INDEX, %1
    write_port CMOS_INDEX + 1, %2
%endmacro

%macro return_from_interrupt 0
  %if __?BITS?__ == 64
    iretq
  %elif __?BITS?__ == 32
    iretd
  %else
    iret
  %endif
%endmacro

%macro phase_routines 0
; With interrupts off; AL: the RTC's register A; EDI: pulses after which a look is late.
REPORT(begin_phase):
    mov ah, al
    mov [late], edi
    cmos_write 0x0a, ah
    initialise_pics VECTORS, VECTORS + 8, 0xfa, 0xfe
    write_port CMOS_INDEX, 0x0c
    in al, CMOS_INDEX + 1               ; no flag from before
    cmos_write 0x0b, 0x42               ; PIE, 24 hours
    xor eax, eax
    mov [ticks], eax
    mov [rtc_ticks], eax
    mov [clock], eax
    mov [stalls], eax
    mov [stalled], eax
    write_port NMISC, 1                 ; counter 2 runs, unheard
    write_port PIT_CONTROL, 0xb4
    write_port PIT_CHANNEL2, 0
    write_port PIT_CHANNEL2, 0
    mov dx, MARK
    mov al, 1
    out dx, al
    call REPORT(read_clock)
    mov [clock_seen], ax
    rdtsc
    mov [tsc_start], eax
    mov [tsc_start + 4], edx
    mov [tsc_seen], eax
    mov [tsc_seen + 4], edx
    ret

; AX: counter 2, which counts down.
REPORT(read_clock):
    write_port PIT_CONTROL, 0x80        ; latch it
    in al, PIT_CHANNEL2
    mov ah, al
    in al, PIT_CHANNEL2
    xchg al, ah
    ret

; Brings [clock] up to the present. Registers are lost.
REPORT(look):
    rdtsc
    mov ebx, eax
    mov ecx, edx
    sub eax, [tsc_seen]
    sbb edx, [tsc_seen + 4]
    jnc .forward
    inc dword [tsc_back]
.forward:
    mov [tsc_seen], ebx
    mov [tsc_seen + 4], ecx
    call REPORT(read_clock)
    movzx ebx, word [clock_seen]
    mov [clock_seen], ax
    sub ebx, eax
    movzx ebx, bx
    add [clock], ebx
    cmp ebx, [late]
    jb .in_time
    inc dword [stalls]
    add [stalled], ebx
.in_time:
    ret

; With interrupts off; ESI: the phase's name.
REPORT(end_phase):
    mov dx, MARK
    xor eax, eax
    out dx, al
    cmos_write 0x0b, 0x02
    mov eax, [tsc_seen]
    mov edx, [tsc_seen + 4]
    sub eax, [tsc_start]
    sbb edx, [tsc_start + 4]
    shrd eax, edx, 10
    mov [tsc], eax
    mov [phase_name], esi
    mov esi, word_phase
    call REPORT(print_string)
    mov esi, [phase_name]
    call REPORT(print_string)
    mov ebx, .fields
.next:
    mov esi, [ebx]
    test esi, esi
    jz .end
    call REPORT(print_string)
    mov esi, [ebx + 4]
    mov eax, [esi]
    call REPORT(print_hex)
    add ebx, 8
    jmp .next
.end:
    call REPORT(print_line_end)
    ret
.fields: dd word_irq0, ticks, word_rtc, rtc_ticks, word_clock, clock, word_stalls, stalls, word_stalled, stalled, word_tsc, tsc, 0

REPORT(irq0):
    save_registers
    write_port PIC1, 0x0b               ; OCW3: the next read gives ISR
    in al, PIC1
    test al, 1
    jnz .in_service
    inc dword [not_in_service]
.in_service:
    inc dword [ticks]
    write_port PIC1, EOI
    restore_registers
    return_from_interrupt

REPORT(irq8):
    save_registers
    write_port PIC2, 0x0b
    in al, PIC2
    test al, 1
    jnz .in_service
    inc dword [not_in_service]
.in_service:
    write_port CMOS_INDEX, 0x0c
    in al, CMOS_INDEX + 1
    test al, 0x40                       ; PF: an interrupt that came twice finds it clear
    jnz .flagged
    inc dword [not_flagged]
.flagged:
    inc dword [rtc_ticks]
    write_port PIC2, EOI
    write_port PIC1, EOI
    restore_registers
    return_from_interrupt

REPORT(irq7):                           ; all that comes here is spurious
    inc dword [spurious]
    return_from_interrupt

REPORT(irq15):
    save_registers
    inc dword [spurious]
    write_port PIC1, EOI
    restore_registers
    return_from_interrupt

; EAX: seconds of the hour.
REPORT(read_seconds):
.update:
    write_port CMOS_INDEX, 0x0a
    in al, CMOS_INDEX + 1
    test al, 0x80                       ; UIP
    jnz .update
    write_port CMOS_INDEX, 0
    in al, CMOS_INDEX + 1
    call REPORT(from_bcd)
    mov ecx, eax
    write_port CMOS_INDEX, 2
    in al, CMOS_INDEX + 1
    call REPORT(from_bcd)
    imul eax, eax, 60
    add eax, ecx
    ret

REPORT(from_bcd):                       ; AL to EAX
    movzx edx, al
    mov eax, edx
    shr eax, 4
    imul eax, eax, 10
    and edx, 15
    add eax, edx
    ret

REPORT(end_program):
    call REPORT(read_seconds)
    sub eax, [seconds]
    jns .same_hour
    add eax, 3600
.same_hour:
    mov esi, word_seconds
    call REPORT(print_string)
    call REPORT(print_hex)
    call REPORT(print_line_end)

    check "ticks-in-service"            ; each interrupt is one that its 8259A gave
    expect [not_in_service], 0
    verdict
    check "ticks-flagged"
    expect [not_flagged], 0
    verdict
    check "ticks-spurious"
    expect [spurious], 0
    verdict
    check "ticks-tsc-forward"
    expect [tsc_back], 0
    verdict
    jmp REPORT(finish)

    finish_routine
%endmacro

%macro gate_32 2                        ; IRQ, handler
    mov dword [IDT + (VECTORS + %1) * 8], (KERNEL_CODE32 << 16) + %2
    mov dword [IDT + (VECTORS + %1) * 8 + 4], 0x8e00
%endmacro

%macro gate_64 2
    mov dword [IDT + (VECTORS + %1) * 16], (KERNEL_CODE64 << 16) + %2
    mov dword [IDT + (VECTORS + %1) * 16 + 4], 0x8e00
    mov qword [IDT + (VECTORS + %1) * 16 + 8], 0
%endmacro

; ---- real mode ----------------------------------------------------------------------------------------
    bits 16
program:
    call initialise_com1
    call read_seconds_16
    mov [seconds], eax
    cli
%if MODES & 1
    mov dword [(VECTORS + 0) * 4], irq0_16
    mov dword [(VECTORS + 7) * 4], irq7_16
    mov dword [(VECTORS + 8) * 4], irq8_16
    mov dword [(VECTORS + 15) * 4], irq15_16
    phase "real-busy", 1000, RTC_1024_HZ, nop
    phase "real-halted", 100, RTC_128_HZ, hlt
%endif
%if MODES & 6
    lgdt [gdt_pointer]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp KERNEL_CODE32:protected_mode
%else
    jmp end_program_16
%endif

    boot_routines
    phase_routines
    report_routines
    report_data

; ---- protected mode -----------------------------------------------------------------------------------
    bits 32
protected_mode:
    mov ax, KERNEL_DATA
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, KERNEL_STACK
    mov edi, IDT
    mov ecx, 256 * 16 / 4
    xor eax, eax
    rep stosd
%if MODES & 2
    gate_32 0, irq0_32
    gate_32 7, irq7_32
    gate_32 8, irq8_32
    gate_32 15, irq15_32
    lidt [idt_pointer]
    phase "protected-busy", 1000, RTC_1024_HZ, nop
    phase "protected-halted", 100, RTC_128_HZ, hlt
%endif
%if MODES & 4
    mov edi, PML4
    mov ecx, 3 * 0x1000 / 4
    xor eax, eax
    rep stosd
    mov dword [PML4], PDPT | 3
    mov dword [PDPT], PAGE_DIRECTORY64 | 3
    mov dword [PAGE_DIRECTORY64], 0x83  ; the first 2 MiB
    mov eax, PML4
    mov cr3, eax
    mov eax, cr4
    or eax, 0x20                        ; PAE
    mov cr4, eax
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x100                       ; EFER.LME
    wrmsr
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    jmp KERNEL_CODE64:long_mode
%else
    jmp end_program_32
%endif

    phase_routines
    report_routines

; ---- long mode ----------------------------------------------------------------------------------------
    bits 64
long_mode:
    xor eax, eax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov rsp, KERNEL_STACK
    gate_64 0, irq0_64
    gate_64 7, irq7_64
    gate_64 8, irq8_64
    gate_64 15, irq15_64
    lidt [idt_pointer64]
    phase "long-busy", 1000, RTC_1024_HZ, nop
    phase "long-halted", 100, RTC_128_HZ, hlt
    jmp end_program_64

    phase_routines
    report_routines

    string word_phase, "phase "
    string word_irq0, " irq0 "
    string word_rtc, " rtc "
    string word_clock, " clock "
    string word_stalls, " stalls "
    string word_stalled, " stalled "
    string word_tsc, " tsc "
    string word_seconds, "seconds "

    [section .data]
    align 8, db 0
gdt:
    dq 0
    dq 0x00cf9b000000ffff               ; KERNEL_CODE32
    dq 0x00cf93000000ffff               ; KERNEL_DATA
    dq 0x00af9b000000ffff               ; KERNEL_CODE64
gdt_pointer:
    dw gdt_pointer - gdt - 1
    dd gdt
idt_pointer:
    dw 256 * 8 - 1
    dd IDT
idt_pointer64:
    dw 256 * 16 - 1
    dq IDT
    align 8, db 0                       ; dwords, but 64-bit checks read them as quadwords
not_in_service: dq 0                    ; IRQ0 and IRQ8 whose 8259A says that it doesn't serve them
not_flagged:    dq 0                    ; IRQ8 without the RTC's periodic flag
spurious:       dq 0                    ; IRQ7 and IRQ15
tsc_back:       dq 0                    ; looks at which the TSC was below what it had been
tsc_start:      dq 0
tsc_seen:       dq 0
tsc:            dd 0
rtc_ticks:      dd 0
clock:          dd 0
clock_seen:     dd 0
stalls:         dd 0
stalled:        dd 0
late:           dd 0
seconds:        dd 0
phase_name:     dd 0
    __?SECT?__
