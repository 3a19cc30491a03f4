// SPDX-License-Identifier: MIT
// Wrong calls that pass something to a generator.
#include <string>

#include <rondo/rondo.hpp>

rondo::generator<int> numbers() { co_yield 1; }
rondo::generator<int, double> counted() { co_yield 1; }
rondo::async_generator<int> later() { co_yield 1; }
rondo::async_generator<int, double> counted_later() { co_yield 1; }

int plain() {
    auto given = numbers();
    auto asked = counted();
#ifndef CONTROL
    given.send(1);        // expect: this generator receives no values: name their type
    asked.send("many");   // expect: this generator receives values of another type
    // expect: a for loop sends nothing to this generator: call next\(\) once, then send\(\)
    for (const int i : counted()) return i;
#endif
    for (const int i : numbers()) return i;
    asked.next();
    return asked.send(2.5).value_or(0);
}

rondo::task<> tasks() {
    auto given = later();
    auto asked = counted_later();
#ifndef CONTROL
    co_await given.send('a');           // expect: this generator receives no values
    co_await asked.send(std::string()); // expect: this generator receives values of another type
    asked.send(1.5);                    // expect: nothing is sent until it is awaited
    asked.throw_in(1);                  // expect: nothing is thrown until it is awaited
#endif
    co_await asked.next();
    co_await asked.send(1.5);
}
