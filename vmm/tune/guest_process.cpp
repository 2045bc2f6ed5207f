#include "vmm/tune/guest_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <ctime>

namespace exo::vmm::tune {
namespace {

constexpr char what[] = "cannot run a guest";

/// After fork(): nothing here allocates.
[[noreturn]] void become(char* const* words, const char* program, int output, pid_t parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int nothing = ::open("/dev/null", O_RDONLY);
    const bool ready = ::getppid() == parent && nothing >= 0 && ::dup2(nothing, STDIN_FILENO) >= 0 &&
                       ::dup2(output, STDOUT_FILENO) >= 0;
    if (ready) ::execv(program, words);
    ::_exit(127);
}

}  // namespace

Result<GuestProcess> GuestProcess::start(const std::vector<std::string>& words, const std::string& program) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(what, errno);
    FileDescriptor output(ends[0]);
    const FileDescriptor input(ends[1]);
    std::string name = "vmm";
    std::vector<char*> arguments = {name.data()};
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child < 0) return fail_errno(what, errno);
    if (child == 0) become(arguments.data(), program.c_str(), input.get(), parent);
    return GuestProcess(child, std::move(output));
}

GuestProcess::~GuestProcess() {
    if (child_ < 0) return;
    ::kill(child_, SIGKILL);
    wait();
}

Result<std::optional<std::string>> GuestProcess::next_line(std::chrono::milliseconds patience) {
    for (;;) {
        if (const std::size_t end = text_.find('\n'); end != std::string::npos) {
            std::string line = text_.substr(0, end);
            text_.erase(0, end + 1);
            return line;
        }
        pollfd polled{output_.get(), POLLIN, 0};
        const int ready = ::poll(&polled, 1, static_cast<int>(patience.count()));
        if (ready == 0)
            return fail("the guest does not go on",
                        fmt::format("it has said nothing for {} s", patience.count() / 1000));
        std::array<char, 4096> bytes;
        const ssize_t got = ready < 0 ? -1 : ::read(output_.get(), bytes.data(), bytes.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno("the guest's console cannot be read", errno);
        if (got == 0) return std::nullopt;
        text_.append(bytes.data(), static_cast<std::size_t>(got));
    }
}

std::chrono::nanoseconds GuestProcess::cpu_time() const {
    clockid_t clock{};
    timespec time{};
    if (::clock_getcpuclockid(child_, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return {};
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

int GuestProcess::wait() {
    int status = 0;
    while (::waitpid(child_, &status, 0) < 0 && errno == EINTR) {
    }
    child_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace exo::vmm::tune
