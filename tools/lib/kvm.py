"""Can this machine's /dev/kvm run an unmodified guest?"""

import fcntl
import os
import re
from pathlib import Path

KVM_GET_API_VERSION = 0xAE00
KVM_CREATE_VM = 0xAE01


def why_unusable() -> str | None:
    """The reason, as the rest of a sentence, or None when it is usable."""
    try:
        device = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        return f"/dev/kvm cannot be opened ({error.strerror})"
    try:
        if fcntl.ioctl(device, KVM_GET_API_VERSION, 0) != 12:
            return "/dev/kvm speaks another version of the KVM API"
        os.close(fcntl.ioctl(device, KVM_CREATE_VM, 0))
    except OSError as error:
        return f"/dev/kvm makes no virtual machine ({error.strerror})"
    finally:
        os.close(device)
    # A KVM without the processor's help (kvm_pvm) answers all of the above and then fails on firmware's real-mode code.
    if not re.search(r"^flags\s*:.*\b(vmx|svm)\b", Path("/proc/cpuinfo").read_text(), re.MULTILINE):
        return "this processor offers no hardware virtualization"
    return None
