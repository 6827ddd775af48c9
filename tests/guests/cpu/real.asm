; Real mode: interrupts, flags, the interrupt shadow, single step, arithmetic.
; SDM volume 3: 20.1 (real-address mode), 6.8.3 (masking when switching stacks), 17.3.1.4 (single step).

    section .text
    bits 16

; Calls the instruction in %2, which must raise exception %1 as a fault (return address: the instruction itself).
%macro expect_real_fault 2+
    mov ebx, %1 * 4
    push dword [ebx]
    mov dword [ebx], real_fault
    mov word [trap_resume], %%resume
    mov dword [trap_eip], -1
%%instruction:
    %2
%%resume:
    mov ebx, %1 * 4
    pop dword [ebx]
    expect [trap_eip], %%instruction
%endmacro

%macro set_real_vector 2                ; vector, handler in segment 0
    mov dword [%1 * 4], %2
%endmacro

real_mode_checks:
    ; ---- the firmware's own clock
    part real_clock
    check "real-hlt-ticks"
    mov bx, [BIOS_TICKS]
.halted:
    sti
    hlt
    mov ax, [BIOS_TICKS]
    sub ax, bx
    cmp ax, 2
    jb .halted
    verdict

    check "real-busy-ticks"
    mov bx, [BIOS_TICKS]
.busy:
    mov ax, [BIOS_TICKS]
    sub ax, bx
    cmp ax, 2
    jb .busy
    verdict

    check "real-sti-window-ticks"       ; interrupts are possible for one instruction at a time
    mov bx, [BIOS_TICKS]
.windows:
    cli
    mov cx, 2000
    loop $
    sti
    nop
    cli
    mov ax, [BIOS_TICKS]
    sub ax, bx
    cmp ax, 2
    jb .windows
    verdict

    end_part

    ; ---- from here on IRQ0 is ours, at 1 kHz, and alone
    cli
    in al, PIC1 + 1
    mov [firmware_masks], al
    in al, PIC2 + 1
    mov [firmware_masks + 1], al
    mov eax, [8 * 4]
    mov [firmware_irq0], eax
    set_real_vector 8, irq0_real
    write_port PIC1 + 1, 0xfe
    write_port PIC2 + 1, 0xff
    set_irq0_rate 1000
    sti

    part real_interrupts
    check "real-irq0-1khz"
    wait_ticks_busy 50
    wait_ticks_halted 50
    verdict

    end_part

    part real_shadows
    check "real-sti-shadow"             ; STI takes effect after the instruction that follows it
    wait_irq0_pending
    watch_irq_return
    sti
    nop
.after_shadow:
    nop
    nop
    cli
    expect [irq_return], .after_shadow
    verdict

    check "real-sti-cli"                ; hence this pair lets nothing in
    wait_irq0_pending
    mov ebx, [ticks]
    mov cx, 1000
.pair:
    sti
    cli
    loop .pair
    expect [ticks], ebx
    verdict

    check "real-sti-hlt"                ; and HLT is entered before the interrupt ends it
    wait_irq0_pending
    watch_irq_return
    sti
    hlt
.after_hlt:
    cli
    expect [irq_return], .after_hlt
    verdict

    check "real-popf-no-shadow"         ; POPF has no shadow
    wait_irq0_pending
    pushf
    pop ax
    or ah, 2                            ; IF
    push ax
    watch_irq_return
    popf
.after_popf:
    nop
    cli
    expect [irq_return], .after_popf
    verdict

    check "real-mov-ss-shadow"          ; no interrupt between MOV SS and the instruction after it
    mov dword [forbidden_hits], 0
    mov dword [forbidden], .after_mov_ss
    mov ebx, [ticks]
    add ebx, 50
    xor ax, ax
    sti
    nop                                 ; of shadows in a row only the first is promised
.mov_ss:
    mov ss, ax
.after_mov_ss:
    mov esp, REAL_STACK - 2             ; the return address of this routine stays on the stack
    cmp [ticks], ebx
    js .mov_ss
    expect [forbidden_hits], 0
    verdict

    check "real-pop-ss-shadow"
    mov dword [forbidden], .after_pop_ss
    mov ebx, [ticks]
    add ebx, 50
.pop_ss:
    push ss
    pop ss
.after_pop_ss:
    nop
    cmp [ticks], ebx
    js .pop_ss
    expect [forbidden_hits], 0
    mov dword [forbidden], 0
    verdict

    check "real-mask-irq0"              ; a masked request waits in IRR
    cli
    write_port PIC1 + 1, 0xff
    sti
    mov ebx, [ticks]
    wait_irq0_pending
    sti
    nop
    nop
    expect [ticks], ebx
    write_port PIC1 + 1, 0xfe
    wait_ticks_busy 1
    verdict

    end_part

    ; ---- exceptions and software interrupts through the IVT
    part real_exceptions
    check "real-divide-error"
    xor cx, cx
    mov ax, 1
    cwd
    expect_real_fault 0, div cx
    mov ax, 0x200
    mov cl, 1
    expect_real_fault 0, div cl         ; the quotient does not fit
    mov ax, 0x8000
    cwd
    mov cx, -1
    expect_real_fault 0, idiv cx
    verdict

    check "real-invalid-opcode"
    expect_real_fault 6, ud2
    expect_real_fault 6, {db 0xf0, 0x90}    ; LOCK before NOP
    verdict

    end_part

    part real_bound
    check "real-bound"
    mov ax, 5
    bound ax, [.bounds]
    mov ax, 9
    expect_real_fault 5, bound ax, [.bounds]
    verdict
    jmp .after_bounds
.bounds: dw 1, 8
.after_bounds:

    end_part

    part real_into
    check "real-into"
    push dword [4 * 4]
    set_real_vector 4, count_interrupt
    mov dword [interrupts], 0
    xor al, al                          ; clears OF: no interrupt
    into
    expect [interrupts], 0
    mov al, 0x7f
    inc al
    into
    expect [interrupts], 1
    pop dword [4 * 4]
    verdict

    end_part

    part real_int
    check "real-int-20000"
    set_real_vector 0x60, count_interrupt
    mov dword [interrupts], 0
    mov cx, 20000
.int:
    int 0x60
    loop .int
    expect [interrupts], 20000
    verdict

    check "real-int-flags"              ; INT clears IF and TF; IRET restores the flags it was given
    set_real_vector 0x60, note_flags
    sti
    stc
    int 0x60
    setc bl
    movzx ebx, bl
    expect ebx, 1
    pushf
    pop ax
    and eax, 0x200
    expect eax, 0x200
    movzx eax, word [flags_inside]
    and eax, 0x300
    expect eax, 0
    verdict

    end_part

    part real_single_step
    check "real-single-step"
    call single_step
    expect dword [step_count], 3
    movzx eax, word [steps]
    expect eax, stepped_second
    movzx eax, word [steps + 2]
    expect eax, stepped_third
    movzx eax, word [steps + 4]
    expect eax, stepped_end
    mov eax, [step_dr6]
    and eax, 0x4000                     ; DR6.BS
    expect eax, 0x4000
    verdict

    end_part

    ; ---- arithmetic
    part real_operands
    check "real-32-bit-operands"
    mov eax, 0xfffffff0
    add eax, 0x20
    expect eax, 0x10
    mov eax, 0x10000
    mov ebx, 0x10000
    mul ebx
    expect edx, 1
    mov ebx, COUNTERS >> 4
    mov es, bx
    mov ebx, 4
    mov dword [es:ebx * 2 + 8], 0x12345678
    mov eax, [es:0x10]
    expect eax, 0x12345678
    xor bx, bx
    mov es, bx
    verdict

    end_part

    part real_x87
    check "real-x87"
    fninit
    mov word [x87_word], 7
    fild word [x87_word]
    mov word [x87_word], 6
    fimul word [x87_word]
    fistp dword [x87_result]
    expect [x87_result], 42
    verdict

    end_part

    part real_tsc
    check "rdtsc-monotonic"
    mov cx, 1000
    xor esi, esi                        ; the last reading, EDI:ESI
    xor edi, edi
.tsc:
    rdtsc
    mov ebx, eax
    mov ebp, edx
    sub ebx, esi
    sbb ebp, edi
    jc .tsc_back
    mov esi, eax
    mov edi, edx
    loop .tsc
.tsc_back:
    movzx ecx, cx
    expect ecx, 0
    verdict

    end_part

    xor eax, eax
    cpuid
    mov [vendor], ebx
    mov [vendor + 4], edx
    mov [vendor + 8], ecx
    info "cpu-vendor", vendor

    call return_clock_to_firmware
    ret

; The firmware's rate, handler and masks for IRQ0, so that it can be called again.
return_clock_to_firmware:
    cli
    mov eax, [firmware_irq0]
    mov [8 * 4], eax
    set_irq0_firmware_rate
    mov al, [firmware_masks]
    out PIC1 + 1, al
    mov al, [firmware_masks + 1]
    out PIC2 + 1, al
    sti
    ret

; Steps through three instructions; the last one ends stepping. Handler: note_step.
single_step:
    push dword [1 * 4]
    set_real_vector 1, note_step
    mov dword [step_count], 0
    xor eax, eax
    mov dr6, eax
    pushf
    pop dx
    mov ax, dx
    or ah, 1                            ; TF
    push ax
    popf                                ; the first trap comes after the next instruction
    nop
stepped_second:
    push dx
stepped_third:
    popf
stepped_end:
    mov eax, dr6
    mov [step_dr6], eax
    pop dword [1 * 4]
    ret

; ---- handlers -----------------------------------------------------------------------------------------
irq0_real:
    push eax
    push bp
    mov bp, sp
    inc dword [cs:ticks]
    movzx eax, word [bp + 6]
    cmp dword [cs:irq_return], 0
    jne .noted
    mov [cs:irq_return], eax
.noted:
    cmp eax, [cs:forbidden]
    jne .allowed
    inc dword [cs:forbidden_hits]
.allowed:
    write_port PIC1, EOI
    pop bp
    pop eax
    iret

real_fault:
    push eax
    push bp
    mov bp, sp
    movzx eax, word [bp + 6]
    mov [cs:trap_eip], eax
    mov ax, [cs:trap_resume]
    mov [bp + 6], ax
    pop bp
    pop eax
    iret

count_interrupt:
    inc dword [cs:interrupts]
    iret

note_flags:
    pushf
    pop word [cs:flags_inside]
    clc
    iret

note_step:
    push ax
    push bx
    push bp
    mov bp, sp
    mov bx, [cs:step_count]
    cmp bx, 8
    jae .full
    add bx, bx
    mov ax, [bp + 6]
    mov [cs:steps + bx], ax
    inc dword [cs:step_count]
.full:
    pop bp
    pop bx
    pop ax
    iret

    [section .data]
    align 8, db 0                       ; dwords, but 64-bit checks read them as quadwords
interrupts:     dq 0
step_count:     dq 0
trap_resume:    dq 0                    ; where an expected exception lets the program go on; 0: none is expected
trap_vector:    dq 0
trap_error:     dq 0
trap_eip:       dq 0
firmware_irq0:  dd 0
firmware_masks: dw 0
flags_inside:   dw 0
x87_word:       dw 0
x87_result:     dd 0
steps:          times 8 dw 0
step_dr6:       dd 0
vendor:         times 13 db 0
    __?SECT?__
