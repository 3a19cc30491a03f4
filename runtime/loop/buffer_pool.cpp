// SPDX-License-Identifier: MIT
// The memory of a loop's receive buffers, and its registration with the kernel.
#include <rondo/detail/loop/buffer_pool.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <memory>
#include <new>

#include "loop/loop_core.hpp"
#include "base/poison.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

buffer_pool::buffer_pool(unsigned count, unsigned size)
    : notes_(new filled[count]), buffer_size_(size), count_(count) {
    // The kernel allocates pages when they are first written. A forked child gets no copy
    // (MADV_DONTFORK).
    void* memory = ::mmap(nullptr, memory_size(), PROT_READ | PROT_WRITE,
                          MAP_ANONYMOUS | MAP_PRIVATE | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        delete[] notes_;
        throw std::bad_alloc();
    }
    ::madvise(memory, memory_size(), MADV_DONTFORK);
    memory_ = static_cast<char*>(memory);
    forbid(memory_, memory_size());
}

buffer_pool::~buffer_pool() {
    allow(memory_, memory_size());  // these addresses will be used again
    ::munmap(memory_, memory_size());
    delete[] notes_;
}

void buffer_pool::took(std::uint16_t number) noexcept {
    ++out_;
    ++holders_;
    allow(data(number), buffer_size_);
}

void buffer_pool::give_back(std::uint16_t number) noexcept {
    forbid(data(number), buffer_size_);
    --out_;
    if (kernel_ != nullptr) kernel_->return_buffer(number);
    release();
}

/// A loop's reference to its pool.
struct buffer_pool::of_loop {
    buffer_pool* pool = nullptr;

    explicit of_loop(loop_core& core) noexcept {
        if (!core.kernel->multishot_receive() || core.options.receive_buffers == 0) return;
        const unsigned count = std::bit_ceil(std::min(core.options.receive_buffers, 32768u));
        const unsigned size = std::max(core.options.receive_buffer_size, 64u);
        try {
            pool = new buffer_pool(count, size);
        } catch (...) {
            return;
        }
        if (core.kernel->lend_buffers(pool->memory_, count, size, pool->stride()) >= 0)
            pool->kernel_ = core.kernel.get();
        else
            std::exchange(pool, nullptr)->release();
    }
    ~of_loop() {
        if (pool == nullptr) return;
        pool->kernel_ = nullptr;
        pool->release();
    }
    of_loop(const of_loop&) = delete;
    of_loop& operator=(const of_loop&) = delete;
};

buffer_pool* buffer_pool::of_running_loop() noexcept {
    static constexpr char key = 0;
    loop_core& core = core_of(*here.turn);
    try {
        std::shared_ptr<void>& slot = core.face.extension(&key);
        if (slot == nullptr) slot = std::make_shared<of_loop>(core);
        return static_cast<of_loop*>(slot.get())->pool;
    } catch (...) {
        return nullptr;
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
