// SPDX-License-Identifier: MIT
// Translates the kernel's answers into sentences. EPERM alone has four causes with different
// remedies. To tell them apart, the sysctl and this process's seccomp mode are read.
#include <sys/resource.h>
#include <sys/utsname.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>

#include "kernel/kernel_choice.hpp"
#include "kernel/ring/ring.hpp"
#include "kernel/ring/abi.hpp"
#include "kernel/ring/canary.hpp"

namespace rondo {
inline namespace v0 {

struct uring_unavailable::words {
    std::string cause;
    std::string hint;
};

uring_unavailable::uring_unavailable(int error, std::string cause, std::string hint)
    : std::system_error(error, std::system_category(),
                        "io_uring is not available: " + cause + "; " + hint),
      words_(std::make_shared<const words>(words{std::move(cause), std::move(hint)})) {}
uring_unavailable::~uring_unavailable() = default;
std::string_view uring_unavailable::cause() const noexcept { return words_->cause; }
std::string_view uring_unavailable::hint() const noexcept { return words_->hint; }

namespace detail {
namespace {

int read_sysctl() {
    int value = -1;  // before Linux 6.6 there was none
    std::ifstream("/proc/sys/kernel/io_uring_disabled") >> value;
    return value;
}

bool seccomp_filtered() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("Seccomp:")) return line.back() == '2';
    return true;  // /proc is hidden, so this is probably a container
}

std::string kernel_release() {
    utsname names{};
    ::uname(&names);
    return names.release;
}

std::string limit_text(rlim_t limit, rlim_t unit, const char* unit_name) {
    if (limit == RLIM_INFINITY) return "unlimited";
    return std::to_string(limit / unit) + unit_name;
}

uring_unavailable why_no_memory() {
    rlimit limit{};
    ::getrlimit(RLIMIT_MEMLOCK, &limit);
    return {
        ENOMEM,
        "RLIMIT_MEMLOCK is " + limit_text(limit.rlim_cur, 1024, " KiB") +
            ", shared by all processes of this user, and there is no room for even a ring of 32 "
            "entries",
        "raise it to 8 MiB (ulimit -l 8192, LimitMEMLOCK=8M for systemd, --ulimit memlock=8388608 "
        "for a container)"};
}

uring_unavailable why_no_descriptor() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return {EMFILE,
            "this process has used up its " + limit_text(limit.rlim_cur, 1, "") +
                " descriptors (RLIMIT_NOFILE)",
            "close some, or raise the limit (ulimit -n)"};
}

}  // namespace

uring_unavailable why_forbidden(int sysctl, bool filtered) {
    if (sysctl == 2)
        return {EPERM, "kernel.io_uring_disabled is 2, which forbids it to every process",
                "an administrator can allow it: sysctl kernel.io_uring_disabled=0"};
    if (sysctl == 1)
        return {
            EPERM,
            "kernel.io_uring_disabled is 1, which leaves it to CAP_SYS_ADMIN and to the group in "
            "kernel.io_uring_group",
            "join that group, or let an administrator allow it: sysctl kernel.io_uring_disabled=0"};
    const std::string value =
        sysctl == 0 ? "kernel.io_uring_disabled is 0" : "there is no kernel.io_uring_disabled";
    if (filtered)
        return {EPERM,
                "a seccomp filter forbids it, as container runtimes do by default (" + value + ")",
                "allow io_uring_setup, io_uring_enter and io_uring_register in the container's "
                "seccomp profile"};
    return {EPERM, "a security module forbids it (" + value + ", no seccomp filter)",
            "allow it in the policy of SELinux or whichever module is in force"};
}

uring_unavailable why_unavailable(int error) {
    switch (error) {
        case EPERM:
        case EACCES:
            return why_forbidden(read_sysctl(), seccomp_filtered());
        case ENOSYS:
            return {ENOSYS,
                    "Linux " + kernel_release() +
                        " was built without it, is too old for it, or a seccomp filter hides it",
                    "use Linux 6.1 or newer with CONFIG_IO_URING, or allow io_uring_setup, "
                    "io_uring_enter and "
                    "io_uring_register in the seccomp profile"};
        case ENOMEM:
            return why_no_memory();
        case EMFILE:
            return why_no_descriptor();
        case ENFILE:
            return {ENFILE, "the whole system has used up its descriptors",
                    "raise the sysctl fs.file-max"};
        case EINVAL:
            return {EINVAL, "Linux " + kernel_release() + " refuses every set-up that rondo knows",
                    "use Linux 6.1 or newer"};
        default:
            return {error, "io_uring_setup failed", "see io_uring_setup(2)"};
    }
}

uring_unavailable opcodes_refused(const std::string& names) {
    return {EACCES,
            "rings of this process are restricted, and refuse " + names,
            "allow these opcodes in the restrictions or the io_uring filter of the container or "
            "sandbox"};
}

uring_unavailable feature_missing(const char* feature, const char* since) {
    return {EOPNOTSUPP,
            "Linux " + kernel_release() + " lacks " + feature + ", which came with Linux " + since,
            "use Linux 6.1 or newer"};
}

namespace {

struct named_bit {
    std::uint32_t bit;
    const char* name;
};

constexpr std::array<named_bit, 8> setup_names{{
    {setup_cqsize, "CQSIZE"},
    {setup_clamp, "CLAMP"},
    {setup_disabled, "R_DISABLED"},
    {setup_submit_all, "SUBMIT_ALL"},
    {setup_coop_taskrun, "COOP_TASKRUN"},
    {setup_taskrun_flag, "TASKRUN_FLAG"},
    {setup_single_issuer, "SINGLE_ISSUER"},
    {setup_defer_taskrun, "DEFER_TASKRUN"},
}};

std::string missing_opcodes(const probe_report& report) {
    std::string names;
    for (const named_opcode& used : used_opcodes)
        if (!report.supports(static_cast<std::uint8_t>(used.code)))
            names.append(" ").append(used.name);
    return names;
}

const char* yes_or_no(bool value) { return value ? "yes" : "no"; }

}  // namespace
}  // namespace detail

bool probe_report::supports(std::uint8_t opcode) const noexcept {
    return (opcodes_[opcode / 64] >> (opcode % 64) & 1) != 0;
}

std::string probe_report::setup_mode() const {
    std::string names;
    for (const detail::named_bit& flag : detail::setup_names)
        if ((setup_flags_ & flag.bit) != 0)
            names.append(names.empty() ? "" : "|").append(flag.name);
    return names;
}

std::string probe_report::text() const {
    const std::string runs_on = kernel_ == kernel_choice::ring
                                    ? "a loop runs on: ring (io_uring)\n"
                                    : "a loop runs on: readiness (epoll)\n";
    if (!available()) return error_ + "\n" + runs_on;
    std::array<char, 16> features{};
    std::snprintf(features.data(), features.size(), "0x%x", features_);
    const std::string missing = detail::missing_opcodes(*this);
    std::string text = "io_uring is available\n" + runs_on;
    text.append("set-up: ").append(setup_mode()).append("\n");
    text.append("queues: ").append(std::to_string(entries_)).append(" entries, ");
    text.append(std::to_string(completions_)).append(" completions\n");
    text.append("completions only when asked for (6.1): ")
        .append(detail::yes_or_no(defer_taskrun_));
    text.append("\nmultishot accept (5.19): ").append(detail::yes_or_no(multishot_accept_));
    text.append("\nwaiting is not counted as iowait (6.15): ")
        .append(detail::yes_or_no(no_iowait_));
    text.append("\nfeatures: ").append(features.data());
    text.append("\nopcodes missing:").append(missing.empty() ? " none" : missing).append("\n");
    return text;
}

probe_report probe() {
    probe_report report;
    const kernel_choice asked = detail::choice_of_environment();
    if (asked == kernel_choice::readiness) report.kernel_ = asked;
    try {
        const detail::ring_facts facts = detail::examine_ring();
        report.setup_flags_ = facts.setup_flags;
        report.features_ = facts.features;
        report.entries_ = facts.entries;
        report.completions_ = facts.completions;
        report.defer_taskrun_ = (facts.setup_flags & detail::setup_defer_taskrun) != 0;
        report.multishot_accept_ = facts.multishot_accept;
        report.no_iowait_ = (facts.features & detail::feature_no_iowait) != 0;
        for (std::size_t code = 0; code < facts.opcodes.size(); ++code)
            if (facts.opcodes[code]) report.opcodes_[code / 64] |= std::uint64_t{1} << (code % 64);
    } catch (const std::system_error& error) {
        report.error_ = error.what();
        if (asked == kernel_choice::automatic && detail::falls_back_on(error.code().value()))
            report.kernel_ = kernel_choice::readiness;
    }
    return report;
}

}  // namespace v0
}  // namespace rondo
