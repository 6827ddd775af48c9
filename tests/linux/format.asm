; A static Linux program: formats side 0 of the track TRACK of /dev/fd0 (FDFMTTRK), and exits with status 0.
; ELF header and program header by hand, as NASM makes a flat binary.

bits 64
org 0x400000

SYS_OPEN    equ 2
SYS_IOCTL   equ 16
SYS_EXIT    equ 60
FDFMTBEG    equ 0x0247
FDFMTTRK    equ 0x400c0248
FDFMTEND    equ 0x0249
O_RDWR      equ 2

file:
    db 0x7f, "ELF", 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0
    dw 2, 62                            ; an executable, x86-64
    dd 1
    dq start, header - file, 0
    dd 0
    dw 64, header_size, 1, 0, 0, 0
header:
    dd 1, 7                             ; load, all rights
    dq 0, file, file, end - file, end - file, 0x1000
header_size equ $ - header

start:
    mov eax, SYS_OPEN
    lea rdi, [name]
    mov esi, O_RDWR
    syscall
    test rax, rax
    js .fail
    mov r12, rax
    mov esi, FDFMTBEG
    call control
    mov esi, FDFMTTRK
    call control
    mov esi, FDFMTEND
    call control
    xor edi, edi
.exit:
    mov eax, SYS_EXIT
    syscall
.fail:
    mov edi, 1
    jmp .exit

control:                                ; the request ESI
    mov eax, SYS_IOCTL
    mov rdi, r12
    lea rdx, [track]
    syscall
    test rax, rax
    js start.fail
    ret

track: dd 0, 0, TRACK                   ; device, head, track
name: db "/dev/fd0", 0
end:
