; The way back: long mode, compatibility mode, 16-bit protected mode, real mode; then the firmware must work as before.
; SDM volume 3: 9.8.5.4 (leaving long mode), 9.9.2 (back to real mode).

    section .text
    bits 64
return_to_real_mode:
    cli
    push CODE32
    push .compatibility
    retfq
    bits 32
.compatibility:
    mov ax, DATA32
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, KERNEL_STACK
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax                        ; paging off: long mode is no longer active
    mov ecx, MSR_EFER
    rdmsr
    and eax, ~(EFER_LME | EFER_SCE | EFER_NXE)
    wrmsr
    mov eax, cr4
    and eax, ~0x20                      ; PAE
    mov cr4, eax
    jmp CODE16:.protected16
    bits 16
.protected16:
    mov ax, DATA16
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov fs, ax
    mov gs, ax
    lidt [.ivt]
    mov eax, cr0
    and eax, ~0x10001                   ; PE, WP
    mov cr0, eax
    jmp 0:.real
.real:
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov fs, ax
    mov gs, ax
    mov esp, REAL_STACK
    initialise_pics 0x08, 0x70, 0xff, 0xff
    call return_clock_to_firmware

    part return
    check "return-to-real-mode"
    mov ecx, [BIOS_TICKS]
.firmware_tick:                         ; IRQ0 reaches the firmware again
    hlt
    cmp ecx, [BIOS_TICKS]
    je .firmware_tick
    mov eax, DISK_CODE_LBA + 1
    call changing_code_checks.read_and_call
    expect eax, 0x2222                  ; and it reads disks
    verdict
    end_part
    jmp finish
.ivt:
    dw 0x3ff
    dd 0
