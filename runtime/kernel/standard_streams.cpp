// SPDX-License-Identifier: MIT
// A program may be started with descriptor 0, 1 or 2 closed. Then the next opened descriptors would
// get those numbers, and a message for standard error would go to a socket or a file. So
// placeholders take the numbers, before main and before each ring is made. Reading or writing a
// placeholder fails with EBADF, as on a closed descriptor. A program started by this one finds them
// closed too.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "kernel/system.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

[[gnu::constructor]] void reserve_before_main() noexcept { reserve_standard_numbers(); }

}  // namespace

void reserve_standard_numbers() noexcept {
    const int before = errno;
    for (int number = 0; number < 3; ++number) {
        if (::fcntl(number, F_GETFD) >= 0) continue;
        // It gets the lowest free number.
        const int placeholder = ::open("/dev/null", O_PATH | O_CLOEXEC);
        if (placeholder > 2) ::close(placeholder);
    }
    errno = before;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
