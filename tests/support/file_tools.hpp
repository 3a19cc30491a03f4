// SPDX-License-Identifier: MIT
// A folder for tests of files, on the file system of the test's kernel.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <stdexcept>
#include <string>

#include <rondo/testing.hpp>

namespace rondo_tests {

/// A folder that is removed at the end of the test. On the simulator it is only a name.
class folder {
public:
    folder() {
        if (!rondo::testing::simulated() && ::mkdtemp(name_) == nullptr)
            throw std::runtime_error("mkdtemp");
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
