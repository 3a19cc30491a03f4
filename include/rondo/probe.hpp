// SPDX-License-Identifier: MIT
// Is io_uring here, and what can it do? Containers deny it by default, administrators switch it
// off, old kernels lack it: the first loop then throws `uring_unavailable`, which says in one
// sentence which of these it is and what to do about it. `probe` answers the same question without
// an exception, for programs that want to choose beforehand and for bug reports:
// `std::puts(rondo::probe().text().c_str())`.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {

/// io_uring cannot be had; `what()` is the whole sentence, `code()` the kernel's errno.
class RONDO_API uring_unavailable : public std::system_error {
public:
    uring_unavailable(int error, std::string cause, std::string hint);
    ~uring_unavailable() override;
    uring_unavailable(const uring_unavailable&) noexcept = default;
    uring_unavailable& operator=(const uring_unavailable&) noexcept = default;

    /// Which of the reasons it is: "a seccomp filter forbids it (containers install one)".
    std::string_view cause() const noexcept;
    /// What to do about it: "allow io_uring_setup, io_uring_enter and io_uring_register in its
    /// profile".
    std::string_view hint() const noexcept;

private:
    struct words;
    std::shared_ptr<const words> words_;  // shared, so that copying an exception cannot throw
};

class probe_report;
RONDO_API probe_report probe();

/// What the kernel offers to rondo.
class RONDO_API probe_report {
public:
    /// Whether a loop can be made.
    bool available() const noexcept { return error_.empty(); }
    explicit operator bool() const noexcept { return available(); }
    /// Returns: the sentence that a loop would throw; empty where io_uring is available.
    const std::string& error() const noexcept { return error_; }

    /// The set-up flags that loops will use, IORING_SETUP_*, as a word and by name.
    std::uint32_t setup_flags() const noexcept { return setup_flags_; }
    std::string setup_mode() const;
    /// IORING_FEAT_*.
    std::uint32_t features() const noexcept { return features_; }
    /// Whether the kernel takes entries of this IORING_OP_* number.
    bool supports(std::uint8_t opcode) const noexcept;

    /// Completions are delivered only when the loop asks for them; without, the loop's thread may
    /// see EINTR in other system calls. Since: Linux 6.1.
    bool defer_taskrun() const noexcept { return defer_taskrun_; }
    /// One entry accepts many connections. Since: Linux 5.19.
    bool multishot_accept() const noexcept { return multishot_accept_; }
    /// A waiting loop does not count as waiting for a disk in load figures. Since: Linux 6.15.
    bool no_iowait() const noexcept { return no_iowait_; }
    /// Units: entries and completions that the default ring holds, possibly halved by
    /// RLIMIT_MEMLOCK.
    std::uint32_t entries() const noexcept { return entries_; }
    std::uint32_t completions() const noexcept { return completions_; }

    /// Everything above for people, a line each.
    std::string text() const;

private:
    friend probe_report probe();
    probe_report() = default;

    std::string error_;
    std::uint32_t setup_flags_ = 0;
    std::uint32_t features_ = 0;
    std::uint32_t entries_ = 0;
    std::uint32_t completions_ = 0;
    bool defer_taskrun_ = false;
    bool multishot_accept_ = false;
    bool no_iowait_ = false;
    std::array<std::uint64_t, 4> opcodes_{};
};

/// Sets up a ring as a loop would, looks at it and closes it.
/// Returns: a report, also where io_uring is not available.
/// Thread:  any.
RONDO_API probe_report probe();

}  // namespace v0
}  // namespace rondo
