#pragma once

#include <string>

#include "vmm/cli/options.h"

namespace CLI {
class App;
}

namespace exo::vmm {

/// The options of `vmm tune` as they are written, before they are understood.
struct TuneText {
    std::string kernel;
    std::string disk;
    std::string pattern = "randread";
    unsigned rounds = 3;
    bool destroy_data = false;
    bool quick = false;
    bool anyway = false;
    std::string json;
};

/// Adds the subcommand, which writes to `text`; that outlives the app.
CLI::App* add_tune(CLI::App& app, TuneText& text);
Result<Command> understand(const TuneText& text);

}  // namespace exo::vmm
