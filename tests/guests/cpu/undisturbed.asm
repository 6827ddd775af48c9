; What an interrupt must not disturb, in 32-bit mode: counters, string instructions, registers, the state of FPU and SSE.
; SDM volume 3: 6.6 (restartability), 13.1 (SSE), volume 1: chapter 8 (x87).

EXACT_COUNT     equ 1000000

    section .text
    bits 32

counter_checks:
    set_irq0_rate 4000
    sti
    check "pm-counters-exact"           ; read-modify-write instructions are never done twice
    mov edi, COUNTERS
    xor eax, eax
    mov ecx, 16
    rep stosd
    mov ecx, EXACT_COUNT
    xor ebx, ebx
.count:
    inc dword [COUNTERS]
    add dword [COUNTERS + 4], 3
    mov eax, 1
    lock xadd [COUNTERS + 8], eax
    adc dword [COUNTERS + 12], 1
    push dword [COUNTERS]
    pop dword [COUNTERS + 16]
    inc ebx
    dec ecx
    jnz .count
    expect [COUNTERS], EXACT_COUNT
    expect [COUNTERS + 4], 3 * EXACT_COUNT
    expect [COUNTERS + 8], EXACT_COUNT
    expect [COUNTERS + 12], EXACT_COUNT
    expect [COUNTERS + 16], EXACT_COUNT
    expect ebx, EXACT_COUNT
    verdict

    check "pm-string-exact"             ; REP instructions go on where the interrupt came
    mov edi, BLOCK_SOURCE
    mov ecx, 0x4000
    mov eax, 1
.fill:
    stosd
    imul eax, eax, 69069
    inc eax
    loop .fill
    mov ebx, 20
.copy:
    mov esi, BLOCK_SOURCE
    mov edi, BLOCK_TARGET
    mov ecx, 0x4000
    rep movsd
    mov esi, BLOCK_SOURCE
    mov edi, BLOCK_TARGET
    mov ecx, 0x4000
    repe cmpsd
    jne .copied
    mov edi, BLOCK_TARGET
    mov ecx, 0x10000
    xor eax, eax
    rep stosb
    repe scasb                          ; ECX is 0: nothing happens
    dec ebx
    jnz .copy
.copied:
    expect ebx, 0
    expect edi, BLOCK_TARGET + 0x10000
    verdict

    check "pm-registers-over-irq"       ; all of them, and the flags, over some hundred interrupts
    mov edx, [ticks]
    add edx, 200
    mov eax, 0x11111111
    mov ebx, 0x22222222
    mov ecx, 0x33333333
    mov esi, 0x55555555
    mov edi, 0x66666666
    mov ebp, 0x77777777
.spin:
    stc
    std
    nop
    nop
    jnc .spun
    cld
    cmp [ticks], edx
    js .spin
.spun:
    expect eax, 0x11111111
    expect ebx, 0x22222222
    expect ecx, 0x33333333
    expect esi, 0x55555555
    expect edi, 0x66666666
    expect ebp, 0x77777777
    cmp [ticks], edx                    ; CF was never lost: the wait was not cut short
    sets al
    movzx eax, al
    expect eax, 0
    verdict
    set_irq0_rate 1000
    ret

; ---- FPU and SSE --------------------------------------------------------------------------------------
prepare_fpu:
    mov eax, cr4
    or eax, 0x600                       ; OSFXSR, OSXMMEXCPT
    mov cr4, eax
    mov eax, cr0
    and eax, ~4                         ; EM off
    or eax, 0x22                        ; NE and MP on
    mov cr0, eax

    ret

fpu_checks:
    check "pm-x87"
    fninit
    push dword 2
    fild dword [esp]
    fsqrt
    fmul st0, st0
    fsub dword [.two]
    fabs
    fld dword [.tiny]
    fcomip st0, st1                     ; is the error below a millionth?
    fstp st0
    seta bl
    movzx ebx, bl
    expect ebx, 1
    add esp, 4
    fnstsw ax
    and eax, 0x3800                     ; the stack is empty again
    expect eax, 0
    verdict

    check "pm-sse"
    movups xmm0, [.numbers]
    mulps xmm0, xmm0
    sqrtps xmm0, xmm0
    cvtps2dq xmm1, xmm0
    movdqu [SCRATCH], xmm1
    expect [SCRATCH], 1
    expect [SCRATCH + 12], 4
    paddd xmm1, xmm1
    movd eax, xmm1
    expect eax, 2
    verdict

    check "pm-fpu-over-irq"             ; the handler saves, spoils and restores the FPU's state
    gate32 0x20, irq0_spoiling_fpu
    set_irq0_rate 4000
    fninit
    fldpi
    fld1
    movups xmm7, [.numbers]
    mov ecx, [ticks]
    add ecx, 100
.spin:
    fxch
    fxch
    movaps xmm6, xmm7
    cmp [ticks], ecx
    js .spin
    set_irq0_rate 1000
    gate32 0x20, irq0_protected
    fistp dword [SCRATCH]
    expect [SCRATCH], 1
    fstp dword [SCRATCH]
    expect [SCRATCH], 0x40490fdb        ; pi
    movups [SCRATCH], xmm6
    expect [SCRATCH + 12], 0x40800000   ; 4.0
    verdict

    check "pm-device-not-available"     ; CR0.TS
    mov eax, cr0
    or al, 8
    mov cr0, eax
    expect_fault 7, 0, fld1
    expect_fault 7, 0, movaps xmm0, xmm1
    clts
    fninit
    fld1
    fstp st0
    verdict

    check "pm-x87-exception"            ; a division by zero is reported at the next waiting instruction
    fninit
    push dword 0x033b                   ; all masked but ZE
    fldcw [esp]
    fld1
    fldz
    fdivp st1, st0
    expect_fault 16, 0, fwait
    fnclex
    fninit
    add esp, 4
    verdict
    ret

    align 16
.numbers: dd 1.0, 2.0, 3.0, 4.0
.two:   dd 2.0
.tiny:  dd 1.0e-6
