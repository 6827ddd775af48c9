; A Multiboot kernel that prints what it was given on COM1: mode, command line, module, memory map; and exits with 7.

bits 32
org 0x200000

MAGIC equ 0x1BADB002
FLAGS equ 0x10003
COM1  equ 0x3F8
EXIT  equ 0x501

image:
    dd MAGIC, FLAGS, -(MAGIC + FLAGS)
    dd image, image, 0, bss_end, start

start:
    mov esp, stack
    mov ebp, ebx                        ; Multiboot information
    mov esi, good
    cmp eax, 0x2BADB002
    je .said
    mov esi, bad
.said:
    call print
    mov esi, command_line
    call print
    mov esi, [ebp + 16]
    call print
    mov esi, module
    call print
    mov eax, [ebp + 24]
    mov ecx, [eax + 4]
    mov esi, [eax]
    sub ecx, esi
.module:
    mov al, [esi]
    call put
    inc esi
    loop .module
    mov esi, zeros
    call print
    mov ecx, (bss_end - bss) / 4
    mov edi, bss
    xor eax, eax
    repe scasd
    mov al, '0'
    setne ah
    add al, ah
    call put
    mov ebx, [ebp + 48]                 ; the memory map
    mov edx, [ebp + 44]
    add edx, ebx
.entry:
    push edx
    mov esi, range
    call print
    mov eax, [ebx + 8]
    call hex
    mov eax, [ebx + 4]
    call hex
    mov al, ' '
    call put
    mov eax, [ebx + 16]
    call hex
    mov eax, [ebx + 12]
    call hex
    mov al, ' '
    call put
    mov eax, [ebx + 20]
    call hex
    pop edx
    add ebx, [ebx]
    add ebx, 4
    cmp ebx, edx
    jb .entry
    mov esi, line
    call print
    mov dx, EXIT
    mov al, 3
    out dx, al
.stop:
    hlt
    jmp .stop

hex:                                    ; EAX
    push ecx
    mov ecx, 8
.digit:
    rol eax, 4
    push eax
    and al, 15
    cmp al, 10
    sbb al, 0x69
    das
    call put
    pop eax
    loop .digit
    pop ecx
    ret

print:                                  ; the text at ESI
    lodsb
    test al, al
    jz .end
    call put
    jmp print
.end:
    ret

put:                                    ; AL
    push edx
    push eax
    mov dx, COM1 + 5
.busy:
    in al, dx
    test al, 0x20
    jz .busy
    pop eax
    mov dx, COM1
    out dx, al
    pop edx
    ret

good:         db "loader: multiboot", 0
bad:          db "loader: another", 0
command_line: db 10, "cmdline: ", 0
module:       db 10, "module: ", 0
zeros:        db 10, "bss: ", 0
range:        db 10, "range: ", 0
line:         db 10, 0

align 4
bss:                                    ; not in the file
bss_end equ bss + 0x4000
stack   equ bss_end + 0x1000
