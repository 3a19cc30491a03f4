// SPDX-License-Identifier: MIT
// Names in the simulated file system: making, moving and removing them. See file.hpp.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "kernel/simulator/file.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

bool ends_with_slash(std::string_view path) noexcept {
    return path.size() > 1 && path.back() == '/';
}

/// Returns: the parent directory; empty for a relative name without one.
std::string parent_of(const std::string& path) {
    const std::size_t end = path.rfind('/');
    if (end == path.npos) return {};
    return end == 0 ? "/" : path.substr(0, end);
}

bool lies_in(const std::string& path, const std::string& folder) noexcept {
    return path.size() > folder.size() && path[folder.size()] == '/' &&
           path.compare(0, folder.size(), folder) == 0;
}

/// Calls `each` for the elements of a map or set from the first name in `folder` on, until it
/// returns false.
template <class Names, class F>
void for_all_in(Names& names, const std::string& folder, F each) {
    auto next = names.lower_bound(folder == "/" ? folder : folder + '/');
    while (next != names.end()) {
        const auto here = next++;
        if (!each(here)) return;
    }
}

}  // namespace

bool sim_file_system::is_directory(const std::string& path) const {
    return path.empty() || path == "/" || folders_.contains(path);
}

bool sim_file_system::exists(const std::string& path) const {
    return nodes_.contains(path) || is_directory(path);
}

bool sim_file_system::is_empty(const std::string& path) const {
    const auto inside = [&](const std::string& name) { return lies_in(name, path); };
    const auto node = nodes_.lower_bound(path + '/');
    const auto folder = folders_.lower_bound(path + '/');
    return (node == nodes_.end() || !inside(node->first)) &&
           (folder == folders_.end() || !inside(*folder));
}

/// Returns: the errno for a missing `path`: -ENOTDIR if a parent is a file, else -ENOENT.
int sim_file_system::why_missing(const std::string& path) const {
    for (std::size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1))
        if (nodes_.contains(std::string_view(path).substr(0, at))) return -ENOTDIR;
    return -ENOENT;
}

int sim_file_system::check_parent(const std::string& path) const {
    return is_directory(parent_of(path)) ? 0 : why_missing(path);
}

void sim_file_system::make_parents(const std::string& path) {
    for (std::size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1))
        folders_.insert(path.substr(0, at));
}

int sim_file_system::make_directory(const char* path) {
    if (*path == '\0') return -ENOENT;
    const std::string name = normalize(nullptr, path);
    if (exists(name)) return -EEXIST;
    if (const int error = check_parent(name); error < 0) return error;
    folders_.insert(name);
    return 0;
}

int sim_file_system::make_directories(std::string_view path) {
    if (path.empty()) return -ENOENT;
    const std::string name = normalize(nullptr, path);
    if (nodes_.contains(name) || why_missing(name) == -ENOTDIR) return -ENOTDIR;
    make_parents(name);
    if (!is_directory(name)) folders_.insert(name);
    return 0;
}

int sim_file_system::remove(const char* path, bool directory) {
    if (*path == '\0') return -ENOENT;
    const std::string name = normalize(nullptr, path);
    const auto found = nodes_.find(name);
    if (found != nodes_.end()) {
        if (directory || ends_with_slash(path)) return -ENOTDIR;
        --found->second->links;
        nodes_.erase(found);
        return 0;
    }
    if (!is_directory(name)) return why_missing(name);
    if (!directory) return -EISDIR;
    if (name.empty() || name == "/") return -EBUSY;
    if (!is_empty(name)) return -ENOTEMPTY;
    folders_.erase(name);
    return 0;
}

int sim_file_system::remove_tree(std::string_view path, std::uint64_t& count) {
    const std::string name = normalize(nullptr, path);
    count = 0;
    if (path.empty()) return 0;
    if (name.empty()) return -EINVAL;
    if (name == "/") return -EBUSY;
    if (const auto found = nodes_.find(name); found != nodes_.end()) {
        count = 1;
        return remove(std::string(path).c_str(), false);
    }
    for_all_in(nodes_, name, [&](auto each) {
        if (!lies_in(each->first, name)) return false;
        --each->second->links;
        nodes_.erase(each);
        return ++count != 0;
    });
    for_all_in(folders_, name, [&](auto each) {
        if (!lies_in(*each, name)) return false;
        folders_.erase(each);
        return ++count != 0;
    });
    count += folders_.erase(name);
    return 0;
}

void sim_file_system::move_directory(const std::string& from, const std::string& to) {
    std::vector<std::string> files, folders;
    for_all_in(nodes_, from, [&](auto each) {
        if (lies_in(each->first, from)) files.push_back(each->first);
        return lies_in(each->first, from);
    });
    for_all_in(folders_, from, [&](auto each) {
        if (lies_in(*each, from)) folders.push_back(*each);
        return lies_in(*each, from);
    });
    for (const std::string& name : files) {
        auto moved = nodes_.extract(name);
        moved.key() = to + name.substr(from.size());
        nodes_.insert(std::move(moved));
    }
    for (const std::string& name : folders) {
        folders_.erase(name);
        folders_.insert(to + name.substr(from.size()));
    }
    folders_.erase(from);
    folders_.insert(to);
}

int sim_file_system::rename(const char* from, const char* to, unsigned flags) {
    if ((flags & ~unsigned{RENAME_NOREPLACE}) != 0) return -EINVAL;
    if (*from == '\0' || *to == '\0') return -ENOENT;
    const std::string source = normalize(nullptr, from), target = normalize(nullptr, to);
    const auto found = nodes_.find(source);
    const bool is_file = found != nodes_.end();
    if (!is_file && !is_directory(source)) return why_missing(source);
    if (is_file && (ends_with_slash(from) || ends_with_slash(to))) return -ENOTDIR;
    if (const int error = check_parent(target); error < 0) return error;
    if ((flags & RENAME_NOREPLACE) != 0 && exists(target)) return -EEXIST;
    if (source == target) return 0;
    if (is_file) {
        if (is_directory(target)) return -EISDIR;
        const std::shared_ptr<sim_node> node = found->second;
        const auto old = nodes_.find(target);
        if (old != nodes_.end() && old->second == node) return 0;  // two names of one file
        if (old != nodes_.end()) --old->second->links;
        nodes_.erase(found);
        nodes_[target] = node;
        return 0;
    }
    if (source.empty() || source == "/" || lies_in(target, source)) return -EINVAL;
    if (nodes_.contains(target)) return -ENOTDIR;
    if (is_directory(target) && !is_empty(target)) return -ENOTEMPTY;
    move_directory(source, target);
    return 0;
}

int sim_file_system::link(const char* from, const char* to) {
    if (*from == '\0' || *to == '\0') return -ENOENT;
    const std::string source = normalize(nullptr, from), target = normalize(nullptr, to);
    const auto found = nodes_.find(source);
    if (found == nodes_.end()) return is_directory(source) ? -EPERM : why_missing(source);
    if (exists(target)) return -EEXIST;
    if (const int error = check_parent(target); error < 0) return error;
    const std::shared_ptr<sim_node> node = found->second;
    ++node->links;
    nodes_[target] = node;
    return 0;
}

int sim_file_system::list(std::string_view path, void (*each)(void*, const char*, unsigned),
                          void* word) const {
    if (path.empty()) return -ENOENT;
    const std::string name = normalize(nullptr, path);
    if (nodes_.contains(name)) return -ENOTDIR;
    if (!is_directory(name)) return why_missing(name);
    for (const auto& [file, node] : nodes_)
        if (parent_of(file) == name) each(word, file.c_str() + file.rfind('/') + 1, S_IFREG);
    for (const std::string& folder : folders_)
        if (parent_of(folder) == name) each(word, folder.c_str() + folder.rfind('/') + 1, S_IFDIR);
    return 0;
}

int sim_file_system::read_link(std::string_view path) const {
    const std::string name = normalize(nullptr, path);
    return exists(name) ? -EINVAL : why_missing(name);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
