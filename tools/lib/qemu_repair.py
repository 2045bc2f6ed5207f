"""A repair of the box's private QEMU 10.0.2.

QEMU's SVM emulation asserts that the big lock is held when it notes an interrupt, but a nested guest's write to CR8 (`helper_write_crN`)
notes one without it. With a timer tick already waiting, which a busy host makes likely, QEMU then aborts in the middle of OVMF:
`tcg_handle_interrupt: assertion failed: (bql_locked())`. Later versions of QEMU note the interrupt atomically and need no lock; so does the
repaired copy: the assertion is jumped over, and the `or` that follows gets a lock prefix in place of a padding byte.
"""

from pathlib import Path

from report import say

# test al, al; jne past; the assertion's arguments; call; 3 bytes of padding; or [rbx+0xd0], ebp
BEFORE = bytes.fromhex("84c0 7524 4c8d05dbcb4600 488d0dbe564a00 ba5f000000 31ff 488d3540564a00 e89b46cfff 0f1f00 09abd0000000")
# test al, al; jmp to the lock prefix; …; 2 bytes of padding; lock or [rbx+0xd0], ebp
AFTER = bytes.fromhex("84c0 eb23 4c8d05dbcb4600 488d0dbe564a00 ba5f000000 31ff 488d3540564a00 e89b46cfff 0f1f f009abd0000000")


def repair(tool: str, binary: Path) -> None:
    """Repairs `binary` in place; a build other than the one the repair was made for stays as it is, and that is said."""
    code = binary.read_bytes()
    if code.count(BEFORE) != 1:
        say(tool, f"{binary.name} is another build than the one whose interrupt fault is known; not repaired, it may abort now and then")
        return
    binary.write_bytes(code.replace(BEFORE, AFTER))
