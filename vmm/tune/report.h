#pragma once

#include <string>

#include "vmm/tune/comparison.h"

namespace exo::vmm::tune {

/// Where a sweep was made, and of what.
struct Circumstances {
    std::string version;
    std::string processor;
    unsigned host_cpus = 1;
    std::string disk;  ///< for a person
    Operations operations;
    unsigned rounds = 1;
    /// What makes time mean nothing here, as the rest of a sentence; empty on real hardware.
    std::string not_this_hardware;
};

/// Tables and recommendations for a person. Where figures are not of this hardware every table says so.
std::string report_text(const Circumstances& circumstances, const Sweep& sweep);

/// The same and each round as a JSON document; README.md of vmm/ describes its fields.
std::string report_json(const Circumstances& circumstances, const Sweep& sweep);

}  // namespace exo::vmm::tune
