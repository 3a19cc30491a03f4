// SPDX-License-Identifier: MIT
// inotify. A user has 128 instances of it by default, so the watches of one loop share an instance.
// A task that waits reads the events of all watches and hands them out. The wait for the instance
// is a poll in the background, so that any watch may be destroyed while it is in flight.
#include <rondo/directory_watch.hpp>

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <unordered_map>
#include <utility>
#include <vector>

#include <rondo/detail/loop/descriptor.hpp>
#include <rondo/loop.hpp>
#include <rondo/operation.hpp>
#include <rondo/sync/event.hpp>

namespace rondo {
inline namespace v0 {

namespace {

constexpr auto wait_kind_of_watch = detail::operation_kind("watch");
constexpr std::uint32_t events_of_interest = IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB |
                                             IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
                                             IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

/// Returns false for an event that concerns the directory itself.
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

enum class event_action { tell, skip, end };

event_action read_event(const inotify_event& raw, const char* name, directory_event& event) {
    if ((raw.mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) != 0)
        return event_action::end;
    if (raw.len != 0) event.name = name;
    if (!kind_of(raw.mask, event.what)) return event_action::skip;
    const bool of_itself = event.name.empty() && event.what != directory_event::kind::overflow;
    if (of_itself) return event_action::skip;
    event.is_directory = (raw.mask & IN_ISDIR) != 0;
    event.cookie = raw.cookie;
    return event_action::tell;
}

constexpr std::size_t kept_max = 16 * 1024;  // events kept for one watch: the kernel's default

}  // namespace

namespace detail {

class inotify_instance;

struct watch_state {
    std::shared_ptr<inotify_instance> source;
    std::string path;
    int watch = -1;
    std::deque<directory_event> events;
    bool over = false;    // the directory was removed, renamed or unmounted
    bool closed = false;  // the directory_watch was destroyed
    bool awaited = false;

    void keep(const directory_event& event);
};

void watch_state::keep(const directory_event& event) {
    if (events.size() < kept_max) return events.push_back(event);
    events.back() = directory_event();
    events.back().what = directory_event::kind::overflow;
}

/// One inotify instance and the watches that share it.
class inotify_instance : public std::enable_shared_from_this<inotify_instance> {
public:
    explicit inotify_instance(descriptor source) : source_(std::move(source)), polling_(*this) {}

    /// The instance of the running loop; outside of any loop a new one.
    static std::shared_ptr<inotify_instance> current(const std::string& path);

    /// Throws: std::system_error.
    void add(watch_state& watch);
    void remove(watch_state& watch) noexcept;
    /// Reads all events that the kernel has, and hands them out.
    void take();
    /// Waits until the kernel has an event, or a watch is removed.
    task<> wait();

private:
    struct poll_operation final : background_operation {
        explicit poll_operation(inotify_instance& of) noexcept;
        static void ended(operation_state& operation) noexcept;
        inotify_instance& owner;
        std::shared_ptr<inotify_instance> self;  // set while the poll is in flight
    };
    void hand_out(const inotify_event& raw, const char* name);

    descriptor source_;
    std::unordered_map<int, std::vector<watch_state*>> watches_;
    event changed_;
    poll_operation polling_;
};

std::shared_ptr<inotify_instance> inotify_instance::current(const std::string& path) {
    static constexpr char key = 0;
    using weak = std::weak_ptr<inotify_instance>;  // the last watch destroys the instance
    std::shared_ptr<void>* slot = nullptr;
    if (here.turn != nullptr) {
        slot = &running_loop().extension(&key);
        if (*slot == nullptr) *slot = std::make_shared<weak>();
        const auto known = static_cast<weak*>(slot->get())->lock();
        if (known != nullptr && known->source_.is_open()) return known;
    }
    const int number = new_watch_descriptor();
    if (number < 0) throw_system_error(-number, "watch", path);
    auto fresh = std::make_shared<inotify_instance>(adopt_or_close(number, "inotify"));
    if (slot != nullptr) *static_cast<weak*>(slot->get()) = fresh;
    return fresh;
}

void inotify_instance::add(watch_state& watch) {
    take();  // events from before this watch, which may share its number with other watches
    const int result = add_watch(source_, watch.path.c_str(), events_of_interest);
    if (result < 0) throw_system_error(-result, "watch", watch.path);
    watches_[result].push_back(&watch);
    watch.watch = result;
}

void inotify_instance::remove(watch_state& watch) noexcept {
    const auto found = watches_.find(watch.watch);
    if (found != watches_.end()) {
        std::erase(found->second, &watch);
        if (found->second.empty()) {
            ::inotify_rm_watch(source_.number(), watch.watch);
            watches_.erase(found);
        }
    }
    changed_.set();
    if (watches_.empty()) static_cast<void>(source_.close());
}

void inotify_instance::hand_out(const inotify_event& raw, const char* name) {
    directory_event event;
    const event_action next = read_event(raw, name, event);
    for (auto& [number, watches] : watches_) {
        if (number != raw.wd && raw.wd >= 0) continue;  // -1: an overflow concerns all watches
        for (watch_state* each : watches) {
            if (next == event_action::end) each->over = true;
            if (next == event_action::tell && !each->over) each->keep(event);
        }
    }
    if ((raw.mask & IN_IGNORED) != 0) watches_.erase(raw.wd);
}

void inotify_instance::take() {
    alignas(inotify_event) std::array<char, 16 * 1024> bytes;
    for (;;) {
        const ssize_t size = ::read(source_.number(), bytes.data(), bytes.size());
        if (size <= 0) return;
        changed_.set();  // wakes the tasks that wait for other events of these
        for (std::size_t at = 0; at < static_cast<std::size_t>(size);) {
            inotify_event raw;
            std::memcpy(&raw, bytes.data() + at, sizeof raw);
            hand_out(raw, bytes.data() + at + sizeof raw);
            at += sizeof raw + raw.len;
        }
    }
}

task<> inotify_instance::wait() {
    if (polling_.self == nullptr) {
        polling_.self = shared_from_this();
        begin_background(polling_);
    }
    changed_.clear();
    co_await changed_.wait();
}

inotify_instance::poll_operation::poll_operation(inotify_instance& of) noexcept
    : background_operation(wait_kind_of_watch, of.source_.record(), {}), owner(of) {
    request.code = opcode::poll_add;
    request.op_flags = POLLIN;
    on_completion = ended;
}

void inotify_instance::poll_operation::ended(operation_state& operation) noexcept {
    auto& self = static_cast<poll_operation&>(operation);
    const auto instance = std::move(self.self);  // may be the last reference
    instance->changed_.set();
}

namespace {

/// Marks a watch as being awaited.
class await_mark {
public:
    explicit await_mark(watch_state& of) noexcept : of_(of) { of_.awaited = true; }
    ~await_mark() { of_.awaited = false; }
    await_mark(const await_mark&) = delete;
    await_mark& operator=(const await_mark&) = delete;

private:
    watch_state& of_;
};

task<std::optional<directory_event>> next_of(std::shared_ptr<watch_state> of) {
    if (of->awaited)
        throw invalid_state_error("directory_watch::next: another task awaits this watch");
    if (cancel_requested()) throw cancelled();  // even if an event is there
    const await_mark mark(*of);
    for (bool left = false;;) {
        if (of->closed) throw_system_error(ECANCELED, "watch", of->path);
        if (of->events.empty() && !of->over) of->source->take();
        if (has_lost_race()) throw cancelled();  // the events stay
        if (!of->events.empty()) {
            directory_event first = std::move(of->events.front());
            of->events.pop_front();
            co_return std::move(first);
        }
        if (of->over) co_return std::nullopt;
        if (left) throw cancelled();
        try {
            co_await of->source->wait();
        } catch (const cancelled&) {
            left = true;  // an event that came anyway is returned
        }
    }
}

void end_watch(watch_state* of) noexcept {
    if (of == nullptr) return;
    of->closed = true;
    of->source->remove(*of);
}

}  // namespace
}  // namespace detail

directory_watch::directory_watch(std::shared_ptr<detail::watch_state> of) noexcept
    : state_(std::move(of)) {}
directory_watch::directory_watch(directory_watch&& other) noexcept = default;
directory_watch& directory_watch::operator=(directory_watch&& other) noexcept {
    const directory_watch ended(std::move(*this));
    state_ = std::move(other.state_);
    return *this;
}
directory_watch::~directory_watch() { detail::end_watch(state_.get()); }

task<std::optional<directory_event>> directory_watch::next() {
    RONDO_ASSERT(state_ != nullptr, "this directory_watch was moved from");
    return detail::next_of(state_);
}

directory_watch watch_directory(std::string path) {
    // The kernel would end the path at a NUL, and watch another directory.
    if (path.find('\0') != path.npos) detail::throw_system_error(EINVAL, "watch", path.c_str());
    auto state = std::make_shared<detail::watch_state>();
    state->path = std::move(path);
    state->source = detail::inotify_instance::current(state->path);
    state->source->add(*state);
    return directory_watch(std::move(state));
}

}  // namespace v0
}  // namespace rondo
