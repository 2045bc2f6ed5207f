# Included by guest/CMakeLists.txt: the kernel ELF and the UEFI application around it.
enable_language(ASM)
set(CMAKE_POSITION_INDEPENDENT_CODE OFF)

# kernel.elf, with debug information for gdb.
file(GLOB guest_arch_x86_64 CONFIGURE_DEPENDS arch/x86_64/*.cpp arch/x86_64/*.S)
set(kernel_script ${CMAKE_CURRENT_SOURCE_DIR}/arch/x86_64/kernel.ld)
add_executable(guest_kernel kernel/main.cpp ${guest_portable} ${guest_arch_x86_64})
target_link_libraries(guest_kernel PRIVATE exo_kernel)
target_compile_definitions(guest_kernel PRIVATE
    EXO_VERSION="${PROJECT_VERSION}" EXO_BUILD_TYPE="$<IF:$<CONFIG:Debug>,debug,release>" ${guest_switches})
# Plain new aligns to 8: nothing in the kernel needs more, and the heap has a size of 24 bytes.
target_compile_options(guest_kernel PRIVATE -g -fnew-alignment=8)
target_link_options(guest_kernel PRIVATE LINKER:-T,${kernel_script})
set_target_properties(guest_kernel PROPERTIES
    OUTPUT_NAME kernel SUFFIX .elf RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR} LINK_DEPENDS ${kernel_script})

# The copy that travels inside exo.efi: no debug information, but with the symbol table, for backtraces.
set(kernel_stripped ${CMAKE_CURRENT_BINARY_DIR}/kernel-stripped.elf)
add_custom_command(OUTPUT ${kernel_stripped}
    COMMAND ${EXO_OBJCOPY} --strip-debug $<TARGET_FILE:guest_kernel> ${kernel_stripped}
    DEPENDS guest_kernel VERBATIM)

# exo.efi. CMake links ELF on this host, so the loader's objects go to lld-link by hand.
file(GLOB guest_loader CONFIGURE_DEPENDS boot/*.cpp)
add_library(guest_loader OBJECT ${guest_loader} arch/x86_64/memory_functions.cpp boot/kernel_section.S)
target_link_libraries(guest_loader PRIVATE exo_loader)
set_source_files_properties(boot/kernel_section.S PROPERTIES OBJECT_DEPENDS ${kernel_stripped})
target_compile_definitions(guest_loader PRIVATE $<$<COMPILE_LANGUAGE:ASM>:EXO_KERNEL_ELF="${kernel_stripped}">)
add_custom_command(OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/exo.efi
    COMMAND ${EXO_LLD_LINK} /nologo /subsystem:efi_application /entry:efi_main /nodefaultlib /dynamicbase
        /timestamp:0 /out:${CMAKE_CURRENT_BINARY_DIR}/exo.efi $<TARGET_OBJECTS:guest_loader>
    DEPENDS guest_loader $<TARGET_OBJECTS:guest_loader> COMMAND_EXPAND_LISTS VERBATIM)
add_custom_target(guest ALL DEPENDS ${CMAKE_CURRENT_BINARY_DIR}/exo.efi)

# chainloader.efi, which vmm carries in itself.
file(GLOB guest_chainloader CONFIGURE_DEPENDS chainloader/*.cpp)
add_library(guest_chainloader OBJECT ${guest_chainloader} boot/firmware.cpp arch/x86_64/memory_functions.cpp)
target_link_libraries(guest_chainloader PRIVATE exo_loader)
set(chainloader ${CMAKE_CURRENT_BINARY_DIR}/chainloader.efi)
add_custom_command(OUTPUT ${chainloader}
    COMMAND ${EXO_LLD_LINK} /nologo /subsystem:efi_application /entry:efi_main /nodefaultlib /dynamicbase
        /timestamp:0 /out:${chainloader} $<TARGET_OBJECTS:guest_chainloader>
    DEPENDS guest_chainloader $<TARGET_OBJECTS:guest_chainloader> COMMAND_EXPAND_LISTS VERBATIM)
add_custom_target(chainloader DEPENDS ${chainloader})
