// SPDX-License-Identifier: MIT
// A folder for tests of files, on the file system of the test's kernel.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <stdexcept>
#include <string>

#include <rondo/detail/loop/descriptor.hpp>
#include <rondo/testing.hpp>

namespace rondo_tests {

/// A folder that is removed at the end of the test. The simulator's ends with its world.
class folder {
public:
    folder() {
        const bool made = rondo::testing::simulated()
                              ? rondo::detail::make_directories(*rondo::detail::system_here(),
                                                                name_) == 0
                              : ::mkdtemp(name_) != nullptr;
        if (!made) throw std::runtime_error("mkdtemp");
    }
    ~folder() {
        if (!rondo::testing::simulated()) std::filesystem::remove_all(name_);
    }
    folder(const folder&) = delete;
    folder& operator=(const folder&) = delete;
    std::string operator/(const char* name) const { return std::string(name_) + '/' + name; }

private:
    char name_[32] = "/tmp/test-file-XXXXXX";
};

}  // namespace rondo_tests
