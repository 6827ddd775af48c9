; 64-bit mode: CR8 is the task priority's upper half (SDM volume 3A, 11.8.6). At last the local APIC is switched off (11.4.3).

MSR_EFER    equ 0xc0000080

%macro gate64 2                         ; vector, handler
    mov qword [IDT + %1 * 16 + 8], 0
    mov rax, %2
    mov [IDT + %1 * 16], ax
    mov word [IDT + %1 * 16 + 2], CODE64
    mov word [IDT + %1 * 16 + 4], 0x8e00
    shr rax, 16
    mov [IDT + %1 * 16 + 6], ax
%endmacro

; The same in 64-bit mode, where the frame has RSP and SS too; the stack is the interrupted one's, which isn't switched.
%macro return_from_interrupt_64 0
    push rax
    push rbx
    mov rbx, [rsp + 40]                 ; RSP; below it goes what RETF and one POP take
    push qword [rsp + 32]               ; RFLAGS
    mov rax, [rsp + 24]                 ; RIP
    mov [rbx - 16], rax
    mov rax, [rsp + 32]                 ; CS
    mov [rbx - 8], rax
    mov rax, [rsp + 8]                  ; RBX
    mov [rbx - 24], rax
    popfq
    mov rax, [rsp + 8]
    lea rsp, [rbx - 24]
    pop rbx
    retfq
%endmacro

    section .text
    bits 32
long_mode_checks:
    mov edi, PML4
    xor eax, eax
    mov ecx, 2 * 1024
    rep stosd
    mov dword [PML4], PDPT | 3
    mov eax, PAGE_DIRECTORIES | 3
    mov edi, PDPT
    mov ecx, 4
.directory:
    mov [edi], eax
    add eax, 0x1000
    add edi, 8
    loop .directory
    mov edi, PAGE_DIRECTORIES
    mov eax, 0x83                       ; 2 MiB, present, writable
    mov ecx, 2048
.page:
    mov [edi], eax
    mov dword [edi + 4], 0
    add eax, 0x200000
    add edi, 8
    loop .page
    mov eax, cr4
    or eax, 0x20                        ; PAE
    mov cr4, eax
    mov eax, PML4
    mov cr3, eax
    mov ecx, MSR_EFER
    rdmsr
    or eax, 0x100                       ; LME
    wrmsr
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    jmp CODE64:.long

    bits 64
    default abs
.long:
    mov edi, IDT
    xor eax, eax
    mov ecx, 256 * 16 / 8
    rep stosq
    gate64 0x55, ipi_64
    gate64 VECTOR_PIC, pic_64
    lidt [idt_pointer_64]
    mov edi, COUNTS
    xor eax, eax
    mov ecx, 128
    rep stosq

    check "cr8-is-the-task-priority"
    mov rsi, APIC
    mov eax, 5
    mov cr8, rax
    mov eax, [rsi + APIC_TPR]
    expect rax, 0x50
    mov dword [rsi + APIC_TPR], 0x73
    mov rax, cr8
    expect rax, 7
    verdict

    check "cr8-masks"
    mov eax, 5
    mov cr8, rax
    mov dword [rsi + APIC_ICR_LOW], TO_SELF | 0x55
    let_come
    mov eax, [COUNTS + 0x55 * 4]
    expect rax, 0
    sti
    mov eax, 4
    mov cr8, rax
    nop
    nop
    cli
    mov eax, [COUNTS + 0x55 * 4]
    expect rax, 1
    xor eax, eax
    mov cr8, rax
    verdict

    check "apic-switched-off"           ; the 8259A reaches the CPU by itself; QEMU wants LINT0 open all the same
    mov dword [rsi + APIC_LVT_LINT0], LVT_EXTINT
    mov ecx, MSR_APIC_BASE
    rdmsr
    and eax, ~0x800
    wrmsr
    rdmsr
    and eax, 0x800
    expect rax, 0
    write_port PIT_CONTROL, 0x34
    write_port PIT_CHANNEL0, (PIT_HZ / 1000) & 0xff
    write_port PIT_CHANNEL0, (PIT_HZ / 1000) >> 8
    write_port PIC1 + 1, 0xfe
    wait_count VECTOR_PIC, 5
    cmp dword [COUNTS + VECTOR_PIC * 4], 5
    setae al
    movzx eax, al
    expect rax, 1
    verdict

    mov esi, text_done
    call print_string_64
    mov al, EXIT_DONE
    mov dx, DEBUG_EXIT
    out dx, al
.halt:
    cli
    hlt
    jmp .halt

ipi_64:
    inc dword [COUNTS + 0x55 * 4]
    push rax
    mov rax, APIC
    mov dword [rax + APIC_EOI], 0
    pop rax
    return_from_interrupt_64

pic_64:
    inc dword [COUNTS + VECTOR_PIC * 4]
    push rax
    write_port PIC1, 0x20
    pop rax
    return_from_interrupt_64

    report_routines

    [section .data]
idt_pointer_64:
    dw 256 * 16 - 1
    dq IDT
    __?SECT?__
