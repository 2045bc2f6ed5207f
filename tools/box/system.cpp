#include "system.h"

#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>

namespace exo::box {
namespace {

// A read-only root may be cached; in writable folders reads must see what the host writes meanwhile.
constexpr const char* root_options = "trans=virtio,version=9p2000.L,msize=512000,cache=loose";
constexpr const char* writable_options = "trans=virtio,version=9p2000.L,msize=512000,cache=mmap";

std::unexpected<Failure> failed(const std::string& what) {
    return std::unexpected(what + ": " + std::strerror(errno));
}

Outcome mount_at(const char* source, const std::string& path, const char* type, unsigned long flags = 0,
                 const char* options = nullptr) {
    mkdir(path.c_str(), 0755);
    if (mount(source, path.c_str(), type, flags, options) != 0)
        return failed(std::string("mounting ") + source + " at " + path);
    return {};
}

Outcome load_module(const std::string& name) {
    const std::string path = "/modules/" + name;
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const bool loaded = file >= 0 && syscall(SYS_finit_module, file, "", 0) == 0;
    if (!loaded) return failed("loading the kernel module " + name);
    close(file);
    return {};
}

void raise_loopback() {
    const int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq request{};
    std::strncpy(request.ifr_name, "lo", sizeof request.ifr_name);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    ioctl(control, SIOCSIFFLAGS, &request);
    close(control);
}

void raise_limits() {
    const rlimit files{65536, 65536};
    const rlimit locked{RLIM_INFINITY, RLIM_INFINITY};  // io_uring's registered buffers
    setrlimit(RLIMIT_NOFILE, &files);
    setrlimit(RLIMIT_MEMLOCK, &locked);
}

std::string first_line(const std::string& path) {
    std::string line;
    std::getline(std::ifstream(path) >> std::ws, line);
    return line;
}

/// A serial line that passes every byte as it is, as fast as it can, whatever its modem lines say.
void make_raw(int port) {
    termios line{};
    tcgetattr(port, &line);
    cfmakeraw(&line);
    cfsetspeed(&line, B115200);
    line.c_cflag |= CLOCAL;
    tcsetattr(port, TCSANOW, &line);
}

/// The device node whose virtio-blk serial is `serial`, or nothing.
std::string device_of(const std::string& serial) {
    const std::unique_ptr<DIR, int (*)(DIR*)> blocks(opendir("/sys/block"), closedir);
    while (const dirent* entry = blocks ? readdir(blocks.get()) : nullptr) {
        const std::string name = entry->d_name;
        if (name.starts_with("vd") && first_line("/sys/block/" + name + "/serial") == serial)
            return "/dev/" + name;
    }
    return {};
}

}  // namespace

Outcome start_kernel_services() {
    if (auto done = mount_at("devtmpfs", "/dev", "devtmpfs"); !done) return done;
    if (auto done = mount_at("proc", "/proc", "proc"); !done) return done;
    if (auto done = mount_at("sysfs", "/sys", "sysfs"); !done) return done;
    std::ifstream order("/modules/order");
    for (std::string name; std::getline(order, name);) {
        if (auto done = load_module(name); !done) return done;
    }
    return {};
}

std::expected<int, Failure> open_port(const char* device) {
    for (int attempt = 0; attempt < 2000; ++attempt) {
        const int port = open(device, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (port >= 0) {
            if (isatty(port)) make_raw(port);
            return port;
        }
        usleep(5000);
    }
    return failed(std::string("opening the port to the host, ") + device);
}

Outcome enter_host_root() {
    if (auto done = mount_at("root", "/host", "9p", MS_RDONLY, root_options); !done) return done;
    for (const char* name : {"/dev", "/proc", "/sys"}) {
        if (mount(name, (std::string("/host") + name).c_str(), nullptr, MS_MOVE, nullptr) != 0)
            return failed(std::string("moving ") + name + " to the host's root");
    }
    if (chdir("/host") != 0 || mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 || chroot(".") != 0)
        return failed("entering the host's root");
    return {};
}

Outcome furnish_root() {
    if (auto done = mount_at("devpts", "/dev/pts", "devpts", 0, "mode=620,ptmxmode=666"); !done) return done;
    if (auto done = mount_at("tmpfs", "/dev/shm", "tmpfs"); !done) return done;
    if (auto done = mount_at("tmpfs", "/run", "tmpfs"); !done) return done;
    mount("debugfs", "/sys/kernel/debug", "debugfs", 0, nullptr);
    symlink("/proc/self/fd", "/dev/fd");
    symlink("/proc/self/fd/0", "/dev/stdin");
    symlink("/proc/self/fd/1", "/dev/stdout");
    symlink("/proc/self/fd/2", "/dev/stderr");
    sethostname("kvm-box", 7);
    raise_loopback();
    raise_limits();
    return {};
}

Outcome mount_writable(const Request& request) {
    for (const auto& [tag, path] : request.writable) {
        if (auto done = mount_at(tag.c_str(), path, "9p", 0, writable_options); !done) return done;
    }
    return {};
}

Outcome place_disks(const Request& request) {
    for (const auto& [serial, path] : request.disks) {
        const std::string device = device_of(serial);
        if (device.empty()) return std::unexpected("the disk for " + path + " did not appear");
        close(open(path.c_str(), O_CREAT | O_RDONLY | O_CLOEXEC,
                   0600));  // a host's own device node has no file here
        if (mount(device.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) != 0)
            return failed("placing the disk " + device + " at " + path);
    }
    return {};
}

void power_off() {
    sync();
    reboot(RB_POWER_OFF);
    for (;;) pause();
}

}  // namespace exo::box
