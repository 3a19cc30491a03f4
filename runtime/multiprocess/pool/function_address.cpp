// SPDX-License-Identifier: MIT
// The modules of this process, listed by the loader (dl_iterate_phdr(3)). The list is kept until
// the loader's counters show that a module was loaded or unloaded. So a look-up costs only the
// loader's lock and a few comparisons.
#include "multiprocess/pool/function_address.hpp"

#include <elf.h>
#include <link.h>

#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "multiprocess/pool/frame.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

missing_module_error::~missing_module_error() = default;

namespace {

struct code_range {
    std::uint64_t from;  // as an offset
    std::uint64_t to;
    bool readable;
};

struct module {
    std::uint64_t base = 0;
    std::string path;  // empty: the program
    std::string id;    // empty: a hash that was not needed yet
    std::vector<code_range> code;

    bool has_code_at(std::uint64_t offset) const noexcept {
        for (const code_range& range : code)
            if (offset >= range.from && offset < range.to) return true;
        return false;
    }
};

const char* at(std::uint64_t address) noexcept {
    return reinterpret_cast<const char*>(static_cast<std::uintptr_t>(address));
}

/// The build-id in a segment of notes; empty if there is none. See: elf(5).
std::string build_id_in(std::string_view notes, std::uint64_t alignment) {
    const std::size_t step = alignment == 8 ? 8 : 4;
    const auto padded = [step](std::size_t size) { return (size + step - 1) / step * step; };
    ElfW(Nhdr) head{};
    while (notes.size() >= sizeof head) {
        std::memcpy(&head, notes.data(), sizeof head);
        notes.remove_prefix(sizeof head);
        const std::size_t name = padded(head.n_namesz);
        if (name > notes.size() || head.n_descsz > notes.size() - name) break;
        const bool is_gnu = head.n_namesz == 4 && std::memcmp(notes.data(), "GNU", 4) == 0;
        if (is_gnu && head.n_type == NT_GNU_BUILD_ID && head.n_descsz != 0)
            return 'b' + std::string(notes.substr(name, head.n_descsz));
        const std::size_t size = name + padded(head.n_descsz);
        if (size > notes.size()) break;
        notes.remove_prefix(size);
    }
    return {};
}

module module_of(const dl_phdr_info& info) {
    module m;
    m.base = info.dlpi_addr;
    m.path = info.dlpi_name;
    for (int i = 0; i < info.dlpi_phnum; ++i) {
        const ElfW(Phdr)& part = info.dlpi_phdr[i];
        if (part.p_type == PT_LOAD && (part.p_flags & PF_X) != 0)
            m.code.push_back(
                {part.p_vaddr, part.p_vaddr + part.p_memsz, (part.p_flags & PF_R) != 0});
        if (part.p_type == PT_NOTE && m.id.empty())
            m.id = build_id_in({at(m.base + part.p_vaddr), part.p_memsz}, part.p_align);
    }
    return m;
}

std::string hash_of_code(const module& m) {
    std::uint64_t hash = m.code.size();
    for (const code_range& range : m.code) {
        const std::uint64_t size = range.to - range.from;
        hash = hash_of({reinterpret_cast<const char*>(&size), sizeof size}, hash);
        if (range.readable) hash = hash_of({at(m.base + range.from), size}, hash);
    }
    return 'h' + std::string(reinterpret_cast<const char*>(&hash), sizeof hash);
}

/// The loader's counters of loaded and unloaded modules.
struct loader_count {
    unsigned long long loaded = 0;
    unsigned long long unloaded = 0;
    bool operator==(const loader_count&) const = default;
};

loader_count count_now() noexcept {
    loader_count now;
    ::dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* into) {
            *static_cast<loader_count*>(into) = {info->dlpi_adds, info->dlpi_subs};
            return 1;
        },
        &now);
    return now;
}

struct module_list {
    std::vector<module> modules;
    loader_count when;
    std::exception_ptr failed;
};

module_list list_modules() {
    module_list list;
    ::dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* into) noexcept {
            auto& all = *static_cast<module_list*>(into);
            try {
                all.when = {info->dlpi_adds, info->dlpi_subs};
                all.modules.push_back(module_of(*info));
                return 0;
            } catch (...) {  // an exception must not pass through the loader
                all.failed = std::current_exception();
                return 1;
            }
        },
        &list);
    if (list.failed) std::rethrow_exception(list.failed);
    return list;
}

std::mutex list_mutex;

/// The modules that are loaded now. list_mutex must be held.
std::vector<module>& current_modules() {
    static auto& kept = *new module_list;  // never destroyed: jobs may run until the process ends
    if (kept.modules.empty() || count_now() != kept.when) kept = list_modules();
    return kept.modules;
}

const std::string& id_of(module& m) {
    if (m.id.empty()) m.id = hash_of_code(m);
    return m.id;
}

std::uint64_t number_of(any_function fn) noexcept { return reinterpret_cast<std::uintptr_t>(fn); }

/// list_mutex must be held.
/// Throws: error.
module& module_with(any_function fn) {
    for (module& m : current_modules())
        if (m.has_code_at(number_of(fn) - m.base)) return m;
    throw error(
        "process_pool: the function is in no module of the program, so a worker cannot find it");
}

}  // namespace

function_address address_of(any_function fn) {
    const std::lock_guard lock(list_mutex);
    module& m = module_with(fn);
    return {id_of(m), number_of(fn) - m.base};
}

std::string path_of_module(any_function fn) {
    const std::lock_guard lock(list_mutex);
    const std::string& path = module_with(fn).path;
    return path.empty() ? "the program" : path;
}

any_function function_at(std::string_view id, std::uint64_t offset) {
    const std::lock_guard lock(list_mutex);
    const bool hashed = id.starts_with('h');
    for (module& m : current_modules()) {
        if (m.code.empty() || (!hashed && m.id.empty())) continue;
        if (id_of(m) != id) continue;
        if (!m.has_code_at(offset))
            throw error("a function's offset is outside of its module's code");
        return reinterpret_cast<any_function>(static_cast<std::uintptr_t>(m.base + offset));
    }
    throw missing_module_error("a function's module is not loaded here");
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
