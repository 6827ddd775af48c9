; A static Linux program: has /dev/rtc0 interrupt at the next second (RTC_UIE_ON), waits for it, and exits with status 0.
; ELF header and program header by hand, as NASM makes a flat binary.

bits 64
org 0x400000

SYS_READ    equ 0
SYS_OPEN    equ 2
SYS_IOCTL   equ 16
SYS_EXIT    equ 60
RTC_UIE_ON  equ 0x7003
RTC_UIE_OFF equ 0x7004

file:
    db 0x7f, "ELF", 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0
    dw 2, 62                            ; an executable, x86-64
    dd 1
    dq start, header - file, 0
    dd 0
    dw 64, header_size, 1, 0, 0, 0
header:
    dd 1, 7                             ; load, all rights
    dq 0, file, file, end - file, end - file + 16, 0x1000
header_size equ $ - header

start:
    mov eax, SYS_OPEN
    lea rdi, [name]
    xor esi, esi
    syscall
    test rax, rax
    js .fail
    mov r12, rax
    mov eax, SYS_IOCTL
    mov rdi, r12
    mov esi, RTC_UIE_ON
    syscall
    test rax, rax
    js .fail
    mov eax, SYS_READ
    mov rdi, r12
    lea rsi, [end]
    mov edx, 8
    syscall
    cmp rax, 8
    jne .fail
    mov eax, SYS_IOCTL
    mov rdi, r12
    mov esi, RTC_UIE_OFF
    syscall
    xor edi, edi
.exit:
    mov eax, SYS_EXIT
    syscall
.fail:
    mov edi, 1
    jmp .exit

name: db "/dev/rtc0", 0
end:
