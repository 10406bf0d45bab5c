// ReLU linear attention over a window of frames: the arithmetic, in FP32 whatever the storage.
//
//   S_f = [V_f; 1] · (κ·relu(K_f))ᵀ                             Summary, one pass over K and V
//   [num; den] = (Σ_{f in window} S_f) · relu(Q)/Σ relu(Q)       Answer, one pass over Q
//   out = num / (den + eps·frames·κ/Σ relu(Q)),    κ = Launch::key_factor
//
// A summary is stored with one more number: how many frames it holds. So the sum of the summaries
// of a window knows the frames that eps is scaled by.
#pragma once

#include "launch.h"
#include "portable.h"

namespace effvit {

template <int kDim>
struct Sizes {
  static constexpr int kRows = kDim + 1;
  static constexpr int kMatrix = kRows * kDim;
  static constexpr int kSummary = kMatrix + 1;
};

constexpr float kLeastQuerySum = 6.103515625e-05f;      // 2^-14, half precision's least normal
constexpr float kLeastDenominator = 1.1754943508e-38f;  // keeps 0 / 0 away where eps is lost

// NaN stays NaN: a broken network must not look sound.
EFFVIT_FN float relu(float value) { return value < 0.0f ? 0.0f : value; }
EFFVIT_FN float larger(float a, float b) { return a > b ? a : b; }

// Where a summary goes: to the workspace, and for a step into the ring.
struct KeepSummary {
  // `entry` of the matrix of frame-and-head `row`.
  template <int kDim>
  static EFFVIT_FN void matrix(const Launch& a, int row, int entry, float value) {
    a.summaries[static_cast<long long>(row) * Sizes<kDim>::kSummary + entry] = value;
  }
  static EFFVIT_FN float frames(const Launch&, int) { return 1.0f; }
};

// The workspace gets the window's sum; the ring loses its oldest summary and gains the new one.
template <typename State>
struct PushIntoRing {
  template <int kDim>
  static EFFVIT_FN void matrix(const Launch& a, int row, int entry, float value) {
    const long long slot = static_cast<long long>(a.heads) * Sizes<kDim>::kMatrix;
    const int stream = row / a.heads, head = row % a.heads;
    const long long first = (a.window - 1) * slot * stream + head * Sizes<kDim>::kMatrix + entry;
    const State* ring = static_cast<const State*>(a.ring) + first;
    State* next = static_cast<State*>(a.next_ring) + first;
    const int newest = a.window - 2;
    float sum = load(ring);
    // reads slot i + 1 before it is written: the two rings may be one buffer
    for (int i = 0; i < newest; ++i) {
      const float kept = load(ring + (i + 1) * slot);
      sum += kept;
      store(next + i * slot, kept);
    }
    store(next + newest * slot, value);
    KeepSummary::matrix<kDim>(a, row, entry, sum + value);
  }
  static EFFVIT_FN float frames(const Launch& a, int row) {
    return load(static_cast<const State*>(a.frames_seen) + row / a.heads);
  }
};

// One block: the summary of one head of one frame.
//
// Tokens pass through shared memory in tiles, transposed, so that four dimensions of a token are
// one read. A thread owns a 4×4 patch of the matrix for one in kGroups tokens, and its four columns'
// sums of keys; the groups are added in a fixed order at the end.
template <int kDim, typename Value, typename Destination>
struct Summary {
  static constexpr int kPatches = kDim / 4;  // along one side
  static constexpr int kThreads = kDim == 16 ? 128 : 256;
  static constexpr int kGroups = kThreads / (kPatches * kPatches);
  static constexpr int kTile = 32;                   // tokens: a warp reads them side by side
  static constexpr int kStride = kPatches + 1;       // one more: stores hit every bank once
  static constexpr int kLoaders = kThreads / kTile;  // patches read at a time

  struct Shared {
    union {
      struct {
        Float4 keys[kTile][kStride], values[kTile][kStride];
      } tile;
      float sums[kGroups][Sizes<kDim>::kMatrix];
    };
  };
  struct Patch {
    float matrix[4][4];
    float keys[4];
  };

  static EFFVIT_FN void block(const Launch& a, int row, int, Shared& shared) {
    const Value* keys =
        static_cast<const Value*>(a.qkv) + (static_cast<long long>(row) * 3 + 1) * kDim * a.tokens;
    PerThread<Patch, kThreads> patch;
    FOR_EACH_THREAD(thread, kThreads)
    patch[thread] = Patch();
    END_PHASE
    for (int first = 0; first < a.tokens; first += kTile) {
      FOR_EACH_THREAD(thread, kThreads)
      load_tile(a, keys, first, thread, shared);
      END_PHASE
      FOR_EACH_THREAD(thread, kThreads)
      accumulate(thread, shared, patch[thread]);
      END_PHASE
    }
    FOR_EACH_THREAD(thread, kThreads)
    spread(thread, patch[thread], shared);
    END_PHASE
    FOR_EACH_THREAD(thread, kThreads)
    for (int entry = thread; entry < Sizes<kDim>::kMatrix; entry += kThreads) {
      float sum = 0.0f;
      UNROLL
      for (int group = 0; group < kGroups; ++group) sum += shared.sums[group][entry];
      Destination::template matrix<kDim>(a, row, entry, sum * a.key_factor);
    }
    if (thread == 0) {
      a.summaries[static_cast<long long>(row) * Sizes<kDim>::kSummary + Sizes<kDim>::kMatrix] =
          Destination::frames(a, row);
    }
    END_PHASE
  }

 private:
  // Rows of a tile: the keys' patches, then the values'. Tokens beyond the last are zeros.
  static EFFVIT_FN void load_tile(const Launch& a, const Value* keys, int first, int thread,
                                  Shared& shared) {
    const int slot = thread % kTile, token = first + slot;
    for (int patch = thread / kTile; patch < 2 * kPatches; patch += kLoaders) {
      const bool is_key = patch < kPatches;
      Float4 four;
      UNROLL
      for (int i = 0; i < 4; ++i) {
        float value = 0.0f;
        if (token < a.tokens) {
          value = load(keys + static_cast<long long>(patch * 4 + i) * a.tokens + token);
        }
        four.lane[i] = is_key ? relu(value) : value;
      }
      if (is_key) {
        shared.tile.keys[slot][patch] = four;
      } else {
        shared.tile.values[slot][patch - kPatches] = four;
      }
    }
  }

  static EFFVIT_FN void accumulate(int thread, const Shared& shared, Patch& patch) {
    const int row = thread / kPatches % kPatches, column = thread % kPatches;
    for (int slot = thread / (kPatches * kPatches); slot < kTile; slot += kGroups) {
      const Float4 value = shared.tile.values[slot][row];
      const Float4 key = shared.tile.keys[slot][column];
      UNROLL
      for (int j = 0; j < 4; ++j) {
        UNROLL
        for (int i = 0; i < 4; ++i) patch.matrix[i][j] += value.lane[i] * key.lane[j];
        patch.keys[j] += key.lane[j];
      }
    }
  }

  static EFFVIT_FN void spread(int thread, const Patch& patch, Shared& shared) {
    const int row = thread / kPatches % kPatches, column = thread % kPatches;
    float* sums = shared.sums[thread / (kPatches * kPatches)] + column * 4;
    UNROLL
    for (int j = 0; j < 4; ++j) {
      UNROLL
      for (int i = 0; i < 4; ++i) sums[(row * 4 + i) * kDim + j] = patch.matrix[i][j];
      if (row == 0) sums[kDim * kDim + j] = patch.keys[j];
    }
  }
};

// One block: a slice of the queries of one head of one frame; a thread owns a query at a time.
template <int kDim, typename Value>
struct Answer {
  static constexpr int kThreads = 128;

  struct Shared {
    union {
      Float4 rows[Sizes<kDim>::kRows][kDim / 4];
      float matrix[Sizes<kDim>::kMatrix];
    };
    float frames;
  };

  static EFFVIT_FN void block(const Launch& a, int row, int slice, Shared& shared) {
    FOR_EACH_THREAD(thread, kThreads)
    for (int entry = thread; entry < Sizes<kDim>::kSummary; entry += kThreads) {
      const float sum = window_sum(a, row, entry);
      if (entry < Sizes<kDim>::kMatrix) {
        shared.matrix[entry] = sum;
      } else {
        shared.frames = sum;
      }
    }
    END_PHASE
    const Value* queries =
        static_cast<const Value*>(a.qkv) + static_cast<long long>(row) * 3 * kDim * a.tokens;
    Value* out = static_cast<Value*>(a.out) + static_cast<long long>(row) * kDim * a.tokens;
    FOR_EACH_THREAD(thread, kThreads)
    for (int token = slice * kThreads + thread; token < a.tokens; token += a.slices * kThreads) {
      answer(a, queries + token, shared, out + token);
    }
    END_PHASE
  }

 private:
  static EFFVIT_FN float window_sum(const Launch& a, int row, int entry) {
    const int per_time = a.batch * a.heads;  // summaries of one time
    const int time = row / per_time;
    const int first = a.causal ? (time < a.sum_window ? 0 : time + 1 - a.sum_window) : 0;
    const int last = a.causal ? time : a.frames - 1;
    const long long step = static_cast<long long>(per_time) * Sizes<kDim>::kSummary;
    const float* at = a.summaries + first * step +
                      static_cast<long long>(row % per_time) * Sizes<kDim>::kSummary + entry;
    float sum = 0.0f;
    for (int i = first; i <= last; ++i, at += step) sum += *at;
    return sum;
  }

  static EFFVIT_FN void answer(const Launch& a, const Value* query_at, const Shared& shared,
                               Value* out) {
    float query[kDim];
    float query_sum = 0.0f;
    UNROLL
    for (int j = 0; j < kDim; ++j) {
      query[j] = relu(load(query_at + static_cast<long long>(j) * a.tokens));
      query_sum += query[j];
    }
    const float scale = 1.0f / larger(query_sum, kLeastQuerySum);
    UNROLL
    for (int j = 0; j < kDim; ++j) query[j] *= scale;
    const float eps = shared.frames * (a.eps * a.key_factor) * scale;
    const float denominator = larger(product(shared, kDim, query) + eps, kLeastDenominator);
    for (int i = 0; i < kDim; ++i) {
      store(out + static_cast<long long>(i) * a.tokens, product(shared, i, query) / denominator);
    }
  }

  static EFFVIT_FN float product(const Shared& shared, int row, const float (&query)[kDim]) {
    float sum = 0.0f;
    UNROLL
    for (int patch = 0; patch < kDim / 4; ++patch) {
      const Float4 four = shared.rows[row][patch];
      UNROLL
      for (int j = 0; j < 4; ++j) sum += four.lane[j] * query[patch * 4 + j];
    }
    return sum;
  }
};

}  // namespace effvit
