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
#include <vector>

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

// Sixteen floats; the compiler splits them up where the processor has shorter vectors.
constexpr int64_t kLanes = 16;
using Lanes = float __attribute__((vector_size(4 * kLanes)));

inline Lanes load(const float* from) {
  Lanes x;
  std::memcpy(&x, from, sizeof x);
  return x;
}
inline void store(float* to, Lanes x) { std::memcpy(to, &x, sizeof x); }
inline float total(Lanes x) {
  float sum = 0.f;
  for (int64_t n = 0; n < kLanes; ++n) sum += x[n];
  return sum;
}
inline int64_t padded(int64_t count) { return (count + kLanes - 1) / kLanes * kLanes; }

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

struct Edge {
  int64_t cells;  // different entries
  int shift;      // code >> shift is the cell
};

inline Edge edge_of(int32_t width, int32_t bits) {
  const int w = std::max(0, std::min(width, bits));
  return {int64_t{1} << w, bits - w};
}

// Shares of the events in the cells of every width of one input, widest first:
// `pyramid[w][c]`, of which the codes themselves are the row of the input's own bits.
void build_pyramid(const float* weight, int bits, int64_t codes, float* pyramid) {
  std::copy(weight, weight + (int64_t{1} << bits), pyramid + bits * codes);
  for (int w = bits - 1; w >= 0; --w)
    for (int64_t c = 0; c < int64_t{1} << w; ++c)
      pyramid[w * codes + c] =
          pyramid[(w + 1) * codes + 2 * c] + pyramid[(w + 1) * codes + 2 * c + 1];
}

// What the events of a cell see beyond its coordinate, summed: `away[w][c]`.
void shares_away(const float* cell, const float* fine, const float* weight, int bits,
                 int64_t i, int64_t inputs, int64_t codes, float* away) {
  for (int w = 0; w <= bits; ++w) {
    const int64_t size = int64_t{1} << (bits - w);
    for (int64_t c = 0; c < int64_t{1} << w; ++c) {
      const float u = cell[(w * inputs + i) * codes + c];
      float sum = 0.f;
      for (int64_t k = c * size; k < (c + 1) * size; ++k) sum += weight[k] * (fine[k] - u);
      away[w * codes + c] = sum;
    }
  }
}

// Value and slope of one edge function at its cells; all arrays are padded.
void evaluate(const float* w1, const float* b1, const float* w2, float b2, int64_t hidden,
              const float* u, int64_t cells, float* t, float* slope) {
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
// goes to its parameters.  Sums over cells want the lanes to be units where there are few
// cells, and cells where there are many.
struct Hidden {
  int64_t units;
  std::vector<float> a, b, to_w2, to_b1, to_w1, to_width;

  explicit Hidden(int64_t d) : units(d) {
    for (auto* part : {&a, &b, &to_w2, &to_b1, &to_w1, &to_width})
      part->resize(padded(d));
  }

  // Answers the sum of turned * slope.
  float pull(const float* w1, const float* b1, const float* w2, const float* at,
             const float* pulled, const float* turned, int64_t cells, float* dw1,
             float* db1, float* dw2) {
    if (cells > kLanes)
      by_cells(w1, b1, at, pulled, turned, cells);
    else
      by_units(w1, b1, at, pulled, turned, cells);
    float wider = 0.f;
    for (int64_t d = 0; d < units; ++d) {
      dw2[d] = to_w2[d];
      db1[d] = w2[d] * to_b1[d];
      dw1[d] = w2[d] * to_w1[d];
      wider += w1[d] * w2[d] * to_width[d];
    }
    return wider;
  }

  void by_units(const float* w1, const float* b1, const float* at, const float* pulled,
                const float* turned, int64_t cells) {
    std::copy(w1, w1 + units, a.begin());
    std::copy(b1, b1 + units, b.begin());
    for (int64_t first = 0; first < units; first += kLanes) {
      const Lanes wa = load(&a[first]), wb = load(&b[first]);
      Lanes s2 = {}, s1 = {}, s0 = {}, st = {};
      for (int64_t c = 0; c < cells; ++c) {
        const Lanes h = tanh_of(wa * at[c] + wb), steep = 1.f - h * h;
        s2 += pulled[c] * h;
        s1 += pulled[c] * steep;
        s0 += pulled[c] * at[c] * steep;
        st += turned[c] * steep;
      }
      store(&to_w2[first], s2);
      store(&to_b1[first], s1);
      store(&to_w1[first], s0);
      store(&to_width[first], st);
    }
  }

  void by_cells(const float* w1, const float* b1, const float* at, const float* pulled,
                const float* turned, int64_t cells) {
    for (int64_t d = 0; d < units; ++d) {
      Lanes s2 = {}, s1 = {}, s0 = {}, st = {};
      // Beyond one block of lanes the cells are a power of two, so that they fill it.
      for (int64_t first = 0; first < cells; first += kLanes) {
        const Lanes x = load(at + first), p = load(pulled + first);
        const Lanes h = tanh_of(w1[d] * x + b1[d]), steep = 1.f - h * h;
        s2 += p * h;
        s1 += p * steep;
        s0 += p * x * steep;
        st += load(turned + first) * steep;
      }
      to_w2[d] = total(s2);
      to_b1[d] = total(s1);
      to_w1[d] = total(s0);
      to_width[d] = total(st);
    }
  }
};

// The edges of one input by how many codes share a cell, so that a walk over the codes
// finds those whose cell ends: all of the first `ending[trailing zeros of k]`.
struct Walk {
  std::vector<int32_t> order, shift;
  std::vector<int64_t> ending;

  void plan(const int32_t* width, int32_t bits, int64_t outputs) {
    order.resize(outputs);
    for (int64_t j = 0; j < outputs; ++j) order[j] = static_cast<int32_t>(j);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      return edge_of(width[a], bits).shift < edge_of(width[b], bits).shift;
    });
    shift.resize(outputs);
    for (int64_t n = 0; n < outputs; ++n) shift[n] = edge_of(width[order[n]], bits).shift;
    ending.assign(bits + 1, 0);
    for (int z = 0; z <= bits; ++z)
      while (ending[z] < outputs && shift[ending[z]] <= z) ++ending[z];
  }
  // How many edges have a cell that begins at code k (or ends before it).
  int64_t at(int64_t k, int32_t bits) const {
    return ending[k ? std::min<int>(__builtin_ctzll(k), bits) : bits];
  }
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

ffi::Error Tables(F32 w1, F32 b1, F32 w2, F32 b2, S32 width, S32 fraction, F32 gamma,
                  F32 beta, F32 cell, F32 weight, S32 bits, OutF32 entry, OutF32 slope,
                  OutF32 soft, OutF32 hard, OutF32 raw, OutF32 moments, int64_t norm) {
  const int64_t P = networks(*entry, 3);
  const int64_t I = axis(*entry, 3), K = axis(*entry, 2), J = axis(*entry, 1);
  const int64_t D = axis(w1, 1), W = axis(cell, 3);
  const float per_input = 1.f / static_cast<float>(I);
  const float root = 1.f / std::sqrt(static_cast<float>(I));
  const int64_t L = padded(K);  // room for the cells of an edge
  std::vector<float> value(I * J * L), rise(I * J * L), pyramid(W * K), u(L);
  std::vector<float> row(2 * J);
  Walk walk;
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
    for (int64_t i = 0; i < I; ++i) {
      if (norm) build_pyramid(weightp + i * K, bitsp[i], K, pyramid.data());
      for (int64_t j = 0; j < J; ++j) {
        const int64_t e = i * J + j, w = std::min(widthp[e], bitsp[i]);
        const int64_t n = int64_t{1} << w;
        float* t = &value[e * L];
        const float* at = cellp + (w * I + i) * K;
        std::copy(at, at + n, u.begin());
        evaluate(w1p + e * D, b1p + e * D, w2p + e * D, b2p[e], D, u.data(), n, t,
                 &rise[e * L]);
        std::copy(t, t + n, rawp + e * K);
        if (!norm) continue;
        const float* share = &pyramid[w * K];
        float sum = 0.f;
        for (int64_t c = 0; c < n; ++c) sum += share[c] * t[c];
        mean[j] += sum * per_input;
      }
    }
    for (int64_t i = 0; norm && i < I; ++i) {
      build_pyramid(weightp + i * K, bitsp[i], K, pyramid.data());
      for (int64_t j = 0; j < J; ++j) {
        const int64_t e = i * J + j, w = std::min(widthp[e], bitsp[i]);
        const float *share = &pyramid[w * K], *t = &value[e * L];
        const float m = static_cast<float>(mean[j]);
        float sum = 0.f;
        for (int64_t c = 0; c < int64_t{1} << w; ++c)
          sum += share[c] * (t[c] - m) * (t[c] - m);
        var[j] += sum * per_input;
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
        const float up = std::ldexp(1.f, fractionp[e]);
        const float down = std::ldexp(1.f, -fractionp[e]);
        float *t = &value[e * L], *s = &rise[e * L];
        float most = -INFINITY, least = INFINITY;
        for (int64_t c = 0; c < edge.cells; ++c) {
          const float v = (t[c] - to.mean) * to.scale + to.lift;
          most = std::max(most, v);
          least = std::min(least, v);
          t[c] = std::nearbyint(v * up) * down;
          s[c] *= to.scale;
        }
        softp[e] = most - least;
        // Rounding is monotone, so the extremes stay the extremes.
        hardp[e] = std::nearbyint(most * up) * down - std::nearbyint(least * up) * down;
      }
      walk.plan(widthp + i * J, bitsp[i], J);
      float *of_entry = entryp + i * K * J, *of_slope = slopep + i * K * J;
      for (int64_t k = 0; k < K; ++k) {
        const int64_t begin = k < own ? walk.at(k, bitsp[i]) : 0;
        for (int64_t n = 0; n < begin; ++n) {
          const int64_t j = walk.order[n], e = i * J + j, c = k >> walk.shift[n];
          row[j] = value[e * L + c];
          row[J + j] = rise[e * L + c];
        }
        std::copy(row.begin(), row.begin() + J, of_entry + k * J);
        std::copy(row.begin() + J, row.end(), of_slope + k * J);
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
  const int64_t L = padded(K);
  std::vector<float> pull(I * J * L), turn(I * J * L);
  std::vector<float> pyramid(W * K), away(W * K);
  Hidden hidden(D);
  std::vector<float> sum(J), moment(J), centre(J);
  std::vector<const float*> cells(J);
  std::vector<double> s0(J), s1(J);
  Walk walk;
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
    for (int64_t i = 0; i < I; ++i) {
      const int64_t own = int64_t{1} << bitsp[i];
      const float* at = finep + i * K;
      walk.plan(widthp + i * J, bitsp[i], J);
      for (int64_t j = 0; j < J; ++j) {
        const int64_t w = std::min(widthp[i * J + j], bitsp[i]);
        cells[j] = cellp + (w * I + i) * K;
        centre[j] = cells[j][0];
        sum[j] = moment[j] = 0.f;
      }
      for (int64_t k = 0; k < K; ++k) {
        const float* __restrict g = dentryp + (i * K + k) * J;
        const float point = at[std::min(k, own - 1)];
        float *__restrict s = sum.data(), *__restrict m = moment.data();
        const float* __restrict u = centre.data();
        for (int64_t j = 0; j < J; ++j) {
          s[j] += g[j];
          m[j] += g[j] * (point - u[j]);
        }
        // The entries of codes beyond the own ones repeat the last.
        if (k + 1 >= own && k + 1 < K) continue;
        const int64_t end = std::min(k + 1, own);
        const int64_t done = end == own ? J : walk.at(end, bitsp[i]);
        for (int64_t n = 0; n < done; ++n) {
          const int64_t j = walk.order[n], c = (end - 1) >> walk.shift[n];
          pull[(i * J + j) * L + c] = s[j];
          turn[(i * J + j) * L + c] = m[j];
          s[j] = m[j] = 0.f;
          if (end < own) centre[j] = cells[j][c + 1];
        }
      }
      for (int64_t j = 0; j < J; ++j) {
        const int64_t e = i * J + j, w = std::min(widthp[e], bitsp[i]);
        const Edge edge = edge_of(widthp[e], bitsp[i]);
        const Affine to = affine_of(momentsp, gammap, betap, j, J, root, norm);
        const float *u = cellp + (w * I + i) * K, *t = rawp + e * K;
        float *pulled = &pull[e * L], *turned = &turn[e * L];
        const float up = std::ldexp(1.f, fractionp[e]);
        const float down = std::ldexp(1.f, -fractionp[e]);
        const int64_t size = int64_t{1} << edge.shift;
        float finer = 0.f;
        int64_t most = 0, least = 0;
        for (int64_t c = 0; c < edge.cells; ++c) {
          const float value = (t[c] - to.mean) * to.scale + to.lift;
          finer += pulled[c] * (value - std::nearbyint(value * up) * down);
        }
        dfractionp[e] = kLn2 * finer;
        for (int64_t c = 0; c < edge.cells; ++c) {
          if (t[c] > t[most]) most = c;
          if (t[c] < t[least]) least = c;
        }
        if (to.scale < 0.f) std::swap(most, least);
        for (int sign = 1; most != least && dsoftp[e] != 0.f && sign >= -1; sign -= 2) {
          const int64_t c = sign > 0 ? most : least;
          // Spread evenly over the codes that share the extreme, the repeated included.
          const int64_t more = c == edge.cells - 1 ? K - own : 0;
          float away = static_cast<float>(more) * (at[own - 1] - u[c]);
          for (int64_t k = c * size; k < (c + 1) * size; ++k) away += at[k] - u[c];
          pulled[c] += sign * dsoftp[e];
          turned[c] += sign * dsoftp[e] * away / static_cast<float>(size + more);
        }
        float sum = 0.f, tilt = 0.f;
        for (int64_t c = 0; c < edge.cells; ++c) {
          sum += pulled[c];
          tilt += pulled[c] * (t[c] - to.mean);
        }
        s0[j] += sum;
        s1[j] += tilt * to.rstd;
      }
    }
    for (int64_t j = 0; j < J; ++j) {
      dbetap[j] = norm ? static_cast<float>(s0[j]) * root : 0.f;
      dgammap[j] = norm ? static_cast<float>(s1[j]) * root : 0.f;
    }
    for (int64_t i = 0; i < I; ++i) {
      if (norm) {
        build_pyramid(weightp + i * K, bitsp[i], K, pyramid.data());
        shares_away(cellp, finep + i * K, weightp + i * K, bitsp[i], i, I, K, away.data());
      }
      for (int64_t j = 0; j < J; ++j) {
        const int64_t e = i * J + j, w = std::min(widthp[e], bitsp[i]);
        const int64_t n = edge_of(widthp[e], bitsp[i]).cells;
        const float *at = cellp + (w * I + i) * K, *t = rawp + e * K;
        float *pulled = &pull[e * L], *turned = &turn[e * L];
        if (norm) {
          const Affine to = affine_of(momentsp, gammap, betap, j, J, root, norm);
          const float a = static_cast<float>(s0[j]) * per_input;
          const float b = static_cast<float>(s1[j]) * per_input * to.rstd;
          const float *share = &pyramid[w * K], *far = &away[w * K];
          for (int64_t c = 0; c < n; ++c) {
            const float back = a + (t[c] - to.mean) * b;
            pulled[c] = to.scale * (pulled[c] - share[c] * back);
            turned[c] = to.scale * (turned[c] - far[c] * back);
          }
        }
        float whole = 0.f;
        for (int64_t c = 0; c < n; ++c) whole += pulled[c];
        db2p[e] = whole;
        const float wider = hidden.pull(w1p + e * D, b1p + e * D, w2p + e * D, at, pulled,
                                        turned, n, dw1p + e * D, db1p + e * D,
                                        dw2p + e * D);
        dwidthp[e] = kLn2 * wider;
      }
    }
  }
  return ffi::Error::Success();
}

// ------------------------------------------------------------------------------- bag

ffi::Error Bag(F32 table, S32 code, OutF32 y) {
  const int64_t P = networks(*y, 2), B = axis(*y, 2), J = axis(*y, 1);
  const int64_t I = axis(code, 1), K = axis(table, 2);
  for (int64_t p = 0; p < P; ++p) {
    const float* tp = of(table, 3, p);
    const int32_t* kp = of(code, 2, p);
    float* yp = of(*y, 2, p);
    for (int64_t b = 0; b < B; ++b) {
      float* __restrict out = yp + b * J;
      std::fill(out, out + J, 0.f);
      for (int64_t i = 0; i < I; ++i) {
        const float* __restrict row = tp + (i * K + kp[b * I + i]) * J;
        for (int64_t j = 0; j < J; ++j) out[j] += row[j];
      }
    }
  }
  return ffi::Error::Success();
}

constexpr int64_t kBlock = 512;  // its dy stays in the cache while the inputs go by

// Histograms weighted by dy: the gradient of the tables that port words address.
ffi::Error BagWordsGrad(S32 code, F32 dy, OutF32 dtable) {
  const int64_t P = networks(*dtable, 3);
  const int64_t I = axis(*dtable, 3), K = axis(*dtable, 2), J = axis(*dtable, 1);
  const int64_t B = axis(dy, 2);
  for (int64_t p = 0; p < P; ++p) {
    const float* dyp = of(dy, 2, p);
    const int32_t* kp = of(code, 2, p);
    float* gp = of(*dtable, 3, p);
    std::fill(gp, gp + I * K * J, 0.f);
    for (int64_t first = 0; first < B; first += kBlock)
      for (int64_t i = 0; i < I; ++i)
        for (int64_t b = first; b < std::min(B, first + kBlock); ++b) {
          float* __restrict row = gp + (i * K + kp[b * I + i]) * J;
          const float* __restrict d = dyp + b * J;
          for (int64_t j = 0; j < J; ++j) row[j] += d[j];
        }
  }
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
    const float *sp = of(slope, 3, p), *rp = of(rest, 2, p), *dyp = of(dy, 2, p), *ip = of(inside, 2, p);
    const int32_t* kp = of(code, 2, p);
    float *gp = of(*dtable, 3, p), *ap = of(*gain, 2, p), *xp = of(*dx, 2, p), *np = of(*seen, 2, p);
    std::fill(gp, gp + I * K * J, 0.f);
    std::fill(ap, ap + I * J, 0.f);
    std::fill(np, np + I * K, 0.f);
    for (int64_t first = 0; first < B; first += kBlock)
      for (int64_t i = 0; i < I; ++i) {
        float* __restrict a = ap + i * J;
        for (int64_t b = first; b < std::min(B, first + kBlock); ++b) {
          const int64_t k = kp[b * I + i];
          float* __restrict row = gp + (i * K + k) * J;
          const float* __restrict rise = sp + (i * K + k) * J;
          const float* __restrict d = dyp + b * J;
          const float r = rp[b * I + i];
          float sum = 0.f;
          for (int64_t j = 0; j < J; ++j) {
            const float f = rise[j] * d[j];
            row[j] += d[j];
            a[j] += r * f;
            sum += f;
          }
          xp[b * I + i] = sum * ip[b * I + i];
          np[i * K + k] += one;
        }
      }
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
