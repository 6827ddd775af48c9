; A disk that makes the CPU leave the guest many times between two marks on the debug console (port 402h): by ports, by registers in
; memory, and by doorbells, which need not leave it. All of it in ring 0, then again in ring 3, where a task state segment allows every port: a KVM
; that interprets ring 0 (kvm_pvm) executes ring 3 itself.
;
; The registers are those of PCI device 1b36:0005, QEMU's pci-testdev (docs/specs/pci-testdev.txt), and benchmarks/testdev.py: writing N
; to byte 0 of a BAR chooses test N; then bytes 4 to 7 say at which offset to write. Test 0 is a plain register, 1 a doorbell.
bits 16
org 0x7c00
cpu x64

%define DEBUG 0x402
%define COUNT 20000
%define SECTORS 4
%define TEST_DEVICE 0x00051b36
%define PCI_ADDRESS 0xcf8
%define PCI_DATA 0xcfc
%define PML4 0x10000            ; then the tables below it, a page each
%define PDPT 0x11000
%define LOW_DIRECTORY 0x12000
%define BAR_DIRECTORY 0x13000
%define TASK 0x14000            ; its I/O permission bitmap is all zeros
%define TASK_LIMIT (0x68 + 0x2000)
%define STACK 0x20000
%define CODE64 0x08
%define USER_DATA (0x10 | 3)
%define USER_CODE (0x18 | 3)
%define TASK_STATE 0x20
%define PLAIN 0
%define DOORBELL 1

start:
    jmp 0:.normalise
.normalise:
    cli
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7c00
    mov ax, 0x0200 | (SECTORS - 1)      ; int 13h: read from the drive that we come from, behind this sector
    mov cx, 2
    mov dh, 0
    mov bx, 0x7e00
    int 0x13
    jnc program
.halt:
    hlt
    jmp .halt

    times 510 - ($ - $$) db 0
    dw 0xaa55

program:
    mov esi, 0x80000000
.function:
    mov eax, esi
    call read_pci
    cmp eax, TEST_DEVICE
    je .found
    add esi, 0x100
    cmp esi, 0x80010000
    jb .function
.halt:
    hlt
    jmp .halt
.found:
    lea eax, [esi + 0x10]
    call read_pci
    and al, 0xf0
    mov [memory_bar], eax
    lea eax, [esi + 0x14]
    call read_pci
    and al, 0xfc
    mov [port_bar], ax

    mov di, PML4 >> 4
    mov es, di
    xor di, di
    xor eax, eax
    mov cx, 0x7000 / 4
    rep stosd
    mov ax, PML4 >> 4
    mov ds, ax
    mov dword [0], PDPT | 7
    mov word [TASK - PML4 + 0x66], 0x68
    mov byte [TASK - PML4 + TASK_LIMIT], 0xff
    mov dword [PDPT - PML4], LOW_DIRECTORY | 7
    mov dword [LOW_DIRECTORY - PML4], 0x87      ; 2 MiB from 0
    mov ebx, [cs:memory_bar]
    mov esi, ebx
    shr esi, 30
    mov dword [PDPT - PML4 + esi * 8], BAR_DIRECTORY | 7
    mov esi, ebx
    shr esi, 21
    and esi, 511
    and ebx, 0xffe00000
    or ebx, 0x97                                ; and 2 MiB around the BAR, not cached
    mov [BAR_DIRECTORY - PML4 + esi * 8], ebx
    xor ax, ax
    mov ds, ax

    mov eax, PML4
    mov cr3, eax
    mov eax, cr4
    or eax, 0x20
    mov cr4, eax
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x100
    wrmsr
    lgdt [gdt]
    mov eax, cr0
    or eax, 0x80000001
    mov cr0, eax
    jmp CODE64:long_mode

read_pci:
    mov dx, PCI_ADDRESS
    out dx, eax
    mov dx, PCI_DATA
    in eax, dx
    ret

    bits 64
%macro mark 1
    mov dx, DEBUG
    mov al, '<'
    out dx, al
    mov al, %1
    out dx, al
    mov al, '>'
    out dx, al
%endmacro

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
    mov esp, STACK
    mov ax, TASK_STATE
    ltr ax
    loops 'a', 'b', 'c', 'd', 'e', 'f', 'g'
    mark 'h'
    push USER_DATA
    push STACK
    push 2
    push USER_CODE
    push user
    iretq

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

    align 8
gdt:
    dw gdt.end - gdt - 1        ; the null descriptor is where the register's value is
    dd gdt
    dw 0
    dq 0x00af9b000000ffff       ; CODE64
    dq 0x00cff3000000ffff       ; USER_DATA
    dq 0x00affb000000ffff       ; USER_CODE
    dw TASK_LIMIT, TASK & 0xffff, 0x8900 | TASK >> 16, 0    ; TASK_STATE
    dq 0
.end:
memory_bar: dd 0
port_bar:   dw 0

    times 512 * SECTORS - ($ - $$) db 0
