// SPDX-License-Identifier: MIT
// Functions as module and offset: of the program, a library, a module loaded by dlopen, and no
// module.
#include "multiprocess/pool/function_address.hpp"

#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include <rondo/process_pool.hpp>

#include "support/core_tools.hpp"

using namespace rondo_tests;
using rondo::detail::address_of;
using rondo::detail::any_function;
using rondo::detail::function_at;

namespace {

int of_the_program(int a) { return a + 1; }

any_function as_any(auto* fn) { return reinterpret_cast<any_function>(fn); }

/// An address in memory that belongs to no module.
any_function made_at_run_time() {
    void* const page =
        ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return reinterpret_cast<any_function>(page);
}

}  // namespace

TEST_CASE("function_address: a function is found again by its module and offset",
          "[function_address]") {
    for (const any_function fn : {as_any(&of_the_program), as_any(&::getpid), as_any(&::qsort)}) {
        const auto where = address_of(fn);
        CHECK(where.module.size() > 8);
        CHECK(function_at(where.module, where.offset) == fn);
    }
    CHECK(address_of(as_any(&::getpid)).module != address_of(as_any(&of_the_program)).module);
    const auto where = address_of(as_any(&of_the_program));
    const auto again = function_at(where.module, where.offset);
    CHECK(reinterpret_cast<int (*)(int)>(again)(4) == 5);
}

TEST_CASE("function_address: an address in no module is refused, in both directions",
          "[function_address]") {
    const any_function nowhere = made_at_run_time();
    CHECK_THROWS_AS(address_of(nowhere), rondo::error);
    CHECK(::munmap(reinterpret_cast<void*>(nowhere), 4096) == 0);
    const auto where = address_of(as_any(&of_the_program));
    CHECK_THROWS_AS(function_at("b0123456789", where.offset), rondo::detail::missing_module_error);
    CHECK_THROWS_AS(function_at("h01234567", where.offset), rondo::detail::missing_module_error);
    CHECK_THROWS_AS(function_at("", where.offset), rondo::detail::missing_module_error);
    // in the module but not code: its head, after its end, wrapped around
    for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{1} << 40, ~std::uint64_t{0}})
        CHECK_THROWS_AS(function_at(where.module, offset), rondo::error);
}

TEST_CASE(
    "function_address: modules are loaded and unloaded; one without a build-id is known by its "
    "code",
    "[function_address]") {
    std::string ids[2];
    for (const bool has_id : {true, false}) {
        const char* const name = has_id ? "./libprocess_plugin.so" : "./libprocess_plugin_plain.so";
        void* const plugin = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
        INFO(name);
        REQUIRE(plugin != nullptr);
        const auto fn = reinterpret_cast<any_function>(::dlsym(plugin, "plugin_answer"));
        REQUIRE(fn != nullptr);
        const auto where = address_of(fn);
        CHECK(where.module.front() == (has_id ? 'b' : 'h'));
        CHECK(function_at(where.module, where.offset) == fn);
        CHECK(rondo::detail::path_of_module(fn).find(name + 2) != std::string::npos);
        ids[has_id] = where.module;
        ::dlclose(plugin);
        CHECK_THROWS_AS(function_at(where.module, where.offset),
                        rondo::detail::missing_module_error);
        void* const again = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
        REQUIRE(again != nullptr);
        CHECK(address_of(reinterpret_cast<any_function>(::dlsym(again, "plugin_answer"))) == where);
        ::dlclose(again);
    }
    CHECK(ids[0] != ids[1]);
}

TEST_CASE("function_address: no pool without process_worker as main's first line",
          "[function_address][process_pool]") {
    // This program does not call it; a worker would run these tests again and make pools of its
    // own.
    CHECK_THROWS_AS(rondo::process_pool(1), rondo::invalid_state_error);
}
