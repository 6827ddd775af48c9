; Ring 3 in 32-bit mode: system calls by INT, call gate and SYSENTER, what is forbidden there, and interrupts from there.
; SDM volume 3: 5.8 (gates, SYSENTER), 7.2.1 (TSS), volume 1: 18.5 (I/O permission bitmap).

TSS32_BITMAP    equ 0x68                ; where the I/O permission bitmap begins
TSS32_LIMIT     equ TSS32_BITMAP + 0x400     ; ports 0..1fff; all others are forbidden

; Ring 3 code %1 runs until it does LEAVE_USER; then the program goes on after this macro. Registers are those of ring 3.
LEAVE_USER      equ 0x81
%macro run_user 1
    mov dword [user_return], %%back
    mov [kernel_esp], esp
    push dword USER_DATA32
    push dword USER_STACK
    push dword 0x202                    ; IF, IOPL 0
    push dword USER_CODE32
    push dword %1
    iretd
%%back:
%endmacro

    section .text
    bits 32

prepare_tss:
    mov edi, TSS32
    mov ecx, 0x68 / 4
    xor eax, eax
    rep stosd
    mov dword [TSS32 + 4], RING0_STACK  ; ESP0, SS0
    mov dword [TSS32 + 8], DATA32
    mov word [TSS32 + 0x66], TSS32_BITMAP
    mov edi, TSS32 + TSS32_BITMAP
    mov ecx, 0x404 / 4
    or eax, -1
    rep stosd                           ; these are forbidden too ...
    mov byte [TSS32 + TSS32_BITMAP + COM1 / 8], 0   ; ... except COM1's eight: reports work in ring 3
    ret

user_checks:
    gate32 0x80, system_call, 0xee00
    gate32 LEAVE_USER, leave_user, 0xee00

    part ring3
    check "ring3-int80-20000"
    mov dword [interrupts], 0
    run_user user_system_calls
    expect [interrupts], 20000
    verdict

    check "ring3-irq"
    mov dword [ticks_in_ring3], 0
    run_user user_waits
    verdict

    check "ring3-forbidden"
    run_user user_forbidden
    verdict

    check "ring3-int-forbidden"         ; gates of DPL 0, and none at all
    run_user user_int_forbidden
    verdict

    check "ring3-io-bitmap"
    run_user user_ports
    verdict

    check "ring3-page-protection"
    map_window 0, FRAME_A | PAGE_PRESENT | PAGE_WRITE               ; ring 0 only
    map_window 1, FRAME_B | PAGE_PRESENT | PAGE_USER                ; read only
    run_user user_pages
    verdict

    check "ring3-single-step"           ; TF ends at the gate: the handlers are not stepped through
    gate32 1, note_step_protected
    mov dword [step_count], 0
    run_user user_steps
    call set_exception_gates
    expect [step_count], 3
    movzx eax, word [steps]
    expect eax, user_steps.second
    movzx eax, word [steps + 2]
    expect eax, user_steps.third
    movzx eax, word [steps + 4]
    expect eax, user_steps.end
    verdict

    end_part

    part call_gate
    check "call-gate"
    run_user user_calls_gate
    verdict

    end_part

    part sysenter
    check "sysenter-20000"
    mov ecx, 0x174
    xor edx, edx
    mov eax, CODE32
    wrmsr
    inc ecx
    mov eax, RING0_STACK
    wrmsr
    inc ecx
    mov eax, sysenter_target
    wrmsr
    mov dword [interrupts], 0
    mov dword [ticks_in_ring3], 0
    run_user user_sysenter
    expect [interrupts], 20000
    expect [sysenter_esp], RING0_STACK
    expect [sysenter_cs], CODE32
    expect [sysenter_ss], DATA32
    mov eax, [sysenter_flags]
    and eax, 0x200                      ; SYSENTER clears IF
    expect eax, 0
    verdict
    end_part
    jmp task_checks

; ---- ring 3 -------------------------------------------------------------------------------------------
user_segments:
    mov ax, USER_DATA32
    mov ds, ax
    mov es, ax
    ret

user_system_calls:
    call user_segments
    mov ebx, 0x12345678
    mov ecx, 20000
.call:
    int 0x80
    loop .call
    expect ebx, 0x12345678
    mov eax, esp
    expect eax, USER_STACK
    int LEAVE_USER

user_waits:
    call user_segments
.wait:
    cmp dword [ticks_in_ring3], 50
    jb .wait
    int LEAVE_USER

user_forbidden:
    call user_segments
    expect_fault 13, 0, cli
    expect_fault 13, 0, sti
    expect_fault 13, 0, hlt
    expect_fault 13, 0, mov eax, cr0
    expect_fault 13, 0, mov cr3, eax
    expect_fault 13, 0, lgdt [gdt_pointer]
    expect_fault 13, 0, invlpg [WINDOW]
    expect_fault 13, 0, clts
    mov ecx, 0x174
    expect_fault 13, 0, rdmsr
    mov eax, DATA32
    expect_fault 13, DATA32, mov fs, ax
    expect_fault 13, CODE32, jmp CODE32:user_forbidden
    xor eax, eax
    pushfd                              ; POPF leaves IF and IOPL as they are
    or dword [esp], 0x3000
    and dword [esp], ~0x200
    popfd
    pushfd
    pop eax
    and eax, 0x3200
    expect eax, 0x200
    int LEAVE_USER

user_int_forbidden:                     ; what DOS extenders rely on: the handler finds the INT at the return address
    call user_segments
    expect_fault 13, 0x20 * 8 + 2, int 0x20
    expect_fault 13, 0x21 * 8 + 2, int 0x21
    int LEAVE_USER

user_ports:
    call user_segments
    mov dx, COM1_SCRATCH
    mov al, 0x3c
    out dx, al
    xor eax, eax
    in al, dx
    expect eax, 0x3c
    mov dx, COM1 + 8
    expect_fault 13, 0, in al, dx
    mov dx, COM1 - 1
    expect_fault 13, 0, out dx, al
    expect_fault 13, 0, in al, CMOS_INDEX + 1
    mov dx, COM1_SCRATCH                ; half of this word is forbidden
    expect_fault 13, 0, in ax, dx
    mov edi, SCRATCH
    mov ecx, 1
    mov dx, COM1 + 8
    expect_fault 13, 0, rep insb
    int LEAVE_USER

user_pages:
    call user_segments
    expect_fault 14, ERROR_PRESENT | ERROR_USER, mov eax, [WINDOW + 4]
    expect [trap_cr2], WINDOW + 4
    expect_fault 14, ERROR_PRESENT | ERROR_USER | ERROR_WRITE, mov [WINDOW + 8], eax
    mov eax, [WINDOW + 0x1000]
    expect_fault 14, ERROR_PRESENT | ERROR_USER | ERROR_WRITE, mov [WINDOW + 0x1000], eax
    int LEAVE_USER

user_steps:
    call user_segments
    pushfd
    pop edx
    mov eax, edx
    or ah, 1
    push eax
    popfd
    int 0x80
    nop
.second:
    push edx
.third:
    popfd
.end:
    int LEAVE_USER

user_calls_gate:
    call user_segments
    mov ebp, esp
    push dword 0x11112222
    push dword 0x33334444
    call CALL_GATE:0
    expect eax, 0x33334444 + 0x11112222
    expect ebx, 0                       ; the gate's code ran in ring 0 ...
    expect ebp, esp                     ; ... and RETF 8 took the parameters from this stack too
    mov eax, cs
    and eax, 3
    expect eax, 3
    int LEAVE_USER

user_sysenter:
    call user_segments
    mov ebx, 20000
    mov ebp, 0xcafe
.call:
    mov ecx, esp                        ; where SYSEXIT finds ESP and EIP
    mov edx, .returned
    sysenter
.returned:
    dec ebx
    jnz .call
    expect ebp, 0xcafe
    expect esp, USER_STACK
    mov eax, cs
    expect eax, USER_CODE32
    mov eax, ss
    expect eax, USER_DATA32
    wait_ticks_busy 20                  ; SYSEXIT came with interrupts on
    int LEAVE_USER

; ---- ring 0 -------------------------------------------------------------------------------------------
system_call:
    inc dword [interrupts]
    iretd

leave_user:                             ; also from virtual-8086 mode
    mov ax, DATA32
    mov ds, ax
    mov es, ax
    mov fs, ax
    mov gs, ax
    mov esp, [kernel_esp]
    sti
    jmp [user_return]

call_gate_target:
    mov eax, [esp + 8]                  ; above EIP and CS
    add eax, [esp + 12]
    mov ebx, cs
    and ebx, 3
    retf 8

sysenter_target:
    inc dword [interrupts]
    mov [sysenter_esp], esp
    mov eax, cs
    mov [sysenter_cs], eax
    mov eax, ss
    mov [sysenter_ss], eax
    pushfd
    pop dword [sysenter_flags]
    sti                                 ; its shadow covers SYSEXIT
    sysexit

    [section .data]
    align 4, db 0
user_return:    dd 0
kernel_esp:     dd 0
sysenter_esp:   dd 0
sysenter_cs:    dd 0
sysenter_ss:    dd 0
sysenter_flags: dd 0
    __?SECT?__
