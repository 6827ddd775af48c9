; A disk that drives an 82540EM, ring 3 in 64-bit mode: rings of 256 descriptors, no interrupts. Between marks on the debug console it sends COUNT
; packets of 64 and of 1514 bytes, with a write to TDT for each and for every 64 of them. With RECEIVE defined it sends one packet, to say that it is ready,
; and takes packets that come, with a write to RDT for each and for every 64. Registers: Intel 317453, chapter 13; descriptors: chapter 3.
bits 16
org 0x7c00
cpu x64

%define SECTORS 5
%include "user.inc"

%ifndef COUNT
%define COUNT 50000
%endif
%define CARD 0x100e8086
%define COMMAND 0x04            ; of configuration space
%define MEMORY_AND_MASTER 6
%define ENTRIES 256
%define RING 0x30000
%define READY 0x32000           ; the ring of the packet that says so
%define BUFFERS 0x100000
%define BUFFER_SHIFT 11
%define DONE 1                  ; in a descriptor's status
%define STATUS_AT 12
%define EOP_IFCS_RS 0x0b

%define CTRL 0x0000
%define STATUS 0x0008
%define RCTL 0x0100
%define TCTL 0x0400
%define RDBAL 0x2800
%define RDLEN 0x2808
%define RDH 0x2810
%define RDT 0x2818
%define TDBAL 0x3800
%define TDLEN 0x3808
%define TDH 0x3810
%define TDT 0x3818
%define SET_LINK_UP 0x60
%define LINK_UP 2
%define TRANSMIT 0x0a           ; enable, pad short packets
%define LISTEN 0x04008002       ; enable, broadcast, strip the CRC, buffers of 2048 bytes

start:
    boot_sector

program:
    mov edi, CARD
    call find_function
    mov ebx, MEMORY_AND_MASTER
    lea eax, [esi + COMMAND]
    call write_pci
    jmp enter_long_mode

    routines

; Of length %1, a doorbell for every %2 of them.
%macro send 2
    mov ecx, COUNT
    mov r9d, %2
%%packet:
    lea eax, [r8 + 1]
    movzx eax, al
    shl eax, 4
%%wait:
    test byte [RING + rax + STATUS_AT], DONE    ; the one behind: a ring is never quite full
    jz %%wait
    mov eax, r8d
    shl eax, BUFFER_SHIFT
    add eax, BUFFERS
    mov edx, r8d
    shl edx, 4
    mov [RING + rdx], rax
    mov rax, (EOP_IFCS_RS << 24) | %1
    mov [RING + rdx + 8], rax
    inc r8d
    movzx r8d, r8b
    dec r9d
    jnz %%next
    mov [rbp + TDT], r8d
    mov r9d, %2
%%next:
    dec ecx
    jnz %%packet
    mov [rbp + TDT], r8d
    lea eax, [r8 - 1]
    movzx eax, al
    shl eax, 4
%%last:
    test byte [RING + rax + STATUS_AT], DONE
    jz %%last
%endmacro

; A doorbell for every %1 of them.
%macro take 1
    mov ecx, COUNT
    mov r9d, %1
%%packet:
    mov edx, r8d
    shl edx, 4
%%wait:
    test byte [RING + rdx + STATUS_AT], DONE
    jz %%wait
    mov byte [RING + rdx + STATUS_AT], 0
    dec r9d
    jnz %%next
    mov [rbp + RDT], r8d
    mov r9d, %1
%%next:
    inc r8d
    movzx r8d, r8b
    dec ecx
    jnz %%packet
%endmacro

    bits 64
long_mode:
    mov edi, RING
    mov ebx, BUFFERS
    mov ecx, ENTRIES
.descriptor:
    mov [rdi], rbx
    mov qword [rdi + 8], 0
%ifndef RECEIVE
    mov byte [rdi + STATUS_AT], DONE
%endif
    add edi, 16
    add ebx, 1 << BUFFER_SHIFT
    loop .descriptor
    mov edi, BUFFERS
    mov eax, 0x00005452         ; to 52:54:00:..., which isn't a multicast
    mov ecx, ENTRIES << (BUFFER_SHIFT - 2)
    rep stosd

    mov ebp, [memory_bar]
    or dword [rbp + CTRL], SET_LINK_UP
.link:
    test dword [rbp + STATUS], LINK_UP
    jz .link
    enter_user user

user:
    xor r8d, r8d                ; the next descriptor
%ifdef RECEIVE
    mov dword [rbp + RDBAL], RING
    mov dword [rbp + RDLEN], ENTRIES * 16
    mov dword [rbp + RDH], 0
    mov dword [rbp + RDT], ENTRIES - 1
    mov dword [rbp + RCTL], LISTEN
    mov qword [READY], BUFFERS
    mov qword [READY + 8], (EOP_IFCS_RS << 24) | 64
    mov dword [rbp + TDBAL], READY
    mov dword [rbp + TDLEN], 128
    mov dword [rbp + TDH], 0
    mov dword [rbp + TDT], 0
    mov dword [rbp + TCTL], TRANSMIT
    mov dword [rbp + TDT], 1
    mark 'a'
    take 1
    mark 'b'
    take 64
    mark 'c'
%else
    mov dword [rbp + TDBAL], RING
    mov dword [rbp + TDLEN], ENTRIES * 16
    mov dword [rbp + TDH], 0
    mov dword [rbp + TDT], 0
    mov dword [rbp + TCTL], TRANSMIT
    mark 'a'
    send 64, 1
    mark 'b'
    send 64, 64
    mark 'c'
    send 1514, 1
    mark 'd'
    send 1514, 64
    mark 'e'
%endif
.end:
    jmp .end

    tables
