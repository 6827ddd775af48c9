; Long mode, ring 0: the way in, interrupts on their own stack, exceptions, 4-level paging, and 32-bit code under it.
; SDM volume 3: 4.5 (4-level paging), 6.14 (64-bit interrupts), 9.8.5 (the way in).

PAGE_NO_EXECUTE equ 1 << 31             ; in an entry's upper half
MSR_EFER        equ 0xc0000080
EFER_SCE        equ 1
EFER_LME        equ 0x100
EFER_LMA        equ 0x400
EFER_NXE        equ 0x800

%macro gate64 2-4 0x8e00, 0             ; vector, handler[, type word[, IST number]]
    mov dword [IDT + %1 * 16], (CODE64 << 16) + %2
    mov dword [IDT + %1 * 16 + 4], %3 + %4
    mov qword [IDT + %1 * 16 + 8], 0
%endmacro

; The window's page %1: the lower and the upper half of its entry.
%macro map_window64 2-3 0
    mov dword [PAGE_TABLE64 + %1 * 8], %2
    mov dword [PAGE_TABLE64 + %1 * 8 + 4], %3
    invlpg [WINDOW + %1 * 0x1000]
%endmacro

    section .text
    bits 32

long_mode_checks:
    cli
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax                        ; out of 32-bit paging

    mov edi, PML4
    mov ecx, 4 * 0x1000 / 4             ; all four tables
    xor eax, eax
    rep stosd
%define OPEN PAGE_PRESENT | PAGE_WRITE | PAGE_USER
    mov dword [PML4], PDPT | OPEN
    mov dword [PDPT], PAGE_DIRECTORY64 | OPEN
    mov dword [PAGE_DIRECTORY64], 0 | OPEN | PAGE_LARGE             ; the first 2 MiB
    mov dword [PAGE_DIRECTORY64 + 8], PAGE_TABLE64 | OPEN           ; WINDOW
    mov dword [PAGE_DIRECTORY64 + 16], 0 | OPEN | PAGE_LARGE        ; 4 MiB: the first 2 MiB again
    mov eax, PML4
    mov cr3, eax
    mov eax, cr4
    or eax, 0x20                        ; PAE
    mov cr4, eax
    mov ecx, MSR_EFER
    rdmsr
    or eax, EFER_SCE | EFER_LME | EFER_NXE
    wrmsr
    mov eax, cr0
    or eax, 0x80010000                  ; PG, WP
    mov cr0, eax
    jmp CODE64:long_mode

    bits 64
    report_routines

long_mode:
    xor eax, eax
    mov ds, ax
    mov es, ax
    mov ss, ax                          ; the null selector is good enough for ring 0
    mov rsp, KERNEL_STACK
    mov edi, IDT
    mov ecx, 0x1000 / 8
    rep stosq
    mov edi, TSS64
    mov ecx, 0x68 / 8
    rep stosq
    mov esi, TSS32 + TSS32_BITMAP       ; the same ports as before
    mov ecx, TSS32_LIMIT + 1 - TSS32_BITMAP
    rep movsb
    mov qword [TSS64 + 4], RING0_STACK  ; RSP0
    mov qword [TSS64 + 0x24], IST1_STACK
    mov qword [TSS64 + 0x2c], IST2_STACK
    mov word [TSS64 + 0x66], TSS32_BITMAP
    call set_exception_gates64
    gate64 0x20, irq0_long, 0x8e00, 1
    lidt [idt_pointer64]
    mov ax, LONG_TASK
    ltr ax

    part lm_efer
    check "lm-efer"
    mov ecx, MSR_EFER
    rdmsr
    and eax, EFER_LMA | EFER_LME
    expect rax, EFER_LMA | EFER_LME
    verdict

    end_part

    part lm_interrupts
    check "lm-irq-ist"
    sti
    wait_ticks_busy 50
    wait_ticks_halted 50
    expect [irq_rsp], IST1_STACK - 5 * 8      ; SS, RSP, RFLAGS, CS, RIP
    verdict

    check "lm-irq-stack-alignment"      ; without IST: RSP is aligned to 16 before the frame is pushed
    cli
    gate64 0x20, irq0_long
    mov rbx, rsp
    sub rsp, 4
    sti
    wait_ticks_busy 2
    cli
    mov eax, [irq_rsp]
    and eax, 15
    expect rax, 8                       ; five quadwords below an aligned address
    add rsp, 4
    expect rsp, rbx
    gate64 0x20, irq0_long, 0x8e00, 1
    sti
    verdict

    check "lm-sti-shadow"
    wait_irq0_pending
    watch_irq_return
    sti
    nop
.after_shadow:
    nop
    cli
    expect [irq_return], .after_shadow
    sti
    verdict

    check "lm-registers-over-irq"
    mov edx, [ticks]
    add edx, 100
    mov rax, 0x1111111122222222
    mov r8, rax
    mov r15, 0x123456789abcdef0
    mov r14, r15
    mov rbp, 0x7777777788888888
.spin:
    cmp [ticks], edx
    js .spin
    expect rax, r8
    expect r15, r14
    mov rax, 0x7777777788888888
    expect rbp, rax
    verdict

    end_part

    part lm_exceptions
    call exception_checks64
    end_part
    call paging_checks64
    part lm_undisturbed
    call counter_checks64
    end_part
    call instruction_checks64
    jmp long_user_checks

; ---- exceptions ---------------------------------------------------------------------------------------
exception_checks64:
    check "lm-divide-error"
    xor edx, edx
    xor ecx, ecx
    mov eax, 1
    expect_fault 0, 0, div rcx
    verdict

    check "lm-invalid-opcode"
    expect_fault 6, 0, ud2
    expect_fault 6, 0, db 0x06          ; PUSH ES is none here
    verdict

    check "lm-breakpoint"
    mov dword [trap_vector], -1
    mov dword [trap_resume], .after_int3
    int3
.after_int3:
    expect [trap_vector], 3
    expect [trap_eip], .after_int3
    verdict

    check "lm-general-protection"
    mov eax, 0x1238
    expect_fault 13, 0x1238, mov fs, ax
    mov rax, 0x0000800000000000         ; not canonical
    expect_fault 13, 0, mov ebx, [rax]
    verdict

    check "lm-double-fault-ist"
    mov dword [IDT + 13 * 16 + 4], 0x0e00
    gate64 8, exception_entries64 + 8 * 16, 0x8e00, 2
    mov eax, 0x1238
    faulted 8, 0, mov fs, ax
    expect [trap_rsp], IST2_STACK - 6 * 8      ; with its error code
    call set_exception_gates64
    verdict

    check "lm-single-step"
    gate64 1, note_step_long
    mov dword [step_count], 0
    pushfq
    pop rdx
    mov eax, edx
    or ah, 1
    push rax
    popfq
    nop
.step_second:
    push rdx
.step_third:
    popfq
.step_end:
    expect [step_count], 3
    movzx eax, word [steps]
    expect rax, .step_second
    movzx eax, word [steps + 2]
    expect rax, .step_third
    movzx eax, word [steps + 4]
    expect rax, .step_end
    call set_exception_gates64
    verdict
    ret

; ---- paging -------------------------------------------------------------------------------------------
paging_checks64:
    part lm_page_faults
    check "lm-page-fault"
    map_window64 0, 0
    expect_fault 14, ERROR_WRITE, mov dword [WINDOW + 0x123], 1
    expect [trap_cr2], WINDOW + 0x123
    mov rbx, 0xffff900000000010
    expect_fault 14, 0, mov eax, [rbx]
    expect [trap_cr2], rbx
    map_window64 0, FRAME_A | PAGE_PRESENT
    expect_fault 14, ERROR_PRESENT | ERROR_WRITE, inc dword [WINDOW]
    verdict

    check "lm-page-fault-retry-20000"
    gate64 14, mend_window64
    mov dword [FRAME_A], 0x1234
    mov dword [interrupts], 0
    mov ecx, 20000
    xor ebx, ebx
.retry:
    map_window64 0, 0
    add ebx, [WINDOW]
    loop .retry
    expect [interrupts], 20000
    expect rbx, 20000 * 0x1234
    call set_exception_gates64
    verdict

    check "lm-no-execute"
    mov dword [FRAME_A], 0x000077b8           ; mov eax, 77h; ret
    mov word [FRAME_A + 4], 0xc300
    map_window64 0, FRAME_A | PAGE_PRESENT | PAGE_WRITE
    mov esi, WINDOW
    call rsi
    expect rax, 0x77
    map_window64 0, FRAME_A | PAGE_PRESENT | PAGE_WRITE, PAGE_NO_EXECUTE
    mov eax, [WINDOW]                               ; reading is allowed
    mov rbx, rsp
    faulted 14, ERROR_PRESENT | ERROR_FETCH, call rsi
    mov rsp, rbx
    expect [trap_eip], WINDOW
    expect [trap_cr2], WINDOW
    verdict

    check "lm-reserved-bit"             ; bits 20:13 of a large page's entry must be 0
    mov dword [PAGE_DIRECTORY64 + 24], PAGE_PRESENT | PAGE_LARGE | 1 << 13
    mov dword [trap_resume], .after_reserved
    mov eax, [0x600000]
.after_reserved:
    expect [trap_vector], 14
    expect [trap_cr2], 0x600000
    mov eax, [trap_error]
    and eax, 8                          ; RSVD; QEMU leaves P clear here, so look at this bit only
    expect rax, 8
    verdict

    end_part

    part lm_large_pages
    check "lm-large-page-alias"         ; two large pages over the same memory, and code changed through one of them
    mov dword [SCRATCH], 0x000011b8
    mov word [SCRATCH + 4], 0xc300
    mov esi, SCRATCH
    call rsi
    expect rax, 0x11
    mov byte [0x400000 + SCRATCH + 1], 0x22
    call rsi
    expect rax, 0x22
    verdict
    end_part
    ret

; ---- exact counters -----------------------------------------------------------------------------------
counter_checks64:
    check "lm-counters-exact"
    set_irq0_rate 4000
    mov edi, COUNTERS
    xor eax, eax
    mov ecx, 8
    rep stosq
    mov ecx, EXACT_COUNT
    mov rdx, 0x100000001
    mov r9d, COUNTERS
.count:
    inc qword [r9]
    add [r9 + 8], rdx
    mov eax, 1
    lock xadd [r9 + 16], rax
    push qword [r9]
    pop qword [r9 + 24]
    dec ecx
    jnz .count
    expect [r9], EXACT_COUNT
    mov rax, 0x100000001 * EXACT_COUNT
    expect [r9 + 8], rax
    expect [r9 + 16], EXACT_COUNT
    expect [r9 + 24], EXACT_COUNT
    verdict

    check "lm-sse-over-irq"
    gate64 0x20, irq0_spoiling_sse, 0x8e00, 1
    mov rax, 0x4045000000000000         ; 42.0
    movq xmm3, rax
    movq xmm12, rax
    addsd xmm12, xmm12
    mov ecx, [ticks]
    add ecx, 100
.spin:
    movaps xmm13, xmm12
    movaps xmm4, xmm3
    cmp [ticks], ecx
    js .spin
    cvttsd2si rax, xmm13
    expect rax, 84
    cvttsd2si rax, xmm4
    expect rax, 42
    gate64 0x20, irq0_long, 0x8e00, 1
    set_irq0_rate 1000
    verdict
    ret

; ---- instructions -------------------------------------------------------------------------------------
instruction_checks64:
    part lm_instructions
    check "lm-instructions"
    mov rax, -1
    mov eax, eax                        ; a 32-bit result clears the upper half
    mov rbx, 0xffffffff
    expect rax, rbx
    mov rax, 0x8000000000000001
    mul rax
    mov rbx, 0x4000000000000001
    expect rdx, rbx
    mov rax, 1
    mov rdx, 2
    mov [SCRATCH], rax
    mov [SCRATCH + 8], rdx
    mov rbx, 0x55
    mov rcx, 0x66
    lock cmpxchg16b [SCRATCH]
    setz al
    movzx eax, al
    expect rax, 1
    expect [SCRATCH], 0x55
    expect [SCRATCH + 8], 0x66
    movsxd rax, dword [rel minus_two]
    expect rax, -2
    bsr rax, [rel minus_two]
    expect rax, 63
    verdict

    check "lm-fs-gs-base"
    mov ecx, 0xc0000101                 ; GS.base
    mov eax, 0x55667788
    mov edx, 0x00001122
    wrmsr
    inc ecx                             ; what SWAPGS puts there
    mov eax, SCRATCH
    xor edx, edx
    wrmsr
    mov qword [SCRATCH + 0x20], 0x1357
    swapgs
    expect [gs:0x20], 0x1357
    swapgs
    dec ecx
    rdmsr
    expect rdx, 0x1122
    verdict

    end_part

    part lm_compatibility
    check "lm-compatibility-mode"       ; 32-bit code under long mode, with interrupts through 64-bit gates
    mov r15, 0x123456789abcdef0
    push CODE32
    push compatibility_code
    retfq                               ; comes back with a far jump
compatibility_back:
    xor eax, eax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov rax, 0x123456789abcdef0
    expect r15, rax
    expect [compat_result], 0x0f
    verdict
    end_part
    ret

    bits 32
compatibility_code:
    mov ax, DATA32
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov eax, 0x10
    db 0x48                             ; DEC EAX here, a prefix in 64-bit mode
    mov [compat_result], eax
    wait_ticks_busy 20
    wait_ticks_halted 5
    jmp CODE64:compatibility_back
    bits 64

; ---- handlers -----------------------------------------------------------------------------------------
set_exception_gates64:
    push rax
    push rcx
    push rdi
    mov edi, IDT
    mov eax, exception_entries64
    mov ecx, 32
.next:
    mov [edi], ax                       ; all code lies below 64 KiB
    mov word [edi + 2], CODE64
    mov dword [edi + 4], 0x8e00
    mov qword [edi + 8], 0
    add eax, 16
    add edi, 16
    loop .next
    pop rdi
    pop rcx
    pop rax
    ret

    align 16
exception_entries64:
    exception_entries exception64

; Stack: RAX, vector, error code, RIP, CS, RFLAGS, RSP, SS
exception64:
    push rax
    mov rax, [rsp + 8]
    mov [trap_vector], eax
    mov rax, [rsp + 16]
    mov [trap_error], eax
    mov rax, [rsp + 24]
    mov [trap_eip], eax
    mov rax, cr2
    mov [trap_cr2], rax
    lea rax, [rsp + 16]
    mov [trap_rsp], eax
    mov eax, [trap_resume]
    test eax, eax
    jz .unexpected
    mov dword [trap_resume], 0
    mov [rsp + 24], rax
    pop rax
    add rsp, 16
    iretq
.unexpected:
    call report_exception_64
    mov al, EXIT_STOPPED
    mov dx, DEBUG_EXIT
    out dx, al
.halt:
    cli
    hlt
    jmp .halt

    report_exception_routine

irq0_long:
    inc dword [ticks]
    mov [irq_rsp], esp
    push rax
    mov rax, [rsp + 8]
    cmp dword [irq_return], 0
    jne .noted
    mov [irq_return], eax
.noted:
    test byte [rsp + 16], 3
    jz .kernel
    inc dword [ticks_in_ring3]
.kernel:
    write_port PIC1, EOI
    pop rax
    iretq

irq0_spoiling_sse:
    fxsave64 [SCRATCH + 0x200]
    pxor xmm3, xmm3
    pxor xmm4, xmm4
    pxor xmm12, xmm12
    pxor xmm13, xmm13
    fxrstor64 [SCRATCH + 0x200]
    jmp irq0_long

mend_window64:
    add rsp, 8
    mov dword [PAGE_TABLE64], FRAME_A | PAGE_PRESENT | PAGE_WRITE
    inc dword [interrupts]
    iretq

note_step_long:
    push rax
    push rbx
    mov ebx, [step_count]
    cmp ebx, 8
    jae .full
    mov rax, [rsp + 16]
    mov [steps + rbx * 2], ax
    inc dword [step_count]
.full:
    pop rbx
    pop rax
    iretq

    [section .data]
    align 8, db 0
idt_pointer64:
    dw 256 * 16 - 1
    dq IDT
minus_two:      dq -2
irq_rsp:        dq 0
trap_rsp:       dq 0
compat_result:  dq 0
    __?SECT?__
