// SPDX-License-Identifier: MIT
// Giving an item back must not fail (law 8), so an item must not throw when it is moved.
// expect: an item must not throw when it is moved or destroyed
#include <memory>

#include <rondo/queue.hpp>

struct touchy {
    touchy() = default;
    touchy(touchy&&) noexcept(false) {}
};

#ifndef CONTROL
rondo::queue<touchy> line;
#else
rondo::queue<std::unique_ptr<touchy>> line;
#endif
