; Ring 3 under long mode: SYSCALL and SYSRET, interrupts, what is forbidden, and 32-bit programs.
; AMD64 Architecture Programmer's Manual volume 2, 6.1 (SYSCALL); SDM volume 3: 5.8.8.

MSR_STAR        equ 0xc0000081
MSR_LSTAR       equ 0xc0000082
MSR_FMASK       equ 0xc0000084

; Ring 3 code %1 with code segment %2 and stack segment %3 runs until it does LEAVE_USER.
%macro run_user64 3
    mov dword [user_return], %%back
    mov [kernel_esp], esp
    push %3
    push USER_STACK
    push 0x202                          ; IF, IOPL 0
    push %2
    push %1
    iretq
%%back:
%endmacro

    section .text
    bits 64

long_user_checks:
    gate64 0x80, system_call64, 0xee00
    gate64 LEAVE_USER, leave_user64, 0xee00
    mov ecx, MSR_STAR
    xor eax, eax
    mov edx, SYSRET_BASE << 16 | CODE64
    wrmsr
    mov ecx, MSR_LSTAR
    mov eax, syscall_target
    xor edx, edx
    wrmsr
    mov ecx, MSR_FMASK
    mov eax, 0x600                      ; IF, DF
    wrmsr

    part lm_ring3
    check "lm-ring3-irq"
    mov dword [ticks_in_ring3], 0
    run_user64 user64_waits, USER_CODE64, USER_DATA64
    verdict

    check "lm-ring3-int80-20000"
    mov dword [interrupts], 0
    run_user64 user64_interrupts, USER_CODE64, USER_DATA64
    expect [interrupts], 20000
    verdict

    check "lm-ring3-forbidden"
    map_window64 0, FRAME_A | PAGE_PRESENT | PAGE_WRITE             ; ring 0 only
    map_window64 1, FRAME_B | PAGE_PRESENT | PAGE_USER, PAGE_NO_EXECUTE
    run_user64 user64_forbidden, USER_CODE64, USER_DATA64
    verdict

    check "lm-ring3-io-bitmap"
    run_user64 user64_ports, USER_CODE64, USER_DATA64
    verdict

    end_part

    part lm_syscall
    check "syscall-20000"
    mov dword [interrupts], 0
    run_user64 user64_syscalls, USER_CODE64, USER_DATA64
    expect [interrupts], 20000
    expect [syscall_cs], CODE64
    expect [syscall_ss], DATA64
    mov eax, [syscall_flags]
    and eax, 0x600                      ; MSR_FMASK
    expect rax, 0
    expect [syscall_rcx], user64_syscalls.returned
    mov eax, [syscall_r11]
    and eax, 0x601                      ; the caller's IF, DF and CF
    expect rax, 0x601
    verdict

    end_part

    part lm_ring3_32
    check "lm-ring3-32-bit"             ; a 32-bit program under a 64-bit kernel
    mov dword [interrupts], 0
    mov dword [ticks_in_ring3], 0
    map_window64 0, FRAME_A | PAGE_PRESENT | PAGE_WRITE             ; ring 0 only
    run_user64 user32_under_64, USER_CODE32, USER_DATA32
    expect [interrupts], 20000
    verdict
    end_part
    jmp return_to_real_mode

; ---- ring 3 -------------------------------------------------------------------------------------------
user64_waits:
    cmp dword [ticks_in_ring3], 50
    jb user64_waits
    int LEAVE_USER

user64_interrupts:
    mov ecx, 20000
    mov rbx, 0x123456789abcdef0
    mov r9, rbx
.call:
    int 0x80
    loop .call
    expect rbx, r9
    expect rsp, USER_STACK
    int LEAVE_USER

user64_forbidden:
    expect_fault 13, 0, cli
    expect_fault 13, 0, hlt
    expect_fault 13, 0, mov rax, cr0
    expect_fault 13, 0, swapgs
    mov ecx, MSR_LSTAR
    expect_fault 13, 0, wrmsr
    expect_fault 13, 0, o64 sysret
    mov rbx, 0x0000800000000000
    expect_fault 13, 0, mov eax, [rbx]
    expect_fault 14, ERROR_PRESENT | ERROR_USER, mov eax, [WINDOW + 4]
    expect_fault 14, ERROR_PRESENT | ERROR_USER | ERROR_WRITE, mov [WINDOW + 0x1004], eax
    expect [trap_cr2], WINDOW + 0x1004
    mov esi, WINDOW + 0x1000
    mov rbx, rsp
    faulted 14, ERROR_PRESENT | ERROR_USER | ERROR_FETCH, call rsi
    mov rsp, rbx
    int LEAVE_USER

user64_ports:
    expect_fault 13, 0, in al, CMOS_INDEX + 1
    expect_fault 13, 0, out CMOS_INDEX, al
    mov dx, COM1_SCRATCH
    mov al, 0x3d
    out dx, al
    xor eax, eax
    in al, dx
    expect rax, 0x3d
    int LEAVE_USER

user64_syscalls:
    mov ebx, 20000
    mov r10, 0x7766554433221100
    mov r12, r10
    std
.call:
    stc
    syscall
.returned:
    jnc .lost
    dec ebx
    jnz .call
.lost:
    cld
    expect rbx, 0
    expect r10, r12
    expect rsp, USER_STACK
    mov eax, cs
    expect rax, USER_CODE64
    mov eax, ss
    expect rax, USER_DATA64
    mov dword [ticks_in_ring3], 0
.wait:                                  ; SYSRET restored IF
    cmp dword [ticks_in_ring3], 10
    jb .wait
    int LEAVE_USER

    bits 32
user32_under_64:
    mov ax, USER_DATA32
    mov ds, ax
    mov es, ax
    mov ecx, 20000
.call:
    int 0x80
    loop .call
    mov eax, 0x10
    db 0x48                             ; DEC EAX
    expect eax, 0x0f
    expect esp, USER_STACK
    expect_fault 13, 0, cli
    expect_fault 14, ERROR_PRESENT | ERROR_USER, mov eax, [WINDOW + 4]
.wait:
    cmp dword [ticks_in_ring3], 20
    jb .wait
    int LEAVE_USER
    bits 64

; ---- ring 0 -------------------------------------------------------------------------------------------
system_call64:
    inc dword [interrupts]
    iretq

leave_user64:
    mov esp, [kernel_esp]
    mov eax, [user_return]
    sti
    jmp rax

syscall_target:
    mov [syscall_rsp], rsp
    mov rsp, RING0_STACK
    inc dword [interrupts]
    mov [syscall_rcx], rcx
    mov [syscall_r11], r11
    pushfq
    pop rax
    mov [syscall_flags], rax
    mov eax, cs
    mov [syscall_cs], eax
    mov eax, ss
    mov [syscall_ss], eax
    mov rsp, [syscall_rsp]
    o64 sysret

    [section .data]
    align 8, db 0
syscall_rsp:    dq 0
syscall_rcx:    dq 0
syscall_r11:    dq 0
syscall_flags:  dq 0
syscall_cs:     dq 0
syscall_ss:     dq 0
    __?SECT?__
