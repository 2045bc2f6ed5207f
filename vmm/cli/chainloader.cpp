#include "vmm/cli/chainloader.h"

#ifdef EXO_CHAINLOADER
extern "C" const std::byte exo_chainloader_start[];
extern "C" const std::byte exo_chainloader_end[];
#endif

namespace exo::vmm {

std::span<const std::byte> chainloader() {
#ifdef EXO_CHAINLOADER
    return {exo_chainloader_start, exo_chainloader_end};
#else
    return {};
#endif
}

}  // namespace exo::vmm
