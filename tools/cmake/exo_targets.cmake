# The interface targets that give every kind of code its flags, one place for all.

add_library(exo_includes INTERFACE)
target_include_directories(exo_includes INTERFACE ${CMAKE_SOURCE_DIR})

add_library(exo_warnings INTERFACE)
target_compile_options(exo_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Werror
    $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>
    # Files that are compiled together see each other's local names.
    $<$<BOOL:${CMAKE_UNITY_BUILD}>:-Wno-shadow>)

# Code that may inline a context switch (guest/sched/switch): the switch pushes below the stack pointer, where nothing may be then,
# and does not keep RBX, by which clang addresses a frame that has locals of unknown size and over-aligned ones.
add_library(exo_no_red_zone INTERFACE)
target_compile_options(exo_no_red_zone INTERFACE -mno-red-zone -Walloca -Wvla)
target_compile_definitions(exo_no_red_zone INTERFACE EXO_NO_RED_ZONE)

# Hosted code: the VMM, the tests, and the guest's subsystems compiled for the host.
add_library(exo_hosted INTERFACE)
target_link_libraries(exo_hosted INTERFACE exo_includes exo_warnings)
target_compile_options(exo_hosted INTERFACE -fno-omit-frame-pointer)
target_link_options(exo_hosted INTERFACE $<$<CXX_COMPILER_ID:Clang>:-fuse-ld=lld>)  # in half of GNU ld's time
if(EXO_SANITIZERS)
    target_compile_options(exo_hosted INTERFACE -fsanitize=${EXO_SANITIZERS} -fno-sanitize-recover=all)
    target_link_options(exo_hosted INTERFACE -fsanitize=${EXO_SANITIZERS})
else()
    target_compile_options(exo_hosted INTERFACE -fstack-protector-strong $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)
    target_link_options(exo_hosted INTERFACE LINKER:-z,relro,-z,now)
endif()
if(EXO_COVERAGE)
    # Programs of one build share files of counts, which they lock.
    set(profile -fprofile-instr-generate=${CMAKE_BINARY_DIR}/profiles/%4m.profraw)
    target_compile_options(exo_hosted INTERFACE ${profile} -fcoverage-mapping)
    target_link_options(exo_hosted INTERFACE ${profile})
endif()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

# Some presets compile a target's files together, which parses headers once (CMAKE_UNITY_BUILD). Files that share a name of their own with
# others stay apart there.
function(exo_keep_apart)
    set_source_files_properties(${ARGN} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()

if(EXO_GUEST)
    if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
        message(FATAL_ERROR "The guest needs clang (the loader is a PE image). Use the release preset, or -DEXO_GUEST=OFF.")
    endif()
    string(REGEX MATCH "^[0-9]+" EXO_LLVM_MAJOR "${CMAKE_CXX_COMPILER_VERSION}")
    find_program(EXO_LLD_LINK NAMES lld-link-${EXO_LLVM_MAJOR} lld-link REQUIRED)
    find_program(EXO_OBJCOPY NAMES llvm-objcopy-${EXO_LLVM_MAJOR} llvm-objcopy REQUIRED)

    # The kernel: System V ELF in the top 2 GiB, general registers only, no red zone because interrupts use the same stack.
    add_library(exo_kernel INTERFACE)
    target_link_libraries(exo_kernel INTERFACE exo_includes exo_warnings exo_no_red_zone)
    target_compile_options(exo_kernel INTERFACE
        -ffreestanding -fno-exceptions -fno-rtti -fno-pic -mcmodel=kernel -mno-sse -mno-mmx
        -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer -fno-stack-protector -fno-threadsafe-statics
        -fno-c++-static-destructors -fno-asynchronous-unwind-tables -fcf-protection=none -ffunction-sections -fdata-sections)
    target_link_options(exo_kernel INTERFACE
        -fuse-ld=lld -nostdlib -static
        LINKER:--gc-sections,--build-id=none,-z,max-page-size=4096,-z,noexecstack)
    set_property(TARGET exo_kernel PROPERTY INTERFACE_POSITION_INDEPENDENT_CODE OFF)

    # The loader: a PE32+ image with Microsoft's calling convention, on C headers alone.
    add_library(exo_loader INTERFACE)
    target_link_libraries(exo_loader INTERFACE exo_includes exo_warnings)
    target_compile_options(exo_loader INTERFACE
        --target=x86_64-unknown-windows -ffreestanding -nostdinc++ -fno-exceptions -fno-rtti -fshort-wchar
        -mno-red-zone -mno-stack-arg-probe -fno-stack-protector -fno-threadsafe-statics)
endif()
