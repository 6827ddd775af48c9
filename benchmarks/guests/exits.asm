; A disk that makes the CPU leave the guest many times between two marks on the debug console (port 402h): by ports, by registers in
; memory, and by doorbells, which need not leave it. All of it in ring 0, then again in ring 3: a KVM that interprets ring 0 (kvm_pvm) executes
; ring 3 itself.
;
; The registers are those of PCI device 1b36:0005, QEMU's pci-testdev (docs/specs/pci-testdev.txt), and benchmarks/testdev.py: writing N
; to byte 0 of a BAR chooses test N; then bytes 4 to 7 say at which offset to write. Test 0 is a plain register, 1 a doorbell.
bits 16
org 0x7c00
cpu x64

%define SECTORS 4
%include "user.inc"

%define COUNT 20000
%define TEST_DEVICE 0x00051b36
%define PLAIN 0
%define DOORBELL 1

start:
    boot_sector

program:
    mov edi, TEST_DEVICE
    call find_function
    jmp enter_long_mode

    routines

    bits 64
%macro loops 7                  ; their marks
    mov eax, PLAIN
    call choose_port
    mark %1
    mov ecx, COUNT
    mov dx, bp
%%port_read:
    in al, dx
    dec ecx
    jnz %%port_read

    mark %2
    mov ecx, COUNT
    mov dx, bp
%%port_write:
    out dx, al
    dec ecx
    jnz %%port_write

    mov eax, PLAIN
    call choose_memory
    mark %3
    mov ecx, COUNT
%%memory_read:
    mov al, [rbp]
    dec ecx
    jnz %%memory_read

    mark %4
    mov ecx, COUNT
%%memory_write:
    mov [rbp], al
    dec ecx
    jnz %%memory_write

    mov eax, DOORBELL
    call choose_port
    mark %5
    mov ecx, COUNT
    mov dx, bp
%%port_bell:
    out dx, al
    dec ecx
    jnz %%port_bell

    mov eax, DOORBELL
    call choose_memory
    mark %6
    mov ecx, COUNT
%%memory_bell:
    mov [rbp], al
    dec ecx
    jnz %%memory_bell

    mark %7
    mov ecx, COUNT
%%nothing:
    dec ecx
    jnz %%nothing
%endmacro

long_mode:
    loops 'a', 'b', 'c', 'd', 'e', 'f', 'g'
    mark 'h'
    enter_user user

user:
    loops 'i', 'j', 'k', 'l', 'm', 'n', 'o'
    mark 'p'
.end:
    jmp .end

; Test AL of the port BAR: BP is the port to write to.
choose_port:
    movzx edx, word [port_bar]
    out dx, al
    mov ebp, edx
    add edx, 5
    in al, dx                   ; bytes: pci-testdev gives no more at a time
    mov ah, al
    dec edx
    in al, dx
    add bp, ax
    ret

; Test AL of the memory BAR: RBP is the address to write to.
choose_memory:
    mov ebp, [memory_bar]
    mov [rbp], al
    mov ah, [rbp + 5]
    mov al, [rbp + 4]
    movzx eax, ax
    add ebp, eax
    ret

    tables
