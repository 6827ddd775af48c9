; Real mode: memory and board. A20, code that changes, ROM and shadow RAM, string I/O, big segments.
; 8042 output port and port 92h (82371SB, FAST_A20); 82441FX PMC datasheet, PAM registers; SDM volume 3, 8.1.3 (self-modifying code).

    section .text
    bits 16

real_mode_memory_checks:
    part real_a20
    call a20_checks
    end_part
    part real_changing_code
    call changing_code_checks
    end_part
    part real_rom
    call rom_checks
    end_part
    part real_string_io
    call string_io_checks
    end_part
    part real_big_segment
    call big_segment_check
    end_part
    ret

; ---- A20: the two sources are ORed on the board, so each is checked while the other one is off ---------
a20_checks:
    mov ax, 0xffff
    mov fs, ax                          ; ffff:0510 is linear 0x100500

    check "real-a20-port92"
    mov al, 0xdd
    call write_kbc_output_port
    call close_port92_gate
    call probe_a20
    expect eax, 0x2222                  ; masked: the write above 1 MiB went to A20_PROBE
    call open_port92_gate
    call probe_a20
    expect eax, 0x1111
    verdict

    check "real-a20-keyboard-controller"
    call close_port92_gate
    call probe_a20
    expect eax, 0x2222
    mov al, 0xdf
    call write_kbc_output_port
    call probe_a20
    expect eax, 0x1111
    call open_port92_gate
    verdict

    check "real-a20-code"               ; what is fetched follows the gate too
    mov dword [A20_PROBE], 0xcb0001b8   ; mov ax, 1; retf
    mov dword [fs:A20_PROBE + 0x10], 0xcb0002b8
    call far [.above]
    movzx eax, ax
    expect eax, 2
    mov al, 0xdd
    call write_kbc_output_port
    call close_port92_gate
    call far [.above]
    movzx ebx, ax
    call open_port92_gate
    mov al, 0xdf
    call write_kbc_output_port
    expect ebx, 1
    call far [.above]
    movzx eax, ax
    expect eax, 2
    verdict
    ret
.above: dw A20_PROBE + 0x10, 0xffff

probe_a20:                              ; EAX: what A20_PROBE holds after a write 1 MiB higher
    mov dword [A20_PROBE], 0x1111
    mov dword [fs:A20_PROBE + 0x10], 0x2222
    mov eax, [A20_PROBE]
    ret

close_port92_gate:
    in al, PORT92
    and al, 0xfc                        ; bit 0 would reset the CPU
    out PORT92, al
    ret

open_port92_gate:
    in al, PORT92
    and al, 0xfe
    or al, 2
    out PORT92, al
    ret

; AL to the 8042's output port: bit 1 is the A20 gate, bit 0 must stay set (reset).
write_kbc_output_port:
    cli
    push ax
    call .wait
    write_port KBC_STATUS, 0xd1
    call .wait
    pop ax
    out KBC_DATA, al
    call .wait
    sti
    ret
.wait:
    mov cx, 0xffff
.full:
    in al, KBC_STATUS
    test al, 2                          ; input buffer full
    loopnz .full
    ret

; ---- code that changes --------------------------------------------------------------------------------
changing_code_checks:
    check "smc-next-instruction"
    xor edx, edx
    mov cx, 3
.patch:
    mov [.patched + 1], cl
.patched:
    mov al, 0
    shl edx, 4
    or dl, al
    loop .patch
    expect edx, 0x321
    verdict

    ; mov eax, imm32; retf, laid so that the immediate begins on one page and ends on the next
.straddling equ 0xffd
    check "smc-across-pages"
    mov ax, CODE_SEGMENT
    mov es, ax
    mov dword [es:.straddling], 0x4433b866
    mov dword [es:.straddling + 4], 0x00cb5566
    call CODE_SEGMENT:.straddling
    expect eax, 0x55664433
    mov byte [es:0x1001], 0x77          ; the page on which the instruction ends
    call CODE_SEGMENT:.straddling
    expect eax, 0x55774433
    mov byte [es:.straddling + 2], 0x22 ; the page on which it begins
    call CODE_SEGMENT:.straddling
    expect eax, 0x55774422
    verdict

    check "smc-loop-1000"               ; a routine rewritten before each call
    mov dword [es:0x100], 0x0000b866    ; mov eax, imm32
    mov dword [es:0x104], 0x00cb0000    ; retf
    mov ecx, 1000
    xor ebx, ebx
.rewrite:
    mov [es:0x102], ecx
    call CODE_SEGMENT:0x100
    add ebx, eax
    dec ecx
    jnz .rewrite
    expect ebx, 500500
    verdict

    check "smc-string-copy"             ; new code by REP MOVSB over code that has run
    mov cx, .copied_end - .copied
    mov si, .copied
    mov di, 0x100
    rep movsb
    call CODE_SEGMENT:0x100
    movzx eax, ax
    expect eax, 0x5a5a
    xor ax, ax
    mov es, ax
    verdict

    check "code-from-disk"              ; the firmware reads new code over code that has run
    mov eax, DISK_CODE_LBA
    call .read_and_call
    expect eax, 0x1111
    mov eax, DISK_CODE_LBA + 1
    call .read_and_call
    expect eax, 0x2222
    mov eax, DISK_CODE_LBA
    call .read_and_call
    expect eax, 0x1111
    verdict
    ret

.copied:
    mov ax, 0x5a5a
    retf
.copied_end:

.read_and_call:                         ; the sector at LBA EAX; EAX: what its code returns, or all ones
    mov ebx, DISK_BUFFER
    mov cx, 1
    call read_sectors
    mov eax, -1
    jc .failed
    xor eax, eax
    call (DISK_BUFFER >> 4):0
.failed:
    ret

; ---- ROM and shadow RAM -------------------------------------------------------------------------------
rom_checks:
    cli                                 ; the firmware's interrupt code lives in this segment
    mov ax, 0xf000
    mov es, ax

    check "rom-write-ignored"           ; the firmware leaves its segment write-protected
    mov al, [es:0xfff0]
    mov ah, al
    not ah
    mov [es:0xfff0], ah
    cmp [es:0xfff0], al
    setne bl
    movzx ebx, bl
    expect ebx, 0
    verdict

    ; PAM0, 82441FX configuration register 59h: bits 5:4 are write and read enable of F0000h-FFFFFh
    check "pam-shadow"
    call read_pam0
    mov [saved_pam0], al
    mov eax, [es:0xfff0]
    mov [saved_shadow], eax
    mov al, 0x30
    call write_pam0
    mov dword [es:0xfff0], 0xcb1234b8   ; mov ax, 1234h; retf
    call 0xf000:0xfff0
    movzx eax, ax
    expect eax, 0x1234
    mov byte [es:0xfff1], 0x35          ; shadow RAM is RAM: code that ran may change
    call 0xf000:0xfff0
    movzx eax, ax
    expect eax, 0x1235
    mov al, 0x10
    call write_pam0
    mov byte [es:0xfff1], 0x99          ; write-protected again
    call 0xf000:0xfff0
    movzx eax, ax
    expect eax, 0x1235
    verdict

    check "pam-rom"                     ; the ROM below still holds the reset vector: a far jump
    mov al, 0
    call write_pam0
    movzx ebx, byte [es:0xfff0]
    mov al, 0x10
    call write_pam0
    expect ebx, 0xea
    movzx ebx, byte [es:0xfff0]
    expect ebx, 0xb8
    verdict

    mov al, 0x30
    call write_pam0
    mov eax, [saved_shadow]
    mov [es:0xfff0], eax
    mov al, [saved_pam0]
    call write_pam0
    xor ax, ax
    mov es, ax
    sti
    ret

select_pam0:                            ; configuration mechanism 1: bus 0, device 0, function 0, register 58h
    mov eax, 0x80000058
    mov dx, 0xcf8
    out dx, eax
    mov dx, 0xcfd                       ; byte 1 of the data window
    ret

read_pam0:
    call select_pam0
    in al, dx
    ret

write_pam0:
    push ax
    call select_pam0
    pop ax
    out dx, al
    ret

; ---- string I/O ---------------------------------------------------------------------------------------
string_io_checks:
    check "rep-insb"                    ; fw_cfg item 0 is the signature
    mov dx, FW_CFG_SELECT
    xor ax, ax
    out dx, ax
    mov dx, FW_CFG_DATA
    mov di, string_buffer
    mov cx, 4
    rep insb
    movzx ecx, cx
    expect ecx, 0
    movzx edi, di
    expect edi, string_buffer + 4
    expect [string_buffer], "QEMU"
    verdict

    check "rep-insb-down"
    xor ax, ax
    mov dx, FW_CFG_SELECT
    out dx, ax
    mov dx, FW_CFG_DATA
    mov di, string_buffer + 3
    mov cx, 4
    std
    rep insb
    cld
    movzx edi, di
    expect edi, string_buffer - 1
    expect [string_buffer], "UMEQ"
    verdict

    check "rep-outsb"
    mov dx, COM1_SCRATCH
    mov si, .bytes
    mov cx, 5
    rep outsb
    movzx esi, si
    expect esi, .bytes + 5
    in al, dx
    movzx eax, al
    expect eax, 0x55
    mov cx, 0                           ; none at all
    rep outsb
    in al, dx
    movzx eax, al
    expect eax, 0x55
    verdict
    ret
.bytes: db 0x11, 0x22, 0x33, 0x44, 0x55, 0x66

; ---- the segment limit outlives protected mode ("unreal mode") ----------------------------------------
big_segment_check:
    check "real-big-segment"
    cli
    lgdt [gdt_pointer]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp CODE16:.protected
.protected:
    mov bx, DATA32
    mov fs, bx
    and al, 0xfe
    mov cr0, eax
    jmp 0:.real
.real:
    mov dword [fs:dword WINDOW], 0x600df00d
    mov eax, [fs:dword WINDOW]
    expect eax, 0x600df00d
    xor ax, ax
    mov fs, ax
    sti
    xor ah, ah                          ; and the firmware still works: int 1ah, read the clock
    int 0x1a
    mov eax, [BIOS_TICKS]
    sub ax, dx
    sub ax, 2
    sbb eax, eax                        ; within two ticks of what memory says
    expect eax, -1
    verdict
    ret

    [section .data]
    align 4, db 0
saved_shadow:   dd 0
saved_pam0:     db 0, 0, 0, 0
                dd 0                    ; rep-insb-down must not go below the buffer unnoticed
string_buffer:  dd 0
    __?SECT?__
