// SPDX-License-Identifier: MIT
// g++ 12 destroys twice what the closure owns.
// expect: the function of update captures references
#include <string>

#include <rondo/managed.hpp>

rondo::task<std::string> use(rondo::managed_value<std::string> value, std::string more) {
#ifndef CONTROL
    return value.update([more](std::string old) { return old + more; });
#else
    co_return co_await value.update([&](std::string old) { return old + more; });
#endif
}
