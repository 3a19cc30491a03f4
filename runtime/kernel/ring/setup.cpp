// SPDX-License-Identifier: MIT
// Setting an io_uring up. The only file that includes <liburing.h>.
//
// DEFER_TASKRUN (Linux 6.1) is chosen for its semantics, not for speed: completions appear only
// when the loop asks for them, and never interrupt another system call of its thread. Such a ring
// belongs to one thread. It is made disabled, so that errors are reported where the loop is made,
// and enabled on the thread that attaches. Older kernels refuse the flags with EINVAL; then fewer
// are tried.
//
// Deliberately not used: SQPOLL (burns a core, kept privileges after setuid),
// IORING_REGISTER_EVENTFD_ASYNC (loses wake-ups on such rings), NO_SQARRAY (liburing 2.3 then
// overwrites the queue heads), MSG_RING (wakes no faster than an eventfd, which threads without a
// ring and signal handlers can write too).
#include "kernel/ring/ring.hpp"

#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

#include "kernel/ring/mapped_ring.hpp"
#include "kernel/ring/abi.hpp"
#include "kernel/ring/buffers.hpp"
#include "kernel/ring/canary.hpp"
#include "kernel/system.hpp"

extern "C" {
[[gnu::weak]] void __tsan_acquire(void* at);
[[gnu::weak]] void __tsan_release(void* at);
}

namespace rondo {
inline namespace v0 {
namespace detail {
namespace {

// -- our numbers and layouts are the kernel's -----------------------------------------------------

#define RONDO_SAME(ours, our_member, theirs, their_member)                        \
    static_assert(offsetof(ours, our_member) == offsetof(theirs, their_member) && \
                  sizeof(ours::our_member) == sizeof(std::declval<theirs>().their_member))
RONDO_SAME(entry, code, io_uring_sqe, opcode);
RONDO_SAME(entry, flags, io_uring_sqe, flags);
RONDO_SAME(entry, ioprio, io_uring_sqe, ioprio);
RONDO_SAME(entry, fd, io_uring_sqe, fd);
RONDO_SAME(entry, offset, io_uring_sqe, off);
RONDO_SAME(entry, address, io_uring_sqe, addr);
RONDO_SAME(entry, length, io_uring_sqe, len);
RONDO_SAME(entry, op_flags, io_uring_sqe, rw_flags);
RONDO_SAME(entry, user_data, io_uring_sqe, user_data);
RONDO_SAME(entry, buffer_index, io_uring_sqe, buf_index);
RONDO_SAME(entry, personality, io_uring_sqe, personality);
RONDO_SAME(entry, file_index, io_uring_sqe, splice_fd_in);
RONDO_SAME(entry, address3, io_uring_sqe, addr3);
static_assert(sizeof(entry) == sizeof(io_uring_sqe) && alignof(entry) == alignof(io_uring_sqe));
RONDO_SAME(completion, user_data, io_uring_cqe, user_data);
RONDO_SAME(completion, result, io_uring_cqe, res);
RONDO_SAME(completion, flags, io_uring_cqe, flags);
static_assert(sizeof(completion) == sizeof(io_uring_cqe));
RONDO_SAME(buffer_slot, address, io_uring_buf, addr);
RONDO_SAME(buffer_slot, length, io_uring_buf, len);
RONDO_SAME(buffer_slot, number, io_uring_buf, bid);
RONDO_SAME(buffer_slot, tail, io_uring_buf, resv);
#undef RONDO_SAME

constexpr bool same(opcode ours, unsigned theirs) { return static_cast<unsigned>(ours) == theirs; }
static_assert(same(opcode::fsync, IORING_OP_FSYNC) && same(opcode::poll_add, IORING_OP_POLL_ADD));
static_assert(same(opcode::recvmsg, IORING_OP_RECVMSG) && same(opcode::accept, IORING_OP_ACCEPT));
static_assert(same(opcode::timeout_remove, IORING_OP_TIMEOUT_REMOVE));
static_assert(same(opcode::async_cancel, IORING_OP_ASYNC_CANCEL));
static_assert(same(opcode::connect, IORING_OP_CONNECT) && same(opcode::openat, IORING_OP_OPENAT));
static_assert(same(opcode::statx, IORING_OP_STATX) && same(opcode::write, IORING_OP_WRITE));
static_assert(same(opcode::recv, IORING_OP_RECV) && same(opcode::shutdown, IORING_OP_SHUTDOWN));
static_assert(same(opcode::socket, IORING_OP_SOCKET) && opcode_send_zc == IORING_OP_SEND_ZC);
static_assert(opcode_sendmsg_zc == IORING_OP_SENDMSG_ZC);
static_assert(same(opcode::fallocate, IORING_OP_FALLOCATE));
static_assert(same(opcode::linkat, IORING_OP_LINKAT));
static_assert(same(opcode::openat2, IORING_OP_OPENAT2));
static_assert(same(opcode::splice, IORING_OP_SPLICE) && same(opcode::renameat, IORING_OP_RENAMEAT));
static_assert(same(opcode::unlinkat, IORING_OP_UNLINKAT));
static_assert(same(opcode::mkdirat, IORING_OP_MKDIRAT));
static_assert(same(opcode::symlinkat, IORING_OP_SYMLINKAT));
static_assert(entry_fixed_file == IOSQE_FIXED_FILE && entry_pick_buffer == IOSQE_BUFFER_SELECT);
static_assert(completion_buffer == IORING_CQE_F_BUFFER && IORING_CQE_BUFFER_SHIFT == 16);
static_assert(receive_multishot == IORING_RECV_MULTISHOT);
static_assert(entry_async == IOSQE_ASYNC && entry_skip_success == IOSQE_CQE_SKIP_SUCCESS);
static_assert(completion_more == IORING_CQE_F_MORE);
static_assert(accept_multishot == IORING_ACCEPT_MULTISHOT);
static_assert(timeout_absolute == IORING_TIMEOUT_ABS && timeout_update == IORING_TIMEOUT_UPDATE);
static_assert(poll_multishot == IORING_POLL_ADD_MULTI);
static_assert(setup_cqsize == IORING_SETUP_CQSIZE && setup_clamp == IORING_SETUP_CLAMP);
static_assert(setup_disabled == IORING_SETUP_R_DISABLED);
static_assert(setup_submit_all == IORING_SETUP_SUBMIT_ALL);
static_assert(setup_coop_taskrun == IORING_SETUP_COOP_TASKRUN);
static_assert(setup_taskrun_flag == IORING_SETUP_TASKRUN_FLAG);
static_assert(setup_single_issuer == IORING_SETUP_SINGLE_ISSUER);
static_assert(setup_defer_taskrun == IORING_SETUP_DEFER_TASKRUN);
static_assert(feature_nodrop == IORING_FEAT_NODROP && feature_ext_arg == IORING_FEAT_EXT_ARG);
static_assert(feature_submit_stable == IORING_FEAT_SUBMIT_STABLE);
static_assert(feature_fast_poll == IORING_FEAT_FAST_POLL);
static_assert(feature_cqe_skip == IORING_FEAT_CQE_SKIP);
static_assert(feature_linked_file == IORING_FEAT_LINKED_FILE);
static_assert(enter_getevents == IORING_ENTER_GETEVENTS && enter_ext_arg == IORING_ENTER_EXT_ARG);
static_assert(enter_registered_ring == IORING_ENTER_REGISTERED_RING);
static_assert(queue_overflow == IORING_SQ_CQ_OVERFLOW && queue_taskrun == IORING_SQ_TASKRUN);

// -- modes and required features ------------------------------------------------------------------

/// Best first. If a kernel lacks one of the flags it answers EINVAL, and the next mode is tried.
constexpr std::array<std::uint32_t, 3> setup_modes{
    // 6.1: completions appear only when asked for.
    setup_clamp | setup_cqsize | setup_submit_all | setup_single_issuer | setup_defer_taskrun |
        setup_taskrun_flag | setup_disabled,
    // 5.19: completions do not interrupt computation; taskrun_flag tells when to enter for them.
    setup_clamp | setup_cqsize | setup_submit_all | setup_coop_taskrun | setup_taskrun_flag,
    setup_clamp | setup_cqsize,
};

struct required_feature {
    std::uint32_t bit;
    const char* name;
    const char* since;
};

constexpr std::array<required_feature, 5> required_features{{
    {feature_nodrop, "IORING_FEAT_NODROP", "5.5"},
    {feature_submit_stable, "IORING_FEAT_SUBMIT_STABLE", "5.5"},
    {feature_fast_poll, "IORING_FEAT_FAST_POLL", "5.7"},
    {feature_ext_arg, "IORING_FEAT_EXT_ARG", "5.11"},
    // Cancellations complete without a completion. Multishot poll, which `wake` needs, is older.
    {feature_cqe_skip, "IORING_FEAT_CQE_SKIP", "5.17"},
}};

constinit std::mutex limits_lock;
constinit ring_limits limits_in_force{};

ring_limits current_limits() noexcept {
    const std::lock_guard guard(limits_lock);
    return limits_in_force;
}

// ThreadSanitizer does not see liburing map and unmap queues: one ring's queues may get the address
// of another's. So each mapping is ordered after all unmappings.
char mappings = 0;

void note_mapping() noexcept {
    if (__tsan_acquire != nullptr) __tsan_acquire(&mappings);
}
void note_unmapping() noexcept {
    if (__tsan_release != nullptr) __tsan_release(&mappings);
}

}  // namespace

// -- mapped_ring ----------------------------------------------------------------------------------

mapped_ring::mapped_ring(const ring_options& options)
    : limits_(current_limits()), raw_(std::make_unique<io_uring>()) {
    if (const int result = set_up_shrinking(options); result < 0) throw why_unavailable(-result);
    try {
        note_mapping();
        find_queues();
        examine();
        throw_if_failed(io_uring_ring_dontfork(raw_.get()), "io_uring: madvise");
    } catch (...) {
        note_unmapping();
        io_uring_queue_exit(raw_.get());
        throw;
    }
}

mapped_ring::~mapped_ring() {
    if (!raw_) return;
    note_unmapping();
    io_uring_queue_exit(raw_.get());
}

void mapped_ring::close_in_child() noexcept {
    ::close(raw_->ring_fd);
    raw_.reset();
}

bool mapped_ring::limited() const noexcept {
    return limits_.opcodes.any() || limits_.multishot_accept || limits_.multishot_receive;
}

int mapped_ring::descriptor() const noexcept { return raw_->ring_fd; }

int mapped_ring::set_up_shrinking(const ring_options& options) noexcept {
    std::uint32_t entries = options.entries;
    std::uint32_t completions = options.completions;
    for (;;) {
        const int result = set_up(entries, completions);
        const std::uint32_t fewer_entries = std::min(entries, std::max(entries / 2, 32u));
        const std::uint32_t fewer_completions =
            std::min(completions, std::max(completions / 2, 64u));
        const bool smallest = fewer_entries == entries && fewer_completions == completions;
        if (result != -ENOMEM || smallest) return result;
        entries = fewer_entries;
        completions = fewer_completions;
    }
}

int mapped_ring::set_up(std::uint32_t entries, std::uint32_t completions) noexcept {
    int result = -EINVAL;
    for (const std::uint32_t mode : setup_modes) {
        if ((mode & limits_.setup_flags) != 0) continue;  // EINVAL, as from a kernel without it
        io_uring_params asked{};
        asked.flags = mode;
        asked.cq_entries = std::max(completions, entries);  // fewer are refused: EINVAL
        result = io_uring_queue_init_params(entries, raw_.get(), &asked);
        if (result == -EINVAL) continue;
        facts_.setup_flags = mode;
        facts_.features = asked.features & ~limits_.features;
        facts_.entries = asked.sq_entries;
        facts_.completions = asked.cq_entries;
        move_descriptor();
        break;
    }
    return result;
}

/// Moves the descriptor above 0, 1 and 2 (see above_standard). If no number is free it stays.
void mapped_ring::move_descriptor() noexcept {
    if (raw_->ring_fd > STDERR_FILENO) return;
    const int moved = ::fcntl(raw_->ring_fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (moved < 0) return;
    ::close(raw_->ring_fd);
    raw_->ring_fd = raw_->enter_ring_fd = moved;
}

void mapped_ring::find_queues() noexcept {
    const io_uring_sq& submission = raw_->sq;
    const io_uring_cq& completion_queue = raw_->cq;
    queues_ = {.slots = reinterpret_cast<entry*>(submission.sqes),
               .slot_mask = submission.ring_mask,
               .slot_count = submission.ring_entries,
               .submit_head = submission.khead,
               .submit_tail = submission.ktail,
               .submit_flags = submission.kflags,
               .completions = reinterpret_cast<const completion*>(completion_queue.cqes),
               .completion_mask = completion_queue.ring_mask,
               .completion_head = completion_queue.khead,
               .completion_tail = completion_queue.ktail};
    // The kernel finds slots through an array of their numbers. Slot i is always at index i, so
    // publishing entries is one store of the tail.
    for (std::uint32_t i = 0; i < submission.ring_entries; ++i) submission.array[i] = i;
}

void mapped_ring::examine() {
    for (const required_feature& needed : required_features)
        if ((facts_.features & needed.bit) == 0) throw feature_missing(needed.name, needed.since);

    constexpr unsigned opcodes_max = 256;
    struct {
        alignas(io_uring_probe) std::byte head[sizeof(io_uring_probe)];
        io_uring_probe_op ops[opcodes_max];
    } answer{};
    auto* head = reinterpret_cast<io_uring_probe*>(&answer);
    if (const int result = io_uring_register_probe(raw_.get(), head, opcodes_max); result < 0)
        throw why_unavailable(-result);
    for (unsigned code = 0; code < opcodes_max; ++code)
        facts_.opcodes[code] = (answer.ops[code].flags & IO_URING_OP_SUPPORTED) != 0;
    facts_.opcodes &= ~limits_.opcodes;
    // No feature bits show these; the opcodes tested came with the same releases, 5.19 and 6.0.
    facts_.multishot_accept = facts_.opcodes[IORING_OP_SOCKET] && !limits_.multishot_accept;
    facts_.multishot_receive = facts_.opcodes[IORING_OP_SEND_ZC] && !limits_.multishot_receive;
    try_enter();
    if (limits_.refused.any() && (facts_.setup_flags & setup_disabled) != 0)
        restrict(std::min<unsigned>(head->ops_len, opcodes_max));
}

/// A filter can allow the set-up and deny the enter; and it can have come after another ring was
/// checked. A ring that is disabled answers EBADFD.
void mapped_ring::try_enter() const {
    switch (const int result = enter_ring(raw_->ring_fd, 0, 0, 0, nullptr); -result) {
        case 0:
        case EBADFD:
        case EINTR:
        case EAGAIN:
        case EBUSY: return;
        default: throw why_unavailable(-result);
    }
}

/// Allows everything except what the limits refuse. In force from `enable` on.
void mapped_ring::restrict(unsigned opcodes) {
    std::vector<io_uring_restriction> rules;
    const auto allow = [&rules](unsigned kind, unsigned what) {
        io_uring_restriction rule{};
        rule.opcode = static_cast<__u16>(kind);
        rule.sqe_op = static_cast<__u8>(what);  // in a union with the other kinds' fields
        rules.push_back(rule);
    };
    allow(IORING_RESTRICTION_SQE_FLAGS_ALLOWED, 0xff);
    for (unsigned code = 0; code < opcodes; ++code)
        if (!limits_.refused[code]) allow(IORING_RESTRICTION_SQE_OP, code);
    if (!limits_.refused_calls)
        for (const unsigned call :
             {IORING_REGISTER_EVENTFD, IORING_UNREGISTER_EVENTFD, IORING_REGISTER_FILES2,
              IORING_UNREGISTER_FILES, IORING_REGISTER_FILES_UPDATE, IORING_REGISTER_RING_FDS,
              IORING_UNREGISTER_RING_FDS, IORING_REGISTER_PBUF_RING})
            allow(IORING_RESTRICTION_REGISTER_OP, call);
    throw_if_failed(io_uring_register(static_cast<unsigned>(raw_->ring_fd),
                                      IORING_REGISTER_RESTRICTIONS, rules.data(),
                                      static_cast<unsigned>(rules.size())),
                    "io_uring: restrictions");
}

int mapped_ring::enable() noexcept {
    if ((facts_.setup_flags & setup_disabled) == 0) return 0;
    // io_uring_enable_rings is declared, but liburing 2.3's shared library does not export it.
    return io_uring_register(static_cast<unsigned>(raw_->ring_fd), IORING_REGISTER_ENABLE_RINGS,
                             nullptr, 0);
}

int mapped_ring::register_eventfd(int fd) noexcept {
    return io_uring_register_eventfd(raw_.get(), fd);
}

void mapped_ring::unregister_eventfd() noexcept { io_uring_unregister_eventfd(raw_.get()); }

void mapped_ring::watch_eventfd(bool on) noexcept { io_uring_cq_eventfd_toggle(raw_.get(), on); }

// Done without liburing, which records the number: io_uring_queue_exit on another thread would then
// clear that number in that thread's table, where it may belong to another ring.
int mapped_ring::register_descriptor() noexcept {
    io_uring_rsrc_update update{};
    update.offset = ~0u;  // any free number
    update.data = static_cast<__u64>(raw_->ring_fd);
    const int result = io_uring_register(static_cast<unsigned>(raw_->ring_fd),
                                         IORING_REGISTER_RING_FDS, &update, 1);
    return result == 1 ? static_cast<int>(update.offset) : std::min(result, -1);
}

void mapped_ring::unregister_descriptor(int number) noexcept {
    io_uring_rsrc_update update{};
    update.offset = static_cast<std::uint32_t>(number);
    io_uring_register(static_cast<unsigned>(raw_->ring_fd), IORING_UNREGISTER_RING_FDS, &update, 1);
}

int mapped_ring::make_files(unsigned count) noexcept {
    return io_uring_register_files_sparse(raw_.get(), count);
}

int mapped_ring::drop_files() noexcept { return io_uring_unregister_files(raw_.get()); }

int mapped_ring::set_file(unsigned place, int fd) noexcept {
    return io_uring_register_files_update(raw_.get(), place, &fd, 1);
}

int mapped_ring::register_buffers(void* slots, unsigned count) noexcept {
    if (!facts_.multishot_receive) return -EINVAL;
    io_uring_buf_reg asked{};
    asked.ring_addr = reinterpret_cast<std::uint64_t>(slots);
    asked.ring_entries = count;
    return io_uring_register_buf_ring(raw_.get(), &asked, 0);
}

// -- raw calls ------------------------------------------------------------------------------------

int enter_ring(int fd, unsigned submit, unsigned completions_min, unsigned flags,
               const timespec* left) noexcept {
    if (left == nullptr)
        return io_uring_enter2(static_cast<unsigned>(fd), submit, completions_min, flags, nullptr,
                               0);
    __kernel_timespec period{};
    period.tv_sec = left->tv_sec;
    period.tv_nsec = left->tv_nsec;
    io_uring_getevents_arg argument{};
    argument.ts = reinterpret_cast<std::uint64_t>(&period);
    return io_uring_enter2(static_cast<unsigned>(fd), submit, completions_min,
                           flags | enter_ext_arg, reinterpret_cast<sigset_t*>(&argument),
                           sizeof argument);
}

void prepare_poll(entry& slot, int fd, std::uint64_t user_data) noexcept {
    auto* poll = reinterpret_cast<io_uring_sqe*>(&slot);
    io_uring_prep_poll_multishot(poll, fd, POLLIN);
    poll->user_data = user_data;
}

// -- limits ---------------------------------------------------------------------------------------

ring_limits ring_limits::linux_6_1() noexcept {
    ring_limits limits;
    limits.setup_flags = ~((setup_defer_taskrun << 1) - 1);
    limits.features = ~((feature_linked_file << 1) - 1);
    for (std::size_t code = opcode_sendmsg_zc + 1; code < limits.opcodes.size(); ++code)
        limits.opcodes.set(code);
    return limits;
}

ring_limits ring_limits::linux_5_19() noexcept {
    ring_limits limits = linux_6_1();
    limits.setup_flags |= setup_single_issuer | setup_defer_taskrun;
    limits.opcodes.set(opcode_send_zc).set(opcode_sendmsg_zc);
    return limits;
}

void limit_ring(const ring_limits& limits) noexcept {
    const std::lock_guard guard(limits_lock);
    limits_in_force = limits;
}

void check_rings() {
    if (current_limits().refused.none() && is_checked()) return;
    examine_ring({.entries = canary_count, .completions = 2 * canary_count});
}

ring_facts examine_ring(const ring_options& options) {
    mapped_ring examined(options);
    if (const int result = examined.enable(); result < 0) throw why_unavailable(-result);
    check_ring(examined);
    return examined.facts();
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
