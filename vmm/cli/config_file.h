#pragma once

#include <string>
#include <vector>

#include "vmm/base/error.h"

namespace exo::vmm {

/// One key of a configuration file, in the words of the command line.
struct ConfigEntry {
    std::string key;                  ///< as the option is called, without the dashes
    std::vector<std::string> values;  ///< one, or as many as the list has
    bool list = false;
    unsigned line = 0;  ///< where it stands in the file, from 1
};

/// Reads a TOML file: strings, whole numbers, and lists of strings, without tables. What the keys mean is the
/// command line's business.
Result<std::vector<ConfigEntry>> read_config(const std::string& path);

/// An error in that file at that line.
Error config_error(const std::string& path, unsigned line, std::string why);

}  // namespace exo::vmm
