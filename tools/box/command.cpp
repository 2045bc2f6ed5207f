#include "command.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace exo::box {
namespace {

struct Ends {
    int ours = -1;
    int theirs = -1;
};

Ends open_pipe(bool ours_writes) {
    std::array<int, 2> ends{-1, -1};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return {};
    const Ends result = ours_writes ? Ends{ends[1], ends[0]} : Ends{ends[0], ends[1]};
    fcntl(result.ours, F_SETFL, O_NONBLOCK);
    return result;
}

Ends open_terminal(const winsize& size) {
    const int ours = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    std::array<char, 64> name{};
    if (ours < 0 || grantpt(ours) != 0 || unlockpt(ours) != 0 ||
        ptsname_r(ours, name.data(), name.size()) != 0)
        return {};
    ioctl(ours, TIOCSWINSZ, &size);
    return {ours, open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC)};
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
    std::vector<char*> result;
    for (const auto& text : texts) result.push_back(const_cast<char*>(text.c_str()));
    result.push_back(nullptr);
    return result;
}

[[noreturn]] void become(const Request& request, int input, int output, int errors) {
    setsid();
    dup2(input, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(errors, STDERR_FILENO);
    if (request.terminal) ioctl(STDIN_FILENO, TIOCSCTTY, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    signal(SIGPIPE, SIG_DFL);
    if (chdir(request.directory.c_str()) != 0) {
        dprintf(STDERR_FILENO, "kvm-box: cannot enter %s: %s\n", request.directory.c_str(), strerror(errno));
        _exit(125);
    }
    auto environment = pointers(request.environment);
    const auto arguments = pointers(request.arguments);
    environ = environment.data();
    execvp(arguments[0], arguments.data());
    dprintf(STDERR_FILENO, "kvm-box: %s: %s\n", arguments[0], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

}  // namespace

std::expected<Command, std::string> start_command(const Request& request) {
    const Ends terminal = request.terminal ? open_terminal(request.size) : Ends{};
    const Ends input = request.terminal ? terminal : open_pipe(true);
    const Ends output = request.terminal ? terminal : open_pipe(false);
    const bool piped_errors = !request.terminal || request.separate_errors;
    const Ends errors = piped_errors ? open_pipe(false) : Ends{-1, terminal.theirs};
    if (input.theirs < 0 || output.theirs < 0 || errors.theirs < 0)
        return std::unexpected(std::string("no terminal or pipe for the command: ") + strerror(errno));
    const pid_t process = fork();
    if (process < 0) return std::unexpected(std::string("no process for the command: ") + strerror(errno));
    if (process == 0) become(request, input.theirs, output.theirs, errors.theirs);
    for (const int theirs : {input.theirs, output.theirs, errors.theirs}) close(theirs);
    return Command{process, input.ours, output.ours, errors.ours};
}

}  // namespace exo::box
