// SPDX-License-Identifier: MIT
// The function that code written by load_later.py calls: see there.
#include <cstddef>
#include <cstdlib>

#include <dlfcn.h>
#include <fmt/core.h>
#include <unistd.h>

#include "terminal.hpp"

extern "C" {
extern void* load_later_functions[];
extern const char* const load_later_names[];
extern const char* const load_later_libraries[];
void* load_function(std::size_t number) noexcept;
}

/// Loads the library of the function, unless that was done before. Several threads may do so at
/// once, and find the same.
void* load_function(std::size_t number) noexcept {
    void* const library = ::dlopen(load_later_libraries[number], RTLD_NOW);
    void* const found =
        library == nullptr ? nullptr : ::dlsym(library, load_later_names[number]);
    if (found == nullptr) {
        downloader::write_out(STDERR_FILENO, fmt::format("rondo-get: {}\n", ::dlerror()));
        std::_Exit(1);
    }
    __atomic_store_n(&load_later_functions[number], found, __ATOMIC_RELAXED);
    return found;
}
