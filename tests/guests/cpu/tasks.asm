; Hardware task switching: a task that is called, jumped to, and entered through a task gate by a double fault.
; SDM volume 3: chapter 7.

TSS_LINK        equ 0x00
TSS_CR3         equ 0x1c
TSS_EIP         equ 0x20
TSS_EFLAGS      equ 0x24
TSS_EAX         equ 0x28
TSS_ESP         equ 0x38
TSS_ES          equ 0x48                ; then CS, SS, DS, FS, GS

    section .text
    bits 32

%macro start_other_task 1               ; the second task's TSS, made fresh: it begins at %1
    mov edi, TSS_TASK
    mov ecx, 0x68 / 4
    xor eax, eax
    rep stosd
    mov eax, cr3
    mov [TSS_TASK + TSS_CR3], eax
    mov [TSS32 + TSS_CR3], eax          ; the CPU loads CR3 from a TSS, but never stores it there
    mov dword [TSS_TASK + TSS_EIP], %1
    mov dword [TSS_TASK + TSS_EFLAGS], 2
    mov dword [TSS_TASK + TSS_EAX], 0xabcd
    mov dword [TSS_TASK + TSS_ESP], TASK_STACK
    mov edi, TSS_TASK + TSS_ES
    mov eax, DATA32
    mov ecx, 6
    rep stosd
    mov dword [TSS_TASK + TSS_ES + 4], CODE32
    mov byte [gdt_other_task + 5], 0x89 ; not busy
%endmacro

task_checks:
    part tasks
    check "task-call"
    start_other_task called_task
    mov eax, 0x1111
    mov ebx, 0x2222
    mov ebp, esp
    call OTHER_TASK:0
    expect eax, 0x1111                  ; our registers are back ...
    expect ebx, 0x2222
    expect ebp, esp
    expect [TSS_TASK + TSS_EAX], 0xabce ; ... and its own have been stored
    call OTHER_TASK:0
    expect [TSS_TASK + TSS_EAX], 0xabcf ; it went on where it had left
    movzx eax, word [TSS_TASK + TSS_LINK]
    expect eax, MAIN_TASK
    str ax
    movzx eax, ax
    expect eax, MAIN_TASK
    mov eax, [task_flags]
    and eax, 0x4000                     ; it ran nested ...
    expect eax, 0x4000
    pushfd
    pop eax
    and eax, 0x4000                     ; ... and we do not
    expect eax, 0
    mov eax, cr0
    and eax, 8                          ; a task switch sets CR0.TS
    expect eax, 8
    clts
    movzx eax, byte [gdt_other_task + 5]
    expect eax, 0x89                    ; no longer busy
    verdict

    check "task-jump"
    start_other_task jumped_task
    mov ebx, 0x3333
    jmp OTHER_TASK:0
    expect ebx, 0x3333
    expect [TSS_TASK + TSS_EAX], 0x1234
    clts
    verdict

    check "task-busy"
    mov byte [gdt_other_task + 5], 0x8b
    expect_fault 13, OTHER_TASK, call OTHER_TASK:0
    verdict

    check "task-gate-double-fault"
    start_other_task double_fault_task
    mov dword [IDT + 8 * 8], OTHER_TASK << 16
    mov dword [IDT + 8 * 8 + 4], 0x8500 ; task gate
    mov dword [IDT + 13 * 8 + 4], 0x0e00
    mov dword [task_resume], .resumed
    mov eax, 0x1238
    mov fs, ax                          ; #GP, whose gate is not present
.resumed:
    clts
    call set_exception_gates
    expect [task_error], 0
    expect [TSS_TASK + TSS_EAX], 0x5678
    mov eax, DATA32
    mov fs, ax
    verdict
    end_part
    jmp v86_checks

called_task:
    pushfd
    pop dword [task_flags]
    inc eax
    iretd                               ; back to whoever called; the next call goes on here
    jmp called_task

jumped_task:
    mov eax, 0x1234
    jmp MAIN_TASK:0

double_fault_task:
    pop dword [task_error]
    mov eax, [task_resume]
    mov [TSS32 + TSS_EIP], eax
    mov eax, 0x5678
    iretd

    [section .data]
    align 4, db 0
task_flags:     dd 0
task_error:     dd -1
task_resume:    dd 0
    __?SECT?__
