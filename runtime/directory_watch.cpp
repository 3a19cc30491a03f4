// SPDX-License-Identifier: MIT
// inotify, read through the ring.
#include <rondo/directory_watch.hpp>

#include <sys/inotify.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include <rondo/detail/descriptor.hpp>
#include <rondo/operation.hpp>

namespace rondo {
inline namespace v0 {

namespace {

constexpr auto read_kind = detail::operation_kind("watch");
constexpr std::uint32_t events_of_interest = IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB |
                                             IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
                                             IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

/// False for what is of the directory itself.
bool kind_of(std::uint32_t mask, directory_event::kind& kind) noexcept {
    using of = directory_event::kind;
    constexpr std::pair<std::uint32_t, of> all[] = {
        {IN_Q_OVERFLOW, of::overflow}, {IN_CREATE, of::created},     {IN_MODIFY, of::modified},
        {IN_CLOSE_WRITE, of::closed},  {IN_ATTRIB, of::attributes},  {IN_DELETE, of::removed},
        {IN_MOVED_FROM, of::moved_from}, {IN_MOVED_TO, of::moved_to}};
    for (const auto& [bit, what] : all)
        if ((mask & bit) != 0) return kind = what, true;
    return false;
}

enum class what_to_do { tell, skip, end };

/// The event at `at`, which moves behind it.
what_to_do read_event(const char* bytes, std::size_t& at, directory_event& event) {
    struct {
        int watch;
        std::uint32_t mask, cookie, size;
    } raw;
    static_assert(sizeof raw == sizeof(inotify_event));
    std::memcpy(&raw, bytes + at, sizeof raw);
    const char* const name = bytes + at + sizeof raw;
    at += sizeof raw + raw.size;
    if ((raw.mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) != 0)
        return what_to_do::end;
    if (raw.size != 0) event.name = name;
    if (!kind_of(raw.mask, event.what)) return what_to_do::skip;
    const bool of_itself = event.name.empty() && event.what != directory_event::kind::overflow;
    if (of_itself) return what_to_do::skip;
    event.is_directory = (raw.mask & IN_ISDIR) != 0;
    event.cookie = raw.cookie;
    return what_to_do::tell;
}

async_generator<directory_event> events_from(descriptor source) {
    std::vector<char> buffer(16 * 1024);
    for (;;) {
        detail::request ask;
        ask.code = detail::opcode::read;
        ask.address = detail::address_of(buffer.data());
        ask.length = static_cast<std::uint32_t>(buffer.size());
        ask.offset = ~std::uint64_t{0};
        operation<std::size_t> reading(
            read_kind, source.record(), ask,
            [](detail::operation_state& done) { return static_cast<std::size_t>(done.result); });
        const std::size_t size = co_await std::move(reading);
        for (std::size_t at = 0; at < size;) {
            directory_event event;
            const what_to_do next = read_event(buffer.data(), at, event);
            if (next == what_to_do::end) co_return;
            if (next == what_to_do::tell) co_yield event;
        }
    }
}

}  // namespace

async_generator<directory_event> watch_directory(std::string path) {
    const int number = detail::new_watch_descriptor();
    if (number < 0) detail::throw_system_error(-number, "watch", path);
    descriptor source = detail::adopt_or_close(number, path);
    const int result = detail::add_watch(source, path.c_str(), events_of_interest);
    if (result < 0) detail::throw_system_error(-result, "watch", path);
    return events_from(std::move(source));
}

}  // namespace v0
}  // namespace rondo
