; 32-bit protected mode without paging: descriptors, interrupts, exceptions.
; SDM volume 3: chapters 3 (segments), 6 (interrupts and exceptions).

; ---- descriptors --------------------------------------------------------------------------------------
%macro descriptor 4                     ; base, limit, access byte, flags (G, D/B, L, AVL)
    dw (%2) & 0xffff, (%1) & 0xffff
    db (%1) >> 16 & 0xff, %3, (%4) << 4 | (%2) >> 16 & 15, (%1) >> 24 & 0xff
%endmacro

    [section .data]
    align 8, db 0
gdt:
    dq 0
    descriptor 0, 0xfffff, 0x9b, 0xc    ; CODE32
    descriptor 0, 0xfffff, 0x93, 0xc    ; DATA32
    descriptor 0, 0xfffff, 0xfb, 0xc    ; USER_CODE32
    descriptor 0, 0xfffff, 0xf3, 0xc    ; USER_DATA32
    descriptor 0, 0xfffff, 0x9b, 0xa    ; CODE64
    descriptor 0, 0xfffff, 0x93, 0xc    ; DATA64
    descriptor 0, 0xfffff, 0xfb, 0xc    ; SYSRET_BASE
    descriptor 0, 0xfffff, 0xf3, 0xc    ; USER_DATA64
    descriptor 0, 0xfffff, 0xfb, 0xa    ; USER_CODE64
    descriptor 0, 0x0ffff, 0x9b, 0x0    ; CODE16
    descriptor 0, 0x0ffff, 0x93, 0x0    ; DATA16
    descriptor 0, 0xfffff, 0x13, 0xc    ; ABSENT_DATA
    dw call_gate_target, CODE32, 0xec02, 0  ; CALL_GATE: DPL 3, copies two dwords
    descriptor TSS32, TSS32_LIMIT, 0x89, 0  ; MAIN_TASK
gdt_other_task:
    descriptor TSS_TASK, 0x67, 0x89, 0  ; OTHER_TASK
    descriptor TSS_TASK, 0x40, 0x89, 0  ; SHORT_TASK
    descriptor TSS64, TSS32_LIMIT, 0x89, 0    ; LONG_TASK
    dq 0
gdt_end:
gdt_pointer:
    dw gdt_end - gdt - 1
    dd gdt
idt_pointer:
    dw 256 * 8 - 1
    dd IDT
    __?SECT?__

; ---- gates --------------------------------------------------------------------------------------------
%macro gate32 2-3 0x8e00                ; vector, handler[, type word]: an interrupt gate of DPL 0 unless told
    mov dword [IDT + %1 * 8], (CODE32 << 16) + %2
    mov dword [IDT + %1 * 8 + 4], %3
%endmacro

; Thirty-two entry points, 16 bytes apart, that give every exception the same frame: vector, error code (0 where the CPU
; pushes none), then the CPU's own. The macro is for 32- and 64-bit code.
%macro exception_entries 1              ; where they go on
  %assign vector 0
  %rep 32
    align 16
    %if vector != 8 && (vector < 10 || vector > 14) && vector != 17
    push 0
    %endif
    push vector
    jmp %1
    %assign vector vector + 1
  %endrep
%endmacro

; Runs %3, which must raise exception %1 with error code %2 as a fault. Usable in any ring.
; `faulted` leaves out the instruction pointer, for instructions with several parts.
%macro faulted 3+
    mov dword [trap_vector], -1
    mov dword [trap_resume], %%resume
    %3
%%resume:
    mov dword [trap_resume], 0
    expect [trap_vector], %1
    expect [trap_error], %2
%endmacro

%macro expect_fault 3+
    faulted %1, %2, %%instruction: %3
    expect [trap_eip], %%instruction
%endmacro

    section .text
    bits 16
enter_protected_mode:
    cli
    lgdt [gdt_pointer]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp CODE32:protected_mode

    bits 32
    report_routines

protected_mode:
    mov ax, DATA32
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov fs, ax
    mov gs, ax
    mov esp, KERNEL_STACK
    mov edi, IDT
    xor eax, eax
    mov ecx, 256 * 8 / 4
    rep stosd
    call set_exception_gates
    gate32 0x20, irq0_protected
    lidt [idt_pointer]
    initialise_pics 0x20, 0x28, 0xfe, 0xff
    set_irq0_rate 1000

    mov eax, MAIN_TASK
    ltr ax

    part pm_interrupts
    check "pm-irq"
    sti
    wait_ticks_busy 50
    wait_ticks_halted 50
    verdict

    check "pm-sti-shadow"
    wait_irq0_pending
    watch_irq_return
    sti
    nop
.after_shadow:
    nop
    cli
    expect [irq_return], .after_shadow
    verdict

    check "pm-mov-ss-shadow"
    mov dword [forbidden_hits], 0
    mov dword [forbidden], .after_mov_ss
    mov ebx, [ticks]
    add ebx, 50
    mov dx, DATA32
    sti
    nop                                 ; of shadows in a row only the first is promised
.mov_ss:
    mov ss, dx
.after_mov_ss:
    mov esp, KERNEL_STACK
    cmp [ticks], ebx
    js .mov_ss
    expect [forbidden_hits], 0
    mov dword [forbidden], 0
    verdict

    end_part

    part pm_exceptions
    call exception_checks
    end_part
    part pm_undisturbed
    call counter_checks
    end_part
    call prepare_fpu
    part pm_fpu
    call fpu_checks
    end_part
    call prepare_tss
%ifdef PART
    %substr PART_MODE PART_NAME 1,3
    %ifidn PART_MODE, "lm_"
    jmp long_mode_checks                ; not every KVM has 32-bit paging
    %endif
    %ifidn PART, return
    jmp long_mode_checks
    %endif
    %ifidn PART, pm_interrupts
    jmp long_mode_checks
    %endif
    %ifidn PART, pm_exceptions
    jmp long_mode_checks
    %endif
    %ifidn PART, pm_undisturbed
    jmp long_mode_checks
    %endif
    %ifidn PART, pm_fpu
    jmp long_mode_checks
    %endif
%endif
    jmp paging_checks

; ---- exceptions ---------------------------------------------------------------------------------------
exception_checks:
    check "pm-divide-error"
    xor edx, edx
    xor ecx, ecx
    mov eax, 1
    expect_fault 0, 0, div ecx
    mov eax, 0x80000000
    cdq
    or ecx, -1
    expect_fault 0, 0, idiv ecx
    verdict

    check "pm-breakpoint"               ; a trap: the return address is the next instruction
    mov dword [trap_vector], -1
    mov dword [trap_resume], .after_int3
    int3
.after_int3:
    expect [trap_vector], 3
    expect [trap_eip], .after_int3
    verdict

    check "pm-overflow"
    mov dword [trap_vector], -1
    mov dword [trap_resume], .after_into
    mov al, 0x7f
    inc al
    into
.after_into:
    expect [trap_vector], 4
    expect [trap_eip], .after_into
    verdict

    check "pm-bound"
    mov eax, 9
    expect_fault 5, 0, bound eax, [.bounds]
    verdict

    check "pm-invalid-opcode"
    expect_fault 6, 0, ud2
    expect_fault 6, 0, db 0xf0, 0x90    ; LOCK before NOP
    verdict

    check "pm-general-protection"
    mov eax, 0x1238                     ; beyond the GDT: the error code is the selector
    expect_fault 13, 0x1238, mov fs, ax
    mov eax, CODE32
    expect_fault 13, CODE32, mov ss, ax
    xor eax, eax
    expect_fault 13, 0, mov ss, ax      ; the null selector
    verdict

    check "pm-int-without-gate"         ; error code: index and the IDT bit; address: the INT, not what follows
    expect_fault 13, 0x42 * 8 + 2, int 0x42
    verdict

    check "pm-segment-not-present"
    mov eax, ABSENT_DATA
    expect_fault 11, ABSENT_DATA, mov fs, ax
    verdict

    check "pm-stack-fault"
    mov eax, ABSENT_DATA
    expect_fault 12, ABSENT_DATA, mov ss, ax
    verdict

    check "pm-invalid-tss"              ; its limit is below 67h
    expect_fault 10, SHORT_TASK, call SHORT_TASK:0
    verdict

    check "pm-double-fault"             ; #NP while #GP is delivered; #DF has its own, good gate
    mov dword [IDT + 13 * 8 + 4], 0x0e00
    mov eax, 0x1238
    faulted 8, 0, mov fs, ax
    call set_exception_gates
    mov eax, 0x1238
    expect_fault 13, 0x1238, mov fs, ax ; and exceptions are ordinary again
    verdict

    check "pm-exceptions-20000"
    gate32 6, .skip_ud2
    mov dword [interrupts], 0
    mov ecx, 20000
.undefined:
    ud2
    dec ecx
    jnz .undefined
    expect [interrupts], 20000
    call set_exception_gates
    verdict

    check "pm-single-step"
    gate32 1, note_step_protected
    mov dword [step_count], 0
    pushfd
    pop edx
    mov eax, edx
    or ah, 1
    push eax
    popfd
    nop
.step_second:
    push edx
.step_third:
    popfd
.step_end:
    expect [step_count], 3
    movzx eax, word [steps]
    expect eax, .step_second
    movzx eax, word [steps + 2]
    expect eax, .step_third
    movzx eax, word [steps + 4]
    expect eax, .step_end
    call set_exception_gates
    verdict

    check "pm-16-bit-code"              ; a far call into a 16-bit segment and back
    xor eax, eax
    call CODE16:code16_routine
    expect eax, 0x00012345
    verdict

    check "pm-segment-queries"
    mov eax, CODE32
    lar ebx, eax
    and ebx, 0x00c0ff00
    expect ebx, 0x00c09b00
    mov eax, DATA16
    lsl ebx, eax
    expect ebx, 0xffff
    mov eax, CODE32
    verw ax
    setz bl
    movzx ebx, bl
    expect ebx, 0
    mov eax, DATA32
    verw ax
    setz bl
    movzx ebx, bl
    expect ebx, 1
    verdict
    ret

.bounds: dd 1, 8

.skip_ud2:
    add dword [esp], 2
    inc dword [interrupts]
    iretd

    bits 16
code16_routine:                         ; called from 32-bit code: its far return address is dwords
    mov ax, 0xffff
    add ax, 0x2346                      ; 16-bit arithmetic: the carry is lost
    mov bx, ax
    mov eax, 0x10000
    mov ax, bx
    o32 retf
    bits 32

; ---- handlers -----------------------------------------------------------------------------------------
set_exception_gates:
    pushad
    mov edi, IDT
    mov eax, exception_entries32
    mov ecx, 32
.next:
    mov [edi], ax                       ; all code lies below 64 KiB
    mov word [edi + 2], CODE32
    mov dword [edi + 4], 0x8e00
    add eax, 16
    add edi, 8
    loop .next
    mov dword [IDT + 3 * 8 + 4], 0xee00 ; #BP and #OF may be called from ring 3
    mov dword [IDT + 4 * 8 + 4], 0xee00
    popad
    ret

    align 16
exception_entries32:
    exception_entries exception32

; Stack: EAX, DS, vector, error code, EIP, CS, EFLAGS ...
exception32:
    push ds
    push eax
    mov ax, DATA32
    mov ds, ax
    mov eax, [esp + 8]
    mov [trap_vector], eax
    mov eax, [esp + 12]
    mov [trap_error], eax
    mov eax, [esp + 16]
    mov [trap_eip], eax
    mov eax, cr2
    mov [trap_cr2], eax
    mov eax, [trap_resume]
    test eax, eax
    jz unexpected_exception32
    mov dword [trap_resume], 0
    mov [esp + 16], eax
    pop eax
    pop ds
    add esp, 8
    iretd

unexpected_exception32:
    mov ax, DATA32
    mov es, ax
    call report_exception_32
    mov al, EXIT_STOPPED
    mov dx, DEBUG_EXIT
    out dx, al
.halt:
    cli
    hlt
    jmp .halt

%macro report_exception_routine 0
; "FAIL NAME exception VECTOR error CODE at ADDRESS cr2 ADDRESS", from the trap_ variables.
REPORT(report_exception):
    mov esi, word_fail
    call REPORT(print_check)
    mov ebx, .parts
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
.parts: dd word_exception, trap_vector, word_error, trap_error, word_at, trap_eip, word_cr2, trap_cr2, 0
%endmacro
    report_exception_routine

irq0_protected:                         ; also entered from ring 3 and from virtual-8086 mode
    push ds
    push eax
    mov ax, DATA32
    mov ds, ax
    inc dword [ticks]
    mov eax, [esp + 8]
    cmp dword [irq_return], 0
    jne .noted
    mov [irq_return], eax
.noted:
    cmp eax, [forbidden]
    jne .allowed
    inc dword [forbidden_hits]
.allowed:
    test dword [esp + 16], 0x20000      ; EFLAGS.VM
    jz .protected
    inc dword [ticks_in_v86]
.protected:
    test byte [esp + 12], 3
    jz .kernel
    inc dword [ticks_in_ring3]
.kernel:
    write_port PIC1, EOI
    pop eax
    pop ds
    iretd

irq0_spoiling_fpu:
    fxsave [SCRATCH + 0x200]
    fninit
    fldz
    fldz
    xorps xmm6, xmm6
    xorps xmm7, xmm7
    fxrstor [SCRATCH + 0x200]
    jmp irq0_protected

note_step_protected:
    push eax
    push ebx
    mov ebx, [step_count]
    cmp ebx, 8
    jae .full
    mov eax, [esp + 8]
    mov [steps + ebx * 2], ax
    inc dword [step_count]
.full:
    pop ebx
    pop eax
    iretd

    string word_exception, " exception "
    string word_error, " error "
    string word_at, " at "
    string word_cr2, " cr2 "

    [section .data]
    align 8, db 0
trap_cr2:       dq 0
ticks_in_v86:   dd 0                    ; of the IRQ0 served, those that came in virtual-8086 mode ...
ticks_in_ring3: dd 0                    ; ... and those that came in ring 3
    __?SECT?__
