#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes an object file by which a program loads shared libraries when it first calls them.

usage: load_later.py OUTPUT COMPILER NAMES OBJECTS...

A plain download needs neither TLS nor HTTP/2 nor decompression, and the dynamic linker takes longer
for their libraries than the download of a small file does. For each function of the libraries NAMES
(separated by commas: "ssl,crypto") that one of OBJECTS needs, OUTPUT defines a function of that
name: a jump to an address that load_function() of load_later.cpp finds out by the first call. Then
the program does not need the library at its start, and the linker leaves it out (--as-needed). A
library is left alone, and linked as usual, if it is not there or one of its variables is needed.

The code is for x86-64. It does what the table of the dynamic linker for lazy binding does.
"""

import pathlib
import re
import subprocess
import sys

HEAD = """
    .text
    .type load_later_first_call, @function
load_later_first_call:  # the number of the function is on the stack
    .cfi_startproc
    .cfi_adjust_cfa_offset 8
    push %rax; push %rdi; push %rsi; push %rdx; push %rcx; push %r8; push %r9; push %r10
    .cfi_adjust_cfa_offset 64
    sub $128, %rsp
    .cfi_adjust_cfa_offset 128
"""
MIDDLE = """
    mov 192(%rsp), %rdi
    call load_function
    mov %rax, %r11
"""
TAIL = """
    add $128, %rsp
    .cfi_adjust_cfa_offset -128
    pop %r10; pop %r9; pop %r8; pop %rcx; pop %rdx; pop %rsi; pop %rdi; pop %rax
    .cfi_adjust_cfa_offset -64
    add $8, %rsp
    .cfi_adjust_cfa_offset -8
    jmp *%r11
    .cfi_endproc
    .size load_later_first_call, . - load_later_first_call
"""


def output_of(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def symbols(*arguments):
    """Pairs of name and kind, as nm(1) prints them."""
    for line in output_of("nm", "-P", *arguments).splitlines():
        words = line.split()
        if len(words) >= 2:
            yield words[0].split("@")[0], words[1]


def soname_of(path):
    found = re.search(r"\(SONAME\).*\[(.+)\]", output_of("readelf", "-dW", path))
    return found.group(1) if found else None


def functions(compiler, names, needed):
    """Pairs of function and the file name of its library."""
    for name in names:
        path = pathlib.Path(output_of(*compiler, f"-print-file-name=lib{name}.so").strip())
        soname = soname_of(path) if path.is_absolute() else None
        if not soname:
            continue
        used = {symbol: kind for symbol, kind in symbols("-D", "--defined-only", path)
                if symbol in needed}
        if all(kind in "TWi" for kind in used.values()):
            yield from ((symbol, soname) for symbol in sorted(used))


def registers(instruction):
    return "".join(f"    {instruction.format(at=16 * number, number=number)}\n"
                   for number in range(8))


def code(found):
    text = [HEAD, registers("movups %xmm{number}, {at}(%rsp)"), MIDDLE,
            registers("movups {at}(%rsp), %xmm{number}"), TAIL]
    for number, (symbol, _) in enumerate(found):
        text.append(f"""
    .globl {symbol}
    .hidden {symbol}
    .type {symbol}, @function
{symbol}:
    .cfi_startproc
    endbr64
    jmp *load_later_functions+{8 * number}(%rip)
    .cfi_endproc
    .size {symbol}, . - {symbol}
.Lfirst{number}:
    endbr64
    push ${number}
    jmp load_later_first_call
""")
    for section, table, entry in (
            (".data", "functions", ".quad .Lfirst{number}"),
            (".data.rel.ro", "names", ".quad .Lname{number}"),
            (".data.rel.ro", "libraries", ".quad .Llibrary{number}")):
        text.append(f"    .section {section},\"aw\"\n    .balign 8\n")
        text.append(f"    .globl load_later_{table}\n    .hidden load_later_{table}\n")
        text.append(f"load_later_{table}:\n")
        text += [f"    {entry.format(number=number)}\n" for number in range(len(found))]
    text.append("    .section .rodata\n")
    for number, (symbol, library) in enumerate(found):
        text.append(f".Lname{number}: .asciz \"{symbol}\"\n")
        text.append(f".Llibrary{number}: .asciz \"{library}\"\n")
    text.append("    .section .note.GNU-stack,\"\",@progbits\n")
    return "".join(text)


def main():
    output, compiler, names, *objects = sys.argv[1:]
    needed = {symbol for symbol, _ in symbols("-u", *objects)}
    found = list(functions(compiler.split(), names.split(","), needed))
    subprocess.run([*compiler.split(), "-c", "-x", "assembler", "-o", output, "-"], text=True,
                   input=code(found), check=True)


main()
