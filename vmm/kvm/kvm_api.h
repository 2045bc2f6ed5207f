#pragma once
#pragma GCC system_header

// Debian 12's <linux/kvm.h> puts an empty struct before flexible arrays; it has size 1 in C++, and the ioctl
// numbers, which hold sizes, come out wrong. The kernel's own macro is replaced before it is used.
#include <linux/stddef.h>
#undef __DECLARE_FLEX_ARRAY
#define __DECLARE_FLEX_ARRAY(TYPE, NAME) TYPE NAME[]
#include <linux/kvm.h>

static_assert(sizeof(kvm_cpuid2) == 8);
static_assert(sizeof(kvm_irq_routing) == 8);
static_assert(sizeof(kvm_msrs) == 8);
static_assert(sizeof(kvm_msr_list) == 4);
static_assert(sizeof(kvm_xsave) == 4096);
static_assert(sizeof(kvm_stats_desc) == 16);
