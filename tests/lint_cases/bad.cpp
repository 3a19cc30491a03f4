// What scripts/lint_gcc12.py must find: exactly the lines that end with `// bad`. Read as tokens
// only, never compiled.
task<> owning(std::string s, bool flag) {
    co_await f([s] { use(s); });  // bad
    co_await f([=] { use(s); });  // bad
    co_await f([&, s] { use(s); });  // bad
    co_await f([*this] { use(s); });  // bad
    co_await f([p = std::move(p)]() mutable { use(p); });  // bad
    co_await f([this, n] { use(n); });  // bad
    co_await f([...a = std::move(a)] { use(a...); });  // bad
    co_await f(std::function<void()>([s] { use(s); }));  // bad
    auto x = 1 + co_await g(h(k([s](int n) -> int { return n; })));  // bad
    co_await f(1,
               2,
               [s] { use(s); });  // bad
    co_await f([s] {  // bad
        co_await f([s] { use(s); });  // bad
    });
    auto fine = [s] { co_await f([s] { use(s); }); };  // bad
    use(co_await f(), [s] { use(s); });  // bad
    co_await f([s] { use(s); });  // lint: safe // bad
    co_await f(record{s, 1});  // bad
    co_await f(ns::record<int>{s, 1});  // bad
    co_await f(record{.name = s});  // bad
    co_await f({.body = s});  // bad
    co_await f({.timeout = 3s, .header = s});  // bad
    co_await f({"a", "b"});  // bad
    co_await f(std::array<std::string, 2>{"a", "b"});  // bad
    co_await f(std::array{s, s});  // bad
    co_await my_awaiter{s};  // bad
    co_yield {s, 1};  // bad
    co_yield record{s, 1};  // bad
    std::string parts[] = {co_await f(), co_await g()};  // bad
    record named{co_await f(), 1};  // bad
    auto made = record{co_await f(), 1};  // bad
    auto a = flag ? co_await f() : co_await g();  // bad
    co_await f(flag ? s : std::string("x"));  // bad
    co_await f(flag ? s : "x");  // bad
    co_await f(flag ? make() : s);  // bad
    co_await (flag ? f() : g());  // bad
    if (auto got = co_await f([s] { use(s); })) use(got);  // bad
    while (co_await f(record{s})) {  // bad
        use(record{s});
    }
    for (auto& item : co_await f([s] { use(s); })) use(item);  // bad
    for (int i = 0; i < co_await f(record{s}); ++i) use(i);  // bad
    switch (co_await f([s] { return 1; })) {  // bad
        case 1: co_await f([s] { use(s); }); break;  // bad
        default: co_await f([s] { use(s); });  // bad
    }
    if (flag) co_await f([s] { use(s); });  // bad
    else co_await f([s] { use(s); });  // bad
    do co_await f([s] { use(s); }); while (flag);  // bad
    try { co_await f([s] { use(s); }); } catch (const error& e) { use(e, [s] {}); }  // bad
    co_return co_await f([s] { use(s); });  // bad
    REQUIRE(co_await f([s] { use(s); }) == 3);  // bad
    auto [first, second] = co_await gather(f([s] { use(s); }), g());  // bad
    [&]() -> task<> { co_await f([s] { use(s); }); }();  // bad
    if (flag) { use(s); }
    [&]() -> task<> { co_await f([s] { use(s); }); }();  // bad
    use([value = co_await f()] { use(value); });  // bad
}

struct thing {
    task<> run() const { co_await f([s] { use(s); }); }  // bad
    auto run_again() -> task<> { co_await f(record{s}); }  // bad
    thing() : a_{1}, b_(2) { run([s]() -> task<> { co_await f([s] { use(s); }); }); }  // bad
};

RONDO_TEST("name: claim", "[tag]") {
    co_await f([s] { use(s); });  // bad
}
TEST_CASE("plain") { run([]() -> task<> { co_await f([s] { use(s); }); }()); }  // bad

task<> without_a_variable(bool flag, std::string s) {
    if (co_await f()) use(flag);  // bad
    if (flag && !co_await f()) use(flag);  // bad
    while (!co_await f()) {  // bad
        use(flag);
        s = "no declaration";
        static int count = 0;
    }
    do use(s); while (co_await f());  // bad
    for (; co_await f();) use(s);  // bad
    switch (co_await f()) {  // bad
        case 1: co_return;
    }
    try {
        if (co_await f()) group.start(s);  // bad
    } catch (...) {
        throw;
    }
    run([&]() -> task<> {
        const auto inside = [] {};
        if (co_await f()) use(flag);
    });
}
generator<int, bool> receives(std::string s) {
    while (co_yield 1) {  // bad
        use(s);
    }
}
void around() {
    int outside = 1;
    run([&]() -> task<> { if (co_await f()) use(outside); });  // bad
}

task<> borrows_from_the_body(std::string outside) {
    co_await with_task_group([&](task_group& group) -> task<> {
        std::string text = "gone before the child";
        std::vector<std::string> lines{text};
        const int count(3);
        group.start(child, std::ref(text));  // bad
        group.start(child, std::cref(lines), 1);  // bad
        group.start(child, &count);  // bad
        group.start([&]() -> task<> { co_await use(text); });  // bad
        group.start([&text]() -> task<> { co_await use(text); });  // bad
        group.start([count, &all = lines]() -> task<> { co_await use(all); });  // bad
        for (int i = 0; i < count; ++i) group.start(child, std::ref(i));  // bad
        for (auto line : lines) group.start(child, std::ref(line));  // bad
        auto [one, two] = pair_of(text);
        group.start(child,
                    std::ref(one));  // bad
        if (auto peer = accept()) {
            group.start(talk, std::ref(*peer), std::ref(peer));  // bad
        }
    });
}
task<> body(rondo::task_group& all) {
    std::string text;
    all.start(child, std::ref(text));  // bad
    co_return;
}
