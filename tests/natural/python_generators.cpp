// SPDX-License-Identifier: MIT
// Python's tutorial on generators: Fibonacci numbers, a walk through a tree, a machine that is sent
// coins.
// Runs on: ring and simulator
//
//     0 1 1 2 3 5 8
//     a b c d e
//     coins: 1.50 of 2.00
//     coins: 2.50 of 2.00
//     coffee, and 0.50 change
#include <memory>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

rondo::generator<int> fibonacci() {
    int a = 0, b = 1;
    while (true) {
        co_yield a;
        a = std::exchange(b, a + b);
    }
}

struct tree {
    std::string label;
    std::unique_ptr<tree> left, right;
};

rondo::generator<const std::string&> inorder(const tree* t) {
    if (t == nullptr) co_return;
    for (auto& label : inorder(t->left.get())) co_yield label;
    co_yield t->label;
    for (auto& label : inorder(t->right.get())) co_yield label;
}

std::unique_ptr<tree> node(std::string label, std::unique_ptr<tree> left = nullptr,
                           std::unique_ptr<tree> right = nullptr) {
    return std::make_unique<tree>(tree{label, std::move(left), std::move(right)});
}

rondo::generator<std::string, double> machine(double price) {
    double paid = 0;
    while (paid < price) {
        paid += co_yield fmt::format("coins: {:.2f} of {:.2f}", paid, price);
    }
    co_yield fmt::format("coins: {:.2f} of {:.2f}\ncoffee, and {:.2f} change", paid, price,
                         paid - price);
}

rondo::task<> program() {
    for (int n : fibonacci()) {
        fmt::print("{}{}", n, n < 8 ? " " : "\n");
        if (n == 8) break;
    }
    auto root = node("d", node("b", node("a"), node("c")), node("e"));
    for (auto& label : inorder(root.get())) fmt::print("{}{}", label, label == "e" ? "\n" : " ");

    auto coffee = machine(2);
    coffee.next();
    fmt::print("{}\n", *coffee.send(1.5));
    fmt::print("{}\n", *coffee.send(1));
    co_return;
}

int main() { rondo::run(program()); }
