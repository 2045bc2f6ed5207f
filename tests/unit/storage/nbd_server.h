#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

namespace exo::vmm::test {

/// nbdkit, on a socket in a folder of its own. What follows the plugin's name is the plugin's.
class NbdServer {
  public:
    NbdServer() {
        std::string name = testing::TempDir() + "exo-nbd-XXXXXX";
        folder_ = ::mkdtemp(name.data());
    }
    NbdServer(const NbdServer&) = delete;
    NbdServer& operator=(const NbdServer&) = delete;
    ~NbdServer() {
        kill();
        std::filesystem::remove_all(folder_);
    }

    static bool installed() {
        return std::filesystem::exists("/usr/bin/nbdkit") || std::filesystem::exists("/usr/sbin/nbdkit");
    }

    std::string uri() const { return "nbd+unix:///?socket=" + socket(); }

    void start(std::vector<std::string> words) {
        std::filesystem::remove(socket());
        words.insert(words.begin(),
                     {"nbdkit", "--foreground", "--threads", "4", "--exit-with-parent", "--unix", socket()});
        std::vector<char*> arguments;
        for (std::string& word : words) arguments.push_back(word.data());
        arguments.push_back(nullptr);
        process_ = ::fork();
        ASSERT_GE(process_, 0);
        if (process_ == 0) {
            ::execvp(arguments[0], arguments.data());
            ::_exit(127);
        }
        for (int tries = 0; tries < 2000 && !answers(); ++tries)
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        ASSERT_TRUE(answers()) << "nbdkit does not answer";
    }

    /// At once, with all that it had in memory.
    void kill() {
        if (process_ <= 0) return;
        ::kill(process_, SIGKILL);
        ::waitpid(process_, nullptr, 0);
        process_ = 0;
    }

  private:
    std::string socket() const { return folder_ + "/socket"; }

    bool answers() const {
        sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
        std::strncpy(address.sun_path, socket().c_str(), sizeof(address.sun_path) - 1);
        const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
        const bool connected =
            ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
        ::close(fd);
        return connected;
    }

    std::string folder_;
    pid_t process_ = 0;
};

}  // namespace exo::vmm::test
