// SPDX-License-Identifier: MIT
// Names in the simulated file system: following, making, moving and removing them. See file.hpp.
#include <fcntl.h>
#include <limits.h>
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

constexpr std::string_view working_directory = "/home";
constexpr unsigned masked = 022;  // the umask
constexpr int links_max = 40;     // that one path may follow

/// Returns: the directory above an absolute name.
std::string parent_of(std::string_view name) {
    const std::size_t end = name.rfind('/');
    return end == 0 ? "/" : std::string(name.substr(0, end));
}

std::string joined(const std::string& folder, std::string_view part) {
    return (folder == "/" ? folder : folder + '/') + std::string(part);
}

bool lies_in(std::string_view name, std::string_view folder) noexcept {
    if (folder == "/") return name != "/";
    return name.size() > folder.size() && name[folder.size()] == '/' && name.starts_with(folder);
}

/// Calls `each` for all names below `folder`; it may erase what it is called for.
template <class Names, class F>
void for_all_in(Names& names, const std::string& folder, F each) {
    auto next = names.lower_bound(joined(folder, {}));
    while (next != names.end() && lies_in(next->first, folder)) {
        const auto here = next++;
        each(here);
    }
}

/// Calls `each` with the last part of the name and the node of each entry of `folder`.
template <class Names, class F>
void for_each_entry(Names& names, const std::string& folder, F each) {
    const std::size_t skip = joined(folder, {}).size();
    for_all_in(names, folder, [&](auto entry) {
        if (entry->first.find('/', skip) == entry->first.npos && entry->first.size() > skip)
            each(entry->first.c_str() + skip, *entry->second);
    });
}

/// Takes the next part of a path off its front. Returns: the part, empty at the end.
std::string next_part(std::string& path) {
    path.erase(0, path.find_first_not_of('/'));
    std::string part = path.substr(0, path.find('/'));
    path.erase(0, part.size());
    return part;
}

std::string_view without_slashes(std::string_view path) noexcept {
    while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
    return path;
}

bool ends(const std::string& rest) noexcept {
    return rest.find_first_not_of('/') == rest.npos;
}

}  // namespace

sim_file_system::sim_file_system(sim_core& core) : core_(core) {
    for (const char* name : {"/", "/home", "/tmp", "/var", "/var/tmp"}) make(name, S_IFDIR | 0755);
}

std::shared_ptr<sim_node> sim_file_system::at(std::string_view name) const {
    const auto found = nodes_.find(name);
    return found == nodes_.end() ? nullptr : found->second;
}

std::shared_ptr<sim_node> sim_file_system::make(unsigned mode) {
    auto node = std::make_shared<sim_node>();
    node->number = ++made_;
    node->mode = S_ISLNK(mode) ? mode : mode & ~masked;
    node->modified = core_.now;
    return node;
}

std::shared_ptr<sim_node> sim_file_system::make(const std::string& name, unsigned mode) {
    return nodes_[name] = make(mode);
}

/// Follows a path, as path_resolution(7) says; a link at its end if `follow` is true.
sim_place sim_file_system::find(const sim_file* base, std::string_view path, bool follow) const {
    sim_place place;
    const auto failed = [&](int error) {
        place.error = error;
        return place;
    };
    if (path.empty()) return failed(-ENOENT);
    if (path.size() >= PATH_MAX) return failed(-ENAMETOOLONG);
    std::string rest(path);
    place.name = path.front() == '/' ? "/" : base != nullptr ? base->path : working_directory;
    place.node = at(place.name);
    place.as_directory = ends(rest);
    for (int links = 0;;) {
        const std::string part = next_part(rest);
        if (part.empty()) break;
        if (place.node == nullptr) return failed(-ENOENT);
        if (!place.node->is_directory()) return failed(-ENOTDIR);
        if (part.size() > NAME_MAX) return failed(-ENAMETOOLONG);
        const bool is_dots = part == "." || part == "..";
        place.as_directory = is_dots || !rest.empty();
        const std::string name = part == "."    ? place.name
                                 : part == ".." ? parent_of(place.name)
                                                : joined(place.name, part);
        const auto node = at(name);
        if (node != nullptr && node->is_link() && (follow || !rest.empty())) {
            if (++links > links_max) return failed(-ELOOP);
            rest.insert(0, node->target);
            if (rest.front() != '/') continue;
            place.name = "/";
            place.node = at("/");
            continue;
        }
        place.name = name;
        place.node = node;
    }
    const bool is_other = place.node != nullptr && !place.node->is_directory();
    return place.as_directory && is_other ? failed(-ENOTDIR) : place;
}

std::size_t sim_file_system::directories_in(const std::string& name) const {
    std::size_t count = 0;
    for_each_entry(nodes_, name,
                   [&](const char*, const sim_node& node) { count += node.is_directory(); });
    return count;
}

bool sim_file_system::is_empty(const std::string& name) const {
    const auto first = nodes_.upper_bound(joined(name, {}));
    return first == nodes_.end() || !lies_in(first->first, name);
}

void sim_file_system::erase(const std::string& name) {
    const auto found = nodes_.find(name);
    --found->second->links;
    nodes_.erase(found);
}

int sim_file_system::make_directory(std::string_view path, unsigned mode) {
    const sim_place place = find(nullptr, without_slashes(path), false);
    if (place.error < 0) return place.error;
    if (place.node != nullptr) return -EEXIST;
    make(place.name, S_IFDIR | (mode & 07777));
    return 0;
}

int sim_file_system::make_directories(std::string_view path) {
    if (path.empty()) return -ENOENT;
    for (std::size_t end = 0; end < path.size();) {
        end = std::min(path.find('/', end + 1), path.size());
        const sim_place place = find(nullptr, path.substr(0, end), true);
        if (place.error < 0) return place.error;
        if (place.node == nullptr) make(place.name, S_IFDIR | 0777);
        if (place.node != nullptr && !place.node->is_directory()) return -ENOTDIR;
    }
    return 0;
}

int sim_file_system::remove(std::string_view path, bool directory) {
    const sim_place place = find(nullptr, path, false);
    if (place.error < 0) return place.error;
    if (place.node == nullptr) return -ENOENT;
    if (!directory) {
        if (place.node->is_directory()) return -EISDIR;
        erase(place.name);
        return 0;
    }
    if (!place.node->is_directory()) return -ENOTDIR;
    if (place.name == "/" || place.name == working_directory) return -EBUSY;
    if (path.ends_with('.')) return path.ends_with("..") ? -ENOTEMPTY : -EINVAL;
    if (!is_empty(place.name)) return -ENOTEMPTY;
    erase(place.name);
    return 0;
}

int sim_file_system::remove_tree(std::string_view path, std::uint64_t& count) {
    count = 0;
    if (path.empty()) return 0;
    const std::string_view bare = without_slashes(path);
    const std::string_view last = bare.substr(bare.rfind('/') + 1);
    if (last == "." || last == "..") return -EINVAL;
    const sim_place place = find(nullptr, bare, false);
    if (place.error == -ENOENT) return 0;
    if (place.error < 0) return place.error;
    if (place.node == nullptr) return 0;
    if (bare.size() < path.size() && !place.node->is_directory()) return -ENOTDIR;
    if (place.name == "/") return -EBUSY;
    for_all_in(nodes_, place.name, [&](auto entry) {
        --entry->second->links;
        nodes_.erase(entry);
        ++count;
    });
    erase(place.name);
    ++count;
    return 0;
}

void sim_file_system::move_directory(const std::string& from, const std::string& to) {
    std::vector<std::string> names{from};
    for_all_in(nodes_, from, [&](auto entry) { names.push_back(entry->first); });
    for (const std::string& name : names) {
        auto moved = nodes_.extract(name);
        moved.key() = to + name.substr(from.size());
        nodes_.insert(std::move(moved));
    }
}

int sim_file_system::rename(std::string_view from, std::string_view to, unsigned flags) {
    if ((flags & ~unsigned{RENAME_NOREPLACE}) != 0) return -EINVAL;
    const sim_place source = find(nullptr, from, false), target = find(nullptr, to, false);
    if (source.error < 0) return source.error;
    if (source.node == nullptr) return -ENOENT;
    if (target.error < 0) return target.error;
    const bool is_directory = source.node->is_directory();
    if (!is_directory && target.as_directory) return -ENOTDIR;
    if ((flags & RENAME_NOREPLACE) != 0 && target.node != nullptr) return -EEXIST;
    if (source.node == target.node) return 0;  // one name, or two names of one file
    if (is_directory && (source.name == "/" || lies_in(target.name, source.name))) return -EINVAL;
    if (target.node != nullptr) {
        if (target.node->is_directory() != is_directory) return is_directory ? -ENOTDIR : -EISDIR;
        if (is_directory && !is_empty(target.name)) return -ENOTEMPTY;
        erase(target.name);
    }
    move_directory(source.name, target.name);
    return 0;
}

int sim_file_system::link(std::string_view from, std::string_view to) {
    const sim_place source = find(nullptr, from, false), target = find(nullptr, to, false);
    if (source.error < 0) return source.error;
    if (source.node == nullptr) return -ENOENT;
    if (target.error < 0) return target.error;
    if (target.node != nullptr) return -EEXIST;
    if (source.node->is_directory()) return -EPERM;
    if (target.as_directory) return -ENOENT;
    ++source.node->links;
    nodes_[target.name] = source.node;
    return 0;
}

int sim_file_system::make_link(std::string_view target, std::string_view path) {
    if (target.empty()) return -ENOENT;
    if (target.size() >= PATH_MAX) return -ENAMETOOLONG;
    const sim_place place = find(nullptr, path, false);
    if (place.error < 0) return place.error;
    if (place.node != nullptr) return -EEXIST;
    if (place.as_directory) return -ENOENT;
    make(place.name, S_IFLNK | 0777)->target = target;
    return 0;
}

int sim_file_system::make_socket(std::string_view path) {
    const sim_place place = find(nullptr, path, true);
    if (place.error < 0) return place.error;
    if (place.node != nullptr) return -EADDRINUSE;
    if (place.as_directory) return -ENOENT;
    make(place.name, S_IFSOCK | 0777);
    return 0;
}

int sim_file_system::find_socket(std::string_view path) const {
    const sim_place place = find(nullptr, path, true);
    if (place.error < 0) return place.error;
    if (place.node == nullptr) return -ENOENT;
    return S_ISSOCK(place.node->mode) ? 0 : -ECONNREFUSED;
}

int sim_file_system::list(std::string_view path, void (*each)(void*, const char*, unsigned),
                          void* word) const {
    const sim_place place = find(nullptr, path, true);
    if (place.error < 0) return place.error;
    if (place.node == nullptr) return -ENOENT;
    if (!place.node->is_directory()) return -ENOTDIR;
    for_each_entry(nodes_, place.name, [&](const char* name, const sim_node& node) {
        each(word, name, node.mode & S_IFMT);
    });
    return 0;
}

int sim_file_system::read_link(std::string_view path, std::string& target) const {
    const sim_place place = find(nullptr, path, false);
    if (place.error < 0) return place.error;
    if (place.node == nullptr) return -ENOENT;
    if (!place.node->is_link()) return -EINVAL;
    target = place.node->target;
    return 0;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
