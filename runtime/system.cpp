// SPDX-License-Identifier: MIT
// The real system: what objects made outside any loop use.
#include "system.hpp"

#include <memory>

namespace rondo {
inline namespace v0 {
namespace detail {
namespace {

class real_system final : public plain_calls<system> {};

}  // namespace

std::shared_ptr<system> system::real() {
    static const auto instance = std::make_shared<real_system>();
    return instance;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
