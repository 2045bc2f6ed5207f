#pragma once

#include <string>
#include <string_view>

#include "vmm/base/error.h"

namespace exo::vmm {

/// Whether a file can be written there later, without writing it now; an empty path is none to write.
/// `option` is what the error names, here and below.
Result<void> check_writable(const std::string& path, const char* option);

/// Writes a document, a regular file at once and whole.
Result<void> write_document(const std::string& path, const char* option, std::string_view document);

}  // namespace exo::vmm
