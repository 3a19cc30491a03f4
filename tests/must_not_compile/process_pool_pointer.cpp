// SPDX-License-Identifier: MIT
// A pointer is invalid in another process.
// expect: cannot send a pointer
#include <string>

#include <rondo/process_pool.hpp>

#ifndef CONTROL
int length_of(const char* text);
#else
int length_of(const std::string& text);
#endif

void use(rondo::process_pool& pool) { pool.submit(length_of, "text").wait(); }
