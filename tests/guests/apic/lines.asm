; From lines to the CPU: the 8259A through LINT0, and the I/O APIC. SDM volume 3A, 11.5.1; datasheet of the 82093AA.

; Entry %1 of the redirection table: its low doubleword. The high one is 0: physical destination 0. EAX is lost.
%macro redirect 2
    mov dword [IOAPIC_INDEX], 0x11 + %1 * 2
    mov dword [IOAPIC_DATA], 0
    mov dword [IOAPIC_INDEX], 0x10 + %1 * 2
    mov dword [IOAPIC_DATA], %2
%endmacro

; %1 milliseconds with interrupts on, by the HPET's counter. EAX and EDX are lost.
%macro wait_ms 1
    mov edx, [HPET_COUNTER]
    sti
%%wait:
    mov eax, [HPET_COUNTER]
    sub eax, edx
    cmp eax, %1 * 100000
    jb %%wait
    cli
%endmacro

    section .text
    bits 32
initialise_pics:
    write_port PIC1, 0x11
    write_port PIC2, 0x11
    write_port PIC1 + 1, VECTOR_PIC
    write_port PIC2 + 1, VECTOR_PIC + 8
    write_port PIC1 + 1, 4
    write_port PIC2 + 1, 2
    write_port PIC1 + 1, 1
    write_port PIC2 + 1, 1
    write_port PIC1 + 1, 0xff
    write_port PIC2 + 1, 0xff
    ret

; IRQ0 1000 times a second.
start_pit:
    write_port PIT_CONTROL, 0x34
    write_port PIT_CHANNEL0, (PIT_HZ / 1000) & 0xff
    write_port PIT_CHANNEL0, (PIT_HZ / 1000) >> 8
    ret

; A control word without a count: IRQ0 is low and stays so.
stop_pit:
    write_port PIT_CONTROL, 0x30
    ret

line_checks:
    call forget
    call initialise_pics
    call start_pit

    check "apic-extint-through-lint0"
    mov dword [APIC + APIC_LVT_LINT0], LVT_EXTINT
    write_port PIC1 + 1, 0xfe
    wait_count VECTOR_PIC, 5
    cmp dword [COUNTS + VECTOR_PIC * 4], 5
    setae al
    movzx eax, al
    expect eax, 1
    expect [APIC + APIC_ISR + 0x10], 0  ; it bypasses the local APIC's registers
    mov dword [APIC + APIC_LVT_LINT0], LVT_MASKED | LVT_EXTINT
    mov ebx, [COUNTS + VECTOR_PIC * 4]
    wait_ms 5
    expect [COUNTS + VECTOR_PIC * 4], ebx
    mov dword [APIC + APIC_LVT_LINT0], LVT_EXTINT
    add ebx, 3
    wait_count VECTOR_PIC, ebx
    cmp [COUNTS + VECTOR_PIC * 4], ebx
    setae al
    movzx eax, al
    expect eax, 1
    verdict
    write_port PIC1 + 1, 0xff
    mov dword [APIC + APIC_LVT_LINT0], LVT_MASKED

    check "ioapic-identity"
    mov dword [IOAPIC_INDEX], 1
    mov eax, [IOAPIC_DATA]
    shr eax, 16
    expect eax, 23                      ; the last input
    mov dword [IOAPIC_INDEX], 0
    mov dword [IOAPIC_DATA], 0x05000000
    expect [IOAPIC_DATA], 0x05000000
    mov dword [IOAPIC_DATA], 0
    verdict

    check "ioapic-edge"                 ; IRQ0 comes in on input 2
    call forget
    redirect 2, 0x58
    wait_count 0x58, 5
    cmp dword [COUNTS + 0x58 * 4], 5
    setae al
    movzx eax, al
    expect eax, 1
    expect [IOAPIC_DATA], 0x58
    verdict

    check "ioapic-mask"
    redirect 2, REDIRECT_MASKED | 0x58
    let_come
    mov ebx, [COUNTS + 0x58 * 4]
    wait_ms 5
    expect [COUNTS + 0x58 * 4], ebx
    call stop_pit
    wait_ms 3                           ; some timers tick once more
    redirect 2, 0x58                    ; edges that came while it was masked are gone
    wait_ms 2
    expect [COUNTS + 0x58 * 4], ebx
    verdict
    redirect 2, REDIRECT_MASKED

    check "ioapic-level"                ; the real-time clock's line is up until register C is read
    call forget
    call quiet_rtc
    mov dword [line_left], 2
    mov byte [holds_eoi], 1
    redirect 8, REDIRECT_LEVEL | VECTOR_LINE
    write_port CMOS_INDEX, 0x0a
    write_port CMOS_DATA, 0x26
    write_port CMOS_INDEX, 0x0b
    write_port CMOS_DATA, 0x42          ; periodic interrupt
    wait_count VECTOR_LINE, 1
    wait_ms 3
    expect [COUNTS + VECTOR_LINE * 4], 1
    mov dword [IOAPIC_INDEX], 0x10 + 8 * 2
    expect [IOAPIC_DATA], REMOTE_IRR | REDIRECT_LEVEL | VECTOR_LINE
    expect [APIC + APIC_TMR + 0x20], 1 << (VECTOR_LINE & 31)
    expect [APIC + APIC_ISR + 0x20], 1 << (VECTOR_LINE & 31)
    mov byte [holds_eoi], 0
    mov dword [APIC + APIC_EOI], 0      ; the line is up still: it comes again, and once more
    wait_count VECTOR_LINE, 3
    wait_ms 3
    expect [COUNTS + VECTOR_LINE * 4], 3
    expect [IOAPIC_DATA], REDIRECT_LEVEL | VECTOR_LINE
    verdict
    redirect 8, REDIRECT_MASKED

    check "ioapic-level-unmasked"       ; a line that went up while it was masked
    call forget
    mov dword [line_left], 0
    redirect 8, REDIRECT_MASKED | REDIRECT_LEVEL | VECTOR_LINE
    write_port CMOS_INDEX, 0x0b
    write_port CMOS_DATA, 0x42
    wait_ms 3
    expect [COUNTS + VECTOR_LINE * 4], 0
    redirect 8, REDIRECT_LEVEL | VECTOR_LINE
    wait_count VECTOR_LINE, 1
    wait_ms 2
    expect [COUNTS + VECTOR_LINE * 4], 1
    verdict
    redirect 8, REDIRECT_MASKED
    ret
