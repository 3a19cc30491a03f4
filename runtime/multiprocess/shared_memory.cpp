// SPDX-License-Identifier: MIT
// shared_memory: a sealed memfd, mapped shared.
#include <rondo/shared_memory.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <string>

#include <rondo/detail/loop/descriptor.hpp>

namespace rondo {
inline namespace v0 {

namespace {
constexpr int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
}

shared_memory::shared_memory(std::size_t bytes) {
    const int number = ::memfd_create("rondo", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (number < 0) detail::throw_system_error(errno, "memfd_create", "");
    memory_ = detail::adopt_or_close(number, "shared memory");
    if (::ftruncate(number, static_cast<off_t>(bytes)) != 0 ||
        ::fcntl(number, F_ADD_SEALS, seals) != 0)
        detail::throw_system_error(errno, "make",
                                   "shared memory of " + std::to_string(bytes) + " bytes");
    map();
}

shared_memory shared_memory::adopt(descriptor made_elsewhere) {
    shared_memory adopted;
    adopted.memory_ = std::move(made_elsewhere);
    const int has = ::fcntl(adopted.number(), F_GET_SEALS);
    if (has < 0 && errno == EBADF) detail::throw_system_error(EBADF, "adopt", "shared memory");
    if (has < 0 || (has & F_SEAL_SHRINK) == 0)
        throw error(
            "adopt shared memory: the descriptor is not a memfd, or its size is not sealed");
    ::fcntl(adopted.number(), F_SETFD, FD_CLOEXEC);  // our children do not inherit it again
    adopted.map();
    return adopted;
}

void shared_memory::map() {
    struct stat status {};
    if (::fstat(number(), &status) != 0) detail::throw_system_error(errno, "stat", "shared memory");
    size_ = static_cast<std::size_t>(status.st_size);
    if (size_ == 0) return;
    void* const at = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, number(), 0);
    if (at == MAP_FAILED) detail::throw_system_error(errno, "map", "shared memory");
    bytes_ = static_cast<std::byte*>(at);
}

shared_memory::~shared_memory() {
    if (bytes_ != nullptr) ::munmap(bytes_, size_);
}

void* shared_memory::place(std::size_t offset, std::size_t size, std::size_t count,
                           std::size_t alignment) const {
    if (offset > size_ || count > (size_ - offset) / size)
        throw std::out_of_range(std::to_string(count) + " objects of " + std::to_string(size) +
                                " bytes at " + std::to_string(offset) +
                                " do not fit into shared memory of " + std::to_string(size_) +
                                " bytes");
    if (offset % alignment != 0)
        throw std::invalid_argument("offset " + std::to_string(offset) +
                                    " in shared memory is not aligned to " +
                                    std::to_string(alignment));
    return bytes_ + offset;
}

}  // namespace v0
}  // namespace rondo
