; The local APIC: identity, interrupts to oneself, priorities. SDM volume 3A, 11.4, 11.6, 11.8.

%macro send_to_self 1
    mov dword [APIC + APIC_ICR_LOW], TO_SELF | %1
%endmacro

    section .text
    bits 32
local_apic_checks:
    check "apic-cpuid"
    mov eax, 1
    cpuid
    and edx, 1 << 9
    expect edx, 1 << 9
    verdict

    check "apic-base-msr"
    mov ecx, MSR_APIC_BASE
    rdmsr
    expect eax, APIC | 0x900            ; enabled, the first CPU
    expect edx, 0
    verdict

    check "apic-identity"
    expect [APIC + APIC_ID], 0
    mov eax, [APIC + APIC_VERSION]
    expect eax, 0x50014                 ; six LVT entries
    verdict

    check "apic-spurious-register"
    mov dword [APIC + APIC_SVR], 0x100 | SPURIOUS
    expect [APIC + APIC_SVR], 0x100 | SPURIOUS
    verdict
    mov dword [APIC + APIC_LVT_LINT0], LVT_MASKED
    mov dword [APIC + APIC_LVT_LINT1], LVT_MASKED
    mov dword [APIC + APIC_LVT_TIMER], LVT_MASKED
    mov dword [APIC + APIC_TPR], 0

    check "apic-self-ipi"
    send_to_self 0x51
    expect [APIC + APIC_IRR + 0x20], 1 << 0x11
    wait_count 0x51, 1
    let_come
    expect [COUNTS + 0x51 * 4], 1
    expect [APIC + APIC_IRR + 0x20], 0
    expect [APIC + APIC_ISR + 0x20], 0
    verdict

    check "apic-ipi-physical"
    mov dword [APIC + APIC_ICR_HIGH], 0
    mov dword [APIC + APIC_ICR_LOW], 0x52
    wait_count 0x52, 1
    mov dword [APIC + APIC_ICR_HIGH], 0xff << 24
    mov dword [APIC + APIC_ICR_LOW], 0x52
    wait_count 0x52, 2
    mov dword [APIC + APIC_ICR_HIGH], 5 << 24
    mov dword [APIC + APIC_ICR_LOW], 0x52
    let_come
    expect [COUNTS + 0x52 * 4], 2
    verdict

    check "apic-ipi-logical-flat"
    mov dword [APIC + APIC_DFR], 0xffffffff
    mov dword [APIC + APIC_LDR], 4 << 24
    mov dword [APIC + APIC_ICR_HIGH], 6 << 24
    mov dword [APIC + APIC_ICR_LOW], LOGICAL | 0x53
    wait_count 0x53, 1
    mov dword [APIC + APIC_ICR_HIGH], 2 << 24
    mov dword [APIC + APIC_ICR_LOW], LOGICAL | 0x53
    let_come
    expect [COUNTS + 0x53 * 4], 1
    verdict

    check "apic-ipi-logical-cluster"
    mov dword [APIC + APIC_DFR], 0x0fffffff
    expect [APIC + APIC_DFR], 0x0fffffff
    mov dword [APIC + APIC_LDR], 0x21 << 24
    mov dword [APIC + APIC_ICR_HIGH], 0x23 << 24
    mov dword [APIC + APIC_ICR_LOW], LOGICAL | 0x55
    wait_count 0x55, 1
    mov dword [APIC + APIC_ICR_HIGH], 0x31 << 24
    mov dword [APIC + APIC_ICR_LOW], LOGICAL | 0x55
    let_come
    expect [COUNTS + 0x55 * 4], 1
    verdict
    mov dword [APIC + APIC_DFR], 0xffffffff

    check "apic-lowest-priority"
    mov dword [APIC + APIC_LDR], 1 << 24
    mov dword [APIC + APIC_ICR_HIGH], 1 << 24
    mov dword [APIC + APIC_ICR_LOW], LOGICAL | 0x100 | 0x56
    wait_count 0x56, 1
    expect [COUNTS + 0x56 * 4], 1
    verdict

    check "apic-task-priority"
    call forget
    mov dword [APIC + APIC_TPR], 0x57
    expect [APIC + APIC_PPR], 0x57
    send_to_self 0x5f                   ; the same class: held back
    let_come
    expect [COUNTS + 0x5f * 4], 0
    expect [APIC + APIC_IRR + 0x20], 1 << 0x1f
    send_to_self 0x60
    wait_count 0x60, 1
    expect [COUNTS + 0x60 * 4], 1
    mov dword [APIC + APIC_TPR], 0x4f
    wait_count 0x5f, 1
    expect [COUNTS + 0x5f * 4], 1
    mov dword [APIC + APIC_TPR], 0
    verdict

    check "apic-order"                  ; the highest vector first
    call forget
    send_to_self 0x51
    send_to_self 0x81
    send_to_self 0x61
    send_to_self 0x81                   ; once more while it waits: still one
    wait_count 0x51, 1
    let_come
    expect [order_length], 3
    expect [ORDER], 0x516181
    verdict

    check "apic-nesting"                ; what is in service holds back its class and those below
    call forget
    mov byte [holds_eoi], 1
    send_to_self 0x71
    wait_count 0x71, 1
    expect [APIC + APIC_ISR + 0x30], 1 << 0x11
    expect [APIC + APIC_PPR], 0x70
    send_to_self 0x75
    send_to_self 0x61
    let_come
    expect [order_length], 1
    send_to_self 0x81
    wait_count 0x81, 1
    expect [APIC + APIC_PPR], 0x80
    mov byte [holds_eoi], 0
    mov dword [APIC + APIC_EOI], 0      ; ends 81h
    let_come
    expect [order_length], 2
    expect [APIC + APIC_PPR], 0x70
    mov dword [APIC + APIC_EOI], 0      ; ends 71h
    wait_count 0x61, 1
    expect [order_length], 4
    expect [ORDER], 0x61758171
    expect [APIC + APIC_PPR], 0
    verdict

    check "apic-eoi-without-interrupt"
    mov dword [APIC + APIC_EOI], 0
    send_to_self 0x51
    wait_count 0x51, 1
    expect [COUNTS + 0x51 * 4], 1
    verdict
    ret
