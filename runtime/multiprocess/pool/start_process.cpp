// SPDX-License-Identifier: MIT
// start_process: the call travels as one frame in a sealed memfd that the process inherits. So the
// arguments may be of any size, and neither side waits for the other.
#include <rondo/start_process.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>

#include <rondo/command.hpp>
#include <rondo/detail/loop/descriptor.hpp>

#include "io/process/process_state.hpp"
#include "multiprocess/pool/frame.hpp"
#include "multiprocess/pool/start_process.hpp"
#include "multiprocess/pool/worker.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
constexpr std::size_t call_max = 64 * 1024 * 1024;  // bytes
constexpr std::size_t name_max = 1024;              // bytes that the process gets

void write_all(int number, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t gone = ::write(number, bytes.data(), bytes.size());
        if (gone < 0 && errno == EINTR) continue;
        if (gone < 0) throw_system_error(errno, "start_process", "its arguments");
        bytes.remove_prefix(static_cast<std::size_t>(gone));
    }
}

/// A memory file with the frame of a call.
descriptor file_of(std::string_view body) {
    const int number = ::memfd_create("rondo call", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (number < 0) throw_system_error(errno, "memfd_create", "");
    descriptor file = adopt_or_close(number, "a call");
    const head_bytes head = pack_head(frame_kind::call, 0, body);
    write_all(file.number(), {head.data(), head.size()});
    write_all(file.number(), body);
    if (::fcntl(file.number(), F_ADD_SEALS, seals) != 0)
        throw_system_error(errno, "start_process", "its arguments");
    return file;
}

/// Returns: the whole memory file; empty if the descriptor is another kind of file.
std::string read_file(int number) {
    struct stat status {};
    if (::fcntl(number, F_GET_SEALS) != seals || ::fstat(number, &status) != 0) return {};
    std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
    for (std::size_t have = 0; have < bytes.size();) {
        const ssize_t came = ::pread(number, bytes.data() + have, bytes.size() - have,
                                     static_cast<off_t>(have));
        if (came < 0 && errno == EINTR) continue;
        if (came <= 0) return {};
        have += static_cast<std::size_t>(came);
    }
    return bytes;
}

std::string next_name() {
    static std::atomic<unsigned> last = 0;
    return "process-" + std::to_string(++last);
}

}  // namespace

process start_packed(const process_options& options, const packed_call& call,
                     const std::vector<int>& kept) {
    if (!process_worker_was_called())
        throw invalid_state_error(
            "start_process: main must begin with `if (rondo::process_worker(argc, argv)) return "
            "0;`; without it the new process would run main");
    if (call.bytes.size() > call_max)
        throw limit_error("start_process: the arguments have " + std::to_string(call.bytes.size()) +
                          " bytes, and at most " + std::to_string(call_max) + " are allowed");
    std::string name(options.name);
    if (name.empty()) name = next_name();
    if (name.find('\0') != name.npos)
        throw_system_error(EINVAL, "start_process", "a name with a NUL in it");
    std::string body;
    word_writer(body).text(name.substr(0, name_max));
    body += call.bytes;
    const descriptor file = file_of(body);
    command self("/proc/self/exe", "--rondo-process=" + std::to_string(file.number()));
    self.in(devnull).keep(file.number());
    for (const int number : kept) self.keep(number);
    if (options.daemon) self.die_with_parent();
    process started = self.spawn();
    process_state& state = process_access::of(started);
    state.name = std::move(name);
    state.is_daemon = options.daemon;
    return started;
}

// -- in the new process ---------------------------------------------------------------------------

namespace {

std::string take_body(int number) {
    const descriptor file = descriptor::adopt(number, "a call");
    std::string bytes = read_file(number);
    head_bytes head;
    if (bytes.size() < head.size())
        throw frame_error("--rondo-process is only for processes that start_process starts");
    bytes.copy(head.data(), head.size());
    bytes.erase(0, head.size());
    check_seal(parse_head(head, call_max + 2 * name_max), bytes);
    return bytes;
}

int call_started(std::string_view body) {
    const worker_answer answer = make_call_or_throw(body, call_max);
    if (answer.kind == frame_kind::missing)
        throw error("the function's module is not loaded in a new process, which loads only the "
                    "modules that the program is linked with");
    return answer.body.empty() ? 0 : deserialize<int>(answer.body);
}

}  // namespace

int run_started(int number) noexcept {
    std::string name = "?";
    try {
        const std::string body = take_body(number);
        word_reader from(body);
        name = from.text();
        ::prctl(PR_SET_NAME, name.c_str());
        return call_started(from.rest());
    } catch (...) {
        const std::string text =
            "rondo: process '" + name + "' failed: " + what_of(std::current_exception()) + '\n';
        std::fflush(stdout);
        std::fputs(text.c_str(), stderr);
        return 1;
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
