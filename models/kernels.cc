// The table-space step on a CPU: tables of edge functions, and the bag that sums them.
//
// An edge that reads w bits has 2^w different entries, however many codes its input has.
// XLA has to evaluate every code; here an edge is evaluated once per cell of its own
// width and the answers are spread over the codes, forward and backward.  The formulas
// are those of `models.forms`, which the tests hold this file against.
//
// Conventions
// -----------
// - Axes before those named here are networks of a stack, as vmap adds them; an operand
//   that all of them share has 1 there.
// - I inputs, J outputs, K codes, D hidden units; the last axis varies fastest.
// - Cells: an edge of width w sees code k of an input of b bits as cell
//   k >> max(0, b - w).  `cell[w][i][c]` is the coordinate that stands for cell c.
// - Codes beyond 2^b of an input are never looked up; their entries repeat the last.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;
using F32 = ffi::Buffer<ffi::F32>;
using S32 = ffi::Buffer<ffi::S32>;
using OutF32 = ffi::ResultBuffer<ffi::F32>;

namespace {

constexpr float kLn2 = 0.69314718f;
constexpr float kEpsilon = 1e-3f;  // as in `models.norm`

// The axes of one network of a stack: its last `rank`.  Those before, as vmap adds them,
// are all there or all 1, and `of` finds where network p begins.
template <class Buffer>
int64_t size_of(const Buffer& buffer, int rank) {
  const auto dims = buffer.dimensions();
  int64_t size = 1;
  for (size_t k = dims.size() - rank; k < dims.size(); ++k) size *= dims[k];
  return size;
}
template <class Buffer>
int64_t axis(const Buffer& buffer, int from_last) {
  return buffer.dimensions()[buffer.dimensions().size() - from_last];
}
template <class Buffer>
int64_t networks(const Buffer& buffer, int rank) {
  const int64_t size = size_of(buffer, rank);
  return size ? buffer.element_count() / size : 0;
}
template <class Buffer>
auto of(const Buffer& buffer, int rank, int64_t p) {
  const int64_t size = size_of(buffer, rank);
  const bool shared = static_cast<int64_t>(buffer.element_count()) == size;
  return buffer.typed_data() + (shared ? 0 : p * size);
}

// Sixteen floats, and parts of them; the compiler splits them up where the processor has
// shorter vectors.
constexpr int64_t kLanes = 16, kHalf = 8;
using Lanes = float __attribute__((vector_size(4 * kLanes)));
using Half = float __attribute__((vector_size(4 * kHalf)));
using Four = float __attribute__((vector_size(16)));

template <class Vector>
inline Vector read(const float* from) {
  Vector x;
  std::memcpy(&x, from, sizeof x);
  return x;
}
inline Lanes load(const float* from) { return read<Lanes>(from); }
template <class Vector>
inline void store(float* to, Vector x) {
  std::memcpy(to, &x, sizeof x);
}

inline Lanes halves(Half first, Half second) {
  Lanes x;
  std::memcpy(&x, &first, sizeof first);
  std::memcpy((float*)&x + kHalf, &second, sizeof second);
  return x;
}

// Lanes of `a`, then of `b`, by their numbers; GCC has clang's name for it since 12.
#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLED(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLED(a, b, ...) __builtin_shuffle(a, b, (decltype((a) < (b))){__VA_ARGS__})
#endif

// What the processor has registers of.
#if defined(__AVX512VL__)
using Wide = Lanes;
#elif defined(__AVX2__)
using Wide = Half;
#else
using Wide = Four;
#endif
constexpr int64_t kWide = sizeof(Wide) / sizeof(float);
using Narrow = std::conditional_t<kWide == kLanes, Half, Wide>;
constexpr int64_t kNarrow = sizeof(Narrow) / sizeof(float);

// The first `count` of the lanes, all if it is more; none beyond is touched in memory.
// What is not loaded is zero.
#if defined(__AVX512VL__)
template <class Vector>
inline Vector part(const float* from, int64_t count) {
  const auto mask = (1u << std::min<int64_t>(count, sizeof(Vector) / 4)) - 1;
  if constexpr (sizeof(Vector) == sizeof(Lanes))
    return (Vector)_mm512_maskz_loadu_ps(mask, from);
  else
    return (Vector)_mm256_maskz_loadu_ps(mask, from);
}
template <class Vector>
inline void put(float* to, Vector x, int64_t count) {
  const auto mask = (1u << std::min<int64_t>(count, sizeof(Vector) / 4)) - 1;
  if constexpr (sizeof(Vector) == sizeof(Lanes))
    _mm512_mask_storeu_ps(to, mask, (__m512)x);
  else
    _mm256_mask_storeu_ps(to, mask, (__m256)x);
}
#elif defined(__AVX2__)
inline __m256i mask_of(int64_t count) {
  static constexpr int32_t ones[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
  count = std::max(int64_t{0}, std::min(count, kHalf));
  return _mm256_loadu_si256((const __m256i*)(ones + kHalf - count));
}
template <class Vector>
inline Vector part(const float* from, int64_t count) {
  const Half x = (Half)_mm256_maskload_ps(from, mask_of(count));
  if constexpr (sizeof(Vector) == sizeof(Half)) return x;
  else {
    const Half y = (Half)_mm256_maskload_ps(from + kHalf, mask_of(count - kHalf));
    return halves(x, y);
  }
}
template <class Vector>
inline void put(float* to, Vector x, int64_t count) {
  for (int64_t n = 0; n < sizeof(Vector) / 4; n += kHalf)
    _mm256_maskstore_ps(to + n, mask_of(count - n), read<__m256>((float*)&x + n));
}
#else
template <class Vector>
inline Vector part(const float* from, int64_t count) {
  constexpr int64_t lanes = sizeof(Vector) / 4;
  if (count >= lanes) return read<Vector>(from);
  if constexpr (lanes == 4) {
    return Vector{count > 0 ? from[0] : 0.f, count > 1 ? from[1] : 0.f,
                  count > 2 ? from[2] : 0.f, 0.f};
  } else {
    float x[lanes] = {};
    for (int64_t n = 0; n < count; ++n) x[n] = from[n];
    return read<Vector>(x);
  }
}
template <class Vector>
inline void put(float* to, Vector x, int64_t count) {
  if (count >= sizeof(Vector) / 4) return store(to, x);
  for (int64_t n = 0; n < count; ++n) to[n] = x[n];
}
#endif

// Only these of the lanes; those beyond are the first once more.
inline Lanes first_of(Lanes x, int64_t count) {
  using Index = int32_t __attribute__((vector_size(4 * kLanes)));
  constexpr Index lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return lane < static_cast<int32_t>(count) ? x : Lanes{} + x[0];
}

// Eight lanes of the one, then eight of the other.
inline Lanes two(float a, float b) {
  return Lanes{a, a, a, a, a, a, a, a, b, b, b, b, b, b, b, b};
}
inline Lanes both(Half x) { return halves(x, x); }
inline Lanes swapped(Lanes x) {
  return SHUFFLED(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
}
inline Half low(Lanes x) { return read<Half>((float*)&x); }
inline Half high(Lanes x) { return read<Half>((float*)&x + kHalf); }
inline Lanes even(Lanes a, Lanes b) {
  return SHUFFLED(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
}
inline Lanes odd(Lanes a, Lanes b) {
  return SHUFFLED(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
}

// All lanes as one, by halves.
constexpr auto kAdd = [](auto a, auto b) { return a + b; };
constexpr auto kGreater = [](auto a, auto b) { return a > b ? a : b; };
constexpr auto kLess = [](auto a, auto b) { return a < b ? a : b; };
template <class Join>
inline float joined(Four x, Join join) {
  x = join(x, SHUFFLED(x, x, 2, 3, 0, 1));
  return join(x, SHUFFLED(x, x, 1, 0, 3, 2))[0];
}
template <class Join>
inline float joined(Half x, Join join) {
  return joined(join(read<Four>((float*)&x), read<Four>((float*)&x + 4)), join);
}
template <class Join>
inline float joined(Lanes x, Join join) {
  return joined(join(low(x), high(x)), join);
}
template <class Vector>
inline float total(Vector x) {
  return joined(x, kAdd);
}

inline int64_t padded(int64_t count) { return (count + kLanes - 1) / kLanes * kLanes; }

// Memory that a thread keeps between calls, and grows; what it holds is not defined.
// The system would otherwise zero it anew in every call.
struct Scratch {
  std::vector<float> room;

  float* of(int64_t count) {
    if (static_cast<int64_t>(room.size()) < count + kLanes) room.resize(count + kLanes);
    const auto at = reinterpret_cast<uintptr_t>(room.data()) / sizeof(float);
    return room.data() + (kLanes - at % kLanes) % kLanes;
  }
};

inline Lanes rounded(Lanes x) {
#ifdef __AVX512VL__
  return (Lanes)_mm512_roundscale_ps((__m512)x, _MM_FROUND_CUR_DIRECTION);
#else
  for (int64_t n = 0; n < kLanes; ++n) x[n] = std::nearbyint(x[n]);
  return x;
#endif
}

// x P(x^2) / Q(x^2) with |x| <= 9, a rational fit whose largest error is 2e-8 exactly and
// 3e-7 in these floats; beyond 9 tanh is 1 to 3e-8.  NaN stays NaN.
inline Lanes tanh_of(Lanes x) {
  x = x > 9.f ? Lanes{} + 9.f : x;
  x = x < -9.f ? Lanes{} - 9.f : x;
  const Lanes z = x * x;
  Lanes p = z * 1.3182596425635608e-08f + 2.04707013871825e-05f;
  Lanes q = z * 7.702010483187529e-07f + 3.2712751660760156e-04f;
  p = p * z + 3.4865154818870597e-03f;
  q = q * z + 2.5841729094177923e-02f;
  p = p * z + 1.3373142627373363e-01f;
  q = q * z + 4.670643952678118e-01f;
  p = p * z + 1.f;
  q = q * z + 1.f;
  return x * p / q;
}

// 2^n of a float's normal range.
inline float power_of_two(int32_t n) {
  const uint32_t word = static_cast<uint32_t>(n + 127) << 23;
  float x;
  std::memcpy(&x, &word, sizeof x);
  return x;
}

struct Edge {
  int64_t cells;  // different entries
  int shift;      // code >> shift is the cell
};

inline Edge edge_of(int32_t width, int32_t bits) {
  const int w = std::max(0, std::min(width, bits));
  return {int64_t{1} << w, bits - w};
}

// Where the cells of width w begin among those of all widths of an input; each width has
// whole vectors of them.
inline int64_t level(int w) {
  return kLanes * std::min(w, 4) + std::max(int64_t{0}, (int64_t{1} << w) - kLanes);
}

// What the cells of one input are, of all widths from the least that an edge has: their
// coordinates, the shares of the events in them, and what these see beyond the coordinate
// of the cell, summed.  Beyond the last cell all are zero.
struct Levels {
  float *at, *share, *away;

  static int64_t size(int64_t widths) { return level(static_cast<int>(widths)); }

  static int least(const int32_t* width, int32_t bits, int64_t outputs) {
    int32_t w = bits;
    for (int64_t j = 0; j < outputs; ++j) w = std::min(w, std::max(0, width[j]));
    return w;
  }

  void locate(const float* cell, int bits, int least, int64_t i, int64_t inputs,
              int64_t codes) const {
    for (int w = least; w <= bits; ++w)
      spread(cell + (w * inputs + i) * codes, int64_t{1} << w, at + level(w));
  }

  void weigh(const float* weight, int bits, int least) const {
    spread(weight, int64_t{1} << bits, share + level(bits));
    for (int w = bits - 1; w >= least; --w)
      each_two(w, [&](int64_t to, int64_t from, int64_t next) {
        const Lanes a = load(share + from), b = next ? load(share + next) : Lanes{};
        store(share + to, even(a, b) + odd(a, b));
      });
  }

  // From the codes on, each width from the next finer one: what its two cells have, and
  // how far they are away themselves.
  void look(const float* fine, int bits, int least) const {
    for (int64_t c = 0; c < int64_t{1} << bits; c += kLanes) {
      const int64_t n = level(bits) + c;
      const Lanes point = part<Lanes>(fine + c, (1 << bits) - c);
      store(away + n, load(share + n) * (point - load(at + n)));
    }
    for (int w = bits - 1; w >= least; --w)
      each_two(w, [&](int64_t to, int64_t from, int64_t next) {
        const auto each = [&](const float* x) {
          const Lanes a = load(x + from), b = next ? load(x + next) : Lanes{};
          return std::pair(even(a, b), odd(a, b));
        };
        const Lanes u = load(at + to);
        const auto [far0, far1] = each(away);
        const auto [share0, share1] = each(share);
        const auto [at0, at1] = each(at);
        store(away + to, far0 + far1 + share0 * (at0 - u) + share1 * (at1 - u));
      });
  }

 private:
  static void spread(const float* from, int64_t count, float* to) {
    for (int64_t c = 0; c < count; c += kLanes)
      store(to + c, part<Lanes>(from + c, count - c));
  }

  // Blocks of the cells of width w, each with the one or two that its halves are in.
  template <class Do>
  static void each_two(int w, Do&& go) {
    for (int64_t c = 0; c < int64_t{1} << w; c += kLanes) {
      const int64_t from = level(w + 1) + 2 * c;
      go(level(w) + c, from, 1 << w < kLanes ? 0 : from + kLanes);
    }
  }
};

// Value and slope of one edge function at its cells; all arrays are padded.
void evaluate(const float* w1, const float* b1, const float* w2, float b2, int64_t hidden,
              const float* u, int64_t cells, float* t, float* slope) {
  if (cells <= kHalf) {  // two units at a time
    const Lanes x = both(read<Half>(u));
    Lanes value = {}, rise = {};
    for (int64_t d = 0; d < hidden; d += 2) {
      const int64_t next = std::min(d + 1, hidden - 1);
      const Lanes a = two(w1[d], w1[next]);
      const Lanes h = tanh_of(a * x + two(b1[d], b1[next]));
      const Lanes out = two(w2[d], next > d ? w2[next] : 0.f);
      value += out * h;
      rise += a * out * (1.f - h * h);
    }
    store(t, value + swapped(value) + b2);
    store(slope, rise + swapped(rise));
    return;
  }
  for (int64_t first = 0; first < cells; first += kLanes) {
    const Lanes x = load(u + first);
    Lanes value = Lanes{} + b2, rise = {};
    for (int64_t d = 0; d < hidden; ++d) {
      const Lanes h = tanh_of(w1[d] * x + b1[d]);
      value += w2[d] * h;
      rise += w1[d] * w2[d] * (1.f - h * h);
    }
    store(t + first, value);
    store(slope + first, rise);
  }
}

// The backward pass through the hidden units of one edge: what its cells are pulled by
// goes to its parameters.  The lanes are eight units at two cells, so that few cells fill
// them too and no sum goes across them.  Arrays of cells have a zero behind an only one.
// Answers the sum of turned * slope.
float pull_hidden(const float* w1, const float* b1, const float* w2, int64_t hidden,
                  const float* at, const float* pulled, const float* turned,
                  int64_t cells, float* dw1, float* db1, float* dw2, float* db2) {
  Half wider = {};
  for (int64_t d = 0; d < hidden; d += kHalf) {
    const int64_t count = hidden - d;
    const Half a = part<Half>(w1 + d, count), b = part<Half>(b1 + d, count);
    const Half out = part<Half>(w2 + d, count);
    const Lanes wa = both(a), wb = both(b);
    Lanes s2 = {}, s1 = {}, s0 = {}, st = {}, whole = {};
    for (int64_t c = 0; c < cells; c += 2) {
      const Lanes x = two(at[c], at[c + 1]), p = two(pulled[c], pulled[c + 1]);
      const Lanes h = tanh_of(wa * x + wb), steep = 1.f - h * h, back = p * steep;
      whole += p;
      s2 += p * h;
      s1 += back;
      s0 += x * back;
      st += two(turned[c], turned[c + 1]) * steep;
    }
    put(dw2 + d, low(s2) + high(s2), count);
    put(db1 + d, out * (low(s1) + high(s1)), count);
    put(dw1 + d, out * (low(s0) + high(s0)), count);
    wider += a * out * (low(st) + high(st));
    *db2 = whole[0] + whole[kHalf];
  }
  return total(wider);
}

// The edges of one input by how many codes share a cell, so that a walk over the codes
// finds those whose cell ends: all of the first `ending[trailing zeros of k]`.
struct Walk {
  std::vector<int32_t> order, shift;
  std::vector<int64_t> ending;
  std::vector<float*> now;  // of each edge in this order, for whoever walks
  int32_t bits;

  void plan(const int32_t* width, int32_t own, int64_t outputs) {
    bits = own;
    ending.assign(bits + 1, 0);
    for (int64_t j = 0; j < outputs; ++j) ++ending[edge_of(width[j], bits).shift];
    int64_t before = 0;
    for (auto& end : ending) before += std::exchange(end, before);
    order.resize(outputs);
    now.resize(outputs);
    shift.resize(outputs);
    for (int64_t j = 0; j < outputs; ++j) {
      const int z = edge_of(width[j], bits).shift;
      order[ending[z]] = static_cast<int32_t>(j);
      shift[ending[z]++] = z;
    }
  }
  // How many edges have a cell that begins at code k (or ends before it).
  int64_t at(int64_t k) const {
    return ending[k ? std::min<int>(__builtin_ctzll(k), bits) : bits];
  }
  // How many codes are alike to all edges.
  int64_t run() const { return int64_t{1} << shift[0]; }
};

// ---------------------------------------------------------------------------- tables

// How the raw value of an edge becomes an entry: t = (raw - mean) * scale + lift.
struct Affine {
  float mean, rstd, scale, lift;
};

inline Affine affine_of(const float* moments, const float* gamma, const float* beta,
                        int64_t j, int64_t outputs, float root, bool norm) {
  if (!norm) return {0.f, 1.f, 1.f, 0.f};
  const float rstd = moments[outputs + j];
  return {moments[j], rstd, gamma[j] * rstd * root, beta[j] * root};
}

// Where the cells of each edge stand in memory, and how much of it they take: whole
// vectors, and one more where they fill these, since columns of edges at multiples of
// a power of two would compete for the same lines of the cache.
int64_t give_room(const int32_t* width, const int32_t* bits, int64_t inputs,
                  int64_t outputs, std::vector<int64_t>& begin) {
  begin.resize(inputs * outputs);
  int64_t all = 0;
  for (int64_t e = 0; e < inputs * outputs; ++e) {
    begin[e] = all;
    all += padded(edge_of(width[e], bits[e / outputs]).cells + 1);
  }
  return all;
}

ffi::Error Tables(F32 w1, F32 b1, F32 w2, F32 b2, S32 width, S32 fraction, F32 gamma,
                  F32 beta, F32 cell, F32 weight, S32 bits, OutF32 entry, OutF32 slope,
                  OutF32 soft, OutF32 hard, OutF32 raw, OutF32 moments, int64_t norm) {
  const int64_t P = networks(*entry, 3);
  const int64_t I = axis(*entry, 3), K = axis(*entry, 2), J = axis(*entry, 1);
  const int64_t D = axis(w1, 1), W = axis(cell, 3);
  const float per_input = 1.f / static_cast<float>(I);
  const float root = 1.f / std::sqrt(static_cast<float>(I));
  thread_local Scratch rooms[4];
  thread_local std::vector<int64_t> begin;
  thread_local Walk walk;
  const int64_t size = Levels::size(W), wide = padded(J);
  float *share = rooms[1].of(I * size), *at = rooms[2].of(size);
  float* row = rooms[3].of(2 * wide);
  std::vector<double> mean(J), var(J);
  for (int64_t p = 0; p < P; ++p) {
    const float *w1p = of(w1, 3, p), *b1p = of(b1, 3, p), *w2p = of(w2, 3, p), *b2p = of(b2, 2, p);
    const float *cellp = of(cell, 3, p), *weightp = of(weight, 2, p);
    const float *gammap = of(gamma, 1, p), *betap = of(beta, 1, p);
    const int32_t *widthp = of(width, 2, p), *fractionp = of(fraction, 2, p);
    const int32_t* bitsp = of(bits, 1, p);
    float *entryp = of(*entry, 3, p), *slopep = of(*slope, 3, p), *rawp = of(*raw, 3, p);
    float *softp = of(*soft, 2, p), *hardp = of(*hard, 2, p), *momentsp = of(*moments, 2, p);
    std::fill(mean.begin(), mean.end(), 0.0);
    std::fill(var.begin(), var.end(), 0.0);
    // The slopes stand behind all values.
    const int64_t apart = give_room(widthp, bitsp, I, J, begin);
    float* value = rooms[0].of(2 * apart);
    for (int64_t i = 0; i < I; ++i) {
      const int least = Levels::least(widthp + i * J, bitsp[i], J);
      const Levels levels{at, share + i * size, nullptr};
      levels.locate(cellp, bitsp[i], least, i, I, K);
      if (norm) levels.weigh(weightp + i * K, bitsp[i], least);
      for (int64_t j = 0; j < J; ++j) {
        const int64_t e = i * J + j;
        const Edge edge = edge_of(widthp[e], bitsp[i]);
        const int64_t own = level(bitsp[i] - edge.shift);
        float* t = value + begin[e];
        evaluate(w1p + e * D, b1p + e * D, w2p + e * D, b2p[e], D, at + own, edge.cells,
                 t, t + apart);
        Lanes sum = {};
        for (int64_t c = 0; c < edge.cells; c += kLanes) {
          const Lanes x = load(t + c);
          put(rawp + e * K + c, x, edge.cells - c);
          if (norm) sum += load(levels.share + own + c) * x;
        }
        if (norm) mean[j] += total(sum) * per_input;
      }
    }
    for (int64_t i = 0; norm && i < I; ++i) {
      for (int64_t j = 0; j < J; ++j) {
        const int64_t e = i * J + j;
        const Edge edge = edge_of(widthp[e], bitsp[i]);
        const float* shares = share + i * size + level(bitsp[i] - edge.shift);
        const float m = static_cast<float>(mean[j]);
        Lanes sum = {};
        for (int64_t c = 0; c < edge.cells; c += kLanes) {
          const Lanes x = load(value + begin[e] + c) - m;
          sum += load(shares + c) * x * x;
        }
        var[j] += total(sum) * per_input;
      }
    }
    for (int64_t j = 0; j < J; ++j) {
      momentsp[j] = static_cast<float>(mean[j]);
      momentsp[J + j] = 1.f / std::sqrt(static_cast<float>(var[j]) + kEpsilon);
    }
    for (int64_t i = 0; i < I; ++i) {
      const int64_t own = int64_t{1} << bitsp[i];
      for (int64_t j = 0; j < J; ++j) {
        const int64_t e = i * J + j;
        const Edge edge = edge_of(widthp[e], bitsp[i]);
        const Affine to = affine_of(momentsp, gammap, betap, j, J, root, norm);
        const float up = power_of_two(fractionp[e]), down = power_of_two(-fractionp[e]);
        float *t = value + begin[e], *s = t + apart;
        Lanes most = Lanes{} - INFINITY, least = Lanes{} + INFINITY;
        for (int64_t c = 0; c < edge.cells; c += kLanes) {
          const Lanes v = (load(t + c) - to.mean) * to.scale + to.lift;
          const Lanes known = first_of(v, edge.cells - c);
          most = kGreater(known, most);
          least = kLess(known, least);
          store(t + c, rounded(v * up) * down);
          store(s + c, load(s + c) * to.scale);
        }
        const float top = joined(most, kGreater);
        const float bottom = joined(least, kLess);
        softp[e] = top - bottom;
        // Rounding is monotone, so the extremes stay the extremes.
        hardp[e] = std::nearbyint(top * up) * down - std::nearbyint(bottom * up) * down;
      }
      walk.plan(widthp + i * J, bitsp[i], J);
      for (int64_t n = 0; n < J; ++n)
        walk.now[n] = value + begin[i * J + walk.order[n]];
      float *of_entry = entryp + i * K * J, *of_slope = slopep + i * K * J;
      for (int64_t k = 0; k < own; k += walk.run()) {
        const int64_t changed = walk.at(k);
        for (int64_t n = 0; n < changed; ++n) {
          const float* from = walk.now[n]++;
          row[walk.order[n]] = from[0];
          row[wide + walk.order[n]] = from[apart];
        }
        const int64_t next = k + walk.run(), end = next < own ? next : K;
        for (int64_t j = 0; j < J; j += kWide) {
          const Wide t = read<Wide>(row + j), s = read<Wide>(row + wide + j);
          for (int64_t m = k; m < end; ++m) {
            put(of_entry + m * J + j, t, J - j);
            put(of_slope + m * J + j, s, J - j);
          }
        }
      }
    }
  }
  return ffi::Error::Success();
}

ffi::Error TablesGrad(F32 w1, F32 b1, F32 w2, F32 b2, S32 width, S32 fraction, F32 gamma,
                      F32 beta, F32 cell, F32 fine, F32 weight, S32 bits, F32 raw,
                      F32 moments, F32 dentry, F32 dsoft, OutF32 dw1, OutF32 db1,
                      OutF32 dw2, OutF32 db2, OutF32 dwidth, OutF32 dfraction,
                      OutF32 dgamma, OutF32 dbeta, int64_t norm) {
  const int64_t P = networks(*dw1, 3);
  const int64_t I = axis(*dw1, 3), J = axis(*dw1, 2), D = axis(*dw1, 1);
  const int64_t K = axis(raw, 1), W = axis(cell, 3);
  const float per_input = 1.f / static_cast<float>(I);
  const float root = 1.f / std::sqrt(static_cast<float>(I));
  thread_local Scratch rooms[5];
  thread_local std::vector<int64_t> begin;
  thread_local Walk walk;
  const int64_t size = Levels::size(W), wide = padded(J);
  float* every = rooms[1].of(I * size);
  float *shares = rooms[2].of(size), *distances = rooms[3].of(size);
  float *sum = rooms[4].of(4 * wide), *moment = sum + wide;
  float *shift = moment + wide, *centre = shift + wide;
  std::vector<const float*> cells(J);
  std::vector<double> s0(J), s1(J);
  for (int64_t p = 0; p < P; ++p) {
    const float *w1p = of(w1, 3, p), *b1p = of(b1, 3, p), *w2p = of(w2, 3, p);
    const float *cellp = of(cell, 3, p), *finep = of(fine, 2, p), *weightp = of(weight, 2, p);
    const float *gammap = of(gamma, 1, p), *betap = of(beta, 1, p);
    const float *rawp = of(raw, 3, p), *momentsp = of(moments, 2, p);
    const float *dentryp = of(dentry, 3, p), *dsoftp = of(dsoft, 2, p);
    const int32_t *widthp = of(width, 2, p), *fractionp = of(fraction, 2, p);
    const int32_t* bitsp = of(bits, 1, p);
    float *dw1p = of(*dw1, 3, p), *db1p = of(*db1, 3, p), *dw2p = of(*dw2, 3, p), *db2p = of(*db2, 2, p);
    float *dwidthp = of(*dwidth, 2, p), *dfractionp = of(*dfraction, 2, p);
    float *dgammap = of(*dgamma, 1, p), *dbetap = of(*dbeta, 1, p);
    std::fill(s0.begin(), s0.end(), 0.0);
    std::fill(s1.begin(), s1.end(), 0.0);
    // What each cell's entry is pulled by, and the same times the way from the cell's
    // coordinate to the code's, which is what a wider address would make of it.
    // Behind what the cells are pulled by stands what they are turned by, and then the
    // raw values.
    const int64_t apart = give_room(widthp, bitsp, I, J, begin);
    float* pull = rooms[0].of(3 * apart);
    for (int64_t i = 0; i < I; ++i) {
      const int64_t own = int64_t{1} << bitsp[i];
      const float* at = finep + i * K;
      const Levels levels{every + i * size, nullptr, nullptr};
      levels.locate(cellp, bitsp[i], Levels::least(widthp + i * J, bitsp[i], J), i, I, K);
      walk.plan(widthp + i * J, bitsp[i], J);
      for (int64_t j = 0; j < J; ++j) {
        const Edge edge = edge_of(widthp[i * J + j], bitsp[i]);
        cells[j] = levels.at + level(bitsp[i] - edge.shift);
        centre[j] = *cells[j]++;
        shift[j] = edge.shift;
        float* pulled = pull + begin[i * J + j];
        store(pulled, Lanes{});
        store(pulled + apart, Lanes{});
      }
      // Sums of cells that ended, by how many codes share them, begin anew.
      float ended = INFINITY;
      for (int64_t n = 0; n < J; ++n) walk.now[n] = pull + begin[i * J + walk.order[n]];
      for (int64_t k = 0; k < own; k += walk.run()) {
        // The entries of codes beyond the own ones repeat the last.
        const int64_t next = k + walk.run(), end = next < own ? next : K;
        for (int64_t j = 0; j < J; j += kWide) {
          const Wide on = read<Wide>(shift + j), u = read<Wide>(centre + j);
          Wide s = on > ended ? read<Wide>(sum + j) : Wide{};
          Wide m = on > ended ? read<Wide>(moment + j) : Wide{};
          const float* g = dentryp + i * K * J + j;
          for (int64_t n = k; n < end; ++n) {
            const Wide x = part<Wide>(g + n * J, J - j);
            s += x;
            m += x * (at[std::min(n, own - 1)] - u);
          }
          store(sum + j, s);
          store(moment + j, m);
        }
        const int64_t done = next == own ? J : walk.at(next);
        for (int64_t n = 0; n < done; ++n) {
          const int64_t j = walk.order[n];
          float* to = walk.now[n]++;
          to[0] = sum[j];
          to[apart] = moment[j];
          centre[j] = *cells[j]++;
        }
        ended = __builtin_ctzll(next);
      }
      for (int64_t j = 0; j < J; ++j) {
        const int64_t e = i * J + j;
        const Edge edge = edge_of(widthp[e], bitsp[i]);
        const Affine to = affine_of(momentsp, gammap, betap, j, J, root, norm);
        const float *u = levels.at + level(bitsp[i] - edge.shift), *raw = rawp + e * K;
        float *pulled = pull + begin[e], *turned = pulled + apart, *t = turned + apart;
        const float up = power_of_two(fractionp[e]), down = power_of_two(-fractionp[e]);
        Lanes finer = {}, whole = {}, tilt = {};
        Lanes most = Lanes{} - INFINITY, least = Lanes{} + INFINITY;
        for (int64_t c = 0; c < edge.cells; c += kLanes) {
          const Lanes x = part<Lanes>(raw + c, edge.cells - c), pulls = load(pulled + c);
          const Lanes above = x - to.mean, v = above * to.scale + to.lift;
          const Lanes known = first_of(x, edge.cells - c);
          most = kGreater(known, most);
          least = kLess(known, least);
          finer += pulls * (v - rounded(v * up) * down);
          whole += pulls;
          tilt += pulls * above;
          store(t + c, x);
        }
        dfractionp[e] = kLn2 * total(finer);
        float all = total(whole), slant = total(tilt);
        if (dsoftp[e] != 0.f) {
          const float top = joined(most, kGreater);
          const float bottom = joined(least, kLess);
          const int64_t size = int64_t{1} << edge.shift;
          for (int sign = 1; top > bottom && sign >= -1; sign -= 2) {
            const float extreme = (sign > 0) == (to.scale >= 0.f) ? top : bottom;
            int64_t c = 0;
            while (t[c] != extreme) ++c;
            // Spread evenly over the codes that share it, the repeated included.
            const int64_t more = c == edge.cells - 1 ? K - own : 0;
            float away = static_cast<float>(more) * (at[own - 1] - u[c]);
            for (int64_t k = c * size; k < (c + 1) * size; ++k) away += at[k] - u[c];
            const float more_pull = sign * dsoftp[e];
            pulled[c] += more_pull;
            turned[c] += more_pull * away / static_cast<float>(size + more);
            all += more_pull;
            slant += more_pull * (t[c] - to.mean);
          }
        }
        s0[j] += all;
        s1[j] += slant * to.rstd;
      }
    }
    for (int64_t j = 0; j < J; ++j) {
      dbetap[j] = norm ? static_cast<float>(s0[j]) * root : 0.f;
      dgammap[j] = norm ? static_cast<float>(s1[j]) * root : 0.f;
    }
    for (int64_t i = 0; i < I; ++i) {
      const Levels levels{every + i * size, shares, distances};
      if (norm) {
        const int least = Levels::least(widthp + i * J, bitsp[i], J);
        levels.weigh(weightp + i * K, bitsp[i], least);
        levels.look(finep + i * K, bitsp[i], least);
      }
      for (int64_t j = 0; j < J; ++j) {
        const int64_t e = i * J + j;
        const Edge edge = edge_of(widthp[e], bitsp[i]);
        const int64_t row = level(bitsp[i] - edge.shift);
        float *pulled = pull + begin[e], *turned = pulled + apart, *t = turned + apart;
        if (norm) {
          const Affine to = affine_of(momentsp, gammap, betap, j, J, root, norm);
          const float a = static_cast<float>(s0[j]) * per_input;
          const float b = static_cast<float>(s1[j]) * per_input * to.rstd;
          for (int64_t c = 0; c < edge.cells; c += kLanes) {
            const Lanes back = a + (load(t + c) - to.mean) * b;
            const Lanes share = load(shares + row + c), far = load(distances + row + c);
            store(pulled + c, to.scale * (load(pulled + c) - share * back));
            store(turned + c, to.scale * (load(turned + c) - far * back));
          }
        }
        dwidthp[e] = kLn2 * pull_hidden(w1p + e * D, b1p + e * D, w2p + e * D, D,
                                        levels.at + row, pulled, turned, edge.cells,
                                        dw1p + e * D, db1p + e * D, dw2p + e * D,
                                        db2p + e);
      }
    }
  }
  return ffi::Error::Success();
}

// ------------------------------------------------------------------------------- bag

// So many outputs at a time that their sums stay in registers: vectors of one kind.
template <class V, int N>
struct Columns {
  using Vector = V;
  static constexpr int many = N;
  static constexpr int64_t lanes = sizeof(V) / sizeof(float), width = N * lanes;
};

// Goes through the outputs in such blocks; of each it says where it begins and how many
// columns it has.
template <class Do>
void in_columns(int64_t outputs, Do&& go) {
  for (int64_t first = 0; first < outputs; first += 64) {
    const int64_t count = std::min<int64_t>(outputs - first, 64);
    if (count <= kHalf)
      go(first, count, Columns<Narrow, 8 / kNarrow>{});
    else if (count <= 16)
      go(first, count, Columns<Wide, 16 / kWide>{});
    else if (count <= 32)
      go(first, count, Columns<Wide, 32 / kWide>{});
    else if (count <= 48)
      go(first, count, Columns<Wide, 48 / kWide>{});
    else
      go(first, count, Columns<Wide, 64 / kWide>{});
  }
}

ffi::Error Bag(F32 table, S32 code, OutF32 y) {
  const int64_t P = networks(*y, 2), B = axis(*y, 2), J = axis(*y, 1);
  const int64_t I = axis(code, 1), K = axis(table, 2);
  for (int64_t p = 0; p < P; ++p)
    in_columns(J, [&](int64_t first, int64_t count, auto block) {
      using Block = decltype(block);
      using Vector = typename Block::Vector;
      const float* tp = of(table, 3, p) + first;
      const int32_t* kp = of(code, 2, p);
      float* yp = of(*y, 2, p) + first;
      for (int64_t b = 0; b < B; ++b) {
        Vector sum[Block::many] = {};
        for (int64_t i = 0; i < I; ++i) {
          const float* row = tp + (i * K + kp[b * I + i]) * J;
          for (int n = 0; n < Block::many; ++n)
            sum[n] += part<Vector>(row + n * Block::lanes, count - n * Block::lanes);
        }
        for (int n = 0; n < Block::many; ++n)
          put(yp + b * J + n * Block::lanes, sum[n], count - n * Block::lanes);
      }
    });
  return ffi::Error::Success();
}

constexpr int64_t kBlock = 512;  // its dy stays in the cache while the inputs go by

// Histograms weighted by dy, of some columns of all inputs: `each(i, b, code, d)` sees
// every pair of them with the vectors of dy.
template <class Block, class Begin, class Each, class End>
void histograms(int64_t first, int64_t count, int64_t I, int64_t K, int64_t J, int64_t B,
                const int32_t* code, const float* dy, float* dtable, Begin begin,
                Each each, End end) {
  using Vector = typename Block::Vector;
  thread_local Scratch room;
  // Rows that whole vectors do not fill are gathered in longer ones.
  const bool direct = Block::width == J;
  const int64_t wide = direct ? J : Block::width;
  float* table = direct ? dtable : room.of(I * K * wide);
  for (int64_t from = 0; from < B || !from; from += kBlock)
    for (int64_t i = 0; i < I; ++i) {
      float* rows = table + i * K * wide;
      if (!from) std::fill(rows, rows + K * wide, 0.f);
      auto state = begin(i);
      for (int64_t b = from; b < std::min(B, from + kBlock); ++b) {
        const int64_t k = code[b * I + i];
        Vector d[Block::many];
        for (int n = 0; n < Block::many; ++n) {
          const int64_t at = n * Block::lanes;
          d[n] = part<Vector>(dy + b * J + first + at, count - at);
          store(rows + k * wide + at, read<Vector>(rows + k * wide + at) + d[n]);
        }
        each(i, b, k, d, state);
      }
      end(i, state);
      if (direct || from + kBlock < B) continue;
      for (int64_t k = 0; k < K; ++k)
        for (int n = 0; n < Block::many; ++n) {
          const int64_t at = n * Block::lanes;
          put(dtable + (i * K + k) * J + first + at, read<Vector>(rows + k * wide + at),
              count - at);
        }
    }
}

// The gradient of the tables that port words address.
ffi::Error BagWordsGrad(S32 code, F32 dy, OutF32 dtable) {
  const int64_t P = networks(*dtable, 3);
  const int64_t I = axis(*dtable, 3), K = axis(*dtable, 2), J = axis(*dtable, 1);
  const int64_t B = axis(dy, 2);
  for (int64_t p = 0; p < P; ++p)
    in_columns(J, [&](int64_t first, int64_t count, auto block) {
      histograms<decltype(block)>(
          first, count, I, K, J, B, of(code, 2, p), of(dy, 2, p), of(*dtable, 3, p),
          [](int64_t) { return 0; }, [](auto&&...) {}, [](auto&&...) {});
    });
  return ffi::Error::Success();
}

// The same for values inside the network: with the gradient of the values, the gain of
// finer addresses, and the share of the rows at each code.
ffi::Error BagGrad(F32 slope, S32 code, F32 rest, F32 inside, F32 dy, OutF32 dtable,
                   OutF32 gain, OutF32 dx, OutF32 seen) {
  const int64_t P = networks(*dtable, 3);
  const int64_t I = axis(*dtable, 3), K = axis(*dtable, 2), J = axis(*dtable, 1);
  const int64_t B = axis(dy, 2);
  const float one = 1.f / static_cast<float>(B);
  for (int64_t p = 0; p < P; ++p) {
    const float *sp = of(slope, 3, p), *rp = of(rest, 2, p), *ip = of(inside, 2, p);
    float *ap = of(*gain, 2, p), *xp = of(*dx, 2, p), *np = of(*seen, 2, p);
    std::fill(ap, ap + I * J, 0.f);
    std::fill(np, np + I * K, 0.f);
    in_columns(J, [&](int64_t first, int64_t count, auto block) {
      using Block = decltype(block);
      using Vector = typename Block::Vector;
      struct Gain {
        Vector of[Block::many];
      };
      histograms<Block>(
          first, count, I, K, J, B, of(code, 2, p), of(dy, 2, p), of(*dtable, 3, p),
          [&](int64_t i) {
            Gain gain;
            for (int n = 0; n < Block::many; ++n) {
              const int64_t at = n * Block::lanes;
              gain.of[n] = part<Vector>(ap + i * J + first + at, count - at);
            }
            return gain;
          },
          [=](int64_t i, int64_t b, int64_t k, const Vector* d, Gain& gain) {
            const float* rise = sp + first + (i * K + k) * J;
            const float r = rp[b * I + i];
            Vector sum = {};
            for (int n = 0; n < Block::many; ++n) {
              const int64_t at = n * Block::lanes;
              const Vector f = part<Vector>(rise + at, count - at) * d[n];
              gain.of[n] += r * f;
              sum += f;
            }
            const float pulled = total(sum) * ip[b * I + i];
            xp[b * I + i] = first ? xp[b * I + i] + pulled : pulled;
            if (!first) np[i * K + k] += one;
          },
          [&](int64_t i, const Gain& gain) {
            for (int n = 0; n < Block::many; ++n) {
              const int64_t at = n * Block::lanes;
              put(ap + i * J + first + at, gain.of[n], count - at);
            }
          });
    });
  }
  return ffi::Error::Success();
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(
    jetlut_tables, Tables,
    ffi::Ffi::Bind()
        .Arg<F32>().Arg<F32>().Arg<F32>().Arg<F32>().Arg<S32>().Arg<S32>().Arg<F32>()
        .Arg<F32>().Arg<F32>().Arg<F32>().Arg<S32>()
        .Ret<F32>().Ret<F32>().Ret<F32>().Ret<F32>().Ret<F32>().Ret<F32>()
        .Attr<int64_t>("norm"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    jetlut_tables_grad, TablesGrad,
    ffi::Ffi::Bind()
        .Arg<F32>().Arg<F32>().Arg<F32>().Arg<F32>().Arg<S32>().Arg<S32>().Arg<F32>()
        .Arg<F32>().Arg<F32>().Arg<F32>().Arg<F32>().Arg<S32>().Arg<F32>().Arg<F32>()
        .Arg<F32>().Arg<F32>()
        .Ret<F32>().Ret<F32>().Ret<F32>().Ret<F32>().Ret<F32>().Ret<F32>().Ret<F32>()
        .Ret<F32>()
        .Attr<int64_t>("norm"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    jetlut_bag, Bag, ffi::Ffi::Bind().Arg<F32>().Arg<S32>().Ret<F32>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    jetlut_bag_words_grad, BagWordsGrad,
    ffi::Ffi::Bind().Arg<S32>().Arg<F32>().Ret<F32>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    jetlut_bag_grad, BagGrad,
    ffi::Ffi::Bind()
        .Arg<F32>().Arg<S32>().Arg<F32>().Arg<F32>().Arg<F32>()
        .Ret<F32>().Ret<F32>().Ret<F32>().Ret<F32>());
