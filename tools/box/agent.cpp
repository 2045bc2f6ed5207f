// The first and only service of the kvm-box: brings the kernel to the point where the host's commands run,
// runs one, hands back its status. Static, so that it needs nothing but the kernel.

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "channel.h"
#include "command.h"
#include "session.h"
#include "system.h"

namespace exo::box {
namespace {

std::expected<Request, Failure> receive_request(Channel& channel) {
    for (;;) {
        if (const auto frame = channel.next()) {
            auto request = parse_request(frame->payload);
            if (frame->message != Message::request || !request)
                return std::unexpected("the host's request is malformed");
            return *std::move(request);
        }
        pollfd port{channel.descriptor(), POLLIN, 0};
        poll(&port, 1, -1);
        if (!channel.fill()) return std::unexpected("the host hung up");
    }
}

int watch_deaths() {
    sigset_t deaths;
    sigemptyset(&deaths);
    sigaddset(&deaths, SIGCHLD);
    sigprocmask(SIG_BLOCK, &deaths, nullptr);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &deaths, SFD_NONBLOCK | SFD_CLOEXEC);
}

/// The command's exit status; no value when the host is gone.
std::expected<std::optional<int>, Failure> serve(Channel& channel, bool sees_host) {
    if (auto done = sees_host ? enter_host_root() : Outcome{}; !done) return std::unexpected(done.error());
    if (auto done = furnish_root(); !done) return std::unexpected(done.error());
    channel.send(Message::ready);
    if (!channel.flush(true)) return std::nullopt;
    const auto request = receive_request(channel);
    if (!request) return std::unexpected(request.error());
    if (auto done = mount_writable(*request); !done) return std::unexpected(done.error());
    if (auto done = place_disks(*request); !done) return std::unexpected(done.error());
    const int deaths = watch_deaths();
    const auto command = start_command(*request);
    if (!command) return std::unexpected(command.error());
    return Session(channel, *command, request->terminal, deaths).run();
}

void run() {
    if (auto done = start_kernel_services(); !done)
        return void(std::printf("kvm-box: %s\n", done.error().c_str()));
    // The kernel hands its first process what it did not understand of its own command line. A machine that
    // says which port to use has nothing but that port: no export of the host's root either.
    const char* told = std::getenv("port");
    const auto port = open_port(told ? told : "/dev/vport0p1");
    if (!port) return void(std::printf("kvm-box: %s\n", port.error().c_str()));
    Channel channel(*port);
    const auto status = serve(channel, told == nullptr);
    if (status && !*status) return;
    kill(-1, SIGKILL);  // what the command left running must not write after the sync
    sync();
    if (status) {
        channel.send(Message::status, static_cast<uint32_t>(**status));
    } else {
        channel.send(Message::failure, status.error());
    }
    channel.flush(true);
    sleep(5);  // the host ends the box now; if it does not, the box ends itself
}

}  // namespace
}  // namespace exo::box

int main() {
    exo::box::run();
    std::fflush(stdout);
    exo::box::power_off();
}
