#include "vmm/isolation/syscall_filter.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "vmm/base/file_descriptor.h"

namespace exo::vmm {
namespace {

// Lists name what glibc 2.36 and later, libstdc++, liburing and libnbd call.

/// What any thread of a C++ program does: memory, locks, time, signals, its own end; and bytes to and from
/// what is open already.
constexpr std::array any_thread = {
    SCMP_SYS(brk),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(close),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(fstat),
    SCMP_SYS(futex),
    SCMP_SYS(getpid),
    SCMP_SYS(getrandom),
    SCMP_SYS(gettid),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(lseek),
    SCMP_SYS(madvise),
    SCMP_SYS(membarrier),
    SCMP_SYS(mremap),
    SCMP_SYS(msync),
    SCMP_SYS(munmap),
    SCMP_SYS(nanosleep),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(rseq),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sched_yield),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(time),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(fdatasync),
    SCMP_SYS(getuid),
    SCMP_SYS(newfstatat),
    SCMP_SYS(set_tid_address),
};
constexpr std::array device_thread = {
    SCMP_SYS(epoll_wait),     SCMP_SYS(epoll_pwait), SCMP_SYS(getrusage),
    SCMP_SYS(io_uring_enter), SCMP_SYS(poll),        SCMP_SYS(timerfd_settime),
};
/// What the main thread does while guests run, restart, are saved and end, and what disks' own threads do.
constexpr std::array whole_process = {
    SCMP_SYS(access),
    SCMP_SYS(copy_file_range),
    SCMP_SYS(dup),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(eventfd2),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(fallocate),
    SCMP_SYS(fcntl),
    SCMP_SYS(fchmod),
    SCMP_SYS(flock),
    SCMP_SYS(fstatfs),
    SCMP_SYS(fsync),
    SCMP_SYS(ftruncate),
    SCMP_SYS(getcwd),
    SCMP_SYS(getdents64),
    SCMP_SYS(geteuid),
    SCMP_SYS(getegid),
    SCMP_SYS(getgid),
    SCMP_SYS(getppid),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(lstat),
    SCMP_SYS(mincore),
    SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(ppoll),
    SCMP_SYS(preadv),
    SCMP_SYS(preadv2),
    SCMP_SYS(pwritev),
    SCMP_SYS(pwritev2),
    SCMP_SYS(prlimit64),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(rename),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(stat),
    SCMP_SYS(statfs),
    SCMP_SYS(statx),
    SCMP_SYS(sysinfo),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(uname),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(utimensat),
};
/// To connect to a server again: names, sockets, TLS.
constexpr std::array network_disk = {
    SCMP_SYS(bind),       SCMP_SYS(connect),  SCMP_SYS(getpeername), SCMP_SYS(getsockname),
    SCMP_SYS(getsockopt), SCMP_SYS(recvfrom), SCMP_SYS(recvmmsg),    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmmsg),   SCMP_SYS(sendmsg),  SCMP_SYS(sendto),      SCMP_SYS(setsockopt),
    SCMP_SYS(shutdown),   SCMP_SYS(socket),   SCMP_SYS(socketpair),  SCMP_SYS(pipe2),
};

/// The type of an ioctl, which is the second byte of its number.
constexpr std::uint64_t ioctl_type = 0xff00;
constexpr std::uint64_t ioctl_kvm = 0xae00;
constexpr std::uint64_t ioctl_block_device = 0x1200;
/// Of a terminal: read and set its mode, and how wide it is. TIOCSTI, which types for the user, is none of
/// them.
constexpr std::array terminal_ioctls = {0x5401u, 0x5402u, 0x5403u, 0x5404u, 0x5413u};
constexpr std::uint64_t clone_thread = 0x0001'0000;  // CLONE_THREAD of <sched.h>

/// Of a call's argument `index`: what it has to be, in the bits of `mask`.
constexpr scmp_arg_cmp argument(unsigned index, std::uint64_t mask, std::uint64_t value) {
    return {index, SCMP_CMP_MASKED_EQ, mask, value};
}

/// libseccomp 2.5 follows a null pointer when it runs out of memory while it compiles a filter, which takes
/// far less than this.
bool has_memory_for_filter() {
    constexpr std::size_t ample = 8 << 20;
    void* const room =
        ::mmap(nullptr, ample, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return room != MAP_FAILED && ::munmap(room, ample) == 0;
}

using Program = std::vector<sock_filter>;

class Filter {
  public:
    Filter() : context_(has_memory_for_filter() ? ::seccomp_init(SCMP_ACT_TRAP) : nullptr) {
        if (context_ == nullptr) error_ = ENOMEM;
    }

    void allow(std::span<const int> calls) {
        for (const int call : calls) rule(SCMP_ACT_ALLOW, call, {});
    }
    void allow_if(int call, const scmp_arg_cmp& condition) { rule(SCMP_ACT_ALLOW, call, {condition}); }
    void allow_ioctls(std::uint64_t type) { allow_if(SCMP_SYS(ioctl), argument(1, ioctl_type, type)); }
    void refuse(int call, unsigned error) { rule(SCMP_ACT_ERRNO(error), call, {}); }

    void allow_any_thread() {
        allow(any_thread);
        const auto process = static_cast<std::uint64_t>(::getpid());
        allow_if(SCMP_SYS(tgkill), argument(0, UINT32_MAX, process));
        for (const int what : {PR_GET_NAME, PR_SET_NAME})
            allow_if(SCMP_SYS(prctl), argument(0, UINT32_MAX, static_cast<unsigned>(what)));
        for (const unsigned what : terminal_ioctls) allow_if(SCMP_SYS(ioctl), argument(1, UINT32_MAX, what));
    }
    void allow_memory_without_code() {
        for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)}) allow_if(call, argument(2, PROT_EXEC, 0));
    }

    Result<void> install_on_all_threads() {
        if (error_ == 0) error_ = -::seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_TSYNC, 1);
        if (error_ == 0) error_ = -::seccomp_load(context_.get());
        if (error_ == 0) return {};
        return explain(error_);
    }

    /// As the kernel takes it.
    Result<Program> compile() {
        const FileDescriptor file(::memfd_create("filter", MFD_CLOEXEC));
        if (error_ == 0 && file.get() < 0) error_ = errno;
        if (error_ == 0) error_ = -::seccomp_export_bpf(context_.get(), file.get());
        if (error_ != 0) return explain(error_);
        const auto bytes = static_cast<std::size_t>(::lseek(file.get(), 0, SEEK_END));
        Program program(bytes / sizeof(sock_filter));
        if (::pread(file.get(), program.data(), bytes, 0) != static_cast<ssize_t>(bytes)) return explain(EIO);
        return program;
    }

    static std::unexpected<Error> explain(int error) {
        return fail_errno("cannot confine vmm to the system calls that it needs", error,
                          error == ENOMEM
                              ? "Raise the limit of memory (ulimit -v)."
                              : "Use a kernel with seccomp filters, or --seccomp off to run without.");
    }

  private:
    struct Release {
        void operator()(void* context) const { ::seccomp_release(context); }
    };
    void rule(std::uint32_t action, int call, std::initializer_list<scmp_arg_cmp> conditions) {
        if (error_ == 0)
            error_ = -::seccomp_rule_add_array(context_.get(), action, call,
                                               static_cast<unsigned>(conditions.size()), conditions.begin());
    }

    std::unique_ptr<void, Release> context_;
    int error_ = 0;
};

std::atomic<void (*)()> restore_first = nullptr;

void put(std::string_view text) {
    static_cast<void>(!::write(STDERR_FILENO, text.data(), text.size()));
}

/// In a signal handler.
void tell_denied_call(int signal, siginfo_t* info, void*) {
    if (void (*const restore)() = restore_first) restore();
    std::array<char, 16> number{};
    const auto end = std::to_chars(number.data(), number.data() + number.size(), info->si_syscall).ptr;
    std::array<char, 16> thread{};
    ::prctl(PR_GET_NAME, thread.data());
    put("vmm: the thread '");
    put(thread.data());
    put("' made system call ");
    put({number.data(), end});
    put(", which vmm has no use for: it ends here. If the guest is not to blame, report it; --seccomp off "
        "runs without the filter.\n");
    ::signal(signal, SIG_DFL);
    ::raise(signal);
}

Result<Program> compile(ThreadKind kind) {
    Filter filter;
    filter.allow_any_thread();
    filter.allow_memory_without_code();
    // The C library's allocator looks at /proc when it gives memory back, and does without.
    filter.refuse(SCMP_SYS(openat), EACCES);
    if (kind == ThreadKind::vcpu)
        filter.allow_ioctls(ioctl_kvm);
    else
        filter.allow(device_thread);
    return filter.compile();
}

/// Compiled once: a thread that begins when memory is short has none to compile with.
const Result<Program>& program_of(ThreadKind kind) {
    static const Result<Program> of_vcpus = compile(ThreadKind::vcpu);
    static const Result<Program> of_devices = compile(ThreadKind::device);
    return kind == ThreadKind::vcpu ? of_vcpus : of_devices;
}

}  // namespace

Result<void> confine_process(bool network) {
    if (const auto& program = program_of(ThreadKind::vcpu); !program) return std::unexpected(program.error());
    Filter filter;
    filter.allow_any_thread();
    filter.allow(device_thread);
    filter.allow(whole_process);
    filter.allow_ioctls(ioctl_kvm);
    filter.allow_ioctls(ioctl_block_device);
    // A thread may give up more.
    filter.allow(std::array{SCMP_SYS(seccomp)});
    filter.allow_if(SCMP_SYS(prctl), argument(0, UINT32_MAX, PR_SET_NO_NEW_PRIVS));
    // New threads, but no new processes. The arguments of clone3 are out of a filter's sight, and the C
    // library falls back to clone.
    filter.allow_if(SCMP_SYS(clone), argument(0, clone_thread, clone_thread));
    filter.refuse(SCMP_SYS(clone3), ENOSYS);
    if (network) {
        // Looking up a name may load a library.
        filter.allow(network_disk);
        filter.allow(std::array{SCMP_SYS(mmap), SCMP_SYS(mprotect)});
    } else {
        filter.allow_memory_without_code();
    }
    return filter.install_on_all_threads();
}

Result<void> confine_thread(ThreadKind kind) {
    const Result<Program>& program = program_of(kind);
    if (!program) return std::unexpected(program.error());
    // The kernel only reads it.
    sock_fprog told{.len = static_cast<unsigned short>(program->size()),
                    .filter = const_cast<sock_filter*>(program->data())};
    const bool confined = ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                          ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &told) == 0;
    if (!confined) return Filter::explain(errno);
    return {};
}

void report_denied_calls(void (*restore)()) {
    restore_first = restore;
    struct sigaction action{};
    action.sa_sigaction = tell_denied_call;
    action.sa_flags = SA_SIGINFO;
    ::sigaction(SIGSYS, &action, nullptr);
}

}  // namespace exo::vmm
