#include "vmm/cli/options.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <memory>
#include <optional>

#include "vmm/cli/config_file.h"
#include "vmm/cli/run_options.h"
#include "vmm/cli/tune_options.h"

namespace exo::vmm {
namespace {

constexpr char version[] = "vmm " EXO_VERSION;

/// Adds to the words of `vmm run` what the configuration file says and they do not.
/// @param run  has parsed the words
Result<void> add_config(const std::string& path, const CLI::App& run, std::vector<std::string>& words,
                        std::vector<std::string>& guest_command) {
    constexpr std::string_view command_key = "command";
    constexpr std::string_view not_in_a_file[] = {"config", "help"};
    auto entries = read_config(path);
    if (!entries) return std::unexpected(entries.error());
    for (ConfigEntry& entry : *entries) {
        if (entry.key == command_key) {
            if (guest_command.empty()) guest_command = std::move(entry.values);
            continue;
        }
        const std::string flag = "--" + entry.key;
        const CLI::Option* const option = run.get_option_no_throw(flag);
        if (option == nullptr ||
            std::ranges::find(not_in_a_file, std::string_view(entry.key)) != std::end(not_in_a_file))
            return std::unexpected(
                config_error(path, entry.line, fmt::format("there is no option '{}'", entry.key)));
        if (entry.list && option->get_multi_option_policy() != CLI::MultiOptionPolicy::TakeAll)
            return std::unexpected(
                config_error(path, entry.line, fmt::format("'{}' takes one value, not a list", entry.key)));
        if (option->count() > 0) continue;
        for (const std::string& value : entry.values) words.push_back(fmt::format("{}={}", flag, value));
    }
    return {};
}

/// The words once through CLI11.
struct Parsed {
    std::unique_ptr<CLI::App> app;
    CLI::App* run = nullptr;
    CLI::App* tune = nullptr;
    CLI::App* doctor = nullptr;
    std::unique_ptr<RunText> text = std::make_unique<RunText>();  ///< the app points to it
    std::unique_ptr<TuneText> tune_text = std::make_unique<TuneText>();
    std::optional<Information> information;
};

Parsed parse_words(std::vector<std::string> words) {
    Parsed parsed;
    parsed.app = std::make_unique<CLI::App>(
        "A KVM-based virtual machine monitor that boots the Exo-OS guest through stock OVMF.", "vmm");
    parsed.app->set_version_flag("--version", version);
    parsed.app->require_subcommand(1);
    parsed.run = add_run(*parsed.app, *parsed.text);
    parsed.tune = add_tune(*parsed.app, *parsed.tune_text);
    parsed.doctor = parsed.app->add_subcommand(
        "doctor", "Tell what this host offers, what is missing and how to repair it");
    try {
        std::ranges::reverse(words);
        parsed.app->parse(std::move(words));
    } catch (const CLI::CallForVersion&) {
        parsed.information = Information{fmt::format("{}\n", version)};
    } catch (const CLI::CallForHelp&) {
        const auto subcommands = parsed.app->get_subcommands();
        parsed.information = Information{
            subcommands.empty() ? parsed.app->help() : subcommands.front()->help(parsed.app->get_name())};
    }
    return parsed;
}

}  // namespace

Result<Command> parse_arguments(std::span<const char* const> arguments) try {
    const auto separator = std::ranges::find(arguments, std::string_view("--"));
    std::vector<std::string> words(arguments.begin(), separator);
    std::vector<std::string> guest_command;
    if (separator != arguments.end()) guest_command.assign(separator + 1, arguments.end());

    Parsed parsed = parse_words(words);
    if (parsed.information) return *parsed.information;
    if (parsed.doctor->parsed()) return DoctorOptions{};
    if (parsed.tune->parsed()) return understand(*parsed.tune_text);
    if (const std::string config = parsed.text->config; !config.empty()) {
        if (auto added = add_config(config, *parsed.run, words, guest_command); !added)
            return std::unexpected(added.error());
        parsed = parse_words(words);
    }
    return understand(*parsed.text, std::move(guest_command));
} catch (const CLI::ParseError& error) {
    return fail("the command line is not understood", error.what(), "See vmm --help and vmm run --help.");
}

}  // namespace exo::vmm
