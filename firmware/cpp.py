"""The netlist as C++17: one source, one header, nothing to link.

The emulator is what offline software calls for the bits that the firmware will make.
It shares the netlist with the RTL and nothing else.

Conventions
-----------
- Two symbols leave the object, `<block>_version` and `<block>_run`, both C; all else
  has internal linkage inside the namespace `<block>`, so that any number of blocks and
  versions of one block live in one process.
- Events go through in groups of `kGroup`, each value as an array over the group, so
  that additions vectorise.  A value that is read once is an expression, not an array.
- A value is 32 bits wide if its interval fits, else 64: no operation overflows.
- Input ports saturate: a word outside its port's range is taken as the nearer end.
- No allocation, no state, no I/O: calls may run side by side.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence

from firmware.netlist import Netlist, Node, to_json
from trigger.errors import UserError

INLINE = 48
"""Operations in one expression, beyond which a value is stored: keeps compiling fast."""

GROUP_BYTES = 32 * 1024
"""Room for the values of one group of events: the level-1 data cache of a small core."""


def emit(netlist: Netlist) -> dict[str, str]:
    """Writes the emulator's header and source.

    Args:
        netlist: A valid netlist.

    Returns:
        Text by file name, `<block>.h` and `<block>.cpp`.

    Raises:
        UserError: A port's words do not fit the 32-bit integers of the C interface.
    """
    ports = [(netlist.nodes[i].name, netlist.nodes[i]) for i in netlist.inputs]
    outputs = [(name, netlist.nodes[i]) for name, i in netlist.outputs]
    for name, node in ports + outputs:
        if not _is_narrow(node):
            raise UserError(
                f"port {name!r} of block {netlist.block!r} takes {node.lo}..{node.hi}; "
                "the C++ emulator passes words as 32-bit signed integers"
            )
    return {
        f"{netlist.block}.h": _header(netlist.block, ports, outputs),
        f"{netlist.block}.cpp": _source(netlist),
    }


def version(netlist: Netlist) -> str:
    """What `<block>_version` answers: the block and which netlist it was made from."""
    digest = hashlib.sha256(to_json(netlist).encode()).hexdigest()
    return f"{netlist.block} netlist-sha256:{digest[:16]}"


def _header(
    block: str,
    ports: Sequence[tuple[str, Node]],
    outputs: Sequence[tuple[str, Node]],
) -> str:
    def rows(columns: Sequence[tuple[str, Node]]) -> str:
        return "\n".join(
            f"//   {k:>3}  {name:<24} {node.lo}..{node.hi}"
            for k, (name, node) in enumerate(columns)
        )

    guard = f"{block.upper()}_H"
    return f"""\
// Bit-exact emulator of the firmware block {block}.
//
// Columns of `in`, raw words and their range (others saturate):
{rows(ports)}
// Columns of `out`, raw words and their range:
{rows(outputs)}
#ifndef {guard}
#define {guard}

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

// The block's id and the netlist it was made from.
const char* {block}_version(void);

// Evaluates `events` rows of {len(ports)} words into rows of {len(outputs)} words.
// May be called from any number of threads; allocates nothing.
void {block}_run(const int32_t* in, int32_t* out, size_t events);

#ifdef __cplusplus
}}
#endif

#endif  // {guard}
"""


def _source(netlist: Netlist) -> str:
    block, nodes = netlist.block, netlist.nodes
    stored = _stored(netlist)
    group = 8
    bytes_an_event = sum(4 if _is_narrow(nodes[i]) else 8 for i in stored)
    while group < 256 and 2 * group * bytes_an_event <= GROUP_BYTES:
        group *= 2
    tables = "\n".join(_table(k, entries) for k, entries in enumerate(netlist.tables))
    column = {index: k for k, index in enumerate(netlist.inputs)}
    steps: list[str] = []
    layer = ""
    for i in stored:
        node = nodes[i]
        if node.layer != layer:
            layer = node.layer
            steps.append(f"\n  // {layer}")
        if node.op == "input":
            value = f"saturate(e < some ? in[{len(column)} * e + {column[i]}] : 0, "
            value += f"{_literal(node.lo)}, {_literal(node.hi)});  // {node.name}"
        else:
            value = _expression(netlist, i, stored, top=True) + ";"
        kind = "std::int32_t" if _is_narrow(node) else "std::int64_t"
        steps.append(f"  {kind} n{i}[kGroup];")
        steps.append(f"  for (std::size_t e = 0; e < kGroup; ++e) n{i}[e] = {value}")
    leave = "\n".join(
        f"    out[{len(netlist.outputs)} * e + {j}] = "
        f"{_expression(netlist, i, stored)};  // {name}"
        for j, (name, i) in enumerate(netlist.outputs)
    )
    return f"""\
// Bit-exact emulator of the firmware block {block}; see {block}.h.
#include "{block}.h"

#include <cstddef>
#include <cstdint>

#if defined(__GNUC__)
#define JETLUT_EXPORT __attribute__((visibility("default")))
#else
#define JETLUT_EXPORT
#endif

namespace {block} {{
namespace {{

constexpr std::size_t kGroup = {group};  // events that go through together

{tables}

template <typename T>
[[maybe_unused]] constexpr T saturate(T value, T lo, T hi) {{
  return value < lo ? lo : value > hi ? hi : value;
}}

// Evaluates `some` events, at most kGroup.
void group([[maybe_unused]] const std::int32_t* in, std::int32_t* out,
           std::size_t some) {{
{chr(10).join(steps).lstrip(chr(10))}

  for (std::size_t e = 0; e < some; ++e) {{
{leave}
  }}
}}

}}  // namespace
}}  // namespace {block}

extern "C" {{

JETLUT_EXPORT const char* {block}_version(void) {{
  return "{version(netlist)}";
}}

JETLUT_EXPORT void {block}_run(const std::int32_t* in, std::int32_t* out,
                               std::size_t events) {{
  while (events > 0) {{
    const std::size_t some = events < {block}::kGroup ? events : {block}::kGroup;
    {block}::group(in, out, some);
    in += {len(netlist.inputs)} * some;
    out += {len(netlist.outputs)} * some;
    events -= some;
  }}
}}

}}  // extern "C"
"""


def _stored(netlist: Netlist) -> dict[int, None]:
    """The nodes that get an array, in order: those read twice, and long expressions.

    Nodes that no output depends on are left out.
    """
    live = {index for _, index in netlist.outputs}
    readers = Counter(index for _, index in netlist.outputs)
    for i in range(len(netlist.nodes) - 1, -1, -1):
        if i in live and not _is_constant(netlist.nodes[i]):
            live.update(netlist.nodes[i].args)
            readers.update(netlist.nodes[i].args)
    stored: dict[int, None] = {}
    length = [0] * len(netlist.nodes)
    for i in sorted(live):
        node = netlist.nodes[i]
        length[i] = 1 + sum(length[a] for a in node.args)
        if _is_constant(node):
            continue
        if node.op == "input" or readers[i] > 1 or length[i] > INLINE:
            stored[i] = None
            length[i] = 1
    return stored


def _expression(
    netlist: Netlist, index: int, stored: dict[int, None], *, top: bool = False
) -> str:
    """The C++ expression of a node; its array element if it has one, unless `top`."""
    node = netlist.nodes[index]
    if _is_constant(node):
        return _literal(node.lo)
    if index in stored and not top:
        return f"n{index}[e]"
    args = [_expression(netlist, a, stored) for a in node.args]
    operands = [netlist.nodes[a] for a in node.args]
    if node.op == "table":
        lo = operands[0].lo
        at = args[0] if lo == 0 else f"{args[0]} - {_literal(lo)}"
        return f"t{node.table}[{at}]"
    # The type in which the operation cannot overflow: its own and its arguments'.
    kind = "32" if all(map(_is_narrow, [node, *operands])) else "64"
    if node.op in ("add", "sum") and kind == "32" and not _sums_narrow(operands):
        kind = "64"
    if node.op == "wrap" and node.bits > 30:  # the mask is an operand too
        kind = "64"
    if kind == "64":
        args = [f"std::int64_t{{{arg}}}" for arg in args]
    match node.op:
        case "add" | "sum":
            text = "(" + " + ".join(args) + ")"
        case "sub":
            text = f"({args[0]} - {args[1]})"
        case "mul":
            text = f"({args[0]} * {args[1]})"
        case "compare":
            text = f"({args[0]} {node.test} {args[1]})"
        case "mux":
            text = f"({args[0]} ? {args[1]} : {args[2]})"
        case "shift" if node.by >= 0:
            text = f"({args[0]} * {_literal(1 << node.by, kind)})"
        case "shift":
            bits = 31 if kind == "32" else 63
            text = f"({args[0]} >> {min(-node.by, bits)})"
        case "wrap":
            half = 1 << (node.bits - 1)
            text = f"({args[0]} & {_literal(2 * half - 1, kind)})"
            if node.twos:
                half = _literal(half, kind)
                text = f"(({text} ^ {half}) - {half})"
        case _:
            bounds = f"{_literal(node.lo, kind)}, {_literal(node.hi, kind)}"
            text = f"saturate<std::int{kind}_t>({args[0]}, {bounds})"
    if kind == "64" and _is_narrow(node):
        text = f"static_cast<std::int32_t>({text})"
    return text


def _is_narrow(node: Node) -> bool:
    return node.lo >= -(2**31) and node.hi < 2**31


def _is_constant(node: Node) -> bool:
    return node.lo == node.hi


def _sums_narrow(operands: Sequence[Node]) -> bool:
    """Whether every partial sum from the left fits 32 bits, not only the last."""
    lo = hi = 0
    for node in operands:
        lo, hi = lo + node.lo, hi + node.hi
        if lo < -(2**31) or hi >= 2**31:
            return False
    return True


def _literal(value: int, kind: str = "") -> str:
    """A literal of `int`, or of 64 bits where that is asked for or needed."""
    if value == -(2**63):
        return "INT64_MIN"
    if kind == "64" or not -(2**31) <= value < 2**31:
        return f"INT64_C({value})"
    return "INT32_MIN" if value == -(2**31) else str(value)


def _table(k: int, entries: Sequence[int]) -> str:
    """One table as a constant array of the narrowest type that holds it."""
    for bits in (8, 16, 32, 64):
        half = 1 << (bits - 1)
        if min(entries) >= -half and max(entries) < half:
            kind = f"std::int{bits}_t"
            break
        if bits < 32 and min(entries) >= 0 and max(entries) < 2 * half:
            kind = f"std::uint{bits}_t"
            break
    else:
        raise AssertionError("a netlist's tables hold at most 64 signed bits")
    lines = [
        "    " + ", ".join(_literal(v) for v in entries[at : at + 16])
        for at in range(0, len(entries), 16)
    ]
    body = ",\n".join(lines)
    return f"[[maybe_unused]] constexpr {kind} t{k}[{len(entries)}] = {{\n{body}}};"
