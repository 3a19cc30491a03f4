// What scripts/lint_gcc12.py lets pass: no line here may be found. Read as tokens only, never
// compiled.
struct own_awaiter { std::string* s; };
static_assert(std::is_trivially_destructible_v<own_awaiter>);

task<> borrowing(std::string s, bool flag, int n) {
    co_await f([&] { return s.size(); });
    co_await f([] { return 1; });
    co_await f([this] { return size_; });
    co_await f([&s, this](int x) mutable -> task<> { co_await g(x); });
    co_await f([&, this] { use(s); });
    co_await f([&alias = s] { use(alias); });
    co_await with_task_group([&](task_group& group) -> task<> {
        auto owning = [s] { use(s); };
        group.start(worker, std::string(s), std::ref(n));
        co_return;
    });
    auto named = [s] { use(s); };
    co_await f(std::move(named));
    auto two_steps = f([s, p = std::move(p)] { use(s); });
    co_await std::move(two_steps);
    co_await connect_tcp("localhost", 7007, {.timeout = 3s});
    co_await create_task(work(), {.name = "worker"});
    co_await f({});
    co_await own_awaiter{&s};
    co_await connect_tcp({"127.0.0.1", port});
    co_await serve(tcp_listener::bind({"127.0.0.1", 7007}, {.reuse_port = true}), echo);
    co_await f(std::string{"made by a constructor"}, std::chrono::milliseconds{5}, int{3});
    co_await f(rondo::endpoint{"::1", 7});
    co_await f(std::vector<int>{}, std::unique_ptr<thing>{}, std::pair<int, std::string>{1, s});
    co_await f(std::array<int, 2>{1, 2}, std::array{1, 2, 3});
    co_await f({.backoff = {1s, 5min}});
    std::string line{co_await read()};
    std::vector<int> numbers{1, 2, 3};
    int size = co_await f(flag ? 1 : 2);
    auto first = co_await f(n > 0 ? n : 0, flag ? "yes" : "no");
    auto same = co_await f(flag ? s : other.name);
    auto& [a, b] = co_await gather(one(), two());
    auto [c, d] = co_await gather(one(), two());
    table[n][2] = co_await f(values[n]);
    if (auto got = co_await f(); got) use(record{s, n});
    while (auto chunk = co_await peer.read_some(buffer)) co_await peer.write_all(chunk);
    for (auto name : {"ada", "grace"}) co_await f(name);
    for (int i = 0; i < n; ++i) co_await f(i);
    switch (n) {
        case 1: co_await f(); break;
        default: use(flag ? s : std::string("x"));
    }
    record value{s, n};
    record other{.name = s, .count = n};
    use([s] { return s; }, record{s, n}, flag ? s : std::string("no await here"));
    // co_await f([s] { use(s); });
    const char* text = "co_await f([s] {})"; /* co_await f([s] {}) */
    const char* raw = R"x(co_await f([s] {}) ")x";
    co_await f([n] { return n; });  // lint: safe, n is an int
    co_yield n;
    co_yield record(s, n);
    REQUIRE(co_await f() == 3);
    co_return flag ? s : std::string("no await here either");
}

struct thing : base<int> {
    thing(int a) : a_{a}, b_(a), c_{make(a), 2} { start([a] { use(a); }); }
    auto operator co_await() && noexcept { return awaiter{this, [this] { go(); }}; }
    task<> run() override { co_await f([this] { go(); }); }
    auto later() const -> task<int> { co_return co_await f(); }
    [[nodiscard]] bool ready() const noexcept { return true; }
    int a_{1}, b_ = 2;
    std::string c_{"x", 1};
};

enum class colour { red, green };
namespace inner { inline namespace v0 { constexpr int one = 1; } }
template <class T> concept awaitable = requires(T t) { { t.x } -> same_as<int>; };
template <class A> requires awaitable<A> task<> generic(A a) { co_await std::move(a); }
extern "C" { int c_function(void); }
RONDO_TEST("name: claim", "[tag]") {
    auto owned = [s] { use(s); };
    co_await f(std::move(owned));
}
TEST_CASE("plain") { run([]() -> task<> { co_await f([] { return 1; }); }()); }

task<> with_a_variable(bool flag) {
    if (co_await f()) use(flag);
    while (!co_await f()) {
        const std::vector<int>& rows = table();
        use(rows);
    }
}
task<> with_a_variable_in_a_condition() {
    while (auto chunk = co_await f()) use(chunk);
    if (co_await f()) co_return;
}
task<> with_a_loop(range all) {
    for (const auto& one : all)
        if (co_await f(one)) use(one);
}
task<> with_two_names() {
    auto [one, two] = co_await both();
    if (co_await f(one)) use(two);
}

task<> lends_to_the_group(std::string outside) {
    int count = 0;
    co_await with_task_group([&](task_group& group) -> task<> {
        std::string text = "kept for the child";
        auto& alias = outside;
        const auto& lines = all_of(outside);
        auto name = [&](int number) -> task<> { int mine = number; co_await use(mine, outside); };
        group.start(child, std::ref(outside), &count);
        group.start(child, std::ref(alias), std::cref(lines), std::ref(group));
        group.start(child, text, std::move(text));
        group.start([&]() -> task<> { co_await use(outside, count); });
        group.start([text]() -> task<> { co_await use(text); });
        group.start(name, count & 3, mine);
        for (auto& line : lines) group.start(child, std::ref(line));
        other.start(child, std::ref(text));
        group.start(child, std::ref(text));  // lint: safe, group.ended() is awaited below
        co_await use(text);
    });
}
void declares(task_group& group);
