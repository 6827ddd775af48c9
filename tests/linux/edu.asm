; A static Linux program that drives the edu card from user space (QEMU's docs/specs/edu): its registers by sysfs, its
; interrupt by uio_pci_generic, DMA to a page whose physical address /proc/self/pagemap tells.
;
; Argument 1 is the device's folder in sysfs, made the current one. It prints "NAME: XXXXXXXX" for each thing that it finds; status 0: no call failed.

bits 64
org 0x400000

SYS_READ        equ 0
SYS_WRITE       equ 1
SYS_OPEN        equ 2
SYS_MMAP        equ 9
SYS_PREAD       equ 17
SYS_PWRITE      equ 18
SYS_EXIT        equ 60
SYS_CHDIR       equ 80
O_RDWR          equ 2
PAGE            equ 4096
MAP_SHARED      equ 0x01
MAP_PRIVATE     equ 0x02
MAP_ANONYMOUS   equ 0x20
MAP_LOCKED      equ 0x2000
MAP_POPULATE    equ 0x8000
COMMAND         equ 4                   ; in configuration space

%macro call_kernel 1-7 none, none, none, none, none, none
  %ifnidn %2, none
    mov rdi, %2
  %endif
  %ifnidn %3, none
    mov rsi, %3
  %endif
  %ifnidn %4, none
    mov rdx, %4
  %endif
  %ifnidn %5, none
    mov r10, %5
  %endif
  %ifnidn %6, none
    mov r8, %6
  %endif
  %ifnidn %7, none
    mov r9, %7
  %endif
    mov eax, %1
    syscall
    test rax, rax
    js fail
%endmacro

%macro say 2                            ; name, a 32-bit value
    mov eax, %2
    mov rsi, %%text
    mov edx, %%end - %%text
    call print
    jmp %%end
%%text: db %1, ": "
%%end:
%endmacro

file:
    db 0x7f, "ELF", 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0
    dw 2, 62                            ; an executable, x86-64
    dd 1
    dq start, header - file, 0
    dd 0
    dw 64, header_size, 1, 0, 0, 0
header:
    dd 1, 7                             ; load, all rights
    dq 0, file, file, end - file, end - file + 4096, 0x1000
header_size equ $ - header

start:
    mov rdi, [rsp + 16]
    call_kernel SYS_CHDIR
    call_kernel SYS_OPEN, text_config, O_RDWR
    mov [config], rax
    call_kernel SYS_OPEN, text_uio, O_RDWR
    mov [uio], rax
    call_kernel SYS_OPEN, text_resource, O_RDWR
    call_kernel SYS_MMAP, 0, PAGE, 3, MAP_SHARED, rax, 0
    mov rbp, rax                        ; the card's registers
    call_kernel SYS_MMAP, 0, 2 * PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED | MAP_POPULATE, -1, 0
    mov rbx, rax                        ; two pages
    call listen                         ; bus master, too

    say "identification", [rbp]
    mov dword [rbp + 4], 0x12345678
    say "liveness", [rbp + 4]

    mov dword [rbp + 0x20], 0x80
    mov dword [rbp + 8], 10
    call await
    say "factorial-reason", r13d
    say "factorial", [rbp + 8]
    mov dword [rbp + 0x60], 0x1234
    call await
    say "raised-reason", r13d
    say "reasons-left", [rbp + 0x24]

    mov ecx, PAGE
.fill:
    mov [rbx + rcx - 1], cl
    mov [rbx + PAGE + rcx - 1], ch
    loop .fill
    mov rdi, rbx
    call physical
    mov [rbp + 0x80], rax
    mov qword [rbp + 0x88], 0x40000
    mov qword [rbp + 0x90], 4000
    mov qword [rbp + 0x98], 5           ; to the card; interrupt
    call await
    say "there-reason", r13d
    mov qword [rbp + 0x80], 0x40000
    lea rdi, [rbx + PAGE]
    call physical
    mov [rbp + 0x88], rax
    mov qword [rbp + 0x98], 7           ; back
    call await
    say "back-reason", r13d
    mov rsi, rbx
    lea rdi, [rbx + PAGE]
    mov ecx, PAGE
    repe cmpsb
    say "bytes-that-differ-from", ecx   ; PAGE - 4000 - 1: the first one behind
    call_kernel SYS_EXIT, 0

; R13: the reasons for the interrupt that came, which is then acknowledged.
await:
    call_kernel SYS_READ, [uio], buffer, 4
    mov r13d, [rbp + 0x24]
    mov [rbp + 0x64], r13d
    mov dword [rbp + 0x20], 0

; Memory space, bus master, INTx not disabled (the kernel disables it when there was one).
listen:
    mov dword [buffer], 6
    call_kernel SYS_PWRITE, [config], buffer, 2, COMMAND
    ret

; RAX: the physical address of the page at RDI.
physical:
    shr rdi, 12
    shl rdi, 3
    mov r12, rdi
    call_kernel SYS_OPEN, text_pagemap, 0
    call_kernel SYS_PREAD, rax, buffer, 8, r12
    mov rax, [buffer]
    shl rax, 9                          ; the frame's number is bits 54:0
    shr rax, 9
    shl rax, 12
    ret

print:                                  ; RSI, EDX: a text; then EAX
    push rax
    call_kernel SYS_WRITE, 1
    pop rax
    mov edi, buffer
    mov ecx, 8
.digit:
    rol eax, 4
    mov dl, al
    and dl, 15
    add dl, '0'
    cmp dl, '9'
    jbe .store
    add dl, 'a' - '9' - 1
.store:
    mov [edi], dl
    inc edi
    loop .digit
    mov byte [edi], 10
    call_kernel SYS_WRITE, 1, buffer, 9
    ret

fail:
    neg eax
    mov edi, eax
    mov eax, SYS_EXIT
    syscall

text_config:    db "config", 0
text_resource:  db "resource0", 0
text_uio:       db "/dev/uio0", 0
text_pagemap:   db "/proc/self/pagemap", 0
    align 8, db 0
config:         dq 0
uio:            dq 0
end:
buffer          equ end
