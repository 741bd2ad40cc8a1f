"""The netlist as C++17: one source, one header, nothing to link.

The emulator is what offline software calls for the bits that the firmware will make.
It shares the netlist with the RTL and nothing else.

Conventions
-----------
- Two symbols leave the object, `<block>_version` and `<block>_run`, both C; all else
  has internal linkage inside the namespace `<block>`, so that any number of blocks and
  versions of one block live in one process.
- Events go through in groups of `kGroup`; `firmware.cpp_group` writes what a group does.
- The group is compiled once for every processor and, by GCC on x86-64, again for those
  with AVX2 and with AVX-512 VBMI, whose byte shuffles are table look-ups; `<block>_run`
  asks the processor.  For this the source includes itself.  Other compilers take what
  their flags allow.
- Input ports saturate: a word outside its port's range is taken as the nearer end.
- No allocation, no state, no I/O: calls may run side by side.
"""

import hashlib
from collections.abc import Sequence

from firmware import cpp_group
from firmware.cpp_group import literal
from firmware.netlist import Netlist, Node, to_json
from trigger.errors import UserError

GROUP = 64
"""Events that go through together: the bytes of the widest register."""

LENGTHS = (16, 32, 64, 128, 256)
"""Lengths of the tables that `look` takes."""

LOOK = """\
// out[e] = table[at[e]] for a group of addresses, each less than N.
template <typename T, std::size_t N>
[[maybe_unused]] inline void look(const T (&table)[N], const std::uint8_t* at, T* out) {
  static_assert(sizeof(T) == 1 && N >= 16 && N <= 256 && (N & (N - 1)) == 0, "");
#if JETLUT_LANES == 64
  __m512i part[N <= 64 ? 1 : N / 64];
  if constexpr (N == 16) {
    part[0] = _mm512_maskz_broadcast_i32x4(0xffff, _mm_loadu_si128((const __m128i*)table));
  } else if constexpr (N == 32) {
    part[0] = _mm512_maskz_broadcast_i64x4(0xff, _mm256_loadu_si256((const __m256i*)table));
  } else {
    for (std::size_t k = 0; k < N / 64; ++k)
      part[k] = _mm512_loadu_si512(table + 64 * k);
  }
  for (std::size_t e = 0; e < kGroup; e += 64) {
    const __m512i address = _mm512_loadu_si512(at + e);
    __m512i found;
    if constexpr (N <= 64) {
      found = _mm512_maskz_permutexvar_epi8(~__mmask64{0}, address, part[0]);
    } else {
      found = _mm512_permutex2var_epi8(part[0], address, part[1]);
      if constexpr (N == 256) {
        const __m512i high = _mm512_permutex2var_epi8(part[2], address, part[3]);
        found = _mm512_mask_mov_epi8(found, _mm512_movepi8_mask(address), high);
      }
    }
    _mm512_storeu_si512(out + e, found);
  }
#elif JETLUT_LANES == 32
  // Of 16 entries at a time, what they change of the 16 before them is added to all that
  // is found for addresses from theirs on; lower ones, less theirs, have the top bit set,
  // for which a shuffle gives 0.
  for (std::size_t e = 0; e < kGroup; e += 64) {
    __m256i a = _mm256_loadu_si256((const __m256i*)(at + e));
    __m256i b = _mm256_loadu_si256((const __m256i*)(at + e + 32));
    const __m256i top = _mm256_set1_epi8((char)128), step = _mm256_set1_epi8(16);
    const __m256i high_a = _mm256_xor_si256(a, top), high_b = _mm256_xor_si256(b, top);
    __m256i before = _mm256_setzero_si256(), found_a = before, found_b = before;
    for (std::size_t k = 0; k < N; k += 16) {
      if (k == 128) {  // until here they had the top bit set
        a = high_a, b = high_b;
        before = _mm256_setzero_si256();
      }
      const __m256i here =
          _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i*)(table + k)));
      const __m256i change = _mm256_xor_si256(here, before);
      found_a = _mm256_xor_si256(found_a, _mm256_shuffle_epi8(change, a));
      found_b = _mm256_xor_si256(found_b, _mm256_shuffle_epi8(change, b));
      a = _mm256_subs_epi8(a, step), b = _mm256_subs_epi8(b, step);
      before = here;
    }
    _mm256_storeu_si256((__m256i*)(out + e), found_a);
    _mm256_storeu_si256((__m256i*)(out + e + 32), found_b);
  }
#else
  for (std::size_t e = 0; e < kGroup; ++e) out[e] = table[at[e]];
#endif
}
"""
"""A group of look-ups: one byte shuffle or a few where the processor has them."""


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
        if node.lo < -(2**31) or node.hi >= 2**31:
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
    block = netlist.block
    body = cpp_group.plan(netlist)
    tables = "\n".join(
        _table(k, entries, looked=k in body.looked)
        for k, entries in enumerate(netlist.tables)
    )
    steps = "\n".join(f"  {line}".rstrip() for line in body.lines).strip("\n")
    ports, outputs = len(netlist.inputs), len(netlist.outputs)
    return f"""\
// Bit-exact emulator of the firmware block {block}; see {block}.h.
//
// The part behind `#else` is compiled once for each kind of processor, by this file
// including itself, so it keeps its name.
#ifndef JETLUT_KIND

#include "{block}.h"

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__)
#define JETLUT_KINDS
#endif
#if defined(JETLUT_KINDS) || defined(__AVX2__)
#include <immintrin.h>
#endif
#if defined(__GNUC__)
#define JETLUT_EXPORT __attribute__((visibility("default")))
#else
#define JETLUT_EXPORT
#endif

namespace {block} {{
namespace {{

constexpr std::size_t kGroup = {GROUP};  // events that go through together

{tables}

template <typename T>
[[maybe_unused]] constexpr T saturate(T value, T lo, T hi) {{
  const T least = value < lo ? lo : value;
  return least > hi ? hi : least;
}}

// A word as its code, which counts from the least word on.
template <typename T>
[[maybe_unused]] constexpr T code(std::int32_t word, std::int32_t least, std::int32_t most) {{
  return static_cast<T>(saturate(word, least, most)) - static_cast<T>(least);
}}

// How far up part k of a word stands that is read back as parts of so many bits.
[[maybe_unused]] constexpr int place(int k, int bits) {{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  return 32 - bits * (k + 1);
#else
  return bits * k;
#endif
}}

}}  // namespace
}}  // namespace {block}

#define JETLUT_KIND any
#if defined(__AVX512VBMI__) && defined(__AVX512BW__) && defined(__AVX512DQ__)
#define JETLUT_LANES 64
#elif defined(__AVX2__)
#define JETLUT_LANES 32
#else
#define JETLUT_LANES 1
#endif
#include "{block}.cpp"
#undef JETLUT_KIND
#undef JETLUT_LANES
#ifdef JETLUT_KINDS
#pragma GCC push_options
#pragma GCC target("avx2")
#define JETLUT_KIND avx2
#define JETLUT_LANES 32
#include "{block}.cpp"
#undef JETLUT_KIND
#undef JETLUT_LANES
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi")
#define JETLUT_KIND vbmi
#define JETLUT_LANES 64
#include "{block}.cpp"
#undef JETLUT_KIND
#undef JETLUT_LANES
#pragma GCC pop_options
#endif

namespace {block} {{
namespace {{

using Group = void (*)(const std::int32_t*, std::int32_t*);

Group fastest() {{
#ifdef JETLUT_KINDS
  if (__builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
    return vbmi::group;
  if (__builtin_cpu_supports("avx2")) return avx2::group;
#endif
  return any::group;
}}

}}  // namespace
}}  // namespace {block}

extern "C" {{

JETLUT_EXPORT const char* {block}_version(void) {{
  return "{version(netlist)}";
}}

JETLUT_EXPORT void {block}_run(const std::int32_t* in, std::int32_t* out,
                               std::size_t events) {{
  constexpr std::size_t kGroup = {block}::kGroup;
  const {block}::Group group = {block}::fastest();
  for (; events >= kGroup; events -= kGroup) {{
    group(in, out);
    in += {ports} * kGroup;
    out += {outputs} * kGroup;
  }}
  if (events > 0) {{  // the last ones, in a group that is filled up
    std::int32_t words[{ports} * kGroup + 1] = {{}};
    std::int32_t answers[{outputs} * kGroup];
    for (std::size_t k = 0; k < {ports} * events; ++k) words[k] = in[k];
    group(words, answers);
    for (std::size_t k = 0; k < {outputs} * events; ++k) out[k] = answers[k];
  }}
}}

}}  // extern "C"

#else  // JETLUT_KIND

namespace {block} {{
namespace {{
namespace JETLUT_KIND {{

{LOOK}
void group([[maybe_unused]] const std::int32_t* in, std::int32_t* out) {{
{steps}
}}

}}  // namespace JETLUT_KIND
}}  // namespace
}}  // namespace {block}

#endif  // JETLUT_KIND
"""


def _table(k: int, entries: Sequence[int], *, looked: bool) -> str:
    """One table as a constant array of the narrowest type that holds it.

    A table that is `looked` up by bytes is filled up to one of the lengths of `look`.
    """
    size = len(entries)
    if looked:
        size = next(length for length in LENGTHS if length >= size)
    lines = [
        "    " + ", ".join(map(literal, entries[at : at + 16]))
        for at in range(0, len(entries), 16)
    ]
    body = ",\n".join(lines)
    kind = cpp_group.kind(min(entries), max(entries))
    aligned = "alignas(64) " if looked else ""
    return f"{aligned}[[maybe_unused]] constexpr {kind} t{k}[{size}] = {{\n{body}}};"
