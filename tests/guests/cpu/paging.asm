; 32-bit paging: faults with their error codes, faults that are mended and retried, accessed and dirty bits, and code whose
; page changes under it. SDM volume 3: chapter 4, 6.15 (#PF), 8.1.3.

ERROR_PRESENT   equ 1                   ; bits of a page fault's error code
ERROR_WRITE     equ 2
ERROR_USER      equ 4
ERROR_FETCH     equ 16
PAGE_PRESENT    equ 1                   ; bits of an entry
PAGE_WRITE      equ 2
PAGE_USER       equ 4
PAGE_ACCESSED   equ 0x20
PAGE_DIRTY      equ 0x40
PAGE_LARGE      equ 0x80

%define window_entry(page) PAGE_TABLE + (WINDOW / 0x1000 + page) * 4

; Page number %1 of the window now maps to what entry %2 says.
%macro map_window 2
    mov dword [window_entry(%1)], %2
    invlpg [WINDOW + %1 * 0x1000]
%endmacro

    section .text
    bits 32

paging_checks:
    mov edi, PAGE_TABLE                 ; the first 4 MiB, identical, open to ring 3
    mov eax, PAGE_PRESENT | PAGE_WRITE | PAGE_USER
    mov ecx, 1024
.fill:
    stosd
    add eax, 0x1000
    loop .fill
    mov edi, PAGE_DIRECTORY
    mov ecx, 1024
    xor eax, eax
    rep stosd
    mov dword [PAGE_DIRECTORY], PAGE_TABLE | PAGE_PRESENT | PAGE_WRITE | PAGE_USER
    mov eax, PAGE_DIRECTORY
    mov cr3, eax
    mov eax, cr0
    or eax, 0x80010000                  ; PG, WP
    mov cr0, eax

    part pm_page_faults
    check "pm-page-fault"
    map_window 0, 0
    expect_fault 14, ERROR_WRITE, mov dword [WINDOW + 0x123], 1
    expect [trap_cr2], WINDOW + 0x123
    expect_fault 14, 0, mov eax, [WINDOW + 0xffc]
    expect [trap_cr2], WINDOW + 0xffc
    expect_fault 14, 0, mov eax, [0x80000000]   ; not even a page table
    expect [trap_cr2], 0x80000000
    verdict

    check "pm-page-fault-fetch"
    faulted 14, 0, call .to_window
    expect [trap_eip], WINDOW
    expect [trap_cr2], WINDOW
    add esp, 4                          ; the call did push its return address
    verdict

    check "pm-write-protect"            ; CR0.WP: ring 0 obeys read-only pages
    map_window 0, FRAME_A | PAGE_PRESENT | PAGE_USER
    mov eax, [WINDOW]
    expect_fault 14, ERROR_PRESENT | ERROR_WRITE, mov [WINDOW], eax
    mov eax, cr0
    and eax, ~0x10000
    mov cr0, eax
    mov dword [WINDOW], 0x77
    mov eax, cr0
    or eax, 0x10000
    mov cr0, eax
    expect [FRAME_A], 0x77
    verdict

    check "pm-accessed-dirty"
    map_window 0, FRAME_A | PAGE_PRESENT | PAGE_WRITE
    mov eax, [window_entry(0)]
    and eax, PAGE_ACCESSED | PAGE_DIRTY
    expect eax, 0
    mov eax, [WINDOW]
    mov eax, [window_entry(0)]
    and eax, PAGE_ACCESSED | PAGE_DIRTY
    expect eax, PAGE_ACCESSED
    mov [WINDOW], eax
    mov eax, [window_entry(0)]
    and eax, PAGE_ACCESSED | PAGE_DIRTY
    expect eax, PAGE_ACCESSED | PAGE_DIRTY
    verdict

    check "pm-fault-leaves-registers"   ; a faulting instruction has changed nothing
    map_window 0, 0
    mov ebx, esp
    push dword 5
    expect_fault 14, ERROR_WRITE, pop dword [WINDOW]
    add esp, 4
    expect esp, ebx
    expect_fault 14, 0, push dword [WINDOW]
    expect esp, ebx
    map_window 0, FRAME_A | PAGE_PRESENT
    mov eax, 0x1234
    expect_fault 14, ERROR_PRESENT | ERROR_WRITE, xchg eax, [WINDOW]
    expect eax, 0x1234
    verdict

    check "pm-fault-in-string"          ; it stops at the border, its registers say how far it came
    map_window 0, FRAME_A | PAGE_PRESENT | PAGE_WRITE
    map_window 1, 0
    mov esi, BLOCK_SOURCE
    mov edi, WINDOW + 0xff8
    mov ecx, 16
    expect_fault 14, ERROR_WRITE, rep movsb
    expect [trap_cr2], WINDOW + 0x1000
    expect ecx, 8
    expect esi, BLOCK_SOURCE + 8
    expect edi, WINDOW + 0x1000
    map_window 1, FRAME_B | PAGE_PRESENT | PAGE_WRITE
    rep movsb                           ; as the fault handler's IRET would have done
    mov eax, [FRAME_B + 4]
    expect eax, [BLOCK_SOURCE + 12]
    verdict

    check "pm-fault-in-string-input"    ; and no byte from the port is lost
    map_window 1, 0
    mov dx, FW_CFG_SELECT
    xor eax, eax
    out dx, ax
    mov dx, FW_CFG_DATA
    mov edi, WINDOW + 0xffe
    mov ecx, 4
    expect_fault 14, ERROR_WRITE, rep insb
    expect ecx, 2
    map_window 1, FRAME_B | PAGE_PRESENT | PAGE_WRITE
    rep insb
    expect [WINDOW + 0xffe], "QEMU"
    verdict

    check "pm-page-fault-retry-20000"   ; mended by the handler, and the instruction done again
    gate32 14, mend_window
    mov dword [FRAME_A], 0x1234
    mov dword [interrupts], 0
    mov ecx, 20000
    xor ebx, ebx
.retry:
    map_window 0, 0
    add ebx, [WINDOW]
    loop .retry
    expect [interrupts], 20000
    expect ebx, 20000 * 0x1234
    mov ecx, 1000
.retry_modify:
    map_window 0, 0
    inc dword [WINDOW]
    loop .retry_modify
    expect [FRAME_A], 0x1234 + 1000
    call set_exception_gates
    verdict

    end_part

    part pm_remapping
    check "pm-remap-code"               ; the same address, another frame
    mov dword [FRAME_A], 0x000001b8     ; mov eax, 1; ret
    mov word [FRAME_A + 4], 0xc300
    mov dword [FRAME_B], 0x000002b8
    mov word [FRAME_B + 4], 0xc300
    xor ebx, ebx
    mov ecx, 100
.remap:
    map_window 0, FRAME_A | PAGE_PRESENT | PAGE_WRITE
    call .to_window
    lea ebx, [ebx + eax * 4]
    map_window 0, FRAME_B | PAGE_PRESENT | PAGE_WRITE
    call .to_window
    add ebx, eax
    loop .remap
    expect ebx, 600
    verdict

    check "pm-remap-by-cr3"             ; without INVLPG: a new CR3 forgets the old mapping
    mov dword [window_entry(0)], FRAME_A | PAGE_PRESENT | PAGE_WRITE
    mov eax, cr3
    mov cr3, eax
    call .to_window
    expect eax, 1
    verdict

    check "smc-alias"                   ; code written through another linear address
    mov byte [FRAME_A + 1], 0x44
    call .to_window
    expect eax, 0x44
    map_window 1, FRAME_A | PAGE_PRESENT | PAGE_WRITE
    mov byte [WINDOW + 0x1001], 0x55
    call .to_window
    expect eax, 0x55
    verdict

    end_part

    part pm_unaligned
    check "pm-unaligned-across-pages"   ; two neighbouring pages whose frames are not neighbours
    map_window 0, FRAME_B | PAGE_PRESENT | PAGE_WRITE
    map_window 1, FRAME_A | PAGE_PRESENT | PAGE_WRITE
    mov dword [WINDOW + 0xffe], 0x44332211
    movzx eax, word [FRAME_B + 0xffe]
    expect eax, 0x2211
    movzx eax, word [FRAME_A]
    expect eax, 0x4433
    map_window 1, 0
    mov dword [FRAME_B + 0xffc], 0
    expect_fault 14, ERROR_WRITE, mov dword [WINDOW + 0xffe], -1
    expect [FRAME_B + 0xffc], 0         ; not half written
    verdict
    end_part
    jmp user_checks

.to_window:
    push WINDOW
    ret

mend_window:
    add esp, 4
    mov dword [window_entry(0)], FRAME_A | PAGE_PRESENT | PAGE_WRITE
    inc dword [interrupts]
    iretd
