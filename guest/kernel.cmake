# Made part of guest/CMakeLists.txt: the kernel ELF and the UEFI application around it.
