// SPDX-License-Identifier: MIT
// Availability of io_uring. Containers forbid it by default, administrators disable it, and old
// kernels lack it. Then loops run on readiness (epoll) instead. A loop that was told to run on the
// ring (loop_options::kernel) throws `uring_unavailable`, whose text names the cause and a remedy.
// `probe` reports the same without an exception, for programs that choose in advance and for bug
// reports: `std::puts(rondo::probe().text().c_str())`.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

#include <rondo/config.hpp>
#include <rondo/kernel_choice.hpp>

namespace rondo {
inline namespace v0 {

/// io_uring is not available. `what()` is the whole sentence with cause and remedy; `code()` is the
/// kernel's errno.
class RONDO_API uring_unavailable : public std::system_error {
public:
    uring_unavailable(int error, std::string cause, std::string hint);
    ~uring_unavailable() override;
    uring_unavailable(const uring_unavailable&) noexcept = default;
    uring_unavailable& operator=(const uring_unavailable&) noexcept = default;

    /// Returns: the cause, as in "a seccomp filter forbids it, as container runtimes do by
    /// default".
    std::string_view cause() const noexcept;
    /// Returns: the remedy, as in "allow io_uring_setup, io_uring_enter and io_uring_register in
    /// the container's seccomp profile".
    std::string_view hint() const noexcept;

private:
    struct words;
    std::shared_ptr<const words> words_;  // shared, since copying an exception must not throw
};

class probe_report;
RONDO_API probe_report probe();

/// Report on the features of io_uring that the kernel offers to rondo.
class RONDO_API probe_report {
public:
    /// Returns: whether io_uring is available.
    bool available() const noexcept { return error_.empty(); }
    explicit operator bool() const noexcept { return available(); }
    /// Returns: the text of the exception that a loop on the ring would throw; empty if io_uring is
    /// available.
    const std::string& error() const noexcept { return error_; }

    /// Returns: the set-up flags that loops use, IORING_SETUP_*. See: io_uring_setup(2).
    std::uint32_t setup_flags() const noexcept { return setup_flags_; }
    /// Returns: the names of those flags, as in "SUBMIT_ALL|DEFER_TASKRUN".
    std::string setup_mode() const;
    /// Returns: the kernel's feature flags, IORING_FEAT_*. See: io_uring_setup(2).
    std::uint32_t features() const noexcept { return features_; }
    /// Returns: whether the kernel accepts entries of this IORING_OP_* number.
    bool supports(std::uint8_t opcode) const noexcept;

    /// Returns: whether completions are delivered only when the loop asks for them. If not, other
    /// system calls of the loop's thread may fail with EINTR. Since: Linux 6.1.
    bool defer_taskrun() const noexcept { return defer_taskrun_; }
    /// Returns: whether one entry can accept many connections. Since: Linux 5.19.
    bool multishot_accept() const noexcept { return multishot_accept_; }
    /// Returns: whether a waiting loop is not counted as iowait in load figures.
    /// Since: Linux 6.15.
    bool no_iowait() const noexcept { return no_iowait_; }
    /// Returns: how many entries the submission queue of a default ring holds. A low RLIMIT_MEMLOCK
    /// halves it, repeatedly if needed.
    std::uint32_t entries() const noexcept { return entries_; }
    /// Returns: how many completions its completion queue holds. RLIMIT_MEMLOCK applies likewise.
    std::uint32_t completions() const noexcept { return completions_; }

    /// Returns: what a loop runs on that leaves the choice to rondo: ring or readiness.
    kernel_choice kernel() const noexcept { return kernel_; }

    /// Returns: everything above as text for people, one line each.
    std::string text() const;

private:
    friend probe_report probe();
    probe_report() = default;

    std::string error_;
    std::uint32_t setup_flags_ = 0;
    std::uint32_t features_ = 0;
    std::uint32_t entries_ = 0;
    std::uint32_t completions_ = 0;
    kernel_choice kernel_ = kernel_choice::ring;
    bool defer_taskrun_ = false;
    bool multishot_accept_ = false;
    bool no_iowait_ = false;
    std::array<std::uint64_t, 4> opcodes_{};
};

/// Sets up a ring as a loop would, examines it and closes it. Does not throw uring_unavailable.
/// Returns: a report, also if io_uring is not available.
/// Throws:  std::invalid_argument if the environment's RONDO_KERNEL is not understood.
/// Thread:  any.
RONDO_API probe_report probe();

}  // namespace v0
}  // namespace rondo
