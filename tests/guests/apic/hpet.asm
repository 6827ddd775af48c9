; The HPET. IA-PC HPET specification 1.0a, chapter 2.

T_LEVEL     equ 1 << 1
T_ENABLE    equ 1 << 2
T_PERIODIC  equ 1 << 3
T_VAL_SET   equ 1 << 6
T_32_BITS   equ 1 << 8
T_ROUTE_2   equ 2 << 9

    section .text
    bits 32
hpet_checks:
    call forget

    check "hpet-capabilities"
    mov eax, [HPET]
    mov edx, eax
    shr eax, 16
    expect eax, 0x8086
    and edx, 0xbf00
    expect edx, 0xa200                  ; legacy replacement, 64 bits, three timers
    expect [HPET + 4], 10000000         ; femtoseconds
    verdict

    check "hpet-counter"
    mov eax, [HPET_COUNTER]
.advance:
    cmp eax, [HPET_COUNTER]
    je .advance
    mov dword [HPET_CONFIG], 0
    mov eax, [HPET_COUNTER]
    let_come
    expect [HPET_COUNTER], eax
    mov dword [HPET_COUNTER], 0xfffffff0
    mov dword [HPET_COUNTER + 4], 7
    expect [HPET_COUNTER], 0xfffffff0
    expect [HPET_COUNTER + 4], 7
    mov dword [HPET_CONFIG], 1
.carry:
    cmp dword [HPET_COUNTER + 4], 7
    je .carry
    expect [HPET_COUNTER + 4], 8
    verdict

    check "hpet-one-shot"
    redirect 2, 0x59
    mov dword [HPET_TIMER0], T_32_BITS | T_ROUTE_2
    mov eax, [HPET_COUNTER]
    mov ebx, eax
    add eax, 200000
    mov [HPET_COMPARATOR0], eax
    expect [HPET_COMPARATOR0], eax
    mov dword [HPET_TIMER0], T_ENABLE | T_32_BITS | T_ROUTE_2
    wait_count 0x59, 1
    mov eax, [HPET_COUNTER]
    sub eax, ebx
    cmp eax, 200000
    setae al
    movzx eax, al
    expect eax, 1
    wait_ms 4
    expect [COUNTS + 0x59 * 4], 1
    expect [HPET_STATUS], 0             ; edges leave no trace
    verdict

    check "hpet-periodic"
    mov dword [HPET_TIMER0], T_32_BITS | T_ROUTE_2
    mov dword [HPET_TIMER0], T_ENABLE | T_PERIODIC | T_VAL_SET | T_32_BITS | T_ROUTE_2
    mov eax, [HPET_COUNTER]
    add eax, 100000
    mov [HPET_COMPARATOR0], eax
    mov dword [HPET_COMPARATOR0], 100000
    wait_count 0x59, 6
    cmp dword [COUNTS + 0x59 * 4], 6
    setae al
    movzx eax, al
    expect eax, 1
    mov dword [HPET_TIMER0], T_32_BITS | T_ROUTE_2
    let_come
    mov ebx, [COUNTS + 0x59 * 4]
    wait_ms 3
    expect [COUNTS + 0x59 * 4], ebx
    verdict

    check "hpet-level"
    call forget
    mov byte [holds_eoi], 1
    redirect 2, REDIRECT_LEVEL | 0x5a
    mov eax, [HPET_COUNTER]
    add eax, 50000
    mov [HPET_COMPARATOR0], eax
    mov dword [HPET_TIMER0], T_LEVEL | T_ENABLE | T_32_BITS | T_ROUTE_2
    wait_count 0x5a, 1
    expect [COUNTS + 0x5a * 4], 1
    expect [HPET_STATUS], 1
    mov dword [HPET_STATUS], 1
    expect [HPET_STATUS], 0
    mov byte [holds_eoi], 0
    mov dword [APIC + APIC_EOI], 0
    wait_ms 2
    expect [COUNTS + 0x5a * 4], 1
    verdict
    mov dword [HPET_TIMER0], T_32_BITS | T_ROUTE_2

    check "hpet-legacy-replacement"
    call forget
    redirect 2, 0x5b
    call start_pit
    wait_count 0x5b, 1
    cmp dword [COUNTS + 0x5b * 4], 1    ; a host that is late for a millisecond lets two come
    setae al
    movzx eax, al
    expect eax, 1
    mov dword [HPET_CONFIG], 3          ; the 8254 isn't heard any more
    let_come
    mov ebx, [COUNTS + 0x5b * 4]
    wait_ms 5
    expect [COUNTS + 0x5b * 4], ebx
    mov eax, [HPET_COUNTER]             ; timer 0 is, wherever it is routed to
    add eax, 100000
    mov [HPET_COMPARATOR0], eax
    mov dword [HPET_TIMER0], T_ENABLE | T_32_BITS
    inc ebx
    wait_count 0x5b, ebx
    wait_ms 3
    expect [COUNTS + 0x5b * 4], ebx
    mov dword [HPET_TIMER0], T_32_BITS
    mov dword [HPET_CONFIG], 1
    add ebx, 3
    wait_count 0x5b, ebx                ; and the 8254 again
    cmp [COUNTS + 0x5b * 4], ebx
    setae al
    movzx eax, al
    expect eax, 1
    verdict
    redirect 2, REDIRECT_MASKED
    call stop_pit
    let_come                            ; a tick that waits would find no gate in the next mode
    ret
