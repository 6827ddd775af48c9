; The local APIC's timer. SDM volume 3A, 11.5.4.

    section .text
    bits 32
timer_checks:
    call forget
    mov dword [HPET_CONFIG], 1

    check "apic-timer-counts-down"
    mov dword [APIC + APIC_DIVIDE], DIVIDE_BY_16
    mov dword [APIC + APIC_LVT_TIMER], LVT_MASKED | 0x61
    mov dword [APIC + APIC_INITIAL_COUNT], 0xffffffff
    mov edx, [HPET_COUNTER]             ; 100 MHz, 1 GHz / 16: 16 counts last as long as 1.6 of HPET's
    mov ebx, [APIC + APIC_CURRENT_COUNT]
.count:
    mov eax, ebx
    sub eax, [APIC + APIC_CURRENT_COUNT]
    cmp eax, 100000
    jb .count
    mov eax, [HPET_COUNTER]
    sub eax, edx
    cmp eax, 160000
    setae al
    movzx eax, al
    expect eax, 1
    expect [APIC + APIC_INITIAL_COUNT], 0xffffffff
    mov dword [APIC + APIC_INITIAL_COUNT], 0
    expect [APIC + APIC_CURRENT_COUNT], 0
    verdict

    check "apic-timer-one-shot"
    mov dword [APIC + APIC_DIVIDE], DIVIDE_BY_1
    mov dword [APIC + APIC_LVT_TIMER], 0x61
    mov dword [APIC + APIC_INITIAL_COUNT], 1000000
    wait_count 0x61, 1
    let_come
    expect [COUNTS + 0x61 * 4], 1
    expect [APIC + APIC_CURRENT_COUNT], 0
    verdict

    check "apic-timer-masked"
    mov dword [APIC + APIC_LVT_TIMER], LVT_MASKED | 0x61
    mov dword [APIC + APIC_INITIAL_COUNT], 1000
.runs:
    cmp dword [APIC + APIC_CURRENT_COUNT], 0
    jne .runs
    let_come
    mov dword [APIC + APIC_LVT_TIMER], 0x61
    let_come
    expect [COUNTS + 0x61 * 4], 1
    verdict

    check "apic-timer-periodic"
    mov dword [APIC + APIC_LVT_TIMER], LVT_PERIODIC | 0x62
    mov dword [APIC + APIC_INITIAL_COUNT], 2000000
    wait_count 0x62, 5
    mov dword [APIC + APIC_INITIAL_COUNT], 0
    sti
    nop
    nop
    cli
    mov ebx, [COUNTS + 0x62 * 4]
    cmp ebx, 5
    setae al
    movzx eax, al
    expect eax, 1
    let_come
    expect [COUNTS + 0x62 * 4], ebx
    verdict

    check "apic-timer-wakes"            ; out of HLT
    mov dword [APIC + APIC_LVT_TIMER], 0x63
    mov dword [APIC + APIC_INITIAL_COUNT], 1000000
    sti
    hlt
    cli
    expect [COUNTS + 0x63 * 4], 1
    verdict

    check "apic-timer-tsc-deadline"
    mov eax, 1
    cpuid
    test ecx, 1 << 24
    jz .no_deadline
    mov dword [APIC + APIC_LVT_TIMER], LVT_TSC_DEADLINE | 0x64
    expect [APIC + APIC_CURRENT_COUNT], 0
    rdtsc
    mov ebx, eax
    mov esi, edx
    add eax, 5000000
    adc edx, 0
    mov ecx, MSR_TSC_DEADLINE
    wrmsr
    wait_count 0x64, 1
    expect [COUNTS + 0x64 * 4], 1
    rdtsc
    sub eax, ebx
    sbb edx, esi
    sub eax, 5000000
    sbb edx, 0
    shr edx, 31                         ; not before its time
    expect edx, 0
    mov ecx, MSR_TSC_DEADLINE
    rdmsr
    or eax, edx
    expect eax, 0                       ; it is disarmed
.no_deadline:
    verdict
    mov dword [APIC + APIC_LVT_TIMER], LVT_MASKED
    ret
