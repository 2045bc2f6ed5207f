"""Repairs of the emulated SVM in the box's private QEMU 10.0.2, under which nested guests fail.

Its threads change words of each other's virtual CPUs without a lock. The repaired copy does so by locked instructions.

- Whenever a virtual CPU loads a floating-point state (each switch of processes: FXRSTOR, XRSTOR), it clears the flag "ignore numeric errors" in the
  *first* CPU's `hflags2` (`cpu_clear_ignne`). That word also says whether nested paging is on, interrupts are enabled globally, and so
  on: a change that the first CPU makes in the same moment, on its way into a nested guest, is undone. The guest then runs by the hypervisor's
  physical addresses and faults at its first instruction, or is never interrupted again.
- The word of pending interrupts (`CPUState.interrupt_request`), which later versions of QEMU change atomically:
  A nested guest's write to CR8 notes an interrupt without the big lock, which an assertion demands. With a timer tick already waiting, which
  a busy host makes likely, QEMU aborts in the middle of OVMF: `tcg_handle_interrupt: assertion failed: (bql_locked())`.
  Entering and leaving a nested guest (`helper_vmrun`, `do_vmexit`) set and clear the virtual interrupt's bit without any lock, thousands of
  times a second. An interrupt that another thread notes in between is lost: a timer tick that never comes, a box that stands still.

An interrupt that the hypervisor injects is delivered by `helper_vmrun` itself, which leaves its vector behind in `exception_index`. When another
thread wants the virtual CPU's attention before the nested guest's next exit, the main loop takes that for an exception and delivers the
interrupt once more, whatever the guest's interrupt flag says. The repaired copy leaves nothing behind.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Patch:
    what: str
    before: bytes
    after: bytes


PATCHES = (
    Patch(
        "the first CPU's flags changed by another CPU's thread",
        # call; and dword [rax+0x2c74], ~0x80; add rsp, 8
        bytes.fromhex("e8065f1400 81a0742c00007fffffff 4883c408"),
        # call; lock btr dword [rax+0x2c74], 7; nop; add rsp, 8
        bytes.fromhex("e8065f1400 f00fbab0742c000007 90 4883c408"),
    ),
    Patch(
        "the interrupt noted without the big lock",
        # test al, al; jne past; the assertion's arguments; call; 3 bytes of padding; or [rbx+0xd0], ebp
        bytes.fromhex("84c0 7524 4c8d05dbcb4600 488d0dbe564a00 ba5f000000 31ff 488d3540564a00 e89b46cfff 0f1f00 09abd0000000"),
        # test al, al; jmp to the lock prefix; …; 2 bytes of padding; lock or [rbx+0xd0], ebp
        bytes.fromhex("84c0 eb23 4c8d05dbcb4600 488d0dbe564a00 ba5f000000 31ff 488d3540564a00 e89b46cfff 0f1f f009abd0000000"),
    ),
    Patch(
        "the virtual interrupt set on entry to a nested guest",
        # test esi, esi; je past; or dword [rbx-0x2af0], 0x100; test byte [rbx+0xb2], 0x20
        bytes.fromhex("85f6 740a 818b10d5ffff00010000 f683b200000020"),
        # …; lock bts dword [rbx-0x2af0], 8; nop; …
        bytes.fromhex("85f6 740a f00fbaab10d5ffff08 90 f683b200000020"),
    ),
    Patch(
        "the injected interrupt delivered twice",
        # movzx esi, r12b; mov [rbx+0x33e0], r13d; mov [rbx-0x28f0], esi; mov dword [rbx+0x33e4], 0
        bytes.fromhex("410fb6f4 4489abe0330000 89b310d7ffff c783e433000000000000"),
        # …; a nop of 6 bytes; …
        bytes.fromhex("410fb6f4 4489abe0330000 660f1f440000 c783e433000000000000"),
    ),
    Patch(
        "the virtual interrupt cleared on exit from a nested guest",
        # movq xmm0, [rbx+0xb0]; and dword [rbx-0x2af0], ~0x100; mov dword [rbx+0x3478], 0
        bytes.fromhex("f30f7e83b0000000 81a310d5fffffffeffff c7837834000000000000"),
        # …; lock btr dword [rbx-0x2af0], 8; nop; …
        bytes.fromhex("f30f7e83b0000000 f00fbab310d5ffff08 90 c7837834000000000000"),
    ),
)


def repair(binary: Path) -> bool:
    """Repairs `binary` in place; a build other than the one the repairs were made for stays as it is. Which of them it is."""
    code = binary.read_bytes()
    if any(code.count(patch.before) != 1 for patch in PATCHES):
        return False
    for patch in PATCHES:
        code = code.replace(patch.before, patch.after)
    binary.write_bytes(code)
    return True
