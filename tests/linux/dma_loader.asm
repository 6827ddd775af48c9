; A boot sector that loads a Linux kernel from the first IDE disk by the PIIX3's bus master, and enters it in 64-bit mode.
; What it reads first, by the firmware, is a list: the kernel's entry, and for each transfer the address of its physical
; region descriptors, its first sector, and the number of its sectors (tests/linux/dma_disk.py).
        bits 16
        org 0x7c00

LIST equ 0x10000
LIST_SECTORS equ 32
GDT equ 0x1000                  ; where southbridge.boot puts what the kernel is entered with
ZERO_PAGE equ 0x2000
PAGE_TABLES equ 0x8000
STACK equ 0x1f000
E820_COUNT equ ZERO_PAGE + 0x1e8
E820_TABLE equ ZERO_PAGE + 0x2d0
CODE equ 0x10
DATA equ 0x18

IDE equ 0x80000900              ; configuration space of 00:01.1
COMMAND equ 0x04
BMIBA equ 0x20
READ_DMA_EXT equ 0x25
READING equ 8
STARTED equ 1
INTERRUPT equ 4
ERROR equ 2

start:
        cli
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0x7c00
        sti
        cld
        mov si, packet
        mov ah, 0x42
        int 0x13
        jc failed

        mov eax, IDE | COMMAND
        call configuration
        in ax, dx
        or al, 5                ; ports, bus master
        out dx, ax
        mov eax, IDE | BMIBA
        call configuration
        in eax, dx
        and ax, 0xfffc
        mov bx, ax
        mov dx, 0x3f6
        xor al, al              ; with interrupts
        out dx, al
        mov ax, LIST >> 4
        mov fs, ax
        mov si, 16

transfer:
        mov eax, [fs:si]
        test eax, eax
        jz loaded
        lea dx, [bx + 4]
        out dx, eax
        mov dx, bx
        mov al, READING
        out dx, al
        lea dx, [bx + 2]
        mov al, INTERRUPT | ERROR ; writing them clears them
        out dx, al
        mov dx, 0x1f6
        mov al, 0x40            ; by LBA, the first drive
        out dx, al
        mov dx, 0x1f2
        mov al, [fs:si + 9]
        out dx, al
        mov al, [fs:si + 8]
        out dx, al
        inc dx                  ; 1f3h
        mov al, [fs:si + 7]
        out dx, al
        mov al, [fs:si + 4]
        out dx, al
        inc dx
        xor al, al
        out dx, al
        mov al, [fs:si + 5]
        out dx, al
        inc dx
        xor al, al
        out dx, al
        mov al, [fs:si + 6]
        out dx, al
        mov dx, 0x1f7
        mov al, READ_DMA_EXT
        out dx, al
        mov dx, bx
        mov al, READING | STARTED
        out dx, al
.wait:
        hlt                     ; until the drive's interrupt, or the next of the timer
        lea dx, [bx + 2]
        in al, dx
        test al, ERROR
        jnz failed
        test al, INTERRUPT
        jz .wait
        mov dx, bx
        xor al, al
        out dx, al
        mov dx, 0x1f7
        in al, dx
        test al, 1
        jnz failed
        add si, 16
        jmp transfer

failed:
        mov si, message
.next:
        lodsb
        test al, al
        jz $
        mov dx, 0x3f8
        out dx, al
        jmp .next

configuration:                  ; EAX: an address; gives DX, the port where it is then
        mov dx, 0xcf8
        out dx, eax
        and al, 3
        add al, 0xfc
        mov dl, al
        mov dh, 0x0c
        ret

loaded:
        xor ebx, ebx
        mov di, E820_TABLE
.range:
        mov eax, 0xe820
        mov edx, 'PAMS'
        mov ecx, 20
        int 0x15
        jc .done
        add di, 20
        inc byte [E820_COUNT]
        test ebx, ebx
        jnz .range
.done:
        cli
        lgdt [descriptors]
        mov eax, 1 << 5         ; PAE
        mov cr4, eax
        mov eax, PAGE_TABLES
        mov cr3, eax
        mov ecx, 0xc0000080     ; EFER
        rdmsr
        or ax, 1 << 8           ; LME
        wrmsr
        mov eax, cr0
        or eax, 1 << 31 | 1     ; PG, PE
        mov cr0, eax
        jmp CODE:enter
        bits 64
enter:
        mov eax, DATA
        mov ds, eax
        mov es, eax
        mov ss, eax
        mov esp, STACK
        mov esi, ZERO_PAGE
        jmp [abs LIST]

packet: db 16, 0
        dw LIST_SECTORS, 0, LIST >> 4
        dq 1
descriptors:
        dw 31
        dd GDT
message:
        db 'the kernel could not be loaded', 13, 10, 0

        times 510 - ($ - $$) db 0
        dw 0xaa55
