; A Multiboot kernel (Multiboot 0.6.96) that waits in 32-bit code or, if LONG is defined, in 64-bit code, with instructions
; of many kinds behind it to be looked at.
bits 32
org 0x100000

MAGIC equ 0x1BADB002
FLAGS equ 1 << 16                       ; the addresses below count

header:
    dd MAGIC, FLAGS, -(MAGIC + FLAGS)
    dd header, header, end, end, start

start:
    cli
%ifdef LONG
    mov eax, 1 << 5                     ; CR4.PAE
    mov cr4, eax
    mov eax, tables
    mov cr3, eax
    mov dword [tables], tables + 0x1000 + 3
    mov dword [tables + 0x1000], tables + 0x2000 + 3
    mov dword [tables + 0x2000], 1 << 7 | 3     ; the first 2 MiB
    mov ecx, 0xC0000080                 ; EFER.LME
    rdmsr
    or eax, 1 << 8
    wrmsr
    mov eax, cr0
    or eax, 1 << 31
    mov cr0, eax
    lgdt [pointer]
    jmp 8:code

descriptors:
    dq 0, 0x00209A0000000000
pointer:
    dw 15
    dd descriptors
bits 64
%endif

code:
    hlt
    jmp code

samples:
    add eax, 0x12345678
    mov [ebx + 4 * ecx - 8], dx
    movzx eax, byte [esi]
    push 5
    call samples
    jne samples
    lea edi, [eax + eax + 0x10]
    rep movsd
    in al, dx
    out 0x70, al
    fld qword [eax]
    fsqrt
    movaps xmm1, [eax + 16]
    pshufd xmm0, xmm1, 0x1B
    lock cmpxchg [edx], ecx
    cpuid
    rdmsr
    ltr ax
    invlpg [eax]
    iret
    ret 8
    int 0x80
    enter 16, 0
    bswap eax
    db 0x0F, 0xFF
    shl dword [fs:ecx], 3
    imul eax, edx, -7
    test al, 1
    sysenter
    nop dword [eax + eax + 0x11223344]
%ifdef LONG
    mov rax, 0x1122334455667788
    mov [rel code], r9
    lea r15, [r12 + 8 * r13 + 0x100]
    mov dword [rsp + 8 * rax + 0x12345678], 0x11223344
    movsxd rdx, eax
    swapgs
    sysret
    syscall
    push r8
    add spl, 1
    movnti [rdi], rax
    iretq
%else
    aaa
    pusha
    les eax, [ecx]
    jmp 0x10:0x12345678
    mov dword [esp + 8 * eax + 0x12345678], 0x11223344
%endif
    times 64 nop

    align 4096
tables:
    times 3 * 4096 db 0
end:
