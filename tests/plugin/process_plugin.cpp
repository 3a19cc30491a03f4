// SPDX-License-Identifier: MIT
// A module that a test loads, and that its worker processes do not have.
extern "C" int plugin_answer(int a);
extern "C" int plugin_answer(int a) { return a + 42; }
