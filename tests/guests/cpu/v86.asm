; Virtual-8086 mode: entered by IRET, with a monitor that answers the #GP of INT, IRET, CLI, STI, PUSHF, POPF and HLT as a real
; 8086 would, interrupts that arrive there, and the way back. SDM volume 3: chapter 20 (20.2, 20.3).

EFLAGS_VM       equ 0x20000
EFLAGS_IOPL3    equ 0x3000
v86_es_10h      equ 0x11110 + 0x10      ; linear address of ES:10h there
FRAME_EIP       equ 36                  ; in the monitor: above PUSHAD and the error code
FRAME_CS        equ 40
FRAME_EFLAGS    equ 44
FRAME_ESP       equ 48
FRAME_SS        equ 52
FRAME_ES        equ 56                  ; then DS, FS, GS

; 16-bit code %1 in segment 0 runs as a virtual 8086 with EFLAGS bits %2 until its HLT; then the program goes on after this macro.
%macro run_v86 2
    mov dword [user_return], %%back
    mov [kernel_esp], esp
    push dword 0x4444                   ; GS, FS, DS, ES
    push dword 0x3333
    push dword 0
    push dword 0x1111
    push dword V86_STACK >> 4
    push dword 0x1000
    push dword EFLAGS_VM | 0x202 | %2
    push dword 0
    push dword %1
    iretd
%%back:
%endmacro

    section .text
    bits 32

v86_checks:
    gate32 13, v86_monitor
    mov dword [0x61 * 4], v86_service   ; the virtual machine's IVT is the real one

    part v86
    check "v86-int-reflected"
    mov dword [v86_traps], 0
    run_v86 v86_calls, 0
    movzx eax, word [v86_result]
    expect eax, 0x1235
    expect [v86_traps], 3               ; INT, IRET, HLT
    verdict

    check "v86-segments"
    expect [v86_frame_segments], 0x1111             ; the frame holds ES, DS, FS, GS ...
    expect [v86_frame_segments + 4], 0
    expect [v86_frame_segments + 8], 0x3333
    expect [v86_frame_segments + 12], 0x4444
    expect [v86_monitor_segments], 0                ; ... and the handler begins with null selectors
    expect [v86_monitor_segments + 4], 0
    movzx eax, word [v86_es_10h]
    expect eax, 0x7b7b
    verdict

    check "v86-sensitive-instructions"
    mov dword [v86_traps], 0
    run_v86 v86_flags_code, 0
    expect [v86_traps], 5               ; CLI, PUSHF, POPF, STI, HLT
    verdict

    check "v86-iopl-3"                  ; the same without traps, but for HLT
    mov dword [v86_traps], 0
    run_v86 v86_flags_code, EFLAGS_IOPL3
    expect [v86_traps], 1
    verdict

    check "v86-int-by-idt"              ; IOPL 3: INT goes to the protected-mode gate
    gate32 0x80, system_call, 0xee00
    mov dword [interrupts], 0
    run_v86 v86_int80, EFLAGS_IOPL3
    expect [interrupts], 100
    verdict

    check "v86-irq"
    mov dword [ticks_in_v86], 0
    mov dword [v86_traps], 0
    run_v86 v86_waits, 0
    expect [v86_traps], 1
    verdict

    check "v86-page-fault"
    gate32 14, mend_first_page
    mov dword [interrupts], 0
    mov dword [PAGE_TABLE + (BLOCK_SOURCE >> 12) * 4], 0
    invlpg [BLOCK_SOURCE]
    mov dword [v86_traps], 0
    run_v86 v86_touches, 0
    expect [interrupts], 1
    expect [v86_traps], 1
    verdict

    end_part
    call set_exception_gates
    jmp long_mode_checks

; ---- the virtual machine ------------------------------------------------------------------------------
    bits 16
v86_calls:
    mov word [es:0x10], 0x7b7b
    mov ax, 0x1234
    int 0x61
    mov [v86_result], ax
    hlt

v86_service:
    push bp
    mov bp, sp
    inc ax
    pop bp
    iret

v86_flags_code:
    cli
    pushf
    popf
    sti
    hlt

v86_int80:
    mov cx, 100
.call:
    int 0x80
    loop .call
    hlt

v86_waits:
    cmp dword [ticks_in_v86], 20
    jb v86_waits
    hlt

v86_touches:
    mov ax, BLOCK_SOURCE >> 4
    mov ds, ax
    inc word [4]
    hlt
    bits 32

; ---- its monitor --------------------------------------------------------------------------------------
v86_monitor:
    pushad
    mov edx, ds
    mov ecx, es
    mov eax, DATA32
    mov ds, eax
    mov es, eax
    test dword [esp + FRAME_EFLAGS], EFLAGS_VM
    jz .not_ours
    mov [v86_monitor_segments], edx
    mov [v86_monitor_segments + 4], ecx
    lea esi, [esp + FRAME_ES]
    mov edi, v86_frame_segments
    mov ecx, 4
    rep movsd
    inc dword [v86_traps]
    movzx ebx, word [esp + FRAME_CS]
    shl ebx, 4
    add ebx, [esp + FRAME_EIP]          ; the instruction, linear
    movzx edi, word [esp + FRAME_SS]
    shl edi, 4
    movzx edx, word [esp + FRAME_ESP]
    add edi, edx                        ; the top of its stack, linear
    mov al, [ebx]
    cmp al, 0xcd
    je .int
    cmp al, 0xcf
    je .iret
    inc dword [esp + FRAME_EIP]         ; all others are one byte long
    cmp al, 0xf4
    je leave_user                       ; HLT
    cmp al, 0x9c
    je .pushf
    cmp al, 0x9d
    je .popf
    cmp al, 0xfa
    je .resume                          ; CLI and STI: this 8086 always has its interrupts on
    cmp al, 0xfb
    je .resume
.not_ours:
    popad
    push dword 13
    jmp exception32

.resume:
    popad
    add esp, 4
    iretd

.int:
    mov eax, [esp + FRAME_EFLAGS]
    mov [edi - 2], ax
    mov eax, [esp + FRAME_CS]
    mov [edi - 4], ax
    mov eax, [esp + FRAME_EIP]
    add eax, 2
    mov [edi - 6], ax
    sub dword [esp + FRAME_ESP], 6
    movzx ebx, byte [ebx + 1]
    movzx eax, word [ebx * 4]
    mov [esp + FRAME_EIP], eax
    movzx eax, word [ebx * 4 + 2]
    mov [esp + FRAME_CS], eax
    jmp .resume

.iret:
    movzx eax, word [edi]
    mov [esp + FRAME_EIP], eax
    movzx eax, word [edi + 2]
    mov [esp + FRAME_CS], eax
    add dword [esp + FRAME_ESP], 6
    jmp .resume

.pushf:
    mov eax, [esp + FRAME_EFLAGS]
    mov [edi - 2], ax
    sub dword [esp + FRAME_ESP], 2
    jmp .resume

.popf:
    add dword [esp + FRAME_ESP], 2
    jmp .resume

mend_first_page:
    add esp, 4
    push eax
    push ds
    mov eax, DATA32
    mov ds, eax
    mov dword [PAGE_TABLE + (BLOCK_SOURCE >> 12) * 4], BLOCK_SOURCE | PAGE_PRESENT | PAGE_WRITE | PAGE_USER
    inc dword [interrupts]
    pop ds
    pop eax
    iretd

    [section .data]
    align 4, db 0
v86_traps:              dd 0
v86_monitor_segments:   dd 0, 0         ; DS and ES as the monitor found them
v86_frame_segments:     dd 0, 0, 0, 0
v86_result:             dw 0
    __?SECT?__
