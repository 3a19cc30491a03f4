// SPDX-License-Identifier: MIT
// inotify, read through the ring.
#include <rondo/directory_watch.hpp>

#include <sys/inotify.h>

#include <cerrno>
#include <cstring>
#include <utility>
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

constexpr std::size_t room = 16 * 1024;

}  // namespace

struct directory_watch::state {
    explicit state(descriptor from) : source(std::move(from)), buffer(room) {}

    descriptor source;
    std::vector<char> buffer;
    std::size_t at = 0, end = 0;  // in the buffer: what has come and nobody has seen
    bool over = false;
    bool awaited = false;
};

directory_watch::directory_watch(std::shared_ptr<state> of) noexcept : state_(std::move(of)) {}
directory_watch::directory_watch(directory_watch&& other) noexcept = default;
directory_watch& directory_watch::operator=(directory_watch&& other) noexcept {
    const directory_watch ended(std::move(*this));
    state_ = std::move(other.state_);
    return *this;
}
directory_watch::~directory_watch() {
    if (state_) static_cast<void>(state_->source.close());
}

task<std::optional<directory_event>> directory_watch::next() {
    RONDO_ASSERT(state_ != nullptr, "this directory_watch was moved from");
    return next_of(state_);
}

task<std::optional<directory_event>> directory_watch::next_of(std::shared_ptr<state> of) {
    if (of->awaited)
        throw invalid_state_error(
            "next() of a directory_watch was awaited while another one was");
    if (cancel_requested()) throw cancelled();  // also where there is an event already
    struct marked {
        explicit marked(bool& to) noexcept : flag(to) { flag = true; }
        ~marked() { flag = false; }
        bool& flag;
    } const mark(of->awaited);
    for (;;) {
        while (of->at < of->end && !of->over) {
            directory_event event;
            const what_to_do next = read_event(of->buffer.data(), of->at, event);
            if (next == what_to_do::end) of->over = true;
            if (next == what_to_do::tell) co_return std::move(event);
        }
        if (of->over) co_return std::nullopt;
        detail::request ask;
        ask.code = detail::opcode::read;
        ask.address = detail::address_of(of->buffer.data());
        ask.length = static_cast<std::uint32_t>(of->buffer.size());
        ask.offset = ~std::uint64_t{0};
        operation<std::size_t> reading(
            read_kind, of->source.record(), ask,
            [](detail::operation_state& done) { return static_cast<std::size_t>(done.result); });
        of->at = of->end = 0;
        of->end = co_await std::move(reading);
    }
}

directory_watch watch_directory(std::string path) {
    // The kernel would end the path at a NUL, and watch another directory.
    if (path.find('\0') != path.npos) detail::throw_system_error(EINVAL, "watch", path.c_str());
    const int number = detail::new_watch_descriptor();
    if (number < 0) detail::throw_system_error(-number, "watch", path);
    descriptor source = detail::adopt_or_close(number, path);
    const int result = detail::add_watch(source, path.c_str(), events_of_interest);
    if (result < 0) detail::throw_system_error(-result, "watch", path);
    return directory_watch(std::make_shared<directory_watch::state>(std::move(source)));
}

}  // namespace v0
}  // namespace rondo
